"""The order in which a plan's operations are safe."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import cached_property

from satchel.core.names import name_key
from satchel.journal import Item
from satchel.journal.tree import TOP

from .naming import temporary_name
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


@dataclass(frozen=True, slots=True)
class Step:
    """`after` are indices of earlier steps; when one of them failed, this one must wait for the next plan."""

    operation: Operation
    after: frozenset[int] = frozenset()


Place = tuple[str, str, str]

_RANK: dict[type, int] = {
    **{Settle: 0, Adopt: 0, Clean: 0, Detach: 0},
    **{MakeFolder: 1, MakeHere: 1},
    **{Detour: 2, SetAside: 2, Move: 2, MoveHere: 2},
    **{Trash: 3, TrashHere: 3, Forget: 3},
    **{Upload: 4, Fetch: 4},
}
_MAKING = (MakeFolder, Upload, MakeHere, Fetch, Adopt, Clean)
"""What takes nothing out of a folder."""


def order(
    operations: Sequence[Operation], items: Mapping[str, Item], refused: AbstractSet[str] = frozenset()
) -> tuple[Step, ...]:
    """Safe steps: folders early so that they travel in batches, uploads last, and each after all that it needs.

    `items` are the items before the plan, by id. Operations on items in `refused`, and all that depends on them, are
    left out.
    """
    return tuple(_Order(operations, items, refused).steps())


class _Order:
    def __init__(self, operations: Sequence[Operation], items: Mapping[str, Item], refused: AbstractSet[str]) -> None:
        self._operations = list(operations)
        self._items = items
        self._refused = refused
        # A plan may have 100,000 operations, and a set takes 200 bytes: they are shared where they are the same.
        self._needs: list[set[int]] = [set() for _ in operations]
        # What another has to have left: its place, or on this disk also a folder. A detour is enough for these.
        self._for_leaving: dict[int, set[int]] = {}
        self._connect()
        self._all = [
            needs | self._for_leaving[index] if index in self._for_leaving else needs
            for index, needs in enumerate(self._needs)
        ]
        self._blocked = [set(needed) for needed in self._all]
        self._followers: dict[int, list[int]] = {}
        for index, needed in enumerate(self._all):
            for other in needed:
                self._followers.setdefault(other, []).append(index)
        self._ready = [(self._rank(index), index) for index, blocked in enumerate(self._blocked) if not blocked]
        heapq.heapify(self._ready)
        self._done: dict[int, tuple[int, ...]] = {}  # operation -> its steps, a detour first
        self._befores: dict[frozenset[int], frozenset[int]] = {}
        self._left_out: set[int] = set()
        self._untied: set[int] = set()

    def steps(self) -> list[Step]:
        steps: list[Step] = []
        remaining = set(range(len(self._operations)))
        while remaining:
            if not self._ready and self._leave_out_all_that_need_it(remaining):
                continue
            if not self._ready:
                tied = self._tied(remaining)
                for index in (*self._leaving(tied, remaining), tied):
                    steps.append(Step(self._detour(index), self._steps_before(index)))
                    self._done[index] = (len(steps) - 1,)
                    self._release(index, left_only=True)
                continue
            _, index = heapq.heappop(self._ready)
            remaining.discard(index)
            if self._operations[index].item.item_id in self._refused or self._all[index] & self._left_out:
                self._left_out.add(index)
            else:
                steps.append(Step(self._operations[index], self._steps_before(index)))
                self._done[index] = (*self._done.get(index, ()), len(steps) - 1)
            self._release(index)
        return steps

    def _leave_out_all_that_need_it(self, remaining: set[int]) -> bool:
        """Whether something that waits for what is left out was left out, too: on a detour it would stay there."""
        found = [index for index in remaining if self._all[index] & self._left_out] if self._left_out else []
        for index in found:
            remaining.discard(index)
            self._left_out.add(index)
            self._release(index)
        return bool(found)

    def _steps_before(self, index: int) -> frozenset[int]:
        before = frozenset(step for one in (index, *self._all[index]) for step in self._done.get(one, ()))
        return self._befores.setdefault(before, before)

    def _release(self, index: int, *, left_only: bool = False) -> None:
        for follower in self._followers.get(index, ()):
            if index not in self._blocked[follower] or (left_only and index in self._needs[follower]):
                continue
            self._blocked[follower].discard(index)
            if not self._blocked[follower]:
                heapq.heappush(self._ready, (self._rank(follower), follower))

    def _connect(self) -> None:
        # Of two names that are one to the service, both may be here.
        frees: dict[Place, list[int]] = {}
        makes, relocates, drops = self._by_item()
        for index, operation in enumerate(self._operations):
            for place in _freed(operation):
                frees.setdefault(place, []).append(index)
        for index, operation in enumerate(self._operations):
            if not isinstance(operation, Trash | Forget | TrashHere | Detach):
                self._after(index, makes.get(operation.item.parent_item))
                if isinstance(operation, MakeHere | MoveHere):
                    # Nothing goes into a folder that is set aside.
                    self._after(index, relocates.get(operation.item.parent_item))
                if isinstance(operation, MakeFolder | Upload | Fetch):
                    self._after(index, relocates.get(operation.item.item_id))
                for place in _needed(operation):
                    for other in frees.get(place, ()):
                        self._after(index, other, leaving=True)
            before = operation.before if isinstance(operation, Move | Settle | MoveHere) else operation.item
            for above in self._chain(before.parent_item):
                # What is kept, or trashed on its own, leaves a folder before the folder goes.
                if above.item_id in drops and not isinstance(operation, _MAKING):
                    self._after(drops[above.item_id], index, leaving=isinstance(operation, MoveHere))
            if isinstance(operation, Move | MoveHere):
                self._not_into_itself(index, operation, relocates)

    def _by_item(self) -> tuple[dict[str, int], dict[str, int], dict[str, int]]:
        """Which operation makes an item, which gives it another place, which drops it."""
        makes: dict[str, int] = {}
        relocates: dict[str, int] = {}
        drops: dict[str, int] = {}
        for index, operation in enumerate(self._operations):
            if isinstance(operation, MakeFolder | MakeHere | Adopt):
                makes[operation.item.item_id] = index
            elif isinstance(operation, MoveHere) and not operation.before.here:
                makes[operation.item.item_id] = relocates[operation.item.item_id] = index
            elif isinstance(operation, Move | Settle | MoveHere):
                relocates[operation.item.item_id] = index
            elif isinstance(operation, Trash | Forget | TrashHere | Detach):
                drops[operation.item.item_id] = index
        return makes, relocates, drops

    def _not_into_itself(self, index: int, move: Move | MoveHere, relocates: Mapping[str, int]) -> None:
        """A folder goes into one that was below it only after that one has come out."""
        came_out = []
        for above in self._chain(move.item.parent_item):
            if above.item_id in relocates:
                came_out.append(relocates[above.item_id])
            if above.item_id == move.item.item_id:
                for other in came_out:
                    self._after(index, other, leaving=isinstance(move, MoveHere))
                return

    def _after(self, index: int, other: int | None, *, leaving: bool = False) -> None:
        if other is None or other == index:
            return
        if leaving:
            self._for_leaving.setdefault(index, set()).add(other)
        else:
            self._needs[index].add(other)

    def _chain(self, item_id: str) -> Iterator[Item]:
        while item_id != TOP and (item := self._items.get(item_id)) is not None:
            yield item
            item_id = item.parent_item

    def _rank(self, index: int) -> int:
        return _RANK[type(self._operations[index])]

    def _tied(self, remaining: AbstractSet[int]) -> int:
        """One whose place others wait for; where operations wait in a circle, at least one waits for a place."""
        return min(
            index
            for index in remaining - self._untied
            if not isinstance(self._operations[index], TrashHere)
            and any(index in self._blocked[one] - self._needs[one] for one in self._followers.get(index, ()))
        )

    def _leaving(self, index: int, remaining: AbstractSet[int]) -> list[int]:
        """What is to leave a folder of this disk, the innermost first: set aside with the folder it could not."""
        if not isinstance(self._operations[index], MoveHere):
            return []
        inside = self._movers_in.get(self._operations[index].item.item_id, ())
        return [mover for mover in inside if mover in remaining and mover not in self._untied]

    @cached_property
    def _movers_in(self) -> dict[str, list[int]]:
        """By the item of a folder of this disk, the innermost first."""
        found: list[tuple[int, str, int]] = []
        for index, operation in enumerate(self._operations):
            if isinstance(operation, MoveHere) and operation.before.here:
                above = [folder.item_id for folder in self._chain(operation.before.parent_item)]
                found += [(len(above), folder, index) for folder in above]
        movers: dict[str, list[int]] = {}
        for _, folder, index in sorted(found, reverse=True):
            movers.setdefault(folder, []).append(index)
        return movers

    def _detour(self, index: int) -> Detour | SetAside:
        self._untied.add(index)
        operation = self._operations[index]
        if isinstance(operation, MoveHere):
            return SetAside(operation.before, operation.path)
        before = operation.before if isinstance(operation, Move | Settle) else operation.item
        name = temporary_name(before)
        remote_name = name if isinstance(operation, Move | Trash) else before.remote_name
        return Detour(replace(before, name=name, remote_name=remote_name), operation.path)


def _freed(operation: Operation) -> list[Place]:
    match operation:
        case Move(before=before):
            return _places(before)
        case Settle(before=before):
            return _places(before)[:1]
        case Trash(item=item):
            return _places(item)
        case Forget(item=item) | Detach(item=item):
            return [*_places(item)[:1], _here(item)]
        case MoveHere(before=item) | TrashHere(item=item):
            return [_here(item)]
        case _:
            return []


def _needed(operation: Operation) -> list[Place]:
    match operation:
        case Move(item=item) | MakeFolder(item=item) | Upload(item=item):
            return _places(item)
        case Settle(item=item) | Adopt(item=item):
            return _places(item)[:1]
        case MoveHere(item=item) | MakeHere(item=item) | Fetch(item=item):
            return [_here(item)]
        case _:
            return []


def _here(item: Item) -> Place:
    """The place on this disk, where names that differ only in capitals or accents may be one."""
    return "here", item.parent_item, name_key(item.name)


def _places(item: Item) -> list[Place]:
    """The row's place in the journal, and the node's place in the service."""
    return [("local", item.parent_item, item.name), ("remote", item.remote_parent, name_key(item.remote_name))]
