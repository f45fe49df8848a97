"""The half of a folder's loop that brings the service in step with this disk."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass

from satchel.core.errors import FileChangedError, LocalFileError, OfflineError, SatchelError
from satchel.core.ports import Clock
from satchel.core.status import Held

from .apply import apply
from .dirt import doubtful
from .failures import Failures
from .observe import digests, observe, relative, still_held
from .operations import Upload
from .outbox import Outbox
from .plan import World, detached, plan
from .ports import Uploads
from .quiet import Quiet
from .remote import Side
from .send import send
from .waiting import Waiting

log = logging.getLogger(__name__)

POSTPONED = 1.0
"""Seconds until another look, when a folder has to be moved out of the way first."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at the disk led to. `acted` tells that something had to be done, or has to wait; `rules` that other
    names may be ignored than at the last full look; `astray` that a folder to look at was not there; `unsure` that only
    a full look can tell what became of something; `behind` that the service refused something, so that its log may have
    news; `moved` that a folder of this disk was renamed to make way."""

    acted: bool
    rules: bool
    astray: bool
    unsure: bool
    behind: bool
    moved: bool


class Sending:
    """What `RootSync` asks when something may have changed here. `on_sent(in_step)` hears of each file that has gone,
    or not.

    `touched` folders want to be looked at again; those that are `later` do when `due` has come, by `Clock.monotonic`.
    """

    def __init__(
        self,
        uploads: Uploads,
        clock: Clock,
        failures: Failures,
        quiet: Quiet,
        on_sent: Callable[[bool], None],
    ) -> None:
        self._uploads = uploads
        self._clock = clock
        self._quiet = quiet
        self._on_sent = on_sent
        self._side: Side | None = None
        self._held: dict[str, tuple[Held, ...]] = {}
        self._waiting: set[str] = set()
        self._arrived: set[str] = set()
        self._rules = 0
        self._tidied = False
        self.failures = failures
        self.outbox: Outbox[Upload] = Outbox(self._send, self._sent)
        self.touched: set[str] = set()
        self.later: set[str] = set()
        self.due = math.inf
        self.mass_delete = 0
        self.offline = False
        self.acting = False
        """Whether something is being carried out, which may take long."""
        self.last_full_scan_ms: int | None = None
        self.left_out: tuple[str, ...] = ()

    @property
    def waiting(self) -> int:
        """Paths that have to wait, or that are on their way."""
        return len(self.outbox.busy) + len(self._waiting)

    @property
    def settled(self) -> bool:
        return not (self.outbox.busy or self._waiting or self.touched)

    @property
    def held(self) -> list[Held]:
        return [*relative(self._held), *self.failures.held()]

    async def turn(
        self, side: Side, folders: set[str] | None, *, busy: frozenset[str], allowed_deletes: int, blind: bool
    ) -> Looked:
        """Look at these folders, or at everything, plan, carry out, and begin to send. `busy` are items whose bytes are
        coming; `blind` tells that nobody sees what happens in the others. Errors that concern everything are raised."""
        self._side = side
        # Taken before looking: what arrives meanwhile would be seen half here and half there.
        busy |= frozenset(self.outbox.busy)
        top = side.top if side.root.two_way else None
        seen = await side.blocking(lambda: observe(side.disk, side.tree, folders, top))
        rules = folders is not None and seen.rules != self._rules
        if folders is None:
            self._held, self._rules = seen.held, seen.rules
            self.last_full_scan_ms = self._clock.now_ms()
            self.left_out = await side.blocking(side.disk.left_out) if top is not None else ()
        else:
            self._held = await side.blocking(lambda: still_held(side.disk, self._held, seen))
        if seen.absent:
            await side.blocking(lambda: side.tree.put_many(detached(item) for item in seen.absent))
        waiting = Waiting(self._quiet, self.failures, self._clock)
        world = World(
            top=side.top,
            new_id=side.new_id,
            digests=await side.blocking(lambda: digests(side.disk, doubtful(seen.dirt, busy))),
            busy=busy,
            quiet=waiting.quiet,
            stays=lambda path, kind: seen.stays(side.disk, path, kind),
            total_files=side.tree.count_files,
            allowed_deletes=allowed_deletes,
            two_way=side.root.two_way,
            blind=blind and folders is not None,
        )
        made = await side.blocking(lambda: plan(seen.dirt, world))
        self.mass_delete = made.mass_delete
        self.acting = acts = bool(made.steps or made.waiting)
        now = self._clock.monotonic()
        outcome = await apply(side, made.steps, waiting.skip)
        for path, error in outcome.failures.items():
            self.failures.add(path, None, error, now)
        self.outbox.put(outcome.uploads)
        self.touched |= outcome.touched | {_above(path) for path in outcome.left}
        self._waiting = set(made.waiting) - waiting.blocked
        self.later = {_above(path) for path in made.waiting | waiting.blocked | outcome.later}
        if made.mass_delete:
            self.later.update(difference.folder for difference in seen.dirt.differences)
        self.due = self._clock.monotonic() + min(waiting.soonest, POSTPONED if made.postponed else math.inf)
        planned = {step.operation.path for step in made.steps} | made.waiting
        for path in self.failures.paths():
            if (folders is None or _above(path) in folders) and path not in planned:
                self.failures.clear(path)
        self.acting = False
        return Looked(acts, rules, seen.astray, made.unsure, outcome.behind, outcome.moved)

    async def tidy(self) -> None:
        """Once all is in step: what an earlier run left unfinished is wanted no more."""
        side = self._side
        if side is not None and not self._tidied and not self.failures.paths():
            await self._uploads.give_up_left(side.root.root_id)
            self._tidied = True

    # -- files on their way -------------------------------------------------------------------------------------------

    def _sent(self, upload: Upload, in_step: bool) -> None:
        (self._arrived if in_step else self.touched).add(_above(upload.path))
        if not self.outbox.busy:
            # One more look, where bytes went, before anything is said to be in step.
            self.touched |= self._arrived
            self._arrived = set()
        self._on_sent(in_step)

    async def _send(self, upload: Upload) -> bool:
        """Whether the file is in step now, as far as is known."""
        side, path, stamp = self._side, upload.path, (upload.entry.size, upload.entry.mtime_ns)
        if side is None:
            return False
        error: SatchelError
        try:
            done = await send(side, self._uploads, upload)
        except FileChangedError:
            self._quiet.restless(path, self._clock.monotonic())
            return False
        except SatchelError as refused:
            error = refused
        except Exception as bug:
            log.exception("Sending %s failed", path)
            error = SatchelError("Satchel ran into a bug", repr(bug))
        else:
            self.failures.clear(path)
            self._quiet.forget(path)
            return done
        self.offline = self.offline or isinstance(error, OfflineError)
        if not (isinstance(error, LocalFileError) and await _is_gone(side, path)):
            self.failures.add(path, stamp, error, self._clock.monotonic())
        return False


async def _is_gone(side: Side, path: str) -> bool:
    try:
        return await side.blocking(lambda: side.disk.stat(path)) is None
    except LocalFileError:
        return False


def _above(path: str) -> str:
    return path.rpartition("/")[0]
