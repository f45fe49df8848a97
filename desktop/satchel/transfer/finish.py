"""The last stage: uploads whose bytes are at S3 are completed, up to 100 at once, one request at a time."""

from __future__ import annotations

from satchel.core.errors import LocalFileError, RefusedError, SatchelError, twin
from satchel.core.model import CompleteItem, CompleteResult, TransferState

from .line import ClosedError, Line, Turn
from .local import changed
from .prepare import BATCH, LINGER_S
from .upload import Upload

State = TransferState

_POLL_S, _LONGEST_POLL_S = 0.5, 5.0
_LATER_S = 60.0
"""When a service that stayed busy is told again of what was given up."""


class Finisher:
    def __init__(self, line: Line) -> None:
        self._line = line

    def run(self) -> None:
        line = self._line
        while (turn := line.to_finish.take()) is not None:
            taken: list[Turn] = []
            try:
                batch = self._gather(turn, taken)
                line.ledger.advance_all(
                    ((one.upload, one.epoch) for one in batch if one.upload.state is not State.FINISHING),
                    State.FINISHING,
                )
                if batch:
                    self._complete(batch)
            except ClosedError:
                return
            except Exception as error:
                line.unforeseen(taken, error)

    def _gather(self, first: Turn, taken: list[Turn]) -> list[Turn]:
        """What is ready to be completed, of `first` and those that follow closely; `taken` are all that left the queue.

        A round trip for each file is what makes small files slow; waiting for company costs nobody anything as long as
        there is some to come.
        """
        line = self._line
        end = line.clock.monotonic() + LINGER_S
        batch: list[Turn] = []
        turn: Turn | None = first
        while turn is not None:
            taken.append(turn)
            if line.ledger.fresh(turn.upload, turn.epoch) and self._unchanged(turn):
                batch.append(turn)
            if len(batch) == BATCH:
                break
            turn = line.to_finish.take_now()
            if turn is None and line.more_to_come():
                turn = line.to_finish.take(within=max(0.0, end - line.clock.monotonic()))
        return batch

    def _unchanged(self, turn: Turn) -> bool:
        """A file that has gone since is complete all the same: every byte of it is at S3."""
        upload = turn.upload
        try:
            found = upload.look()
        except LocalFileError:
            return True
        if found == upload.stamp:
            return True
        self._line.stumbled(upload, turn.epoch, changed(upload.request.path))
        return False

    def _complete(self, batch: list[Turn]) -> None:
        line = self._line
        items = [_item(turn.upload) for turn in batch]
        try:
            results = line.ask(lambda: line.service.complete_uploads(items))
        except RefusedError as error:
            if len(batch) > 1 and error.kind == "bad-request":
                for turn in batch:
                    self._complete([turn])
                return
            self._refuse(batch, error)
        except SatchelError as error:
            self._refuse(batch, error)
        else:
            by_id = {result.upload_id: result for result in results}
            answers = [(turn, by_id.get(item.upload_id)) for turn, item in zip(batch, items, strict=True)]
            line.ledger.done(
                (turn.upload, turn.epoch, answer.node)
                for turn, answer in answers
                if answer is not None and answer.outcome == "done" and answer.node is not None
            )
            for turn, answer in answers:
                self._answered(turn, answer)

    def _answered(self, turn: Turn, result: CompleteResult | None) -> None:
        line, upload = self._line, turn.upload
        if result is not None and result.outcome == "done" and result.node is not None:
            return
        if result is not None and result.outcome == "pending":
            pause = min(_LONGEST_POLL_S, _POLL_S * 2.0 ** min(turn.tries, 10))
            line.to_finish.put(Turn(upload, turn.epoch, tries=turn.tries + 1), upload.priority, pause)
        else:
            line.refused(upload, turn.epoch, result.problem if result is not None else None)

    def _refuse(self, batch: list[Turn], error: SatchelError) -> None:
        for turn in batch:
            self._line.stumbled(turn.upload, turn.epoch, twin(error))


class Aborter:
    """Gives up at the service what was given up here; what it could not tell, the next run tells."""

    def __init__(self, line: Line) -> None:
        self._line = line

    def run(self) -> None:
        line = self._line
        while (upload_id := line.to_abort.take()) is not None:
            try:
                line.abort(upload_id)
            except ClosedError:
                return
            except RefusedError as error:
                if error.kind == "busy":
                    line.to_abort.put(upload_id, 2, _LATER_S)
            except SatchelError:
                line.to_abort.put(upload_id, 2, _LATER_S)
            except Exception as error:
                line.unforeseen([], error)


def _item(upload: Upload) -> CompleteItem:
    return CompleteItem(
        upload_id=upload.id,
        sha256=upload.digest or upload.stored.sha256,
        base_revision=upload.request.base_revision,
    )
