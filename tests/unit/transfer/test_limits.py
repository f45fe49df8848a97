from __future__ import annotations

import pytest

from satchel.transfer.limits import Limit
from unit.transfer.test_answers import StoppedClock


@pytest.mark.parametrize("rate", [4096, 100_000, 3_000_000, 200_000_000])
@pytest.mark.parametrize("size", [8192, 262_144, 1_000_000])
def test_what_leaves_in_ten_seconds_is_within_a_twentieth_of_the_limit(rate: int, size: int) -> None:
    clock = StoppedClock()
    limit = Limit(clock, rate)
    sent = 0
    while clock.monotonic() < 10:
        left = size
        while left and clock.monotonic() < 10:
            piece = limit.piece(left)
            limit.take(piece)
            sent += piece
            left -= piece
    assert sent == pytest.approx(rate * 10, rel=0.05)


def test_without_a_limit_nobody_waits() -> None:
    clock = StoppedClock()
    limit = Limit(clock)
    assert limit.piece(10**9) == 10**9
    limit.take(10**9)
    assert clock.monotonic() == 0


def test_time_that_nobody_used_is_not_saved_up() -> None:
    clock = StoppedClock()
    limit = Limit(clock, 1000)
    clock.sleep(3600)
    for _ in range(10):
        limit.take(1000)
    assert clock.monotonic() - 3600 > 8


def test_who_waits_hears_soon_that_the_limit_is_gone_or_that_all_is_over() -> None:
    clock = StoppedClock()
    limit = Limit(clock, 1000)
    limit.take(1_000_000)
    limit.take(1, stopped=lambda: clock.monotonic() > 1)
    assert clock.monotonic() < 1.5
    limit.rate = 0
    limit.take(1_000_000)
    assert clock.monotonic() < 1.5
