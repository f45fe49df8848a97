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

from satchel.core.errors import BusyError, LocalFileError, OfflineError, SatchelError, UsageError
from satchel.core.names import conflicted
from satchel.core.ports import Clock, Ids, SystemClock, SystemIds
from satchel.core.status import Held, RootRow
from satchel.disk import Disk, LocalDisk, Watch, watch
from satchel.journal import Journal, WatchedRoot

from .choosing import folders_online, leave_out, take_in
from .failures import Failures
from .following import Following
from .mirror import mirror
from .ports import Blocking, Downloads, Remote, Uploads
from .quiet import Quiet
from .remote import Side, find_top, pull
from .rules import held_deletes
from .sending import Sending

log = logging.getLogger(__name__)

State = Literal["scanning", "syncing", "in_step", "paused", "offline", "attention"]

DEBOUNCE = 0.25
"""Seconds to let a burst of events gather."""

RESCAN = 600.0
RESCAN_BLIND = 60.0
"""Seconds between full rescans, with working events and without."""

PULL = 300.0
PULL_AT_WORK = 15.0
PULL_HEARING = 30.0
"""Seconds between looks at the change log while nothing happens here, and, in a two-way folder, while people work:
without hearing of changes, and with it, for a hint may be lost."""

AT_WORK = 600.0
"""Seconds after a change, here or there, for which people are taken to be at work."""

FAILED_LONGEST = 60.0
"""Seconds until a whole turn that failed is tried again, at most."""

ASTRAY = 60.0
"""Seconds after moving a folder here in which hints may come that call it by its old path."""

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
        self._watcher = watcher
        self._watch: Watch | None = None
        self._sleep = sleep
        self._on_change = on_change
        self._wake = asyncio.Event()
        self._lock = asyncio.Lock()
        self._dirty: set[str] = set()
        self._full = True
        self._quiet = Quiet()
        self._sending = Sending(uploads, self._clock, Failures(self._ids.jitter), self._quiet, self._sent)
        self._following: Following | None = None
        if root.two_way:
            if downloads is None:
                raise ValueError("a two-way root needs downloads")
            failures = Failures(self._ids.jitter)
            self._following = Following(
                downloads, self._clock, failures, self._quiet, self._fetched, between_turns=self._lock
            )
        self._scan_at = 0.0
        self._pull_at = 0.0
        self._at_work_until = 0.0
        self._astray_until = 0.0
        self._attempts = 0
        self._trouble: Held | None = None
        self._offline = False
        self._paused = False
        self._settled = False
        self._allowed_deletes = 0

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
        self._sending.failures.try_all_again()
        while not self._paused:
            await self._turn()
            if self._offline or self._trouble is not None:
                break
            sending, following = self._sending, self._following
            if sending.outbox.working or (following is not None and following.inbox.working):
                await self._some_done()
            elif not self._dirty and not self._full and self._pull_at > 0:
                again = min(sending.due, following.due if following is not None else math.inf)
                if not (sending.waiting or (following is not None and following.waiting)) or math.isinf(again):
                    break
                await self._sleep(max(0.01, again - self._clock.monotonic()))
        return self.status()

    async def _some_done(self) -> None:
        """Wait until there is less to send or to fetch."""
        outbox = self._sending.outbox
        waits = [asyncio.ensure_future(outbox.some_done())] if outbox.working else []
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
        self._sending.outbox.pause()
        if self._following is not None:
            self._following.inbox.pause()
        self._on_change()

    def resume(self) -> None:
        self._paused = False
        self._sending.outbox.resume()
        if self._following is not None:
            self._following.inbox.resume()
        self.rescan()
        self._on_change()

    def retry(self) -> None:
        """Try what failed again, now: somebody asked, or signed in."""
        self._sending.failures.try_all_again()
        self._sending.due = 0.0
        if self._following is not None:
            self._following.failures.try_all_again()
            self._following.soon()
        self.rescan()

    def confirm_deletions(self) -> None:
        """The mass delete that was held back is meant, and no larger one: the next plan carries it out."""
        self._allowed_deletes = self._deletions
        if self._following is not None:
            self._following.soon()
        self.rescan()

    async def leave_out(self, path: str) -> None:
        """Keep a file or folder of a two-way root online and on other computers only. Raises `UsageError` while all
        of it is not in step."""
        await self._choose(lambda: leave_out(self._side, path))

    async def take_in(self, path: str) -> None:
        """Have on this computer what was left out. Raises `UsageError` when it was not."""
        await self._choose(lambda: take_in(self._side, path))

    async def folders_online(self) -> tuple[str, ...]:
        """Names of the folders in the remote one, as far as is known here."""
        side = self._side
        return await side.blocking(lambda: folders_online(side)) if side.root.remote_node is not None else ()

    async def _choose(self, choice: Callable[[], None]) -> None:
        if self._following is None:
            raise UsageError(
                "This folder only uploads", "All that is in it is on this computer anyway.", path=self._side.root.path
            )
        async with self._lock:
            await self._check_place()
            try:
                await self._side.blocking(choice)
            finally:
                self.rescan()

    async def close(self) -> None:
        """Stop watching and sending; the journal knows how to go on."""
        await self._sending.outbox.close()
        if self._following is not None:
            await self._following.inbox.close()
        if self._watch is not None:
            watching, self._watch = self._watch, None
            await self._side.blocking(watching.close)

    def status(self) -> RootRow:
        root = self._side.root
        sending, following = self._sending, self._following
        held, waiting = sending.held, sending.waiting
        if following is not None:
            held += [*following.held, *following.failures.held()]
            waiting += len(following.inbox.busy) + following.waiting
            if following.mass_delete:
                held.insert(0, held_deletes(following.mass_delete, "here"))
        if sending.mass_delete:
            held.insert(0, held_deletes(sending.mass_delete, "online"))
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
            last_full_scan_ms=sending.last_full_scan_ms,
            deletions=self._deletions,
            left_out=sending.left_out,
        )

    @property
    def _deletions(self) -> int:
        """Files whose deletion, on either side, waits for a person's word."""
        return self._sending.mass_delete + (self._following.mass_delete if self._following is not None else 0)

    def _state(self, held: list[Held]) -> State:
        busy: State = "scanning" if self._sending.last_full_scan_ms is None else "syncing"
        states: list[tuple[object, State]] = [
            (self._paused, "paused"),
            (self._trouble, "attention"),
            (self._offline, "offline"),
            (not self._settled or self._sending.acting, busy),
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
        self._sending.due = self._clock.monotonic() + pause
        # What this turn would have looked at is not known any more.
        self._full = True

    async def _look_and_act(self) -> None:
        self._take_hints()
        now = self._clock.monotonic()
        full = self._full or now >= self._scan_at
        folders = self._dirty | (self._sending.later if self._dirty or now >= self._sending.due else set())
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
                busy=frozenset(self._sending.outbox.busy),
                allowed_deletes=self._allowed_deletes,
            )
            self._take_touched()
            self._look_everywhere(moved)
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
        at_work = following is not None and now < self._at_work_until
        every = (PULL_HEARING if self._hears() else PULL_AT_WORK) if at_work else PULL
        self._pull_at = min(self._pull_at, now + every)

    async def _cursor(self) -> int | None:
        return await self._side.blocking(lambda: self._side.journal.roots.cursor(self._side.root.root_id))

    async def _bring_in_step(self, folders: set[str] | None) -> None:
        following = self._following
        # A rescan that was asked for while the log was read is not done with a look at these folders.
        self._full, self._dirty = self._full and folders is not None, self._dirty - (folders or self._dirty)
        busy = frozenset(following.inbox.busy if following is not None else ())
        blind = self._watch is None or self._watch.problem is not None
        allowed = self._allowed_deletes
        looked = await self._sending.turn(self._side, folders, busy=busy, allowed_deletes=allowed, blind=blind)
        self._settled = self._settled and not looked.acted
        now = self._clock.monotonic()
        if folders is None:
            if following is not None:
                self._full = await following.compare_all(self._side) or self._full
            self._scan_at = now + (RESCAN_BLIND if blind else RESCAN)
        else:
            self._full |= looked.rules or looked.unsure or (looked.astray and now < self._astray_until)
        self._look_everywhere(looked.moved)
        if following is not None and looked.behind:
            self._pull_at = 0.0
        if following is not None and looked.acted:
            following.soon()
            self._at_work_until = now + AT_WORK
        self._take_touched()

    def _look_everywhere(self, moved: bool) -> None:
        """Where a folder of this disk was moved: what was written in it lately was told of by its old path, or is yet
        to be, and what waited for it has that path, too."""
        if moved:
            self._full, self._astray_until = True, self._clock.monotonic() + ASTRAY

    def _take_touched(self) -> None:
        for half in (self._sending, self._following):
            if half is not None:
                self._dirty |= half.touched
                half.touched = set()
                self._offline, half.offline = self._offline or half.offline, False

    async def _conclude(self) -> None:
        """Whether all is done that can be."""
        following = self._following
        self._settled = self._sending.settled and not (self._dirty or self._full)
        if following is not None:
            self._settled = self._settled and following.settled
        if self._settled:
            if not self._deletions:  # else they may have been confirmed after this plan was made
                self._allowed_deletes = 0
            self._quiet.clear()
            await self._sending.tidy()

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

    # -- files on their way -------------------------------------------------------------------------------------------

    def _sent(self, in_step: bool) -> None:
        if self._following is not None and not self._sending.outbox.busy:
            self._following.soon()  # what is to come may have waited for what was on its way
        self._settled = False
        self._take_touched()
        if not in_step and self._following is not None:
            self._pull_at = 0.0  # somebody else may have been quicker: the log tells
        if self._dirty:
            self._wake.set()
        self._on_change()

    def _fetched(self, in_step: bool) -> None:
        self._settled = False
        self._take_touched()
        if not in_step:
            self._pull_at = 0.0  # it may be gone, or newer: the log tells
        following = self._following
        if not in_step or self._dirty or (following is not None and following.due <= self._clock.monotonic()):
            self._wake.set()
        self._on_change()

    def _conflicted(self, name: str, number: int) -> str:
        day = time.strftime("%Y-%m-%d", time.localtime(self._clock.now_ms() / 1000))
        return conflicted(name, self._host, day, number)

    # -- waiting ------------------------------------------------------------------------------------------------------

    async def _wait(self) -> None:
        """Until something happened here or is due; notices when the machine slept meanwhile."""
        again = self._sending.due
        due = [self._scan_at, self._pull_at, again, self._following.due if self._following else math.inf]
        if self._full or self._dirty:
            due.append(again if self._offline or self._trouble else 0.0)
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


def _ring(loop: asyncio.AbstractEventLoop, wake: asyncio.Event) -> None:
    with contextlib.suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(wake.set)
