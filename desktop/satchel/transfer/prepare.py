"""The first stage: small files are hashed, then everything is opened, up to 100 at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from satchel.core.errors import RefusedError, SatchelError, twin
from satchel.core.model import (
    MULTIPART_FROM,
    LinkIntent,
    OpenedUpload,
    OpenedUploads,
    TransferState,
    UploadIntent,
)

from .digest import head_digest, sha256_hex
from .layout import Part, equal_parts, parts_of
from .line import QUIET_S, ClosedError, Line, Stretch, Turn
from .local import BLOCK, changed, read_small
from .upload import Upload

State = TransferState

BATCH = 100
_FIRST_BATCH = 8
"""The first is small, for the wire waits for it; each that follows at once may be twice as large."""
LINGER_S = 0.25
"""A batch is closed after so long, so that the first link does not wait for the hundredth file."""
_AHEAD = 200
SMALL = 64 * 1024
"""Files up to here are read once: their bytes are kept from the digest to the wire, those of a batch or two at most."""
_MODIFIED = 8_640_000_000_000_000


class Preparer:
    def __init__(self, line: Line, *, at_most: int | None) -> None:
        """`at_most`: takes only uploads of a priority up to this, so that what promises a link never queues."""
        self._line = line
        self._at_most = at_most
        self._most = _FIRST_BATCH

    def run(self) -> None:
        line = self._line
        while (turn := self._next()) is not None:
            if self._at_most is None:
                for queue in (line.to_send, line.to_send_small):
                    queue.wait_below(_AHEAD)  # signatures do not keep
            taken: list[Turn] = []
            try:
                with line.at_work():
                    batch = self._gather(turn, taken)
                    if batch:
                        self._open(batch)
            except ClosedError:
                return
            except Exception as error:
                line.unforeseen(taken, error)

    def _next(self) -> Turn | None:
        if not len(self._line.to_prepare):
            self._most = _FIRST_BATCH
        return self._line.to_prepare.take(self._at_most)

    def _gather(self, first: Turn, taken: list[Turn]) -> list[Turn]:
        """What is ready to be opened, of `first` and those behind it; `taken` are all that left the queue."""
        clock = self._line.clock
        began = clock.monotonic()
        batch: list[Turn] = []
        turn: Turn | None = first
        while turn is not None:
            taken.append(turn)
            try:
                if self._line.ledger.fresh(turn.upload, turn.epoch) and self._ready(turn):
                    batch.append(turn)
            except SatchelError as error:
                self._line.stumbled(turn.upload, turn.epoch, error)
            if len(batch) == self._most or clock.monotonic() - began > LINGER_S or self._at_most is not None:
                break
            turn = self._line.to_prepare.take_now()
        self._most = min(BATCH, 2 * self._most)
        return batch

    def _ready(self, turn: Turn) -> bool:
        upload, line = turn.upload, self._line
        while upload.abort_first:
            self._give_up(upload, upload.abort_first[0])
            del upload.abort_first[:1]
        found = upload.look()
        age = line.clock.now_ms() / 1000 - found.mtime_ns / 1e9
        if upload.tries["changed"] and 0 <= age < QUIET_S:
            line.prepare(upload, turn.epoch, QUIET_S - age)
            return False
        if found != upload.stamp:
            raise changed(upload.request.path)
        if upload.stored.size < MULTIPART_FROM and upload.digest is None:
            if upload.stored.size > 1024 * 1024 and not line.ledger.advance(upload, turn.epoch, State.HASHING):
                return False
            if upload.stored.size <= SMALL:
                upload.payload = read_small(upload.request.path, upload.stamp, links=upload.request.origin != "root")
                upload.digest = sha256_hex([upload.payload])
            else:
                with upload.read() as file:
                    upload.digest = sha256_hex(file.blocks(0, upload.stored.size))
        elif upload.stored.size >= MULTIPART_FROM and not upload.looked and self._worth_a_look(upload):
            line.to_drive.put(Turn(upload, turn.epoch, look=True), upload.priority)
            return False
        return True

    def _worth_a_look(self, upload: Upload) -> bool:
        """Whether much or all of a large file may be at S3: then it is read once before it is opened."""
        store, request = self._line.ledger.store, upload.request
        if request.base_revision is not None and store.signature(request.node_id, request.base_revision) is not None:
            return True
        if upload.stored.part_size or not (heads := store.heads(upload.stored.size)):
            return False
        with upload.read() as file:
            return head_digest(next(iter(file.blocks(0, BLOCK)))) in heads

    def _give_up(self, upload: Upload, old: str) -> None:
        line = self._line
        try:
            line.abort(old)
        except RefusedError as error:
            if error.kind == "upload-closed":
                self._follow(upload, old)
        except SatchelError:
            return  # the next run tells

    def _follow(self, upload: Upload, old: str) -> None:
        """The upload to be given up was finished by somebody else: what is sent now is the next revision."""
        line = self._line
        try:
            node = line.ask(partial(line.service.get_upload, old)).node
        except SatchelError:
            return
        if node is not None and node.revision is not None and upload.request.base_revision is None:
            with line.ledger.lock:
                request = replace(upload.request, base_revision=node.revision.revision_id)
                upload.stored = replace(upload.stored, request=request)

    def _open(self, batch: Sequence[Turn]) -> None:
        line = self._line
        for turn in batch:
            turn.upload.may_be_open = True
        intents = [_intent(turn.upload) for turn in batch]
        try:
            reply = line.ask(lambda: line.service.open_uploads(intents))
        except RefusedError as error:
            if len(batch) > 1 and error.kind in ("bad-request", "name-invalid", "too-large"):
                for turn in batch:  # one of them is at fault: it must not take the others along
                    self._open([turn])
                return
            if error.kind == "bad-request" and batch[0].upload.plan is not None:
                batch[0].upload.plan = None  # an older service knows no such thing
                self._open(batch)
                return
            self._refuse(batch, error)
        except SatchelError as error:
            self._refuse(batch, error)
        else:
            self._answered(batch, reply)

    def _refuse(self, batch: Sequence[Turn], error: SatchelError) -> None:
        for turn in batch:
            self._line.stumbled(turn.upload, turn.epoch, twin(error))

    def _answered(self, batch: Sequence[Turn], reply: OpenedUploads) -> None:
        line, ledger = self._line, self._line.ledger
        answers = {answer.upload_id: answer for answer in reply.uploads}
        sending: list[tuple[Turn, OpenedUpload]] = []
        for turn in batch:
            upload = turn.upload
            answer = answers.get(upload.id)
            if not ledger.fresh(upload, turn.epoch):
                if upload.state is State.CANCELLED:
                    line.to_abort.put(upload.id, 0)
                continue
            if answer is None or answer.outcome == "problem":
                line.refused(upload, turn.epoch, answer.problem if answer else None)
                continue
            ledger.opened(upload, answer)
            if answer.outcome == "done" and answer.node is not None:
                ledger.done([(upload, turn.epoch, answer.node)])
            elif answer.outcome == "present":
                line.finish([turn])
            elif answer.outcome == "multipart" and answer.part_size:
                upload.parts = _parts(upload, answer.part_sizes, answer.part_size)
                # A power cut may have taken from the journal that it was ever sent.
                resumed = upload.recalled or upload.stored.part_size == answer.part_size
                if ledger.advance(upload, turn.epoch, State.SENDING, part_size=answer.part_size):
                    line.to_drive.put(Turn(upload, turn.epoch, resumed=resumed), upload.priority)
            elif answer.put is not None:
                sending.append((turn, answer))
        advanced = ledger.advance_all([(turn.upload, turn.epoch) for turn, _ in sending], State.SENDING, store=False)
        now = line.clock.monotonic()
        for turn, answer in sending:
            if turn.upload in advanced and answer.put is not None:
                line.send(
                    Stretch(
                        upload=turn.upload,
                        epoch=turn.epoch,
                        upload_id=turn.upload.id,
                        part=0,
                        offset=0,
                        size=turn.upload.stored.size,
                        url=f"{answer.put.url}?{reply.signing_query}&{answer.put.query}",
                        headers=answer.put.headers,
                        signed_at=now,
                        payload=turn.upload.payload,
                    )
                )
                turn.upload.payload = None


def _parts(upload: Upload, sizes: tuple[int, ...], part_size: int) -> tuple[Part, ...]:
    """The service's word holds: it may have been given in answer to what an earlier run had found out."""
    if upload.plan is not None and sizes == tuple(part.size for part in upload.plan):
        return upload.plan
    return parts_of(sizes) if sizes else equal_parts(upload.stored.size, part_size)


def _intent(upload: Upload) -> UploadIntent:
    request = upload.request
    link = LinkIntent(request.link_token, request.link_expires_ms) if request.link_token else None
    return UploadIntent(
        upload_id=request.upload_id,
        node_id=request.node_id,
        parent_id=request.parent_id,
        name=request.name,
        size=upload.stored.size,
        modified_ms=max(-_MODIFIED, min(_MODIFIED, upload.stored.mtime_ns // 1_000_000)),
        sha256=upload.digest or upload.stored.sha256,
        base_revision=request.base_revision,
        if_taken=request.if_taken,
        link=link,
        part_sizes=tuple(part.size for part in upload.plan) if upload.plan else None,
    )
