"""Deciding, with no I/O: which operations bring the disk of a two-way folder in step with the service.

The other half of `plan`, and the later one: what the disk has that the service has not was dealt with there. Left are
items whose halves differ (`News`), and the rules are fewer:

1. A node that is not here is made or fetched into its folder, top down. What stands in its place and is nobody's keeps
   its content under another name (a conflicted copy); if it turns out to be the same thing, the next `plan` says so.
2. A node that was moved is moved here, one that was edited is fetched, one that was trashed goes to the folder's own
   trash: a file only while it is what was last in step, a folder only when nothing is left in it. A file that changed
   here meanwhile is left to the next `plan`.
3. What has to wait for a place is sorted by `order`; two that wait for each other are untied by setting one aside.
4. What this computer cannot have under its name, or leaves out, is not brought here, and is nobody's delete. What is
   here goes where its node goes, be it into a folder that is left out.
5. When so much was trashed there that it looks like an accident, nothing is trashed here (`mass_delete`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace

from satchel.core.names import free_name, here_problem, name_key
from satchel.disk import Entry
from satchel.journal import Item
from satchel.journal.tree import AWAY, TOP

from .dirt import join
from .naming import is_named_alike, lasting_name, on_detour, on_detour_elsewhere
from .operations import Clean, Fetch, Forget, MakeHere, Move, MoveHere, Operation, TrashHere
from .order import order
from .plan import Plan, World
from .rules import is_mass_delete


@dataclass(slots=True)
class News:
    """Items whose halves may differ, with all that deciding about them needs.

    `folders` are the folders on the items' way to the top, by node id; `above` the items of the folders that they lie
    in here, all the way up, by item id; `under` what lies in trashed folders, by item id. Of each folder that something
    is to go into (by item id) `owners` has the items that lie in it and `there` what the disk shows of it, by name's
    key; `hidden` is what else stands in an item's place, by name: it is ignored, or held back because its name is one
    with another. `aside` are ids of items that were set aside; `changed` those of files that are not what was last in
    step any more, and `yielding` those of items that give up a place which they would keep otherwise.
    """

    items: tuple[Item, ...] = ()
    folders: dict[str, Item] = field(default_factory=dict)
    above: dict[str, Item] = field(default_factory=dict)
    under: dict[str, tuple[Item, ...]] = field(default_factory=dict)
    owners: dict[str, dict[str, Item]] = field(default_factory=dict)
    there: dict[str, dict[str, Entry]] = field(default_factory=dict)
    hidden: dict[str, dict[str, Entry]] = field(default_factory=dict)
    aside: frozenset[str] = frozenset()
    changed: frozenset[str] = frozenset()
    yielding: frozenset[str] = frozenset()

    def goal(self, item: Item, top: str) -> str:
        """The item id of the folder that it belongs into; AWAY when that is not known."""
        if item.remote_parent == top:
            return TOP
        folder = self.folders.get(item.remote_parent)
        return folder.item_id if folder is not None else AWAY

    def path_there(self, item: Item) -> str:
        """Where the item belongs, whatever detours there are on the way."""
        path = lasting_name(item)
        for folder in self.chain_there(item):
            path = join(lasting_name(folder), path)
        return path

    def needed(self) -> Iterator[Item]:
        """Folders that are not here, maybe because they are left out, but into which something of this disk goes."""
        for mover in self.items:
            if mover.state == "live" and mover.here:
                yield from (folder for folder in self.chain_there(mover) if not folder.here)

    def chain_there(self, item: Item) -> Iterator[Item]:
        """The folders above it in the service, the nearest first."""
        seen = {item.item_id}
        folder = self.folders.get(item.remote_parent)
        while folder is not None and folder.item_id not in seen:
            seen.add(folder.item_id)
            yield folder
            folder = self.folders.get(folder.remote_parent)


def follow(news: News, world: World, refused: Callable[[Item], bool] = lambda _item: False) -> Plan:
    """`refused` tells of items that this computer cannot have, or leaves out. Of the world's `digests`, those of files
    that stand in an item's place are needed."""
    return _Follower(news, world, refused).run()


class _Follower:
    def __init__(self, news: News, world: World, refused: Callable[[Item], bool]) -> None:
        self._news = news
        self._world = world
        self._refused = refused
        self._items = {item.item_id: item for item in (*news.items, *news.above.values(), *news.folders.values())}
        for items in (*news.under.values(), *(owners.values() for owners in news.owners.values())):
            self._items.update((item.item_id, item) for item in items)
        self._coming: set[str] = set()
        self._going: set[str] = set()
        self._let_alone: set[str] = set()
        self._operations: list[Operation] = []
        self._waiting: set[str] = set()
        self._needed = {folder.item_id for folder in news.needed()}
        self._names: dict[str, str] = {}

    def run(self) -> Plan:
        wanted = [item for item in self._news.items if item.state == "live" and not self._left_out(item)]
        trashed = [item for item in self._news.items if item.state == "trashed"]
        self._let_alone = {item.item_id for item in trashed if self._is_let_alone(item)}
        trashed = [item for item in trashed if item.item_id not in self._let_alone]
        self._name_who_is_on_a_detour(wanted)
        self._settle_who_can(wanted, trashed)
        for item in wanted:
            if item.item_id in self._coming:
                self._come(item)
                continue
            path = self._news.path_there(item)
            self._waiting.add(path)
            if _was_cut_off(item):
                self._operations.append(Move(replace(item, remote_name=lasting_name(item)), path, item))
        drops = [operation for item in trashed for operation in self._drop(item)]
        gone = sum(isinstance(drop, TrashHere) and drop.item.kind == "file" for drop in drops)
        # Those are not among the files in step any more.
        total = gone + self._world.total_files() if gone else 0
        mass = gone if is_mass_delete(gone, total, self._world.allowed_deletes) else 0
        left_out = {drop.item.item_id for drop in drops if isinstance(drop, TrashHere)} if mass else set()
        steps = order([*self._operations, *drops], self._items, left_out)
        return Plan(steps, frozenset(self._waiting), mass)

    def _left_out(self, item: Item) -> bool:
        if item.item_id in self._needed or _was_cut_off(item):
            return False
        if item.here:
            # What is on this disk follows its node wherever it goes, but what is ignored here is let alone.
            return self._refused(item) if self._in_place(item) else here_problem(lasting_name(item)) is not None
        above = (folder for folder in self._news.chain_there(item) if not folder.here)
        return self._refused(item) or any(map(self._refused, above))

    def _is_let_alone(self, item: Item) -> bool:
        """Whether something trashed there is none of our business here, and does not lie in what goes."""
        if not self._ignored(item):
            return False
        folder = self._items.get(item.parent_item)
        return folder is None or folder.state != "trashed" or self._is_let_alone(folder)

    def _name_who_is_on_a_detour(self, wanted: Iterable[Item]) -> None:
        """Another computer gave it a temporary name online. Here it has the one before, or a free one like it."""
        detours = [item for item in wanted if on_detour_elsewhere(item) and not self._in_place(item)]
        going = {(self._goal(item), name_key(item.remote_name)) for item in wanted} if detours else set()
        for item in detours:
            goal = self._goal(item)
            taken = {key for folder, key in going if folder == goal}
            taken.update(self._news.owners.get(goal, ()), self._news.there.get(goal, ()))
            self._names[item.item_id] = name = free_name(lasting_name(item), taken)
            going.add((goal, name_key(name)))

    def _name(self, item: Item) -> str:
        """What it is to be called here."""
        return self._names.get(item.item_id, item.remote_name)

    # -- who can be brought in step now -------------------------------------------------------------------------------

    def _settle_who_can(self, wanted: list[Item], trashed: list[Item]) -> None:
        """Take it that all can, and leave out who cannot until nobody has to be: so that those who only wait for each
        other are not left out, and all who wait for one who cannot are."""
        self._coming = {item.item_id for item in wanted if self._could_come(item)}
        self._going = {item.item_id for item in trashed if self._could_go(item)}
        coming = [item for item in wanted if item.item_id in self._coming]
        going = [item for item in trashed if item.item_id in self._going]
        changed = True
        while changed:
            stays = [item for item in going if not self._can_go(item)]
            self._going.difference_update(item.item_id for item in stays)
            cannot = [item for item in coming if not self._can_come(item)]
            self._coming.difference_update(item.item_id for item in cannot)
            changed = bool(stays or cannot)
            coming = [item for item in coming if item.item_id in self._coming] if cannot else coming
            going = [item for item in going if item.item_id in self._going] if stays else going

    def _could_come(self, item: Item) -> bool:
        """Apart from the other items."""
        goal = self._goal(item)
        if goal == AWAY or item.item_id in self._world.busy or _was_cut_off(item):
            return False
        if item.edited_there and self._changed(item):
            return False  # the next `plan` sees a conflict
        entry = self._evicted(item)
        if entry is None or self._in_place(item):
            return True
        path = self._news.path_there(item)
        same = entry.kind == item.kind and (item.kind == "folder" or self._world.digests.get(path) == item.sha256)
        if same and not item.here and item.item_id not in self._news.aside and not self._hidden(item):
            return False  # the next `plan` takes it for the item
        return self._world.quiet(path, entry)

    def _can_come(self, item: Item) -> bool:
        goal = self._goal(item)
        if goal != TOP and not self._present(self._items[goal]):
            return False
        if goal != TOP and item.kind == "folder" and item.here and self._stays_in(self._items[goal], item):
            return False
        owner = self._owner(item)
        if owner is None or owner.item_id == item.item_id or self._in_place(item):
            return True
        leaves = owner.item_id in self._going or owner.item_id in self._let_alone
        return leaves or (owner.item_id in self._coming and not self._in_place(owner))

    def _present(self, folder: Item) -> bool:
        """Whether a folder is here, or comes."""
        here = folder.here and self._chain_here(folder)
        return folder.state == "live" and (here or folder.item_id in self._coming)

    def _stays_in(self, folder: Item, item: Item) -> bool:
        """Whether a folder will be in the item because it, or one that it goes into, is there and cannot come out."""
        seen: set[str] = set()
        while folder.item_id not in seen:
            seen.add(folder.item_id)
            comes = folder.item_id in self._coming
            above = self._items.get(self._goal(folder) if comes else folder.parent_item)
            if above is None:
                return False
            if above.item_id == item.item_id:
                return not comes
            folder = above
        return False

    def _chain_here(self, folder: Item) -> bool:
        while folder.parent_item != TOP:
            above = self._items.get(folder.parent_item)
            if above is None:
                return False
            folder = above
        return True

    def _could_go(self, item: Item) -> bool:
        there = item.here or item.item_id in self._news.aside
        return there and item.item_id not in self._world.busy and (not self._changed(item) or self._ignored(item))

    def _changed(self, item: Item) -> bool:
        return item.item_id in self._news.changed

    def _ignored(self, item: Item) -> bool:
        return item.here and self._world.stays(self._path_here(item), item.kind)

    def _can_go(self, item: Item) -> bool:
        for below in self._news.under.get(item.item_id, ()):
            moves_out = below.item_id in self._coming and self._goal(below) != below.parent_item
            if below.item_id not in self._going and not moves_out and not self._goes_along(below):
                return False
        return True

    def _goes_along(self, item: Item) -> bool:
        """What was to be made online and is ignored by now is nobody's, as all that is ignored."""
        return item.state == "intended" and item.item_id not in self._world.busy and self._ignored(item)

    def _in_place(self, item: Item) -> bool:
        if not item.here or item.parent_item != self._goal(item):
            return False
        return is_named_alike(item) and item.item_id not in self._news.yielding

    def _goal(self, item: Item) -> str:
        return self._news.goal(item, self._world.top)

    # -- operations ---------------------------------------------------------------------------------------------------

    def _come(self, item: Item) -> None:
        path = self._news.path_there(item)
        place = replace(item, parent_item=self._goal(item), name=self._name(item))
        if self._in_place(item):
            self._operations.append(Fetch(item, path) if item.edited_there else Clean(item, path))
            return
        evict = self._evicted(item)
        owner = self._owner(item)
        if owner is not None and owner.item_id in self._let_alone:
            self._operations.append(Forget(owner, path))
        is_somewhere = item.here or item.item_id in self._news.aside
        if is_somewhere:
            self._operations.append(MoveHere(place, path, item, evict))
            evict = None
        elif item.kind == "folder":
            self._operations.append(MakeHere(place, path, evict))
        if item.edited_there or (item.kind == "file" and not is_somewhere):
            self._operations.append(Fetch(place, path, evict))

    def _evicted(self, item: Item) -> Entry | None:
        """What stands in its place and is nobody's."""
        hidden = self._hidden(item)
        if hidden is not None or self._owner(item) is not None:
            return hidden
        return self._news.there.get(self._goal(item), {}).get(name_key(self._name(item)))

    def _owner(self, item: Item) -> Item | None:
        """Whose place it is now."""
        return self._news.owners.get(self._goal(item), {}).get(name_key(self._name(item)))

    def _hidden(self, item: Item) -> Entry | None:
        return self._news.hidden.get(self._goal(item), {}).get(self._name(item))

    def _drop(self, item: Item) -> Iterable[Operation]:
        if not item.here and item.item_id not in self._news.aside:
            return [Forget(item, item.remote_name)]
        path = self._path_here(item)
        if item.item_id in self._going:
            # What is ignored and was changed goes with its folder, as what was never online does.
            forgotten = [Forget(below, self._path_here(below)) for below in self._going_along(item)]
            return [*forgotten, Forget(item, path) if self._changed(item) else TrashHere(item, path)]
        self._waiting.add(path)
        return []

    def _going_along(self, folder: Item) -> Iterator[Item]:
        for item in self._news.under.get(folder.item_id, ()):
            if self._goes_along(item):
                yield from self._going_along(item)
                yield item

    def _path_here(self, item: Item) -> str:
        path = item.name if item.here else item.remote_name
        while item.parent_item not in (TOP, AWAY) and (above := self._items.get(item.parent_item)) is not None:
            path, item = join(above.name, path), above
        return path


def _was_cut_off(item: Item) -> bool:
    """Whether a detour of our own was, and nothing here has changed its name, or will: it gets its own back online."""
    return on_detour(item) and item.name != item.remote_name
