"""Keeping one watched folder in step: the control loop.

hints -> a moment's patience -> the log -> look at the dirty folders -> plan -> apply -> send
                                        -> in a two-way folder then: the news -> follow -> apply -> fetch

One coroutine decides; files are sent beside it, so that a long upload holds nothing up. Whatever is not finished (not
quiet yet, refused, on its way) stays dirty and is looked at again. A full rescan runs on a period, after waking up and
whenever events were lost, because events are only hints.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Literal

from satchel.core.errors import BusyError, FileChangedError, LocalFileError, OfflineError, SatchelError
from satchel.core.names import conflicted
from satchel.core.ports import Clock, Ids, SystemClock, SystemIds
from satchel.core.status import Held, RootRow
from satchel.disk import Disk, LocalDisk, Watch, watch
from satchel.journal import Journal, WatchedRoot

from .apply import apply
from .dirt import doubtful
from .failures import Failures
from .following import Following
from .mirror import mirror
from .observe import digests, observe, relative, still_held
from .operations import Upload
from .outbox import Outbox
from .plan import World, plan
from .ports import Blocking, Downloads, Remote, Uploads
from .quiet import Quiet
from .remote import Side, find_top, pull
from .rules import held_deletes
from .send import send
from .waiting import Waiting

log = logging.getLogger(__name__)

State = Literal["scanning", "syncing", "in_step", "paused", "offline", "attention"]

DEBOUNCE = 0.25
"""Seconds to let a burst of events gather."""

RESCAN = 600.0
RESCAN_BLIND = 60.0
"""Seconds between full rescans, with working events and without."""

PULL = 300.0
PULL_AT_WORK = 15.0
"""Seconds between looks at the change log while nothing happens here, and, in a two-way folder, while people work."""

AT_WORK = 600.0
"""Seconds after a change, here or there, for which people are taken to be at work."""

FAILED_LONGEST = 60.0
"""Seconds until a whole turn that failed is tried again, at most."""

ASTRAY = 60.0
"""Seconds after moving a folder here in which hints may come that call it by its old path."""

POSTPONED = 1.0
"""Seconds until another look, when a folder has to be moved out of the way first."""

TICK = 30.0
"""The longest single wait, so that a sleep of the machine is noticed soon after."""

SLEPT = 60_000
"""A wall clock that is ahead by so many milliseconds after a wait means that the machine slept."""

WatchFactory = Callable[[Path, Callable[[], None]], Watch]


class RootSync:
    """Everything that keeps one root in step. Use it from one event loop; `on_change` is called when `status` differs.

    `downloads` are needed for a two-way root; `hears` tells whether `remote_changed` will be called when there is
    something new, so that it need not be asked for often; `host` names this computer in conflicted copies. `blocking`
    runs disk and journal work; `sleep` and `clock` are injected so that a test can own time.
    """

    def __init__(
        self,
        root: WatchedRoot,
        journal: Journal,
        remote: Remote,
        uploads: Uploads,
        *,
        blocking: Blocking,
        downloads: Downloads | None = None,
        hears: Callable[[], bool] = lambda: False,
        host: str = "",
        disk: Disk | None = None,
        watcher: WatchFactory | None = watch,
        clock: Clock | None = None,
        ids: Ids | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self._clock = clock or SystemClock()
        self._ids = ids or SystemIds()
        own_disk: Disk = disk or LocalDisk(Path(root.path))
        self._side = Side(root, journal, own_disk, remote, blocking, self._ids.new_id, self._conflicted)
        self._hears = hears
        self._host = host
        self._uploads = uploads
        self._watcher = watcher
        self._watch: Watch | None = None
        self._sleep = sleep
        self._on_change = on_change
        self._wake = asyncio.Event()
        self._lock = asyncio.Lock()
        self._outbox: Outbox[Upload] = Outbox(self._send, self._sent)
        self._sent_in: set[str] = set()
        self._dirty: set[str] = set()
        self._later: set[str] = set()
        self._waiting: set[str] = set()
        self._full = True
        self._quiet = Quiet()
        self._failures = Failures(self._ids.jitter)
        self._following: Following | None = None
        if root.two_way:
            if downloads is None:
                raise ValueError("a two-way root needs downloads")
            self._following = Following(downloads, self._clock, Failures(self._ids.jitter), self._quiet, self._fetched)
        self._scan_at = 0.0
        self._pull_at = 0.0
        self._at_work_until = 0.0
        self._astray_until = 0.0
        self._look_at = math.inf
        self._attempts = 0
        self._held: dict[str, tuple[Held, ...]] = {}
        self._trouble: Held | None = None
        self._offline = False
        self._paused = False
        self._settled = False
        self._tidied = False
        self._rules = 0
        self._mass_delete = 0
        self._allowed_deletes = 0
        self._last_full_scan_ms: int | None = None

    # -- what others may ask for --------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep in step until cancelled."""
        loop = asyncio.get_running_loop()
        if self._watcher is not None:
            watcher, root = self._watcher, Path(self._side.root.path)
            self._watch = await self._side.blocking(lambda: watcher(root, lambda: _ring(loop, self._wake)))
        try:
            while True:
                if not self._paused:
                    await self._turn()
                await self._wait()
        finally:
            await self.close()

    async def sync_once(self) -> RootRow:
        """Look at everything, bring it in step as far as it goes, and say how it ended. Returns when nothing more can
        be done now; what is held back is in the answer."""
        self._full = True
        self._failures.try_all_again()
        while not self._paused:
            await self._turn()
            if self._offline or self._trouble is not None:
                break
            following = self._following
            if self._outbox.working or (following is not None and following.inbox.working):
                await self._some_done()
            elif not self._dirty and not self._full and self._pull_at > 0:
                again = min(self._look_at, following.due if following is not None else math.inf)
                if not (self._waiting or (following is not None and following.waiting)) or math.isinf(again):
                    break
                await self._sleep(max(0.01, again - self._clock.monotonic()))
        return self.status()

    async def _some_done(self) -> None:
        """Wait until there is less to send or to fetch."""
        waits = [asyncio.ensure_future(self._outbox.some_done())] if self._outbox.working else []
        if self._following is not None and self._following.inbox.working:
            waits.append(asyncio.ensure_future(self._following.inbox.some_done()))
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def rescan(self) -> None:
        """Look at everything soon."""
        self._full = True
        self._wake.set()

    def remote_changed(self) -> None:
        """Somebody said that the change log has grown: look at it now."""
        self._pull_at = 0.0
        self._wake.set()

    def pause(self) -> None:
        """Start nothing new; files on their way are the transfer's to pause."""
        self._paused = True
        self._outbox.pause()
        if self._following is not None:
            self._following.inbox.pause()
        self._on_change()

    def resume(self) -> None:
        self._paused = False
        self._outbox.resume()
        if self._following is not None:
            self._following.inbox.resume()
        self.rescan()
        self._on_change()

    def retry(self) -> None:
        """Try what failed again, now: somebody asked, or signed in."""
        self._failures.try_all_again()
        if self._following is not None:
            self._following.failures.try_all_again()
            self._following.soon()
        self._look_at = 0.0
        self.rescan()

    def confirm_deletions(self) -> None:
        """The mass delete that was held back is meant, and no larger one: the next plan carries it out."""
        self._allowed_deletes = self._deletions
        if self._following is not None:
            self._following.soon()
        self.rescan()

    async def close(self) -> None:
        """Stop watching and sending; the journal knows how to go on."""
        await self._outbox.close()
        if self._following is not None:
            await self._following.inbox.close()
        if self._watch is not None:
            watching, self._watch = self._watch, None
            await self._side.blocking(watching.close)

    def status(self) -> RootRow:
        root = self._side.root
        held = [*relative(self._held), *self._failures.held()]
        following, waiting = self._following, len(self._outbox.busy) + len(self._waiting)
        if following is not None:
            held += [*following.held, *following.failures.held()]
            waiting += len(following.inbox.busy) + following.waiting
            if following.mass_delete:
                held.insert(0, held_deletes(following.mass_delete, "here"))
        if self._mass_delete:
            held.insert(0, held_deletes(self._mass_delete, "online"))
        if self._trouble is not None:
            held.insert(0, self._trouble)
        blind = self._watch.problem if self._watch is not None else None
        return RootRow(
            root.root_id,
            root.path,
            root.remote_path,
            root.mode,
            self._state(held),
            waiting=waiting,
            held=tuple([*held, blind] if blind is not None else held),
            last_full_scan_ms=self._last_full_scan_ms,
            deletions=self._deletions,
        )

    @property
    def _deletions(self) -> int:
        """Files whose deletion, on either side, waits for a person's word."""
        return self._mass_delete + (self._following.mass_delete if self._following is not None else 0)

    def _state(self, held: list[Held]) -> State:
        busy: State = "scanning" if self._last_full_scan_ms is None else "syncing"
        states: list[tuple[object, State]] = [
            (self._paused, "paused"),
            (self._trouble, "attention"),
            (self._offline, "offline"),
            (not self._settled, busy),
            (held, "attention"),
        ]
        return next((state for condition, state in states if condition), "in_step")

    # -- one turn -----------------------------------------------------------------------------------------------------

    async def _turn(self) -> None:
        """Look, plan, apply and start sending; errors become trouble that is tried again."""
        async with self._lock:
            before = self.status()
            try:
                await self._look_and_act()
                self._offline, self._trouble, self._attempts = False, None, 0
            except (OfflineError, BusyError):
                self._stumble(None)
                self._offline = True
            except SatchelError as error:
                self._stumble(Held(error.path or "", error.title, error.message or "It is tried again in a while."))
            except Exception as error:
                # One root's bug must neither end the others nor pass for being in step.
                log.exception("Keeping %s in step failed", self._side.root.path)
                self._stumble(Held("", f"Satchel ran into a bug: {error!r}", "It is tried again; please report it."))
            if self.status() != before:
                self._on_change()

    def _stumble(self, trouble: Held | None) -> None:
        self._attempts += 1
        pause = min(FAILED_LONGEST, 2.0 ** min(self._attempts, 10)) * (1 + self._ids.jitter() / 4)
        self._trouble, self._settled = trouble, False
        self._look_at = self._clock.monotonic() + pause
        # What this turn would have looked at is not known any more.
        self._full = True

    async def _look_and_act(self) -> None:
        self._take_hints()
        now = self._clock.monotonic()
        full = self._full or now >= self._scan_at
        folders = self._dirty | (self._later if self._dirty or now >= self._look_at else set())
        following = self._following
        if not full and not folders and now < self._pull_at and (following is None or now < following.due):
            return
        await self._check_place()
        await self._read_log()
        if following is not None:
            await following.prepare(self._side)
        if full or folders:
            await self._bring_in_step(None if full else folders)
        if following is not None and self._clock.monotonic() >= following.due:
            moved = await following.turn(
                self._side,
                busy=frozenset(self._outbox.busy),
                total_files=await self._side.blocking(self._side.tree.count_files),
                allowed_deletes=self._allowed_deletes,
            )
            self._dirty |= following.touched
            following.touched = set()
            if moved:
                # What others wrote in it lately was told of by its old path, or is yet to be.
                self._full, self._astray_until = True, self._clock.monotonic() + ASTRAY
        await self._conclude()

    async def _read_log(self) -> None:
        if self._side.root.remote_node is None:
            self._side = await find_top(self._side)
        read, following = (pull, None) if self._following is None else (mirror, self._following)
        before = await self._cursor()
        # A call of `remote_changed` while this reads asks for another look.
        self._pull_at = math.inf
        while not await read(self._side):
            self._side = await find_top(replace(self._side, root=replace(self._side.root, remote_node=None)))
        now = self._clock.monotonic()
        if following is not None and await self._cursor() != before:
            following.soon()
            self._settled = False
            self._at_work_until = now + AT_WORK
        at_work = following is not None and now < self._at_work_until and not self._hears()
        self._pull_at = min(self._pull_at, now + (PULL_AT_WORK if at_work else PULL))

    async def _cursor(self) -> int | None:
        return await self._side.blocking(lambda: self._side.journal.roots.cursor(self._side.root.root_id))

    async def _bring_in_step(self, folders: set[str] | None) -> None:
        side = self._side
        # A rescan that was asked for while the log was read is not done with a look at these folders.
        self._full, self._dirty = self._full and folders is not None, self._dirty - (folders or self._dirty)
        # Taken before looking: what arrives meanwhile would be seen half here and half there.
        following = self._following
        busy = frozenset(self._outbox.busy | (following.inbox.busy if following is not None else set()))
        top = side.top if following is not None else None
        seen = await side.blocking(lambda: observe(side.disk, side.tree, folders, top))
        if folders is None:
            if following is not None:
                await following.compare_all(side)
            self._held, self._rules = seen.held, seen.rules
            self._last_full_scan_ms = self._clock.now_ms()
            blind = self._watch is None or self._watch.problem is not None
            self._scan_at = self._clock.monotonic() + (RESCAN_BLIND if blind else RESCAN)
        else:
            self._held = await side.blocking(lambda: still_held(side.disk, self._held, seen))
            # Other names may be ignored than those that the last full scan left out.
            self._full = self._full or seen.rules != self._rules
            self._full = self._full or (seen.astray and self._clock.monotonic() < self._astray_until)
        waiting = Waiting(self._quiet, self._failures, self._clock)
        world = World(
            top=side.top,
            new_id=self._ids.new_id,
            digests=await side.blocking(lambda: digests(side.disk, doubtful(seen.dirt, busy))),
            busy=busy,
            quiet=waiting.quiet,
            stays=lambda path, kind: seen.stays(side.disk, path, kind),
            total_files=await side.blocking(side.tree.count_files),
            allowed_deletes=self._allowed_deletes,
            two_way=following is not None,
        )
        made = await side.blocking(lambda: plan(seen.dirt, world))
        self._mass_delete = made.mass_delete
        # Not at the end of the turn: carrying it out may take long.
        self._settled = self._settled and not (made.steps or made.waiting)
        now = self._clock.monotonic()
        outcome = await apply(side, made.steps, waiting.skip)
        for path, error in outcome.failures.items():
            self._failures.add(path, None, error, now)
        if outcome.behind and following is not None:
            self._pull_at = 0.0
        self._outbox.put(outcome.uploads)
        self._dirty |= outcome.touched
        self._waiting = set(made.waiting) - waiting.blocked
        self._later = {_above(path) for path in made.waiting | waiting.blocked}
        if made.mass_delete:
            self._later.update(difference.folder for difference in seen.dirt.differences)
        self._look_at = self._clock.monotonic() + min(waiting.soonest, POSTPONED if made.postponed else math.inf)
        if following is not None and (made.steps or made.waiting):
            following.soon()
            self._at_work_until = now + AT_WORK
        planned = {step.operation.path for step in made.steps} | made.waiting
        for path in self._failures.paths():
            if (folders is None or _above(path) in folders) and path not in planned:
                self._failures.clear(path)

    async def _conclude(self) -> None:
        """Whether all is done that can be."""
        following = self._following
        self._settled = not (self._dirty or self._waiting or self._outbox.busy or self._full)
        if following is not None:
            self._settled = self._settled and following.settled
        if self._settled:
            if not self._deletions:  # else they may have been confirmed after this plan was made
                self._allowed_deletes = 0
            self._quiet.clear()
            if not self._tidied and not self._failures.paths():
                await self._uploads.give_up_left(self._side.root.root_id)
                self._tidied = True

    def _take_hints(self) -> None:
        if self._watch is None:
            return
        hints = self._watch.take()
        self._dirty |= hints.folders
        self._full = self._full or hints.everything
        for path in hints.closed:
            self._quiet.closed(path, self._clock.monotonic())

    async def _check_place(self) -> None:
        """An unmounted or swapped folder must never be read as an emptied one."""
        root = self._side.root
        found = await self._side.blocking(self._side.disk.root_id)
        if found != root.root_id:
            raise LocalFileError(
                "The watched folder is not there" if found is None else "This is another watched folder",
                "Connect its disk or put the folder back. If it is the right folder, remove it from Satchel and add it "
                "again: nothing in step is sent again.",
                path=root.path,
            )

    # -- sending ------------------------------------------------------------------------------------------------------

    def _sent(self, upload: Upload, in_step: bool) -> None:
        (self._sent_in if in_step else self._dirty).add(_above(upload.path))
        if not self._outbox.busy:
            # One more look, where bytes went, before anything is said to be in step.
            self._dirty |= self._sent_in
            self._sent_in = set()
            if self._following is not None:
                self._following.soon()  # what is to come may have waited for what was on its way
        self._settled = False
        if not in_step and self._following is not None:
            self._pull_at = 0.0  # somebody else may have been quicker: the log tells
        if self._dirty:
            self._wake.set()
        self._on_change()

    def _fetched(self, in_step: bool) -> None:
        self._settled = False
        following = self._following
        if following is not None:
            self._offline, following.offline = self._offline or following.offline, False
            self._dirty |= following.touched
            following.touched = set()
        if not in_step:
            self._pull_at = 0.0  # it may be gone, or newer: the log tells
        if not in_step or self._dirty or (following is not None and following.due <= self._clock.monotonic()):
            self._wake.set()
        self._on_change()

    def _conflicted(self, name: str, number: int) -> str:
        day = time.strftime("%Y-%m-%d", time.localtime(self._clock.now_ms() / 1000))
        return conflicted(name, self._host, day, number)

    async def _send(self, upload: Upload) -> bool:
        """Whether the file is in step now, as far as is known."""
        path, stamp = upload.path, (upload.entry.size, upload.entry.mtime_ns)
        error: SatchelError
        try:
            done = await send(self._side, self._uploads, upload)
        except FileChangedError:
            self._quiet.restless(path, self._clock.monotonic())
            return False
        except SatchelError as refused:
            error = refused
        except Exception as bug:
            log.exception("Sending %s failed", path)
            error = SatchelError("Satchel ran into a bug", repr(bug))
        else:
            self._failures.clear(path)
            self._quiet.forget(path)
            return done
        self._offline = self._offline or isinstance(error, OfflineError)
        if not (isinstance(error, LocalFileError) and await self._is_gone(path)):
            self._failures.add(path, stamp, error, self._clock.monotonic())
        return False

    async def _is_gone(self, path: str) -> bool:
        try:
            return await self._side.blocking(lambda: self._side.disk.stat(path)) is None
        except LocalFileError:
            return False

    # -- waiting ------------------------------------------------------------------------------------------------------

    async def _wait(self) -> None:
        """Until something happened here or is due; notices when the machine slept meanwhile."""
        due = [self._scan_at, self._pull_at, self._look_at, self._following.due if self._following else math.inf]
        if self._full or self._dirty:
            due.append(self._look_at if self._offline or self._trouble else 0.0)
            due = due[-1:]
        wall = self._clock.now_ms()
        pause = TICK if self._paused else min(TICK, max(0.0, min(due) - self._clock.monotonic()))
        waker, sleeper = asyncio.ensure_future(self._wake.wait()), asyncio.ensure_future(self._sleep(pause))
        try:
            await asyncio.wait([waker, sleeper], return_when=asyncio.FIRST_COMPLETED)
        finally:
            waker.cancel()
            sleeper.cancel()
        if self._wake.is_set():
            await self._sleep(DEBOUNCE)
            self._wake.clear()
        if self._clock.now_ms() - wall > pause * 1000 + SLEPT:
            self._full = True
            self._attempts = 0


def _above(path: str) -> str:
    return path.rpartition("/")[0]


def _ring(loop: asyncio.AbstractEventLoop, wake: asyncio.Event) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(wake.set)
