"""A folder held open, so that what is done in it is done there, whatever takes the place of the folders above it."""

from __future__ import annotations

import contextlib
import errno
import functools
import os
import stat as modes
import sys
from collections.abc import Iterator, Sequence

from .ports import Entry
from .renaming import rename_free

_FILE_ID_MASK = (1 << 63) - 1  # the journal's integers are signed
REPARSE_POINT = 0x0000_0400

_FOLDER = os.O_RDONLY
for _flag in ("O_DIRECTORY", "O_NOFOLLOW", "O_CLOEXEC"):
    _FOLDER |= getattr(os, _flag, 0)
_FILE = os.O_RDWR if sys.platform == "win32" else os.O_RDONLY  # what fsync asks for
for _flag in ("O_BINARY", "O_NOFOLLOW", "O_CLOEXEC", "O_NONBLOCK"):
    _FILE |= getattr(os, _flag, 0)


# A scan makes a hundred thousand: without the detour of the class's own constructor.
_entry = functools.partial(tuple.__new__, Entry)


@contextlib.contextmanager
def opened(path: str, *, links: bool) -> Iterator[int]:
    """The folder at an absolute path, held open; through links, if `links`, at its end also. Not on Windows."""
    descriptor = os.open(path, _FOLDER & ~getattr(os, "O_NOFOLLOW", 0) if links else _FOLDER)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


class Folder:
    """One open folder. Names are bare; methods raise `OSError`.

    Every folder is opened in the one above it, links not followed, and names are looked up in what was opened: a link
    that takes a folder's place at any time leads nowhere. Windows has no such calls, so there each part of the path is
    looked at just before it is used; what is left is the moment between, for a link made by someone who may write here.
    """

    def __init__(self, path: str, descriptor: int | None) -> None:
        self.path = path
        self._descriptor = descriptor

    @classmethod
    @contextlib.contextmanager
    def top(cls, path: str) -> Iterator[Folder]:
        """The folder at an absolute path, through links."""
        if sys.platform == "win32":
            yield cls(unlimited(path), None)
            return
        with opened(path, links=True) as descriptor:
            yield cls(path, descriptor)

    @contextlib.contextmanager
    def within(self, names: Sequence[str], *, make: bool = False) -> Iterator[Folder]:
        """The folder that `names` lead down to; `make` makes those that are not there, for this user alone."""
        inner, opened = self, None
        try:
            for name in names:
                if make:
                    with contextlib.suppress(FileExistsError):
                        inner.make(name, 0o700)
                deeper = inner._step(name)
                if opened is not None:
                    os.close(opened)
                inner, opened = deeper, deeper._descriptor
            yield inner
        finally:
            if opened is not None:
                os.close(opened)

    def look(self, name: str) -> os.stat_result | None:
        """What has this name, a link itself; None when nothing has."""
        try:
            return os.stat(self._at(name), dir_fd=self._descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def entry(self, name: str) -> Entry | None:
        """None also for what is neither a file nor a folder."""
        found = self.look(name)
        return entry_of(name, found) if found is not None else None

    def names(self) -> frozenset[str]:
        where = self.path if self._descriptor is None else self._descriptor
        return frozenset(os.listdir(where))  # noqa: PTH208 - by descriptor

    def is_same(self, other: Folder) -> bool:
        return os.path.samestat(self._stat(), other._stat())

    def make(self, name: str, mode: int = 0o777) -> None:
        os.mkdir(self._at(name), mode, dir_fd=self._descriptor)

    def rename(self, name: str, target: Folder, new: str) -> None:
        """To where nothing is: `FileExistsError`."""
        rename_free(self._at(name), target._at(new), self._descriptor, target._descriptor)

    def settle(self, name: str, permissions: int | None) -> None:
        """See to it that a file's bytes outlast a power cut, and give it these permissions."""
        file = os.open(self._at(name), _FILE, dir_fd=self._descriptor)
        try:
            if not modes.S_ISREG(os.fstat(file).st_mode):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
            if permissions is not None and sys.platform != "win32":
                os.fchmod(file, permissions)
            os.fsync(file)
        finally:
            os.close(file)

    def settle_names(self) -> None:
        """The same for the names in the folder, where the system can."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                os.fsync(self._descriptor)

    def remove_empty(self, name: str) -> None:
        os.rmdir(self._at(name), dir_fd=self._descriptor)

    def remove(self, name: str) -> None:
        """A file or link, or a folder with all that is in it. For the marker folder alone."""
        found = self.look(name)
        if found is None:
            return
        if not _is_folder(found):
            if sys.platform == "win32":
                os.chmod(self._at(name), modes.S_IWRITE)  # noqa: PTH101 - else it cannot be deleted there
            os.unlink(self._at(name), dir_fd=self._descriptor)
            return
        with self.within([name]) as inner:
            if inner._descriptor is not None and sys.platform != "win32":
                os.fchmod(inner._descriptor, 0o700)
            for each in inner.names():
                inner.remove(each)
        self.remove_empty(name)

    def _step(self, name: str) -> Folder:
        path = os.path.join(self.path, name)  # noqa: PTH118 - hot, plain strings
        if self._descriptor is not None:
            return Folder(path, os.open(name, _FOLDER, dir_fd=self._descriptor))
        if not _is_folder(os.lstat(path)):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        return Folder(path, None)

    def _at(self, name: str) -> str:
        return name if self._descriptor is not None else os.path.join(self.path, name)  # noqa: PTH118 - plain strings

    def _stat(self) -> os.stat_result:
        return os.stat(self.path if self._descriptor is None else self._descriptor)  # noqa: PTH116 - by descriptor


def entry_of(name: str, found: os.stat_result) -> Entry | None:
    """None for what is neither a file nor a folder."""
    file_id = found.st_ino & _FILE_ID_MASK
    if modes.S_ISREG(found.st_mode):
        return _entry((name, "file", found.st_size, found.st_mtime_ns, file_id))
    if _is_folder(found):
        return _entry((name, "folder", 0, found.st_mtime_ns, file_id))
    return None


def unlimited(path: str) -> str:
    """An absolute path of Windows in the form for which there is no limit of 260 characters to what is joined to it."""
    if path.startswith("\\\\?\\"):
        return path
    return f"\\\\?\\UNC{path[1:]}" if path.startswith("\\\\") else f"\\\\?\\{path}"


def _is_folder(found: os.stat_result) -> bool:
    """Junctions of Windows are links that look like folders."""
    return modes.S_ISDIR(found.st_mode) and not getattr(found, "st_file_attributes", 0) & REPARSE_POINT
