"""The part of a watched folder that differs: what a plan is made from, and what must be hashed before."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace

from satchel.core.names import name_key
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
    id, both all the way down; `above` holds the items of the differing folders and of the folders above them.

    In a two-way root, `wanted` are places where something appeared and that an item from the service is to take (node
    of the folder, name's key), and `staying` are ids of vanished folders in which the service has news.
    """

    differences: list[Difference] = field(default_factory=list)
    inside: dict[str, tuple[Entry, ...]] = field(default_factory=dict)
    under: dict[str, tuple[Item, ...]] = field(default_factory=dict)
    above: dict[str, Item] = field(default_factory=dict)
    wanted: dict[tuple[str, str], Item] = field(default_factory=dict)
    staying: set[str] = field(default_factory=set)


def doubtful(dirt: Dirt, busy: AbstractSet[str] = frozenset()) -> list[str]:
    """Paths whose digest decides whether bytes must be sent: hash them, then call `plan`. `busy` items are left out."""
    paths = {
        join(difference.folder, entry.name)
        for difference in dirt.differences
        for item, entry in difference.changed
        if item.item_id not in busy and digest_decides(item, entry)
    }
    wanted: dict[str, list[Item]] = {}
    for (_, key), one in dirt.wanted.items():
        wanted.setdefault(key, []).append(one)
    by_file_id = by_file_ids(_vanished_files(dirt))
    for path, entry in _appeared_files(dirt):
        owners = by_file_id.get(entry.file_id, ())
        if surely(owners, entry) is None and any(digest_decides(item, entry) for item in owners):
            paths.add(path)
        # By its name alone: a few too many cost no more than their reading.
        if any(one.sha256 and one.remote_size == entry.size for one in wanted.get(name_key(entry.name), ())):
            paths.add(path)
    return sorted(paths)


def by_file_ids(items: Iterable[Item]) -> dict[int, list[Item]]:
    """Mostly one each: a file that was deleted unseen may have left its id to another that was deleted later."""
    found: dict[int, list[Item]] = {}
    for item in items:
        if item.file_id:
            found.setdefault(item.file_id, []).append(item)
    return found


def surely(owners: Sequence[Item], entry: Entry) -> Item | None:
    """The one of several that were known by a file id that it is, if that takes no look at its content."""
    same = [item for item in owners if same_stamp(item, entry)]
    if len(owners) > 1:  # hard links, mostly
        same = [item for item in same if item.name == entry.name]
    return same[0] if len(same) == 1 else None


def digest_decides(item: Item, entry: Entry) -> bool:
    """Whether the file may have content that was, or is, the service's."""
    if item.kind != "file" or item.sha256 is None:
        return False
    return item.size in (entry.size, UNKNOWN) or (item.edited_there and item.remote_size == entry.size)


def same_stamp(item: Item, entry: Entry) -> bool:
    return item.size == entry.size and item.mtime_ns == entry.mtime_ns


def same_file(item: Item, entry: Entry) -> bool:
    """Whether the disk's `entry` is what was last in step, and not another file of the same size and time."""
    return same_stamp(item, entry) and (entry.file_id == item.file_id or 0 in (entry.file_id, item.file_id))


def stamped(item: Item, entry: Entry) -> Item:
    return replace(item, size=entry.size, mtime_ns=entry.mtime_ns, file_id=entry.file_id)


def agreed(item: Item, entry: Entry) -> Item:
    """The item when the disk's `entry` is what the service has."""
    return replace(stamped(item, entry), synced_revision=item.revision_id, synced_sha256=item.sha256)


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
