"""Fetching a large file in ranges, several at a time, so that a crash costs the ranges under way and no more.

Bytes lie at their places in one file, and beside it a list of the ranges that are whole: its first line says of what
content they are, each further line is a number. What a power cut may have lost of the bytes, the digest finds.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from satchel.core.errors import BusyError, CancelledError, OfflineError, SatchelError
from satchel.core.model import ContentSource
from satchel.core.ports import Clock, Ids

from .backoff import Backoff
from .dial import Dialer, HaltedError, UnreachableError
from .http1 import MAX_REPLY, Reply
from .limits import Limit
from .local import writing
from .replies import skewed
from .wire import Wire

RANGES_FROM = 16 * 1024 * 1024
RANGE = 8 * 1024 * 1024
CONNECTIONS = 6
_FIRST = 3
"""So many begin: against a server nearby more only share the same processor. Another joins for every slow range."""
_SLOW_S = 0.2
_BLOCK = 1024 * 1024
_TICK_S, _JOIN_S = 0.05, 1.0


class NoRangesError(Exception):
    """The server hands out this content only as a whole."""


class OtherContentError(Exception):
    """It is not, or no longer, the content that was asked for first: begin anew."""


class Ranges:
    def __init__(
        self,
        fetch_source: Callable[[], ContentSource],
        source: ContentSource,
        file: Path,
        *,
        clock: Clock,
        ids: Ids,
        backoff: Backoff,
        limit: Limit,
        tries: int,
    ) -> None:
        """`file` is where the bytes are put together; the list of what is whole lies beside it."""
        revision = source.node.revision
        assert revision is not None  # noqa: S101 - a folder was refused before
        self._fetch_source = fetch_source
        self._source, self._version = source, 0
        self._revision_id, self._size = revision.revision_id, revision.size
        self.file = file
        self.resumed = False
        """Whether an earlier run had left something of it."""
        self._list = listed(file)
        self._clock, self._ids, self._backoff, self._limit, self._tries = clock, ids, backoff, limit, tries
        self._changed = threading.Condition()
        self._signing = threading.Lock()
        self._etag: str | None = None
        self._whole: set[int] = set()
        self._todo: deque[int] = deque()
        self._under_way: dict[int, int] = {}
        self._allowed = _FIRST
        self._failures = 0
        self._error: BaseException | None = None
        self._over = False
        self._said: tuple[str, float] | None = None
        dialer = Dialer()
        self._wires = [Wire(dialer) for _ in range(min(CONNECTIONS, self._count))]

    @property
    def _count(self) -> int:
        return -(-self._size // RANGE)

    def fetch(
        self,
        on_progress: Callable[[int, int], None],
        on_wait: Callable[[str, float], None],
        stopped: Callable[[], bool],
    ) -> str:
        """Fetch what is missing; the SHA-256 of the whole. All three are called from this thread only.

        Raises `NoRangesError`, `OtherContentError`, `CancelledError`, `OfflineError` and what the service says.
        """
        self._recall()
        with _opened(self._list) as listed:
            listed.seek(0, os.SEEK_END)
            threads = [
                threading.Thread(target=self._work, args=(nth, wire, listed), name=f"download-{nth}", daemon=True)
                for nth, wire in enumerate(self._wires)
            ]
            for thread in threads:
                thread.start()
            try:
                return self._digest(on_progress, on_wait, stopped)
            finally:
                self._end()
                # One that is just connecting, or asking the service, ends by itself and touches nothing any more.
                end = time.monotonic() + _JOIN_S
                for thread in threads:
                    thread.join(timeout=max(0.0, end - time.monotonic()))

    def forget(self) -> None:
        """Throw away what was fetched."""
        for path in (self._list, self.file):  # a list without its file would never be looked for again
            path.unlink(missing_ok=True)

    # -- what an earlier run left ----------------------------------------------------------------------------------

    def _recall(self) -> None:
        self._whole = self._listed() if self._revision_id else set()
        self.resumed = bool(self._whole)
        if not self.resumed:
            self.forget()
            self._etag = None
        with _opened(self.file) as file:
            file.truncate(self._size)
        self._todo = deque(number for number in range(self._count) if number not in self._whole)

    def _listed(self) -> set[int]:
        """The ranges that are whole already; none when it is not known of what."""
        try:
            with _opened(self.file) as file, _opened(self._list) as listed:
                first, *lines = listed.read().decode("ascii").split("\n")[:-1]
                said = json.loads(first)
                if os.fstat(file.fileno()).st_size != self._size:
                    return set()
        except (OSError, ValueError):
            return set()
        if not isinstance(said, dict) or (said.get("size"), said.get("range")) != (self._size, RANGE):
            return set()
        self._etag = said.get("etag")
        numbers = {int(line) for line in lines if line.isdigit()}
        return {number for number in numbers if number < self._count}

    # -- this thread -----------------------------------------------------------------------------------------------

    def _digest(
        self,
        on_progress: Callable[[int, int], None],
        on_wait: Callable[[str, float], None],
        stopped: Callable[[], bool],
    ) -> str:
        """Read the ranges in order as they come, from the page cache where it still has them."""
        digest = hashlib.sha256()
        room = memoryview(bytearray(_BLOCK))
        with _opened(self.file) as file:
            for number in range(self._count):
                while not self._is_whole(number):
                    self._tell(on_progress, on_wait, stopped)
                left = self._length(number)
                while left:
                    if stopped():
                        raise CancelledError("Cancelled")
                    size = file.readinto(room[:left])  # type: ignore[attr-defined] # a raw file has it
                    if not size:
                        raise OtherContentError
                    digest.update(room[:size])
                    left -= size
                self._tell(on_progress, on_wait, stopped)
        return digest.hexdigest()

    def _is_whole(self, number: int) -> bool:
        with self._changed:
            if number not in self._whole and self._error is None:
                self._changed.wait(_TICK_S)
            if self._error is not None:
                raise self._error
            return number in self._whole

    def _tell(
        self,
        on_progress: Callable[[int, int], None],
        on_wait: Callable[[str, float], None],
        stopped: Callable[[], bool],
    ) -> None:
        if stopped():
            raise CancelledError("Cancelled")
        with self._changed:
            got = sum(map(self._length, self._whole)) + sum(self._under_way.values())
            said, self._said = self._said, None
        on_progress(got, self._size)
        if said is not None:
            on_wait(*said)

    def _end(self) -> None:
        with self._changed:
            self._over = True
            self._changed.notify_all()
        for wire in self._wires:
            wire.interrupt()

    # -- the others ------------------------------------------------------------------------------------------------

    def _work(self, nth: int, wire: Wire, listed: BinaryIO) -> None:
        with contextlib.closing(wire):
            try:
                with _opened(self.file) as file:
                    while (number := self._take(nth)) is not None:
                        began = self._clock.monotonic()
                        if self._get(wire, file, number):
                            self._done(number, listed, self._clock.monotonic() - began)
                        else:
                            self._put_back(number)
            except HaltedError:
                return
            except BaseException as error:  # whatever it is, it ends the download and is raised there
                with self._changed:
                    self._error = self._error or error
                    self._changed.notify_all()

    def _take(self, nth: int) -> int | None:
        """The next range for the `nth` of those that fetch."""
        with self._changed:
            # One under way may yet come back.
            while not self._over and (self._todo or self._under_way) and not (self._todo and nth < self._allowed):
                self._changed.wait(_TICK_S)
            if self._over or not self._todo:
                return None
            number = self._todo.popleft()
            self._under_way[number] = 0
            return number

    def _put_back(self, number: int) -> None:
        with self._changed:
            del self._under_way[number]
            self._todo.appendleft(number)
            self._changed.notify_all()

    def _done(self, number: int, listed: BinaryIO, seconds: float) -> None:
        with self._changed:
            self._allowed += seconds > _SLOW_S
            del self._under_way[number]
            with writing(self._list):
                if listed.tell() == 0:
                    said = {"size": self._size, "range": RANGE, "etag": self._etag}
                    listed.write(json.dumps(said).encode() + b"\n")
                listed.write(b"%d\n" % number)
            self._whole.add(number)
            self._failures = 0
            self._changed.notify_all()

    def _get(self, wire: Wire, file: BinaryIO, number: int) -> bool:
        """Whether the range came; if not, it makes sense to ask again, and the pause for it is over."""
        with self._changed:
            source, version, etag = self._source, self._version, self._etag
        first = number * RANGE
        last = first + self._length(number) - 1
        headers = {"accept-encoding": "identity", "range": f"bytes={first}-{last}"}
        if etag is not None:
            headers["if-match"] = etag
        try:
            with wire.get(source.url, headers) as response:
                if response.status != 206:
                    self._refused(response, version)
                    return False
                if response.getheader("content-range") != f"bytes {first}-{last}/{self._size}":
                    raise OtherContentError
                self._same(response.getheader("etag"))
                file.seek(first)
                return self._read(response, file, number)
        except UnreachableError as error:
            self._failed(str(error))
            return False

    def _read(self, response: Any, file: BinaryIO, number: int) -> bool:
        length, got = self._length(number), 0
        room = memoryview(bytearray(min(_BLOCK, length)))
        while got < length and (size := response.readinto(room[: self._limit.piece(min(len(room), length - got))])):
            self._limit.take(size, lambda: self._over)
            with writing(self.file):
                file.write(room[:size])
            got += size
            self._under_way[number] = got
        if got < length:
            self._failed("The connection broke")
        return got == length

    def _same(self, etag: str | None) -> None:
        with self._changed:
            self._etag = self._etag or etag
            if etag != self._etag:
                raise OtherContentError

    def _refused(self, response: http.client.HTTPResponse, version: int) -> None:
        status = response.status
        if status == 200 and response.getheader("content-length") == str(self._size):
            raise NoRangesError
        if status in (412, 416):
            raise OtherContentError
        if status == 404:
            raise SatchelError("The content is gone", "It was deleted, or replaced; look again.")
        if status in (400, 401, 403):
            if (wrong := skewed(answer_of(response), self._clock.now_ms(), str(self.file))) is not None:
                raise wrong
            try:
                self._sign_again(version)
            except (OfflineError, BusyError) as error:
                self._failed(error.title)
                return
        self._failed("The storage does not hand it out")

    def _sign_again(self, version: int) -> None:
        """One of those that were refused asks for all."""
        # Not under the lock of all else: while the service does not answer it can still be stopped.
        with self._signing:
            if version != self._version:
                return
            source = self._fetch_source()
            revision = source.node.revision
            if revision is None or (revision.revision_id, revision.size) != (self._revision_id, self._size):
                raise OtherContentError
            with self._changed:
                self._source = source
                self._version += 1

    def _failed(self, title: str) -> None:
        """Count it, and pause. Raises `OfflineError` when nothing has come for too long."""
        with self._changed:
            self._failures += 1
            if self._failures >= self._tries * len(self._wires):
                raise OfflineError(title, "What was fetched is kept; try again to go on.")
            pause = self._backoff.delay((self._failures - 1) // len(self._wires), self._ids)
            self._said = (title, pause)
        end = self._clock.monotonic() + pause
        while not self._over and (left := end - self._clock.monotonic()) > 0:
            self._clock.sleep(min(left, _TICK_S))

    def _length(self, number: int) -> int:
        return min(RANGE, self._size - number * RANGE)


def listed(file: Path) -> Path:
    """Where it is written which ranges of `file` are whole."""
    return file.with_name(f"{file.name}.list")


def answer_of(response: http.client.HTTPResponse) -> Reply:
    """An answer that is no content, with its body as far as an error's goes."""
    headers = {name.lower(): value for name, value in response.getheaders()}
    return Reply(response.status, headers, response.read(MAX_REPLY))


def _opened(path: Path) -> BinaryIO:
    """To read and write, made if need be. In a folder that others can write to, a link of this name must not lead the
    bytes elsewhere."""
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
    return os.fdopen(os.open(path, flags, 0o666), "r+b", buffering=0)
