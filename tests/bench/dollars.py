"""What use costs by AWS's list prices, from the counted costs of the operations."""

from __future__ import annotations

from satchel.hosting.cost import Use, estimate
from satchel.hosting.prices import AS_OF, REGION

_USES = {
    "a million uploads of 100 kB, each with a link": Use(uploads=1_000_000, file_mb=0.1),
    "a million uploads of 100 MB, each with a link": Use(uploads=1_000_000, file_mb=100),
    "a million downloads by link of 100 kB": Use(downloads=1_000_000, file_mb=0.1),
    "a thousand users for a month, doing nothing": Use(users=1000),
}


def table() -> str:
    """One line for each use: by the list, without what AWS gives every account for nothing."""
    idle = estimate(Use()).idle_usd[0]
    rows = [(what, estimate(use).month_usd[0] - idle) for what, use in _USES.items()]
    width = max(len(what) for what, _ in rows)
    head = f"US dollars by the prices of {AS_OF} in {REGION}, storage left out:"
    return "\n".join([head, *(f"{what.ljust(width)}  {usd:9.2f}" for what, usd in rows)])
