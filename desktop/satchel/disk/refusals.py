"""What the system refuses, in words for people."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator

from satchel.core.errors import LocalFileError


@contextlib.contextmanager
def told(where: str) -> Iterator[None]:
    """Around changing what is at the absolute path `where`: an `OSError` becomes a `LocalFileError`."""
    try:
        yield
    except OSError as error:
        raise refusal(error, where) from error


GONE = ("It is gone, or a link is in its place", "Nothing needs to be done.")
NO_FOLDER = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP})
_IN_USE = {errno.EBUSY, errno.ETXTBSY}
_IN_USE_ON_WINDOWS = {32, 33}  # sharing and lock violation
_SAID = (
    ({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}, "The disk is full", "Make room; it is tried again."),
    ({errno.EROFS}, "The disk is read-only", "Make it writable, or watch a folder on another disk."),
    ({errno.EACCES, errno.EPERM}, "This may not be changed", "Give your user permission to write in its folder."),
    ({errno.EXDEV}, "It lies on another disk than the watched folder", "Watch the folder on that disk by itself."),
    (NO_FOLDER, *GONE),
    ({errno.ENAMETOOLONG}, "Its path is too long for this computer", "Give shorter names to the folders above it."),
)


def refusal(error: OSError, where: str) -> LocalFileError:
    if error.errno in _IN_USE or getattr(error, "winerror", None) in _IN_USE_ON_WINDOWS:
        return LocalFileError("Another program has it open", "Close it there; it is tried again.", path=where)
    for codes, title, remedy in _SAID:
        if error.errno in codes:
            return LocalFileError(title, remedy, path=where)
    return LocalFileError("This cannot be changed", f"{error.strerror}. Check the disk and try again.", path=where)
