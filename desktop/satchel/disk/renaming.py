"""Renaming to where nothing is: what three systems offer for it, and what is done where they do not."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import stat as modes
import sys
from collections.abc import Callable

_Call = Callable[[bytes, bytes, int, int], int]


def rename_free(old: str, new: str, old_folder: int | None, new_folder: int | None) -> None:
    """Rename a file, folder or link, never over another: `FileExistsError`. Both names are looked up in their folder's
    descriptor, if there is one. Raises `OSError`."""
    if sys.platform == "win32":
        os.rename(old, new)  # noqa: PTH104 - plain strings; refuses to replace
        return
    if _EXCLUSIVELY is not None and old_folder is not None and new_folder is not None:
        ctypes.set_errno(0)
        if _EXCLUSIVELY(os.fsencode(old), os.fsencode(new), old_folder, new_folder) == 0:
            return
        code = ctypes.get_errno()
        # EINVAL is what Linux says where the file system does not know the flag, and also of a folder that would go
        # into itself; the calls below say that again.
        if code not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise OSError(code, os.strerror(code), old, None, new)
    _without_the_call(old, new, old_folder, new_folder)


def _without_the_call(old: str, new: str, old_folder: int | None, new_folder: int | None) -> None:
    found = os.stat(old, dir_fd=old_folder, follow_symlinks=False)
    if not modes.S_ISDIR(found.st_mode):
        try:
            os.link(old, new, src_dir_fd=old_folder, dst_dir_fd=new_folder, follow_symlinks=False)
        except FileExistsError:
            raise
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS):
                raise
            # No hard links (FAT, some network disks): the look below is all there is.
        else:
            # What a program has renamed over the old name since is another file, and stays.
            if os.path.samestat(found, os.stat(old, dir_fd=old_folder, follow_symlinks=False)):
                os.unlink(old, dir_fd=old_folder)
            return
    # A folder that appears after this look is replaced by rename(2) only if it is empty, and a file never by a folder.
    with contextlib.suppress(FileNotFoundError):
        os.stat(new, dir_fd=new_folder, follow_symlinks=False)
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), old, None, new)
    os.rename(old, new, src_dir_fd=old_folder, dst_dir_fd=new_folder)


def _exclusive_call() -> _Call | None:
    """renameat2(2) of Linux, or renameatx_np(2) of macOS; None where the C library has neither."""
    name, flag = ("renameatx_np", 0x4) if sys.platform == "darwin" else ("renameat2", 0x1)
    try:
        function = getattr(ctypes.CDLL(None, use_errno=True), name)
    except (AttributeError, OSError, TypeError):
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
    function.restype = ctypes.c_int

    def call(old: bytes, new: bytes, old_folder: int, new_folder: int) -> int:
        return int(function(old_folder, old, new_folder, new, flag))

    return call


_EXCLUSIVELY = _exclusive_call()
