"""Dropping: a link for each item at once, the bytes afterwards.

A file is one upload that carries its link. A folder is made online first, with the link, and then filled. More than
ten items go into one new folder with one link. While the service cannot be reached all of it waits.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future
from dataclasses import replace

from satchel.core.errors import RefusedError, SatchelError, UsageError
from satchel.core.model import OpenedUpload, StoredUpload, TransferState
from satchel.core.names import printable
from satchel.core.ports import Clock, Ids
from satchel.core.status import DroppedItem, DropResult
from satchel.journal import Journal
from satchel.transfer import Uploader

from .browse import Browse
from .delivery import PASSING, Delivery, name_of, settled
from .items import Item, look
from .transfers import Record, Shared, Transfers

SEPARATE_LINKS = 10
"""More items than this share one folder and one link."""

LINK_PATIENCE = 20.0
"""Seconds to wait for a link; later, the row shows it when it comes."""


class Drops:
    """Blocking; use it from threads."""

    def __init__(
        self,
        site: str,
        browse: Browse,
        uploader: Uploader,
        journal: Journal,
        transfers: Transfers,
        *,
        clock: Clock,
        ids: Ids,
        link_patience: float = LINK_PATIENCE,
    ) -> None:
        self._browse = browse
        self._uploader = uploader
        self._journal = journal
        self._transfers = transfers
        self._clock = clock
        self._ids = ids
        self._patience = link_patience
        self._delivery = Delivery(site, browse, uploader, journal, transfers, clock=clock)

    def close(self) -> None:
        """Stop filling folders; the next start goes on."""
        self._delivery.close()

    def hurry(self) -> None:
        """The service can be reached again: try at once what waits for it."""
        self._delivery.hurry()

    def resume(self) -> None:
        """Go on with what an earlier run left."""
        waiting: dict[tuple[object, ...], list[str]] = {}
        for record in self._transfers.restore(self._unfinished()):
            if not record.begun and not self._handed_over(record):
                waiting.setdefault((record.parent_id, record.to, record.shared), []).append(record.transfer_id)
            elif record.kind == "folder" and not record.listed:
                self._delivery.fill(record)
        group_of = {stored.request.upload_id: stored for stored in self._journal.uploads.unfinished()}
        for ticket in self._uploader.resume_stored():
            stored = group_of.get(ticket.upload_id)
            record_of = self._transfers.record(stored.request.group) if stored else None
            if stored is None or record_of is None:
                continue
            self._transfers.follow(record_of.transfer_id, [(ticket, stored.size)])
            if record_of.kind == "file":
                self._delivery.watch_link(record_of, ticket)
        for together in waiting.values():
            self._delivery.later(together)

    def drop(self, paths: Sequence[str], to: str | None, link: bool) -> DropResult:
        """Returns as soon as the links exist, or when that takes long. One bad item has its error in its answer and
        stops no other."""
        if not paths:
            raise UsageError("There is nothing to put", "Name at least one file or folder.")
        good: dict[str, Item] = {}
        bad: dict[str, DroppedItem] = {}
        for path in dict.fromkeys(paths):
            try:
                good[path] = look(path)
            except SatchelError as error:
                bad[path] = DroppedItem(printable(path), error=_said(error))
        sent = self._send(self._records(list(good.values()), to, link)) if good else []
        answers = dict(zip(good, sent, strict=True)) | bad
        items = tuple(answers[path] for path in dict.fromkeys(paths))
        return DropResult(items, tuple(dict.fromkeys(item.link_url for item in sent if item.link_url)))

    def answer(self, item: DroppedItem) -> DroppedItem:
        """What `drop` has answered for an item whose row is done by now, with the link and the path that it got while
        nobody waited. As it was when the row was cleared meanwhile."""
        record = self._transfers.record(item.transfer_id or "")
        if record is None:
            return item
        # A row may be done a moment before its upload says under which name.
        concurrent.futures.wait(self._openings([record.transfer_id]), timeout=self._patience)
        return self._answered(record)

    def cancel(self, transfer_id: str) -> None:
        """Stop a row: what was sent is thrown away, and the link's page says that the sender stopped."""
        for upload_id in self._transfers.cancel(transfer_id):
            self._uploader.cancel(upload_id)
        self._delivery.hurry()

    def cancel_now(self, transfer_id: str) -> None:
        """As `cancel`, and the service knows when this returns, if it can be reached: the engine may end next."""
        uploads = [one.upload_id for one in self._transfers.uploads(transfer_id) if not one.state.final]
        self.cancel(transfer_id)
        for upload_id in uploads:
            with contextlib.suppress(SatchelError):
                self._browse.abort_upload(upload_id)

    def retry(self, transfer_id: str) -> None:
        """What failed once more, what waits at once. What was cancelled is dropped again, with a link of its own."""
        row, record = self._transfers.row(transfer_id), self._transfers.record(transfer_id)
        if row is not None and record is not None and row.state is TransferState.CANCELLED:
            fresh = self._again(record)
            self._transfers.forget(transfer_id)
            self._send([fresh])
            return
        failed = [one for one in self._transfers.uploads(transfer_id) if one.state is TransferState.FAILED]
        for one in failed:
            ticket = self._uploader.retry(one.upload_id)
            self._transfers.follow(transfer_id, [(ticket, one.size)])
            if record is not None and record.kind == "file":
                self._delivery.watch_link(record, ticket)
        if failed:
            return
        if row is None or record is None or row.state is not TransferState.FAILED:
            self._uploader.hurry()
            self._delivery.hurry()
            return
        listed = record.kind == "file"
        waits = self._transfers.change(transfer_id, listed=listed, state=TransferState.WAITING, skipped=())
        if not record.begun:
            self._delivery.later([transfer_id])
        elif waits is not None and not listed:
            self._delivery.fill(waits)

    # -- one drop ---------------------------------------------------------------------------------------------------

    def _records(self, items: Sequence[Item], to: str | None, link: bool) -> list[Record]:
        shared = None
        if len(items) > SEPARATE_LINKS:
            name = time.strftime("Drop %Y-%m-%d %H.%M.%S", time.localtime(self._clock.now_ms() / 1000))
            shared = Shared(self._ids.new_id(), name, self._ids.new_token() if link else None)
        return [self._record(item, to, shared, link and shared is None) for item in items]

    def _record(self, item: Item, to: str | None, shared: Shared | None, link: bool) -> Record:
        return Record(
            transfer_id=self._ids.new_id(),
            name=item.name,
            path=item.path,
            created_ms=self._clock.now_ms(),
            kind=item.kind,
            parent_id="",
            node_id=self._ids.new_id(),
            token=self._ids.new_token() if link else None,
            listed=item.kind == "file",
            size=item.size,
            begun=False,
            to=to,
            shared=shared,
            upload_id=self._ids.new_id(),
        )

    def _again(self, old: Record) -> Record:
        """As it was dropped, but new; beside what it was dropped with. Raises `LocalFileError` when it is gone."""
        fresh = self._record(look(old.path), old.to, old.shared, old.token is not None)
        shared_link = None if old.token else old.link_url
        return replace(fresh, parent_id=old.parent_id, place=old.place, link_url=shared_link)

    def _send(self, records: Sequence[Record]) -> list[DroppedItem]:
        """The answers, in the records' order."""
        self._begin(records)
        if gone := [record for record in records if self._nowhere_to_go(record)]:
            for record in gone:
                for upload in self._transfers.uploads(record.transfer_id):
                    self._uploader.cancel(upload.upload_id)
                    self._uploader.forget(upload.upload_id)
                self._transfers.forget(record.transfer_id)
            self._delivery.forget_place()
            self._begin([replace(one, upload_id=self._ids.new_id(), node_id=self._ids.new_id()) for one in gone])
        return [self._answered(record) for record in records]

    def _begin(self, records: Sequence[Record]) -> None:
        ids = [record.transfer_id for record in records]
        self._transfers.add(*records)
        try:
            self._delivery.begin(records)
        except PASSING as error:
            self._delivery.later(ids, error)
        except Exception:
            for transfer_id in ids:
                self._transfers.forget(transfer_id)
            raise
        concurrent.futures.wait(self._openings(ids), timeout=self._patience)

    def _nowhere_to_go(self, record: Record) -> bool:
        """The remembered folder may be in the trash by now: then it is sent once more, elsewhere."""
        if record.parent_id or record.to is not None or record.shared is not None:
            return False
        errors = [opened.exception() for opened in self._openings([record.transfer_id]) if settled(opened)]
        return any(isinstance(error, RefusedError) and error.kind == "not-found" for error in errors)

    def _openings(self, transfer_ids: Iterable[str]) -> list[Future[OpenedUpload]]:
        return [ticket.opened for at in transfer_ids for ticket in self._transfers.tickets(at)]

    def _answered(self, sent: Record) -> DroppedItem:
        shown = DroppedItem(printable(sent.path), sent.transfer_id)
        record = self._transfers.record(sent.transfer_id)
        if record is None:
            return replace(shown, error="Its row was cleared meanwhile")
        if record.state is TransferState.FAILED:
            return replace(shown, error=record.skipped[0])
        shown = replace(shown, link_url=record.link_url, remote_path=record.remote_path)
        for opened in self._openings([record.transfer_id]) if record.kind == "file" else ():
            if settled(opened):
                if (error := opened.exception()) is not None:
                    return replace(shown, error=_said(error), link_url=None, remote_path=None)
                # Waiters may wake before the callback has run: the address is known from the token.
                record = replace(record, name=name_of(opened.result(), record))
                url = self._delivery.save_link(record.node_id, record.name, record.token)
                shown = replace(shown, link_url=url or shown.link_url, remote_path=record.remote_path)
        return shown

    # -- what an earlier run left -------------------------------------------------------------------------------------

    def _unfinished(self) -> list[StoredUpload]:
        failed = [one for one in self._journal.uploads.recent(1000) if one.state is TransferState.FAILED]
        return [one for one in [*self._journal.uploads.unfinished(), *failed] if one.request.origin == "drop"]

    def _handed_over(self, record: Record) -> bool:
        """Whether the run ended between handing an upload to the transfer and noting it."""
        stored = self._journal.uploads.get(record.upload_id) if record.kind == "file" else None
        if stored is not None:
            url = self._delivery.address(record.shared.token) if record.shared else None
            parent_id = stored.request.parent_id
            self._transfers.change(record.transfer_id, begun=True, parent_id=parent_id, link_url=url)
        return stored is not None


def _said(error: BaseException) -> str:
    return error.said if isinstance(error, SatchelError) else str(error)
