"""What Satchel keeps in a watched folder of its own: the marker that says which one this is, without which an empty
mount point would look like a mass delete, and the ignore file of this computer alone."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

from satchel.core.errors import LocalFileError

from .ignore import IGNORE_FILE, MARKER_FOLDER

_MARKER = "root.json"


def write_marker(root: Path, root_id: str) -> None:
    """Raises `LocalFileError` when the folder cannot be written to."""
    try:
        (root / MARKER_FOLDER).mkdir(mode=0o700, exist_ok=True)
        (root / MARKER_FOLDER / _MARKER).write_text(json.dumps({"root_id": root_id}))
    except OSError as error:
        raise LocalFileError(
            "The folder cannot be written to",
            "Satchel keeps a small marker in it; check its permissions.",
            path=str(root),
        ) from error


def read_marker(root: Path) -> str | None:
    """The id in the marker, or None when there is none."""
    try:
        found = json.loads((root / MARKER_FOLDER / _MARKER).read_text())
        return str(found["root_id"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def read_selection(root: Path) -> bytes:
    """The ignore file of this computer; empty when there is none. Raises `LocalFileError`."""
    try:
        return (root / MARKER_FOLDER / IGNORE_FILE).read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise LocalFileError(
            f"{IGNORE_FILE} in {MARKER_FOLDER} cannot be read",
            "Give your user permission to read it.",
            path=str(root),
        ) from error


def write_selection(root: Path, text: bytes) -> None:
    """All of it or nothing. Raises `LocalFileError`."""
    folder = root / MARKER_FOLDER
    beside = folder / f"{IGNORE_FILE}-{secrets.token_hex(6)}"
    try:
        with beside.open("xb") as file:
            file.write(text)
            os.fsync(file.fileno())
        beside.replace(folder / IGNORE_FILE)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise LocalFileError(
            "What this computer leaves out cannot be written down", f"{error.strerror}.", path=str(folder)
        ) from error
