from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

from .database import Database

TOP = ""
"""The `item_id` of the watched folder itself, which has no row."""

AWAY = "away"
"""The `parent_item` of a node that is not on this disk, or set aside for a moment; its `name` is its `item_id` then."""

UNKNOWN = -1
"""A `size` that equals no file's: the local content must be looked at again."""

TRASHED = "trashed"
"""In `sent`: the node was asked to be moved to the trash, and no answer has come yet."""

ItemState = Literal["intended", "live", "trashed"]


@dataclass(frozen=True, slots=True)
class Item:
    """One node or name, with a local and a remote half.

    Local, as it was when last in step: `parent_item`, `name`, `size`, `mtime_ns`, `file_id`, and, in a two-way root,
    which revision that was: `synced_revision`, `synced_sha256`, and what was `sent` from here lately (ids of uploads,
    which are those of their revisions, and `TRASHED`, with spaces between). Remote, as the change log told: `node_id`,
    `remote_parent`, `remote_name`, `remote_size`, `revision_id`, `sha256`, `modified_ms`, `sequence`, `state`. The two
    differ while a remote change has not been carried out here; an upload-only root never does, and knows no nodes that
    are not on the disk.

    `state` is `intended` from before the node is made until the service has said so, `trashed` while a remote delete
    stands. `item_id` stays when a deleted node is made anew under another `node_id`. `dirty` items have halves that may
    differ: the remote side has to be carried out, or looked at.
    """

    item_id: str
    parent_item: str
    name: str
    kind: Literal["file", "folder"]
    node_id: str
    remote_parent: str
    remote_name: str
    size: int = UNKNOWN
    mtime_ns: int = 0
    file_id: int = 0
    state: ItemState = "live"
    revision_id: str | None = None
    sha256: str | None = None
    sequence: int = 0
    remote_size: int = UNKNOWN
    modified_ms: int = 0
    synced_revision: str | None = None
    synced_sha256: str | None = None
    sent: str = ""
    dirty: bool = False

    @property
    def here(self) -> bool:
        """Whether it has a local half."""
        return self.parent_item != AWAY

    @property
    def edited_there(self) -> bool:
        """Whether the service has other content than was last in step."""
        return self.kind == "file" and self.revision_id != self.synced_revision


class Stamp(NamedTuple):
    """The part of an `Item` that a scan compares. A tuple, because 100,000 of them are read in a rescan, whose first
    five are those of an `Entry`, so that what is the same is found in sets."""

    name: str
    kind: Literal["file", "folder"]
    size: int
    mtime_ns: int
    file_id: int
    state: str
    item_id: str


_COLUMNS = (
    "item_id, parent_item, name, kind, node_id, remote_parent, remote_name, size, mtime_ns, file_id, state, "
    "revision_id, sha256, sequence, remote_size, modified_ms, synced_revision, synced_sha256, sent, dirty"
)
# Two items in one place would be a bug: it is refused, where INSERT OR REPLACE would silently drop one of them.
_PUT = (
    f"INSERT INTO item (root_id, {_COLUMNS}) VALUES (?{', ?' * (_COLUMNS.count(',') + 1)}) "  # noqa: S608
    "ON CONFLICT (item_id) DO UPDATE SET "
    + ", ".join(f"{column} = excluded.{column}" for column in _COLUMNS.split(", ")[1:])
)
_STAMPS = "SELECT name, kind, size, mtime_ns, file_id, state, item_id FROM item WHERE root_id = ? AND parent_item = ?"


class Tree:
    """The synced tree of one root, with what the change log told of its nodes."""

    def __init__(self, database: Database, root_id: str) -> None:
        self._database = database
        self._root_id = root_id

    def put(self, *items: Item) -> None:
        """Add or replace items, in one commit."""
        self.put_many(items)

    def put_many(self, items: Iterable[Item]) -> None:
        self._database.write_many(_PUT, [(self._root_id, *_row(item)) for item in items])

    def remove(self, *item_ids: str) -> None:
        """Forget items and, of folders, all that is in them."""
        with self._database.transaction():
            for item_id in item_ids:
                below = [item.item_id for item in self.descendants(item_id)]
                self._database.write_many("DELETE FROM item WHERE item_id = ?", [(i,) for i in [item_id, *below]])

    def get(self, item_id: str) -> Item | None:
        return self._one("item_id = ?", item_id)

    def by_node(self, node_id: str) -> Item | None:
        return self._one("node_id = ?", node_id)

    def by_file_id(self, file_id: int) -> list[Item]:
        """Items that were last seen on this disk with this file id."""
        return self._select("file_id = ? AND file_id != 0", file_id)

    def child(self, parent_item: str, name: str) -> Item | None:
        return self._one("parent_item = ? AND name = ?", parent_item, name)

    def children(self, parent_item: str) -> list[Item]:
        return self._select("parent_item = ? ORDER BY name", parent_item)

    def stamps(self, parent_item: str) -> list[tuple[Any, ...]]:
        """What a `Stamp` is made of, for each item in a folder."""
        return self._database.read(_STAMPS, self._root_id, parent_item)

    def in_remote_folder(self, node_id: str) -> list[Item]:
        """Items whose node lies in this folder of the service."""
        return self._select("remote_parent = ?", node_id)

    def dirty(self) -> list[Item]:
        """Items whose halves may differ."""
        return self._select("dirty")

    def wanting(self, node_id: str) -> list[Item]:
        """Items that are to come into this folder of the service, or to change their place in it."""
        return self._select("remote_parent = ? AND dirty AND state = 'live'", node_id)

    def left_out_in(self, node_id: str) -> list[Item]:
        """Items in this folder of the service that are not on this disk, and are not to be."""
        return self._select("remote_parent = ? AND parent_item = ? AND NOT dirty AND state = 'live'", node_id, AWAY)

    def think_again(self, node_id: str) -> None:
        """A folder has another path: what is left out in it may be left out no longer."""
        left = "SELECT 1 FROM item WHERE root_id = ? AND parent_item = ? AND NOT dirty LIMIT 1"
        if not self._database.read(left, self._root_id, AWAY):
            return
        waiting = [node_id]
        while waiting:
            inside = self.in_remote_folder(waiting.pop())
            self.put_many(replace(item, dirty=True) for item in inside if not item.here)
            waiting.extend(item.node_id for item in inside if item.kind == "folder")

    def differing(self, top: str, *, away: bool) -> list[Item]:
        """Items that are not `dirty` though their halves differ: none, unless there is a bug or a lost write. `top` is
        the node of the watched folder. With `away` also those that are not on this disk: what is left out here is left
        in peace."""
        # With the plus the whole table is read as it lies: three times faster than row by row through an index.
        sql = (
            f"SELECT {', '.join('i.' + column for column in _COLUMNS.split(', '))} FROM item i "  # noqa: S608
            "LEFT JOIN item p ON p.item_id = i.parent_item WHERE +i.root_id = ? AND NOT i.dirty "
            "AND i.state != 'intended' AND (i.state = 'trashed' OR CASE WHEN i.parent_item = ? THEN ? "
            "ELSE i.name != i.remote_name OR (i.kind = 'file' AND i.revision_id IS NOT i.synced_revision) "
            "OR i.remote_parent IS NOT CASE i.parent_item WHEN '' THEN ? ELSE p.node_id END END)"
        )
        return [Item(*row) for row in self._database.read(sql, self._root_id, AWAY, away, top)]

    def descendants(self, item_id: str) -> Iterator[Item]:
        """All that is in a folder, folders before what is in them."""
        for item in self.children(item_id):
            yield item
            if item.kind == "folder":
                yield from self.descendants(item.item_id)

    def find(self, path: str) -> Item | None:
        """The item at a relative path, `/`-separated; None also for the watched folder itself."""
        item, parent = None, TOP
        for name in path.split("/") if path else ():
            item = self.child(parent, name)
            if item is None:
                return None
            parent = item.item_id
        return item

    def path_of(self, item: Item) -> str | None:
        """The local path, relative to the watched folder, `/`-separated; None while the item, or a folder above it, has
        no place on this disk."""
        names = [item.name]
        while item.parent_item != TOP:
            above = self.get(item.parent_item)
            if above is None:
                return None
            names.append(above.name)
            item = above
        return "/".join(reversed(names))

    def count_files(self) -> int:
        """Files that are on both sides."""
        sql = "SELECT count(*) FROM item WHERE root_id = ? AND kind = 'file' AND state = 'live' AND parent_item != ?"
        return int(self._database.read(sql, self._root_id, AWAY)[0][0])

    def _one(self, where: str, *values: str) -> Item | None:
        found = self._select(where, *values)
        return found[0] if found else None

    def _select(self, where: str, *values: str | int) -> list[Item]:
        sql = f"SELECT {_COLUMNS} FROM item WHERE root_id = ? AND {where}"  # noqa: S608 - constants only
        return [Item(*row) for row in self._database.read(sql, self._root_id, *values)]


def _row(item: Item) -> tuple[object, ...]:
    return (
        item.item_id,
        item.parent_item,
        item.name,
        item.kind,
        item.node_id,
        item.remote_parent,
        item.remote_name,
        item.size,
        item.mtime_ns,
        item.file_id,
        item.state,
        item.revision_id,
        item.sha256,
        item.sequence,
        item.remote_size,
        item.modified_ms,
        item.synced_revision,
        item.synced_sha256,
        item.sent,
        item.dirty,
    )
