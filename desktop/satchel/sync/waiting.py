"""Whether a path may be acted on now."""

from __future__ import annotations

import math

from satchel.core.ports import Clock
from satchel.disk import Entry

from .failures import Failures
from .quiet import Quiet


class Waiting:
    """Answers a plan's question whether a path may be acted on now, and remembers what had to wait and how long."""

    def __init__(self, quiet: Quiet, failures: Failures, clock: Clock) -> None:
        self._quiet = quiet
        self._failures = failures
        self._now = clock.monotonic()
        self._wall_ms = clock.now_ms()
        self.blocked: set[str] = set()
        self.soonest = math.inf

    def quiet(self, path: str, entry: Entry | None) -> bool:
        stamp = (entry.size, entry.mtime_ns) if entry is not None else None
        if self._blocked(path, stamp):
            return False
        age = (self._wall_ms - entry.mtime_ns / 1_000_000) / 1000 if entry is not None else 0.0
        left = self._quiet.left(path, stamp, age, self._now)
        if left > 0:
            self.soonest = min(self.soonest, left)
        return left <= 0

    def skip(self, path: str) -> bool:
        return self._blocked(path, None)

    def _blocked(self, path: str, stamp: tuple[int, int] | None) -> bool:
        if not self._failures.blocks(path, stamp, self._now):
            return False
        self.blocked.add(path)
        self.soonest = min(self.soonest, self._failures.left(path, self._now))
        return True
