"""What is left out: leavings of systems and programs, downloads that are not done, and what `.satchelignore` names."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Literal

from pathspec.patterns.gitignore.spec import GitIgnoreSpecPattern

from satchel.core.names import name_key
from satchel.core.status import Held

MARKER_FOLDER = ".satchel"
IGNORE_FILE = ".satchelignore"

LARGEST = 256 * 1024
"""Bytes of an ignore file that are read at most: one that is larger is another kind of file."""

_PATTERNS = (
    ".DS_Store",
    ".AppleDouble",
    ".DocumentRevisions-V100",
    ".Spotlight-V100",
    ".TemporaryItems",
    ".Trashes",
    ".fseventsd",
    ".Trash-*",
    "Icon\r",
    "Thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "$RECYCLE.BIN",
    "System Volume Information",
    "~$*",  # Office's owner files
    ".~lock.*#",  # LibreOffice's
    ".#*",  # Emacs'
    ".*.sw[m-p]",  # vi's
    ".goutputstream-*",  # GLib's half-written files
    ".fuse_hidden*",
    ".nfs[0-9a-f]*",
    "*.crdownload",
    "*.opdownload",
    "*.part",
    "*.partial",
    "*.download",
    "*.aria2",
)

# A hundred thousand names are asked for in a scan: nearly all are told by a look into a set and at their ends.
_LEFT_OUT = tuple(pattern.lower() for pattern in (MARKER_FOLDER, *_PATTERNS))
_MARKS = re.compile(r"[*?\[]")
_NAMES = frozenset(pattern for pattern in _LEFT_OUT if not _MARKS.search(pattern))
_ENDINGS = tuple(pattern[1:] for pattern in _LEFT_OUT if pattern[0] == "*" and not _MARKS.search(pattern[1:]))
_OTHERS = [one for one in _LEFT_OUT if one not in _NAMES and one[1:] not in _ENDINGS]
_OTHERS_BEGIN = tuple({one[0] for one in _OTHERS})
_OTHER = re.compile("|".join(map(fnmatch.translate, _OTHERS)))

# Git refuses refs of these names, so nothing that it keeps is among them. A lock that travelled would lock out others.
_IN_GIT = re.compile(r".+\.lock|tmp_(obj|pack|idx|rev|mtimes)_.+|gc\.pid")
_IN_MERCURIAL = re.compile(r"w?lock")

# A line that can be told apart without a regular expression: a name, or what a name ends with, in plain characters.
_PLAIN = re.compile(r"!?(\*?)([\w.+~-]+)/?")

Stamp = tuple[int, int, int]
"""Size, modified time and file id of an ignore file."""


def ignored(name: str) -> bool:
    """Whether a file or folder of this name, with all that is in it, is left out if no ignore file says otherwise."""
    name = name.lower()
    return (
        name in _NAMES or name.endswith(_ENDINGS) or (name.startswith(_OTHERS_BEGIN) and _OTHER.match(name) is not None)
    )


class Patterns:
    """The content of one ignore file, with the meaning that it has in a `.gitignore`. A line that is no pattern is left
    out and is one of the `problems`, to be held back in the folder of the file; the others hold. With `fold` names are
    compared as the service does, whatever their capitals."""

    def __init__(self, text: bytes, *, fold: bool = False) -> None:
        self.text = text
        self._fold = fold
        lines: list[_Line] = []
        problems: list[Held] = []
        names: set[str] = set()
        endings: list[str] = []
        others: list[_Line] = []
        if fold:
            text = name_key(text.decode(errors="surrogateescape")).encode(errors="surrogateescape")
        for number, raw in enumerate(text.removeprefix(b"\xef\xbb\xbf").splitlines(), 1):
            line = _read(raw)
            if isinstance(line, str):
                problems.append(Held(IGNORE_FILE, f"Line {number} {line}", "Correct the line; the others hold."))
            elif line is not None:
                lines.insert(0, line)
                plain = _PLAIN.fullmatch(raw.decode())
                if plain is None:
                    others.append(line)
                elif plain[1]:
                    endings.append(plain[2])
                else:
                    names.add(plain[2])
        self.problems = tuple(problems)
        self._last_first = tuple(lines)
        self._names = frozenset(names)
        self._endings = tuple(endings)
        self._others = tuple(others)
        self._others_at: dict[int, tuple[_Line, ...]] = {}

    def verdict(self, way: str, name: str, folder: bool) -> bool | None:
        """Whether `name` is left out, is to be kept (`!`), or is not spoken of. `way` leads from the file's folder to
        that of the name and ends with a slash, or is empty; nothing on it is left out."""
        if self._fold:
            way, name = name_key(way), name_key(name)
        # Nearly all names are spoken of by no line, and a hundred thousand are asked for in a scan.
        if (
            name not in self._names
            and not name.endswith(self._endings)
            and not any(line.speaks_of(way, name, folder) for line in self._others_in(way.count("/")))
        ):
            return None
        return next((line.leave_out for line in self._last_first if line.speaks_of(way, name, folder)), None)

    def _others_in(self, depth: int) -> tuple[_Line, ...]:
        """Those that are not plain and may speak of names so many folders down."""
        if depth not in self._others_at:
            self._others_at[depth] = tuple(line for line in self._others if line.depth in (None, depth))
        return self._others_at[depth]


@dataclass(frozen=True, slots=True)
class _Line:
    """One pattern. pathspec takes a pattern that speaks of a folder for one that speaks of all that is in it, too. Here
    every name is asked for by itself, as git does, so that `!folder/` does not bring back what another line leaves out
    in it; what `kind` says is how the one is told from the other. A path may be of one `depth` only."""

    leave_out: bool
    search: Callable[[str], object]
    kind: Literal["name", "path", "inside"]
    depth: int | None = None

    def speaks_of(self, way: str, name: str, folder: bool) -> bool:
        if self.kind == "inside":
            return self.search(way + name) is not None
        own = f"{name}/" if folder else name
        if self.kind == "name":
            return self.search(own) is not None
        if self.depth is not None:
            return self.depth == way.count("/") and self.search(way + own) is not None
        return self.search(way + own) is not None and not (way and self.search(way) is not None)


def _read(raw: bytes) -> _Line | str | None:
    """None for a line that says nothing; words for one that is no pattern."""
    try:
        line = raw.decode()
        pattern = GitIgnoreSpecPattern(line)
    except UnicodeDecodeError:
        return "is not text in UTF-8"
    except (ValueError, re.error):
        return f"is no pattern: {line}"
    if pattern.include is None or pattern.regex is None:
        return f"matches nothing: {line}" if line.strip() and not line.startswith("#") else None
    body = line.removeprefix("!").rstrip()
    if body.endswith("/**"):
        return _Line(pattern.include, pattern.regex.search, "inside")
    if "/" not in body.rstrip("/"):
        return _Line(pattern.include, pattern.regex.search, "name")
    certain = not any(mark in body for mark in ("**", "[", "\\"))
    return _Line(pattern.include, pattern.regex.search, "path", body.strip("/").count("/") if certain else None)


@dataclass(frozen=True, slots=True)
class Rules:
    """What is left out of one folder. `files` are the ignore files in force, the nearest last, each with the way from
    its folder to this one. `own` is this folder's, `stamp` what it was read at, and `trouble` why it could not be."""

    files: tuple[tuple[Patterns, str], ...] = ()
    inside: Literal["", ".git", ".hg"] = ""
    own: Patterns | None = None
    stamp: Stamp | None = None
    trouble: Held | None = None

    @property
    def plain(self) -> bool:
        """Whether `ignored` says it all."""
        return not self.files and not self.inside

    @property
    def held(self) -> tuple[Held, ...]:
        """What is wrong with the folder's own file."""
        problems = self.own.problems if self.own is not None else ()
        return (*problems, self.trouble) if self.trouble is not None else problems

    def leave_out(self, name: str, folder: bool) -> bool:
        if self.files and name.lower() != MARKER_FOLDER:
            for patterns, way in reversed(self.files):
                verdict = patterns.verdict(way, name, folder)
                if verdict is not None:
                    return verdict
        if ignored(name):
            return True
        return bool(self.inside) and (_IN_GIT if self.inside == ".git" else _IN_MERCURIAL).fullmatch(name) is not None

    def below(self, name: str) -> Rules:
        """The rules in a subfolder, but for its own file."""
        inside: Literal["", ".git", ".hg"] = ".git" if name == ".git" else ".hg" if name == ".hg" else self.inside
        if not self.files and not inside:
            return _NONE
        return Rules(tuple((patterns, f"{way}{name}/") for patterns, way in self.files), inside)


_NONE = Rules()


class Ignore:
    """The rules of a watched folder, as far as they have been read. Any thread may use it.

    `read` gives the content of a folder's ignore file, at most `LARGEST + 1` bytes, or None when there is no such file.
    The one in the marker folder does not travel, and speaks of the whole watched folder: what it says holds on this
    computer only, and where the files in the folder itself say nothing else.
    """

    def __init__(self, read: Callable[[str], bytes | None]) -> None:
        self._read = read
        self._known: dict[str, Rules] = {}
        self._own: Rules | None = None
        self._files: frozenset[str] = frozenset()
        self.changes = 0
        """How often a listing has shown that an ignore file is not what it was."""

    def ignored(self, path: str, folder: bool) -> bool:
        """Whether a file or folder would be left out, be it there or not."""
        at, rest = "", path
        while rest:
            name, _, rest = rest.partition("/")
            if self._of(at).leave_out(name, folder or bool(rest)):
                return True
            at = f"{at}/{name}" if at else name
        return False

    def listed(self, folder: str, names: Iterable[str], stamp: Stamp | None) -> Rules:
        """The rules of a folder that is being listed. `names` are all that is in it, `stamp` is that of the ignore file
        among them, if there is one."""
        if not folder:
            self._read_own()
        below = f"{folder}/" if folder else ""
        inside = {one[len(below) :].partition("/")[0] for one in self._files if one != folder and one.startswith(below)}
        for name in inside.difference(names) if inside else ():
            self.gone(f"{below}{name}")
        above = self._above(folder)
        known = self._known.get(folder)
        if stamp is None:
            rules = above
        elif known is not None and known.stamp == stamp:
            rules = _with(above, known.own, stamp, known.trouble)
        else:
            rules = self._read_anew(folder, above, stamp, known)
        if known is not None and known.own is not rules.own:
            self.changes += 1
            self._known = {}  # what was known of the folders below is built on it
        return self._keep(folder, rules)

    def forget(self) -> None:
        """Read everything again when it is asked for next."""
        self._known, self._own = {}, None

    def gone(self, folder: str) -> None:
        """It is not in its place any more: what was read in it does not hold for what comes there."""
        below = f"{folder}/"
        if any(f"{one}/".startswith(below) for one in self._files):
            self._files = frozenset(one for one in self._files if not f"{one}/".startswith(below))
            known = list(self._known.items())  # another thread may add to it
            self._known = {one: rules for one, rules in known if not f"{one}/".startswith(below)}
            self.changes += 1

    @property
    def problems(self) -> tuple[Held, ...]:
        """What is wrong with the file in the marker folder."""
        held = self._own.held if self._own is not None else ()
        return tuple(replace(one, path=f"{MARKER_FOLDER}/{one.path}") for one in held)

    def _read_own(self) -> Rules:
        """It is small, and nothing tells when it changes."""
        known = self._own
        self._own = own = self._read_anew(MARKER_FOLDER, _NONE, None, known)
        if known is not None and known.own is not own.own:
            self.changes += 1
            self._known = {}
        return own

    def _of(self, folder: str) -> Rules:
        """From the top down, and not by recursion: folders lie deeper than Python's calls may."""
        rules, at, rest = self._known.get(""), "", folder
        if rules is None:
            rules = self._keep("", self._read_anew("", self._above(""), None, None))
        while rest:
            name, _, rest = rest.partition("/")
            at = f"{at}/{name}" if at else name
            above, rules = rules, self._known.get(at)
            if rules is None:
                rules = self._keep(at, self._read_anew(at, above.below(name), None, None))
        return rules

    def _keep(self, folder: str, rules: Rules) -> Rules:
        self._known[folder] = rules
        if rules.own is not None:
            self._files |= {folder}
        return rules

    def _above(self, folder: str) -> Rules:
        if not folder:
            own = self._own or self._read_own()
            return Rules(own.files)
        parent, _, name = folder.rpartition("/")
        return self._of(parent).below(name)

    def _read_anew(self, folder: str, above: Rules, stamp: Stamp | None, known: Rules | None) -> Rules:
        """What cannot be read leaves in force what was, and is tried again at the next listing."""
        before = known.own if known is not None else None
        try:
            text = self._read(folder)
        except OSError as error:
            why = Held(IGNORE_FILE, f"It cannot be read: {error.strerror}", "Give your user permission to read it.")
            return _with(above, before, None, why)
        if text is None:
            return above
        if len(text) > LARGEST:
            why = Held(IGNORE_FILE, f"It is larger than {LARGEST // 1024} KiB, so it is not used", "Make it shorter.")
            return _with(above, before, stamp, why)
        if before is None or before.text != text:
            before = Patterns(text, fold=folder == MARKER_FOLDER)
        return _with(above, before, stamp, None)


def _with(above: Rules, own: Patterns | None, stamp: Stamp | None, trouble: Held | None) -> Rules:
    if own is None and trouble is None:
        return above
    return Rules((*above.files, (own, "")) if own is not None else above.files, above.inside, own, stamp, trouble)
