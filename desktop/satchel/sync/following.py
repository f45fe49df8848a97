"""The half of a two-way folder's loop that brings the service's news to this disk."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable

from satchel.core.errors import LocalFileError, OfflineError, SatchelError
from satchel.core.ports import Clock
from satchel.core.status import Held
from satchel.journal import Item

from .apply import apply
from .carry import checked, put_in_place, recover
from .failures import Failures
from .follow import follow
from .naming import lasting_name
from .news import gather, held_names, leave_in_peace, leaves_out, standing
from .operations import Fetch
from .outbox import Outbox
from .plan import World
from .ports import Downloads
from .quiet import Quiet
from .remote import Side
from .waiting import Waiting

log = logging.getLogger(__name__)

KEPT_DAYS = 30
"""Days for which the watched folder's own trash, and files that came halfway, are kept."""


class Following:
    """What `RootSync` asks when its root is two-way. `on_fetched(in_step)` hears of each file that has come, or not.

    `due` is when the next turn is wanted, by `Clock.monotonic`; `waiting` counts what has to wait; `touched` are
    folders of this disk that were changed and want to be looked at. A file that came is put in place with the lock
    `between_turns` held: what is decided from a look stays true until it is done.
    """

    def __init__(
        self,
        downloads: Downloads,
        clock: Clock,
        failures: Failures,
        quiet: Quiet,
        on_fetched: Callable[[bool], None],
        *,
        between_turns: asyncio.Lock,
    ) -> None:
        self._downloads = downloads
        self._clock = clock
        self._quiet = quiet
        self._on_fetched = on_fetched
        self._between_turns = between_turns
        self._side: Side | None = None
        self._compared = (-1, -1)
        self.failures = failures
        self.inbox: Outbox[Fetch] = Outbox(self._fetch, self._fetched)
        self.due = 0.0
        self.waiting = 0
        self.mass_delete = 0
        self.held: list[Held] = []
        self.touched: set[str] = set()
        self.offline = False

    def soon(self) -> None:
        """There may be news."""
        self.due = 0.0

    async def prepare(self, side: Side) -> None:
        """Before the disk is looked at: what a crash left aside."""
        await side.blocking(lambda: recover(side))

    async def compare_all(self, side: Side) -> bool:
        """With a full scan: items that ought to be known to differ and are not; and old trash is deleted. True when
        some may be ignored no longer that are not here, so that what is here in their places is to be looked at."""

        def mark() -> bool:
            now, missed = (side.disk.rules_changes(), side.journal.writes), list[Item]()
            # Of 100,000 items it takes a tenth of a look at everything: it is left out where nothing was written.
            if now != self._compared:
                differing = side.tree.differing(side.top, away=now[0] != self._compared[0])
                # How a disk writes its accents is no difference.
                missed = [item for found in differing if (item := checked(side, found)).dirty]
                side.tree.put_many(missed)
                self._compared = now
            with contextlib.suppress(LocalFileError):
                side.disk.tidy((self._clock.now_ms() - KEPT_DAYS * 86_400_000) * 1_000_000)
            return any(not item.here for item in missed)

        self.soon()
        return await side.blocking(mark)

    async def turn(self, side: Side, *, busy: frozenset[str], allowed_deletes: int) -> bool:
        """Carry out what can be now; whether a folder of this disk was moved. Errors that concern everything are
        raised."""
        self._side = side
        now = self._clock.monotonic()
        waiting = Waiting(self._quiet, self.failures, self._clock)
        failed = frozenset(self.failures.paths())
        news = await side.blocking(lambda: gather(side.disk, side.tree, side.top, failed))
        world = World(
            top=side.top,
            new_id=side.new_id,
            digests=await side.blocking(lambda: standing(side.disk, news, side.top)),
            busy=busy | self.inbox.busy,
            quiet=waiting.quiet,
            stays=side.disk.ignored,
            total_files=side.tree.count_files,
            allowed_deletes=allowed_deletes,
            two_way=True,
        )

        made = await side.blocking(lambda: follow(news, world, lambda item: leaves_out(side.disk, news, item)))
        await side.blocking(lambda: leave_in_peace(side, news))
        self.held = held_names(news)
        self.mass_delete = made.mass_delete
        outcome = await apply(side, made.steps, waiting.skip)
        for path, error in outcome.failures.items():
            self.failures.add(path, None, error, now)
        planned = {step.operation.path for step in made.steps} | made.waiting
        for path in self.failures.paths():
            if path not in planned:
                self.failures.clear(path)
        self.touched |= outcome.touched
        self.inbox.put(outcome.fetches)
        self.waiting = len(made.waiting)
        for failure in outcome.failures:
            waiting.skip(failure)
        # What waited for another may go on now.
        self.due = now if outcome.done and made.waiting else now + waiting.soonest
        return outcome.moved

    @property
    def settled(self) -> bool:
        return not (self.inbox.busy or self.waiting or self.touched) and math.isinf(self.due)

    # -- fetching -----------------------------------------------------------------------------------------------------

    def _fetched(self, _operation: Fetch, in_step: bool) -> None:
        if not self.inbox.busy or not in_step:
            self.soon()
        self._on_fetched(in_step)

    async def _fetch(self, operation: Fetch) -> bool:
        side, path = self._side, operation.path
        if side is None:
            return False
        error: SatchelError
        try:
            done = await self._receive(side, operation)
        except SatchelError as failed:
            error = failed
        except Exception as bug:
            log.exception("Fetching %s failed", path)
            error = SatchelError("Satchel ran into a bug", repr(bug))
        else:
            self.failures.clear(path)
            if operation.evict is not None:
                self.touched.add(path.rpartition("/")[0])  # there is a conflicted copy now
            return done
        self.offline = self.offline or isinstance(error, OfflineError)
        self.touched.add(path.rpartition("/")[0])  # somebody may have been quicker here
        self.failures.add(path, None, error, self._clock.monotonic())
        return False

    async def _receive(self, side: Side, operation: Fetch) -> bool:
        """Fetch and give it its place. Raises what a download raises, and the `LocalFileError` family."""
        item = await side.blocking(lambda: side.tree.get(operation.item.item_id))
        if item is None or item.state != "live" or item.revision_id is None:
            return False
        revision_id = item.revision_id
        partial = await side.blocking(lambda: side.disk.partial(revision_id))
        node = await self._downloads.fetch(item.node_id, partial, lasting_name(item))
        async with self._between_turns:
            return await side.blocking(lambda: put_in_place(side, operation, node, partial))
