"""The part of a watched folder that differs: what a plan is made from, and what must be hashed before."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from satchel.disk import Entry
from satchel.journal import Item
from satchel.journal.tree import UNKNOWN


@dataclass(frozen=True, slots=True)
class Difference:
    """One folder that is on both sides and differs; `item` is None for the watched folder itself."""

    folder: str
    item: Item | None
    appeared: tuple[Entry, ...] = ()
    vanished: tuple[Item, ...] = ()
    changed: tuple[tuple[Item, Entry], ...] = ()


@dataclass(slots=True)
class Dirt:
    """What differs. `inside` lists folders that appeared, by path; `under` the items of folders that vanished, by item
    id, both all the way down; `above` holds the items of the differing folders and of the folders above them."""

    differences: list[Difference] = field(default_factory=list)
    inside: dict[str, tuple[Entry, ...]] = field(default_factory=dict)
    under: dict[str, tuple[Item, ...]] = field(default_factory=dict)
    above: dict[str, Item] = field(default_factory=dict)


def doubtful(dirt: Dirt, busy: AbstractSet[str] = frozenset()) -> list[str]:
    """Paths whose digest decides whether bytes must be sent: hash them, then call `plan`. `busy` items are left out."""
    paths = {
        join(difference.folder, entry.name)
        for difference in dirt.differences
        for item, entry in difference.changed
        if item.item_id not in busy and digest_decides(item, entry)
    }
    by_file_id: dict[int, Item] = {item.file_id: item for item in _vanished_files(dirt) if item.file_id}
    for path, entry in _appeared_files(dirt):
        item = by_file_id.get(entry.file_id)
        if item is not None and not same_stamp(item, entry) and digest_decides(item, entry):
            paths.add(path)
    return sorted(paths)


def digest_decides(item: Item, entry: Entry) -> bool:
    return item.kind == "file" and item.sha256 is not None and item.size in (entry.size, UNKNOWN)


def same_stamp(item: Item, entry: Entry) -> bool:
    return item.size == entry.size and item.mtime_ns == entry.mtime_ns


def stamped(item: Item, entry: Entry) -> Item:
    return replace(item, size=entry.size, mtime_ns=entry.mtime_ns, file_id=entry.file_id)


def _vanished_files(dirt: Dirt) -> Iterable[Item]:
    for difference in dirt.differences:
        yield from (item for item in difference.vanished if item.kind == "file")
    for items in dirt.under.values():
        yield from (item for item in items if item.kind == "file")


def _appeared_files(dirt: Dirt) -> Iterable[tuple[str, Entry]]:
    for difference in dirt.differences:
        yield from (
            (join(difference.folder, entry.name), entry) for entry in difference.appeared if entry.kind == "file"
        )
    for folder, entries in dirt.inside.items():
        yield from ((join(folder, entry.name), entry) for entry in entries if entry.kind == "file")


def join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name
