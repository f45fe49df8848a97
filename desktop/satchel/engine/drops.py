"""Dropping: a link for each item at once, the bytes afterwards.

A file is one upload that carries its link. A folder is made online first, with the link, and then filled. More than
ten items go into one new folder with one link.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import logging
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

from satchel.core.errors import BusyError, NotSignedInError, OfflineError, RefusedError, SatchelError, UsageError
from satchel.core.model import (
    FolderIntent,
    LinkIntent,
    OpenedUpload,
    SavedLink,
    StoredUpload,
    TransferState,
    UploadRequest,
)
from satchel.core.names import printable
from satchel.core.ports import Clock, Ids
from satchel.core.status import DroppedItem, DropResult
from satchel.journal import Journal
from satchel.transfer import Ticket, Uploader

from .browse import Browse
from .filling import Filling, StoppedError
from .items import Item, look
from .transfers import Record, Transfers

log = logging.getLogger(__name__)

DROPS = "/Drops"
SEPARATE_LINKS = 10
"""More items than this share one folder and one link."""

LINK_PATIENCE = 20.0
"""Seconds to wait for a link; later, the row shows it when it comes."""

_DROPS_ID = "drops-folder"


@dataclass(frozen=True, slots=True)
class _Place:
    node_id: str
    path: str
    cached: bool = False


@dataclass(frozen=True, slots=True)
class _Sent:
    """An item on its way: a file's link comes with `opened`."""

    item: DroppedItem
    opened: Future[OpenedUpload] | None = None


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
        self._site = site
        self._browse = browse
        self._uploader = uploader
        self._journal = journal
        self._transfers = transfers
        self._clock = clock
        self._ids = ids
        self._patience = link_patience
        self._closing = threading.Event()
        self._filling = ThreadPoolExecutor(2, "drop-folders")

    def close(self) -> None:
        """Stop filling folders; the next start goes on."""
        self._closing.set()
        self._filling.shutdown(wait=True, cancel_futures=True)

    def resume(self) -> None:
        """Go on with what an earlier run left."""
        for record in self._transfers.restore(self._left()):
            if record.kind == "folder" and not record.listed:
                self._filling.submit(self._fill, record)
        group_of = {stored.request.upload_id: stored for stored in self._journal.uploads.unfinished()}
        for ticket in self._uploader.resume_stored():
            stored = group_of.get(ticket.upload_id)
            record_of = self._transfers.record(stored.request.group) if stored else None
            if stored is None or record_of is None:
                continue
            self._transfers.follow(record_of.transfer_id, [(ticket, stored.size)])
            if record_of.kind == "file":
                self._watch_link(record_of, ticket)

    def drop(self, paths: Sequence[str], to: str | None, link: bool) -> DropResult:
        """Returns as soon as the links exist. One bad item has its error in its answer and stops no other."""
        if not paths:
            raise UsageError("There is nothing to put", "Name at least one file or folder.")
        good: dict[str, Item] = {}
        bad: dict[str, DroppedItem] = {}
        for path in dict.fromkeys(paths):
            try:
                good[path] = look(path)
            except SatchelError as error:
                bad[path] = DroppedItem(printable(path), error=_said(error))
        sent: dict[str, DroppedItem] = {}
        links: tuple[str, ...] = ()
        if good:
            place = self._place(to)
            try:
                sent, links = self._deliver(good, place, link)
            except _PlaceGoneError:
                self._journal.settings.set(_DROPS_ID, None)
                sent, links = self._deliver(good, self._place(to), link)
        items = tuple(sent[path] if path in sent else bad[path] for path in dict.fromkeys(paths))
        return DropResult(items, links)

    def cancel(self, transfer_id: str) -> None:
        """Stop a row: what was sent is thrown away, and the link's page says that the sender stopped."""
        for upload_id in self._transfers.cancel(transfer_id):
            self._uploader.cancel(upload_id)

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
            item = look(record.path)
            self._transfers.forget(transfer_id)
            shared = None if record.token else record.link_url
            self._send({record.path: item}, _Place(record.parent_id, ""), link=record.token is not None, url=shared)
            return
        failed = [one for one in self._transfers.uploads(transfer_id) if one.state is TransferState.FAILED]
        for one in failed:
            ticket = self._uploader.retry(one.upload_id)
            self._transfers.follow(transfer_id, [(ticket, one.size)])
            if record is not None and record.kind == "file":
                self._watch_link(record, ticket)
        if failed:
            return
        if row is not None and record is not None and row.state is TransferState.FAILED and record.kind == "folder":
            again = self._transfers.change(transfer_id, listed=False, state=TransferState.WAITING, skipped=())
            self._filling.submit(self._fill, again or record)
        else:
            self._uploader.hurry()

    # -- one drop ---------------------------------------------------------------------------------------------------

    def _place(self, to: str | None) -> _Place:
        if to is not None:
            return _Place(self._browse.folder(to, make=True).node_id, "/" + to.strip("/"))
        known = self._journal.settings.get(_DROPS_ID)
        if known is not None:
            return _Place(known, DROPS, cached=True)
        node = self._browse.folder(DROPS, make=True)
        self._journal.settings.set(_DROPS_ID, node.node_id)
        return _Place(node.node_id, DROPS)

    def _deliver(
        self, good: dict[str, Item], place: _Place, link: bool
    ) -> tuple[dict[str, DroppedItem], tuple[str, ...]]:
        if len(good) <= SEPARATE_LINKS:
            sent = self._send(good, place, link=link)
            return sent, tuple(item.link_url for item in sent.values() if item.link_url)
        name = time.strftime("Drop %Y-%m-%d %H.%M.%S", time.localtime(self._clock.now_ms() / 1000))
        token = self._ids.new_token() if link else None
        node_id, made = self._make_folder(name, place, token)
        url = self._save_link(node_id, made, token)
        sent = self._send(good, _Place(node_id, f"{place.path.rstrip('/')}/{made}"), link=False, url=url)
        return sent, (url,) if url else ()

    def _send(
        self, good: dict[str, Item], place: _Place, *, link: bool, url: str | None = None
    ) -> dict[str, DroppedItem]:
        """`url` is the link that all share."""
        now = self._clock.now_ms()
        records = {
            path: Record(
                transfer_id=self._ids.new_id(),
                name=item.name,
                path=item.path,
                created_ms=now,
                kind=item.kind,
                parent_id=place.node_id,
                node_id=self._ids.new_id(),
                token=self._ids.new_token() if link else None,
                link_url=url,
                listed=item.kind == "file",
                size=item.size,
            )
            for path, item in good.items()
        }
        sent: dict[str, _Sent] = {}
        files = [path for path, item in good.items() if item.kind == "file"]
        self._transfers.add(*(records[path] for path in files))
        tickets = self._uploader.submit_all([_request(records[path], self._ids.new_id()) for path in files])
        for path, ticket in zip(files, tickets, strict=True):
            self._transfers.follow(records[path].transfer_id, [(ticket, good[path].size)])
            self._watch_link(records[path], ticket)
            shown = DroppedItem(
                printable(good[path].path), records[path].transfer_id, url, f"{place.path}/{good[path].name}"
            )
            sent[path] = _Sent(shown, ticket.opened)
        for path in good.keys() - sent.keys():
            sent[path] = _Sent(self._send_folder(records[path], place, url))
        concurrent.futures.wait([one.opened for one in sent.values() if one.opened], timeout=self._patience)
        self._look_for_gone(place, sent)
        return {path: self._answered(one, records[path]) for path, one in sent.items()}

    def _send_folder(self, record: Record, place: _Place, url: str | None) -> DroppedItem:
        try:
            node_id, made = self._make_folder(record.name, place, record.token, record.node_id)
        except _PlaceGoneError:
            raise
        except SatchelError as error:
            return DroppedItem(printable(record.path), error=_said(error))
        url = self._save_link(node_id, made, record.token) or url
        record = replace(record, node_id=node_id, link_url=url, name=made)
        self._transfers.add(record)
        self._filling.submit(self._fill, record)
        return DroppedItem(printable(record.path), record.transfer_id, url, f"{place.path.rstrip('/')}/{made}")

    def _make_folder(self, name: str, place: _Place, token: str | None, node_id: str = "") -> tuple[str, str]:
        """Node id and name of a new folder in `place`."""
        intent = FolderIntent(
            node_id or self._ids.new_id(), place.node_id, name, "rename", LinkIntent(token) if token else None
        )
        [made] = self._browse.make_folders([intent])
        if made.problem is not None or made.node is None:
            error = RefusedError.of(made.problem) if made.problem else RefusedError("busy", "The folder was not made")
            if place.cached and error.kind in ("not-found", "not-a-folder"):
                raise _PlaceGoneError
            raise error
        return made.node.node_id, made.node.name

    def _look_for_gone(self, place: _Place, sent: dict[str, _Sent]) -> None:
        """The remembered folder may be in the trash by now: then everything is sent once more, elsewhere."""
        errors = [one.opened.exception() for one in sent.values() if one.opened and _settled(one.opened)]
        gone = [error for error in errors if isinstance(error, RefusedError) and error.kind == "not-found"]
        if not place.cached or not gone:
            return
        for one in sent.values():
            if one.item.transfer_id is None:
                continue
            for upload in self._transfers.uploads(one.item.transfer_id):
                self._uploader.cancel(upload.upload_id)
                self._uploader.forget(upload.upload_id)
            self._transfers.forget(one.item.transfer_id)
        raise _PlaceGoneError

    def _answered(self, one: _Sent, record: Record) -> DroppedItem:
        if one.opened is None or not _settled(one.opened):
            return one.item
        error = one.opened.exception()
        if error is not None:
            return replace(one.item, error=_said(error), link_url=None, remote_path=None)
        # Waiters may wake before the callback has run: the address is known from the token.
        url = self._save_link(record.node_id, _name_of(one.opened.result(), record), record.token)
        folder = (one.item.remote_path or "").rpartition("/")[0]
        return replace(
            one.item,
            link_url=url or one.item.link_url,
            remote_path=f"{folder}/{_name_of(one.opened.result(), record)}",
        )

    # -- links --------------------------------------------------------------------------------------------------------

    def _watch_link(self, record: Record, ticket: Ticket) -> None:
        if record.token is None:
            return

        def opened(future: Future[OpenedUpload]) -> None:
            if not _settled(future) or future.exception() is not None:
                return
            name = _name_of(future.result(), record)
            url = self._save_link(record.node_id, name, record.token)
            self._transfers.change(record.transfer_id, link_url=url, name=name)

        ticket.opened.add_done_callback(opened)

    def _save_link(self, node_id: str, name: str, token: str | None) -> str | None:
        if token is None:
            return None
        url = f"{self._site}/s/{token}"
        link_id = hashlib.sha256(token.encode()).hexdigest()[:32]
        self._journal.links.add(SavedLink(link_id, name, url, node_id, self._clock.now_ms(), self._site))
        return url

    # -- filling a folder ---------------------------------------------------------------------------------------------

    def _fill(self, record: Record) -> None:
        try:
            Filling(record, self._uploader, self._journal, self._transfers, self._patiently).run()
        except StoppedError:
            return
        except SatchelError as error:
            self._transfers.say(record.transfer_id, _said(error))
            self._transfers.change(record.transfer_id, listed=True, state=TransferState.FAILED, skipped=(_said(error),))
        except Exception:
            log.exception("filling a folder ran into a bug")
            self._transfers.change(
                record.transfer_id, listed=True, state=TransferState.FAILED, skipped=("Satchel ran into a bug",)
            )

    def _patiently(self, record: Record, intents: list[FolderIntent]) -> set[str]:
        """Make folders, waiting out what passes; the ids of those that could not be made."""
        pause = 1.0
        while True:
            if self._closing.is_set() or self._transfers.cancelled(record.transfer_id):
                raise StoppedError
            try:
                made = self._browse.make_folders(intents)
            except (OfflineError, BusyError, NotSignedInError) as error:
                self._transfers.say(record.transfer_id, error.title)
                self._closing.wait(pause)
                pause = min(30.0, pause * 2)
                continue
            self._transfers.say(record.transfer_id, "")
            return {intent.node_id for intent, one in zip(intents, made, strict=True) if one.outcome != "done"}

    def _left(self) -> list[StoredUpload]:
        failed = [one for one in self._journal.uploads.recent(1000) if one.state is TransferState.FAILED]
        return [one for one in [*self._journal.uploads.unfinished(), *failed] if one.request.origin == "drop"]


class _PlaceGoneError(Exception):
    """The remembered folder for drops is not there any more."""


def _request(record: Record, upload_id: str) -> UploadRequest:
    return UploadRequest(
        upload_id=upload_id,
        path=record.path,
        node_id=record.node_id,
        parent_id=record.parent_id,
        name=record.name,
        origin="drop",
        group=record.transfer_id,
        if_taken="rename",
        link_token=record.token,
    )


def _name_of(opened: OpenedUpload, record: Record) -> str:
    if opened.node is not None:
        return opened.node.name
    return opened.link.name if opened.link is not None else record.name


def _settled(future: Future[OpenedUpload]) -> bool:
    return future.done() and not future.cancelled()


def _said(error: BaseException) -> str:
    return error.said if isinstance(error, SatchelError) else str(error)
