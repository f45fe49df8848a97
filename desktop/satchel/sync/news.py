"""Gathering what `follow` decides on: the items whose halves differ, with their surroundings in journal and disk.

Blocking, for an executor. Whole trees stay in SQLite; what comes back is the differing part and the folders around it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable
from dataclasses import replace

from satchel.core.errors import LocalFileError
from satchel.core.names import here_problem, name_key, printable
from satchel.core.status import Held
from satchel.disk import Disk
from satchel.journal import Item, Tree
from satchel.journal.tree import AWAY, TOP

from .dirt import join, same_stamp
from .follow import News
from .naming import lasting_name, on_detour, same_spelling
from .observe import digests, is_gone
from .plan import detached
from .remote import Side
from .rules import admit


def gather(disk: Disk, tree: Tree, top: str, failed: Collection[str] = ()) -> News:
    """All news, and nothing where there is none. What is ignored, and not on this disk any more or in conflict, loses
    its local half before: no look at the disk will see that. `failed` are paths to which something could not be brought
    before."""
    items = tree.dirty()
    if gone := [item for item in _with_ways(tree, items, top) if _is_lost_unseen(disk, tree, item)]:
        tree.put_many(detached(one) for item in gone for one in (item, *tree.descendants(item.item_id)))
        items = tree.dirty()
    if not items:
        return News()
    return _Gathering(disk, tree, top, tuple(items), failed).news


def _with_ways(tree: Tree, items: Iterable[Item], top: str) -> Iterable[Item]:
    """The items, and the folders that they are to be in."""
    found = {item.item_id: item for item in items}
    seen = {top}
    for item in items:
        node = item.remote_parent
        while node not in seen and (folder := tree.by_node(node)) is not None:
            seen.add(node)
            found[folder.item_id] = folder
            node = folder.remote_parent
    return found.values()


def _is_lost_unseen(disk: Disk, tree: Tree, item: Item) -> bool:
    path = tree.path_of(item) if item.here and item.state == "live" else None
    if path is None or not disk.ignored(path, item.kind):
        return False
    with contextlib.suppress(LocalFileError):
        found = disk.stat(path)
        return is_gone(found, item.kind) or (item.edited_there and found is not None and not same_stamp(item, found))
    return False


def standing(disk: Disk, news: News, top: str) -> dict[str, str]:
    """SHA-256, by path, of files that stand where a file is to come and may be the same."""
    paths: list[str] = []
    for item in news.items:
        if item.state == "live" and item.kind == "file" and not item.here and item.sha256:
            entry = news.there.get(news.goal(item, top), {}).get(name_key(item.remote_name))
            if entry is not None and entry.kind == "file" and entry.size == item.remote_size:
                paths.append(news.path_there(item))
    return digests(disk, paths)


def leaves_out(disk: Disk, news: News, item: Item) -> bool:
    """Whether this computer cannot have the item under its name, or ignores it there."""
    return here_problem(lasting_name(item)) is not None or disk.ignored(news.path_there(item), item.kind)


def leave_in_peace(side: Side, news: News) -> None:
    """What is ignored and not here is looked at again when there is news of it, or when other names are ignored: a
    folder that was left out may hold more than all that is here."""
    away = (item for item in news.items if item.state == "live" and not item.here and item.item_id not in news.aside)
    away = (item for item in away if not on_detour(item))  # its name online is still to be given back
    ignored = [item for item in away if side.disk.ignored(news.path_there(item), item.kind)]
    if not ignored:
        return
    with side.journal.transaction():
        # One that came meanwhile is not what it was.
        same = (item for item in ignored if side.tree.get(item.item_id) == item)
        side.tree.put_many([replace(item, dirty=False) for item in same])


def held_names(news: News) -> list[Held]:
    """What is held back because this computer cannot have it under its name."""
    held: list[Held] = []
    for item in news.items:
        problem = here_problem(lasting_name(item)) if item.state == "live" else None
        if problem is not None:
            held.append(Held(printable(news.path_there(item)), problem.reason, problem.remedy))
    return held


class _Gathering:
    def __init__(self, disk: Disk, tree: Tree, top: str, items: tuple[Item, ...], failed: Collection[str]) -> None:
        self._disk = disk
        self._tree = tree
        self._top = top
        self._failed = failed
        self.news = News(items, aside=frozenset(disk.aside()))
        changed: set[str] = set()
        for item in items:
            self._ways(item)
            if item.state == "trashed" and item.kind == "folder" and item.here:
                self._contents(item)
            if item.kind == "file" and item.here and self._changed(item):
                changed.add(item.item_id)
        known = {item.item_id for item in items}
        needed = {folder.item_id: folder for folder in self.news.needed()}
        # What is left out is no news otherwise.
        self.news.items += tuple(folder for key, folder in needed.items() if key not in known)
        for item in self.news.items:
            if item.state == "live":
                self._surroundings(item)
        self.news.changed = frozenset(changed)
        self._yield_places(known)

    def _yield_places(self, known: set[str]) -> None:
        """What keeps its name while another computer is on a detour gives it up once something else gets it here."""
        yielding: dict[str, Item] = {}
        for item in self.news.items:
            owners = self.news.owners.get(self.news.goal(item, self._top), {})
            owner = owners.get(name_key(item.remote_name)) if item.state == "live" else None
            if owner is not None and owner.item_id not in known and not same_spelling(owner.name, owner.remote_name):
                yielding[owner.item_id] = owner
        self.news.items += tuple(yielding.values())
        self.news.yielding = frozenset(yielding)

    def _ways(self, item: Item) -> None:
        """The folders above, on both sides."""
        news = self.news
        node = item.remote_parent
        while node != self._top and node not in news.folders:
            folder = self._tree.by_node(node)
            if folder is None:
                break
            news.folders[node] = folder
            self._above(folder)
            node = folder.remote_parent
        self._above(item)

    def _above(self, item: Item) -> None:
        while item.parent_item not in (TOP, AWAY) and item.parent_item not in self.news.above:
            folder = self._tree.get(item.parent_item)
            if folder is None:
                break
            self.news.above[folder.item_id] = folder
            item = folder

    def _contents(self, folder: Item) -> None:
        if folder.item_id in self.news.under:
            return
        below = tuple(self._tree.children(folder.item_id))
        self.news.under[folder.item_id] = below
        for item in below:
            if item.kind == "folder":
                self._contents(item)

    def _changed(self, item: Item) -> bool:
        path = self._tree.path_of(item)
        if path is None:
            return False
        try:
            entry = self._disk.stat(path)
        except LocalFileError:
            return False  # moving it will tell
        return entry is None or not same_stamp(item, entry)

    def _surroundings(self, item: Item) -> None:
        """What lies in the folder that it is to go into."""
        news = self.news
        folder = news.folders.get(item.remote_parent)
        goal = news.goal(item, self._top)
        path = self._tree.path_of(folder) if folder is not None else ""
        if goal == AWAY or path is None:
            return
        if goal not in news.owners:
            self._list(goal, path)
        place = join(path, lasting_name(item))
        unlisted = self._is_unlisted(goal, item)
        if unlisted or self._disk.ignored(place, "file") or self._disk.ignored(place, "folder"):
            self._find_hidden(goal, place, item, unlisted=unlisted)

    def _is_unlisted(self, goal: str, item: Item) -> bool:
        """Whether something else must have the name that no listing shows: it is ignored, and the item itself is not,
        because their names are one to this disk only."""
        if not self._failed or self.news.path_there(item) not in self._failed:
            return False
        key = name_key(lasting_name(item))
        return key not in self.news.there[goal] and key not in self.news.owners[goal]

    def _list(self, goal: str, path: str) -> None:
        news = self.news
        news.owners[goal] = {name_key(one.name): one for one in self._tree.children(goal)}
        news.there[goal] = {}
        with contextlib.suppress(LocalFileError):
            listing = self._disk.list(path)
            if listing is not None:
                # Of names that are one to the service, the same one that a look at the disk takes.
                taken, _ = admit(listing.entries, frozenset(one.name for one in news.owners[goal].values()))
                news.there[goal] = {name_key(entry.name): entry for entry in taken}
                left = set(listing.entries).difference(taken)
                news.hidden[goal] = {entry.name: entry for entry in left}

    def _find_hidden(self, goal: str, place: str, item: Item, *, unlisted: bool) -> None:
        """No listing shows what stands in a place that is ignored here: what was deleted online and is let alone, or
        what is nobody's."""
        owner = self.news.owners[goal].get(name_key(lasting_name(item)))
        if owner is not None and owner.state != "trashed":
            return
        with contextlib.suppress(LocalFileError):
            entry = self._disk.stat(place)
            if entry is not None and (unlisted or self._disk.ignored(place, entry.kind)):
                self.news.hidden.setdefault(goal, {})[lasting_name(item)] = entry
