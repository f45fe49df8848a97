"""Looking: where do the disk and the synced tree disagree?

Blocking, for an executor. Whole trees stay on disk and in SQLite; what comes back is the dirty part only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from satchel.core.errors import LocalFileError
from satchel.core.names import name_key, printable
from satchel.core.status import Held
from satchel.disk import Disk, Entry
from satchel.journal import Item, Stamp, Tree
from satchel.journal.tree import TOP

from .dirt import Difference, Dirt, join
from .naming import lasting_name, on_detour
from .rules import admit


@dataclass(slots=True)
class Observation:
    """The dirty part, and what is held back in each folder that was looked at (paths relative to the root).
    `rules` is the disk's count of `rules_changes` after looking; `astray` tells that a folder to look at was not there.
    `absent` items of a two-way root are ignored and not on this disk any more: that is nobody's delete.
    """

    dirt: Dirt = field(default_factory=Dirt)
    held: dict[str, tuple[Held, ...]] = field(default_factory=dict)
    rules: int = 0
    astray: bool = False
    absent: list[Item] = field(default_factory=list)

    def stays(self, disk: Disk, path: str, kind: Literal["file", "folder"]) -> bool:
        """Whether a synced name that is in no listing is left alone all the same: it is held back, or ignored now."""
        folder, _, name = path.rpartition("/")
        return any(held.path == name for held in self.held.get(folder, ())) or disk.ignored(path, kind)


def observe(disk: Disk, tree: Tree, folders: Iterable[str] | None, top: str | None = None) -> Observation:
    """Compare these folders, not what is below them; or everything, when `folders` is None. `top` is the remote node of
    the watched folder when it is two-way.

    A folder that is new or gone is looked at in its nearest ancestor that is on both sides. A folder that cannot be
    read is held back with all that is in it, and counts as unchanged; so does what is ignored, with all that is in it.
    """
    look = _Look(disk, tree, top)
    if folders is None:
        look.everything()
    else:
        asked = {folder: look.anchor(folder) for folder in folders}
        look.seen.astray = any(folder != anchor for folder, anchor in asked.items())
        look.compare_each(set(asked.values()))
    look.seen.rules = disk.rules_changes()
    return look.seen


class _Look:
    def __init__(self, disk: Disk, tree: Tree, top: str | None) -> None:
        self._disk = disk
        self._tree = tree
        self._top = top
        self._staying: dict[str, bool] = {}
        self.seen = Observation()

    def anchor(self, folder: str) -> str:
        while folder and not (
            self._disk.reaches(folder) and self._is_folder(folder) and not self._disk.ignored(folder, "folder")
        ):
            folder = folder.rpartition("/")[0]
        return folder

    def everything(self) -> None:
        waiting: list[tuple[str, str]] = [("", TOP)]
        while waiting:
            folder, item_id = waiting.pop()
            item = None
            if item_id != TOP:
                item = self._tree.get(item_id)
            waiting.extend(self.compare(folder, item))

    def compare_each(self, folders: set[str]) -> None:
        """These, and where what appeared in them came from: of a move's two folders one may be heard of first, and what
        is not known to have gone there would count as new here."""
        done: set[str] = set()
        while folders:
            before = len(self.seen.dirt.differences)
            for folder in sorted(folders):
                self.compare(folder, self._tree.find(folder))
            done |= folders
            appeared = [entry for one in self.seen.dirt.differences[before:] for entry in one.appeared]
            appeared += [entry for entries in self.seen.dirt.inside.values() for entry in entries] if appeared else []
            origins = [item for entry in appeared for item in self._tree.by_file_id(entry.file_id)]
            paths = [path for item in origins if (path := self._tree.path_of(item)) is not None]
            folders = {self.anchor(path.rpartition("/")[0]) for path in paths} - done

    def compare(self, folder: str, item: Item | None) -> list[tuple[str, str]]:
        """Look at one folder that is on both sides; returns its subfolders that are too, with their item ids."""
        item_id = item.item_id if item else TOP
        listed = self._list(folder)
        if listed is None:
            return []
        rows = self._tree.stamps(item_id)
        files = {row[:5] for row in rows if row[1] == "file"}
        same = files.intersection(listed)  # of a folder other things than these five are compared
        if len(same) == len(rows) == len(listed):
            return []
        stamps = {row[0]: Stamp._make(row) for row in rows if row[:5] not in same}
        appeared: list[Entry] = []
        changed: list[tuple[Entry, Stamp]] = []
        below: list[tuple[str, str]] = []
        for entry in listed:
            if entry in same:
                continue
            stamp = stamps.pop(entry.name, None)
            if stamp is None:
                appeared.append(entry)
            elif stamp.kind != entry.kind:
                appeared.append(entry)
                stamps[entry.name] = stamp
            else:
                if not _same(entry, stamp):
                    changed.append((entry, stamp))
                if entry.kind == "folder":
                    below.append((join(folder, entry.name), stamp.item_id))
        vanished = self._vanished(folder, stamps.values())
        where = Difference(folder, item)
        if appeared:
            appeared = self._admitted(where, listed, appeared, stamps.keys() - {gone.name for gone in vanished})
        if appeared or changed or vanished:
            self._differ(where, appeared, changed, vanished)
        return below

    def _vanished(self, folder: str, stamps: Iterable[Stamp]) -> list[Stamp]:
        """Of these, which no listing showed, those that are not left alone."""
        vanished: list[Stamp] = []
        for stamp in stamps:
            path = join(folder, stamp.name)
            if not self.seen.stays(self._disk, path, stamp.kind):
                vanished.append(stamp)
            elif self._top is not None and self._is_missing(path, stamp):
                self._miss(stamp)
        return vanished

    def _is_missing(self, path: str, stamp: Stamp) -> bool:
        return self._disk.ignored(path, stamp.kind) and is_gone(self._disk.stat(path), stamp.kind)

    def _miss(self, stamp: Stamp) -> None:
        item = self._tree.get(stamp.item_id)
        if item is not None:
            self.seen.absent += [item, *self._tree.descendants(item.item_id)]

    def _admitted(
        self, where: Difference, listed: Iterable[Entry], appeared: Iterable[Entry], unseen: Iterable[str]
    ) -> list[Entry]:
        """Those that have a name of their own; the others are held back. `unseen` are names in step that no listing
        shows."""
        new = {entry.name for entry in appeared}
        admitted, held = admit(listed, frozenset(entry.name for entry in listed if entry.name not in new))
        self._hold(where.folder, held)
        taken = {name_key(name) for name in unseen}
        if self._top is not None:
            node_id = where.item.node_id if where.item else self._top
            taken.update(name_key(item.remote_name) for item in self._tree.left_out_in(node_id))
        why = "Something of this name is online, and is left out here", "Rename this one, or have the other one here."
        left = [entry for entry in admitted if entry.name in new]
        self._hold(where.folder, (Held(printable(one.name), *why) for one in left if name_key(one.name) in taken))
        return [self._identified(where.folder, entry) for entry in left if name_key(entry.name) not in taken]

    def _differ(
        self,
        where: Difference,
        appeared: Sequence[Entry],
        changed: Sequence[tuple[Entry, Stamp]],
        vanished: Sequence[Stamp],
    ) -> None:
        folder = where.folder
        gone = [found for stamp in vanished if (found := self._tree.get(stamp.item_id))]
        pairs = [
            (found, self._identified(folder, entry))
            for entry, stamp in changed
            if (found := self._tree.get(stamp.item_id))
        ]
        dirt = self.seen.dirt
        dirt.differences.append(replace(where, appeared=tuple(appeared), vanished=tuple(gone), changed=tuple(pairs)))
        for above in self._chain(where.item):
            dirt.above[above.item_id] = above
        for entry in appeared:
            if entry.kind == "folder":
                self._walk_new(join(folder, entry.name))
        for lost in gone:
            if lost.kind == "folder":
                self._walk_gone(lost)
        if self._top is not None:
            self._want(where.item.node_id if where.item else self._top, folder, appeared)

    def _walk_new(self, top: str) -> None:
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            entries, held = admit(self._list(folder) or (), frozenset())
            self._hold(folder, held)
            self.seen.dirt.inside[folder] = tuple(self._identified(folder, entry) for entry in entries)
            waiting.extend(join(folder, entry.name) for entry in entries if entry.kind == "folder")

    def _walk_gone(self, top: Item) -> None:
        folders = self._note_what_is_in(top)
        if self._top is not None:
            for folder in folders:
                self._stays(folder)

    def _note_what_is_in(self, top: Item) -> list[Item]:
        """All the way down; the folder and those in it."""
        folders = [top]
        for folder in folders:
            items = self._tree.children(folder.item_id)
            self.seen.dirt.under[folder.item_id] = tuple(items)
            folders.extend(item for item in items if item.kind == "folder")  # to be visited by this loop, too
        return folders

    def _want(self, node_id: str, folder: str, appeared: Iterable[Entry]) -> None:
        """Which of these places the service wants for something else, in folders that are to be one also below."""
        # What is on a detour of ours gets its name back in a moment.
        wanting = self._tree.wanting(node_id) if appeared else ()
        found = {name_key(lasting_name(one) if on_detour(one) else one.remote_name): one for one in wanting}
        for entry in appeared:
            item = found.get(name_key(entry.name))
            if item is None:
                continue
            self.seen.dirt.wanted[node_id, name_key(entry.name)] = item
            if item.kind == entry.kind == "folder" and not item.here:
                path = join(folder, entry.name)
                self._note_what_is_in(item)
                self._want(item.node_id, path, self.seen.dirt.inside.get(path, ()))

    def _stays(self, folder: Item) -> bool:
        """Whether the service has something in a vanished folder that was never seen here."""
        known = self._staying.get(folder.item_id)
        if known is not None:
            return known
        self._staying[folder.item_id] = stays = False
        for item in self._tree.in_remote_folder(folder.node_id):
            if item.state != "live":
                continue
            news = not item.here or item.edited_there or item.parent_item != folder.item_id
            if (item.kind == "folder" and self._stays(item)) or news:
                stays = True
        self._staying[folder.item_id] = stays
        if stays:
            self.seen.dirt.staying.add(folder.item_id)
        return stays

    def _list(self, folder: str) -> tuple[Entry, ...] | None:
        try:
            listing = self._disk.list(folder)
        except LocalFileError as error:
            self.seen.held[folder] = (Held("", error.title, error.message),)
            return None
        if listing is None:
            return None
        self.seen.held[folder] = listing.held
        return listing.entries

    def _hold(self, folder: str, held: Iterable[Held]) -> None:
        self.seen.held[folder] = (*self.seen.held.get(folder, ()), *held)

    def _identified(self, folder: str, entry: Entry) -> Entry:
        """With its file id, which Windows does not give in a listing."""
        if entry.file_id:
            return entry
        found = self._disk.stat(join(folder, entry.name))
        return entry._replace(file_id=found.file_id) if found else entry

    def _chain(self, item: Item | None) -> Iterable[Item]:
        while item is not None:
            yield item
            item = self._tree.get(item.parent_item) if item.parent_item != TOP else None

    def _is_folder(self, folder: str) -> bool:
        item = self._tree.find(folder)
        return item is not None and item.kind == "folder"


def is_gone(found: Entry | None, kind: Literal["file", "folder"]) -> bool:
    """Whether what stands in a place, be it in a listing or not, is nothing of this kind."""
    return found is None or found.kind != kind


def still_held(disk: Disk, before: dict[str, tuple[Held, ...]], seen: Observation) -> dict[str, tuple[Held, ...]]:
    """What is held back by now, after some folders were looked at: what is in the others is known from `before`, but
    for those that are gone."""
    elsewhere = {
        folder: held for folder, held in before.items() if held and folder not in seen.held and disk.reaches(folder)
    }
    return {**elsewhere, **seen.held}


def digests(disk: Disk, paths: Iterable[str]) -> dict[str, str]:
    """SHA-256 by path. One that cannot be read now is left out and so counts as changed: its upload tells why."""
    found: dict[str, str] = {}
    for path in paths:
        with contextlib.suppress(LocalFileError):
            found[path] = disk.sha256(path)
    return found


def _same(entry: Entry, stamp: Stamp) -> bool:
    same_file = entry.file_id in (stamp.file_id, 0)
    if entry.kind == "folder":
        return same_file and stamp.state != "intended"
    return same_file and entry.size == stamp.size and entry.mtime_ns == stamp.mtime_ns


def relative(held: dict[str, tuple[Held, ...]]) -> list[Held]:
    """All that is held back, with paths from the watched folder on."""
    return [
        replace(one, path=join(folder, one.path) if one.path else folder)
        for folder in sorted(held)
        for one in held[folder]
    ]
