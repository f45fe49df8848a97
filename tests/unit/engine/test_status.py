from __future__ import annotations

import logging
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from satchel.core.model import TransferState
from satchel.core.status import AccountStatus, Held, RootRow, Snapshot, TransferRow, Verified
from satchel.engine.logs import KEPT, MAX_BYTES, redacted, start_logging, stop_logging
from satchel.engine.status import snapshot, time_left, verified

IN = AccountStatus("signed_in", "https://files.example.com", "alice@example.com")
SHARE = str(Path.home() / "Share")
TEN_41 = int(datetime(2026, 11, 23, 10, 41).timestamp() * 1000)
DAY = 24 * 3600 * 1000


def root(state: Any, *held: Held, at: int | None = None) -> RootRow:
    return RootRow("r", SHARE, "/Share", "upload-only", state, held=held, last_full_scan_ms=at)


def row(state: TransferState = TransferState.SENDING, **more: Any) -> TransferRow:
    return TransferRow("t", "up", "drop", "a", "/a", state, 100, 40, **more)


def down(**more: Any) -> TransferRow:
    return TransferRow("d", "down", "root", "b", "/b", TransferState.SENDING, 100, 40, **more)


def told(account: AccountStatus = IN, **more: Any) -> Snapshot:
    parts: dict[str, Any] = {"online": True, "paused": False, "watching": True, "transfers": (), "links": ()}
    return snapshot(account, **(parts | {"roots": (), "notices": ()} | more))


@pytest.mark.parametrize(
    ("given", "headline", "tone"),
    [
        ({"account": AccountStatus()}, "Sign in to start", "attention"),
        ({"paused": True}, "Paused", "paused"),
        ({"online": False, "roots": (root("in_step"),)}, "Offline · retrying", "offline"),
        ({"roots": (root("in_step"),)}, "Watching ~/Share", "ok"),
        ({"roots": (root("in_step", at=TEN_41),)}, "Watching ~/Share · up to date at 10:41", "ok"),
        (
            {"roots": (root("in_step", at=TEN_41 + 60_000), root("in_step", at=TEN_41))},
            "Watching 2 folders · up to date at 10:41",
            "ok",
        ),
        ({"roots": (root("in_step", at=TEN_41), root("in_step"))}, "Watching 2 folders", "ok"),
        ({"roots": (root("scanning"),)}, "Checking ~/Share", "busy"),
        ({"roots": (root("attention", Held("x", "y", "z")),)}, "~/Share · 1 needs attention", "attention"),
        ({"transfers": (row(files=3, rate=60 / 21),)}, "Uploading 3 files · 21 s left", "busy"),
        ({"transfers": (row(), down(files=5))}, "Uploading 1 and downloading 5 files", "busy"),
        ({"transfers": (down(),)}, "Downloading 1 file", "busy"),
        ({"transfers": (row(TransferState.DONE),)}, "Ready", "ok"),
        ({"roots": (root("scanning"),), "watching": False}, "Ready", "ok"),
    ],
)
def test_the_headline_says_what_matters_most(given: dict[str, Any], headline: str, tone: str) -> None:
    found = told(**given)
    assert (found.headline, found.tone) == (headline, tone)


def test_time_left_is_short() -> None:
    assert [time_left(s) for s in (0.2, 21.4, 200, 7300)] == ["1 s left", "21 s left", "3 min left", "2 h left"]


@pytest.mark.parametrize(
    ("later", "found", "said"),
    [
        (0, {"equal": 1}, "Verified at 10:41: 1 file equal"),
        (DAY, {"equal": 2}, "Verified yesterday: 2 files equal"),
        (3 * DAY, {"equal": 1204}, "Verified 3 days ago: 1,204 files equal"),
        (
            0,
            {"equal": 5, "differing": 1, "only_here": 2, "only_there": 3, "held": 4},
            "Verified at 10:41: 5 files equal, 1 different, 2 only here, 3 only online, 4 held back",
        ),
    ],
)
def test_a_verification_is_told_with_its_day_and_all_that_is_not_equal(
    later: int, found: dict[str, int], said: str
) -> None:
    assert verified(asdict(Verified(TEN_41, 1.0, **found)), TEN_41 + later) == said


def test_logs_hold_no_address_token_or_e_mail() -> None:
    text = redacted("GET https://x.example/s/AAAA?X-Amz-Signature=1 by alice@example.com token=abc eyJhbGciOi.x.y")
    assert not any(secret in text for secret in ("x.example", "AAAA", "alice", "abc", "eyJ"))


def test_logs_grow_to_a_limit_and_no_further(tmp_path: Path) -> None:
    handler = start_logging(tmp_path)
    try:
        for _ in range(600):
            logging.getLogger("satchel.sync").warning("x" * 20_000)
    finally:
        stop_logging(handler)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == KEPT + 1
    assert all(path.stat().st_size <= MAX_BYTES for path in files)
