"""The rows that faces show: one per dropped item, one per file of a watched folder, one per download.

A dropped item's record outlives a restart in the journal; its uploads are the transfer's to remember.
"""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Literal

import msgspec

from satchel.core.model import Node, StoredUpload, TransferState
from satchel.core.status import TransferRow
from satchel.journal import Journal
from satchel.transfer import Ticket, UploadProgress

State = TransferState

MAX_ROWS = 200
_KEPT_ROOT_ROWS = 50
_RECORD = "drop/"


@dataclass(frozen=True, slots=True)
class Shared:
    """The new folder that the many items of one drop go into, with their one link if there is one."""

    node_id: str
    name: str
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Record:
    """What a restart must know of a dropped item.

    `begun` is False until its folder is made online, or its file's upload is the transfer's to remember. Until then
    `to` (None is the usual folder) and `shared` say where it goes; from then on `parent_id` and the path `place` do.

    For a folder `node_id` is its remote folder; `listed` is False until all its files are known to the transfer;
    `files` and `size` are then their sums. `skipped` says what was left out and why, or why it failed.
    """

    transfer_id: str
    name: str
    path: str
    created_ms: int
    kind: Literal["file", "folder"]
    parent_id: str
    node_id: str
    token: str | None = None
    link_url: str | None = None
    listed: bool = False
    files: int = 1
    size: int = 0
    skipped: tuple[str, ...] = ()
    state: TransferState = State.WAITING
    begun: bool = True
    to: str | None = None
    shared: Shared | None = None
    place: str = ""
    upload_id: str = ""

    @property
    def remote_path(self) -> str | None:
        """Where it is in the account; None until that is known."""
        return f"{self.place.rstrip('/')}/{self.name}" if self.begun and self.place else None


@dataclass(eq=False)
class Group:
    """A row while the program runs. `done_files` and `done_bytes` were done in an earlier run."""

    record: Record
    origin: Literal["drop", "root"] = "drop"
    members: dict[str, UploadProgress] = field(default_factory=dict)
    tickets: dict[str, Ticket] = field(default_factory=dict)
    done_files: int = 0
    done_bytes: int = 0
    cancelled: bool = False
    message: str = ""

    def row(self) -> TransferRow:
        states = [member.state for member in self.members.values()]
        rate = sum(member.rate for member in self.members.values())
        size = self.done_bytes + sum(member.size for member in self.members.values())
        sent = self.done_bytes + sum(member.sent for member in self.members.values())
        files = self.done_files + len(states)
        if self.record.listed:
            size, files = max(size, self.record.size), max(files, self.record.files)
        state = self._state(states)
        left = (size - sent) / rate if rate > 0 and state is State.SENDING else None
        return TransferRow(
            transfer_id=self.record.transfer_id,
            direction="up",
            origin=self.origin,
            name=self.record.name,
            local_path=self.record.path,
            state=state,
            size=size,
            sent_bytes=size if state is State.DONE else min(sent, size),
            files=files if state is not State.DONE else max(files, self.record.files),
            files_done=files if state is State.DONE else self.done_files + states.count(State.DONE),
            rate=rate,
            seconds_left=left,
            message=self._message(state),
            link_url=self.record.link_url,
            created_ms=self.record.created_ms,
        )

    def _state(self, states: Sequence[TransferState]) -> TransferState:
        if self.cancelled:
            return State.CANCELLED
        under_way = [state for state in states if not state.final]
        if not under_way and self.record.state.final:
            return self.record.state
        if not under_way and self.record.listed and self.record.begun:
            if State.FAILED in states:
                return State.FAILED
            return State.CANCELLED if State.CANCELLED in states else State.DONE
        if under_way and all(state is State.PAUSED for state in under_way):
            return State.PAUSED
        order = (State.SENDING, State.HASHING, State.FINISHING)
        return next((state for state in order if state in under_way), State.WAITING)

    def _message(self, state: TransferState) -> str:
        failed = [member for member in self.members.values() if member.state is State.FAILED]
        if failed:
            more = f" · and {len(failed) - 1} more" if len(failed) > 1 else ""
            return (failed[0].message or str(failed[0].error or "It failed")) + more
        if not state.final:
            waiting = next((member.message for member in self.members.values() if member.message), "")
            if self.message or waiting:
                return self.message or waiting
        if self.record.state is State.FAILED and self.record.skipped:
            return self.record.skipped[0]
        if self.record.skipped:
            more = f" · and {len(self.record.skipped) - 1} more" if len(self.record.skipped) > 1 else ""
            return f"Left out: {self.record.skipped[0]}{more}"
        return ""


class Transfers:
    """All rows. Thread-safe; `on_change` is called when one differs."""

    def __init__(self, journal: Journal, on_change: Callable[[], None]) -> None:
        self._journal = journal
        self._on_change = on_change
        self._lock = threading.RLock()
        self._groups: dict[str, Group] = {}
        self._downloads: dict[str, TransferRow] = {}
        self._stops: dict[str, threading.Event] = {}

    # -- what is dropped ----------------------------------------------------------------------------------------------

    def restore(self, unfinished: Iterable[StoredUpload]) -> list[Record]:
        """Bring back the rows of an earlier run; returns the records of those that are not done. Rows that this run
        has made already stay as they are; of those that ended, the newest are kept."""
        left: dict[str, list[StoredUpload]] = {}
        for stored in unfinished:
            left.setdefault(stored.request.group, []).append(stored)
        with self._lock:
            kept = [msgspec.convert(json.loads(text), Record) for text in self._journal.settings.under(_RECORD)]
            records = [record for record in kept if record.transfer_id not in self._groups]
            ended = [record for record in records if record.state in (State.DONE, State.CANCELLED)]
            for old in sorted(ended, key=lambda record: record.created_ms)[:-MAX_ROWS]:
                self._journal.settings.set(_RECORD + old.transfer_id, None)
                records.remove(old)
            for record in records:
                self._groups[record.transfer_id] = _restored(record, left.get(record.transfer_id, []))
        return [record for record in records if not record.state.final]

    def add(self, *records: Record) -> None:
        """New rows, stored when this returns."""
        with self._lock, self._journal.transaction():
            for record in records:
                self._groups[record.transfer_id] = Group(record)
                self._store(record)
        self._on_change()

    def change(self, transfer_id: str, **changes: object) -> Record | None:
        """Change a record, stored when this returns; None when the row is gone."""
        with self._lock:
            group = self._groups.get(transfer_id)
            if group is None:
                return None
            group.record = replace(group.record, **changes)  # type: ignore[arg-type] # names are Record's
            self._store(group.record)
        self._on_change()
        return group.record

    def say(self, transfer_id: str, message: str) -> None:
        with self._lock:
            if (group := self._groups.get(transfer_id)) is not None:
                group.message = message
        self._on_change()

    def record(self, transfer_id: str) -> Record | None:
        group = self._groups.get(transfer_id)
        return group.record if group else None

    def cancelled(self, transfer_id: str) -> bool:
        """Also when the row is gone."""
        group = self._groups.get(transfer_id)
        return group is None or group.cancelled

    def follow(self, transfer_id: str, tickets: Iterable[tuple[Ticket, int]]) -> None:
        """Uploads, with their sizes, that belong to a row."""
        with self._lock:
            group = self._groups.get(transfer_id)
            if group is None:
                return
            followed = []
            for ticket, size in tickets:
                at = ticket.upload_id
                before = group.members.get(at)
                group.members[at] = UploadProgress(at, transfer_id, State.WAITING, before.size if before else size, 0)
                group.tickets[at] = ticket
                followed.append(ticket)
        for ticket in followed:
            ticket.done.add_done_callback(functools.partial(self._ended, transfer_id, ticket.upload_id))
        self._on_change()

    def counted(self, transfer_id: str, files: int, size: int) -> None:
        """Files that an earlier run has finished."""
        with self._lock:
            if (group := self._groups.get(transfer_id)) is not None:
                group.done_files, group.done_bytes = group.done_files + files, group.done_bytes + size

    def uploads(self, transfer_id: str) -> list[UploadProgress]:
        with self._lock:
            group = self._groups.get(transfer_id)
            return list(group.members.values()) if group else []

    def tickets(self, transfer_id: str) -> list[Ticket]:
        """Of this run's uploads of a row."""
        with self._lock:
            group = self._groups.get(transfer_id)
            return list(group.tickets.values()) if group else []

    def cancel(self, transfer_id: str) -> list[str]:
        """Mark a row; the uploads that are to be cancelled. A download is told to stop."""
        with self._lock:
            if (stop := self._stops.get(transfer_id)) is not None:
                stop.set()
            group = self._groups.get(transfer_id)
            if group is None or (group.row().state.final and group.row().state is not State.FAILED):
                return []
            group.cancelled = group.origin == "drop"
            if group.cancelled:
                group.record = replace(group.record, state=State.CANCELLED)
                self._store(group.record)
            return [member.upload_id for member in group.members.values() if member.state is not State.DONE]

    def forget(self, transfer_id: str) -> None:
        with self._lock:
            self._groups.pop(transfer_id, None)
            self._journal.settings.set(_RECORD + transfer_id, None)
        self._on_change()

    # -- watched folders and downloads --------------------------------------------------------------------------------

    def add_root_file(self, ticket: Ticket, name: str, path: str, created_ms: int) -> None:
        record = Record(ticket.upload_id, name, path, created_ms, "file", "", "", listed=True)
        with self._lock:
            self._groups[ticket.upload_id] = Group(record, origin="root")
            ended = [
                group.record.transfer_id
                for group in self._groups.values()
                if group.origin == "root" and group.members and all(m.state.final for m in group.members.values())
            ]
            for old in ended[:-_KEPT_ROOT_ROWS]:
                del self._groups[old]
        self.follow(ticket.upload_id, [(ticket, 0)])

    def show_download(self, row: TransferRow, stop: threading.Event) -> None:
        """`stop` is set when somebody cancels the row."""
        with self._lock:
            self._downloads[row.transfer_id] = row
            if row.state.final:
                self._stops.pop(row.transfer_id, None)
            else:
                self._stops[row.transfer_id] = stop
        self._on_change()

    # -- for faces ----------------------------------------------------------------------------------------------------

    def update(self, progress: Iterable[UploadProgress]) -> None:
        """What the transfer says now."""
        with self._lock:
            by_upload = {at: group for group in self._groups.values() for at in group.members}
            for one in progress:
                if (group := by_upload.get(one.upload_id)) is not None:
                    group.members[one.upload_id] = one

    def row(self, transfer_id: str) -> TransferRow | None:
        with self._lock:
            group = self._groups.get(transfer_id)
            return group.row() if group else self._downloads.get(transfer_id)

    def rows(self) -> list[TransferRow]:
        """Active first, then newest first."""
        with self._lock:
            rows = [group.row() for group in self._groups.values()] + list(self._downloads.values())
        return sorted(rows, key=lambda row: (row.state.final, -row.created_ms, row.name))

    def under_way(self) -> list[str]:
        """What is neither ended nor paused."""
        return [row.transfer_id for row in self.rows() if not row.state.final and row.state is not State.PAUSED]

    def clear_done(self) -> list[str]:
        """Forget the rows that are done or cancelled; the uploads that belonged to them."""
        with self._lock:
            ended = [row.transfer_id for row in self.rows() if row.state in (State.DONE, State.CANCELLED)]
            uploads = [one.upload_id for transfer_id in ended for one in self.uploads(transfer_id)]
            for transfer_id in ended:
                self._downloads.pop(transfer_id, None)
                if transfer_id in self._groups:
                    self.forget(transfer_id)
        self._on_change()
        return uploads

    def settle(self) -> None:
        """Store how rows ended."""
        with self._lock:
            for group in self._groups.values():
                state = group.row().state
                ended = state in (State.DONE, State.CANCELLED)
                if group.origin == "drop" and ended and group.record.state is not state:
                    group.record = replace(group.record, state=state)
                    self._store(group.record)

    def _ended(self, transfer_id: str, upload_id: str, done: Future[Node]) -> None:
        with self._lock:
            group = self._groups.get(transfer_id)
            member = group.members.get(upload_id) if group else None
            if group is None or member is None or done.cancelled():
                return
            if done.exception() is None:
                node = done.result()
                size = node.revision.size if node.revision else member.size
                group.members[upload_id] = replace(member, state=State.DONE, size=size, sent=size, message="")
        self._on_change()

    def _store(self, record: Record) -> None:
        # ASCII: a path may hold what is no text.
        self._journal.settings.set(_RECORD + record.transfer_id, json.dumps(msgspec.to_builtins(record)))


def _restored(record: Record, uploads: Sequence[StoredUpload]) -> Group:
    group = Group(record, cancelled=record.state is State.CANCELLED)
    for stored in uploads:
        at = stored.request.upload_id
        group.members[at] = UploadProgress(at, record.transfer_id, stored.state, stored.size, 0, message=stored.message)
    if record.listed:
        group.done_files = max(0, record.files - len(group.members))
        group.done_bytes = max(0, record.size - sum(member.size for member in group.members.values()))
    return group
