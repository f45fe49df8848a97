"""The stage of large files: read in order, digest part by part, ask for each part's URL just in time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial

from satchel.core.errors import RefusedError, SatchelError
from satchel.core.model import TransferState

from .delta import Chunker, plan
from .digest import PartDigests, head_digest
from .layout import Part
from .line import ClosedError, Line, Stretch, Turn, Window
from .local import BLOCK, changed
from .outcome import to_sign
from .upload import Upload

State = TransferState

AHEAD = 64 * 1024 * 1024
"""Signed bytes that may wait for the wire. They are not held: the wire reads them again, from the page cache."""
_UNTOLD = ""
_BLOCK = 8 * 1024 * 1024
"""Bytes that are digested at once: they are cut into chunks, too, and that copies less with large blocks."""
_SIGN_BYTES, _SIGN_PARTS = 32 * 1024 * 1024, 4


@dataclass(frozen=True, slots=True)
class _Ready:
    """A part that was read."""

    part: Part
    crc64nvme: str


class Driver:
    def __init__(self, line: Line, *, at_most: int | None) -> None:
        """`at_most`: takes only uploads of a priority up to this, so that watched folders never hold all drivers."""
        self._line = line
        self._at_most = at_most

    def run(self) -> None:
        while (turn := self._line.to_drive.take(self._at_most)) is not None:
            try:
                self._take(turn)
            except ClosedError:
                return
            except Exception as error:
                self._line.unforeseen([turn], error)

    def _take(self, turn: Turn) -> None:
        try:
            if self._line.ledger.fresh(turn.upload, turn.epoch):
                (self._look if turn.look else self._drive)(turn)
        except SatchelError as error:
            kind = getattr(error, "kind", "")
            if kind in ("upload-lost", "not-found"):
                self._line.lost(turn.upload, turn.epoch)
            elif kind == "upload-closed":
                self._line.look_again(turn.upload, turn.epoch)
            else:
                self._line.stumbled(turn.upload, turn.epoch, error)

    def _look(self, turn: Turn) -> None:
        """Read a file that is not open yet: to ask for all of it where it begins like something known, and to copy what
        the revision before has of it."""
        line, upload = self._line, turn.upload
        request, size, store = upload.request, upload.stored.size, line.ledger.store
        before = request.base_revision and store.signature(request.node_id, request.base_revision)
        if not line.ledger.advance(upload, turn.epoch, State.HASHING):
            return
        with upload.read() as file:
            upload.head = head_digest(next(iter(file.blocks(0, BLOCK))))
            digest = hashlib.sha256() if upload.head in store.heads(size) else None
            chunker = Chunker.if_fast(size, before or None) if before or request.origin == "root" else None
            for block in file.blocks(0, size, _BLOCK):
                if not line.ledger.fresh(upload, turn.epoch):
                    return
                if digest is not None:
                    digest.update(block)
                if chunker is not None:
                    chunker.feed(block)
        upload.looked = True
        upload.digest = digest.hexdigest() if digest is not None else None
        upload.signature = chunker.signature() if chunker is not None else None
        upload.plan = plan(before, upload.signature) if before and upload.signature else None
        line.prepare(upload, turn.epoch)

    def _drive(self, turn: Turn) -> None:
        upload, ledger = turn.upload, self._line.ledger
        held = self._held(upload) if turn.resumed else {}
        with ledger.lock:
            if not ledger.fresh(upload, turn.epoch):
                return
            upload.part_bytes.clear()
            upload.part_bytes.update({p.number: p.size for p in upload.parts if held is None or p.number in held})
            whole = len(upload.part_bytes) == len(upload.parts)
            upload.digest = upload.stored.sha256 if whole else None
        if upload.digest is None and not self._read(turn, held):
            return
        if self._line.is_whole(upload, turn.epoch):
            self._line.finish([turn])

    def _read(self, turn: Turn, held: dict[int, str] | None) -> bool:
        """All of the file, once; parts that S3 does not have go to the wire. False when the work became stale."""
        upload, ledger = turn.upload, self._line.ledger
        # Only a watched folder's file will have another revision.
        kept = upload.request.origin == "root" and upload.signature is None
        chunker = Chunker.if_fast(upload.stored.size) if kept else None
        digests, window, waiting = PartDigests(chunker), Window(AHEAD), list[_Ready]()
        with upload.read() as file:
            for part in upload.parts:
                while not window.wait(_sent(part), 0.2):
                    if not ledger.fresh(upload, turn.epoch):
                        return False
                if not ledger.fresh(upload, turn.epoch):
                    return False
                crc = digests.part(file.blocks(part.offset, part.size, _BLOCK))
                if held is None or held.get(part.number) in (crc, _UNTOLD):
                    continue
                if part.number in held:
                    # It had other bytes when this part was sent, whatever its time says. Sent over it, a part would be
                    # believed by any answer, and those of two states put together if that answer was not S3's.
                    raise changed(upload.request.path)
                waiting.append(_Ready(part, crc))
                if len(waiting) == _SIGN_PARTS or sum(_sent(one.part) for one in waiting) >= _SIGN_BYTES:
                    self._sign(turn, waiting, window)
                    waiting = []
            if waiting:
                self._sign(turn, waiting, window)
        upload.head = digests.head
        if chunker is not None:
            upload.signature = chunker.signature()
        upload.digest = digests.whole()
        return True

    def _sign(self, turn: Turn, parts: list[_Ready], window: Window) -> None:
        upload, line = turn.upload, self._line
        upload_id, sent = upload.id, upload.sent()
        asked = [to_sign(one.part.number, one.crc64nvme, one.part.copy_from) for one in parts]
        reply = line.ask(lambda: line.service.upload_parts(upload_id, sign=asked, sent_bytes=sent))
        signed = {one.part: one for one in reply.signed}
        now = line.clock.monotonic()
        for ready in parts:
            part = ready.part
            one = signed.get(part.number)
            if one is None:
                raise SatchelError("The service did not sign every part", "Try again.")
            window.put(_sent(part))
            line.send(
                Stretch(
                    upload=upload,
                    epoch=turn.epoch,
                    upload_id=upload_id,
                    part=part.number,
                    offset=part.offset,
                    size=part.size,
                    url=f"{one.url}?{reply.signing_query}&{one.query}",
                    headers=one.headers,
                    signed_at=now,
                    crc64nvme=ready.crc64nvme,
                    window=window if part.copy_from is None else None,
                    copy_from=part.copy_from,
                )
            )

    def _held(self, upload: Upload) -> dict[int, str] | None:
        """The CRC64NVME of every part that is whole at S3, as S3 or else this computer remembers it.

        None when S3 has put them all together already: an earlier complete got that far.
        """
        line, upload_id, after = self._line, upload.id, 0
        ours = line.ledger.store.parts(upload_id)
        held: dict[int, str] = {}
        sizes = {part.number: part.size for part in upload.parts}
        while True:
            try:
                reply = line.ask(partial(line.service.upload_parts, upload_id, list_after=after))
            except RefusedError as error:
                if error.kind == "upload-closed":
                    return None  # complete tells, should it have been given up instead
                raise
            for part in reply.present:
                # An S3 that does not tell has still checked the part against what was signed for it, and that was
                # read from the file as it is now, by size and time.
                crc = part.crc64nvme or ours.get(part.part) or _UNTOLD
                if part.size == sizes.get(part.part):
                    held[part.part] = crc
            if not reply.more or not reply.present:
                return held
            after = reply.present[-1].part


def _sent(part: Part) -> int:
    """How many bytes of it go over the wire."""
    return part.size if part.copy_from is None else 0
