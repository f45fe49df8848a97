"""Reaching the engine of a home: the one that runs, or one started in this process."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING

from satchel.core.errors import EngineError

from .control import ControlServer, EngineClient
from .home import prepared
from .lock import HomeLock
from .logs import start_logging, stop_logging

if TYPE_CHECKING:
    from .services import Services

PATIENCE = 20.0
"""Seconds for an engine that holds the lock to answer: it may be starting, or about to end."""


def connect(
    home: Path,
    host: bool = True,
    *,
    resident: bool = True,
    services: Services | None = None,
    patience: float = PATIENCE,
) -> EngineClient:
    """A line to the engine of `home`; when none runs and `host` is true, one is started in this process.

    A `resident` engine goes on with what an earlier run left and keeps watched folders in step; one that is not does
    what it is asked only. `close()` of the result ends an engine that was started here. Raises `EngineError`, and
    `JournalError` or `UsageError` when journal or settings stop the engine from starting.
    """
    home = prepared(home)
    deadline = time.monotonic() + patience
    while True:
        try:
            return EngineClient(home)
        except EngineError:
            if not host:
                raise
        lock = HomeLock(home)
        if lock.acquire():
            try:
                return HostedEngine(home, lock, resident, services)
            except BaseException:
                lock.release()
                raise
        if time.monotonic() > deadline:
            raise EngineError(
                "Another Satchel has this home and does not answer", "End it, then try again.", path=str(home)
            )
        time.sleep(0.05)


class HostedEngine(EngineClient):
    """A line to an engine that runs in this process, in a thread of its own."""

    def __init__(self, home: Path, lock: HomeLock, resident: bool, services: Services | None = None) -> None:
        self._lock = lock
        self._log = start_logging(home)
        self._ended = threading.Event()
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._server: ControlServer | None = None
        started: Future[None] = Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._run(home, resident, services, started)), name="engine", daemon=True
        )
        self._thread.start()
        try:
            started.result()
            super().__init__(home)
        except BaseException:
            self._finish()
            stop_logging(self._log)
            raise

    def close(self) -> None:
        """End the engine; what others have asked it for is finished first. May be called again."""
        if self._ended.is_set():
            return
        self._ended.set()
        while self._server is not None and self._server.busy(but=("watch",)):
            time.sleep(0.05)
        self._finish()
        stop_logging(self._log)
        self._lock.release()

    def _finish(self) -> None:
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=15)

    async def _run(self, home: Path, resident: bool, services: Services | None, started: Future[None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        try:
            from .engine import Engine  # noqa: PLC0415 - a client of a running engine needs none of it

            engine = Engine(home, services)
            try:
                await engine.start(resident=resident)
                self._server = ControlServer(home, self._loop, engine.handle)
            except BaseException:
                await engine.stop()
                raise
        except BaseException as error:
            started.set_exception(error)
            return
        started.set_result(None)
        try:
            await self._stop.wait()
        finally:
            try:
                await asyncio.to_thread(self._server.close)
            finally:
                await engine.stop()
