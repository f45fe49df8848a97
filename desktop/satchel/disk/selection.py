"""What this computer alone leaves out of a watched folder, as lines of an ignore file in the marker folder. No I/O.

The lines that are written here name one file or folder each, from the watched folder on. A person may add others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from satchel.core.errors import UsageError

_SPECIAL = re.compile(r"([\\*?\[\]!# ])")


def left_out(text: bytes) -> tuple[str, ...]:
    """The paths that are named, in their order; lines of other kinds are skipped."""
    found = (_path_of(line) for line in text.decode(errors="replace").splitlines())
    return tuple(path for path in found if path is not None)


def check_paths(paths: Iterable[str]) -> None:
    """Raises `UsageError` for one that leads nowhere in a watched folder, or that no line can hold."""
    for path in paths:
        if len(path.splitlines()) != 1 or any(part in ("", ".", "..") for part in path.split("/")):
            raise UsageError("This is no path in the watched folder", "Name a file or folder in it.", path=path)


def with_path(text: bytes, path: str) -> bytes:
    """Raises `UsageError` for a path that a line cannot hold."""
    check_paths([path])
    if path in left_out(text):
        return text
    before = text if not text or text.endswith(b"\n") else text + b"\n"
    return before + _line_of(path).encode() + b"\n"


def without_path(text: bytes, path: str) -> bytes:
    lines = text.decode(errors="surrogateescape").splitlines(keepends=True)
    return "".join(line for line in lines if _path_of(line.rstrip("\r\n")) != path).encode(errors="surrogateescape")


def _line_of(path: str) -> str:
    return "/" + _SPECIAL.sub(r"\\\1", path)


def _path_of(line: str) -> str | None:
    path = re.sub(r"\\(.)", r"\1", line)[1:]
    return path if path and line == _line_of(path) else None
