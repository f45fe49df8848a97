"""The life of one upload, and the ledger of all of them: every step is stored before its effect.

    WAITING -> HASHING -> SENDING -> FINISHING -> DONE
       ^                     |          |
       +---- again, from the start: after a pause, a crash, a lost upload, a changed file

Beside this line stand PAUSED, FAILED and CANCELLED. Large files skip HASHING; what the service holds already skips
SENDING. An upload has an `epoch`: whatever takes it off the line begins a new one, and work of an older epoch that is
still under way finds that it is stale and comes to nothing.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from satchel.core.errors import CancelledError, JournalError, SatchelError
from satchel.core.model import Node, OpenedUpload, StoredUpload, TransferState, UploadRequest
from satchel.core.ports import Clock

from .layout import Part
from .local import LocalFile, Stamp, stamp_of
from .ports import UploadStore
from .replies import Verdict

log = logging.getLogger(__name__)

State = TransferState

_LINE = (State.WAITING, State.HASHING, State.SENDING, State.FINISHING)
NEXT: dict[State, frozenset[State]] = {
    **{state: frozenset(State) for state in _LINE},
    State.PAUSED: frozenset({State.WAITING, State.FINISHING, State.CANCELLED, State.FAILED}),
    # Retried, or completed on another base.
    State.FAILED: frozenset({State.WAITING, State.FINISHING, State.CANCELLED}),
    State.DONE: frozenset(),
    State.CANCELLED: frozenset(),
}


class Ticket:
    """What whoever asked for an upload holds. After `retry` or `complete_with_base` its futures are new ones.

    `opened`: the service knows of the upload; its link exists from then on. `done`: the node with its new revision,
    or the `SatchelError` that ended it. `upload_id` stays, even when the upload had to begin anew under another.
    """

    def __init__(self, upload_id: str) -> None:
        self.upload_id = upload_id
        self.opened: Future[OpenedUpload] = Future()
        self.done: Future[Node] = Future()


@dataclass(frozen=True, slots=True)
class UploadProgress:
    """`sent` counts bytes that S3 has acknowledged or that are on the wire; `rate` is bytes per second, smoothed.

    `message` is for people while something is waited for; `retry_at` (milliseconds since the epoch) is when it is tried
    again. `error` is set when the upload has failed.
    """

    upload_id: str
    group: str
    state: TransferState
    size: int
    sent: int
    rate: float = 0.0
    message: str = ""
    retry_at: int | None = None
    error: SatchelError | None = None


@dataclass(eq=False, slots=True)
class Upload:
    """An upload while the program runs. Guarded by the ledger's lock."""

    stored: StoredUpload
    ticket: Ticket
    epoch: int = 0
    part_bytes: dict[int, int] = field(default_factory=dict)
    """Sizes of the parts that S3 has; a file that goes by one PUT is part 0."""
    payload: bytes | None = None
    """All of a small file, from when it was hashed until it is sent."""
    looked: bool = False
    """Whether it was read before it was opened, to find out what S3 has of it."""
    plan: tuple[Part, ...] | None = None
    """The parts it would like to come in."""
    parts: tuple[Part, ...] = ()
    """Those it comes in; none for one that goes by one PUT."""
    head: bytes = b""
    signature: bytes | None = None
    """What the next revision will be compared with, once all was read."""
    digest: str | None = None
    """The file's SHA-256 once it is known; stored with the next step."""
    jobs: set[Job] = field(default_factory=set)
    tries: Counter[Verdict | str] = field(default_factory=Counter)
    abort_first: list[str] = field(default_factory=list)
    """Uploads that this one replaces: given up before this one is opened."""
    recalled: bool = False
    """Whether an earlier run began it: S3 may hold more of it than the journal knows."""
    may_be_open: bool = False
    message: str = ""
    retry_at: int | None = None
    error: SatchelError | None = None
    rate: float = 0.0
    rated_at: float | None = None
    rated_bytes: int = 0

    @property
    def id(self) -> str:
        return self.stored.request.upload_id

    @property
    def request(self) -> UploadRequest:
        return self.stored.request

    @property
    def state(self) -> TransferState:
        return self.stored.state

    @property
    def stamp(self) -> Stamp:
        return Stamp(self.stored.size, self.stored.mtime_ns)

    @property
    def priority(self) -> int:
        """What a person dropped goes before what a watched folder has to say; what promises a link goes first."""
        if self.request.origin == "root":
            return 2
        return 0 if self.request.link_token else 1

    def look(self) -> Stamp:
        """The file as it is now. Raises `LocalFileError`."""
        return stamp_of(self.request.path, links=self.request.origin != "root")

    def read(self) -> LocalFile:
        """The file, open. Raises `LocalFileError`, `FileChangedError`."""
        return LocalFile(self.request.path, self.stamp, links=self.request.origin != "root")

    def sent(self) -> int:
        if self.state in (State.DONE, State.FINISHING):
            return self.stored.size
        if not self.part_bytes and not self.jobs:
            return 0  # most of many
        return min(self.stored.size, sum(self.part_bytes.values()) + sum(job.on_wire for job in self.jobs))


class Interruptible(Protocol):
    """A wire on which one request at a time is under way."""

    def arm(self) -> None:
        """Forget an earlier `interrupt`: another request begins."""

    def interrupt(self) -> None:
        """End the request under way at once; from any thread."""


@dataclass(eq=False, slots=True)
class Job:
    """A stretch of a file on the wire."""

    wire: Interruptible
    on_wire: int = 0

    def count(self, sent: int) -> None:
        self.on_wire = sent


class Ledger:
    """All uploads of this run, and the one place where they change. Thread-safe."""

    def __init__(self, store: UploadStore, clock: Clock, on_change: Callable[[], None]) -> None:
        self.lock = threading.RLock()
        self.store = store
        self.clock = clock
        self._on_change = on_change
        self.uploads: dict[str, Upload] = {}
        """By the ticket's id, oldest first."""
        self._also: dict[str, str] = {}

    def find(self, upload_id: str) -> Upload | None:
        """By the ticket's id, or by any id that the upload has had since."""
        return self.uploads.get(upload_id) or self.uploads.get(self._also.get(upload_id, ""))

    def fresh(self, upload: Upload, epoch: int) -> bool:
        state = upload.stored.state
        return upload.epoch == epoch and state is not State.PAUSED and not state.final

    def advance(self, upload: Upload, epoch: int, state: State, **changes: Any) -> bool:
        """To `state`, stored; False when the work was stale."""
        return bool(self.advance_all([(upload, epoch)], state, **changes))

    def advance_all(
        self, work: Iterable[tuple[Upload, int]], state: State, *, store: bool = True, **changes: Any
    ) -> list[Upload]:
        """As `advance` for many, with one commit; those that did advance. Without `store` the journal does not hear of
        it: a crash repeats the step."""
        with self.lock:
            uploads = [upload for upload, epoch in work if self.fresh(upload, epoch)]
            made = [
                replace(upload.stored, state=state, message="", sha256=upload.digest or upload.stored.sha256, **changes)
                for upload in uploads
            ]
            if made and store:
                self.store.add(made)
            for upload, stored in zip(uploads, made, strict=True):
                assert state in NEXT[upload.state], (upload.state, state)  # noqa: S101 - the table above is the rule
                upload.stored = stored
                upload.message, upload.retry_at = "", None
        self._on_change()
        return uploads

    def waits(self, upload: Upload, epoch: int, message: str, delay: float) -> None:
        """Say what is waited for; nothing to store."""
        with self.lock:
            if self.fresh(upload, epoch):
                upload.message = message
                upload.retry_at = self.clock.now_ms() + int(delay * 1000)
        self._on_change()

    def opened(self, upload: Upload, answer: OpenedUpload) -> None:
        _settle(upload.ticket.opened, answer)
        self._on_change()

    def give_up(self, stored: StoredUpload) -> None:
        """Remember that the service is to hear that nobody sends this any more."""
        self.store.save(replace(stored, state=State.CANCELLED, message=""))

    def heard(self, upload_id: str) -> None:
        """The service knows that an upload was given up."""
        with self.lock:
            stored = self.store.get(upload_id)
            root = stored is not None and stored.request.origin == "root"
            if stored is not None and (stored.state is State.CANCELLED or (stored.state is State.FAILED and root)):
                self.store.remove(upload_id)

    def part_done(self, upload: Upload, upload_id: str, part: int, crc64nvme: str, size: int) -> None:
        """Even from a stale epoch, if it is the same upload: S3 has it, so it need not be sent again."""
        with self.lock:
            if upload.id != upload_id or upload.state in (State.DONE, State.CANCELLED):
                return
            self.store.part_done(upload_id, part, crc64nvme, size)
            upload.part_bytes[part] = size
            upload.message, upload.retry_at = "", None
        self._on_change()

    def arrived(self, work: Iterable[tuple[Upload, int]]) -> list[tuple[Upload, int]]:
        """S3 has all of these files, each by one PUT; those that are not stale. Nothing is stored, as asking S3 again
        would tell: it is stored with many others when they are finished."""
        with self.lock:
            fresh = [(upload, epoch) for upload, epoch in work if self.fresh(upload, epoch)]
            for upload, _ in fresh:
                upload.part_bytes[0] = upload.stored.size
                upload.message, upload.retry_at = "", None
        self._on_change()
        return fresh

    def done(self, work: Iterable[tuple[Upload, int, Node]]) -> None:
        """With one commit for all; stale ones are left out."""
        with self.lock:
            ended = [(upload, node) for upload, epoch, node in work if self.fresh(upload, epoch)]
            made = [replace(upload.stored, state=State.DONE, message="") for upload, _ in ended]
            # Before the file is done: after a crash in between nobody would know what to compare its next change with.
            for upload, node in ended:
                self._remember(upload, node)
            self.store.add(made)
            for (upload, _), stored in zip(ended, made, strict=True):
                self.new_epoch(upload)
                upload.stored, upload.rate = stored, 0.0
                upload.plan, upload.parts, upload.signature = None, (), None
        for upload, node in ended:
            _settle(upload.ticket.opened, OpenedUpload(upload_id=upload.id, outcome="done", node=node))
            _settle(upload.ticket.done, node)
        self._on_change()

    def fail(self, upload: Upload, epoch: int, error: SatchelError) -> bool:
        """False when the work was stale: many hands may stumble over the same thing."""
        with self.lock:
            if not self.fresh(upload, epoch):
                return False
            upload.error = error
            self._end(upload, State.FAILED, error.said)
        _refuse(upload.ticket, error)
        self._on_change()
        return True

    def cancel(self, upload: Upload) -> bool:
        with self.lock:
            if upload.state in (State.DONE, State.CANCELLED):
                return False
            self._end(upload, State.CANCELLED, "")
        _refuse(upload.ticket, CancelledError("Cancelled", path=upload.request.path))
        self._on_change()
        return True

    def pause(self, upload: Upload) -> bool:
        with self.lock:
            if upload.state.final or upload.state in (State.PAUSED, State.FINISHING):
                return False
            self.new_epoch(upload)
            self._save(upload, State.PAUSED)
        self._on_change()
        return True

    def again(self, upload: Upload, state: State = State.WAITING, *, fresh_ticket: bool = False) -> int:
        """Back on the line; the new epoch."""
        with self.lock:
            self.new_epoch(upload)
            if fresh_ticket:
                upload.error = None
                upload.tries.clear()
                if upload.ticket.done.done():
                    upload.ticket.done = Future()
                if upload.ticket.opened.done() and upload.ticket.opened.exception() is not None:
                    upload.ticket.opened = Future()
            self._save(upload, state)
            epoch = upload.epoch
        self._on_change()
        return epoch

    def renew(self, upload: Upload, stamp: Stamp, upload_id: str, **changes: Any) -> int:
        """Begin anew under another id, with the same node and link; the new epoch. `changes` are the request's."""
        with self.lock:
            old = upload.stored
            self.new_epoch(upload)
            upload.part_bytes.clear()
            upload.digest = None
            upload.looked, upload.plan, upload.parts, upload.head, upload.signature = False, None, (), b"", None
            upload.stored = replace(
                upload.stored,
                request=replace(upload.request, upload_id=upload_id, **changes),
                size=stamp.size,
                mtime_ns=stamp.mtime_ns,
                state=State.WAITING,
                sha256=None,
                part_size=0,
                message="",
            )
            upload.abort_first.append(old.request.upload_id)
            upload.may_be_open = upload.recalled = False
            self.store.add([upload.stored, replace(old, state=State.CANCELLED, message="")])
            self._also[upload_id] = upload.ticket.upload_id
            epoch = upload.epoch
        self._on_change()
        return epoch

    def new_epoch(self, upload: Upload) -> None:
        """Whatever is under way for `upload` stops, at once where it is on the wire."""
        upload.epoch += 1
        upload.payload = None
        upload.message, upload.retry_at = "", None
        for job in upload.jobs:
            job.wire.interrupt()
        upload.jobs.clear()

    def start_job(self, upload: Upload, epoch: int, wire: Interruptible) -> Job | None:
        """None when the work is stale."""
        with self.lock:
            if not self.fresh(upload, epoch):
                return None
            wire.arm()
            job = Job(wire)
            upload.jobs.add(job)
            return job

    def end_job(self, upload: Upload, job: Job) -> None:
        with self.lock:
            upload.jobs.discard(job)

    def _remember(self, upload: Upload, node: Node) -> None:
        if upload.head and node.revision is not None:
            revision = node.revision
            try:
                self.store.remember(node.node_id, revision.revision_id, revision.size, upload.head, upload.signature)
            except JournalError:
                log.warning("a revision could not be remembered: its next change is sent whole")

    def _end(self, upload: Upload, state: State, message: str) -> None:
        self.new_epoch(upload)
        upload.rate = 0.0
        self._save(upload, state, message)

    def _save(self, upload: Upload, state: State, message: str = "") -> None:
        assert state in NEXT[upload.state] or state is upload.state, (upload.state, state)  # noqa: S101 - as above
        stored = replace(upload.stored, state=state, message=message)
        try:
            self.store.save(stored)
        except JournalError:
            if state is not State.FAILED:
                raise
            log.warning("a failed upload could not be stored: the next run tries it again")
        upload.stored = stored


def _refuse(ticket: Ticket, error: SatchelError) -> None:
    for future in (ticket.opened, ticket.done):
        with contextlib.suppress(InvalidStateError):
            future.set_exception(error)


def _settle(future: Future[Any], value: Any) -> None:
    if not future.done():
        with contextlib.suppress(InvalidStateError):
            future.set_result(value)
