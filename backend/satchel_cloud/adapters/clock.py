"""Time and chance, in one place so that tests can own them."""

from __future__ import annotations

import random
import secrets
import time
import uuid


def now_ms() -> int:
    return time.time_ns() // 1_000_000


def new_id() -> str:
    return uuid.uuid4().hex


def new_secret() -> str:
    """32 characters that carry 192 random bits."""
    return secrets.token_urlsafe(24)


def pause(attempt: int) -> None:
    """Back off before trying a commit again: at most 20 ms after the first attempt, then twice that, up to 0.6 s."""
    time.sleep(random.uniform(0, min(0.6, 0.02 * 2**attempt)))  # noqa: S311 - jitter is no secret
