"""What the client takes from outside so that a test or a simulator can own it: time, ids, randomness, a display."""

from __future__ import annotations

import os
import random
import secrets
import sys
import time
import uuid
from typing import Protocol


class Clock(Protocol):
    def now_ms(self) -> int:
        """Wall time, milliseconds since the epoch, UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back; only differences mean anything."""

    def sleep(self, seconds: float) -> None:
        """Block the calling thread."""


class Ids(Protocol):
    def new_id(self) -> str:
        """32 hex digits, never given twice."""

    def new_token(self) -> str:
        """A link token: 22 characters that carry 128 random bits or more."""

    def jitter(self) -> float:
        """A random number in [0, 1), for backoff only."""


class SystemClock:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)


class SystemIds:
    def new_id(self) -> str:
        return uuid.uuid4().hex

    def new_token(self) -> str:
        return secrets.token_urlsafe(17)[:22]

    def jitter(self) -> float:
        return random.random()  # noqa: S311 - spreads retries, guards nothing


def has_display() -> bool:
    """Whether a window can be shown here."""
    return sys.platform in ("win32", "darwin") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
