"""Keeping to a number of bytes a second, whoever sends them."""

from __future__ import annotations

import threading
from collections.abc import Callable

from satchel.core.ports import Clock

_PIECE_S = 0.05
"""Bytes leave in pieces of so many seconds, so that a low limit is no stop and go."""
_STEP_S = 0.1
"""How soon somebody who waits hears of another limit, or that all is over."""
_SAVED_S = 0.1
"""What nobody used in the last moments may be used now."""
_LEAST = 1024


class Limit:
    """Bytes a second shared by all who take from it; 0 is no limit. Thread-safe, and may be changed at any time."""

    def __init__(self, clock: Clock, rate: int = 0) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._rate = rate
        self._free_at = 0.0
        """When all that was taken so far has left."""

    @property
    def rate(self) -> int:
        return self._rate

    @rate.setter
    def rate(self, rate: int) -> None:
        with self._lock:
            self._rate = rate
            self._free_at = self._clock.monotonic()

    def piece(self, size: int) -> int:
        """How many of `size` bytes to take at once."""
        return min(size, max(_LEAST, int(self._rate * _PIECE_S))) if self._rate else size

    def try_take(self, size: int) -> float:
        """Take `size` bytes if they may leave now; else the seconds until they may. Who comes next pays the debt."""
        if not self._rate:
            return 0.0
        with self._lock:
            now = self._clock.monotonic()
            if self._rate and self._free_at > now:
                return self._free_at - now
            self._free_at = max(self._free_at, now - _SAVED_S) + size / self._rate if self._rate else now
            return 0.0

    def take(self, size: int, stopped: Callable[[], bool] = lambda: False) -> None:
        """As `try_take`, waiting for it; returns at once when `stopped`."""
        while (seconds := self.try_take(size)) > 0.0 and not stopped():
            self._clock.sleep(min(seconds, _STEP_S))
