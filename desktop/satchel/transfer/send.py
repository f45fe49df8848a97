"""The stage of the wire: one thread for each connection, and what becomes of S3's answers."""

from __future__ import annotations

from satchel.core.errors import DigestError, LocalFileError, SatchelError
from satchel.core.model import PartToSign, TransferState

from .http1 import Reply
from .line import ClosedError, Line, Stretch, Turn
from .replies import Verdict, judge, refusal
from .upload import Job
from .wire import HaltedError, UnreachableError, Wire

State = TransferState

_LIMITS = {Verdict.SIGN_AGAIN: 5, Verdict.DAMAGED: 5, Verdict.LATER: 10}
_KEEPS_S = 300.0
"""Signatures older than this are not tried: the credentials behind them may be gone."""


class Sender:
    def __init__(self, line: Line, wire: Wire) -> None:
        self._line = line
        self.wire = wire

    def run(self) -> None:
        line = self._line
        try:
            while (stretch := line.to_send.take()) is not None:
                ticket = line.wire_gate.enter()
                if ticket is None:
                    return
                if stretch.window is not None:
                    stretch.window.started(stretch.size)
                    stretch.window = None
                try:
                    with line.at_work():
                        ended = self._take(stretch, ticket)
                except ClosedError:
                    return
                except Exception as error:
                    line.unforeseen([Turn(stretch.upload, stretch.epoch)], error)
                    continue
                if ended:
                    line.finish(stretch.upload, stretch.epoch)
        finally:
            self.wire.close()

    def _take(self, stretch: Stretch, ticket: int) -> bool:
        """Whether its upload is at the end of the line now."""
        try:
            return self._send(stretch, ticket)
        except SatchelError as error:
            self._stumbled(stretch, error)
            return False

    def _send(self, stretch: Stretch, ticket: int) -> bool:
        line, upload = self._line, stretch.upload
        if not line.ledger.fresh(upload, stretch.epoch):
            return False
        if line.clock.monotonic() - stretch.signed_at > _KEEPS_S:
            self._sign_again(stretch, 0.0)
            return False
        job = line.ledger.start_job(upload, stretch.epoch, self.wire)
        if job is None:
            return False
        ended = False
        try:
            ended = self._judged(stretch, self._put(stretch, job))
            line.wire_gate.passed()
        except HaltedError:
            line.to_send.put(stretch, upload.priority)  # of no effect if the upload was what was halted
        except UnreachableError as error:
            line.wire_gate.failed(ticket, str(error))
            # Where others get through, it is this one that breaks: the gate would let it try without a pause.
            pause = line.backoff.delay(stretch.broken - 1, line.ids) if stretch.broken else 0.0
            stretch.broken += 1
            line.to_send.put(stretch, upload.priority, pause)
            line.ledger.waits(upload, stretch.epoch, "", 0.0)
        finally:
            line.ledger.end_job(upload, job)
        return ended

    def _put(self, stretch: Stretch, job: Job) -> Reply:
        upload, payload = stretch.upload, stretch.payload
        if payload is not None:
            return self.wire.put(stretch.url, stretch.headers, lambda: (payload,), stretch.size, job.count)
        with upload.read() as file:
            reply = self.wire.put(
                stretch.url,
                stretch.headers,
                lambda: file.blocks(stretch.offset, stretch.size),
                stretch.size,
                job.count,
            )
            file.check()
        return reply

    def _judged(self, stretch: Stretch, reply: Reply) -> bool:
        line, upload, epoch = self._line, stretch.upload, stretch.epoch
        verdict = judge(reply, stretch.crc64nvme)
        if verdict is Verdict.ARRIVED:
            return self._arrived(stretch)
        if verdict is Verdict.LOST:
            line.look_again(upload, epoch)
            return False
        # A PUT is signed anew by opening it again, which makes a new stretch: its tries are the upload's.
        tries = stretch.tries if stretch.part else upload.tries
        tries[verdict] += 1
        if verdict is Verdict.REFUSED or tries[verdict] > _LIMITS[verdict]:
            raise _exhausted(verdict, reply, line.clock.now_ms(), upload.request.path)
        if verdict is Verdict.DAMAGED:
            line.to_send.put(stretch, upload.priority)
            return False
        # The first expired signature is nobody's fault: no pause.
        at_once = verdict is Verdict.SIGN_AGAIN and tries[verdict] == 1
        pause = 0.0 if at_once else line.backoff.delay(tries[verdict] - 1, line.ids)
        if verdict is Verdict.LATER:
            named = reply.headers.get("retry-after", "")
            pause = max(pause, min(60.0, float(named))) if named.isdigit() else pause
            line.ledger.waits(upload, epoch, "The storage is busy", pause)
            line.to_send.put(stretch, upload.priority, pause)
        else:
            self._sign_again(stretch, pause)
        return False

    def _arrived(self, stretch: Stretch) -> bool:
        line, upload, epoch = self._line, stretch.upload, stretch.epoch
        if not stretch.part:
            return line.ledger.arrived(upload, epoch)
        line.ledger.part_done(upload, stretch.upload_id, stretch.part, stretch.crc64nvme or "", stretch.size)
        return line.is_whole(upload, epoch)

    def _sign_again(self, stretch: Stretch, delay: float) -> None:
        line, upload = self._line, stretch.upload
        if not stretch.part:
            line.prepare(upload, stretch.epoch, delay)
            return
        asked = [PartToSign(stretch.part, stretch.crc64nvme or "")]
        reply = line.ask(lambda: line.service.upload_parts(stretch.upload_id, sign=asked))
        one = reply.signed[0]
        stretch.url = f"{one.url}?{reply.signing_query}&{one.query}"
        stretch.headers, stretch.signed_at = one.headers, line.clock.monotonic() + delay
        line.to_send.put(stretch, upload.priority, delay)

    def _stumbled(self, stretch: Stretch, error: SatchelError) -> None:
        if not isinstance(error, LocalFileError) and getattr(error, "kind", "") in ("upload-lost", "upload-closed"):
            self._line.look_again(stretch.upload, stretch.epoch)
        else:
            self._line.stumbled(stretch.upload, stretch.epoch, error)


def _exhausted(verdict: Verdict, reply: Reply, now_ms: int, path: str) -> SatchelError:
    if verdict is Verdict.DAMAGED:
        return DigestError(
            "The bytes arrive damaged, again and again",
            "Check the network (a proxy or VPN may alter data) and this disk, then try again.",
            path=path,
        )
    return refusal(reply, now_ms, path)
