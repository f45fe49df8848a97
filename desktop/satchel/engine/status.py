"""What the engine says of itself: the snapshot's headline and tone, from its parts. No I/O."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

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
    )


def time_left(seconds: float) -> str:
    """`21 s left`, `3 min left`, `2 h left`."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s left"
    if seconds < 3600:
        return f"{round(seconds / 60)} min left"
    return f"{round(seconds / 3600)} h left"


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
    up = [row for row in rows if row.direction == "up"]
    shown = up or rows
    files = max(1, sum(max(1, row.files - row.files_done) for row in shown))
    rate = sum(row.rate for row in shown)
    left = sum(row.size - row.sent_bytes for row in shown)
    verb = "Uploading" if up else "Downloading"
    text = f"{verb} {files} file{'s' if files != 1 else ''}"
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
    return f"Watching {_named(roots)} · up to date", "ok"


def _named(roots: Sequence[RootRow]) -> str:
    if len(roots) != 1:
        return f"{len(roots)} folders"
    path = Path(roots[0].path)
    with contextlib.suppress(ValueError):
        below_home = f"~/{path.relative_to(Path.home())}"
        if len(below_home) <= _LONG_PATH:
            return below_home
    return path.name or str(path)
