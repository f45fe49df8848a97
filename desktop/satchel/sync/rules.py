"""Rules of watched folders that need nothing but their arguments."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from satchel.core.errors import UsageError
from satchel.core.names import name_key, printable
from satchel.core.status import Held
from satchel.disk import Entry

FEW_FILES = 10
MANY_FILES = 100
"""Fewer than few may go without asking, however small the watched folder is; more than many never, however large."""

_OTHER_CLOUDS = (
    (re.compile(r"^dropbox( .*)?$", re.IGNORECASE), "Dropbox"),
    (re.compile(r"^onedrive( .*)?$", re.IGNORECASE), "OneDrive"),
    (re.compile(r"^(google ?drive.*|my drive|drivefs)$", re.IGNORECASE), "Google Drive"),
    (re.compile(r"^(icloud ?drive|mobile documents|com~apple~clouddocs)$", re.IGNORECASE), "iCloud"),
)


def is_mass_delete(gone: int, total: int, allowed: int = 0) -> bool:
    """Whether `gone` of `total` files look like an accident rather than like tidying up; up to `allowed` of them are
    known to be none."""
    return gone > allowed and (gone > MANY_FILES or (gone >= FEW_FILES and gone * 2 > total))


def held_deletes(files: int, where: Literal["here", "online"]) -> Held:
    """What a person is told when a mass delete is held back: `where` it would be carried out."""
    gone = "from this folder" if where == "online" else "online"
    return Held(
        "",
        f"{files} files are gone {gone} at once, so they were not deleted {where}",
        "Put them back. If you meant it, say so: “Delete them” in the window's settings, or `satchel root confirm`.",
    )


def admit(entries: Iterable[Entry], synced: frozenset[str]) -> tuple[list[Entry], list[Held]]:
    """Of names that the service takes for one, the synced name goes, else the first; the others are held."""
    winners: dict[str, Entry] = {}
    held: list[Held] = []
    for entry in sorted(entries, key=lambda entry: (entry.name not in synced, entry.name)):
        key = name_key(entry.name)
        first = winners.setdefault(key, entry)
        if first is not entry:
            held.append(
                Held(
                    printable(entry.name),
                    f"The name is the same as “{first.name}” but for capitals or how accents are written",
                    "Rename one of the two.",
                )
            )
    return list(winners.values()), held


def check_root(folder: Path, watched: Sequence[Path], *, home: Path | None = None) -> Path:
    """The folder as it will be watched (absolute, links resolved). Raises `UsageError` with the reason otherwise."""
    if not folder.exists():
        raise UsageError("There is no such folder", "Make it first, or check the path.", path=str(folder))
    if not folder.is_dir():
        raise UsageError("This is not a folder", "Choose a folder; drop single files instead.", path=str(folder))
    folder = folder.resolve()
    reason = _place(folder, (home or Path.home()).resolve())
    reason = reason or _nested(folder, [path.resolve() for path in watched]) or _other_cloud(folder)
    if reason is not None:
        raise UsageError(*reason, path=str(folder))
    return folder


def _place(folder: Path, home: Path) -> tuple[str, str] | None:
    if folder == Path(folder.anchor):
        return "This is the whole disk", "Choose a folder in it."
    if folder == home or folder in home.parents:
        return "This is the home folder, or holds it", "Choose a folder in it: programs write there all the time."
    return None


def _nested(folder: Path, watched: Sequence[Path]) -> tuple[str, str] | None:
    for other in watched:
        if folder == other:
            return "This folder is watched already", "Nothing needs to be done."
        if other in folder.parents:
            return f"This folder lies in a watched folder, {other}", "It is kept in step with that one already."
        if folder in other.parents:
            return f"A watched folder lies in it, {other}", "Remove that one first: a file belongs to one folder only."
    return None


def _other_cloud(folder: Path) -> tuple[str, str] | None:
    for part in folder.parts:
        for pattern, cloud in _OTHER_CLOUDS:
            if pattern.match(part):
                return f"This folder belongs to {cloud}", "Choose one outside it: two clouds in one folder fight."
    return None
