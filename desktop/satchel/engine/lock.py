"""One engine per home: a lock of the operating system, which dies with its process."""

from __future__ import annotations

import os
import sys
from pathlib import Path


class HomeLock:
    """Held by the process that runs the engine of a home."""

    def __init__(self, home: Path) -> None:
        self._path = home / "engine.lock"
        self._handle: int | None = None

    def acquire(self) -> bool:
        """False when another engine has it; never waits."""
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o600)
        try:
            _lock(handle)
        except OSError:
            os.close(handle)
            return False
        self._handle = handle
        return True

    def release(self) -> None:
        """The file stays: removing it would let two processes lock two files of one name."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None


if sys.platform == "win32":
    import msvcrt

    def _lock(handle: int) -> None:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
else:
    import fcntl

    def _lock(handle: int) -> None:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
