"""One commit: everything it changes and its row in the change log, in one transaction at one sequence number."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from satchel_cloud.adapters import rows
from satchel_cloud.adapters.table import Action, ConflictError, put, update
from satchel_cloud.domain.model import Head, Node
from satchel_cloud.domain.problems import ProblemError

from .accounts import check_active, head_of
from .context import Context

T = TypeVar("T")
ATTEMPTS = 9
LOG_DAYS = 90
RECONCILE_MS = 7 * rows.DAY_MS
"""How often an account's use is counted anew."""
ROOM = 98
"""Actions that a commit may bring beside the head and the change row."""


@dataclass(slots=True)
class Plan(Generic[T]):
    """What a commit would do. Without actions nothing is written and no sequence number is used."""

    result: T
    actions: list[Action] = field(default_factory=list)
    entries: list[tuple[str, Node]] = field(default_factory=list)
    added_bytes: int = 0


def commit(ctx: Context, account: str, decide: Callable[[Head], Plan[T]]) -> T:
    """Ask `decide` for a plan and write it; when somebody else was quicker, ask again.

    `decide` reads everything afresh and gives its nodes the sequence `head.sequence + 1`. Raises `busy` in the end.
    """
    for attempt in range(ATTEMPTS):
        head = head_of(ctx, account)
        check_active(head)
        plan = decide(head)
        if not plan.actions:
            return plan.result
        try:
            ctx.table.write([*plan.actions, _advance(ctx, head, plan), _log(ctx, head, plan)])
        except ConflictError:
            ctx.measures["CommitConflicts"] += 1
            ctx.pause(attempt)
            continue
        return plan.result
    raise ProblemError("busy", "Others are changing this account at the moment. Try again in a few seconds.")


def _advance(ctx: Context, head: Head, plan: Plan[Any]) -> Action:
    key = rows.head_key(head.account)
    return update(
        key,
        "SET #sequence = :next, #used_bytes = #used_bytes + :added, "
        # From the first commit on the janitor comes back to check the account's use.
        "#due_shard = if_not_exists(#due_shard, :due_shard), #due_ms = if_not_exists(#due_ms, :due_ms)",
        "#sequence = :seen",
        next=head.sequence + 1,
        seen=head.sequence,
        added=plan.added_bytes,
        **rows.due(key, ctx.now_ms() + RECONCILE_MS),
    )


def _log(ctx: Context, head: Head, plan: Plan[Any]) -> Action:
    now = ctx.now_ms()
    key = rows.change_key(head.account, head.sequence + 1)
    entries = [{"op": op, "node": node.to_json()} for op, node in plan.entries]
    values = {"sequence": head.sequence + 1, "at_ms": now, "entries": entries, "ttl": now // 1000 + LOG_DAYS * 86400}
    return put(rows.keyed(key, values), "attribute_not_exists(PK)")
