"""What the engine says of itself: the snapshot's headline and tone, from its parts. No I/O."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

from satchel.core.model import TransferState
from satchel.core.status import AccountStatus, Notice, RecentLink, RootRow, Snapshot, Tone, TransferRow

MAX_ROWS = 200
_LONG_PATH = 28  # a longer one says less than the folder's own name: the middle of it would be cut out


def snapshot(
    account: AccountStatus,
    *,
    online: bool,
    paused: bool,
    watching: bool,
    transfers: Sequence[TransferRow],
    links: Sequence[RecentLink],
    roots: tuple[RootRow, ...],
    notices: tuple[Notice, ...],
    settings_set: int = 0,
) -> Snapshot:
    """`transfers` in the order to show; `watching` is False when folders are not kept in step by this engine."""
    active = [row for row in transfers if not row.state.final]
    headline, tone = _headline(account, online=online, paused=paused, watching=watching, active=active, roots=roots)
    return Snapshot(
        headline=headline,
        tone=tone,
        account=account,
        paused=paused,
        transfers=tuple(transfers[:MAX_ROWS]),
        transfers_active=len(active),
        links=tuple(links),
        roots=roots,
        notices=notices,
        settings_set=settings_set,
    )


def time_left(seconds: float) -> str:
    """`21 s left`, `3 min left`, `2 h left`."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s left"
    if seconds < 3600:
        return f"{round(seconds / 60)} min left"
    return f"{round(seconds / 3600)} h left"


def clock_time(ms: int) -> str:
    """`10:41`, where this computer is."""
    return time.strftime("%H:%M", time.localtime(ms / 1000))


def when(ms: int, now_ms: int) -> str:
    """`at 10:41` today, `yesterday`, `3 days ago`."""
    days = _day(now_ms) - _day(ms)
    return f"at {clock_time(ms)}" if days <= 0 else "yesterday" if days == 1 else f"{days} days ago"


def verified(found: Mapping[str, Any], now_ms: int) -> str:
    """`Verified 3 days ago: 1,204 files equal` of a `Verified` as JSON, and what was not."""
    equal = found["equal"]
    parts = [f"{equal:,} file{'s' if equal != 1 else ''} equal"]
    for name, words in (
        ("differing", "different"),
        ("only_here", "only here"),
        ("only_there", "only online"),
        ("held", "held back"),
    ):
        if found[name]:
            parts.append(f"{found[name]:,} {words}")
    return f"Verified {when(found['at_ms'], now_ms)}: {', '.join(parts)}"


def _day(ms: int) -> int:
    return date.fromtimestamp(ms / 1000).toordinal()


def _headline(
    account: AccountStatus,
    *,
    online: bool,
    paused: bool,
    watching: bool,
    active: Sequence[TransferRow],
    roots: Sequence[RootRow],
) -> tuple[str, Tone]:
    if account.state == "signed_out":
        return "Sign in to start", "attention"
    if paused:
        return "Paused", "paused"
    if not online or (watching and any(root.state == "offline" for root in roots)):
        return "Offline · retrying", "offline"
    moving = [row for row in active if row.state is not TransferState.PAUSED]
    if moving:
        return _moving(moving), "busy"
    if not watching:
        return "Ready", "ok"
    return _watching(roots)


def _moving(rows: Sequence[TransferRow]) -> str:
    up, down = (
        sum(max(1, row.files - row.files_done) for row in rows if row.direction == way) for way in ("up", "down")
    )
    rate = sum(row.rate for row in rows)
    left = sum(row.size - row.sent_bytes for row in rows)
    what = (
        f"Uploading {up} and downloading {down}" if up and down else f"Uploading {up}" if up else f"Downloading {down}"
    )
    text = f"{what} file{'s' if (down or up) != 1 else ''}"
    return f"{text} · {time_left(left / rate)}" if rate > 0 and left > 0 else text


def _watching(roots: Sequence[RootRow]) -> tuple[str, Tone]:
    for state, verb in (("scanning", "Checking"), ("syncing", "Syncing")):
        if busy := [root for root in roots if root.state == state]:
            return f"{verb} {_named(busy)}", "busy"
    if troubled := [root for root in roots if root.state == "attention"]:
        things = sum(len(root.held) for root in troubled)
        return f"{_named(troubled)} · {things} need{'s' if things == 1 else ''} attention", "attention"
    if not roots:
        return "Ready", "ok"
    if all(root.state == "paused" for root in roots):
        return "Paused", "paused"
    # That is what was so when all was looked at last.
    scans = [root.last_full_scan_ms for root in roots if root.last_full_scan_ms is not None]
    known = f" · up to date at {clock_time(min(scans))}" if len(scans) == len(roots) else ""
    return f"Watching {_named(roots)}{known}", "ok"


def _named(roots: Sequence[RootRow]) -> str:
    if len(roots) != 1:
        return f"{len(roots)} folders"
    path = Path(roots[0].path)
    with contextlib.suppress(ValueError):
        below_home = f"~/{path.relative_to(Path.home())}"
        if len(below_home) <= _LONG_PATH:
            return below_home
    return path.name or str(path)
