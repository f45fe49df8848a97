from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .database import Database
from .text import from_text, to_text


@dataclass(frozen=True, slots=True)
class WatchedRoot:
    """A local folder kept in step with a remote folder.

    `remote_node` is the remote folder's node, None until it has been found or made; `remote_above` are the nodes of the
    folders above it, because a delete of one of those takes it along. `account_id` says whose tree it is
    in, so that signing in as somebody else sends nothing to the wrong place.
    """

    root_id: str
    path: str
    remote_path: str
    created_ms: int
    account_id: str = ""
    remote_node: str | None = None
    remote_above: tuple[str, ...] = ()
    mode: Literal["upload-only", "two-way"] = "upload-only"

    @property
    def two_way(self) -> bool:
        return self.mode == "two-way"


class Roots:
    """The watched folders and, for each, its cursor: the last sequence number seen of the account's change log."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, root: WatchedRoot) -> None:
        self.save(root)

    def save(self, root: WatchedRoot) -> None:
        self._database.write(
            "INSERT INTO root (root_id, created_ms, body) VALUES (?, ?, ?) "
            "ON CONFLICT (root_id) DO UPDATE SET body = excluded.body",
            (root.root_id, root.created_ms, to_text(root)),
        )

    def get(self, root_id: str) -> WatchedRoot | None:
        rows = self._database.read("SELECT body FROM root WHERE root_id = ?", root_id)
        return from_text(rows[0][0], WatchedRoot) if rows else None

    def all(self) -> list[WatchedRoot]:
        """Oldest first."""
        rows = self._database.read("SELECT body FROM root ORDER BY created_ms, root_id")
        return [from_text(row[0], WatchedRoot) for row in rows]

    def remove(self, root_id: str) -> None:
        """Forget the folder and its tree; neither side's files are touched."""
        with self._database.transaction():
            self._database.write("DELETE FROM item WHERE root_id = ?", (root_id,))
            self._database.write("DELETE FROM root WHERE root_id = ?", (root_id,))

    def cursor(self, root_id: str) -> int | None:
        """None until the remote tree has been listed once."""
        rows = self._database.read("SELECT cursor FROM root WHERE root_id = ?", root_id)
        return rows[0][0] if rows else None

    def set_cursor(self, root_id: str, cursor: int | None) -> None:
        """Call it in the same transaction as the changes that it covers."""
        self._database.write("UPDATE root SET cursor = ? WHERE root_id = ?", (cursor, root_id))
