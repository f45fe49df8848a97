"""What becomes of a stretch by S3's answer, or by its silence."""

from __future__ import annotations

from satchel.core.errors import DigestError, LocalFileError, SatchelError
from satchel.core.model import PartToSign

from .dial import UnreachableError
from .digest import PartDigests, sha256_hex
from .http1 import Reply
from .line import Line, Stretch
from .local import changed
from .replies import Verdict, judge, judge_copy, refusal

_LIMITS = {Verdict.SIGN_AGAIN: 5, Verdict.DAMAGED: 5, Verdict.LATER: 10}
_COPIES = 2
"""How often a part that S3 should copy is asked for again before it is sent."""
_KEEPS_S = 300.0
"""Signatures older than this are not tried: the credentials behind them may be gone."""


class Outcome:
    def __init__(self, line: Line) -> None:
        self._line = line

    def ready(self, stretch: Stretch) -> bool:
        """Whether it is to be sent now: it is not stale, and its signature is not too old. Raises as `judged`."""
        line = self._line
        if not line.ledger.fresh(stretch.upload, stretch.epoch):
            return False
        if line.clock.monotonic() - stretch.signed_at > _KEEPS_S:
            self._sign_again(stretch, 0.0)
            return False
        return True

    def judged(self, stretch: Stretch, reply: Reply) -> Verdict:
        """Put the stretch back on the line if it did not arrive. Raises the `SatchelError` that ends its upload."""
        line, upload, epoch = self._line, stretch.upload, stretch.epoch
        copied = stretch.copy_from is not None
        verdict = (judge_copy if copied else judge)(reply, stretch.crc64nvme)
        if verdict is Verdict.ARRIVED:
            return verdict
        if copied and (verdict in (Verdict.REFUSED, Verdict.DAMAGED) or stretch.tries[verdict] == _COPIES):
            # What it would be copied from is gone, or is not what we took it for: the bytes are here.
            stretch.copy_from = None
            stretch.tries.clear()
            self._sign_again(stretch, 0.0)
            return verdict
        if verdict is Verdict.LOST:
            line.look_again(upload, epoch)
            return verdict
        # A PUT is signed anew by opening it again, which makes a new stretch: its tries are the upload's.
        tries = stretch.tries if stretch.part else upload.tries
        tries[verdict] += 1
        if verdict is Verdict.REFUSED or tries[verdict] > _LIMITS[verdict]:
            raise _exhausted(verdict, reply, line.clock.now_ms(), upload.request.path)
        if verdict is Verdict.DAMAGED:
            if not _as_signed(stretch):
                raise changed(upload.request.path)
            line.send(stretch)
            return verdict
        # The first expired signature is nobody's fault: no pause.
        at_once = verdict is Verdict.SIGN_AGAIN and tries[verdict] == 1
        pause = 0.0 if at_once else line.backoff.delay(tries[verdict] - 1, line.ids)
        if verdict is Verdict.LATER:
            named = reply.headers.get("retry-after", "")
            pause = max(pause, min(60.0, float(named))) if named.isdigit() else pause
            line.ledger.waits(upload, epoch, "The storage is busy", pause)
            line.send(stretch, pause)
        else:
            self._sign_again(stretch, pause)
        return verdict

    def unreachable(self, stretch: Stretch, ticket: int, error: UnreachableError) -> None:
        """`ticket` is the wire gate's, of when the try began."""
        line = self._line
        line.wire_gate.failed(ticket, str(error))
        # Where others get through, it is this one that breaks: the gate would let it try without a pause.
        pause = line.backoff.delay(stretch.broken - 1, line.ids) if stretch.broken else 0.0
        stretch.broken += 1
        line.send(stretch, pause)
        line.ledger.waits(stretch.upload, stretch.epoch, "", 0.0)

    def stumbled(self, stretch: Stretch, error: SatchelError) -> None:
        if not isinstance(error, LocalFileError) and getattr(error, "kind", "") in ("upload-lost", "upload-closed"):
            self._line.look_again(stretch.upload, stretch.epoch)
        else:
            self._line.stumbled(stretch.upload, stretch.epoch, error)

    def _sign_again(self, stretch: Stretch, delay: float) -> None:
        line, upload = self._line, stretch.upload
        if not stretch.part:
            line.prepare(upload, stretch.epoch, delay)
            return
        asked = [to_sign(stretch.part, stretch.crc64nvme or "", stretch.copy_from)]
        reply = line.ask(lambda: line.service.upload_parts(stretch.upload_id, sign=asked))
        one = reply.signed[0]
        stretch.url = f"{one.url}?{reply.signing_query}&{one.query}"
        stretch.headers, stretch.signed_at = one.headers, line.clock.monotonic() + delay
        line.send(stretch, delay)


def _as_signed(stretch: Stretch) -> bool:
    """Whether the file still has the bytes that were signed: it may have changed though its size and time did not.
    Raises as reading it does."""
    if stretch.payload is not None:
        return True  # they were never read again
    with stretch.upload.read() as file:
        blocks = file.blocks(stretch.offset, stretch.size)
        if stretch.part:
            return PartDigests().part(blocks) == stretch.crc64nvme
        return sha256_hex(blocks) == stretch.upload.digest


def to_sign(part: int, crc64nvme: str, copy_from: int | None) -> PartToSign:
    return PartToSign(part, crc64nvme) if copy_from is None else PartToSign(part, copy_from=copy_from)


def _exhausted(verdict: Verdict, reply: Reply, now_ms: int, path: str) -> SatchelError:
    if verdict is Verdict.DAMAGED:
        return DigestError(
            "The bytes arrive damaged, again and again",
            "Check the network (a proxy or VPN may alter data) and this disk, then try again.",
            path=path,
        )
    return refusal(reply, now_ms, path)
