"""A watched folder on a real disk."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat as modes
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Literal

from satchel.core.errors import FileChangedError, LocalFileError
from satchel.core.names import name_problem, printable
from satchel.core.status import Held

from .changing import Changing
from .folder import REPARSE_POINT, entry_of, opened, unlimited
from .ignore import IGNORE_FILE, LARGEST, Ignore, ignored
from .marker import read_marker, read_selection, write_selection
from .ports import Entry, Listing
from .selection import left_out, with_path, without_path

_CHUNK = 1024 * 1024

# Windows marks files whose content is in another cloud; reading one would fetch it.
_RECALL_ON_OPEN = 0x0004_0000
_RECALL_ON_ACCESS = 0x0040_0000

# What has taken the file's place since it was looked at may lead elsewhere (a link) or block (a pipe).
_READ = os.O_RDONLY
for _flag in ("O_BINARY", "O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK"):
    _READ |= getattr(os, _flag, 0)


class LocalDisk(Changing):
    """Implements `Disk` on the folder `root`. Any thread may use it: it keeps nothing but the ignore files it read."""

    def __init__(self, root: Path) -> None:
        self._root = os.fspath(root)
        self._ignore = ignore_of(root)

    def absolute(self, path: str) -> str:
        whole = os.path.join(self._root, *path.split("/")) if path else self._root  # noqa: PTH118 - hot, plain strings
        return whole if os.name != "nt" else long_path(whole)

    def list(self, folder: str) -> Listing | None:
        where = self.absolute(folder)
        entries: list[Entry] = []
        held: list[Held] = []
        try:
            with _scanning(where, links=not folder) as names:
                all_found = list(names)
                every = (found.name for found in all_found)
                rules = self._ignore.listed(folder, every, _stamp_of_ignore_file(all_found))
                plain = rules.plain
                for found in all_found:
                    name = found.name
                    if ignored(name) if plain else rules.leave_out(name, found.is_dir(follow_symlinks=False)):
                        continue
                    kept = _look(found)
                    if isinstance(kept, Entry):
                        entries.append(kept)
                    elif kept is not None:
                        held.append(kept)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return None
            raise _unreadable(error, where, "folder") from error
        return Listing(tuple(entries), (*held, *rules.held, *(() if folder else self._ignore.problems)))

    def ignored(self, path: str, kind: Literal["file", "folder"]) -> bool:
        return self._ignore.ignored(path, kind == "folder")

    def rules_changes(self) -> int:
        return self._ignore.changes

    def left_out(self) -> tuple[str, ...]:
        return left_out(read_selection(Path(self._root)))

    def leave_out(self, path: str) -> None:
        root = Path(self._root)
        write_selection(root, with_path(read_selection(root), path))

    def take_in(self, path: str) -> None:
        root = Path(self._root)
        write_selection(root, without_path(read_selection(root), path))

    def stat(self, path: str) -> Entry | None:
        try:
            found = os.lstat(self.absolute(path))
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                return None
            raise _unreadable(error, self.absolute(path), "file") from error
        return entry_of(path.rsplit("/", 1)[-1], found)

    def reaches(self, folder: str) -> bool:
        where = self._root
        for name in folder.split("/") if folder else ():
            where = os.path.join(where, name)  # noqa: PTH118 - plain strings
            try:
                if not modes.S_ISDIR(os.lstat(where).st_mode):
                    return False
            except OSError:
                return False
        return True

    def sha256(self, path: str, read: Callable[[int], None] = lambda _: None) -> str:
        where = self.absolute(path)
        digest = hashlib.sha256()
        try:
            with os.fdopen(os.open(where, _READ), "rb", buffering=0) as file:
                before = os.fstat(file.fileno())
                if not modes.S_ISREG(before.st_mode):
                    raise LocalFileError("This is not a file any more", "It is looked at again.", path=where)
                while chunk := file.read(_CHUNK):
                    digest.update(chunk)
                    read(len(chunk))
                after = os.fstat(file.fileno())
        except OSError as error:
            raise _unreadable(error, where, "file") from error
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise FileChangedError("The file is being written", "It is sent when it is quiet.", path=where)
        return digest.hexdigest()

    def root_id(self) -> str | None:
        return read_marker(Path(self._root))


def long_path(path: str) -> str:
    """An absolute path of Windows in a form that may be longer than 260 characters. Folders may have 248, and what
    programs do with a path may add to it, so the short form ends well below."""
    return path if len(path) < 240 else unlimited(path)


def ignore_of(root: Path) -> Ignore:
    """The rules of a real folder. A link or anything else in the place of an ignore file is none."""
    top = os.fspath(root)

    def read(folder: str) -> bytes | None:
        try:
            with os.fdopen(os.open(os.path.join(top, folder, IGNORE_FILE), _READ), "rb") as file:  # noqa: PTH118 - hot
                return file.read(LARGEST + 1) if modes.S_ISREG(os.fstat(file.fileno()).st_mode) else None
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO, errno.EISDIR):
                return None
            raise

    return Ignore(read)


@contextlib.contextmanager
def _scanning(folder: str, *, links: bool) -> Iterator[Iterator[os.DirEntry[str]]]:
    """What is in the folder: where the system can, in the open one, so that names are looked up without the way there.
    `NotADirectoryError` and the like for anything else; a link is a folder only with `links`."""
    if sys.platform == "win32":
        if not links and not modes.S_ISDIR(os.lstat(folder).st_mode):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), folder)
        with os.scandir(folder) as names:
            yield names
        return
    with opened(folder, links=links) as descriptor, os.scandir(descriptor) as names:
        yield names


def _stamp_of_ignore_file(names: Iterable[os.DirEntry[str]]) -> tuple[int, int, int] | None:
    for found in names:
        if found.name == IGNORE_FILE:
            entry = _look(found)
            if isinstance(entry, Entry) and entry.kind == "file":
                return entry.size, entry.mtime_ns, entry.file_id
    return None


_LINK = ("This is a link to another place", "Links are not followed: move the file or folder itself here.")
_ELSEWHERE = ("Its content is only in another cloud", "Make it available offline there, or move it out.")
_SPECIAL = ("This is not a file or a folder (a pipe, socket or device)", "Move it out of the folder.")


def _look(found: os.DirEntry[str]) -> Entry | Held | None:
    """What one name is: an entry, something held back, or None when it went away meanwhile."""
    name = found.name
    if (not name.isascii() or len(name) > 255) and (problem := name_problem(name)) is not None:
        return Held(printable(name), problem.reason, problem.remedy)
    try:
        facts = found.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    except OSError as error:
        return Held(printable(name), f"It cannot be looked at: {error.strerror}", "Check its permissions.")
    attributes = getattr(facts, "st_file_attributes", 0)
    if attributes & (_RECALL_ON_OPEN | _RECALL_ON_ACCESS):
        why = _ELSEWHERE
    elif (entry := entry_of(name, facts)) is not None:
        return entry
    else:
        why = _LINK if modes.S_ISLNK(facts.st_mode) or attributes & REPARSE_POINT else _SPECIAL
    return Held(printable(name), *why)


def _unreadable(error: OSError, path: str, what: str) -> LocalFileError:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return LocalFileError(f"The {what} is gone", "Nothing needs to be done.", path=path)
    if error.errno == errno.ENAMETOOLONG:
        return LocalFileError(
            f"The path of the {what} is longer than this system allows",
            "Give shorter names to the folders that it lies in, or move it up.",
            path=path,
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return LocalFileError(f"The {what} may not be read", "Give your user permission to read it.", path=path)
    return LocalFileError(f"The {what} cannot be read", f"{error.strerror}. Check the disk and try again.", path=path)
