"""The account row: made at the first request, asked before anything is written or signed."""

from __future__ import annotations

from typing import Any

from satchel_cloud.adapters import rows
from satchel_cloud.adapters.table import ConflictError, put
from satchel_cloud.domain.model import Head
from satchel_cloud.domain.problems import ProblemError
from satchel_cloud.domain.uploads import quota_of

from .context import Context


def head_of(ctx: Context, account: str) -> Head:
    """The account's head; makes it when there is none."""
    key = rows.head_key(account)
    item = ctx.table.get(key)
    if item is None:
        fresh = rows.keyed(key, {"sequence": 0, "used_bytes": 0, "status": "active", "created_ms": ctx.now_ms()})
        try:
            ctx.table.write([put(fresh, "attribute_not_exists(PK)")])
        except ConflictError:
            return head_of(ctx, account)
        item = fresh
    return rows.read_head(account, item)


def check_active(head: Head) -> None:
    if head.status != "active":
        raise ProblemError("account-disabled", "Ask whoever runs this service to enable the account.")


def account_json(ctx: Context, head: Head) -> dict[str, Any]:
    out: dict[str, Any] = {
        "account_id": head.account,
        "status": head.status,
        "used_bytes": head.used_bytes,
        "sequence": head.sequence,
    }
    if quota_bytes := quota_of(head, ctx.settings.quota_bytes):
        out["quota_bytes"] = quota_bytes
    return out
