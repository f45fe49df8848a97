"""Rules about names: which are one name to the service, which it or a system refuses, what a taken one becomes."""

from __future__ import annotations

import os
import re
import sys
import unicodedata
from collections.abc import Container
from dataclasses import dataclass
from pathlib import PurePosixPath

MAX_NAME_BYTES = 255

# https://learn.microsoft.com/windows/win32/fileio/naming-a-file: with any extension, and spaces before it, they are
# devices still; superscript digits count as digits.
_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[1-9¹²³]) *(\..*)?", re.IGNORECASE | re.DOTALL)
_FORBIDDEN = re.compile(r'[<>:"\\|?*\x00-\x1f]')


@dataclass(frozen=True, slots=True)
class NameProblem:
    """Why a name cannot travel, and what a person can do about it."""

    reason: str
    remedy: str


def name_key(name: str) -> str:
    """What makes two names one in a folder of the service: NFC, then case folding, then NFC again."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def name_problem(name: str) -> NameProblem | None:
    """What the service would refuse `name` for, or None when it may travel."""
    if name in ("", ".", ".."):
        return NameProblem("This is not a name", "Rename it.")
    if "/" in name or "\0" in name:
        return NameProblem("The name contains a slash or a null character", "Rename it without them.")
    try:
        size = len(name.encode())
    except UnicodeEncodeError:
        # Linux file names are bytes; Python shows those that are not UTF-8 with lone surrogates.
        return NameProblem("The name is not valid text (UTF-8)", "Rename it.")
    if size > MAX_NAME_BYTES:
        return NameProblem(f"The name is longer than {MAX_NAME_BYTES} bytes", "Give it a shorter name.")
    return None


def here_problem(name: str, platform: str = sys.platform) -> NameProblem | None:
    """Why a computer of this platform (as in `sys.platform`) cannot have a file or folder of this name, or None."""
    problem = name_problem(name)
    if problem is not None or platform != "win32":
        return problem
    elsewhere = "Rename it on another computer or online."
    if found := _FORBIDDEN.search(name):
        mark = f"“{found[0]}”" if found[0].isprintable() else "a control character"
        return NameProblem(f"The name contains {mark}, which Windows does not allow", elsewhere)
    if name[-1] in " .":
        return NameProblem("The name ends with a dot or a space, which Windows does not allow", elsewhere)
    if _DEVICE.fullmatch(name):
        return NameProblem("The name is that of a device on Windows", elsewhere)
    return None


def free_name(name: str, taken: Container[str]) -> str:
    """`name`, or `name (2)`, `name (3)`... whose `name_key` is not in `taken`; an extension stays at the end."""
    if name_key(name) not in taken:
        return name
    number = 2
    while name_key(candidate := numbered(name, number)) in taken:
        number += 1
    return candidate


def numbered(name: str, number: int) -> str:
    """`report (2).pdf` for `report.pdf` and 2, shortened at the stem's end so that it stays within 255 bytes."""
    return _fitted("", name, f" ({number})")


def conflicted(name: str, host: str, day: str, number: int = 1) -> str:
    """`report (conflicted copy of HOST, 2026-11-23).pdf` for the loser of a conflict; from 2 on with the number."""
    host = "".join(mark if mark.isalnum() or mark in "-_. " else "-" for mark in host)[:40] or "this computer"
    return _fitted("", name, f" (conflicted copy of {host}, {day}{f', {number}' if number > 1 else ''})")


def prefixed(name: str, prefix: str) -> str:
    """The name after a prefix, shortened as by `numbered`."""
    return _fitted(prefix, name, "")


def _fitted(prefix: str, name: str, tail: str) -> str:
    """The name with its extension at the end, within 255 bytes; without one that leaves no room for anything else."""
    parts = PurePosixPath(name)
    stem, extension = parts.stem, parts.suffix
    room = MAX_NAME_BYTES - len((prefix + tail + extension).encode())
    if room < 1:
        stem, extension = name, ""
        room = MAX_NAME_BYTES - len((prefix + tail).encode())
    return prefix + stem.encode()[:room].decode(errors="ignore") + tail + extension


def printable(name: str) -> str:
    """`name` as it can be shown and sent as JSON: bytes that are not UTF-8 become U+FFFD."""
    return os.fsencode(name).decode(errors="replace") if not name.isascii() else name
