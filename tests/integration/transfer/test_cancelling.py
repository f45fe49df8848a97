"""Cancelling: the wire stops at once whatever it waits for, and the service hears of it at once."""

from __future__ import annotations

import contextlib
import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from integration.transfer.conftest import World
from integration.transfer.fake_s3 import PART
from satchel.core.errors import BusyError, CancelledError
from satchel.core.model import ContentSource, Node, Revision
from satchel.core.ports import SystemClock, SystemIds
from satchel.transfer import Limit, Uploader, download
from satchel.transfer.backoff import Backoff
from satchel.transfer.ranges import RANGES_FROM

Until = Callable[..., None]

LARGE = 4 * PART + 12345
SOON_S = 2.0
"""By the wall, on a machine that others use too; what is waited for would take a minute, or for ever."""


class StandingClock(SystemClock):
    """A clock that stands still: by it no limit ever lets another byte go, and no pause ends."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waited = threading.Event()

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.waited.set()
        time.sleep(0.001)


@pytest.fixture
def clock() -> StandingClock:
    return StandingClock()


def limited(world: World, clock: StandingClock, limit: int) -> Uploader:
    """Whose limit alone goes by `clock`: batches are closed after a time."""
    made = world.start(connections=2, limit=limit)
    made.limit._clock = clock
    return made


@contextlib.contextmanager
def soon() -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < SOON_S


def idle(uploader: Uploader) -> bool:
    """Whether no connection of an uploader has anything under way."""
    return all(sender.wire._active is None for sender in uploader._senders) and not uploader._small_sender._busy


def test_an_upload_that_waits_for_its_limit_ends_at_once(world: World, clock: StandingClock, until: Until) -> None:
    uploader = limited(world, clock, limit=4096)
    ticket = uploader.submit(world.request(world.file("big", LARGE)))
    assert clock.waited.wait(10)
    with soon():
        uploader.cancel(ticket.upload_id)
        with pytest.raises(CancelledError):
            ticket.done.result(0)
        until(lambda: idle(uploader))
        until(lambda: world.service.aborted == [ticket.upload_id])
    assert world.s3.received == 0


def test_a_small_file_that_waits_for_its_limit_never_leaves(world: World, clock: StandingClock, until: Until) -> None:
    uploader = limited(world, clock, limit=4096)
    first = uploader.submit(world.request(world.file("first", 50_000)))
    first.done.result(10)
    second, third = uploader.submit_all([world.request(world.file(name, 50_000)) for name in ("second", "third")])
    until(lambda: len(uploader._small_sender._waiting) == 2)
    with soon():
        uploader.cancel(second.upload_id)
        until(lambda: world.service.aborted == [second.upload_id])
    clock.now += 3600
    third.done.result(10)
    assert {upload_id for upload_id, _ in world.s3.wire} == {first.upload_id, third.upload_id}


@pytest.mark.parametrize("fault", ["stall", "no-answer"])
def test_parts_are_gone_at_once_though_s3_stalls(world: World, fault: str, until: Until) -> None:
    world.s3.fail(fault, times=6)
    uploader = world.start(send_timeout=60, reply_timeout=60)
    ticket = uploader.submit(world.request(world.file("big", LARGE)))
    assert world.s3.reached.wait(10)
    assert ticket.upload_id in world.s3.parts
    with soon():
        uploader.cancel(ticket.upload_id)
        until(lambda: ticket.upload_id not in world.s3.parts)
        until(lambda: idle(uploader))
    until(lambda: ticket.upload_id not in world.store.rows)


@pytest.mark.parametrize("fault", ["stall", "no-answer"])
def test_a_small_file_under_way_ends_alone_and_at_once(world: World, fault: str, until: Until) -> None:
    world.s3.fail(fault)
    uploader = world.start(send_timeout=60, reply_timeout=60)
    ticket = uploader.submit(world.request(world.file("small", 60_000)))
    assert world.s3.reached.wait(10)
    with soon():
        uploader.cancel(ticket.upload_id)
        until(lambda: idle(uploader))
        until(lambda: world.service.aborted == [ticket.upload_id])
    uploader.submit(world.request(world.file("other", 60_000))).done.result(10)


def test_what_waits_until_it_is_quiet_leaves_no_parts_of_what_it_was_before(world: World, until: Until) -> None:
    path = world.file("big", LARGE)
    world.s3.fail("stall", times=4, part=3)
    uploader = world.start(connections=2)
    ticket = uploader.submit(world.request(path))
    until(lambda: world.store.parts(ticket.upload_id))
    assert world.s3.reached.wait(10)
    world.file("big", LARGE + 1)
    world.s3.release.set()
    until(lambda: "still being changed" in uploader.progress()[0].message)
    assert ticket.upload_id in world.s3.parts
    with soon():
        uploader.cancel(ticket.upload_id)
        until(lambda: not world.s3.parts)


def test_a_busy_service_is_told_later_of_what_was_given_up(
    world: World, monkeypatch: pytest.MonkeyPatch, until: Until
) -> None:
    monkeypatch.setattr("satchel.transfer.finish._LATER_S", 0.01)
    monkeypatch.setattr("satchel.transfer.line.BUSY", 1)
    world.s3.fail("stall", times=6)
    uploader = world.start()
    ticket = uploader.submit(world.request(world.file("big", LARGE)))
    assert world.s3.reached.wait(10)
    abort, refusals = world.service.abort_upload, [BusyError("Busy", "Later.")] * 3

    def busy_at_first(upload_id: str) -> None:
        if refusals:
            raise refusals.pop()
        abort(upload_id)

    monkeypatch.setattr(world.service, "abort_upload", busy_at_first)
    uploader.cancel(ticket.upload_id)
    until(lambda: not world.s3.parts)


# -- downloads ---------------------------------------------------------------------------------------------------------

SIZES = [2_000_000, RANGES_FROM + 12345]


class Fetching:
    """A download in a thread of its own, and how it ended."""

    def __init__(
        self,
        world: World,
        dest: Path,
        size: int,
        *,
        limit: Limit | None = None,
        clock: SystemClock | None = None,
        again: Callable[[], None] = lambda: None,
    ) -> None:
        self.stop = threading.Event()
        self.error: BaseException | None = None
        self.got = 0
        content = random.Random(size).randbytes(size)
        world.s3.downloads["/o"] = content
        revision = Revision("a" * 32, size, 0, hashlib.sha256(content).hexdigest(), True)
        source = ContentSource(f"{world.s3.url}/o", Node("b" * 32, "root", dest.name, "file", 1, revision))
        asked = [0]

        def fetch_source() -> ContentSource:
            asked[0] += 1
            if asked[0] > 1:
                again()
            return source

        def progress(got: int, _size: int) -> None:
            self.got = got

        def work() -> None:
            try:
                download(
                    fetch_source,
                    dest,
                    clock=clock or SystemClock(),
                    ids=SystemIds(),
                    stopped=self.stop.is_set,
                    on_progress=progress,
                    limit=limit,
                    backoff=Backoff(first=60, longest=60),
                )
            except BaseException as error:
                self.error = error

        self.thread = threading.Thread(target=work)
        self.thread.start()

    def cancel(self) -> None:
        with soon():
            self.stop.set()
            self.thread.join(60)
        assert isinstance(self.error, CancelledError)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("fault", ["stall", "stall-within"])
def test_a_download_ends_at_once_though_nothing_comes(
    world: World, tmp_path: Path, size: int, fault: str, until: Until
) -> None:
    world.s3.fail(fault, times=6)
    fetching = Fetching(world, tmp_path / "f", size)
    assert world.s3.reached.wait(10)
    until(lambda: len(world.s3.ranges) == (1 if size < RANGES_FROM else 3))
    fetching.cancel()
    assert not (tmp_path / "f").exists()


@pytest.mark.parametrize("size", SIZES)
def test_a_download_that_waits_for_its_limit_ends_at_once(
    world: World, tmp_path: Path, size: int, clock: StandingClock
) -> None:
    fetching = Fetching(world, tmp_path / "f", size, limit=Limit(clock, 4096))
    assert clock.waited.wait(10)
    fetching.cancel()
    kept = sum(path.stat().st_blocks * 512 for path in tmp_path.glob(".satchel-*.part"))
    assert kept <= 8192, "a limit holds from the first byte"


@pytest.mark.parametrize("size", SIZES)
def test_a_download_that_waits_for_another_try_ends_at_once(
    world: World, tmp_path: Path, size: int, clock: StandingClock
) -> None:
    world.s3.fail("503", times=1000)
    fetching = Fetching(world, tmp_path / "f", size, clock=clock)
    assert clock.waited.wait(10)
    fetching.cancel()


def test_a_download_in_ranges_ends_at_once_though_the_service_does_not_answer(world: World, tmp_path: Path) -> None:
    world.s3.fail("403", times=1000)
    asked, release = threading.Event(), threading.Event()

    def again() -> None:
        asked.set()
        release.wait(60)

    fetching = Fetching(world, tmp_path / "f", SIZES[1], again=again)
    assert asked.wait(10)
    fetching.cancel()
    release.set()
