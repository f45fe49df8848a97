"""One SQLite file: how it is opened, versioned, written to, and set aside when it is torn."""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from satchel.core.errors import JournalError

log = logging.getLogger(__name__)

_TABLES = """
CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE upload (
    upload_id TEXT PRIMARY KEY, state TEXT NOT NULL, created_ms INTEGER NOT NULL, body TEXT NOT NULL);
CREATE INDEX upload_by_age ON upload (created_ms);
CREATE INDEX upload_by_state ON upload (state);
CREATE TABLE part (
    upload_id TEXT NOT NULL, part INTEGER NOT NULL, crc64nvme TEXT NOT NULL, size INTEGER NOT NULL,
    PRIMARY KEY (upload_id, part)) WITHOUT ROWID;
CREATE TABLE link (
    link_id TEXT PRIMARY KEY, node_id TEXT NOT NULL, created_ms INTEGER NOT NULL, name TEXT NOT NULL,
    url TEXT NOT NULL, site TEXT NOT NULL);
CREATE INDEX link_by_age ON link (created_ms);
CREATE INDEX link_by_node ON link (node_id);
CREATE TABLE root (
    root_id TEXT PRIMARY KEY, created_ms INTEGER NOT NULL, cursor INTEGER, body TEXT NOT NULL);
CREATE TABLE item (
    item_id TEXT PRIMARY KEY, root_id TEXT NOT NULL, parent_item TEXT NOT NULL, name TEXT NOT NULL,
    kind TEXT NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, file_id INTEGER NOT NULL,
    node_id TEXT NOT NULL, state TEXT NOT NULL, remote_parent TEXT NOT NULL, remote_name TEXT NOT NULL,
    revision_id TEXT, sha256 TEXT, sequence INTEGER NOT NULL) WITHOUT ROWID;
CREATE UNIQUE INDEX item_by_place ON item (root_id, parent_item, name);
CREATE INDEX item_by_node ON item (root_id, node_id);
CREATE INDEX item_by_remote_parent ON item (root_id, remote_parent);
"""
_REVISIONS = """
CREATE TABLE revision (
    number INTEGER PRIMARY KEY AUTOINCREMENT, node_id TEXT NOT NULL, revision_id TEXT NOT NULL,
    size INTEGER NOT NULL, head BLOB NOT NULL, signature BLOB, UNIQUE (node_id, revision_id));
CREATE INDEX revision_by_size ON revision (size);
"""
_TWO_WAY = """
ALTER TABLE item ADD COLUMN remote_size INTEGER NOT NULL DEFAULT -1;
ALTER TABLE item ADD COLUMN modified_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE item ADD COLUMN synced_revision TEXT;
ALTER TABLE item ADD COLUMN synced_sha256 TEXT;
ALTER TABLE item ADD COLUMN sent TEXT NOT NULL DEFAULT '';
ALTER TABLE item ADD COLUMN dirty INTEGER NOT NULL DEFAULT 0;
CREATE INDEX item_dirty ON item (root_id) WHERE dirty;
CREATE INDEX item_by_file_id ON item (file_id) WHERE file_id != 0;
CREATE INDEX item_stamp ON item (root_id, parent_item, name, kind, size, mtime_ns, file_id, state);
"""
_STEPS = (_TABLES, _REVISIONS, _TWO_WAY)
"""From an empty file to the newest format, each from the version that is its index. Never change one that was released.
"""
SCHEMA_VERSION = len(_STEPS)


class Database:
    """Thread-safe: one connection behind one lock. A commit survives a killed process; after a power cut the newest
    commits since `reach_the_disk` may be missing, which the journal's users are built for."""

    def __init__(self, path: Path) -> None:
        """Opens or makes the file. Raises `JournalError` when another version made it or the disk refuses."""
        self._path = path
        self._lock = threading.RLock()
        self._depth = 0
        self.set_aside: Path | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._connection = _open(path)
            except _TornError:
                self.set_aside = _set_aside(path)
                self._connection = _open(path)
        except (OSError, sqlite3.Error, _TornError) as error:
            raise _refused(error, path) from error

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes inside are one commit, or none of them when it is left by an exception. May be nested."""
        with self._lock:
            try:
                if self._depth == 0:
                    self._connection.execute("BEGIN IMMEDIATE")
                self._depth += 1
                try:
                    yield
                finally:
                    self._depth -= 1
                if self._depth == 0:
                    self._connection.execute("COMMIT")
            except BaseException as error:
                if self._depth == 0 and self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise _refused(error, self._path) from error
                raise

    @property
    def writes(self) -> int:
        """A number that grows with every row that is written."""
        return self._connection.total_changes

    def write(self, sql: str, *rows: tuple[Any, ...]) -> None:
        """Run `sql` once for each of `rows`, in one commit (or in the transaction under way)."""
        self.write_many(sql, rows)

    def write_many(self, sql: str, rows: Iterable[tuple[Any, ...]]) -> None:
        with self.transaction():
            self._connection.executemany(sql, rows)

    def reach_the_disk(self) -> None:
        """What was committed until now survives a power cut, too. Not to be called inside of a transaction."""
        with self._lock:
            try:
                [(busy, *_)] = self._connection.execute("PRAGMA wal_checkpoint(FULL)").fetchall()
            except sqlite3.Error as error:
                raise _refused(error, self._path) from error
        if busy:
            raise _refused(sqlite3.OperationalError("another process reads it"), self._path)

    def read(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                return self._connection.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                raise _refused(error, self._path) from error


class _TornError(Exception):
    """The file is not a sound SQLite database."""


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
    try:
        _prepare(connection, path)
    except BaseException as error:
        connection.close()
        # Locked, read-only and full disks are OperationalErrors: the file itself may be sound.
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            raise _TornError(str(error)) from error
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if not 0 <= version <= SCHEMA_VERSION:
        raise JournalError(
            "The journal was made by another version of Satchel",
            f"It has format {version}, this version reads {SCHEMA_VERSION}. Install the version that made it, or "
            f"move {path} away: a new journal is built and nothing in step is sent again.",
            path=str(path),
        )
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")
    connection.execute("PRAGMA cache_size=-16000")
    if version and (found := connection.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
        raise _TornError(found)
    if version < SCHEMA_VERSION:
        missing = "".join(_STEPS[version:])
        connection.executescript(f"BEGIN; {missing} PRAGMA user_version={SCHEMA_VERSION}; COMMIT;")


def _set_aside(path: Path) -> Path:
    """Rename the torn file and its side files; nothing is deleted, so that a person may still look into it."""
    kept = path.with_name(f"{path.name}.torn-{time.strftime('%Y%m%d-%H%M%S')}")
    number = 1
    while kept.exists():
        number += 1
        kept = path.with_name(f"{path.name}.torn-{time.strftime('%Y%m%d-%H%M%S')}-{number}")
    for side in ("-wal", "-shm"):
        side_file = path.with_name(path.name + side)
        if side_file.exists():
            side_file.rename(kept.with_name(kept.name + side))
    path.rename(kept)
    return kept


def _refused(error: Exception, path: Path) -> JournalError:
    if isinstance(error, sqlite3.Error):
        log.warning("the journal refused: %s", error)  # it names tables and columns, never what is in them
    return JournalError(
        "The journal cannot be used",
        f"{error}. Check that the disk has room and that {path.parent} can be written to, then start Satchel again.",
        path=str(path),
    )
