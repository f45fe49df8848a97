"""The change log. Sequence numbers have no gaps, so a log that was cut shows itself."""

from __future__ import annotations

from typing import Any

from satchel_cloud.adapters import rows
from satchel_cloud.domain.model import Head
from satchel_cloud.domain.problems import ProblemError

from .context import Context
from .tree import within


def list_changes(ctx: Context, head: Head, after: int, limit: int) -> dict[str, Any]:
    """Changes after a cursor. Raises `cursor-too-old`, also for a cursor that this log has never given out."""
    _, position = rows.change_key(head.account, after)
    found = ctx.table.query(rows.change_key(head.account, 0)[0], after=position, limit=limit)
    whole = all(row["sequence"] == after + 1 + place for place, row in enumerate(found))
    if after > head.sequence or not whole or (not found and after < head.sequence):
        raise ProblemError("cursor-too-old", "List the whole tree afresh, and delete nothing because of it.")
    changes = [{"sequence": row["sequence"], "at_ms": row["at_ms"], "entries": row["entries"]} for row in found]
    kept = within(changes, lambda change: change)
    cursor = kept[-1]["sequence"] if kept else after
    return {"changes": kept, "cursor": cursor, "more": cursor < head.sequence}
