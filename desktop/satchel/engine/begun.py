"""A folder that is being fetched, so that whoever was cut off can go on with it rather than begin again."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from pathlib import Path
from typing import BinaryIO


class Begun:
    """The list beside the folder `top` of the files that `source` has begun to put into it, a line for each.

    A name is written down before its file gets it, and only a whole file gets its name: one that is listed and there
    came from here and is whole.
    """

    def __init__(self, top: Path, source: str) -> None:
        mark = hashlib.sha256(f"{top.name}\0{source}".encode(errors="surrogateescape")).hexdigest()[:16]
        self._path = top.with_name(f".satchel-{mark}.got")
        self._top, self._there = top, os.path.lexists(top)
        self.resumed = self._there and self._path.is_file()
        """Whether an earlier run left the folder, and not somebody else."""
        self._listed: set[tuple[str, ...]] = set()
        self._file: BinaryIO | None = None

    def open(self) -> None:
        """Before the folder is made. Raises `OSError`."""
        # In a folder that others can write to, a link of this name must not lead the list elsewhere.
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
        self._file = os.fdopen(os.open(self._path, flags, 0o600), "r+b", buffering=0)
        if not self.resumed:
            self._file.truncate(0)
        *lines, torn = self._file.read().split(b"\n")
        for line in lines:
            with contextlib.suppress(ValueError):
                self._listed.add(tuple(json.loads(line)))
        if torn:
            self._file.write(b"\n")

    def forget(self) -> None:
        """What an earlier run has left is not to be relied on. Raises `OSError`."""
        self.resumed = False
        self._path.unlink(missing_ok=True)

    def has(self, inside: tuple[str, ...], where: Path, size: int) -> bool:
        """Whether an earlier run has put the file of these names there."""
        if inside not in self._listed:
            return False
        try:
            found = where.lstat()
        except OSError:
            return False
        # With another name beside it the run ended before it had cleared away: fetching it ends that, too.
        return found.st_size == size and found.st_nlink == 1

    def add(self, inside: tuple[str, ...]) -> None:
        """These names are next. Raises `OSError`."""
        if self._file is not None and inside not in self._listed:
            self._file.write(json.dumps(inside).encode() + b"\n")
            self._listed.add(inside)

    def close(self, *, done: bool) -> None:
        """`done`: all is there, and the list is of no use any more. Nor is it, nor an empty folder, when no file had
        its turn."""
        if self._file is not None:
            self._file.close()
            if done or not self._listed:
                self.forget()
            if not (done or self._listed or self._there):
                with contextlib.suppress(OSError):
                    self._top.rmdir()
