"""Choosing what of a two-way folder this computer has. Blocking.

What is left out is ignored by a line in the marker folder, which stays on this computer. Its local copy goes to the
folder's own trash, and only if all of it is in step. Whoever takes the copy away by hand does the same: the next look
at the disk finds that it is ignored and gone, not deleted (`Observation.absent`).
"""

from __future__ import annotations

from satchel.core.errors import SatchelError, UsageError
from satchel.core.names import name_key
from satchel.core.status import Held
from satchel.disk import Entry
from satchel.journal import Item

from .dirt import join, same_file
from .naming import lasting_name
from .observe import observe, relative
from .plan import detached
from .remote import Side


def leave_out(side: Side, path: str) -> None:
    """Leave a file or folder that is online out, be it here or not. Raises `UsageError` when there is none, something
    of it is not in step, or an ignore file speaks for it, and the `LocalFileError` family; nothing has changed then."""
    there = _online(side, path)
    if there is None:
        raise UsageError("There is nothing of this name online", "See `satchel ls`.", path=path)
    path, item = there
    before = side.disk.left_out()
    here = side.tree.path_of(item) if item.here else None
    let_alone = here is None or side.disk.ignored(here, item.kind)
    entry = side.disk.stat(here) if here is not None and not let_alone else None
    if entry is None and not let_alone:
        raise UsageError("It was moved or deleted here", "Wait until the folder is in step.", path=path)

    def choose() -> None:
        if here is not None and entry is not None:
            _refuse_what_is_not_online(side, here, item, entry)
            if name_key(here) != name_key(path):
                raise UsageError("It was moved, here or online", "Wait until the folder is in step.", path=here)
        side.disk.leave_out(path)
        side.disk.list("")  # the rules are read with it
        if not side.disk.ignored(path, item.kind):
            raise UsageError("An ignore file in the folder keeps this in", "Change its line with a “!”.", path=path)
        # Before the copy goes: if the choice is taken back before the next look, that it is gone is no delete. Nor may
        # a power cut take this back, or a rename just before: it would be missed under its old name.
        _detach(side, item)
        side.journal.reach_the_disk()

    try:
        if here is None or entry is None:
            choose()
        elif entry.kind == "file":
            choose()
            side.disk.trash(here, entry)
        else:
            side.disk.trash_all(here, choose)
    except SatchelError:
        if path not in before:
            side.disk.take_in(path)
        raise


def take_in(side: Side, path: str) -> None:
    """Have it on this computer again. Raises `UsageError` when it is not left out, and `LocalFileError`."""
    named = next((one for one in side.disk.left_out() if name_key(one) == name_key(path)), None)
    if named is None:
        raise UsageError("This is not left out on this computer", "See `satchel root list`.", path=path)
    there = _online(side, named)
    here = side.tree.path_of(there[1]) if there is not None and there[1].here else None
    if there is not None and here is not None and side.disk.stat(here) is None:
        _detach(side, there[1])  # nobody has looked since it went
    side.disk.take_in(named)


def _detach(side: Side, item: Item) -> None:
    side.tree.put_many([detached(one) for one in (item, *side.tree.descendants(item.item_id)) if one.here])


def folders_online(side: Side) -> tuple[str, ...]:
    """Names of the folders that the service has in the watched one."""
    inside = side.tree.in_remote_folder(side.top)
    return tuple(sorted(lasting_name(item) for item in inside if item.kind == "folder" and item.state == "live"))


def _online(side: Side, path: str) -> tuple[str, Item] | None:
    """The item that the service has at a path, and the path as the service spells it."""
    node, spelled, found = side.top, "", None
    for name in path.split("/"):
        inside = (item for item in side.tree.in_remote_folder(node) if item.state == "live")
        found = next((item for item in inside if name_key(lasting_name(item)) == name_key(name)), None)
        if found is None:
            return None
        node, spelled = found.node_id, join(spelled, lasting_name(found))
    return (spelled, found) if found is not None else None


def _refuse_what_is_not_online(side: Side, path: str, item: Item, entry: Entry) -> None:
    if not _in_step(item) or entry.kind != item.kind or (entry.kind == "file" and not same_file(item, entry)):
        trouble: Held | None = Held(path, "It has changed", "Wait until the folder is in step.")
    else:
        trouble = _trouble_in(side, path, item) if item.kind == "folder" else None
    if trouble is not None:
        raise UsageError(f"Not all of it is online: {trouble.reason}", trouble.remedy, path=trouble.path)


def _trouble_in(side: Side, path: str, item: Item) -> Held | None:
    folders, waiting = [path], [(path, item)]
    while waiting:
        at, folder = waiting.pop()
        for one in side.tree.children(folder.item_id):
            if not _in_step(one):
                return Held(join(at, one.name), "It has changed", "Wait until the folder is in step.")
            if one.kind == "folder":
                folders.append(join(at, one.name))
                waiting.append((join(at, one.name), one))
    seen = observe(side.disk, side.tree, folders, side.top)
    for differing in seen.dirt.differences:
        names = {entry.name for entry in differing.appeared} | {gone.name for gone in differing.vanished}
        for name in sorted(names | {entry.name for _, entry in differing.changed}):
            return Held(join(differing.folder, name), "It has changed", "Wait until the folder is in step.")
    return next(iter(relative(seen.held)), None)


def _in_step(item: Item) -> bool:
    return item.state == "live" and not item.dirty and not item.edited_there
