"""The app's line to the engine: made away from the UI thread, kept up for as long as the app runs. No Qt."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

from satchel.core.errors import CancelledError, EngineError, SatchelError

log = logging.getLogger(__name__)

AGAIN_AFTER = 1.0
"""Seconds between two tries to reach an engine that was lost."""


class Engine(Protocol):
    """What `satchel.engine.host.connect` gives."""

    def call(self, method: str, /, **params: Any) -> Any: ...

    def stream(self, method: str, /, **params: Any) -> Iterator[tuple[str, Any]]: ...

    def close(self) -> None: ...


class Line:
    """Watches the engine and sends it commands. All callbacks come from threads of the line.

    When the engine ends with its process, `connect` is asked for another: it starts one in this process when none
    runs. `second` is called, once, when the first engine found has a window already; `failed` when there can be none.
    """

    def __init__(
        self,
        connect: Callable[[], Engine],
        *,
        event: Callable[[dict[str, Any]], None],
        second: Callable[[], None],
        lost: Callable[[], None],
        failed: Callable[[SatchelError], None],
        hidden: bool = False,
    ) -> None:
        self._connect = connect
        self._event = event
        self._second = second
        self._lost = lost
        self._failed = failed
        self._hidden = hidden
        self._client: Engine | None = None
        self._there = threading.Condition()
        self._closing = threading.Event()
        self._workers = ThreadPoolExecutor(4, "command")
        self._turns: dict[str, ThreadPoolExecutor] = {}
        self._watching = threading.Thread(target=self._watch, name="watch", daemon=True)

    def start(self) -> None:
        self._watching.start()

    def ask(
        self,
        method: str,
        params: dict[str, Any],
        answer: Callable[[Any], None],
        wrong: Callable[[SatchelError], None],
        *,
        turn: str = "",
    ) -> None:
        """Run a command; one asked before the engine is there waits for it.

        Those of one `turn` run and answer one after the other, as they were asked: two that set the same thing must
        not overtake each other. Those without one run side by side.
        """

        def work() -> None:
            try:
                result = self._reached().call(method, **params)
            except SatchelError as error:
                if not self._closing.is_set():
                    wrong(error)
            else:
                answer(result)

        self.run(work, turn)

    def run(self, work: Callable[[], None], turn: str = "") -> None:
        """Work that may block, away from the UI thread; only the UI thread asks for it."""
        if self._closing.is_set():
            return
        if turn and turn not in self._turns:
            self._turns[turn] = ThreadPoolExecutor(1, f"command-{turn}")
        (self._turns[turn] if turn else self._workers).submit(work)

    def close(self) -> None:
        """Hang up, and end the engine if it runs in this process. May be called again."""
        with self._there:
            self._closing.set()
            self._there.notify_all()
        self._workers.shutdown(wait=False, cancel_futures=True)
        for workers in self._turns.values():
            workers.shutdown()  # what a person has set is set, also when they quit at once
        client = self._client
        if client is None and self._watching.is_alive():
            self._watching.join(timeout=5)  # it may be about to have one
            client = self._client
        if client is not None:
            client.close()

    def _reached(self) -> Engine:
        with self._there:
            self._there.wait_for(lambda: self._client is not None or self._closing.is_set())
            if self._client is None:
                raise CancelledError("Satchel is ending")
            return self._client

    def _watch(self) -> None:
        first = True
        while not self._closing.is_set():
            try:
                client = self._connect()
            except EngineError as error:
                if first:
                    self._failed(error)
                    return
                log.warning("no engine: %s", error)
                self._closing.wait(AGAIN_AFTER)
                continue
            except SatchelError as error:
                self._failed(error)
                return
            if first and self._has_window(client):
                client.close()
                self._second()
                return
            first = False
            self._follow(client)

    def _has_window(self, client: Engine) -> bool:
        with contextlib.suppress(EngineError):
            return bool(client.call("show", ask=not self._hidden))
        return False

    def _follow(self, client: Engine) -> None:
        with self._there:
            self._client = client
            self._there.notify_all()
        try:
            for kind, value in client.stream("watch", window=True):
                if self._closing.is_set():
                    return
                if kind == "event":
                    self._event(value)
        except SatchelError as error:  # cancelled, when it ends in good order
            if self._closing.is_set():
                return
            log.warning("the engine went away: %s", error)
        with self._there:
            self._client = None
        client.close()
        self._lost()
        self._closing.wait(0.1)
