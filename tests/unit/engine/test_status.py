from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from satchel.core.model import TransferState
from satchel.core.status import AccountStatus, Held, RootRow, Snapshot, TransferRow
from satchel.engine.logs import redacted
from satchel.engine.status import snapshot, time_left

IN = AccountStatus("signed_in", "https://files.example.com", "alice@example.com")
SHARE = str(Path.home() / "Share")


def root(state: Any, *held: Held) -> RootRow:
    return RootRow("r", SHARE, "/Share", "upload-only", state, held=held)


def row(state: TransferState = TransferState.SENDING, **more: Any) -> TransferRow:
    return TransferRow("t", "up", "drop", "a", "/a", state, 100, 40, **more)


def told(account: AccountStatus = IN, **more: Any) -> Snapshot:
    parts: dict[str, Any] = {"online": True, "paused": False, "watching": True, "transfers": (), "links": ()}
    return snapshot(account, **(parts | {"roots": (), "notices": ()} | more))


@pytest.mark.parametrize(
    ("given", "headline", "tone"),
    [
        ({"account": AccountStatus()}, "Sign in to start", "attention"),
        ({"paused": True}, "Paused", "paused"),
        ({"online": False, "roots": (root("in_step"),)}, "Offline · retrying", "offline"),
        ({"roots": (root("in_step"),)}, "Watching ~/Share · up to date", "ok"),
        ({"roots": (root("scanning"),)}, "Checking ~/Share", "busy"),
        ({"roots": (root("attention", Held("x", "y", "z")),)}, "~/Share · 1 needs attention", "attention"),
        ({"transfers": (row(files=3, rate=60 / 21),)}, "Uploading 3 files · 21 s left", "busy"),
        ({"transfers": (row(TransferState.DONE),)}, "Ready", "ok"),
        ({"roots": (root("scanning"),), "watching": False}, "Ready", "ok"),
    ],
)
def test_the_headline_says_what_matters_most(given: dict[str, Any], headline: str, tone: str) -> None:
    found = told(**given)
    assert (found.headline, found.tone) == (headline, tone)


def test_time_left_is_short() -> None:
    assert [time_left(s) for s in (0.2, 21.4, 200, 7300)] == ["1 s left", "21 s left", "3 min left", "2 h left"]


def test_logs_hold_no_address_token_or_e_mail() -> None:
    text = redacted("GET https://x.example/s/AAAA?X-Amz-Signature=1 by alice@example.com token=abc eyJhbGciOi.x.y")
    assert not any(secret in text for secret in ("x.example", "AAAA", "alice", "abc", "eyJ"))
