from __future__ import annotations

from collections.abc import Sequence

from satchel.core.model import StoredUpload, TransferState

from .database import Database
from .text import from_text, to_text

State = TransferState

_FINAL = tuple(state.value for state in State if state.final)
_PUT = "INSERT OR REPLACE INTO upload (upload_id, state, created_ms, body) VALUES (?, ?, ?, ?)"

_REVISIONS, _SIGNATURE_BYTES = 10_000, 256 * 1024 * 1024
"""How much is remembered of large files: enough for 3 TB of them, and more where they are larger than 32 GiB each."""
_OF_ONE_FILE = 8
"""Of how many revisions the beginnings are remembered, for a file may go back to what it was."""
_FORGET_OLDEST = """
DELETE FROM revision WHERE node_id = ? AND number NOT IN (
    SELECT number FROM revision WHERE node_id = ? ORDER BY number DESC LIMIT ?)
"""
_FORGET = """
DELETE FROM revision WHERE number IN (
    SELECT number FROM (
        SELECT number, row_number() OVER newest AS place, sum(length(signature)) OVER newest AS bytes
        FROM revision WINDOW newest AS (ORDER BY number DESC))
    WHERE place > ? OR bytes > ?)
"""


class Uploads:
    """Uploads on their way, and those that ended and may be asked for: enough to go on after a crash without sending a
    part twice."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, uploads: Sequence[StoredUpload]) -> None:
        """All of them, as they are now, in one commit. Those that ended need their parts no more, and a watched
        folder's that is done is in its tree: nobody asks for it again."""
        ended = [(one.request.upload_id,) for one in uploads if one.state.final and one.state is not State.FAILED]
        over = [one for one in uploads if one.state is State.DONE and one.request.origin == "root"]
        with self._database.transaction():
            self._database.write_many(_PUT, [_row(upload) for upload in uploads])
            self._database.write_many("DELETE FROM part WHERE upload_id = ?", ended)
            self._database.write_many("DELETE FROM upload WHERE upload_id = ?", [(u.request.upload_id,) for u in over])

    def save(self, upload: StoredUpload) -> None:
        self.add([upload])

    def part_done(self, upload_id: str, part: int, crc64nvme: str, size: int) -> None:
        """S3 has acknowledged this part."""
        self._database.write("INSERT OR REPLACE INTO part VALUES (?, ?, ?, ?)", (upload_id, part, crc64nvme, size))

    def parts(self, upload_id: str) -> dict[int, str]:
        """The CRC64NVME of every part that S3 holds, by part number."""
        return dict(
            self._database.read("SELECT part, crc64nvme FROM part WHERE upload_id = ? ORDER BY part", upload_id)
        )

    def forget_parts(self, upload_id: str) -> None:
        """S3 has lost them: the upload begins anew."""
        self._database.write("DELETE FROM part WHERE upload_id = ?", (upload_id,))

    def remember(self, node_id: str, revision_id: str, size: int, head: bytes, signature: bytes | None) -> None:
        """A large file's newest revision. Those before have a head still and no signature; what was remembered longest
        ago may be forgotten."""
        with self._database.transaction():
            self._database.write("UPDATE revision SET signature = NULL WHERE node_id = ?", (node_id,))
            row = node_id, revision_id, size, head, signature
            self._database.write("INSERT OR REPLACE INTO revision VALUES (NULL, ?, ?, ?, ?, ?)", row)
            self._database.write(_FORGET_OLDEST, (node_id, node_id, _OF_ONE_FILE))
            self._database.write(_FORGET, (_REVISIONS, _SIGNATURE_BYTES))

    def signature(self, node_id: str, revision_id: str) -> bytes | None:
        sql = "SELECT signature FROM revision WHERE node_id = ? AND revision_id = ?"
        rows = self._database.read(sql, node_id, revision_id)
        return rows[0][0] if rows else None

    def heads(self, size: int) -> set[bytes]:
        """The digests of the beginnings of all revisions of this size."""
        return {row[0] for row in self._database.read("SELECT head FROM revision WHERE size = ?", size)}

    def unfinished(self) -> list[StoredUpload]:
        """Oldest first."""
        marks = ", ".join("?" * len(_FINAL))
        sql = f"SELECT body FROM upload WHERE state NOT IN ({marks}) ORDER BY created_ms, upload_id"  # noqa: S608 - marks
        return [from_text(row[0], StoredUpload) for row in self._database.read(sql, *_FINAL)]

    def given_up(self) -> list[StoredUpload]:
        """Cancelled, and a watched folder's that failed: the service may hold them open still."""
        sql = "SELECT body FROM upload WHERE state IN (?, ?) ORDER BY created_ms, upload_id"
        found = [from_text(row[0], StoredUpload) for row in self._database.read(sql, State.CANCELLED, State.FAILED)]
        return [one for one in found if one.state is State.CANCELLED or one.request.origin == "root"]

    def forget_done(self, before_ms: int) -> None:
        """Those that are done and began before that time."""
        self._database.write("DELETE FROM upload WHERE state = ? AND created_ms < ?", (State.DONE, before_ms))

    def recent(self, limit: int = 200) -> list[StoredUpload]:
        """In any state, newest first."""
        sql = "SELECT body FROM upload ORDER BY created_ms DESC, upload_id LIMIT ?"
        return [from_text(row[0], StoredUpload) for row in self._database.read(sql, limit)]

    def get(self, upload_id: str) -> StoredUpload | None:
        rows = self._database.read("SELECT body FROM upload WHERE upload_id = ?", upload_id)
        return from_text(rows[0][0], StoredUpload) if rows else None

    def remove(self, upload_id: str) -> None:
        with self._database.transaction():
            self._database.write("DELETE FROM upload WHERE upload_id = ?", (upload_id,))
            self._database.write("DELETE FROM part WHERE upload_id = ?", (upload_id,))


def _row(upload: StoredUpload) -> tuple[str, str, int, str]:
    return upload.request.upload_id, upload.state.value, upload.created_ms, to_text(upload)
