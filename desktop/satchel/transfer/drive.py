"""The stage of large files: read in order, digest part by part, ask for each part's URL just in time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from satchel.core.errors import RefusedError, SatchelError
from satchel.core.model import PartToSign

from .digest import PartDigests
from .line import ClosedError, Line, Stretch, Turn, Window
from .upload import Upload

AHEAD = 64 * 1024 * 1024
"""Signed bytes that may wait for the wire. They are not held: the wire reads them again, from the page cache."""
_UNTOLD = ""
_SIGN_BYTES, _SIGN_PARTS = 32 * 1024 * 1024, 4


@dataclass(frozen=True, slots=True)
class _Part:
    number: int
    offset: int
    size: int
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
                self._drive(turn)
        except SatchelError as error:
            kind = getattr(error, "kind", "")
            if kind in ("upload-lost", "not-found"):
                self._line.lost(turn.upload, turn.epoch)
            elif kind == "upload-closed":
                self._line.look_again(turn.upload, turn.epoch)
            else:
                self._line.stumbled(turn.upload, turn.epoch, error)

    def _drive(self, turn: Turn) -> None:
        upload, ledger = turn.upload, self._line.ledger
        size, part_size = upload.stored.size, upload.stored.part_size
        held = self._held(upload, part_size) if turn.resumed else {}
        with ledger.lock:
            if not ledger.fresh(upload, turn.epoch):
                return
            everything = range(1, -(-size // part_size) + 1)
            upload.part_bytes.clear()
            upload.part_bytes.update(
                {part: _size(part, size, part_size) for part in (everything if held is None else held)}
            )
            whole = len(upload.part_bytes) == len(everything)
            upload.digest = upload.stored.sha256 if whole else None
        if upload.digest is None and not self._read(turn, held):
            return
        if self._line.is_whole(upload, turn.epoch):
            self._line.finish([turn])

    def _read(self, turn: Turn, held: dict[int, str] | None) -> bool:
        """All of the file, once; parts that S3 does not have go to the wire. False when the work became stale."""
        upload, ledger = turn.upload, self._line.ledger
        size, part_size = upload.stored.size, upload.stored.part_size
        digests, window, waiting = PartDigests(), Window(AHEAD), list[_Part]()
        with upload.read() as file:
            for number in range(1, -(-size // part_size) + 1):
                offset, length = (number - 1) * part_size, _size(number, size, part_size)
                while not window.wait(length, 0.2):
                    if not ledger.fresh(upload, turn.epoch):
                        return False
                if not ledger.fresh(upload, turn.epoch):
                    return False
                crc = digests.part(file.blocks(offset, length))
                if held is None or held.get(number) in (crc, _UNTOLD):
                    continue
                with ledger.lock:
                    upload.part_bytes.pop(number, None)
                waiting.append(_Part(number, offset, length, crc))
                if len(waiting) == _SIGN_PARTS or sum(part.size for part in waiting) >= _SIGN_BYTES:
                    self._sign(turn, waiting, window)
                    waiting = []
            if waiting:
                self._sign(turn, waiting, window)
        upload.digest = digests.whole()
        return True

    def _sign(self, turn: Turn, parts: list[_Part], window: Window) -> None:
        upload, line = turn.upload, self._line
        upload_id, sent = upload.id, upload.sent()
        asked = [PartToSign(part.number, part.crc64nvme) for part in parts]
        reply = line.ask(lambda: line.service.upload_parts(upload_id, sign=asked, sent_bytes=sent))
        signed = {one.part: one for one in reply.signed}
        now = line.clock.monotonic()
        for part in parts:
            one = signed.get(part.number)
            if one is None:
                raise SatchelError("The service did not sign every part", "Try again.")
            window.put(part.size)
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
                    crc64nvme=part.crc64nvme,
                    window=window,
                )
            )

    def _held(self, upload: Upload, part_size: int) -> dict[int, str] | None:
        """The CRC64NVME of every part that is whole at S3, as this computer or else S3 remembers it.

        None when S3 has put them all together already: an earlier complete got that far.
        """
        line, upload_id, after = self._line, upload.id, 0
        ours = line.ledger.store.parts(upload_id)
        held: dict[int, str] = {}
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
                crc = ours.get(part.part) or part.crc64nvme or _UNTOLD
                if part.size == _size(part.part, upload.stored.size, part_size):
                    held[part.part] = crc
            if not reply.more or not reply.present:
                return held
            after = reply.present[-1].part


def _size(part: int, size: int, part_size: int) -> int:
    return min(part_size, size - (part - 1) * part_size)
