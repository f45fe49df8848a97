"""Looking at every byte of watched folders, and remembering what that found."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from satchel.core.errors import LocalFileError
from satchel.core.ports import Clock
from satchel.core.status import Difference, Verified, Verifying
from satchel.disk import LocalDisk
from satchel.journal import Journal, WatchedRoot
from satchel.sync import Remote, Tally, verify

TOLD_EVERY = 0.2
"""Seconds between two events that say how far it is."""

_FOUND = "verified:"


class Verification:
    """Use it on the engine's loop. What was found last stays in the journal, in its settings."""

    def __init__(self, journal: Journal, remote: Remote, clock: Clock) -> None:
        self._journal = journal
        self._remote = remote
        self._clock = clock
        self._last: dict[str, Verified] = {}
        for root in journal.roots.all():
            kept = journal.settings.get(_FOUND + root.root_id)
            if kept is not None:
                self._last[root.root_id] = msgspec.json.decode(kept, type=Verified)

    def last(self, root_id: str) -> Verified | None:
        return self._last.get(root_id)

    def forget(self, root_id: str) -> None:
        self._last.pop(root_id, None)
        self._journal.settings.set(_FOUND + root_id, None)

    async def run(self, root: WatchedRoot, emit: Callable[[Any], None]) -> None:
        """Compare all of a root; `emit` gets `Verifying` and each `Difference`. Raises what the service raises."""
        loop, tally = asyncio.get_running_loop(), Tally()
        began, began_ms = self._clock.monotonic(), self._clock.now_ms()
        expected = self._journal.tree(root.root_id).count_files()
        pool = ThreadPoolExecutor(1, "verify", initializer=_give_way)

        async def tell() -> None:
            while True:
                emit(Verifying(root.path, tally.files, max(expected, tally.files), tally.size))
                await asyncio.sleep(TOLD_EVERY)

        telling = asyncio.create_task(tell())
        try:
            await verify(
                root,
                LocalDisk(Path(root.path)),
                self._remote,
                tally,
                blocking=lambda work: loop.run_in_executor(pool, work),
                found=emit,
            )
        except LocalFileError as gone:
            tally.held += 1
            emit(Difference(root.path, "", "held", gone.title, gone.message))
        finally:
            telling.cancel()
            pool.shutdown(wait=False, cancel_futures=True)
        missing = tally.only_there if root.two_way else 0
        made = Verified(
            began_ms,
            round(self._clock.monotonic() - began, 3),
            files=tally.files,
            size=tally.size,
            equal=tally.equal,
            differing=tally.differing,
            only_here=tally.only_here,
            only_there=tally.only_there,
            held=tally.held,
            ok=not (tally.differing or tally.only_here or tally.held or missing),
        )
        self._last[root.root_id] = made
        self._journal.settings.set(_FOUND + root.root_id, msgspec.json.encode(made).decode())


def _give_way() -> None:
    """What people wait for goes before. Only Linux has a priority for a thread alone."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 15)
