"""A queue of work that knows what goes first and what has to wait."""

from __future__ import annotations

import heapq
import itertools
import threading
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from satchel.core.ports import Clock

T = TypeVar("T")


class WorkQueue(Generic[T]):
    """Lower priority numbers first, then in order of arrival; delayed items when their time has come. Thread-safe."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._shorter = threading.Condition(self._lock)
        self._choosy = 0
        """How many wait for some items only: waking one of them for another would lose the wake-up."""
        self._ready: list[tuple[int, int, T]] = []
        self._later: list[tuple[float, int, int, T]] = []
        self._numbers = itertools.count()
        self._closed = False
        self.on_change: Callable[[], None] = lambda: None
        """Called when there is something new for somebody who waits elsewhere; quick, and from any thread."""

    @property
    def closed(self) -> bool:
        return self._closed

    def put(self, item: T, priority: int, delay: float = 0.0) -> None:
        self.put_all([(item, priority)], delay)

    def put_all(self, items: Sequence[tuple[T, int]], delay: float = 0.0) -> None:
        """Items with their priorities."""
        with self._changed:
            due = self._clock.monotonic() + delay
            for item, priority in items:
                number = next(self._numbers)
                if delay > 0:
                    heapq.heappush(self._later, (due, number, priority, item))
                else:
                    heapq.heappush(self._ready, (priority, number, item))
            self._changed.notify(self._choosy + len(items))
        self.on_change()

    def take(self, at_most: int | None = None, *, within: float | None = None) -> T | None:
        """The next item, waiting for it, `within` seconds if given; only of a priority up to `at_most`, if given.

        None when closed, or when nothing came in time.
        """
        with self._changed:
            end = None if within is None else self._clock.monotonic() + within
            self._choosy += at_most is not None
            try:
                while not self._closed:
                    if (found := self._pop(at_most)) is not None:
                        return found
                    pauses = [pause for pause in (self._until_due(), self._left(end)) if pause is not None]
                    if end is not None and self._left(end) == 0.0:
                        return None
                    self._changed.wait(min(pauses, default=None))
                return None
            finally:
                self._choosy -= at_most is not None

    def __len__(self) -> int:
        """How many are ready."""
        with self._lock:
            return len(self._ready)

    def take_now(self) -> T | None:
        """The next item if there is one."""
        with self._changed:
            return None if self._closed else self._pop(None)

    def take_some(self, count: int) -> list[T]:
        """Up to `count` items, as many as there are."""
        found: list[T] = []
        with self._changed:
            while len(found) < count and not self._closed and (one := self._pop(None)) is not None:
                found.append(one)
        return found

    def wait_below(self, length: int) -> None:
        """Wait until fewer than `length` items are ready."""
        with self._shorter:
            while not self._closed and len(self._ready) >= length:
                self._shorter.wait()

    def hurry(self) -> None:
        """What was delayed is ready now."""
        with self._changed:
            for _, number, priority, item in self._later:
                heapq.heappush(self._ready, (priority, number, item))
            self._later.clear()
            self._changed.notify_all()
        self.on_change()

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._shorter.notify_all()
        self.on_change()

    def _pop(self, at_most: int | None) -> T | None:
        now = self._clock.monotonic()
        while self._later and self._later[0][0] <= now:
            _, number, priority, item = heapq.heappop(self._later)
            heapq.heappush(self._ready, (priority, number, item))
        if not self._ready or (at_most is not None and self._ready[0][0] > at_most):
            return None
        self._shorter.notify_all()
        return heapq.heappop(self._ready)[2]

    def _until_due(self) -> float | None:
        return self._left(self._later[0][0]) if self._later else None

    def _left(self, end: float | None) -> float | None:
        return None if end is None else max(0.0, end - self._clock.monotonic())
