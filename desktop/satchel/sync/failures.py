"""What was refused, why, and when it is tried again."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from satchel.core.errors import CancelledError, SatchelError
from satchel.core.status import Held

from .quiet import Stamp

FIRST = 2.0
LONGEST = 300.0
"""Seconds until a failed file is tried again; doubled each time."""


@dataclass(frozen=True, slots=True)
class _Failure:
    error: SatchelError
    stamp: Stamp | None
    attempts: int
    again_at: float


class Failures:
    """One entry per path, relative to the watched folder. Times are `Clock.monotonic` seconds."""

    def __init__(self, jitter: Callable[[], float]) -> None:
        self._jitter = jitter
        self._known: dict[str, _Failure] = {}

    def add(self, path: str, stamp: Stamp | None, error: SatchelError, now: float) -> None:
        """`stamp` is the content that failed: other content is tried at once."""
        known = self._known.get(path)
        attempts = known.attempts + 1 if known and known.stamp == stamp else 1
        pause = min(LONGEST, FIRST * 2 ** (attempts - 1)) * (1 + self._jitter() / 4)
        # What somebody cancelled is not tried again until the file changes or somebody asks.
        again_at = math.inf if isinstance(error, CancelledError) else now + pause
        self._known[path] = _Failure(error, stamp, attempts, again_at)

    def blocks(self, path: str, stamp: Stamp | None, now: float) -> bool:
        known = self._known.get(path)
        if known is None or now >= known.again_at:
            return False
        return stamp is None or known.stamp is None or known.stamp == stamp

    def left(self, path: str, now: float) -> float:
        """Seconds until the path is tried again."""
        known = self._known.get(path)
        return max(0.0, known.again_at - now) if known else 0.0

    def clear(self, path: str) -> None:
        self._known.pop(path, None)

    def paths(self) -> list[str]:
        return list(self._known)

    def try_all_again(self) -> None:
        self._known.clear()

    def held(self) -> list[Held]:
        return [
            Held(path, failure.error.title, failure.error.message or "It is tried again in a while.")
            for path, failure in sorted(self._known.items())
        ]
