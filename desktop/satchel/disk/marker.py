"""The marker that says which watched folder this is: without it an empty mount point would look like a mass delete."""

from __future__ import annotations

import json
from pathlib import Path

from satchel.core.errors import LocalFileError

from .ignore import MARKER_FOLDER

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
