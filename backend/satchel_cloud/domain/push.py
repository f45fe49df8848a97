"""Rules of push: who hears of an account's changes, and for how long."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

TICKET_MS = 60_000
"""How long a ticket lets its client in."""

CONNECTION_MS = 2 * 3600 * 1000
"""How long the gateway keeps a connection, at most."""

MOST = 20
"""Connections of one account that are told of a change."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A client has one: a newer one takes the place of that before, whose end nobody may have heard of."""

    client_id: str
    connection_id: str
    since_ms: int


def is_over(connection: Connection, now_ms: int) -> bool:
    return now_ms >= connection.since_ms + CONNECTION_MS


def to_drop(others: Sequence[Connection], now_ms: int) -> list[Connection]:
    """Which connections of an account's `others` go when one more client comes: what is over, then the oldest."""
    live = sorted((one for one in others if not is_over(one, now_ms)), key=lambda one: one.since_ms)
    return [one for one in others if is_over(one, now_ms)] + live[: max(0, len(live) + 1 - MOST)]


def newest(changes: Iterable[tuple[str, int]]) -> dict[str, int]:
    """The last sequence of each account, of pairs of both: one message stands for many commits."""
    found: dict[str, int] = {}
    for account, sequence in changes:
        found[account] = max(sequence, found.get(account, 0))
    return found
