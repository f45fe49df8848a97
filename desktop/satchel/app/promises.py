"""Links that were promised to the clipboard when a drop could not have them at once."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]


class Promises:
    """Each drop's links go onto the clipboard together, once none of them is waited for any more."""

    def __init__(self) -> None:
        self._waiting: list[list[str]] = []

    def add(self, items: list[Row]) -> bool:
        """A drop's answer; whether it has links to wait for."""
        mine = [item for item in items if not item.get("error") and item.get("transfer_id")]
        if all(item.get("link_url") for item in mine):
            return False
        self._waiting.append([str(item["transfer_id"]) for item in mine])
        return True

    def kept(self, rows: list[Row]) -> list[str]:
        """What there is to copy now, given all rows: the links of one drop each, one a line."""
        if not self._waiting:
            return []
        by_id = {row["transfer_id"]: row for row in rows}
        over = [drop for drop in self._waiting if all(_settled(by_id.get(at)) for at in drop)]
        self._waiting = [drop for drop in self._waiting if drop not in over]
        found = [dict.fromkeys(str(by_id[at]["link_url"]) for at in drop if by_id[at]["link_url"]) for drop in over]
        return ["\n".join(links) for links in found if links]


def _settled(row: Row | None) -> bool:
    return row is not None and bool(row["link_url"] or row["state"] in ("done", "failed", "cancelled"))
