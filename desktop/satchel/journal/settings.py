from __future__ import annotations

from .database import Database


class Settings:
    """Names and text values that an engine keeps from one start to the next."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, name: str, default: str | None = None) -> str | None:
        rows = self._database.read("SELECT value FROM setting WHERE name = ?", name)
        return str(rows[0][0]) if rows else default

    def set(self, name: str, value: str | None) -> None:
        """None forgets the name."""
        if value is None:
            self._database.write("DELETE FROM setting WHERE name = ?", (name,))
        else:
            self._database.write("INSERT OR REPLACE INTO setting VALUES (?, ?)", (name, value))

    def under(self, prefix: str) -> list[str]:
        """The values of all names that begin so."""
        return [
            value
            for name, value in self._database.read("SELECT name, value FROM setting ORDER BY name")
            if name.startswith(prefix)
        ]
