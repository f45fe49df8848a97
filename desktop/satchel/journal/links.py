from __future__ import annotations

from satchel.core.model import SavedLink

from .database import Database

_COLUMNS = "link_id, name, url, node_id, created_ms, site"


class Links:
    """Links made here: besides the clipboard the only place that knows their whole address."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, *links: SavedLink) -> None:
        self._database.write_many(
            f"INSERT OR REPLACE INTO link ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",  # noqa: S608 - a constant
            [(link.link_id, link.name, link.url, link.node_id, link.created_ms, link.site) for link in links],
        )

    def get(self, link_id: str) -> SavedLink | None:
        found = self._select("WHERE link_id = ?", link_id)
        return found[0] if found else None

    def recent(self, limit: int = 50) -> list[SavedLink]:
        """Newest first."""
        return self._select("ORDER BY created_ms DESC, link_id LIMIT ?", limit)

    def by_node(self, node_id: str) -> list[SavedLink]:
        """Newest first."""
        return self._select("WHERE node_id = ? ORDER BY created_ms DESC, link_id", node_id)

    def remove(self, link_id: str) -> None:
        self._database.write("DELETE FROM link WHERE link_id = ?", (link_id,))

    def _select(self, rest: str, *values: object) -> list[SavedLink]:
        rows = self._database.read(f"SELECT {_COLUMNS} FROM link {rest}", *values)  # noqa: S608 - constants only
        return [SavedLink(*row) for row in rows]
