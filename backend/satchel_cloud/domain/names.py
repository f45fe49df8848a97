"""Names in a folder: which are one, which are refused, and what a taken one becomes."""

from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath

from .problems import ProblemError

MAX_NAME_BYTES = 255


def name_key(name: str) -> str:
    """What makes two names one: NFC, then case folding, then NFC again."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def check_name(name: str) -> None:
    """Raises `name-invalid`."""
    if name in ("", ".", ".."):
        raise ProblemError("name-invalid", "A name cannot be empty, `.` or `..`. Rename it.")
    if "/" in name or "\0" in name:
        raise ProblemError("name-invalid", "A name cannot hold a slash or a null character. Rename it.")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        raise ProblemError("name-invalid", "The name is not valid text. Rename it.") from None
    if size > MAX_NAME_BYTES:
        raise ProblemError("name-invalid", f"The name is longer than {MAX_NAME_BYTES} bytes. Give it a shorter one.")


def is_name(name: str) -> bool:
    try:
        check_name(name)
    except ProblemError:
        return False
    return True


def numbered(name: str, number: int) -> str:
    """`report (2).pdf` for `report.pdf` and 2, its stem shortened to stay within 255 bytes."""
    parts = PurePosixPath(name)
    stem, tail = parts.stem, f" ({number}){parts.suffix}"
    if len(tail.encode()) >= MAX_NAME_BYTES:
        stem, tail = name, f" ({number})"
    return stem.encode()[: MAX_NAME_BYTES - len(tail.encode())].decode(errors="ignore") + tail
