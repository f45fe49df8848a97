"""Doing: the steps of a plan, each recorded in the journal before anything depends on it."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from satchel.core.errors import BusyError, LocalFileError, NotSignedInError, OfflineError, RefusedError, SatchelError
from satchel.core.model import FolderIntent, FolderMade, Node, Problem
from satchel.disk import Entry
from satchel.journal import Item
from satchel.journal.tree import TRASHED

from .carry import beside, carry_out, checked
from .naming import lasting_name, on_detour
from .operations import (
    Adopt,
    Clean,
    Detach,
    Detour,
    Fetch,
    Forget,
    MakeFolder,
    MakeHere,
    Move,
    MoveHere,
    Operation,
    SetAside,
    Settle,
    Trash,
    TrashHere,
    Upload,
)
from .order import Step
from .plan import detached
from .remote import Side, adopt, followed, taken_by

FOLDERS_AT_ONCE = 50
"""The service's limit of one `makeFolders`."""

_QUIETLY = (Upload, Fetch, Adopt, Clean)
"""What changes neither the disk nor the service yet."""

HALTING = (OfflineError, BusyError, NotSignedInError)
"""Errors that stop everything and not only the file at hand."""


@dataclass(slots=True)
class Outcome:
    """`uploads` and `fetches` are ready to go; `failures` are held back, by path; `touched` are folders to look at
    again. `left` are paths of steps that were not tried, because what they need failed, and `later` those that wait for
    what is tried again later. `done` counts what was carried out; `moved` tells that a folder of this disk was moved,
    `behind` that the service refused something, so that the log may have news."""

    uploads: list[Upload] = field(default_factory=list)
    fetches: list[Fetch] = field(default_factory=list)
    failures: dict[str, SatchelError] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)
    left: set[str] = field(default_factory=set)
    later: set[str] = field(default_factory=set)
    done: int = 0
    moved: bool = False
    behind: bool = False


async def apply(side: Side, steps: Sequence[Step], skip: Callable[[str], bool] = lambda _path: False) -> Outcome:
    """Run all but the uploads and fetches. One that is refused, or whose path `skip` names, holds back only itself and
    what depends on it; an error that concerns everything (`HALTING`) is raised, and the journal holds what was done
    until then."""
    outcome = Outcome()
    failed: set[int] = set()
    waits: set[int] = set()
    for batch in _batches(steps):
        able: list[int] = []
        for number in batch:
            step = steps[number]
            if step.after & waits or (not step.after & failed and skip(step.operation.path)):
                waits.add(number)
                outcome.later.add(step.operation.path)
            elif step.after & failed:
                failed.add(number)
                outcome.left.add(step.operation.path)
            else:
                able.append(number)
        operations = [steps[number].operation for number in able]
        outcome.touched.update(one.path.rpartition("/")[0] for one in operations if not isinstance(one, _QUIETLY))
        makes = [(n, make) for n, make in zip(able, operations, strict=True) if isinstance(make, MakeFolder)]
        if makes:
            failed |= await _make_folders(side, makes, outcome)
        for number, operation in zip(able, operations, strict=True):
            if isinstance(operation, Upload):
                outcome.uploads.append(operation)
            elif isinstance(operation, Fetch):
                outcome.fetches.append(operation)
            elif not isinstance(operation, MakeFolder) and not await _alone(side, operation, outcome):
                failed.add(number)
    await side.blocking(lambda: side.tree.put_many(one.item for one in outcome.uploads if one.item.state == "intended"))
    return outcome


def _batches(steps: Sequence[Step]) -> Iterator[list[int]]:
    """Consecutive folders travel together; all else goes one by one."""
    batch: list[int] = []
    for number, step in enumerate(steps):
        together = (
            batch
            and isinstance(step.operation, MakeFolder)
            and isinstance(steps[batch[0]].operation, MakeFolder)
            and len(batch) < FOLDERS_AT_ONCE
        )
        if batch and not together:
            yield batch
            batch = []
        batch.append(number)
    if batch:
        yield batch


async def _alone(side: Side, operation: Operation, outcome: Outcome) -> bool:
    try:
        await _single(side, operation)
    except HALTING:
        raise
    except SatchelError as error:
        outcome.behind = outcome.behind or isinstance(error, RefusedError)
        if not (isinstance(error, RefusedError) and await _yield_place(side, operation, error)):
            outcome.failures[operation.path] = error
        return False
    outcome.done += 1
    outcome.moved = outcome.moved or (isinstance(operation, MoveHere) and operation.item.kind == "folder")
    return True


async def rebase(side: Side, operation: Upload | MakeFolder, current: Node, outcome: Outcome | None = None) -> bool:
    """Something else has the name, or another revision is there: go on from that. False when a person must decide."""
    if side.root.two_way:
        renamed = await side.blocking(lambda: _give_way(side, operation, current))
        if outcome is not None:
            outcome.moved = outcome.moved or renamed
        return True
    wanted = "file" if isinstance(operation, Upload) else "folder"
    owner = await side.blocking(lambda: side.tree.by_node(current.node_id))
    if owner is not None and owner.item_id != operation.item.item_id:
        return await _send_home(side, owner, current)
    if current.kind != wanted:
        return False
    entry = await side.blocking(lambda: side.disk.stat(operation.path))

    def record() -> None:
        with side.journal.transaction():
            item = side.tree.get(operation.item.item_id) or operation.item
            side.tree.put(taken_by(item, current, entry))

    await side.blocking(record)
    if wanted == "folder":
        await adopt(side, operation.path, operation.item.item_id, current.node_id)
    return True


def _give_way(side: Side, operation: Upload | MakeFolder, current: Node) -> bool:
    """In a two-way folder the first commit has the name, and the log tells of it: what is here is not this item's. True
    when a folder of this disk was renamed for that."""
    tree = side.tree
    item, owner = tree.get(operation.item.item_id), tree.by_node(current.node_id)
    if item is None or owner is None or owner.item_id == item.item_id:
        return False  # the log has not come to it yet
    with side.journal.transaction():
        if isinstance(operation, MakeFolder) and owner.kind == "folder" and not owner.here:
            tree.remove(owner.item_id)
            place = replace(owner, item_id=item.item_id, parent_item=item.parent_item, name=item.name)
            tree.put(replace(place, file_id=item.file_id, size=0))
        elif item.state == "intended" and tree.children(item.item_id):
            # It was trashed, and is made anew for what is in it, of which the service may know more. Of a folder above
            # that was moved here, too, the journal may not have heard yet.
            name = beside(side, operation.path, operation.path, item.parent_item).rpartition("/")[2]
            tree.put(replace(item, name=name, remote_name=name))
            return True
        elif item.state == "intended":
            tree.remove(item.item_id)
    return False


def refusal(problem: Problem | None) -> RefusedError:
    if problem is None:
        return RefusedError("bad-answer", "The service gave no reason", "Try again later.")
    return RefusedError.of(problem)


async def _make_folders(side: Side, makes: Sequence[tuple[int, MakeFolder]], outcome: Outcome) -> set[int]:
    """The step numbers that what depends on them must not build on yet."""
    await side.blocking(lambda: side.tree.put_many(make.item for _, make in makes))
    intents = [FolderIntent(make.item.node_id, make.item.remote_parent, make.item.remote_name) for _, make in makes]
    answers = await side.remote.make_folders(intents)
    pairs = list(zip(makes, answers, strict=True))
    made = [(make, answer) for (_, make), answer in pairs if answer.outcome == "done"]
    await side.blocking(lambda: side.tree.put_many(_made(make, answer) for make, answer in made))
    failed: set[int] = set()
    for (number, make), answer in pairs:
        if answer.outcome == "done":
            continue
        failed.add(number)
        error = refusal(answer.problem)
        above = make.path.rpartition("/")[0]
        if above in {other.path for (index, other), _ in pairs if index in failed}:
            continue  # its folder was refused: that one's reason is enough
        if error.kind == "id-taken":
            # Made before and trashed since, unseen: it needs another id.
            fresh = replace(make.item, node_id=side.new_id())
            await side.blocking(lambda fresh=fresh: side.tree.put(fresh))  # type: ignore[misc] # a bound default
        else:
            try:
                if error.current is None or not await rebase(side, make, error.current, outcome):
                    outcome.failures[make.path] = error
            except LocalFileError as gone:
                outcome.failures[make.path] = gone
    return failed


def _made(make: MakeFolder, answer: FolderMade) -> Item:
    item = followed(make.item, answer.node) if answer.node else make.item
    return replace(item, state="live", size=0)


async def _single(side: Side, operation: Operation) -> None:
    match operation:
        case Settle(item=item):
            await side.blocking(lambda: side.tree.put(item))
        case Forget(item=item):
            await side.blocking(lambda: side.tree.remove(item.item_id))
        case Adopt(item=item) | Clean(item=item):
            await side.blocking(lambda: side.tree.put(checked(side, item)))
        case Detach(item=item):
            await side.blocking(lambda: side.tree.put(detached(side.tree.get(item.item_id) or item)))
        case MakeHere() | MoveHere() | TrashHere() | SetAside():
            await side.blocking(lambda: carry_out(side, operation))
        case Move(item=item, before=before):
            known = await side.blocking(lambda: side.tree.get(item.item_id))
            before = known or before
            node = await side.remote.move(
                item.node_id,
                parent_id=item.remote_parent if item.remote_parent != before.remote_parent else None,
                name=item.remote_name if item.remote_name != before.remote_name else None,
            )
            # Somebody else may have renamed what was moved here, or moved what was renamed.
            await side.blocking(lambda: _follow_own(side, _moved(item, node)))
        case Detour(item=item):
            known = await side.blocking(lambda: side.tree.get(item.item_id))
            if known is not None and known.remote_name != item.remote_name:
                item = _moved(item, await side.remote.move(item.node_id, name=item.remote_name))
            await side.blocking(lambda: side.tree.put(item))
        case Trash(item=item):
            await _trash(side, item)


async def _trash(side: Side, item: Item) -> None:
    tree, root = side.tree, side.root
    # An upload-only folder is the master of its copy: what others put there goes along.
    seen = await side.blocking(lambda: side.journal.roots.cursor(root.root_id)) if root.two_way else None
    known = await side.blocking(lambda: tree.get(item.item_id)) or item
    if root.two_way:
        asked = replace(known, sent=f"{known.sent} {TRASHED}".strip())
        await side.blocking(lambda: tree.put(asked))
    try:
        await side.remote.trash(item.node_id, seen)
    except RefusedError as error:
        if error.kind != "not-found":
            await side.blocking(lambda: tree.put(known))
            raise
    await side.blocking(lambda: tree.remove(item.item_id))


def _follow_own(side: Side, moved: Item) -> None:
    """After a move of ours."""
    side.tree.put(checked(side, moved) if side.root.two_way else moved)
    if side.root.two_way and moved.kind == "folder":
        side.tree.think_again(moved.node_id)


def _moved(item: Item, node: Node) -> Item:
    return replace(item, remote_parent=node.parent_id or "", remote_name=node.name, sequence=node.sequence)


async def _yield_place(side: Side, operation: Operation, error: RefusedError) -> bool:
    """A move met a node that is not ours: the local file takes that node over, and its own goes to the trash with the
    next plan, because its old name is gone. A folder of ours in the way goes back to where it is here."""
    if isinstance(operation, Move) and side.root.two_way:
        return await _undo(side, operation, error)
    if not isinstance(operation, Move) or error.kind != "name-taken" or not isinstance(error.current, Node):
        return False
    current = error.current
    owner = await side.blocking(lambda: side.tree.by_node(current.node_id))
    if owner is not None:
        return await _send_home(side, owner, current)
    if current.kind != operation.item.kind:
        return False
    made = side.new_id()
    fresh = Item(made, operation.item.parent_item, operation.item.name, operation.item.kind, made, "", "")
    if operation.item.kind == "folder":
        return await rebase(side, MakeFolder(fresh, operation.path), current)
    return await rebase(side, Upload(fresh, operation.path, Entry(fresh.name, "file", 0, 0, 0)), current)


async def _undo(side: Side, move: Move, error: RefusedError) -> bool:
    """In a two-way folder a move that came too late is taken back on this disk, and a detour before it online."""
    if error.kind not in ("name-taken", "into-itself", "not-found", "not-a-folder"):
        return False
    row = await side.blocking(lambda: side.tree.get(move.item.item_id))
    if row is None:
        return True
    if on_detour(row):
        with contextlib.suppress(RefusedError):  # it may be gone: the log tells
            row = _moved(row, await _with_a_name(side, row, lasting_name(move.before)))
    here = move.item
    placed = replace(row, parent_item=here.parent_item, name=here.name, dirty=True)
    placed = replace(placed, size=here.size, mtime_ns=here.mtime_ns, file_id=here.file_id)
    await side.blocking(lambda: side.tree.put(placed))
    return True


async def _with_a_name(side: Side, item: Item, name: str) -> Node:
    """The node under the name that it had before its detour, or a conflicted copy's where that was taken meanwhile."""
    for number in itertools.count():
        try:
            return await side.remote.move(item.node_id, name=side.conflicted(name, number) if number else name)
        except RefusedError as error:
            if error.kind != "name-taken":
                raise
    raise AssertionError


async def _send_home(side: Side, owner: Item, current: Node) -> bool:
    """A remote rename put a node of ours where a local name wants to be: local wins, so it gets its local name back."""
    if current.name == owner.name:
        return False
    node = await side.remote.move(owner.node_id, name=owner.name)
    await side.blocking(lambda: side.tree.put(_moved(owner, node)))
    return True
