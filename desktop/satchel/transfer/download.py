"""Fetching a file: resumed where it broke, checked, and under its name only when it is whole."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from satchel.core.errors import (
    BusyError,
    CancelledError,
    DigestError,
    LocalFileError,
    OfflineError,
    SatchelError,
    UsageError,
)
from satchel.core.model import ContentSource, Revision
from satchel.core.names import here_problem
from satchel.core.ports import Clock, Ids

from .backoff import Backoff
from .dial import HaltedError, UnreachableError
from .http1 import Reply
from .limits import Limit
from .local import writing
from .ranges import RANGES_FROM, NoRangesError, OtherContentError, Ranges, answer_of, listed
from .replies import skewed
from .wire import Wire

_BLOCK = 256 * 1024
_TRIES = 8
_TICK_S = 0.05
_DAMAGED = ("The bytes that came are not those that were sent", "Fetch it again.")


def download(
    fetch_source: Callable[[], ContentSource],
    dest: Path,
    *,
    clock: Clock,
    ids: Ids,
    force: bool = False,
    on_progress: Callable[[int, int], None] = lambda _got, _size: None,
    on_wait: Callable[[str, float], None] = lambda _message, _seconds: None,
    stopped: Callable[[], bool] = lambda: False,
    backoff: Backoff | None = None,
    tries: int = _TRIES,
    limit: Limit | None = None,
    wire: Wire | None = None,
) -> Path:
    """Fetch what `fetch_source()` tells (a fresh address each time it is asked) to `dest`, and return `dest`.

    `on_progress(got, size)` counts bytes, `on_wait(message, seconds)` tells of pauses; `stopped()` is asked several
    times a second, from any thread, and True ends it at once with `CancelledError`. Bytes lie in a `.part` file beside
    `dest` until all are there and agree with size and SHA-256 where known; a later call goes on with it. Large files
    come in ranges, several at a time. An existing `dest` is never replaced without `force`. `limit` is shared by all
    that take from it; `wire`, which nobody else uses meanwhile, keeps its connection for the caller's next small file.

    Raises `LocalFileError`, `DigestError`, `OfflineError` after `tries` failures without a byte between.
    """
    source = fetch_source()
    revision = source.node.revision
    if revision is None:
        raise UsageError("This is a folder", "Only files can be fetched.", path=str(dest))
    part = _part_of(dest, revision.revision_id)
    if not force and _ended_just_then(dest, part):
        return dest
    if not force and os.path.lexists(dest):
        raise LocalFileError("There is a file of this name already", "Choose another name.", path=str(dest))
    way = _Way(
        fetch_source,
        dest,
        clock,
        ids,
        on_progress,
        on_wait,
        stopped,
        backoff or Backoff(),
        tries,
        limit or Limit(clock),
        wire,
    )
    with writing(part):
        fetched = _in_ranges(way, source, part) if revision.size >= RANGES_FROM else None
        fetched = fetched or _in_one_stream(way, source, part)
        with contextlib.suppress(OSError):
            when = fetched.revision.modified_ms * 1_000_000
            os.utime(fetched.file, ns=(when, when))
        _put_in_place(fetched.file, dest, force=force)
        fetched.done()
    return dest


def safe_child(folder: Path, name: str) -> Path:
    """`folder / name` for a name that came from elsewhere. Raises `LocalFileError` for one that leads out of `folder`
    or that this system cannot have."""
    problem = here_problem(name)
    if problem is not None:
        raise LocalFileError(
            "This name cannot be used on this computer", f"{problem.reason}. Rename it, or give one with -o.", path=name
        )
    return folder / name


@dataclass(frozen=True, slots=True)
class _Way:
    """How `download` was asked to go about it."""

    fetch_source: Callable[[], ContentSource]
    dest: Path
    clock: Clock
    ids: Ids
    on_progress: Callable[[int, int], None]
    on_wait: Callable[[str, float], None]
    stopped: Callable[[], bool]
    backoff: Backoff
    tries: int
    limit: Limit
    wire: Wire | None


@dataclass(frozen=True, slots=True)
class _Fetched:
    """All bytes, checked, not under their name yet; `done` clears away what is of no use then."""

    file: Path
    revision: Revision
    done: Callable[[], None]


def _in_ranges(way: _Way, source: ContentSource, part: Path) -> _Fetched | None:
    """None when the server hands out the content only as a whole."""
    revision = source.node.revision
    if revision is None:
        return None
    again = False
    while True:
        ranges = Ranges(
            way.fetch_source,
            source,
            part.with_suffix(".ranges"),
            clock=way.clock,
            ids=way.ids,
            backoff=way.backoff,
            limit=way.limit,
            tries=way.tries,
        )
        try:
            digest = ranges.fetch(way.on_progress, way.on_wait, way.stopped)
        except (NoRangesError, OtherContentError) as error:
            ranges.forget()
            if isinstance(error, NoRangesError) or again:
                return None
            source = way.fetch_source()
        except OfflineError as error:
            error.path = str(way.dest)
            raise
        else:
            if revision.sha256 in (None, digest):
                return _Fetched(ranges.file, revision, ranges.forget)
            ranges.forget()
            if not ranges.resumed or again:
                raise DigestError(*_DAMAGED, path=str(way.dest))
        # What an earlier run left was not what its list said, or the content is another now: once more, from nothing.
        revision = source.node.revision
        if revision is None:
            raise UsageError("This is a folder now", "Only files can be fetched.", path=str(way.dest))
        again = True


def _in_one_stream(way: _Way, source: ContentSource, part: Path) -> _Fetched:
    fetch = _Fetch(way.fetch_source, source, part, way.on_progress, way.stopped, way.limit, way.clock, way.dest)
    failures = 0
    with _armed(way.wire) as wire, _heeding(way.stopped, wire):
        if source.node.revision is None or not source.node.revision.revision_id:
            part.unlink(missing_ok=True)  # nothing says what these bytes were of
        while True:
            before = fetch.got
            try:
                if fetch.some(wire):
                    break
                failures = 0 if fetch.got > before else failures + 1
                title = "The storage does not hand it out"
            except (UnreachableError, OfflineError, BusyError) as error:
                failures = 1 if fetch.got > before else failures + 1
                title = error.title if isinstance(error, SatchelError) else str(error)
            if failures >= way.tries:
                raise OfflineError(title, "What was fetched is kept; try again to go on.", path=str(way.dest))
            if failures:
                pause = way.backoff.delay(failures - 1, way.ids)
                way.on_wait(title, pause)
                _pause(way, pause)
    return _Fetched(part, _checked(fetch, way.dest), lambda: part.unlink(missing_ok=True))


@contextlib.contextmanager
def _armed(given: Wire | None) -> Iterator[Wire]:
    """The caller's, or one for this file alone."""
    wire = given or Wire()
    wire.arm()
    try:
        yield wire
    finally:
        if given is None:
            wire.close()


@contextlib.contextmanager
def _heeding(stopped: Callable[[], bool], wire: Wire) -> Iterator[None]:
    """Meanwhile whoever stops it is heard at once, however long nothing comes."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(_TICK_S):
            if stopped():
                wire.interrupt()
                return

    watcher = threading.Thread(target=watch, name="download-stop", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _pause(way: _Way, seconds: float) -> None:
    end = way.clock.monotonic() + seconds
    while (left := end - way.clock.monotonic()) > 0:
        if way.stopped():
            raise CancelledError("Cancelled")
        way.clock.sleep(min(left, _TICK_S))


@dataclass(slots=True)
class _Fetch:
    fetch_source: Callable[[], ContentSource]
    source: ContentSource
    part: Path
    on_progress: Callable[[int, int], None]
    stopped: Callable[[], bool]
    limit: Limit
    clock: Clock
    dest: Path
    etag: str | None = None
    got: int = 0
    signed: bool = True

    @property
    def size(self) -> int:
        revision = self.source.node.revision
        return revision.size if revision is not None else 0

    def some(self, wire: Wire) -> bool:
        """Fetch as much as comes; True when all is there."""
        if not self.signed:
            self._sign_again()
        # In a folder that others can write to, a link of this name must not lead the bytes elsewhere.
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
        handle = os.open(self.part, flags, 0o666)
        with os.fdopen(handle, "r+b") as file:
            self.got = file.seek(0, os.SEEK_END)
            if self.got > self.size:
                self._restart(file)
            self.on_progress(self.got, self.size)
            if self.got < self.size:
                self._stream(wire, file)
            if self.got == self.size:
                file.flush()
                os.fsync(file.fileno())
                return True
            return False

    def _stream(self, wire: Wire, file: BinaryIO) -> None:
        headers = {"accept-encoding": "identity"}
        if self.got:
            headers["range"] = f"bytes={self.got}-"
            if self.etag is not None:
                headers["if-match"] = self.etag
        try:
            with wire.get(self.source.url, headers) as response:
                if response.status == 200 and self.got:
                    self._restart(file)
                if response.status not in (200, 206):
                    self._refused(answer_of(response), file)
                    return
                self.etag = response.getheader("etag")
                if not self._belongs(response.getheader("content-range"), response.getheader("content-length")):
                    self._restart(file)
                    self.signed = False
                    return
                while block := response.read(self.limit.piece(min(_BLOCK, self.size - self.got))):
                    if self.stopped():
                        raise CancelledError("Cancelled")
                    self.limit.take(len(block), self.stopped)
                    with writing(self.part):
                        file.write(block)
                    self.got += len(block)
                    self.on_progress(self.got, self.size)
        except HaltedError:
            raise CancelledError("Cancelled") from None

    def _belongs(self, content_range: str | None, length: str | None) -> bool:
        """Whether the answer is of a content of the expected size, from where we stopped."""
        if content_range is not None:
            return content_range == f"bytes {self.got}-{self.size - 1}/{self.size}"
        # A network that wants a sign-in first answers with a page of its own, which has neither.
        return length == str(self.size) or (length is None and self.etag is not None)

    def _refused(self, reply: Reply, file: BinaryIO) -> None:
        if reply.status in (412, 416):
            self._restart(file)  # other content, or more than there is
        if reply.status == 404:
            raise SatchelError("The content is gone", "It was deleted, or replaced; look again.")
        if (error := skewed(reply, self.clock.now_ms(), str(self.dest))) is not None:
            raise error
        self.signed = False

    def _restart(self, file: BinaryIO) -> None:
        file.truncate(0)
        file.seek(0)
        self.got, self.etag = 0, None

    def _sign_again(self) -> None:
        before = self.source.node.revision
        self.source = self.fetch_source()
        after = self.source.node.revision
        if before is None or after is None or before.revision_id != after.revision_id:
            self.part.unlink(missing_ok=True)
            self.etag = None
            if after is None:
                raise UsageError("This is a folder now", "Only files can be fetched.")
        self.signed = True


def _checked(fetch: _Fetch, dest: Path) -> Revision:
    revision = fetch.source.node.revision
    if revision is None:
        raise UsageError("This is a folder now", "Only files can be fetched.", path=str(dest))
    if revision.sha256 is None:
        return revision
    digest = hashlib.sha256()
    with fetch.part.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    if digest.hexdigest() != revision.sha256:
        fetch.part.unlink(missing_ok=True)
        raise DigestError(*_DAMAGED, path=str(dest))
    return revision


def _put_in_place(part: Path, dest: Path, *, force: bool) -> None:
    if force:
        part.replace(dest)
    elif sys.platform == "win32":
        part.rename(dest)  # refuses to replace
    else:
        try:
            os.link(part, dest)
        except FileExistsError:
            raise
        except OSError:
            # No hard links here (FAT, some network disks): the gap between look and rename is what is left.
            if os.path.lexists(dest):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(dest)) from None
            part.rename(dest)
        # The other name is cleared away last: as long as it is there it tells that the file came from here.
    if hasattr(os, "O_DIRECTORY"):
        folder = os.open(dest.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with contextlib.suppress(OSError):
                os.fsync(folder)
        finally:
            os.close(folder)


def _ended_just_then(dest: Path, part: Path) -> bool:
    """Whether an earlier run ended after it had given the file its name and before it had cleared away."""
    for file in (part, part.with_suffix(".ranges")):
        with contextlib.suppress(OSError):
            if file.samefile(dest):
                listed(file).unlink(missing_ok=True)
                file.unlink()
                return True
    return False


def _part_of(dest: Path, revision_id: str) -> Path:
    """A short name, for `dest`'s own may be as long as names get; another revision is another part."""
    mark = hashlib.sha256(f"{dest.name}\0{revision_id}".encode(errors="surrogateescape")).hexdigest()[:16]
    return dest.with_name(f".satchel-{mark}.part")
