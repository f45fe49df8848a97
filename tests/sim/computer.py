"""One person's computer: a disk, a journal, and one engine after the other, which may die at any step."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from satchel.core.status import Held
from satchel.disk import Hints
from satchel.journal import Journal, WatchedRoot
from satchel.sync import RootSync

from .cloud import Door, Downloads, LeftKey, Remote, Uploads
from .disk import Kind, SimDisk
from .loop import SimLoop
from .network import Crash, Network, Process
from .service import Service

T = TypeVar("T")

TOP = "/Work"
"""The remote folder of every root."""
BACK = 12
"""How many commits a power cut takes at most."""
BOOT_S = 3.0
SLOWEST_STEP_S = 0.02


class Ids:
    """Never the same twice, by whichever computer and however often it starts again."""

    def __init__(self, number: int, chance: random.Random) -> None:
        self._number = number
        self._chance = chance
        self._count = itertools.count(1)

    def new_id(self) -> str:
        return f"{self._number:02x}{next(self._count):030x}"

    def new_token(self) -> str:
        return f"{self._number:02}{next(self._count):020}"

    def jitter(self) -> float:
        return self._chance.random()


class SimWatch:
    """Hints of what was touched: late, twice, and now and then all lost at once."""

    def __init__(self, loop: SimLoop, chance: random.Random, ring: Callable[[], None]) -> None:
        self._loop = loop
        self._chance = chance
        self._ring = ring
        self._folders: set[str] = set()
        self._everything = False
        self.problem: Held | None = None

    def touched(self, folder: str) -> None:
        if self._chance.random() < 0.03:
            self._everything = True
        else:
            self._folders.add(folder)
        self._loop.call_later(self._chance.uniform(0, 0.5), self._ring)

    def take(self) -> Hints:
        hints = Hints(frozenset(self._folders), everything=self._everything)
        if self._chance.random() < 0.9:
            self._folders, self._everything = set(), False
        return hints

    def close(self) -> None: ...


class Computer:
    """The ids that it makes begin with its number."""

    def __init__(
        self,
        number: int,
        loop: SimLoop,
        service: Service,
        chance: random.Random,
        *,
        kind: Kind,
        watched: bool,
        faults: float,
        power_cuts: bool,
    ) -> None:
        self.number = number
        self.root_id = f"{number:032x}"
        self.disk = SimDisk(loop, self.root_id, kind)
        self.disk.between = self._between
        self.disk.touched = self._touched
        self.network = Network(chance, faults)
        self.armed: list[tuple[int, Callable[[], None]]] = []
        """What a person does at the n-th step of the engine on the disk from now."""
        self.wrongs: list[str] = []
        self._loop = loop
        self._service = service
        self._chance = chance
        self._ids = Ids(number, chance)
        self._watched = watched
        self._watch: SimWatch | None = None
        self._left: dict[LeftKey, str] = {}
        self._snapshots: deque[bytes] | None = deque(maxlen=BACK) if power_cuts else None
        self._on_disk: bytes | None = None
        """What of the journal survives a power cut for certain."""
        self._cursor: int | None = None
        self._lost_commits = 0
        self._process = Process()
        self._journal = self._opened(None)
        self._journal.roots.add(WatchedRoot(self.root_id, "/disk", TOP, 1, mode="two-way"))
        self.sync: RootSync
        self._life: asyncio.Task[None] | None = None

    # -- life and death -----------------------------------------------------------------------------------------------

    def start(self) -> None:
        self._life = self._loop.create_task(self._live())

    async def stop(self) -> None:
        if self._life is not None:
            self._life.cancel()
            await asyncio.wait([self._life])
        self._journal.close()

    def crash(self, steps: int, lost_commits: int = 0) -> None:
        """Die after so many steps; with a power cut, the newest commits are gone then."""
        self._process.steps_left, self._lost_commits = steps, lost_commits

    def lose_journal(self) -> None:
        """Die now, and find no journal."""
        if self._snapshots is not None:
            self._snapshots.clear()
        self._on_disk = None
        self.crash(0, BACK + 1)

    @property
    def up(self) -> bool:
        return self._process.alive

    def safe(self) -> None:
        """No crash is to come any more."""
        self._process.steps_left = None

    async def _live(self) -> None:
        while True:
            self._begin()
            running = self._loop.create_task(self.sync.run())
            death = self._loop.create_task(self._process.died.wait())
            try:
                await asyncio.wait([running, death], return_when=asyncio.FIRST_COMPLETED)
            finally:
                death.cancel()
                running.cancel()
                self._process.alive = False
                await asyncio.wait([running])
            if not running.cancelled() and (error := running.exception()) and not isinstance(error, Crash):
                self.wrongs.append(f"the engine of computer {self.number} ended by {error!r}")
            self._process = Process()
            if self._lost_commits:
                self._roll_back()
            await asyncio.sleep(self._chance.uniform(0, BOOT_S))

    def _begin(self) -> None:
        root = self._journal.roots.get(self.root_id)
        assert root is not None
        process = self._process
        door = Door(self._service, self.network, process)
        self.sync = RootSync(
            root,
            self._journal,
            Remote(door),
            Uploads(door, self.disk, self._left, self._loop.call_later, self._chance),
            downloads=Downloads(door, self.disk),
            host=f"host{self.number}",
            blocking=lambda function: self._blocking(process, function),
            disk=self.disk,
            watcher=self._watching if self._watched else None,
            clock=self._loop,
            ids=self._ids,
            sleep=asyncio.sleep,
        )

    def _roll_back(self) -> None:
        kept = list(self._snapshots or ())[: -self._lost_commits]
        self._journal.close()
        self._journal = self._opened(kept[-1] if kept else self._on_disk)
        if self._journal.roots.get(self.root_id) is None:
            self._journal.roots.add(WatchedRoot(self.root_id, "/disk", TOP, 1, mode="two-way"))
        self._lost_commits, self._cursor = 0, self._journal.roots.cursor(self.root_id)
        self._left.clear()

    def _opened(self, snapshot: bytes | None) -> Journal:
        journal = Journal(Path(":memory:"))
        database = journal._database
        if snapshot is not None:
            database._connection.deserialize(snapshot)
        commit = database.transaction

        @contextlib.contextmanager
        def transaction() -> Iterator[None]:
            outermost = database._depth == 0
            if outermost:
                self._process.step()
            with commit():
                yield
            if outermost:
                self._committed(journal)

        def reach_the_disk() -> None:
            if self._snapshots is not None:
                self._snapshots.clear()
                self._on_disk = database._connection.serialize()

        database.reach_the_disk = reach_the_disk  # type: ignore[method-assign]
        database.transaction = transaction  # type: ignore[method-assign] # to see every commit
        return journal

    def _committed(self, journal: Journal) -> None:
        if self._snapshots is not None:
            self._snapshots.append(journal._database._connection.serialize())
        cursor = journal.roots.cursor(self.root_id)
        if cursor is not None and self._cursor is not None and cursor < self._cursor:
            self.wrongs.append(f"the cursor of computer {self.number} went back from {self._cursor} to {cursor}")
        self._cursor = cursor

    # -- what the engine runs on --------------------------------------------------------------------------------------

    async def _blocking(self, process: Process, function: Callable[[], T]) -> T:
        process.step()
        await self._others(process)
        result = function()
        process.step()
        await self._others(process)
        return result

    async def _others(self, process: Process) -> None:
        """Give way to others now and then, for as long as they may need to do something."""
        if self._chance.random() < 0.25:
            await asyncio.sleep(self._chance.uniform(0, SLOWEST_STEP_S))
            process.step()

    def _between(self) -> None:
        self._process.step()
        if self.armed:
            due = [act for steps, act in self.armed if steps <= 0]
            self.armed = [(steps - 1, act) for steps, act in self.armed if steps > 0]
            for act in due:
                act()

    def _watching(self, _root: Path, ring: Callable[[], None]) -> SimWatch:
        self._watch = SimWatch(self._loop, self._chance, ring)
        return self._watch

    def _touched(self, folder: str) -> None:
        if self._watch is not None:
            self._watch.touched(folder)
