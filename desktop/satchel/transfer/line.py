"""The line that uploads go along: its queues, the gates to the two hosts, and what happens to one that leaves it."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from satchel.core.errors import (
    BusyError,
    FileChangedError,
    LocalFileError,
    NotSignedInError,
    OfflineError,
    RefusedError,
    SatchelError,
    twin,
)
from satchel.core.model import Problem, TransferState
from satchel.core.ports import Clock, Ids

from .backoff import Backoff, Gate
from .local import FileGoneError, changed
from .ports import UploadService
from .queues import WorkQueue
from .replies import Verdict
from .upload import Ledger, Upload

log = logging.getLogger(__name__)

T = TypeVar("T")
State = TransferState

QUIET_S = 2.0
"""A dropped file that changed while it was sent is sent again when it has been quiet for so long."""
CHANGES, LOSSES, GAPS, BUSY = 5, 3, 3, 10
"""How often an upload begins again: changed, lost at S3, incomplete at its end; how often a busy service is asked."""


@dataclass(frozen=True, slots=True)
class Turn:
    """An upload's turn in a queue; void when the upload has moved on to another epoch."""

    upload: Upload
    epoch: int
    resumed: bool = False
    """For large files: some parts may be at S3 already."""
    tries: int = 0
    look: bool = False
    """To be read once before it is opened: much of it may be at S3."""


@dataclass(eq=False, slots=True)
class Stretch:
    """Bytes to send by one signed request: part `part` of a file, or all of it as part 0."""

    upload: Upload
    epoch: int
    upload_id: str
    part: int
    offset: int
    size: int
    url: str
    headers: dict[str, str]
    signed_at: float
    crc64nvme: str | None = None
    window: Window | None = None
    payload: bytes | None = None
    """The bytes themselves where they are few; else they are read again when they are sent."""
    copy_from: int | None = None
    """S3 copies them from there itself: nothing is sent."""
    tries: Counter[Verdict] = field(default_factory=Counter)
    broken: int = 0
    """How often its connection broke."""


class Window:
    """How many signed bytes wait for the wire, so that nobody signs further ahead than is of use."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._ahead = 0
        self._changed = threading.Condition()

    def put(self, size: int) -> None:
        with self._changed:
            self._ahead += size

    def started(self, size: int) -> None:
        with self._changed:
            self._ahead = max(0, self._ahead - size)
            self._changed.notify_all()

    def wait(self, more: int, seconds: float) -> bool:
        """Whether `more` bytes may be put; waits up to `seconds`. One stretch may always be."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._ahead or self._ahead + more <= self._limit, seconds)


class ClosedError(Exception):
    """The uploader is closing."""


class Line:
    def __init__(self, service: UploadService, ledger: Ledger, clock: Clock, ids: Ids, backoff: Backoff) -> None:
        self.service = service
        self.ledger = ledger
        self.clock = clock
        self.ids = ids
        self.backoff = backoff
        self.service_gate = Gate(backoff, clock, ids)
        self.wire_gate = Gate(backoff, clock, ids)
        self.to_prepare: WorkQueue[Turn] = WorkQueue(clock)
        self.to_drive: WorkQueue[Turn] = WorkQueue(clock)
        self.to_send: WorkQueue[Stretch] = WorkQueue(clock)
        self.to_send_small: WorkQueue[Stretch] = WorkQueue(clock)
        self.to_finish: WorkQueue[Turn] = WorkQueue(clock)
        self.to_abort: WorkQueue[str] = WorkQueue(clock)
        self._busy = 0
        self._busy_lock = threading.Lock()

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """Around work from which uploads may come that are to be finished."""
        with self._busy_lock:
            self._busy += 1
        try:
            yield
        finally:
            with self._busy_lock:
                self._busy -= 1

    def more_to_come(self) -> bool:
        """Whether more uploads are about to be ready to be finished."""
        return self._busy > 0 or any(len(queue) for queue in (self.to_send_small, self.to_send, self.to_prepare))

    def close(self) -> None:
        for queue in self._queues():
            queue.close()
        self.service_gate.close()
        self.wire_gate.close()

    def _queues(self) -> tuple[WorkQueue[Any], ...]:
        return self.to_prepare, self.to_drive, self.to_send, self.to_send_small, self.to_finish, self.to_abort

    def ask(self, work: Callable[[], T]) -> T:
        """The service's answer, waited for as long as it cannot be reached. Raises `ClosedError`, other refusals."""
        busy = 0
        while True:
            ticket = self.service_gate.enter()
            if ticket is None:
                raise ClosedError
            try:
                result = work()
            except (OfflineError, NotSignedInError) as error:
                self.service_gate.failed(ticket, error.title)
            except (BusyError, RefusedError) as error:
                if isinstance(error, RefusedError) and error.kind != "busy":
                    self.service_gate.passed()
                    raise
                busy += 1
                if busy >= BUSY:
                    raise
                self.service_gate.failed(ticket, error.title, getattr(error, "retry_after", None))
            else:
                self.service_gate.passed()
                return result

    def abort(self, upload_id: str) -> None:
        """Tell the service that an upload was given up. Raises as `ask` does, also when there was nothing to abort."""
        try:
            self.ask(lambda: self.service.abort_upload(upload_id))
        except RefusedError as error:
            if error.kind != "busy":
                self.ledger.heard(upload_id)
            raise
        self.ledger.heard(upload_id)

    # -- along the line --------------------------------------------------------------------------------------------

    def prepare(self, upload: Upload, epoch: int, delay: float = 0.0) -> None:
        self.to_prepare.put(Turn(upload, epoch), upload.priority, delay)

    def send(self, stretch: Stretch, delay: float = 0.0) -> None:
        queue = self.to_send if stretch.payload is None else self.to_send_small
        queue.put(stretch, stretch.upload.priority, delay)

    def finish(self, turns: Sequence[Turn]) -> None:
        self.to_finish.put_all([(turn, turn.upload.priority) for turn in turns])

    def is_whole(self, upload: Upload, epoch: int) -> bool:
        """Whether it has just come to its end: S3 has every part and the whole digest is known."""
        with self.ledger.lock:
            whole = upload.parts and len(upload.part_bytes) == len(upload.parts)
            if not whole or upload.digest is None or upload.state is not State.SENDING:
                return False
            return self.ledger.advance(upload, epoch, State.FINISHING)

    # -- off the line ----------------------------------------------------------------------------------------------

    def stumbled(self, upload: Upload, epoch: int, error: SatchelError) -> None:
        """An error that concerns this upload only."""
        if isinstance(error, FileChangedError):
            self._changed(upload, epoch)
            return
        if error.path is None:
            error.path = upload.request.path
        gone = isinstance(error, FileGoneError) and upload.may_be_open
        if self.ledger.fail(upload, epoch, error) and gone:
            self.to_abort.put(upload.id, 0)  # its page says that the sender stopped, rather than on its way for ever

    def refused(self, upload: Upload, epoch: int, problem: Problem | None) -> None:
        """The service's word on this upload."""
        if problem is None:
            self.stumbled(upload, epoch, SatchelError("The service gave no reason", "Try again."))
        elif problem.kind in ("upload-lost", "upload-closed"):
            self.lost(upload, epoch)
        elif problem.kind == "id-taken" and not upload.tries["id-taken"]:
            upload.tries["id-taken"] += 1
            self._renew(upload, epoch, node_id=self.ids.new_id() if upload.request.base_revision is None else None)
        elif problem.kind == "incomplete":
            self._incomplete(upload, epoch, problem)
        else:
            self.ledger.fail(upload, epoch, RefusedError.of(problem, path=upload.request.path))

    def look_again(self, upload: Upload, epoch: int) -> None:
        """S3 or the service knows the upload no more as open: it may be lost, or done by somebody else. Open tells."""
        with self.ledger.lock:
            if not self.ledger.fresh(upload, epoch):
                return
            upload.tries["unknown"] += 1
            if upload.tries["unknown"] <= LOSSES:
                self.prepare(upload, self.ledger.again(upload))
                return
        self.lost(upload, epoch)

    def lost(self, upload: Upload, epoch: int) -> None:
        """What was sent is gone: send it again, to the same node and link."""
        with self.ledger.lock:
            if not self.ledger.fresh(upload, epoch):
                return
            upload.tries["lost"] += 1
        if upload.tries["lost"] > LOSSES:
            self.stumbled(upload, epoch, SatchelError("What was sent got lost, again and again", "Try again later."))
        else:
            self._renew(upload, epoch)

    def _incomplete(self, upload: Upload, epoch: int, problem: Problem) -> None:
        upload.tries["incomplete"] += 1
        if upload.tries["incomplete"] > GAPS:
            self.ledger.fail(upload, epoch, RefusedError.of(problem, path=upload.request.path))
            return
        with self.ledger.lock:
            if self.ledger.fresh(upload, epoch):
                self.ledger.store.forget_parts(upload.id)
                upload.part_bytes.clear()
                self.prepare(upload, self.ledger.again(upload))

    def _changed(self, upload: Upload, epoch: int) -> None:
        error = changed(upload.request.path)
        with self.ledger.lock:
            if not self.ledger.fresh(upload, epoch):
                return  # several connections find out at once: one of them acts
            upload.tries["changed"] += 1
        if upload.request.origin == "root" or upload.tries["changed"] > CHANGES:
            # A watched folder's own loop knows when it is quiet; a person is told.
            failed = self.ledger.fail(upload, epoch, error)
            if failed and upload.may_be_open and upload.request.origin == "root":
                self.to_abort.put(upload.id, 2)
            return
        self._renew(upload, epoch, delay=QUIET_S, message=f"{error.title} · {error.message}")

    def _renew(
        self, upload: Upload, epoch: int, *, node_id: str | None = None, delay: float = 0.0, message: str = ""
    ) -> None:
        try:
            stamp = upload.look()
        except LocalFileError as error:
            self.stumbled(upload, epoch, error)
            return
        with self.ledger.lock:
            if not self.ledger.fresh(upload, epoch):
                return
            changes = {"node_id": node_id} if node_id is not None else {}
            renewed = self.ledger.renew(upload, stamp, self.ids.new_id(), **changes)
        if message:
            self.ledger.waits(upload, renewed, message, delay)
        self.prepare(upload, renewed, delay)

    def unforeseen(self, turns: Iterable[Turn], error: Exception) -> None:
        """A defect of ours, or a journal that refuses, must end those uploads and no thread."""
        log.error("an upload ran into something unforeseen", exc_info=error)
        told = error if isinstance(error, SatchelError) else SatchelError("Satchel ran into a bug", "See its log.")
        for turn in turns:
            self.stumbled(turn.upload, turn.epoch, twin(told))
