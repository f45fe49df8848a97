"""The wire of large files and parts: one thread for each connection."""

from __future__ import annotations

from satchel.core.errors import SatchelError
from satchel.core.model import TransferState

from .dial import HaltedError, UnreachableError
from .http1 import Reply
from .line import ClosedError, Line, Stretch, Turn
from .outcome import Outcome
from .replies import Verdict
from .upload import Job
from .wire import Wire

State = TransferState

WRITTEN_DOWN = 1024 * 1024
"""Files above this are in the journal as soon as they have arrived: after a crash, asking S3 whether a smaller one is
there costs less than many commits."""


class Sender:
    def __init__(self, line: Line, wire: Wire) -> None:
        self._line = line
        self._outcome = Outcome(line)
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
                    line.finish([Turn(stretch.upload, stretch.epoch)])
        finally:
            self.wire.close()

    def _take(self, stretch: Stretch, ticket: int) -> bool:
        """Whether its upload is at the end of the line now."""
        try:
            return self._outcome.ready(stretch) and self._send(stretch, ticket)
        except SatchelError as error:
            self._outcome.stumbled(stretch, error)
            return False

    def _send(self, stretch: Stretch, ticket: int) -> bool:
        line, upload = self._line, stretch.upload
        job = line.ledger.start_job(upload, stretch.epoch, self.wire)
        if job is None:
            return False
        ended = False
        try:
            reply = self._put(stretch, job)
            ended = self._outcome.judged(stretch, reply) is Verdict.ARRIVED and self._arrived(stretch)
            line.wire_gate.passed()
        except HaltedError:
            line.send(stretch)  # of no effect if the upload was what was halted
        except UnreachableError as error:
            self._outcome.unreachable(stretch, ticket, error)
        finally:
            line.ledger.end_job(upload, job)
        return ended

    def _put(self, stretch: Stretch, job: Job) -> Reply:
        sent = stretch.size if stretch.copy_from is None else 0
        with stretch.upload.read() as file:
            reply = self.wire.put(
                stretch.url,
                stretch.headers,
                lambda: file.blocks(stretch.offset, sent),
                sent,
                job.count,
            )
            file.check()
        return reply

    def _arrived(self, stretch: Stretch) -> bool:
        line, upload, epoch = self._line, stretch.upload, stretch.epoch
        if not stretch.part:
            if stretch.size > WRITTEN_DOWN:
                return line.ledger.advance(upload, epoch, State.FINISHING)
            return bool(line.ledger.arrived([(upload, epoch)]))
        line.ledger.part_done(upload, stretch.upload_id, stretch.part, stretch.crc64nvme or "", stretch.size)
        return line.is_whole(upload, epoch)
