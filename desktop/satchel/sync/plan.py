"""Deciding, with no I/O: which operations bring the remote tree in step with the disk.

Theory of operation
-------------------
There are three trees. *Local* is what the disk shows now, *remote* is what the change log told, *synced* is what was on
both sides when they were last in step. The journal keeps synced and remote in one row per name (`Item`); local is never
stored. `observe` compares local with synced and hands over only the part that differs (`Dirt`); this file turns that
part into operations. Every rule lives here, and the same dirt, digests and ids give the same plan.

1. A name that is still there keeps its node. Changed size, time or file id means new content, unless the digest says
   that it is the old content (somebody touched it, or put back a copy). A name that differs only in capitals or in how
   accents are written is the same name, renamed. Only files that took each other's names, in a circle, keep their nodes
   (file ids, sizes and times all agree).
2. Only names that vanished and names that appeared are asked who they are. They are one file when file id, size and
   time all agree; when only the file id agrees, or several were known by it, the digest decides, because inodes are
   used again at once. Folders are one when the file id agrees and they share a name with the same identity, or are both
   empty. A folder is matched before what is in it, so that moving it is one operation.
3. What appeared and is nobody's is made or uploaded; what vanished and went nowhere is moved to the trash, once it has
   been missing for a moment and all places where it may be were looked at. What is not quiet is left for the next plan
   (`waiting`).
4. Local changes win. A remote rename is followed: the node keeps its remote name until the local name changes. A remote
   delete stands until the local content changes: then the file, and every folder above it that is gone, is made anew
   under new node ids. Deleting a file here that was deleted there is only forgotten.
5. Operations say which place they free and which they need; `order` sorts them so that none ever meets its own past: a
   folder is made before what goes into it, a place is freed before it is taken, what is kept is moved out of a folder
   before the folder is trashed, and two that wait for each other are untied by a detour over a temporary name.
6. When so much vanished that it looks like an accident, nothing is trashed (`mass_delete`); the rest goes on.

In a two-way root this is one half: what the disk has that the service has not. `follow` is the other, and comes second:
whatever both sides changed is settled here so that nothing is sent or deleted that the service has news of.

7. A file changed on both sides is detached: its node is fetched anew, and what is here keeps its content beside it. A
   delete here of what changed there is not sent: the node is detached, and comes back. The same content on both sides
   is no conflict.
8. What appeared where the service has something new is that thing, if it is a folder too or has the same content; else
   it waits until `follow` has moved it out of the way.
9. Of two moves of one node the later wins. A move that the service refuses is undone by `follow`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from satchel.core.names import name_key
from satchel.disk import Entry
from satchel.journal import Item
from satchel.journal.tree import AWAY, TOP, UNKNOWN

from .dirt import Dirt, agreed, by_file_ids, digest_decides, join, same_stamp, stamped, surely
from .naming import same_spelling
from .operations import Adopt, Detach, Forget, MakeFolder, Move, Operation, Settle, Trash, Upload
from .order import Step, order
from .rules import is_mass_delete


@dataclass(frozen=True, slots=True)
class World:
    """What else a plan depends on.

    `top` is the remote node of the watched folder. `digests` are SHA-256 of local files by path, as far as known.
    `busy` are item ids whose bytes are on their way. `quiet(path, entry)` tells whether a file, or with None the
    absence of one, may be acted on now. `stays(path, kind)` tells whether a synced name that the disk does not show is
    left alone, because it is held back or ignored. `total_files()` counts the files in step; up to `allowed_deletes` of
    them may go at once, because a person said so. `blind` tells that not all was looked at, and that nobody would have
    told of what happened elsewhere.
    """

    top: str
    new_id: Callable[[], str]
    digests: Mapping[str, str] = field(default_factory=dict)
    busy: frozenset[str] = frozenset()
    quiet: Callable[[str, Entry | None], bool] = lambda _path, _entry: True
    stays: Callable[[str, Literal["file", "folder"]], bool] = lambda _path, _kind: False
    total_files: Callable[[], int] = lambda: 0
    allowed_deletes: int = 0
    two_way: bool = False
    blind: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """`steps` in an order that is safe; `waiting` are paths left for later; `mass_delete` counts the files that would
    have been trashed, if that was refused. `unsure` asks for a look at everything: something is missing that may be in
    another folder."""

    steps: tuple[Step, ...] = ()
    waiting: frozenset[str] = frozenset()
    mass_delete: int = 0
    postponed: bool = False
    unsure: bool = False


def plan(dirt: Dirt, world: World) -> Plan:
    return _Planner(dirt, world).run()


def unmade(item: Item, node_id: str) -> Item:
    """The item as it will be made anew, under another node."""
    return replace(
        item,
        node_id=node_id,
        state="intended",
        size=UNKNOWN,
        revision_id=None,
        sha256=None,
        sequence=0,
        remote_size=UNKNOWN,
        synced_revision=None,
        synced_sha256=None,
        sent="",
        dirty=False,
    )


def detached(item: Item) -> Item:
    """The item without a local half, to be brought to this disk."""
    return replace(
        item,
        parent_item=AWAY,
        name=item.item_id,
        size=UNKNOWN,
        mtime_ns=0,
        file_id=0,
        synced_revision=None,
        synced_sha256=None,
        dirty=True,
    )


class _Planner:
    def __init__(self, dirt: Dirt, world: World) -> None:
        self._dirt = dirt
        self._world = world
        self._items: dict[str, Item] = dict(dirt.above)
        for difference in dirt.differences:
            gone = [*difference.vanished, *(item for item, _ in difference.changed)]
            self._items.update((item.item_id, item) for item in gone)
        for items in dirt.under.values():
            self._items.update((item.item_id, item) for item in items)
        self._looked_at = {difference.item.item_id for difference in dirt.differences if difference.item}
        self._now: dict[str, Item] = {}
        self._making: set[str] = set()
        self._operations: list[Operation] = []
        self._waiting: set[str] = set()
        self._new_files: list[tuple[str, str, Entry]] = []
        self._new_folders: deque[tuple[str, str, Entry]] = deque()
        self._gone: dict[str, tuple[str, Item, bool]] = {}
        self._postponed: set[str] = set()
        self._unsure = False

    def run(self) -> Plan:
        exchanged = self._exchange_names()
        for difference in self._dirt.differences:
            parent = difference.item.item_id if difference.item else TOP
            changed = [pair for pair in difference.changed if pair[0].item_id not in exchanged]
            self._compare(difference.folder, parent, difference.appeared, difference.vanished, changed)
        self._match_folders()
        self._match_files()
        for path, parent, entry in self._new_files:
            self._upload_new(path, parent, entry)
        # Counted before asking what is quiet: an accident that is seen bit by bit is still one.
        gone = sum(self._count_files(item) for _, item, _ in self._gone.values() if item.state == "live")
        mass = gone if gone and is_mass_delete(gone, self._world.total_files(), self._world.allowed_deletes) else 0
        trashed: list[Operation] = []
        refused: set[str] = set()
        for path, item, certain in self._gone.values():
            dropped = self._drop(path, item)
            trashed += dropped
            if mass or not self._may_drop(path, item, certain):
                # Planned all the same: what would take its place has to wait, too.
                refused.update(operation.item.item_id for operation in dropped)
        steps = order([*self._operations, *trashed], self._items, refused)
        return Plan(steps, frozenset(self._waiting), mass, bool(self._postponed), self._unsure)

    # -- comparing ----------------------------------------------------------------------------------------------------

    def _compare(
        self,
        folder: str,
        parent: str,
        appeared: Iterable[Entry],
        vanished: Iterable[Item],
        changed: Iterable[tuple[Item, Entry]],
    ) -> None:
        gone = {(name_key(item.name), item.kind): item for item in vanished}
        here = {name_key(entry.name) for entry in appeared}
        for entry in appeared:
            path = join(folder, entry.name)
            respelled = gone.pop((name_key(entry.name), entry.kind), None)
            if respelled is not None:
                self._respell(path, parent, entry, respelled)
            elif entry.kind == "folder":
                self._new_folders.append((path, parent, entry))
            else:
                self._new_files.append((path, parent, entry))
        for (key, _), item in gone.items():
            # A name taken by something else is certainly gone; another may be back in a moment.
            self._gone[item.item_id] = (join(folder, item.name), item, key in here)
        for item, entry in changed:
            self._change(join(folder, entry.name), item, entry)

    def _respell(self, path: str, parent: str, entry: Entry, item: Item) -> None:
        if item.item_id in self._world.busy:
            self._waiting.add(path)
            return
        if self._world.two_way and same_spelling(entry.name, item.name):
            # How a disk writes its accents is its own affair. Whether a file is another one the next look tells.
            file_id = entry.file_id if entry.kind == "folder" else item.file_id
            self._settle(replace(item, name=entry.name, file_id=file_id), path)
        else:
            settled = entry.kind == "folder" or (same_stamp(item, entry) and item.file_id == entry.file_id)
            self._move(path, parent, entry, item, settled=settled)
        if entry.kind == "folder":
            self._enter_moved(path, item)

    def _change(self, path: str, item: Item, entry: Entry) -> None:
        if item.item_id in self._world.busy:
            self._waiting.add(path)
        elif entry.kind == "folder":
            if item.state == "intended":
                self._remake(item, path)
            else:
                self._settle(replace(item, file_id=entry.file_id), path)
        elif self._same_content(path, item, entry):
            self._settle(agreed(item, entry), path)
        elif item.edited_there and item.synced_sha256 and self._world.digests.get(path) == item.synced_sha256:
            self._settle(stamped(item, entry), path)
        elif not self._world.quiet(path, entry):
            self._waiting.add(path)
        elif item.state == "live" and self._is_edited_there(item):
            self._operations.append(Detach(item, path))
        elif item.state == "live":
            self._operations.append(Upload(item, path, entry))
        else:
            self._ensure(item.parent_item, path)
            self._operations.append(Upload(self._anew(item), path, entry))

    def _same_content(self, path: str, item: Item, entry: Entry) -> bool:
        return digest_decides(item, entry) and self._world.digests.get(path) == item.sha256

    def _exchange_names(self) -> set[str]:
        """Files that took each other's names keep their nodes: the items that were moved so."""
        places = {
            item.item_id: (join(difference.folder, entry.name), item.parent_item, entry)
            for difference in self._dirt.differences
            for item, entry in difference.changed
            if item.kind == "file" and item.file_id and item.item_id not in self._world.busy
        }
        by_file_id = {self._items[item_id].file_id: self._items[item_id] for item_id in places}
        comes = {
            item_id: owner.item_id
            for item_id, (_, _, entry) in places.items()
            if (owner := by_file_id.get(entry.file_id)) is not None
            and owner.item_id != item_id
            and same_stamp(owner, entry)
        }
        while comes.keys() != set(comes.values()):  # only whole circles: else a name that is there keeps its node
            still = comes.keys() & set(comes.values())
            comes = {place: came for place, came in comes.items() if place in still and came in still}
        for place, came in comes.items():
            path, parent, entry = places[place]
            self._move(path, parent, entry, self._items[came])
        return set(comes)

    # -- who is who ---------------------------------------------------------------------------------------------------

    def _match_folders(self) -> None:
        """Outermost first: what is in a moved folder is compared with what was in it, and mostly stayed."""
        by_file_id = {item.file_id: item for item in self._all_gone() if item.kind == "folder" and item.file_id}
        while self._new_folders:
            path, parent, entry = self._new_folders.popleft()
            item = by_file_id.get(entry.file_id)
            if item is not None and item.item_id not in self._now and self._alike(path, item):
                self._move(path, parent, entry, item)
                self._enter_moved(path, item)
            else:
                self._make_folder(path, parent, entry)

    def _make_folder(self, path: str, parent: str, entry: Entry) -> None:
        there = self._dirt.wanted.get((self._node_of(parent), name_key(entry.name)))
        if there is not None:
            if there.kind == "folder" and not there.here:
                self._adopt(replace(there, parent_item=parent, name=entry.name, file_id=entry.file_id), path)
                # Something is known to be in it after a power cut in the middle of a detour.
                self._enter_moved(path, there)
            else:
                self._waiting.add(path)
                if there.item_id not in self._gone:
                    self._postponed.add(path)
            return
        self._ensure(parent, path)
        made = self._new_item(parent, entry)
        self._now[made.item_id] = made
        self._making.add(made.item_id)
        self._operations.append(MakeFolder(made, path))
        self._compare(path, made.item_id, self._dirt.inside.get(path, ()), (), ())

    def _enter_moved(self, path: str, item: Item) -> None:
        if item.item_id in self._looked_at:
            return  # it was looked at by its old name, too, which is the same to the system
        entries = {entry.name: entry for entry in self._dirt.inside.get(path, ())}
        vanished, changed = [], []
        for old in self._dirt.under.get(item.item_id, ()):
            if old.item_id in self._now:
                continue
            entry = entries.get(old.name)
            if entry is None or entry.kind != old.kind:
                if entry is not None or not self._world.stays(join(path, old.name), old.kind):
                    vanished.append(old)
                continue
            del entries[old.name]
            if entry.kind == "folder":
                if old.state == "intended" or old.file_id != entry.file_id:
                    changed.append((old, entry))
                self._enter_moved(join(path, old.name), old)
            elif not same_stamp(old, entry) or old.file_id != entry.file_id:
                changed.append((old, entry))
        self._compare(path, item.item_id, entries.values(), vanished, changed)

    def _match_files(self) -> None:
        by_file_id = by_file_ids(item for item in self._all_gone() if item.kind == "file")
        left = []
        for path, parent, entry in self._new_files:
            owners = by_file_id.get(entry.file_id, ())
            free = [item for item in owners if item.item_id not in self._now]
            item = surely(owners, entry)
            if item not in free:
                item = next((one for one in free if self._same_content(path, one, entry)), None)
            if item is None or item.item_id in self._world.busy:
                left.append((path, parent, entry))
                continue
            self._move(path, parent, entry, item)
        self._new_files = left

    def _alike(self, path: str, item: Item) -> bool:
        inside, under = self._dirt.inside.get(path, ()), self._dirt.under.get(item.item_id, ())
        known = {(old.name, old.kind, old.file_id) for old in under}
        return not (inside or under) or any((entry.name, entry.kind, entry.file_id) in known for entry in inside)

    def _all_gone(self) -> list[Item]:
        """Every vanished item, with what was in vanished folders and has not been found elsewhere."""
        waiting = [item for _, item, _ in self._gone.values()]
        found: list[Item] = []
        while waiting:
            item = waiting.pop()
            if item.item_id in self._now:
                continue
            found.append(item)
            if item.kind == "folder":
                waiting.extend(self._dirt.under.get(item.item_id, ()))
        return found

    # -- operations ---------------------------------------------------------------------------------------------------

    def _move(self, path: str, parent: str, entry: Entry, item: Item, *, settled: bool = True) -> None:
        """`settled` is False when the content must be looked at again after the move."""
        self._gone.pop(item.item_id, None)
        local = replace(item, parent_item=parent, name=entry.name)
        if settled:
            local = stamped(local, entry) if entry.kind == "file" else replace(local, file_id=entry.file_id)
        self._now[item.item_id] = local
        if not settled:
            self._waiting.add(path)
        if item.state != "live":
            self._operations.append(Settle(local, path, item))
            if item.state == "intended" and item.kind == "folder":
                self._remake(local, path)
            return
        self._ensure(parent, path)
        new_parent = self._node_of(parent) if parent != item.parent_item else item.remote_parent
        new_name = entry.name if entry.name != item.name else item.remote_name
        local = replace(local, remote_parent=new_parent, remote_name=new_name)
        self._now[item.item_id] = local
        if (new_parent, new_name) == (item.remote_parent, item.remote_name):
            self._operations.append(Settle(local, path, item))
        else:
            self._operations.append(Move(local, path, item))

    def _adopt(self, item: Item, path: str) -> None:
        self._now[item.item_id] = item
        self._operations.append(Adopt(item, path))

    def _upload_new(self, path: str, parent: str, entry: Entry) -> None:
        there = self._dirt.wanted.get((self._node_of(parent), name_key(entry.name)))
        if there is not None:
            if there.kind == "file" and not there.here and self._equal(path, there, entry):
                self._adopt(agreed(replace(there, parent_item=parent, name=entry.name), entry), path)
            else:
                self._waiting.add(path)
            return
        if not self._world.quiet(path, entry):
            self._waiting.add(path)
            return
        self._ensure(parent, path)
        self._operations.append(Upload(self._new_item(parent, entry), path, entry))

    def _equal(self, path: str, there: Item, entry: Entry) -> bool:
        if there.sha256 is not None:
            return self._world.digests.get(path) == there.sha256
        return (there.remote_size, there.modified_ms) == (entry.size, entry.mtime_ns // 1_000_000)

    def _may_drop(self, path: str, item: Item, certain: bool) -> bool:
        # What is on neither side stands in nobody's way, and what is in the folder's own is not deleted (`_drop`).
        missed = item.state == "live" and self._may_be_in_what_waits(item) and not self._stands_in_the_way(path)
        hidden = missed or self._is_busy(item)
        may = not hidden and (certain or self._world.quiet(path, None))
        self._unsure = self._unsure or (may and self._world.blind)
        if not may or self._world.blind:
            self._waiting.add(path)
            return False
        return True

    def _may_be_in_what_waits(self, item: Item) -> bool:
        """Whether it, or something in it, is in a folder that has no item yet because it has to make way first."""
        if not self._postponed:
            return False
        under = self._dirt.under.get(item.item_id, ())
        return item.file_id in self._in_what_waits or any(map(self._may_be_in_what_waits, under))

    @cached_property
    def _in_what_waits(self) -> set[int]:
        """File ids; 0 where there are none, and where items have none."""
        found = {0}
        for folder, entries in self._dirt.inside.items():
            if any(f"{folder}/".startswith(f"{path}/") for path in self._postponed):
                found.update(entry.file_id for entry in entries)
        return found

    def _stands_in_the_way(self, path: str) -> bool:
        """Whether a folder waits for this very name."""
        return bool(self._postponed) and name_key(path) in self._wanted_places

    @cached_property
    def _wanted_places(self) -> set[str]:
        return set(map(name_key, self._postponed))

    def _is_edited_there(self, item: Item) -> bool:
        return self._world.two_way and item.edited_there

    def _is_busy(self, item: Item) -> bool:
        """Whether bytes of it, or of what is in it, are on their way."""
        if not self._world.busy:
            return False
        below = (one for one in self._dirt.under.get(item.item_id, ()) if one.item_id not in self._now)
        return item.item_id in self._world.busy or any(map(self._is_busy, below))

    def _drop(self, path: str, item: Item) -> list[Operation]:
        has_news = item.item_id in self._dirt.staying or self._is_edited_there(item)
        moved = self._stands_in_the_way(path) and self._may_be_in_what_waits(item)
        if item.state == "live" and (has_news or moved):
            kept: list[Operation] = [Detach(item, path)]
            for below in self._dirt.under.get(item.item_id, ()):
                if below.item_id not in self._now:
                    kept += self._drop(join(path, below.name), below)
            return kept
        dropped: list[Operation] = [Forget(item, path) if item.state == "trashed" else Trash(item, path)]
        # What a remote move took out of the folder does not go with it.
        waiting = [item]
        while waiting:
            folder = waiting.pop()
            for below in self._dirt.under.get(folder.item_id, ()):
                if below.item_id in self._now:
                    continue
                if below.state == "live" and below.remote_parent != folder.node_id:
                    dropped[:0] = self._drop(join(path, below.name), below)
                else:
                    waiting.append(below)
        return dropped

    def _settle(self, item: Item, path: str) -> None:
        before = self._items.get(item.item_id, item)
        self._now[item.item_id] = item
        self._operations.append(Settle(item, path, before))

    def _ensure(self, item_id: str, path: str) -> None:
        """A folder that a remote delete took, or that a crash left unmade, is made before something goes into it."""
        if item_id == TOP:
            return
        item = self._now.get(item_id) or self._items[item_id]
        if item.state != "live":
            self._remake(item, path.rpartition("/")[0])

    def _remake(self, item: Item, path: str) -> None:
        if item.item_id in self._making:
            return
        self._making.add(item.item_id)
        self._ensure(item.parent_item, path)
        made = self._anew(item)
        self._now[item.item_id] = made
        self._operations.append(MakeFolder(made, path))

    def _anew(self, item: Item) -> Item:
        """The item as it will be made again: under a new node where the old one is in the trash."""
        node_id = self._world.new_id() if item.state == "trashed" else item.node_id
        parent = self._node_of(item.parent_item)
        return replace(unmade(item, node_id), remote_parent=parent, remote_name=item.name)

    def _new_item(self, parent: str, entry: Entry) -> Item:
        made = self._world.new_id()
        return Item(
            made,
            parent,
            entry.name,
            entry.kind,
            made,
            self._node_of(parent),
            entry.name,
            file_id=entry.file_id if entry.kind == "folder" else 0,
            state="intended",
        )

    def _node_of(self, item_id: str) -> str:
        if item_id == TOP:
            return self._world.top
        return (self._now.get(item_id) or self._items[item_id]).node_id

    def _count_files(self, item: Item) -> int:
        if item.kind == "file":
            return 1
        return sum(
            self._count_files(below)
            for below in self._dirt.under.get(item.item_id, ())
            if below.item_id not in self._now
        )
