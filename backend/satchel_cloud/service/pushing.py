"""Telling an account's clients that there is something new. A hint and no more: the change log is the truth."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from typing import Any

from satchel_cloud.adapters import rows
from satchel_cloud.adapters.table import ConflictError, delete, put
from satchel_cloud.domain.links import token_hash
from satchel_cloud.domain.push import CONNECTION_MS, MOST, TICKET_MS, Connection, is_over, to_drop

from .context import Context


@dataclass(slots=True)
class Told:
    """How many connections heard of it, and how many were gone."""

    told: int = 0
    gone: int = 0


def open_push(ctx: Context, account: str, client_id: str) -> dict[str, Any]:
    """A ticket that lets one client in once, within a minute, and where to."""
    ticket, now = ctx.new_secret(), ctx.now_ms()
    values = {
        "account": account,
        "client_id": client_id,
        "expires_ms": now + TICKET_MS,
        "ttl": (now + TICKET_MS) // 1000 + 1,
    }
    ctx.table.write([put(rows.keyed(rows.ticket_key(token_hash(ticket)), values))])
    return {"url": ctx.sockets.url, "ticket": ticket}


def connect(ctx: Context, ticket: str, connection_id: str) -> str | None:
    """The account that a connection belongs to from now on; None when its ticket is not good, or not any more."""
    found, now = ctx.table.take(rows.ticket_key(token_hash(ticket))), ctx.now_ms()
    if found is None or found["expires_ms"] <= now:
        return None
    account = str(found["account"])
    mine = Connection(found["client_id"], connection_id, now)
    others = [one for one in _connections(ctx, account) if one.client_id != mine.client_id]
    for one in to_drop(others, now):
        _forget(ctx, account, one)
    values = {"connection_id": connection_id, "since_ms": now, "ttl": (now + CONNECTION_MS) // 1000 + 1}
    ctx.table.write([put(rows.keyed(rows.connection_key(account, mine.client_id), values))])
    return account


def tell(ctx: Context, account: str, sequence: int) -> Told:
    """Send an account's sequence to all of its connections, also to the one that the change came from.

    Its own cursor has to go past the change as well.
    """
    done, message = Told(), json.dumps({"sequence": sequence})
    for one in _connections(ctx, account):
        if not is_over(one, ctx.now_ms()) and ctx.sockets.send(one.connection_id, message):
            done.told += 1
        else:
            done.gone += 1
            _forget(ctx, account, one)
    return done


def _connections(ctx: Context, account: str) -> list[Connection]:
    # A few may be over, or have come at the same moment as others.
    found = ctx.table.query(rows.connections_pk(account), limit=2 * MOST)
    return [Connection(row["SK"], row["connection_id"], row["since_ms"]) for row in found]


def _forget(ctx: Context, account: str, connection: Connection) -> None:
    """Unless its client has come back meanwhile by another one."""
    key = rows.connection_key(account, connection.client_id)
    with contextlib.suppress(ConflictError):
        ctx.table.write([delete(key, "#connection_id = :gone", gone=connection.connection_id)])
