"""Reading a local file that others may change meanwhile, and knowing that they did."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from satchel.core.errors import FileChangedError, LocalFileError

BLOCK = 256 * 1024


class FileGoneError(LocalFileError):
    """The file is not there any more."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What tells one state of a file from another."""

    size: int
    mtime_ns: int


def stamp_of(path: str, *, links: bool = True) -> Stamp:
    """Raises `LocalFileError` when there is no such file or it is not a regular one; a link is one with `links`."""
    try:
        return _stamp(os.stat(path, follow_symlinks=links), path)  # noqa: PTH116 - paths are kept as given, as text
    except (OSError, ValueError) as error:
        raise local_error(error, path) from error


def read_small(path: str, expected: Stamp, *, links: bool = True) -> bytes:
    """All of a file that was just looked at and must be as `expected` still. Raises as `LocalFile` does."""
    try:
        handle = _open(path, links=links)
        try:
            if _stamp(os.fstat(handle), path) != expected:
                raise changed(path)
            data = os.read(handle, expected.size + 1)
        finally:
            os.close(handle)
    except (OSError, ValueError) as error:
        raise local_error(error, path) from error
    if len(data) != expected.size:
        raise changed(path)
    return data


class LocalFile:
    """A file open for reading that must stay as `expected` from the first byte to the last.

    Without `links` a link is refused, also one that takes the file's place between look and open: in a folder that
    others can write to it could lead to what is none of their business.
    """

    def __init__(self, path: str, expected: Stamp, *, links: bool = True) -> None:
        self.path = path
        self._expected = expected
        stamp_of(path, links=links)  # a pipe would block the open below
        try:
            self._file = os.fdopen(_open(path, links=links), "rb", buffering=0)
        except (OSError, ValueError) as error:
            raise local_error(error, path) from error
        try:
            self.check()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> LocalFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._file.close()

    def blocks(self, offset: int, length: int, size: int = BLOCK) -> Iterator[bytes]:
        """`length` bytes from `offset` on, in blocks of `size`. Raises `FileChangedError` when they are no longer
        those."""
        self.check()
        try:
            self._file.seek(offset)
            left = length
            while left:
                block = self._file.read(min(size, left))
                if not block:
                    raise changed(self.path)
                left -= len(block)
                yield block
        except OSError as error:
            raise local_error(error, self.path) from error
        self.check()

    def check(self) -> None:
        """Raises `FileChangedError` when size or time are others than expected."""
        if _stamp(os.fstat(self._file.fileno()), self.path) != self._expected:
            raise changed(self.path)


def changed(path: str) -> FileChangedError:
    return FileChangedError("The file is still being changed", "It is sent when it is quiet.", path=path)


def local_error(error: OSError | ValueError, path: str) -> LocalFileError:
    """What the system's refusal means to a person."""
    if isinstance(error, OSError) and error.errno == errno.ELOOP:
        return _not_a_file("a link to another place", path)
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return FileGoneError("The file is gone", "It was deleted, moved or renamed.", path=path)
    if isinstance(error, PermissionError):
        return LocalFileError("The file cannot be read", "You have no permission, or it is in use.", path=path)
    if isinstance(error, ValueError):
        return LocalFileError("This is not a file's name", "It contains a null character.", path=path)
    return LocalFileError("The file cannot be read", f"{error.strerror or error}.", path=path)


@contextlib.contextmanager
def writing(file: Path) -> Iterator[None]:
    """Around writing a file: what the disk refuses, as `LocalFileError`."""
    try:
        yield
    except FileExistsError as error:
        raise LocalFileError(
            "There is a file of this name already", "Choose another name.", path=error.filename
        ) from error
    except OSError as error:
        where = str(file.parent)
        if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
            raise LocalFileError("The disk is full", "Make room, then fetch it again.", path=where) from error
        raise LocalFileError("The file cannot be written", f"{error.strerror or error}.", path=where) from error


def _open(path: str, *, links: bool) -> int:
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    return os.open(path, flags if links else flags | getattr(os, "O_NOFOLLOW", 0))


def _stamp(found: os.stat_result, path: str) -> Stamp:
    if not stat.S_ISREG(found.st_mode):
        link = "a link to another place" if stat.S_ISLNK(found.st_mode) else "a pipe, socket or device"
        raise _not_a_file("a folder" if stat.S_ISDIR(found.st_mode) else link, path)
    return Stamp(found.st_size, found.st_mtime_ns)


def _not_a_file(kind: str, path: str) -> LocalFileError:
    return LocalFileError("This is not a file", f"It is {kind}; only regular files can be sent.", path=path)
