"""One client's disk in memory: like a real one it gives inodes out again at once, may take two spellings for one name,
and lets others act between any two things that the engine does."""

from __future__ import annotations

import hashlib
import itertools
import unicodedata
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Literal, Protocol

from satchel.core.errors import FileChangedError, LocalFileError, PlaceTakenError
from satchel.disk import Entry, Listing
from satchel.disk.ignore import IGNORE_FILE, MARKER_FOLDER, Ignore
from satchel.disk.selection import left_out, with_path, without_path

Kind = Literal["cased", "caseless", "decomposing"]
"""How names are told apart and kept: as Linux, as Windows, as an old Mac."""

SYSTEM_TIME_NS = 1_000
"""Two changes in one millisecond differ at least by so much."""


class Clock(Protocol):
    def now_ms(self) -> int: ...


@dataclass
class Inode:
    kind: Literal["file", "folder"]
    number: int
    content: bytes = b""
    mtime_ns: int = 0


class Paths(MutableMapping[str, Inode]):
    """What is where. Looked up as the system compares names; iterated as they are written."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._found: dict[str, tuple[str, Inode]] = {}

    def key(self, path: str) -> str:
        if self._kind == "cased":
            return path
        if path.isascii():
            return path.lower()
        return unicodedata.normalize("NFD", unicodedata.normalize("NFD", path).casefold())

    def spelled(self, path: str) -> str:
        """The path as it is written on the disk, or would be."""
        known = self._found.get(self.key(path))
        if known is not None:
            return known[0]
        folder, _, name = path.rpartition("/")
        if self._kind == "decomposing":
            name = unicodedata.normalize("NFD", name)
        return f"{self.spelled(folder)}/{name}" if folder else name

    def below(self, folder: str) -> list[str]:
        """The folder's own path and all in it, folders before what is in them."""
        inside = self.key(folder) + "/"
        return sorted(path for key, (path, _) in self._found.items() if f"{key}/".startswith(inside))

    def __getitem__(self, path: str) -> Inode:
        return self._found[self.key(path)][1]

    def __setitem__(self, path: str, inode: Inode) -> None:
        self._found[self.key(path)] = self.spelled(path), inode

    def __delitem__(self, path: str) -> None:
        del self._found[self.key(path)]

    def __contains__(self, path: object) -> bool:
        return isinstance(path, str) and self.key(path) in self._found

    def __iter__(self) -> Iterator[str]:
        return iter([path for path, _ in self._found.values()])

    def __len__(self) -> int:
        return len(self._found)


class SimDisk:
    """A watched folder at `/disk`, and the marker folder in it: partial files, trash, what is set aside."""

    def __init__(self, clock: Clock, root_id: str, kind: Kind = "cased") -> None:
        self.clock = clock
        self.kind = kind
        self.nodes = Paths(kind)
        self.marker: str | None = root_id
        self.unreadable: set[str] = set()
        self.full = False
        self.trashed: list[tuple[int, str, Inode]] = []
        """When, under which path, and what."""
        self.partials: dict[str, Inode] = {}
        self.asides: dict[str, tuple[str, dict[str, Inode]]] = {}
        """Name and, by path below it, everything, under the key."""
        self.between: Callable[[], None] = lambda: None
        """Called before every step that the engine takes on this disk."""
        self.touched: Callable[[str], None] = lambda folder: None
        """Told of the folder in which something changed, whoever did it."""
        self.engine_changes = 0
        self.seen: set[bytes] = set()
        """Every content that was here at any time."""
        self.went_along: set[bytes] = set()
        """What was ignored, and was trashed with its folder."""
        self.selection = b""
        """The ignore file in the marker folder."""
        self._ignore = Ignore(self._ignore_file)
        self._taken: list[Paths] = []
        self._ticks = itertools.count(1)

    # -- what a person does -------------------------------------------------------------------------------------------

    def write(self, path: str, content: bytes, mtime_ns: int | None = None) -> None:
        """Also makes the folders above."""
        self.mkdirs(_above(path))
        inode = self.nodes.get(path) or Inode("file", self._free_number())
        inode.content, inode.mtime_ns = content, self._now_ns() if mtime_ns is None else mtime_ns
        self.seen.add(content)
        self.nodes[path] = inode
        self.touched(_above(path))

    def mkdirs(self, path: str) -> None:
        if path and path not in self.nodes:
            self.mkdirs(_above(path))
            self.nodes[path] = Inode("folder", self._free_number())
            self.touched(_above(path))

    def rename(self, old: str, new: str) -> None:
        """Replaces a file that is at `new`, as rename(2) does."""
        self.mkdirs(_above(new))
        if new in self.nodes and self.nodes[new] is not self.nodes[old]:
            self.delete(new)
        self._move(old, new)

    def delete(self, path: str) -> None:
        for found in self.nodes.below(path):
            del self.nodes[found]
        self.touched(_above(path))

    def unmount(self) -> None:
        """An empty folder without a marker is seen in its place."""
        if self.marker is not None:
            self._taken.append(self.nodes)
            self.nodes, self.marker = Paths(self.kind), None

    def mount(self, root_id: str) -> None:
        if self._taken:
            self.nodes, self.marker = self._taken.pop(), root_id

    def files(self) -> dict[str, bytes]:
        return {path: inode.content for path, inode in self.nodes.items() if inode.kind == "file"}

    def tree(self) -> dict[str, bytes | None]:
        """Content of files, None for folders."""
        return {path: inode.content if inode.kind == "file" else None for path, inode in self.nodes.items()}

    def kept(self) -> set[bytes]:
        """Every content that is anywhere on this disk, whole."""
        aside = [inode for _, inside in self.asides.values() for inode in inside.values()]
        trashed = [inode for _, _, inode in self.trashed]
        return {inode.content for inode in (*self.nodes.values(), *aside, *trashed) if inode.kind == "file"}

    # -- what Disk promises: looking ----------------------------------------------------------------------------------

    def absolute(self, path: str) -> str:
        return f"/disk/{path}"

    def list(self, folder: str) -> Listing | None:
        self.between()
        if self.nodes.spelled(folder) in self.unreadable:
            raise LocalFileError("The folder may not be read", "Give your user permission to read it.", path=folder)
        if not self._is_folder(folder):
            return None
        where = self.nodes.spelled(folder)
        inside = [self._entry(path) for path in self.nodes if _above(path) == where]
        stamps = [(one.size, one.mtime_ns, one.file_id) for one in inside if one.name == IGNORE_FILE]
        rules = self._ignore.listed(folder, {one.name for one in inside}, stamps[0] if stamps else None)
        return Listing(tuple(one for one in inside if not rules.leave_out(one.name, one.kind == "folder")), rules.held)

    def _ignore_file(self, folder: str) -> bytes | None:
        if folder == MARKER_FOLDER:
            return self.selection
        return self.files().get(f"{folder}/{IGNORE_FILE}" if folder else IGNORE_FILE)

    def left_out(self) -> tuple[str, ...]:
        return left_out(self.selection)

    def leave_out(self, path: str) -> None:
        self.between()
        self.selection = with_path(self.selection, path)

    def take_in(self, path: str) -> None:
        self.between()
        self.selection = without_path(self.selection, path)

    def ignored(self, path: str, kind: Literal["file", "folder"]) -> bool:
        return self._ignore.ignored(path, kind == "folder")

    def rules_changes(self) -> int:
        return self._ignore.changes

    def stat(self, path: str) -> Entry | None:
        self.between()
        return self._entry(path) if path in self.nodes else None

    def reaches(self, folder: str) -> bool:
        self.between()
        return self._is_folder(folder)

    def sha256(self, path: str) -> str:
        self.between()
        return hashlib.sha256(self._file(path).content).hexdigest()

    def root_id(self) -> str | None:
        self.between()
        return self.marker

    # -- what Disk promises: changing ---------------------------------------------------------------------------------

    def _step(self) -> None:
        """Before every change: there is nothing to change where the disk is not mounted."""
        self.between()
        if self.marker is None:
            raise LocalFileError("The watched folder is not there", "Connect its disk.", path="/disk")

    def make_folder(self, path: str) -> Entry:
        self._step()
        self._check_free(path)
        self._check_room(path)
        self.nodes[path] = Inode("folder", self._free_number())
        self._changed(path)
        return self._entry(path)

    def move(self, old: str, new: str) -> Entry:
        self._step()
        if old not in self.nodes:
            raise LocalFileError("It is gone", "Nothing needs to be done.", path=old)
        if new not in self.nodes or self.nodes[new] is not self.nodes[old]:
            self._check_free(new)
        if self.nodes.key(new).startswith(self.nodes.key(old) + "/"):
            raise LocalFileError("A folder cannot go into itself", path=old)
        self._move(old, new)
        self._ignore.gone(old)
        self._changed(old)
        return self._entry(new)

    def trash(self, path: str, planned: Entry) -> None:
        self._step()
        self._file(path)
        where = self.nodes.spelled(path)
        folder = self.nodes[_above(path)] if _above(path) else None
        inode = self.nodes.pop(path)
        self.trashed.append((self._now_ns(), where, inode))
        self._changed(path)
        self._step()
        if not _is(inode, planned):
            self._put_back(folder, where, inode)
            raise FileChangedError("The file changed meanwhile", "It is looked at again.", path=path)

    def trash_folder(self, path: str) -> bool:
        self._step()
        if path not in self.nodes or self.nodes[path].kind != "folder":
            raise LocalFileError("The folder is gone", "Nothing needs to be done.", path=path)
        listing = self.list(path)
        if listing is None or ((listing.entries or listing.held) and not self.ignored(path, "folder")):
            return False
        self._trash_all(path)
        return True

    def trash_all(self, path: str, judge: Callable[[], None]) -> None:
        self._step()
        before = self._all_in(path)
        judge()
        self._step()
        if path not in self.nodes or self.nodes[path].kind != "folder":
            raise LocalFileError("The folder is gone", "Nothing needs to be done.", path=path)
        if self._all_in(path) != before:
            raise FileChangedError("The folder has changed meanwhile", "It is looked at again.", path=path)
        self._trash_all(path)

    def _trash_all(self, path: str) -> None:
        inside = self.nodes.below(path)
        ignored = (found for found in inside if self.ignored(found, self.nodes[found].kind))
        self.went_along |= {self.nodes[found].content for found in ignored}
        for found in reversed(inside):
            self.trashed.append((self._now_ns(), self.nodes.spelled(found), self.nodes.pop(found)))
        self._ignore.gone(path)
        self._changed(path)

    def _all_in(self, path: str) -> dict[str, tuple[int, bytes, int]]:
        nodes = {found: self.nodes[found] for found in self.nodes.below(path)}
        return {found: (node.number, node.content, node.mtime_ns) for found, node in nodes.items()}

    def partial(self, name: str) -> str:
        self._step()
        return f"/disk/.satchel/partial/{name}"

    def place(self, partial: str, path: str, planned: Entry | None) -> Entry:
        self._step()
        if partial not in self.partials:
            raise LocalFileError("The file is gone", "It is fetched again.", path=partial)
        if planned is not None:
            self.trash(path, planned)
            self._step()
        self._check_free(path)
        self.nodes[path] = self.partials.pop(partial)
        self._changed(path)
        return self._entry(path)

    def set_aside(self, path: str, key: str) -> None:
        self._step()
        if path not in self.nodes:
            raise LocalFileError("It is gone", "Nothing needs to be done.", path=path)
        where = self.nodes.spelled(path)
        inside = {found[len(where) :]: self.nodes.pop(found) for found in self.nodes.below(path)}
        self.asides[key] = where.rpartition("/")[2], inside
        self._ignore.gone(path)
        self._changed(path)

    def bring_back(self, key: str, path: str) -> Entry:
        self._step()
        if key not in self.asides:
            raise LocalFileError("It is gone", "Nothing needs to be done.", path=path)
        self._check_free(path)
        _, inside = self.asides.pop(key)
        for rest, inode in inside.items():
            self.nodes[path + rest] = inode
        self._changed(path)
        return self._entry(path)

    def aside(self) -> dict[str, Entry]:
        self._step()
        return {key: _entry(name, inside[""]) for key, (name, inside) in self.asides.items()}

    def tidy(self, before_ns: int) -> None:
        self._step()
        self.trashed = [one for one in self.trashed if one[0] >= before_ns]
        self.partials = {name: inode for name, inode in self.partials.items() if inode.mtime_ns >= before_ns}

    # -- what uploads and downloads do --------------------------------------------------------------------------------

    def holds(self, absolute: str) -> bool:
        self._step()
        return absolute.removeprefix("/disk/") in self.nodes

    def read(self, absolute: str) -> tuple[bytes, int]:
        """Content and mtime."""
        self._step()
        inode = self._file(absolute.removeprefix("/disk/"))
        return inode.content, inode.mtime_ns

    def fill(self, partial: str, content: bytes, mtime_ns: int) -> None:
        """Write a partial file."""
        self._step()
        self._check_room(partial)
        self.seen.add(content)
        old = self.partials.get(partial)
        self.partials[partial] = Inode("file", old.number if old else self._free_number(), content, mtime_ns)

    # -- how ----------------------------------------------------------------------------------------------------------

    def _move(self, old: str, new: str) -> None:
        where = self.nodes.spelled(old)
        inside = {found[len(where) :]: self.nodes.pop(found) for found in self.nodes.below(old)}
        for rest, inode in inside.items():
            self.nodes[new + rest] = inode
        self.touched(_above(old))
        self.touched(_above(new))

    def _changed(self, path: str) -> None:
        self.engine_changes += 1
        self.touched(_above(path))

    def _put_back(self, folder: Inode | None, where: str, inode: Inode) -> None:
        """Out of the trash, into the folder that it was in, wherever that is by now; where there is none it stays."""
        now = "" if folder is None else next((path for path, one in self.nodes.items() if one is folder), None)
        if now is None:
            return
        self.trashed.pop()
        name = where.rpartition("/")[2]
        back = self._free_name(f"{now}/{name}" if now else name)
        self.nodes[back] = inode
        self._changed(back)

    def _is_folder(self, path: str) -> bool:
        return not path or (path in self.nodes and self.nodes[path].kind == "folder")

    def _file(self, path: str) -> Inode:
        inode = self.nodes.get(path)
        if inode is None or inode.kind != "file":
            raise LocalFileError("The file is gone", "Nothing needs to be done.", path=path)
        return inode

    def _check_free(self, path: str) -> None:
        assert ".satchel-" not in path.rpartition("/")[2], f"a detour is seen on a disk: {path}"
        if path in self.nodes:
            raise PlaceTakenError("Something else has this name", "It is looked at again.", path=path)
        if not self._is_folder(_above(path)):
            raise LocalFileError("Its folder is gone", "It is looked at again.", path=path)

    def _check_room(self, path: str) -> None:
        if self.full:
            raise LocalFileError("The disk is full", "Make room.", path=path)

    def _free_name(self, path: str) -> str:
        names = (f"{path} ({number})" for number in itertools.count(2))
        return path if path not in self.nodes else next(name for name in names if name not in self.nodes)

    def _free_number(self) -> int:
        kept = [inode for _, inside in self.asides.values() for inode in inside.values()]
        kept += [inode for _, _, inode in self.trashed]
        used = {inode.number for inode in (*self.nodes.values(), *self.partials.values(), *kept)}
        return next(number for number in itertools.count(1) if number not in used)

    def _entry(self, path: str) -> Entry:
        return _entry(self.nodes.spelled(path).rpartition("/")[2], self.nodes[path])

    def _now_ns(self) -> int:
        return self.clock.now_ms() * 1_000_000 + next(self._ticks) * SYSTEM_TIME_NS % 1_000_000


def _entry(name: str, inode: Inode) -> Entry:
    file = inode.kind == "file"
    return Entry(name, inode.kind, len(inode.content) if file else 0, inode.mtime_ns, inode.number)


def _is(inode: Inode, planned: Entry) -> bool:
    found = _entry(planned.name, inode)
    return _known(found, planned) == planned


def _known(found: Entry, planned: Entry) -> Entry:
    """Where the system knows no file ids, none is compared."""
    return found if planned.file_id else found._replace(file_id=0)


def _above(path: str) -> str:
    return path.rpartition("/")[0]
