from __future__ import annotations

import hashlib
import itertools
import os
import sys
import threading
import time
from typing import Any

import pytest

from integration.transfer.conftest import World
from integration.transfer.fake_s3 import PART, problem
from satchel.core.errors import (
    CancelledError,
    DigestError,
    FileChangedError,
    JournalError,
    LocalFileError,
    RefusedError,
    SatchelError,
)
from satchel.core.model import Node, TransferState
from satchel.core.ports import SystemClock
from satchel.transfer import Uploader
from satchel.transfer.backoff import Backoff
from satchel.transfer.local import LocalFile, stamp_of

MIB = 1024 * 1024
LARGE = 4 * PART + 12345


@pytest.mark.parametrize("size", [0, 1, 300_000, 3 * MIB, 16 * MIB - 1, 16 * MIB, LARGE])
def test_a_file_of_any_size_arrives_whole(world: World, size: int) -> None:
    path = world.file("a file.bin", size)
    ticket = world.start().submit(world.request(path))
    node = ticket.done.result(15)
    assert world.has(ticket.upload_id, path)
    assert node.revision is not None
    assert node.revision.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_link_exists_before_a_large_file_has_left(world: World) -> None:
    world.s3.fail("stall", times=6)
    ticket = world.start().submit(world.request(world.file("big", LARGE), link_token="t" * 22))
    opened = ticket.opened.result(5)
    assert opened.link is not None
    assert opened.link.path == "/s/" + "t" * 22
    assert not ticket.done.done()


def test_many_small_files_are_opened_and_completed_in_batches(world: World) -> None:
    requests = [world.request(world.file(f"f{n}", 2000 + n)) for n in range(150)]
    tickets = world.start().submit_all(requests)
    for ticket in tickets:
        ticket.done.result(15)
    assert len(world.s3.objects) == 150
    assert world.service.count("open") < 20
    assert world.service.count("complete") < 100
    assert world.s3.connections < 150 / 2, "connections are kept"


def test_content_that_the_service_holds_is_not_sent(world: World) -> None:
    path = world.file("known", 1000)
    world.service.held_sha.add(hashlib.sha256(path.read_bytes()).hexdigest())
    world.start().submit(world.request(path)).done.result(5)
    assert world.s3.wire == []


@pytest.mark.parametrize(
    ("fault", "size"),
    [
        *itertools.product(["flip", "reset", "500", "503", "403"], [1000, LARGE]),
        ("early-403", LARGE),  # a small body is always taken whole
    ],
)
def test_a_fault_on_the_way_is_overcome(world: World, fault: str, size: int) -> None:
    path = world.file("f", size)
    world.s3.fail(fault, times=2)
    ticket = world.start().submit(world.request(path))
    ticket.done.result(15)
    assert world.has(ticket.upload_id, path)


@pytest.mark.parametrize("size", [1000, LARGE])
def test_bytes_that_keep_arriving_damaged_end_in_an_error(world: World, size: int) -> None:
    world.s3.fail("flip", times=1000)
    ticket = world.start().submit(world.request(world.file("f", size)))
    with pytest.raises(DigestError):
        ticket.done.result(15)


@pytest.mark.parametrize("size", [1000, LARGE])
@pytest.mark.parametrize("fault", ["403", "503"])
def test_a_refusal_that_does_not_end_is_not_repeated_for_ever(world: World, size: int, fault: str) -> None:
    world.s3.fail(fault, times=1000)
    ticket = world.start().submit(world.request(world.file("f", size)))
    with pytest.raises(SatchelError, match="storage"):
        ticket.done.result(20)


def test_a_put_that_arrived_though_its_answer_was_lost_is_completed(world: World) -> None:
    path = world.file("f", 1000)
    world.s3.fail("arrived-but-reset")
    ticket = world.start().submit(world.request(path))
    ticket.done.result(5)
    assert world.has(ticket.upload_id, path)


def test_a_wrong_clock_is_told_with_its_offset(world: World) -> None:
    world.s3.fail("skew", times=100)
    ticket = world.start().submit(world.request(world.file("f", 1000)))
    with pytest.raises(SatchelError, match="30 minutes ahead"):
        ticket.done.result(5)


@pytest.mark.parametrize("fault", ["lost"])
def test_a_lost_multipart_upload_begins_anew_for_the_same_node(world: World, fault: str) -> None:
    path = world.file("big", LARGE)
    world.s3.fail(fault, part=2)
    request = world.request(path, link_token="t" * 22)
    ticket = world.start().submit(request)
    node = ticket.done.result(15)
    assert node.node_id == request.node_id
    (last,) = world.s3.objects
    assert last != request.upload_id
    assert world.has(last, path)
    assert request.upload_id in world.service.aborted


def test_an_outage_is_waited_out_and_said(world: World, until: Any) -> None:
    path = world.file("f", 1000)
    world.s3.down()
    uploader = world.start()
    ticket = uploader.submit(world.request(path))
    until(lambda: "Could not connect" in uploader.progress()[0].message)
    assert uploader.progress()[0].state is TransferState.SENDING
    world.s3.up()
    ticket.done.result(10)


def test_a_service_that_is_away_is_waited_for(world: World, until: Any) -> None:
    world.service.offline = True
    uploader = world.start()
    ticket = uploader.submit(world.request(world.file("f", 1000)))
    until(lambda: "Could not connect" in uploader.progress()[0].message)
    world.service.offline = False
    ticket.done.result(10)


def test_a_stalled_server_is_given_up_and_tried_again(world: World) -> None:
    path = world.file("big", LARGE)
    world.s3.fail("stall", part=2)
    ticket = world.start().submit(world.request(path))
    ticket.done.result(15)
    assert world.has(ticket.upload_id, path)


def test_a_pending_completion_is_polled(world: World) -> None:
    world.service.pending = 2
    world.start().submit(world.request(world.file("f", 10))).done.result(10)
    assert world.service.count("complete") == 3


def test_a_conflict_carries_the_node_that_is_there_and_can_be_completed_on_it(world: World) -> None:
    there = Node("2" * 32, "root", "f", "file", 7)
    world.service.complete_problems.append(problem("revision-conflict", current=there))
    uploader = world.start()
    ticket = uploader.submit(world.request(world.file("f", 10), origin="root", base_revision="3" * 32))
    with pytest.raises(RefusedError) as refused:
        ticket.done.result(5)
    assert refused.value.current == there
    again = uploader.complete_with_base(ticket.upload_id, "4" * 32)
    again.done.result(5)
    assert len(world.s3.wire) == 1, "the bytes were there already"


@pytest.mark.parametrize("kind", ["quota-exceeded", "name-invalid", "name-taken"])
def test_a_refusal_stops_only_its_own_file_and_keeps_the_services_words(world: World, kind: str) -> None:
    world.service.problems["bad"] = kind
    uploader = world.start()
    bad, good = uploader.submit_all([world.request(world.file("bad", 10)), world.request(world.file("good", 10))])
    with pytest.raises(RefusedError, match=f"Words about {kind}") as refused:
        bad.done.result(5)
    assert refused.value.kind == kind
    good.done.result(5)


def test_a_completion_that_misses_parts_sends_them(world: World) -> None:
    path = world.file("big", LARGE)
    world.service.complete_problems.append(problem("incomplete", (2,)))
    ticket = world.start().submit(world.request(path))
    ticket.done.result(15)
    assert world.has(ticket.upload_id, path)


def test_files_that_cannot_be_read_fail_alone(world: World) -> None:
    os.mkfifo(world.folder / "pipe")
    (world.folder / "folder").mkdir()
    good = world.file("good", 10)
    names = ["missing", "pipe", "folder"]
    uploader = world.start()
    *bad, fine = uploader.submit_all([world.request(world.folder / name) for name in names] + [world.request(good)])
    for ticket, name in zip(bad, names, strict=True):
        with pytest.raises(LocalFileError, match=name):
            ticket.done.result(5)
    fine.done.result(5)


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_link_in_a_watched_folder_is_not_followed_even_when_it_came_between_look_and_open(world: World) -> None:
    private = world.file("private", 20)
    link = world.folder / "watched"
    link.symlink_to(private)
    uploader = world.start()

    with pytest.raises(LocalFileError, match="a link"):
        uploader.submit(world.request(link, origin="root")).done.result(5)
    with pytest.raises(LocalFileError, match="not a file"), LocalFile(str(link), stamp_of(str(private)), links=False):
        pass
    uploader.submit(world.request(link, origin="drop")).done.result(5)


def test_what_breaks_again_and_again_pauses_though_all_else_gets_through(world: World) -> None:
    world.s3.fail("reset", times=1000, part=2)
    uploader = world.start(connections=2, backoff=Backoff(first=1.0, longest=30.0))
    uploader.submit(world.request(world.file("big", LARGE)))

    for number in range(40):
        uploader.submit(world.request(world.file(f"{number}", 10)))
        time.sleep(0.08)

    assert 1000 - world.s3.faults[0].times <= 14, "a kept connection that breaks is tried twice"


def test_a_full_disk_is_said_and_ends_no_thread(world: World, until: Any) -> None:
    uploader = world.start(connections=2)
    world.service.offline = True
    tickets = [uploader.submit(world.request(world.file(f"{n}", size))) for n, size in enumerate((10, LARGE, 20))]
    world.store.full = True
    world.service.offline = False
    for ticket in tickets:
        with pytest.raises(JournalError):
            ticket.done.result(10)

    world.store.full = False

    for number, ticket in enumerate(tickets):
        again = uploader.retry(ticket.upload_id)
        again.done.result(10)
        assert (world.folder / f"{number}").read_bytes() in world.s3.objects.values()


def test_a_disk_that_is_full_at_the_very_end_is_said(world: World) -> None:
    uploader = world.start()
    add = world.store.add

    def full_at_the_end(uploads: Any) -> None:
        world.store.full = any(one.state is TransferState.DONE for one in uploads)
        add(uploads)

    world.store.add = full_at_the_end  # type: ignore[method-assign] # as on a disk that is just full
    ticket = uploader.submit(world.request(world.file("f", 10)))
    with pytest.raises(JournalError):
        ticket.done.result(10)


def test_a_name_that_cannot_travel_fails_alone(world: World) -> None:
    path = world.file("f", 10)
    ticket = world.start().submit(world.request(path, name="\udcff"))
    with pytest.raises(LocalFileError):
        ticket.done.result(5)


def test_a_file_deleted_while_it_is_sent_fails_and_its_page_says_so(world: World, until: Any) -> None:
    path = world.file("big", LARGE)
    world.s3.fail("stall", times=5)
    ticket = world.start().submit(world.request(path))
    assert world.s3.reached.wait(5)
    path.unlink()
    world.s3.release.set()
    with pytest.raises(LocalFileError, match="gone"):
        ticket.done.result(10)
    until(lambda: world.service.aborted == [ticket.upload_id])


@pytest.mark.parametrize("new_size", [LARGE + 5000, PART])
def test_a_dropped_file_that_changes_is_sent_whole_when_it_is_quiet(world: World, new_size: int) -> None:
    path = world.file("big", LARGE)
    world.s3.fail("stall", times=5)
    request = world.request(path, link_token="t" * 22)
    ticket = world.start().submit(request)
    assert world.s3.reached.wait(5)
    changed_at = time.monotonic()
    world.file("big", new_size, seed=1)
    world.s3.release.set()
    node = ticket.done.result(15)
    assert time.monotonic() - changed_at > 1.9
    assert node.node_id == request.node_id
    assert list(world.s3.objects.values()) == [path.read_bytes()]


def test_a_watched_file_that_changes_fails_for_its_folder_to_decide(world: World) -> None:
    path = world.file("big", LARGE)
    world.s3.fail("stall", times=5)
    ticket = world.start().submit(world.request(path, origin="root"))
    assert world.s3.reached.wait(5)
    with path.open("ab") as file:
        file.write(b"more")
    world.s3.release.set()
    with pytest.raises(FileChangedError):
        ticket.done.result(10)


@pytest.mark.parametrize("what", ["pause", "cancel", "close"])
def test_the_wire_stops_at_once(world: World, what: str, until: Any) -> None:
    world.s3.fail("stall", times=6)
    uploader = world.start(send_timeout=60, reply_timeout=60)
    ticket = uploader.submit(world.request(world.file("big", LARGE)))
    assert world.s3.reached.wait(5)
    began = time.monotonic()
    {"pause": uploader.pause, "cancel": lambda: uploader.cancel(ticket.upload_id), "close": uploader.close}[what]()
    until(lambda: all(sender.wire._active is None for sender in uploader._senders), 2)
    assert time.monotonic() - began < 1
    if what == "cancel":
        with pytest.raises(CancelledError):
            ticket.done.result(1)
        until(lambda: ticket.upload_id in world.service.aborted)


@pytest.mark.parametrize("one", [True, False])
def test_a_paused_upload_goes_on_and_sends_no_part_twice(world: World, one: bool, until: Any) -> None:
    path = world.file("big", 8 * PART)
    world.s3.fail("stall", part=7)
    world.s3.delay = 0.05
    uploader = world.start(connections=2)
    ticket = uploader.submit(world.request(path))
    until(lambda: len(world.store.parts(ticket.upload_id)) >= 3)
    uploader.pause(ticket.upload_id if one else None)
    until(lambda: uploader.progress()[0].state is TransferState.PAUSED)
    time.sleep(0.3)
    held = len(world.s3.wire)
    time.sleep(0.3)
    assert len(world.s3.wire) == held
    uploader.resume(ticket.upload_id if one else None)
    world.s3.release.set()
    ticket.done.result(15)
    assert world.has(ticket.upload_id, path)
    assert len(world.s3.wire) == len(set(world.s3.wire)) == 8


def test_an_upload_paused_by_itself_stays_so_when_all_go_on(world: World) -> None:
    world.s3.fail("stall")
    uploader = world.start(connections=1)
    ticket = uploader.submit(world.request(world.file("big", LARGE)))
    assert world.s3.reached.wait(5)
    uploader.pause(ticket.upload_id)
    uploader.pause()
    other = uploader.submit(world.request(world.file("other", 10)))
    world.s3.release.set()
    assert world.s3.objects == {}
    uploader.resume()
    other.done.result(5)
    assert uploader.progress()[0].state is TransferState.PAUSED


@pytest.mark.parametrize("size", [300_000, LARGE])
@pytest.mark.parametrize("origin", ["drop", "root"])
def test_other_bytes_are_noticed_though_size_and_time_are_as_they_were(world: World, size: int, origin: str) -> None:
    path = world.file("f", size)
    stamp = path.stat()
    world.s3.fail("stall", times=5)
    uploader = world.start(connections=1)
    request = world.request(path, origin=origin)
    ticket = uploader.submit(request)
    assert world.s3.reached.wait(5)
    world.file("f", size, seed=1)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    world.s3.faults.clear()
    world.s3.release.set()
    if origin == "root":
        with pytest.raises(FileChangedError):
            ticket.done.result(15)
        ticket = uploader.submit(world.request(path, origin=origin, node_id=request.node_id))
    node = ticket.done.result(15)
    assert node.revision is not None
    assert node.revision.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert world.contents() == {path.read_bytes(): 1}


def test_a_failed_upload_can_be_retried(world: World) -> None:
    path = world.file("f", 1000)
    world.service.problems["f"] = "quota-exceeded"
    uploader = world.start()
    ticket = uploader.submit(world.request(path))
    with pytest.raises(RefusedError):
        ticket.done.result(5)
    world.service.problems.clear()
    again = uploader.retry(ticket.upload_id)
    again.done.result(5)
    assert world.has(ticket.upload_id, path)


def test_what_was_dropped_goes_before_what_a_folder_has(world: World) -> None:
    world.s3.delay = 0.02
    uploader = world.start(connections=1)
    slow = uploader.submit_all([world.request(world.file(f"r{n}", 100), origin="root") for n in range(60)])
    drop = uploader.submit(world.request(world.file("drop", 100)))
    drop.done.result(10)
    assert sum(ticket.done.done() for ticket in slow) < 60


def test_what_promises_a_link_goes_before_all_that_is_left_of_a_dropped_folder(world: World) -> None:
    world.s3.delay = 0.02
    uploader = world.start(connections=1)
    folder = [world.request(world.file(f"d{n}", 100), link_token=None, group="folder") for n in range(60)]
    slow = uploader.submit_all(folder)
    drop = uploader.submit(world.request(world.file("drop", 100), link_token="t" * 22))
    drop.done.result(10)
    assert sum(ticket.done.done() for ticket in slow) < 60


@pytest.mark.parametrize(
    ("size", "stored"),
    [
        (10, ["waiting", "finishing", "done"]),
        (2 * MIB, ["waiting", "hashing", "finishing", "done"]),
        (LARGE, ["waiting", "sending", "finishing", "done"]),
    ],
)
def test_every_state_that_a_crash_must_find_is_stored_in_order(world: World, size: int, stored: list[str]) -> None:
    ticket = world.start().submit(world.request(world.file("f", size)))
    ticket.done.result(10)
    states = [state.value for upload_id, state in world.store.history if upload_id == ticket.upload_id]
    assert states == stored


def test_five_hundred_small_files_take_few_requests(world: World) -> None:
    uploader = world.start()
    tickets = uploader.submit_all([world.request(world.file(f"f{number}", 100)) for number in range(500)])
    for ticket in tickets:
        ticket.done.result(20)
    assert world.service.count("open") + world.service.count("complete") <= 50


def test_progress_tells_bytes_and_rate(world: World, until: Any) -> None:
    world.s3.delay = 0.3
    uploader = world.start(connections=1)
    ticket = uploader.submit(world.request(world.file("big", LARGE)))
    seen = []

    def look() -> bool:
        seen.append(uploader.progress()[0])
        return ticket.done.done()

    until(look)
    sent = [one.sent for one in seen if one.state is TransferState.SENDING]
    assert any(0 < amount < LARGE for amount in sent)
    assert any(one.rate > 0 for one in seen)
    assert uploader.progress()[0].sent == LARGE
    assert world.changes > 0


class SkippingClock(SystemClock):
    """A clock on which pauses take no time."""

    def __init__(self) -> None:
        self._skipped = 0.0
        self._lock = threading.Lock()

    def monotonic(self) -> float:
        return time.monotonic() + self._skipped

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self._skipped += seconds
        time.sleep(0)


def test_large_files_keep_to_the_limit_whatever_the_connections(world: World) -> None:
    clock = SkippingClock()
    uploader = Uploader(world.service, world.store, clock=clock, ids=world.ids, connections=1, limit=LARGE // 10)
    world.uploaders.append(uploader)
    began = clock.monotonic()
    uploader.submit(world.request(path := world.file("big", LARGE))).done.result(30)
    assert world.s3.objects
    assert path.read_bytes() in world.s3.objects.values()
    assert 9.5 < clock.monotonic() - began < 30


def test_small_files_keep_to_the_limit_too(world: World) -> None:
    uploader = world.start(limit=1_000_000)
    began = time.monotonic()
    tickets = uploader.submit_all([world.request(world.file(f"f{number}", 50_000)) for number in range(20)])
    for ticket in tickets:
        ticket.done.result(20)
    assert time.monotonic() - began > 0.8


def test_a_limit_may_be_lifted_while_it_holds(world: World) -> None:
    uploader = world.start(limit=4096)
    ticket = uploader.submit(world.request(world.file("big", LARGE)))
    time.sleep(0.2)
    uploader.limit.rate = 0
    ticket.done.result(20)


def test_a_defect_on_the_way_ends_those_it_met_and_no_others(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    uploader = world.start()
    uploader.submit(world.request(world.file("a", 100))).done.result(10)
    with monkeypatch.context() as broken:
        broken.setattr("satchel.transfer.small.head", lambda *_: 1 / 0)
        with pytest.raises(SatchelError, match="bug"):
            uploader.submit(world.request(world.file("b", 100))).done.result(10)
    uploader.submit(world.request(world.file("c", 100))).done.result(10)
