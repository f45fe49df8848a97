"""Bringing dropped items online, at once or as soon as the service can be reached.

An item is in the journal before anything is asked of the service, and every step may be repeated: after a crash or an
outage the same steps are taken again, with the same ids, and make nothing twice.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from satchel.core.errors import BusyError, NotSignedInError, OfflineError, SatchelError
from satchel.core.model import FolderIntent, OpenedUpload, SavedLink, TransferState, UploadRequest
from satchel.core.ports import Clock
from satchel.journal import Journal
from satchel.transfer import Ticket, Uploader

from .browse import Browse
from .filling import Filling, StoppedError
from .places import Place, PlaceGoneError, Places
from .transfers import Record, Transfers

log = logging.getLogger(__name__)

T = TypeVar("T")

PASSING = (OfflineError, BusyError, NotSignedInError)
"""What ends by itself, or when somebody signs in: waited for, and no reason to give up."""

_PAUSES = (1.0, 30.0)
"""Seconds between two tries, doubling from the first to the second."""


class Delivery:
    """Thread-safe; `begin` blocks."""

    def __init__(
        self, site: str, browse: Browse, uploader: Uploader, journal: Journal, transfers: Transfers, *, clock: Clock
    ) -> None:
        self._site = site
        self._browse = browse
        self._places = Places(browse, journal)
        self._uploader = uploader
        self._journal = journal
        self._transfers = transfers
        self._clock = clock
        self._closing = False
        self._hurried = 0
        self._woken = threading.Condition()
        # A large folder under way must not keep back the link of what is dropped next.
        self._late = ThreadPoolExecutor(1, "drop-late")
        self._filling = ThreadPoolExecutor(2, "drop-folders")

    def close(self) -> None:
        """Stop; the next start goes on."""
        with self._woken:
            self._closing = True
            self._woken.notify_all()
        self._late.shutdown(wait=True, cancel_futures=True)
        self._filling.shutdown(wait=True, cancel_futures=True)

    def hurry(self) -> None:
        """Try at once what waits for another try."""
        with self._woken:
            self._hurried += 1
            self._woken.notify_all()

    def begin(self, records: Sequence[Record]) -> None:
        """Send items that go to the same place. Raises what the service raises; what had begun by then goes on, and
        `later` takes care of the others. One refused item fails alone."""
        try:
            self._begin(records)
        except PlaceGoneError:
            self._places.forget()
            self._begin(self._left(record.transfer_id for record in records))

    def forget_place(self) -> None:
        """The remembered folder for drops is gone: it is found, or made, anew."""
        self._places.forget()

    def later(self, transfer_ids: Sequence[str], why: SatchelError | None = None) -> None:
        """As `begin`, in the background, waiting out what passes."""
        for transfer_id in transfer_ids if why else ():
            self._transfers.say(transfer_id, why.title if why else "")
        self._submit(self._late, functools.partial(self._begin_late, tuple(transfer_ids)))

    def fill(self, record: Record) -> None:
        """Bring in what is in a folder that is online already."""
        self._submit(self._filling, functools.partial(self._fill, record))

    def watch_link(self, record: Record, ticket: Ticket) -> None:
        """Keep a file's link as soon as the service has answered."""
        if record.token is None:
            return

        def opened(future: Future[OpenedUpload]) -> None:
            if settled(future) and future.exception() is None:
                name = name_of(future.result(), record)
                url = self.save_link(record.node_id, name, record.token)
                self._transfers.change(record.transfer_id, link_url=url, name=name)

        ticket.opened.add_done_callback(opened)

    def save_link(self, node_id: str, name: str, token: str | None) -> str | None:
        """The link's address, known here from now on."""
        url = self.address(token)
        if token is None or url is None:
            return None
        link_id = hashlib.sha256(token.encode()).hexdigest()[:32]
        self._journal.links.add(SavedLink(link_id, name, url, node_id, self._clock.now_ms(), self._site))
        return url

    def address(self, token: str | None) -> str | None:
        """Of a link, known before the service knows it."""
        return f"{self._site}/s/{token}" if token else None

    # -- beginning ----------------------------------------------------------------------------------------------------

    def _begin(self, records: Sequence[Record]) -> None:
        if not records:
            return
        place, url = self._place(records[0])
        self._send_files([record for record in records if record.kind == "file"], place, url)
        for record in records:
            if record.kind == "folder":
                try:
                    self._send_folder(record, place, url)
                except PASSING:
                    raise
                except SatchelError as error:
                    self._refused(record.transfer_id, error)

    def _place(self, record: Record) -> tuple[Place, str | None]:
        """Where an item goes, and the link of that place if that is the item's."""
        if record.parent_id:
            return Place(record.parent_id, record.place), record.link_url
        place = self._places.find(record.to)
        shared = record.shared
        if shared is None:
            return place, None
        made = self._places.make(place, shared.name, shared.node_id, shared.token)
        return Place(shared.node_id, place.of(made)), self.save_link(shared.node_id, made, shared.token)

    def _send_files(self, records: Sequence[Record], place: Place, url: str | None) -> None:
        tickets = self._uploader.submit_all([_request(record, place) for record in records])
        for record, ticket in zip(records, tickets, strict=True):
            at = record.transfer_id
            self._transfers.follow(at, [(ticket, record.size)])
            self._transfers.change(at, begun=True, parent_id=place.node_id, place=place.path, link_url=url)
            self._transfers.say(at, "")
            self.watch_link(record, ticket)
            if self._transfers.cancelled(at):  # meanwhile
                self._uploader.cancel(ticket.upload_id)

    def _send_folder(self, record: Record, place: Place, url: str | None) -> None:
        made = self._places.make(place, record.name, record.node_id, record.token)
        own = self.save_link(record.node_id, made, record.token)
        self._transfers.say(record.transfer_id, "")
        begun = self._transfers.change(
            record.transfer_id,
            begun=True,
            parent_id=place.node_id,
            place=place.path,
            name=made,
            link_url=own or url,
        )
        if begun is not None:
            self.fill(begun)

    # -- in the background --------------------------------------------------------------------------------------------

    def _begin_late(self, transfer_ids: Sequence[str]) -> None:
        try:
            # Much may have happened since it was remembered, and nobody waits for the second that it takes.
            self._places.forget()
            self._patiently(lambda: self._left(transfer_ids), self.begin)
        except StoppedError:
            return
        except SatchelError as error:
            for record in self._left(transfer_ids):
                self._refused(record.transfer_id, error)
        except Exception:
            log.exception("sending what was dropped ran into a bug")
            for record in self._left(transfer_ids):
                self._refused(record.transfer_id, SatchelError("Satchel ran into a bug"))

    def _fill(self, record: Record) -> None:
        try:
            Filling(record, self._uploader, self._journal, self._transfers, self._make_inside).run()
        except StoppedError:
            return
        except SatchelError as error:
            self._refused(record.transfer_id, error)
        except Exception:
            log.exception("filling a folder ran into a bug")
            self._refused(record.transfer_id, SatchelError("Satchel ran into a bug"))

    def _make_inside(self, record: Record, intents: list[FolderIntent]) -> set[str]:
        """Make folders; the ids of those that could not be made."""

        def waiting() -> list[Record]:
            return [] if self._transfers.cancelled(record.transfer_id) else [record]

        made = self._patiently(waiting, lambda _: self._browse.make_folders(intents))
        self._transfers.say(record.transfer_id, "")
        return {intent.node_id for intent, one in zip(intents, made, strict=True) if one.outcome != "done"}

    def _patiently(self, waiting: Callable[[], list[Record]], work: Callable[[list[Record]], T]) -> T:
        """Repeat the work while what stops it passes; the rows say what they wait for. Raises `StoppedError` when
        nobody waits any more."""
        pause = _PAUSES[0]
        while True:
            hurried, records = self._hurried, waiting()
            if self._closing or not records:
                raise StoppedError
            try:
                return work(records)
            except PASSING as error:
                for record in waiting():
                    self._transfers.say(record.transfer_id, error.title)
                with self._woken:
                    if not self._closing and hurried == self._hurried:  # else the try was over before the hurry
                        self._woken.wait(pause)
                pause = min(_PAUSES[1], pause * 2)

    def _left(self, transfer_ids: Iterable[str]) -> list[Record]:
        """Those that have not begun and are wanted still."""
        found = [self._transfers.record(at) for at in transfer_ids if not self._transfers.cancelled(at)]
        return [one for one in found if one is not None and not one.begun and not one.state.final]

    def _refused(self, transfer_id: str, error: SatchelError) -> None:
        self._transfers.change(transfer_id, listed=True, state=TransferState.FAILED, skipped=(error.said,))

    def _submit(self, pool: ThreadPoolExecutor, work: Callable[[], None]) -> None:
        with self._woken:
            if not self._closing:
                pool.submit(work)


def settled(future: Future[OpenedUpload]) -> bool:
    """Whether there is an answer, be it an error."""
    return future.done() and not future.cancelled()


def name_of(opened: OpenedUpload, record: Record) -> str:
    """The name that a file got online: another than its own where that was taken."""
    if opened.node is not None:
        return opened.node.name
    return opened.link.name if opened.link is not None else record.name


def _request(record: Record, place: Place) -> UploadRequest:
    return UploadRequest(
        upload_id=record.upload_id,
        path=record.path,
        node_id=record.node_id,
        parent_id=place.node_id,
        name=record.name,
        origin="drop",
        group=record.transfer_id,
        if_taken="rename",
        link_token=record.token,
    )
