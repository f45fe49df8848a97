from __future__ import annotations

from typing import Any

import pytest

from satchel.app import notify, wording
from unit.app.fake_engine import row


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (1_400_000, "1.4 MB"),
        (1_440, "1.4 kB"),
        (86_400_000, "86 MB"),
        (42_600_000_000, "42.6 GB"),
        (999_600, "1 MB"),
        (100_000_000_000, "100 GB"),
    ],
)
def test_sizes_are_decimal_and_short(count: int, text: str) -> None:
    assert wording.size(count) == text


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (row("x", "sending", size=1_200_000_000, sent_bytes=412_000_000, rate=38e6, seconds_left=21),
         "412 MB of 1.2 GB · 38 MB/s · 21 s left"),
        (row("x", "paused", size=40_000_000, sent_bytes=12_000_000), "Paused · 12 of 40 MB"),
        (row("x", "waiting", size=310_000_000), "Waiting · 310 MB"),
        (row("x", "done", size=86_000_000), "Uploaded · 86 MB"),
        (row("x", "done", size=86_000_000, direction="down"), "Downloaded · 86 MB"),
        (row("x", "sending", size=2000, sent_bytes=1000, direction="down"), "Downloading · 1 of 2 kB"),
        (row("x", "done", size=86_000_000, files=3), "Uploaded · 86 MB · 3 files"),
        (row("x", "sending", size=2000, sent_bytes=1000, files=84, files_done=61), "61 of 84 files · 1 of 2 kB"),
        (row("x", "failed", message="The file is gone"), "The file is gone"),
        (row("x", "sending", message="Could not connect · retry in 12 s"), "Could not connect · retry in 12 s"),
        (row("x", "cancelled", size=5), "Cancelled · 5 bytes"),
    ],
)  # fmt: skip
def test_the_second_line_says_what_a_transfer_does(given: dict[str, Any], text: str) -> None:
    assert wording.detail(given) == text


@pytest.mark.parametrize(
    ("name", "files", "text"),
    [("a.mp4", 1, "MP4"), ("photos", 9, "DIR"), ("README", 1, "FILE"), (".bashrc", 1, "FILE"), ("a.tar.gz", 1, "GZ")],
)
def test_a_tile_says_what_kind_it_is(name: str, files: int, text: str) -> None:
    assert wording.badge(name, files) == text


@pytest.mark.parametrize(
    ("email", "text"), [("alice.martin@example.com", "AM"), ("alice@example.com", "A"), ("", "?"), ("a-b_c@x", "AB")]
)
def test_initials_come_from_the_address(email: str, text: str) -> None:
    assert wording.initials(email) == text


def test_usage_names_the_quota_only_where_there_is_one() -> None:
    assert wording.usage(42_600_000_000, 100_000_000_000) == "42.6 GB of 100 GB used"
    assert wording.usage(0, None) == "0 bytes used"


def test_news_is_what_was_dropped_and_has_ended() -> None:
    before = [row("a", "sending"), row("b", "sending"), row("c", "sending", origin="root"), row("d", "sending")]
    now = [row("a"), row("b", "failed", message="Gone"), row("c", origin="root"), row("d", "cancelled"), row("old")]
    assert notify.news(before, now) == [("Uploaded", "a.pdf"), ("b.pdf was not uploaded", "Gone")]
    assert notify.news(now, now) == []


def test_much_news_is_told_as_one() -> None:
    names = [str(n) for n in range(12)]
    told = notify.news([row(n, "sending") for n in names], [row(n) for n in names])
    assert told == [("12 files were uploaded", "Open Satchel to see them.")]
