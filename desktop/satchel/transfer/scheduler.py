"""The face of uploading: submit, watch, pause, resume, cancel, retry."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from satchel.core.errors import LocalFileError, SatchelError, UsageError
from satchel.core.model import OpenedUpload, StoredUpload, TransferState, UploadRequest
from satchel.core.names import name_problem
from satchel.core.ports import Clock, Ids

from .backoff import Backoff
from .dial import Dialer
from .drive import Driver
from .finish import Aborter, Finisher
from .limits import Limit
from .line import Line, Turn
from .local import Stamp, stamp_of
from .ports import UploadService, UploadStore
from .prepare import Preparer
from .send import Sender
from .small import SmallSender
from .upload import Ledger, Ticket, Upload, UploadProgress
from .wire import REPLY_TIMEOUT, SEND_TIMEOUT, Wire

State = TransferState

_KEPT = 200
"""How many uploads that ended `progress` still tells of."""
_AT_ONCE = 200
"""Uploads that are looked at and stored in one go."""
_RATE_EVERY_S = 0.25
_SMALL = 20
"""Connections for small files, for each one for large files: they are over before they fill one."""
_DONE_MS = 30 * 24 * 3600 * 1000
"""How long a done upload is remembered: until then a folder that a crash interrupted knows which files it has sent."""


class Uploader:
    """Sends files to S3, several at a time, what a person dropped first. Thread-safe.

    `on_change` is called from any of its threads whenever something is new; it must be quick. Nothing here raises
    because of one file: its ticket does.
    """

    def __init__(
        self,
        service: UploadService,
        store: UploadStore,
        *,
        clock: Clock,
        ids: Ids,
        connections: int = 6,
        limit: int = 0,
        on_change: Callable[[], None] = lambda: None,
        backoff: Backoff | None = None,
        send_timeout: float = SEND_TIMEOUT,
        reply_timeout: float = REPLY_TIMEOUT,
    ) -> None:
        """`limit` is bytes a second, 0 for none. Timeouts are seconds: for a block of 256 KiB to leave, and for S3's
        answer after the last byte."""
        self._clock = clock
        self._ids = ids
        self._store = store
        self._ledger = Ledger(store, clock, on_change)
        self._line = Line(service, self._ledger, clock, ids, backoff or Backoff())
        self._all_paused = False
        self._held: list[Upload] = []
        self._paths: dict[str, list[Upload]] = {}
        self._left: dict[str, list[StoredUpload]] = {}
        """What an earlier run left unfinished and nobody has taken up yet, by path, oldest first."""
        for stored in store.unfinished():
            self._left.setdefault(stored.request.path, []).append(stored)
        self._given_up: dict[str, list[str]] = {}
        """What an earlier run gave up and the service has not heard of, by node: told before that is opened anew."""
        for stored in store.given_up():
            self._given_up.setdefault(stored.request.node_id, []).append(stored.request.upload_id)
        store.forget_done(clock.now_ms() - _DONE_MS)
        self.limit = Limit(clock, limit)
        """Bytes a second that may leave; may be changed at any time."""
        dialer = Dialer()
        self._senders = [
            Sender(self._line, Wire(dialer, self.limit, send_timeout=send_timeout, reply_timeout=reply_timeout))
            for _ in range(connections)
        ]
        most = 1 if connections == 1 else connections * _SMALL
        self._small_sender = SmallSender(self._line, dialer, self.limit, reply_timeout=reply_timeout, most=most)
        # One of each stage of two minds is kept for what is urgent.
        stages: list[tuple[str, Callable[[], None]]] = [
            ("upload-open-urgent", Preparer(self._line, at_most=0).run),
            ("upload-open", Preparer(self._line, at_most=None).run),
            ("upload-read-drops", Driver(self._line, at_most=1).run),
            ("upload-read-1", Driver(self._line, at_most=None).run),
            ("upload-read-2", Driver(self._line, at_most=None).run),
            ("upload-finish", Finisher(self._line).run),
            ("upload-abort", Aborter(self._line).run),
            ("upload-send-small", self._small_sender.run),
            *((f"upload-send-{number}", sender.run) for number, sender in enumerate(self._senders)),
        ]
        left = {one.request.node_id for several in self._left.values() for one in several}
        for node_id in self._given_up.keys() - left:
            self._line.to_abort.put_all([(upload_id, 1) for upload_id in self._given_up.pop(node_id)])
        self._threads = [threading.Thread(target=run, name=name, daemon=True) for name, run in stages]
        for thread in self._threads:
            thread.start()

    # -- asking for uploads ----------------------------------------------------------------------------------------

    def submit(self, request: UploadRequest) -> Ticket:
        """Start, or go on with, the upload of one file; stored when this returns."""
        return self.submit_all([request])[0]

    def submit_all(self, requests: Sequence[UploadRequest]) -> list[Ticket]:
        """As `submit`, with one commit for many."""
        tickets: list[Ticket] = []
        for at in range(0, len(requests), _AT_ONCE):  # the first are on their way while the last are looked at
            with self._ledger.lock:
                uploads = [self._taken(request) for request in requests[at : at + _AT_ONCE]]
                tickets += [upload.ticket for upload in self._enter(uploads)]
        return tickets

    def resume_stored(self) -> list[Ticket]:
        """Go on with what a person dropped and an earlier run left; a watched folder submits its own again."""
        with self._ledger.lock:
            drops = [one for several in self._left.values() for one in several if one.request.origin == "drop"]
            for stored in drops:
                self._take_left(stored)
            return [upload.ticket for upload in self._enter([self._recalled(stored) for stored in drops])]

    def give_up_left(self, group: str) -> None:
        """Give up what an earlier run left of a group and nobody has asked for since."""
        with self._ledger.lock:
            for stored in [one for several in self._left.values() for one in several if one.request.group == group]:
                self._give_up(stored)

    # -- having a say ----------------------------------------------------------------------------------------------

    def pause(self, upload_id: str | None = None) -> None:
        """One upload, or everything until `resume(None)`. The wire stops at once; nothing sent is lost."""
        with self._ledger.lock:
            if upload_id is not None:
                if (upload := self._ledger.find(upload_id)) is not None:
                    self._ledger.pause(upload)
                return
            self._all_paused = True
            for upload in self._ledger.uploads.values():
                if not upload.state.final and upload.state not in (State.PAUSED, State.FINISHING):
                    # Not stored as paused: after a restart it is the engine's settings that say so.
                    self._ledger.again(upload)
                    self._held.append(upload)

    def resume(self, upload_id: str | None = None) -> None:
        """One upload, or an end to the pause of everything; uploads paused one by one stay so."""
        with self._ledger.lock:
            if upload_id is None:
                self._all_paused = False
                held, self._held = self._held, []
                for upload in dict.fromkeys(held):
                    if not upload.state.final and upload.state is not State.PAUSED:
                        self._start(upload)
            elif (upload_found := self._ledger.find(upload_id)) is not None and upload_found.state is State.PAUSED:
                self._unpause(upload_found)

    def cancel(self, upload_id: str) -> None:
        """Stop at once and throw away what was sent; the link's page says that the sender stopped."""
        with self._ledger.lock:
            upload = self._ledger.find(upload_id)
            if upload is None:
                stored = self._store.get(upload_id)
                if stored is None or stored.state in (State.DONE, State.CANCELLED):
                    return
                self._give_up(stored)
                return
        # Without the lock: whoever waits for the ticket is called from here.
        if self._ledger.cancel(upload):
            # Also what it was to replace and has not yet: that is not opened any more.
            self._line.to_abort.put_all([(one, 0) for one in (upload.id, *upload.abort_first)])

    def retry(self, upload_id: str) -> Ticket:
        """A failed upload once more, or one that waits at once. Raises `UsageError` when it is not known."""
        with self._ledger.lock:
            upload = self._ledger.find(upload_id)
            if upload is None:
                stored = self._store.get(upload_id)
                if stored is None or stored.state in (State.DONE, State.CANCELLED):
                    raise UsageError("There is no such upload to retry", "It is done, cancelled or forgotten.")
                self._take_left(stored)
                return self._enter([self._recalled(replace(stored, state=State.WAITING))])[0].ticket
            if upload.state is State.FAILED:
                self._retry_failed(upload)
            elif upload.state is State.PAUSED:
                self._unpause(upload)
            self.hurry()
            return upload.ticket

    def complete_with_base(self, upload_id: str, base_revision: str) -> Ticket:
        """After a `revision-conflict`: commit the bytes that are at S3 on top of another revision."""
        with self._ledger.lock:
            upload = self._ledger.find(upload_id)
            if upload is None or upload.state is not State.FAILED:
                raise UsageError("There is no such upload to complete", "Only one that was refused can be.")
            upload.stored = replace(upload.stored, request=replace(upload.request, base_revision=base_revision))
            epoch = self._ledger.again(upload, State.FINISHING, fresh_ticket=True)
            self._line.finish([Turn(upload, epoch)])
            return upload.ticket

    def hurry(self) -> None:
        """Try now what waits for another try: the network is back, somebody signed in, the computer woke up."""
        for gate in (self._line.service_gate, self._line.wire_gate):
            gate.open_now()
        for queue in (self._line.to_prepare, self._line.to_send, self._line.to_send_small, self._line.to_finish):
            queue.hurry()

    def drop_connections(self) -> None:
        """After sleep: the kept connections are dead, and would only be found so after a long wait."""
        for sender in self._senders:
            sender.wire.interrupt()
        self._small_sender.drop_connections()
        self.hurry()

    def forget(self, upload_id: str) -> None:
        """Take an upload that ended off the list that `progress` tells."""
        with self._ledger.lock:
            upload = self._ledger.find(upload_id)
            if upload is not None and upload.state.final:
                self._drop(upload)

    def progress(self) -> list[UploadProgress]:
        """All uploads under way and the newest that ended, oldest first."""
        now, wall = self._clock.monotonic(), self._clock.now_ms()
        service, wire = self._line.service_gate.trouble(), self._line.wire_gate.trouble()
        with self._ledger.lock:
            self._prune()
            return [
                self._told(upload, now, wall, (wire or service) if upload.state is State.SENDING else (service or wire))
                for upload in self._ledger.uploads.values()
            ]

    def close(self) -> None:
        """Stop at once. Unfinished uploads stay in the store; their futures are cancelled."""
        self._line.close()
        with self._ledger.lock:
            for sender in self._senders:
                sender.wire.interrupt()
            for upload in self._ledger.uploads.values():
                upload.epoch += 1
                for future in (upload.ticket.opened, upload.ticket.done):
                    future.cancel()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(timeout=2)

    # -- details ---------------------------------------------------------------------------------------------------

    def _taken(self, request: UploadRequest) -> Upload:
        """The upload for a request: one that is under way, one that an earlier run left, or a new one."""
        error: SatchelError | None = None
        stamp = Stamp(0, 0)
        try:
            if (problem := name_problem(request.name)) is not None:
                raise LocalFileError(problem.reason, problem.remedy, path=request.path)
            stamp = stamp_of(request.path, links=request.origin != "root")
        except SatchelError as found:
            error = found
        for upload in self._paths.get(request.path, []):
            if not upload.state.final and _same(upload.request, request):
                return upload
        left = self._left.get(request.path, [])
        for stored in [stored for stored in left if _same(stored.request, request)]:
            unchanged = error is None and stamp == Stamp(stored.size, stored.mtime_ns)
            # The very same request once more: its id cannot be given up and begun at once. It finds out by itself.
            if unchanged or stored.request.upload_id == request.upload_id:
                self._take_left(stored)
                return self._recalled(stored)
            # The file has changed since: what was sent of it is of no use.
            self._give_up(stored)
        self._replace_failed(request)
        stored = StoredUpload(
            request=request,
            size=stamp.size,
            mtime_ns=stamp.mtime_ns,
            state=State.WAITING,
            created_ms=self._clock.now_ms(),
        )
        upload = Upload(stored=stored, ticket=Ticket(request.upload_id), error=error)
        self._paths.setdefault(request.path, []).append(upload)
        return upload

    def _take_left(self, stored: StoredUpload) -> None:
        path = stored.request.path
        left = self._left.pop(path, [])
        if others := [other for other in left if other.request.upload_id != stored.request.upload_id]:
            self._left[path] = others

    def _give_up(self, stored: StoredUpload) -> None:
        """What an earlier run left is of no use any more; the service hears of it, if need be from the next run."""
        self._take_left(stored)
        self._ledger.give_up(stored)
        self._line.to_abort.put(stored.request.upload_id, 1)

    def _recalled(self, stored: StoredUpload) -> Upload:
        upload = Upload(stored=stored, ticket=Ticket(stored.request.upload_id), may_be_open=True, recalled=True)
        upload.abort_first = self._given_up.pop(stored.request.node_id, [])
        if stored.part_size == 0:
            upload.digest = stored.sha256
        self._paths.setdefault(stored.request.path, []).append(upload)
        return upload

    def _enter(self, uploads: Sequence[Upload]) -> Sequence[Upload]:
        """Into the ledger and onto the line, those that are not there yet."""
        new = [upload for upload in dict.fromkeys(uploads) if self._ledger.find(upload.ticket.upload_id) is None]
        self._store.add([upload.stored for upload in new])
        for upload in new:
            self._ledger.uploads[upload.ticket.upload_id] = upload
            if upload.error is not None:
                self._ledger.fail(upload, upload.epoch, upload.error)
            elif self._all_paused:
                self._held.append(upload)
            elif upload.state is not State.PAUSED:
                self._start(upload)
        return uploads

    def _start(self, upload: Upload) -> None:
        if upload.state is not State.FINISHING:
            self._line.prepare(upload, upload.epoch)
            return
        # All bytes were at S3 before: the service need not be asked what to send.
        upload.digest = upload.stored.sha256
        self._ledger.opened(upload, OpenedUpload(upload_id=upload.id, outcome="present"))
        self._line.finish([Turn(upload, upload.epoch)])

    def _unpause(self, upload: Upload) -> None:
        epoch = self._ledger.again(upload)
        if self._all_paused:
            self._held.append(upload)
        else:
            self._line.prepare(upload, epoch)

    def _retry_failed(self, upload: Upload) -> None:
        try:
            stamp = upload.look()
        except LocalFileError as error:
            epoch = self._ledger.again(upload, fresh_ticket=True)
            self._ledger.fail(upload, epoch, error)
            return
        epoch = self._ledger.again(upload, fresh_ticket=True)
        if stamp != upload.stamp:
            epoch = self._ledger.renew(upload, stamp, self._ids.new_id())
        if self._all_paused:
            self._held.append(upload)
        else:
            self._line.prepare(upload, epoch)

    def _replace_failed(self, request: UploadRequest) -> None:
        """A watched folder that submits a file again has done with the try that failed."""
        if request.origin != "root":
            return
        for upload in list(self._paths.get(request.path, [])):
            if upload.state is State.FAILED and upload.request.origin == "root":
                self._drop(upload)
                self._ledger.give_up(upload.stored)
                self._line.to_abort.put(upload.id, 2)

    def _prune(self) -> None:
        ended = [upload for upload in self._ledger.uploads.values() if upload.state in (State.DONE, State.CANCELLED)]
        for upload in ended[: max(0, len(ended) - _KEPT)]:
            self._drop(upload)

    def _drop(self, upload: Upload) -> None:
        self._ledger.uploads.pop(upload.ticket.upload_id, None)
        path = upload.request.path
        self._paths[path] = [other for other in self._paths.get(path, []) if other is not upload]
        if not self._paths[path]:
            del self._paths[path]

    def _told(self, upload: Upload, now: float, wall: int, trouble: tuple[str, float] | None) -> UploadProgress:
        sent = upload.sent()
        if upload.rated_at is None or upload.state is not State.SENDING:
            upload.rated_at, upload.rated_bytes, upload.rate = now, sent, 0.0
        elif (passed := now - upload.rated_at) >= _RATE_EVERY_S:
            speed = max(0.0, (sent - upload.rated_bytes) / passed)
            upload.rate = speed if upload.rate == 0.0 else upload.rate * 0.7 + speed * 0.3
            upload.rated_at, upload.rated_bytes = now, sent
        state, message, retry_at = upload.state, upload.message, upload.retry_at
        if self._all_paused and not state.final and state is not State.FINISHING:
            state, message, retry_at = State.PAUSED, "", None
        elif state in (State.FAILED, State.DONE, State.CANCELLED, State.PAUSED):
            message, retry_at = upload.stored.message, None
        elif trouble is not None:
            message, retry_at = trouble[0], wall + int(trouble[1] * 1000)
        if message and retry_at is not None and (seconds := -(-(retry_at - wall) // 1000)) > 0:
            message = f"{message} · retry in {seconds} s"
        return UploadProgress(
            upload_id=upload.ticket.upload_id,
            group=upload.request.group,
            state=state,
            size=upload.stored.size,
            sent=sent,
            rate=upload.rate,
            message=message,
            retry_at=retry_at,
            error=upload.error if state is State.FAILED else None,
        )


def _same(one: UploadRequest, other: UploadRequest) -> bool:
    """Whether two requests ask for the same thing. A drop is itself only: dropping a file again means a new link."""
    if one.upload_id == other.upload_id:
        return True
    if (one.path, one.origin, one.parent_id, one.name, one.base_revision) != (
        other.path,
        other.origin,
        other.parent_id,
        other.name,
        other.base_revision,
    ):
        return False
    new_file = one.origin == "root" and one.base_revision is None
    return one.node_id == other.node_id or new_file
