"""The files that everybody keeps in step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

IN_FOLDER = 100
SIZE = 1024


def fill(folder: Path, files: int) -> None:
    """Make `files` files of 1 KiB in folders of 100; those that are there already stay as they are."""
    for path, content in contents(files):
        file = folder / path
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)


def contents(files: int) -> Iterator[tuple[str, bytes]]:
    """Relative paths and what is in them; no two alike."""
    for number in range(files):
        path = f"folder-{number // IN_FOLDER:04}/file-{number % IN_FOLDER:02}.txt"
        yield path, f"{path}\n".encode().ljust(SIZE, b".")
