"""Changing this disk for what the service has done: one operation and its record at a time. Blocking.

The disk is changed first and the journal told then. A crash between the two leaves what the next look understands: a
moved file has its file id, a made folder is the one that is wanted, a trashed file is gone on both sides, and what was
set aside is found by its key (`recover`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from satchel.core.errors import LocalFileError, PlaceTakenError
from satchel.core.model import Node
from satchel.core.names import numbered
from satchel.disk import Disk, Entry
from satchel.journal import Item
from satchel.journal.tree import AWAY, TOP, UNKNOWN

from .dirt import join
from .naming import is_named_alike, spellings
from .operations import Fetch, MakeHere, MoveHere, SetAside, TrashHere
from .remote import Side, followed

Here = MakeHere | MoveHere | TrashHere | SetAside

_GONE = ("Its folder is gone", "It is looked at again.")


def carry_out(side: Side, operation: Here) -> None:
    """Raises the `LocalFileError` family; nothing is lost then, and the item stays dirty."""
    match operation:
        case MakeHere(item=item):
            path = _place(side, item.parent_item, item.name)
            _evict(side, item.parent_item, path, operation.evict)
            entry = side.disk.make_folder(path)
            row = _row(side, item)
            made = replace(row, parent_item=item.parent_item, name=entry.name, file_id=entry.file_id, size=0)
            side.tree.put(checked(side, made))
        case MoveHere(item=item):
            _move(side, item, operation.evict)
        case TrashHere(item=item):
            _trash(side, item)
        case SetAside(item=item):
            row = _row(side, item)
            side.disk.set_aside(_path(side, row), row.item_id)
            side.tree.put(_away(row))


def put_in_place(side: Side, operation: Fetch, node: Node, partial: str) -> bool:
    """Give a file that came whole its place; False when it has none any more, because something else has got it while
    the bytes came, or it is ignored now, or when the file before is not what was last in step: then the next look
    decides. Raises `LocalFileError`."""
    row = side.tree.get(operation.item.item_id)
    revision = node.revision
    if row is None or row.state != "live" or revision is None:
        return False
    if node.sequence > row.sequence:
        row = followed(row, node)
    if row.here:
        parent, old = row.parent_item, side.tree.path_of(row)
        if old is None or side.disk.ignored(old, "file"):
            return False
        entry = side.disk.place(partial, old, _stamp(row))
    else:
        parent = operation.item.parent_item
        if any(side.tree.child(parent, name) is not None for name in spellings(operation.item.name)):
            return False
        path = _place(side, parent, operation.item.name)
        if side.disk.ignored(path, "file"):
            return False
        _evict(side, parent, path, operation.evict)
        entry = side.disk.place(partial, path, None)
    got = replace(
        row,
        parent_item=parent,
        name=entry.name,
        size=entry.size,
        mtime_ns=entry.mtime_ns,
        file_id=entry.file_id,
        synced_revision=revision.revision_id,
        synced_sha256=revision.sha256,
    )
    side.tree.put(checked(side, got))
    return True


def beside(side: Side, path: str, place: str, parent: str) -> str:
    """Rename what stands at `path` to a conflicted copy of what gets its `place`, in the folder that the journal knows
    as `parent`; where it is then."""
    above, _, name = place.rpartition("/")

    def rename(free: str) -> None:
        if side.tree.child(parent, free.rpartition("/")[2]) is not None:
            # It has just left the place, and the journal has not heard of that.
            raise PlaceTakenError("Something else had this name a moment ago", path=free)
        side.disk.move(path, free)

    return _to_a_free_place(rename, lambda number: join(above, side.conflicted(name, number)))


def recover(side: Side) -> None:
    """After a crash: what lies aside is said so in the journal; what nobody knows gets a name in the folder again."""
    for key, entry in side.disk.aside().items():
        row = side.tree.get(key)
        path = side.tree.path_of(row) if row is not None else None
        if row is not None and row.here and (path is None or side.disk.stat(path) is None):
            side.tree.put(_away(row))
        elif row is None or row.here:
            _bring_back(side.disk, key, entry.name)


def checked(side: Side, item: Item) -> Item:
    """The item, dirty if and only if its halves differ."""
    above = side.top if item.parent_item == TOP else _node_of(side, item.parent_item)
    same_place = above == item.remote_parent and is_named_alike(item)
    return replace(item, dirty=item.state == "trashed" or not item.here or not same_place or item.edited_there)


def _node_of(side: Side, item_id: str) -> str | None:
    item = side.tree.get(item_id)
    return item.node_id if item is not None else None


def _row(side: Side, item: Item) -> Item:
    return side.tree.get(item.item_id) or item


def _place(side: Side, parent: str, name: str) -> str:
    if parent == TOP:
        return name
    folder = side.tree.get(parent)
    if folder is None:
        raise LocalFileError(*_GONE, path=name)
    return join(_path(side, folder), name)


def _path(side: Side, row: Item) -> str:
    path = side.tree.path_of(row)
    if path is None:
        raise LocalFileError(*_GONE, path=row.remote_name)
    return path


def _move(side: Side, item: Item, evict: Entry | None) -> None:
    row = _row(side, item)
    path = _place(side, item.parent_item, item.name)
    _evict(side, item.parent_item, path, evict)
    disk = side.disk
    entry = disk.move(_path(side, row), path) if row.here else disk.bring_back(row.item_id, path)
    # The stamps stay as they were: if the file was written to meanwhile, the next look shall see it. One that took its
    # place may have the same size and time.
    same = entry.file_id == row.file_id or 0 in (entry.file_id, row.file_id)
    place = replace(row, parent_item=item.parent_item, name=entry.name, file_id=entry.file_id)
    side.tree.put(checked(side, place if same or row.kind == "folder" else replace(place, size=UNKNOWN)))


def _trash(side: Side, item: Item) -> None:
    row = _row(side, item)
    path = _path(side, row) if row.here else _bring_back(side.disk, row.item_id, item.remote_name)
    if row.kind == "file":
        side.disk.trash(path, _stamp(row))
    elif side.tree.children(row.item_id) or not side.disk.trash_folder(path):
        raise LocalFileError(
            "This folder was deleted online, but there are things in it that are not online",
            "Move them to another folder, or delete it.",
            path=path,
        )
    side.tree.remove(row.item_id)


def _stamp(row: Item) -> Entry:
    return Entry(row.name, row.kind, row.size, row.mtime_ns, row.file_id)


def _away(row: Item) -> Item:
    return replace(row, parent_item=AWAY, name=row.item_id, dirty=True)


def _evict(side: Side, parent: str, path: str, entry: Entry | None) -> None:
    """What stands at `path` and was planned to go keeps its content under the name of a conflicted copy."""
    if entry is None:
        return
    above = path.rpartition("/")[0]
    found = side.disk.stat(join(above, entry.name))
    if found is None:
        return
    if found.kind != entry.kind or (found.kind == "file" and found[2:4] != entry[2:4]):
        raise PlaceTakenError("Something else has come into this place", "It is looked at again.", path=path)
    beside(side, join(above, entry.name), path, parent)


def _bring_back(disk: Disk, key: str, name: str) -> str:
    """What lies aside comes to the top of the watched folder; where it is then."""
    return _to_a_free_place(
        lambda free: disk.bring_back(key, free), lambda number: name if number == 1 else numbered(name, number)
    )


def _to_a_free_place(rename: Callable[[str], object], nth: Callable[[int], str]) -> str:
    number = 1
    while True:
        try:
            rename(path := nth(number))
        except PlaceTakenError:
            number += 1
        else:
            return path
