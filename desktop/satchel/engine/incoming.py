"""Fetching what another computer put into a two-way folder."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from satchel.cloud import Cloud
from satchel.core.errors import CancelledError, SatchelError
from satchel.core.model import ContentSource, Node, Revision, TransferState
from satchel.core.names import printable
from satchel.core.ports import Clock, Ids
from satchel.core.status import TransferRow
from satchel.transfer import Dialer, Limit, Wire, download

from .addresses import Addresses
from .transfers import Transfers

THREADS = 16
"""Files fetched at the same time; a large one takes several connections by itself."""

AHEAD = 3 * THREADS
"""Addresses that are still there when more are asked for: an answer takes as long as a few small files."""

SHOWN_FROM = 1024 * 1024
"""Bytes from which a file is worth a row while it comes: thousands of small ones would drown what people look for."""


class Downloads:
    """`sync.Downloads` on the downloader, with a row for each large file. Close it before what it fetches from."""

    def __init__(self, cloud: Cloud, transfers: Transfers, clock: Clock, ids: Ids, limit: Limit) -> None:
        self._cloud = cloud
        self._transfers = transfers
        self._clock = clock
        self._ids = ids
        self._limit = limit
        self._addresses = Addresses(cloud, clock, AHEAD)
        self._pool = ThreadPoolExecutor(THREADS, "fetch")
        self._closing = threading.Event()
        self._going = threading.Event()
        self._going.set()
        self._lock = threading.Lock()
        self._coming: dict[str, None] = {}
        """Who waits for a thread, in the order in which they will have one."""
        self._dialer = Dialer()
        self._wires: list[Wire] = []
        """Those that nobody uses, with the connections that are left from earlier files."""

    async def fetch(self, node_id: str, dest: str, name: str) -> Node:
        stop = threading.Event()
        with self._lock:
            self._coming[node_id] = None
        work = asyncio.get_running_loop().run_in_executor(self._pool, self._fetch, node_id, Path(dest), name, stop)
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            stop.set()
            self._waits_no_more(node_id)
            raise

    def pause(self) -> None:
        """Begin no more files."""
        self._going.clear()

    def resume(self) -> None:
        self._going.set()

    def close(self) -> None:
        """What is under way ends; the bytes that came are kept for the next time."""
        self._closing.set()
        self._going.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self.drop_connections()

    def drop_connections(self) -> None:
        """Those that are kept may be dead: the computer slept."""
        with self._lock:
            kept, self._wires = self._wires, []
        for wire in kept:
            wire.close()

    def _fetch(self, node_id: str, dest: Path, name: str, stop: threading.Event) -> Node:
        def stopped() -> bool:
            return stop.is_set() or self._closing.is_set()

        self._going.wait()
        self._waits_no_more(node_id)
        if stopped():
            raise CancelledError("Cancelled")
        source = self._addresses.of(node_id, self._following)
        if _is_there(dest, source.node.revision):
            return source.node
        dest.unlink(missing_ok=True)
        size = source.node.revision.size if source.node.revision else 0
        first_row = TransferRow(
            self._ids.new_id(),
            "down",
            "root",
            printable(name),
            str(dest),
            TransferState.WAITING,
            size,
            0,
            created_ms=self._clock.now_ms(),
        )
        row = _Row(first_row, self._clock, lambda row: self._transfers.show_download(row, stop))
        newest = source

        def address() -> ContentSource:
            nonlocal newest
            newest = self._cloud.get_content(node_id)
            return newest

        first: list[Callable[[], ContentSource]] = [lambda: source]
        try:
            with self._wire() as wire:
                download(
                    lambda: first.pop()() if first else address(),
                    dest,
                    clock=self._clock,
                    ids=self._ids,
                    on_progress=row.tell,
                    stopped=stopped,
                    limit=self._limit,
                    wire=wire,
                )
        except SatchelError as error:
            row.end(TransferState.CANCELLED if isinstance(error, CancelledError) else TransferState.FAILED, error.said)
            raise
        row.end(TransferState.DONE, "")
        return newest.node

    @contextlib.contextmanager
    def _wire(self) -> Iterator[Wire]:
        with self._lock:
            wire = self._wires.pop() if self._wires else Wire(self._dialer)
        try:
            yield wire
        finally:
            with self._lock:
                self._wires.append(wire)

    def _waits_no_more(self, node_id: str) -> None:
        with self._lock:
            self._coming.pop(node_id, None)

    def _following(self) -> list[str]:
        with self._lock:
            return list(self._coming)


class _Row:
    """One file's row, if it is shown at all."""

    def __init__(self, row: TransferRow, clock: Clock, show: Callable[[TransferRow], None]) -> None:
        self._row = row
        self._clock = clock
        self._show = show if row.size >= SHOWN_FROM else lambda _row: None
        self._began, self._told = clock.monotonic(), 0.0

    def tell(self, got: int, _size: int) -> None:
        now = self._clock.monotonic()
        if now - self._told < 0.1:
            return
        self._told = now
        rate = got / (now - self._began) if now > self._began else 0.0
        left = (self._row.size - got) / rate if rate else None
        self._row = replace(
            self._row, state=TransferState.SENDING, sent_bytes=got, rate=rate, seconds_left=left, message=""
        )
        self._show(self._row)

    def end(self, state: TransferState, message: str) -> None:
        got = self._row.size if state is TransferState.DONE else self._row.sent_bytes
        self._row = replace(self._row, state=state, sent_bytes=got, rate=0.0, seconds_left=None, message=message)
        self._show(self._row)


def _is_there(dest: Path, revision: Revision | None) -> bool:
    """Whether an earlier call has brought just this."""
    if revision is None or revision.sha256 is None or not dest.is_file() or dest.stat().st_size != revision.size:
        return False
    with dest.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == revision.sha256
