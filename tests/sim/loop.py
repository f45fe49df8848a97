"""Time that passes only when everybody waits, and an event loop that lives in it."""

from __future__ import annotations

import asyncio
from typing import Any

EPOCH_S = 1_700_000_000


class StuckError(Exception):
    """Everybody waits for something that nothing will bring about."""


class _Instant:
    """In place of a selector: waiting is a step of the clock."""

    def __init__(self, loop: SimLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise StuckError
        self._loop.seconds += max(0.0, timeout)
        return []


class SimLoop(asyncio.BaseEventLoop):
    """Runs what is ready in the order in which it became so, and never sleeps: the same program takes the same course.

    It is everybody's `Clock`, too. There are no threads and no sockets in it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 0.0
        self._clock_resolution = 1e-6
        self._selector = _Instant(self)

    def time(self) -> float:
        return self.seconds

    def now_ms(self) -> int:
        return int((EPOCH_S + self.seconds) * 1000)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def _process_events(self, _events: list[Any]) -> None: ...

    def _write_to_self(self) -> None: ...
