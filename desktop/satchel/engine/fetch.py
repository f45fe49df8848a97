"""Fetching to this computer: a file or a folder, by its path or by anybody's link."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from satchel.cloud import Cloud, LinkItem, PublicLinks, parse_link
from satchel.core.errors import LocalFileError, SatchelError, UsageError
from satchel.core.model import ContentSource, Node, Revision, TransferState
from satchel.core.ports import Clock, Ids
from satchel.core.status import TransferRow
from satchel.transfer import Limit, Wire, download, safe_child

from .addresses import AT_ONCE, Addresses
from .begun import Begun
from .browse import Browse


@dataclass(frozen=True, slots=True)
class _Piece:
    """One file to fetch; `inside` are the names below the top one."""

    inside: tuple[str, ...]
    size: int
    source: Callable[[], ContentSource]


def fetch(
    source: str,
    dest: str,
    *,
    account: tuple[Cloud, Browse] | None,
    clock: Clock,
    ids: Ids,
    force: bool,
    limit: Limit,
    show: Callable[[TransferRow], None],
    stopped: Callable[[], bool],
) -> str:
    """Fetch `source`, a link or a path, to `dest`: into it when it is a folder, else under that name; returns where it
    is. Blocking. `account` is needed for paths only. A folder that an earlier call left halfway is gone on with."""
    if "://" in source:
        name, folder, pieces = _by_link(source, clock, ids)
    elif account is not None:
        name, folder, pieces = _by_path(source, *account, clock)
    else:
        raise UsageError("This is not a link", "Sign in to fetch by path.", path=source)
    top = Path(os.path.abspath(dest))  # noqa: PTH100 - resolves no links
    if top.is_dir():
        top = safe_child(top, name)
    elif not top.parent.is_dir():
        raise LocalFileError("There is no such folder", "Make it first.", path=str(top.parent))
    begun = Begun(top, source)
    if folder and os.path.lexists(top) and not force and not begun.resumed:
        raise LocalFileError("There is something of this name already", "Choose another name.", path=str(top))
    row = TransferRow(
        ids.new_id(), "down", "get", top.name, str(top), TransferState.WAITING, 0, 0, created_ms=clock.now_ms()
    )
    run = _Run(
        row,
        top,
        begun=begun if folder else None,
        folder=folder,
        clock=clock,
        ids=ids,
        force=force,
        limit=limit,
        show=show,
        stopped=stopped,
    )
    run.fetch(pieces)
    return str(top)


class _Run:
    def __init__(
        self,
        row: TransferRow,
        top: Path,
        *,
        begun: Begun | None,
        folder: bool,
        clock: Clock,
        ids: Ids,
        force: bool,
        limit: Limit,
        show: Callable[[TransferRow], None],
        stopped: Callable[[], bool],
    ) -> None:
        self._row = row
        self._top = top
        self._begun = begun
        self._folder = folder
        self._clock = clock
        self._ids = ids
        self._force = force
        self._limit = limit
        self._show = show
        self._stopped = stopped
        self._wire = Wire()
        self._began = clock.monotonic()
        self._told = 0.0

    def fetch(self, pieces: Iterator[_Piece]) -> None:
        try:
            if self._begun is not None:
                if self._force:
                    self._begun.forget()
                self._begun.open()
            if self._folder:
                self._top.mkdir(exist_ok=True)
            todo = list(pieces)
            self._row = replace(
                self._row, size=sum(piece.size for piece in todo), files=len(todo), state=TransferState.SENDING
            )
            done = 0
            for number, piece in enumerate(todo):
                where = self._top
                for name in piece.inside:
                    where.mkdir(exist_ok=True)
                    where = safe_child(where, name)
                if self._begun is not None:
                    if self._begun.has(piece.inside, where, piece.size):
                        done = self._next(number, done + piece.size)
                        continue
                    self._begun.add(piece.inside)
                download(
                    piece.source,
                    where,
                    clock=self._clock,
                    ids=self._ids,
                    force=self._force,
                    on_progress=lambda got, _size, done=done: self._tell(done + got),  # type: ignore[misc] # bound
                    on_wait=self._wait,
                    stopped=self._stopped,
                    limit=self._limit,
                    wire=self._wire,
                )
                done = self._next(number, done + piece.size)
        except OSError as error:
            failed = LocalFileError("The folder cannot be written", f"{error.strerror}.", path=str(self._top))
            self._end(TransferState.FAILED, failed)
            raise failed from error
        except SatchelError as error:
            cancelled = error.code == "cancelled"
            self._end(TransferState.CANCELLED if cancelled else TransferState.FAILED, error)
            raise
        finally:
            self._wire.close()
            if self._begun is not None:
                self._begun.close(done=self._row.files_done == self._row.files)
        self._row = replace(self._row, sent_bytes=self._row.size)
        self._end(TransferState.DONE, None)

    def _next(self, number: int, done: int) -> int:
        self._row = replace(self._row, files_done=number + 1, message="")
        return done

    def _tell(self, got: int) -> None:
        now = self._clock.monotonic()
        if now - self._told < 0.1:
            return
        self._told = now
        rate = got / (now - self._began) if now > self._began else 0.0
        left = (self._row.size - got) / rate if rate else None
        self._row = replace(self._row, sent_bytes=got, rate=rate, seconds_left=left, message="")
        self._show(self._row)

    def _wait(self, message: str, seconds: float) -> None:
        self._row = replace(self._row, message=f"{message} · retry in {max(1, round(seconds))} s")
        self._show(self._row)

    def _end(self, state: TransferState, error: SatchelError | None) -> None:
        message = error.said if error is not None and state is TransferState.FAILED else ""
        self._row = replace(self._row, state=state, rate=0.0, seconds_left=None, message=message)
        self._show(self._row)


def _by_path(path: str, cloud: Cloud, browse: Browse, clock: Clock) -> tuple[str, bool, Iterator[_Piece]]:
    node = browse.find(path)
    return node.name or "Satchel", node.kind == "folder", _below(cloud, node, clock)


def _below(cloud: Cloud, top: Node, clock: Clock) -> Iterator[_Piece]:
    addresses = Addresses(cloud, clock)
    files = list(_files(cloud, top, ()))

    def source(number: int) -> ContentSource:
        following = files[number + 1 : number + AT_ONCE]
        return addresses.of(files[number][1].node_id, lambda: [node.node_id for _, node in following])

    for number, (inside, node) in enumerate(files):
        yield _Piece(inside, node.revision.size if node.revision else 0, partial(source, number))


def _files(cloud: Cloud, node: Node, inside: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Node]]:
    if node.kind == "file":
        yield inside, node
        return
    for child in cloud.children(node.node_id):
        yield from _files(cloud, child, (*inside, child.name))


def _by_link(url: str, clock: Clock, ids: Ids) -> tuple[str, bool, Iterator[_Piece]]:
    site, token = parse_link(url)
    links = PublicLinks(site, clock=clock, ids=ids)
    view = links.view_link(token)
    if view.kind == "file":
        return (
            view.name,
            False,
            iter([_linked(links, token, LinkItem("", "file", view.name, view.size, view.modified_ms), ())]),
        )
    return view.name, True, _in_link(links, token, None, ())


def _in_link(links: PublicLinks, token: str, folder: str | None, inside: tuple[str, ...]) -> Iterator[_Piece]:
    page: str | None = None
    while True:
        view = links.view_link(token, folder=folder, page=page)
        for item in view.items:
            if item.kind == "folder":
                yield from _in_link(links, token, item.node_id, (*inside, item.name))
            else:
                yield _linked(links, token, item, (*inside, item.name))
        if (page := view.next) is None:
            return


def _linked(
    links: PublicLinks,
    token: str,
    item: LinkItem,
    inside: tuple[str, ...],
) -> _Piece:
    def source() -> ContentSource:
        revision = Revision("", item.size or 0, item.modified_ms or 0)
        node = Node(item.node_id, None, item.name, "file", 0, revision)
        return ContentSource(links.download_link(token, node=item.node_id or None), node)

    return _Piece(inside, item.size or 0, source)
