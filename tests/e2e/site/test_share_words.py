"""The page's pure functions (backend/site/assets/format.js and api.js), called in the browser that will run them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from e2e.site.stub_site import StubSite

Call = Callable[..., Any]


@pytest.fixture(scope="module")
def call(browser: Browser) -> Iterator[Call]:
    """`call("format.js", "size", 1000)`"""
    with StubSite() as site:
        context = browser.new_context(locale="en-GB", timezone_id="UTC")
        page = context.new_page()
        page.goto(site.origin + "/")
        script = "async ([file, name, args]) => (await import('/assets/' + file))[name](...args)"
        yield lambda file, name, *args: page.evaluate(script, [file, name, args])
        context.close()


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1000, "1 kB"),
        (1_440_000, "1.4 MB"),
        (9_960_000, "10 MB"),
        (86_000_000, "86 MB"),
        (999_600_000, "1 GB"),
        (1_204_000_000, "1.2 GB"),
        (42_600_000_000, "42.6 GB"),
        (100_000_000_000, "100 GB"),
        (5_497_558_138_880, "5.5 TB"),
    ],
)
def test_sizes_are_said_as_the_window_says_them(call: Call, size: int, words: str) -> None:
    assert call("format.js", "size", size) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 s"),
        (21, "21 s"),
        (59.6, "1 min"),
        (240, "4 min"),
        (4800, "1 h 20 min"),
        (7200, "2 h"),
        (260_000, "3 days"),
    ],
)
def test_durations_have_one_or_two_parts(call: Call, seconds: float, words: str) -> None:
    assert call("format.js", "duration", seconds) == words


@pytest.mark.parametrize(
    ("left_ms", "words"),
    [
        (-1, "expired"),
        (30_000, "expires in less than a minute"),
        (60_000, "expires in 1 minute"),
        (3_600_000, "expires in 1 hour"),
        (86_400_000, "expires in 24 hours"),
        (30 * 86_400_000 - 5, "expires in 30 days"),
    ],
)
def test_expiry_is_said_in_what_is_left(call: Call, left_ms: int, words: str) -> None:
    assert call("format.js", "expiry", 1_795_000_000_000 + left_ms, 1_795_000_000_000) == words


@pytest.mark.parametrize(
    ("name", "label", "family"),
    [
        ("film.MP4", "MP4", "video"),
        ("raw.mov", "MOV", "footage"),
        ("kit.tar.gz", "GZ", "archive"),
        ("page.jpeg", "JPEG", "image"),
        ("Makefile", "FILE", "other"),
        (".bashrc", "FILE", "other"),
        ("name.ü", "FILE", "other"),
        ("x.constructor", "FILE", "other"),
        ("song.blend", "BLEND", "other"),
    ],
)
def test_a_badge_names_the_type(call: Call, name: str, label: str, family: str) -> None:
    assert call("format.js", "badge", name) == {"label": label, "family": family}


def test_a_shown_name_is_one_line_without_hidden_characters(call: Call) -> None:
    assert call("format.js", "shownName", "a\nb\r\nc\u202ed\x07e\u2066f 🎒") == "a↵b↵c\ufffdd\ufffde\ufffdf 🎒"


def test_rate_and_time_left_come_from_the_last_samples(call: Call) -> None:
    samples: list[dict[str, float]] = []
    for second in range(30):
        samples = call("format.js", "withSample", samples, {"at": second * 1000, "sent": second * 10})

    assert samples[0]["at"] == 14_000
    assert call("format.js", "estimate", samples, 1000) == {"rate": 10, "secondsLeft": 71}


def test_an_upload_sent_again_from_the_start_starts_the_estimate_anew(call: Call) -> None:
    before = [{"at": 0, "sent": 100}, {"at": 1000, "sent": 200}]

    after = call("format.js", "withSample", before, {"at": 2000, "sent": 50})

    assert after == [{"at": 2000, "sent": 50}]
    assert call("format.js", "estimate", after, 1000) == {"rate": None, "secondsLeft": None}


@pytest.mark.parametrize(
    ("sent", "whole", "estimate", "words"),
    [
        (412e6, 1.2e9, (38e6, 21), "412 MB of 1.2 GB · 38 MB/s · 21 s left"),
        (12e6, 40e6, (None, None), "12 of 40 MB"),
        (12e6, 40e6, (0, None), "12 of 40 MB · waiting for the sender"),
        (0, 40e6, (None, None), "Waiting for the first of 40 MB"),
        (0, None, (None, None), "Waiting for the first bytes"),
        (5e6, None, (None, None), "5 MB so far"),
        (40e6, 40e6, (1e6, 0), "40 MB · finishing"),
    ],
)
def test_the_progress_line_says_what_is_known(
    call: Call, sent: float, whole: float | None, estimate: tuple[float | None, float | None], words: str
) -> None:
    rate, left = estimate
    assert call("format.js", "progressLine", sent, whole, {"rate": rate, "secondsLeft": left}) == words


def test_looking_again_gets_slower_and_ends(call: Call) -> None:
    def delay(kind: str, state: str, polls: int = 1, unchanged: int = 0, **more: Any) -> Any:
        seen = {"kind": kind, "state": state, "polls": polls, "unchanged": unchanged, **more}
        return call("format.js", "pollDelay", seen)

    assert [delay("file", "arriving", polls) for polls in (1, 9, 10, 40)] == [1000, 1000, 2000, 5000]
    assert delay("file", "arriving", 100, 100) == 15_000
    assert delay("file", "ready") is None
    assert delay("file", "stopped") is None
    assert [delay("folder", "ready", 5, unchanged) for unchanged in (0, 6, 23, 24)] == [5_000, 20_000, 60_000, None]


def test_an_empty_folder_is_looked_at_for_as_long_as_it_is_shown(call: Call) -> None:
    empty = {"kind": "folder", "state": "ready", "polls": 99, "unchanged": 999, "empty": True}
    assert call("format.js", "pollDelay", empty) == 60_000


def test_retries_back_off_and_heed_the_service(call: Call) -> None:
    assert [call("format.js", "retryDelay", failures) for failures in (1, 2, 3, 99)] == [5000, 10_000, 20_000, 60_000]
    assert call("format.js", "retryDelay", 1, 120) == 120_000


@pytest.mark.parametrize(
    ("path", "token"),
    [
        ("/s/AbCdEfGhIjKlMnOpQrStUv", "AbCdEfGhIjKlMnOpQrStUv"),
        ("/s/AbCdEfGhIjKlMnOpQrStUv/", "AbCdEfGhIjKlMnOpQrStUv"),
        ("/s/", None),
        ("/s/a/b", None),
        ("/s/a%2e", None),
        ("/x/AbCdEfGhIjKlMnOpQrStUv", None),
    ],
)
def test_the_token_is_read_from_the_path(call: Call, path: str, token: str | None) -> None:
    assert call("api.js", "tokenOf", path) == token
