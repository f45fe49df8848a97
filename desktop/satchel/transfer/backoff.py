"""When to try again: growing pauses with full jitter, and one gate for everybody when the network is away."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass

from satchel.core.ports import Clock, Ids


@dataclass(frozen=True, slots=True)
class Backoff:
    """Pauses in seconds: anything up to `first * 2**attempt`, never above `longest`."""

    first: float = 0.5
    longest: float = 30.0

    def delay(self, attempt: int, ids: Ids) -> float:
        """`attempt` counts from 0. At least a tenth of the pause, so that nobody spins."""
        whole = min(self.longest, self.first * 2.0 ** min(attempt, 30))
        return whole * (0.1 + 0.9 * ids.jitter())


class Gate:
    """Holds everybody back while a host cannot be reached; whoever gets through opens it. Thread-safe."""

    def __init__(self, backoff: Backoff, clock: Clock, ids: Ids) -> None:
        self._backoff = backoff
        self._clock = clock
        self._ids = ids
        self._changed = threading.Condition()
        self._failures = 0
        self._until = 0.0
        self._message = ""
        self._closed = False

    def enter(self) -> int | None:
        """Wait until a try makes sense; the ticket to hand back to `failed`. None when the gate was closed."""
        with self._changed:
            while not self._closed and (left := self._until - self._clock.monotonic()) > 0:
                self._changed.wait(left)
            return None if self._closed else self._failures

    @property
    def failures(self) -> int:
        """How many tries have failed since the last that passed: the ticket of a try that begins now."""
        return self._failures

    def seconds_left(self) -> float:
        """How long no try makes sense."""
        with self._changed:
            return max(0.0, self._until - self._clock.monotonic()) if self._failures else 0.0

    def failed(self, ticket: int, message: str, named: float | None = None) -> None:
        """The try failed, `named` seconds being the pause the host asked for. One outage is counted once."""
        with self._changed:
            if ticket != self._failures:
                return
            pause = named if named is not None else self._backoff.delay(self._failures, self._ids)
            self._failures += 1
            self._until = self._clock.monotonic() + pause
            self._message = message

    def passed(self) -> None:
        with self._changed:
            if self._failures:
                self._failures, self._until, self._message = 0, 0.0, ""
                self._changed.notify_all()

    def trouble(self) -> tuple[str, float] | None:
        """What is wrong and in how many seconds the next try is; None when all is well."""
        with self._changed:
            if not self._failures:
                return None
            return self._message, max(0.0, self._until - self._clock.monotonic())

    def open_now(self) -> None:
        """Try at once: the network is back, or somebody asked."""
        with self._changed:
            self._until = 0.0
            self._changed.notify_all()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()


class Allowance:
    """How many requests may be under way at once: one more for each answer, half when the server pushes back.

    As TCP finds its window. It ends where more would be of no use: at what keeps `_RATE` requests a second going at the
    shortest time that an answer took, which is more when S3 is far away.
    """

    def __init__(self, clock: Clock, *, most: int) -> None:
        self._clock = clock
        self._most = most
        self._limit = min(_FIRST, most)
        self._shortest = math.inf
        self._hold_until = 0.0

    @property
    def limit(self) -> int:
        return self._limit

    def answered(self, seconds: float) -> None:
        """An answer came, so many seconds after its request began."""
        self._shortest = min(self._shortest, seconds)
        useful = max(_FIRST, self._shortest * _RATE)
        if self._limit < min(self._most, useful) and self._clock.monotonic() >= self._hold_until:
            self._limit += 1

    def pushed_back(self) -> None:
        """One refusal halves it; the others that were under way then are of the same wave."""
        now = self._clock.monotonic()
        if now >= self._hold_until:
            self._limit = max(1, self._limit // 2)
            self._hold_until = now + _HOLD_S


_FIRST = 32
_RATE = 2000
_HOLD_S = 5.0
