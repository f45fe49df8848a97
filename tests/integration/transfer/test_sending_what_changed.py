"""A large file that changed: what S3 has of it is copied there, the rest is sent, and all of it is right."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from integration.transfer.conftest import World, sha256
from satchel.core.errors import JournalError
from satchel.core.model import TransferState, UploadRequest
from satchel.transfer import Uploader

MIB = 1024 * 1024
Until = Callable[..., None]


@dataclass
class Watched:
    """A watched folder's file of 40 MiB that was sent once."""

    world: World
    uploader: Uploader
    path: Path
    node_id: str
    revision_id: str

    def request(self) -> UploadRequest:
        return self.world.request(
            self.path, origin="root", node_id=self.node_id, base_revision=self.revision_id, parent_id="p"
        )

    def rewrite(self, content: bytes) -> None:
        self.path.write_bytes(content)
        self.world.s3.wire.clear()
        self.world.s3.received = 0

    def send(self, seconds: float = 30) -> None:
        node = self.uploader.submit(self.request()).done.result(seconds)
        assert node.revision is not None
        self.revision_id = node.revision.revision_id

    def arrived(self) -> bool:
        return self.world.has(self.world.service.latest[self.node_id], self.path)


@pytest.fixture
def watched(world: World) -> Watched:
    uploader = world.start()
    path = world.file("disk.img", 40 * MIB)
    node = uploader.submit(world.request(path, origin="root", parent_id="p")).done.result(30)
    assert node.revision is not None
    return Watched(world, uploader, path, node.node_id, node.revision.revision_id)


def changed_in_the_middle(content: bytes) -> bytes:
    return content[: 20 * MIB] + random.Random(1).randbytes(MIB) + content[21 * MIB :]


@pytest.mark.parametrize(
    ("change", "at_most"),
    [
        (changed_in_the_middle, 6 * MIB),
        (lambda content: b"x" + content, 6 * MIB),
        (lambda content: content + b"x" * 1000, MIB),
        (lambda content: content[: 30 * MIB], MIB),
        (lambda content: content[20 * MIB :] + content[: 20 * MIB], 11 * MIB),
    ],
    ids=["overwritten", "inserted", "appended", "cut", "reordered"],
)
def test_only_what_changed_is_sent(watched: Watched, change: Any, at_most: int) -> None:
    watched.rewrite(change(watched.path.read_bytes()))
    watched.send()
    assert watched.arrived()
    assert watched.world.s3.received <= at_most
    assert not watched.world.orphans()


def test_the_next_change_is_compared_with_the_last_one(watched: Watched) -> None:
    for number in range(3):
        content = bytearray(watched.path.read_bytes())
        content[number * 12 * MIB + 100] ^= 1
        watched.rewrite(bytes(content))
        watched.send()
        assert watched.arrived()
        assert watched.world.s3.received <= 6 * MIB


def test_a_file_that_is_another_one_altogether_is_sent_like_any(watched: Watched) -> None:
    watched.rewrite(random.Random(9).randbytes(24 * MIB))
    watched.send()
    assert watched.arrived()
    assert watched.world.service.intents[-1].part_sizes is None
    assert watched.world.s3.received == 24 * MIB


def test_what_was_never_seen_before_is_sent_like_any(watched: Watched) -> None:
    watched.world.store.revisions.clear()
    watched.rewrite(changed_in_the_middle(watched.path.read_bytes()))
    watched.send()
    assert watched.arrived()
    assert watched.world.s3.received == 40 * MIB


def test_an_older_service_that_knows_no_copies_gets_all_of_it(watched: Watched) -> None:
    watched.world.service.copies = False
    watched.rewrite(changed_in_the_middle(watched.path.read_bytes()))
    watched.send()
    assert watched.arrived()
    assert watched.world.s3.received == 40 * MIB


@pytest.mark.parametrize(
    ("fault", "times"), [("404", 1), ("400", 1), ("403", 3), ("late-error", 3), ("other-bytes", 1)]
)
def test_a_part_that_cannot_be_copied_is_sent(watched: Watched, fault: str, times: int) -> None:
    watched.rewrite(changed_in_the_middle(watched.path.read_bytes()))
    watched.world.s3.fail(fault, times=times, part=1)
    watched.send()
    assert watched.arrived()
    assert (watched.world.service.intents[-1].upload_id, 1) in watched.world.s3.wire
    assert watched.world.s3.copied


@pytest.mark.parametrize("fault", ["late-error", "503", "reset"])
def test_a_copy_that_fails_once_is_asked_for_again(watched: Watched, fault: str) -> None:
    watched.rewrite(changed_in_the_middle(watched.path.read_bytes()))
    watched.world.s3.fail(fault, times=1, part=1)
    watched.send()
    assert watched.arrived()
    assert watched.world.s3.received <= 6 * MIB


def test_a_storage_that_tells_no_digest_of_copies_is_believed(watched: Watched) -> None:
    watched.world.s3.tells_copies_checksum = False
    watched.rewrite(changed_in_the_middle(watched.path.read_bytes()))
    watched.send()
    assert watched.arrived()
    assert watched.world.s3.received <= 6 * MIB


def test_after_a_crash_it_goes_on_with_the_parts_that_are_there(watched: Watched, until: Until) -> None:
    world = watched.world
    watched.rewrite(changed_in_the_middle(watched.path.read_bytes()))
    world.s3.fail("stall", times=1, part=2)  # the changed part
    request = watched.request()
    watched.uploader.submit(request)
    until(lambda: len(world.s3.copied) == 2, 30)
    watched.uploader.close()
    world.s3.release.set()
    watched.uploader = world.start()
    watched.uploader.submit(request).done.result(30)
    assert watched.arrived()
    assert len(world.s3.copied) == 2, "copied parts are not copied again"
    assert world.s3.received <= 6 * MIB


def test_after_a_crash_that_took_the_signature_the_open_upload_is_finished(watched: Watched, until: Until) -> None:
    world = watched.world
    watched.rewrite(changed_in_the_middle(watched.path.read_bytes()))
    world.s3.fail("stall", times=1, part=2)
    request = watched.request()
    watched.uploader.submit(request)
    until(lambda: len(world.s3.copied) == 2, 30)
    watched.uploader.close()
    world.s3.release.set()
    world.store.revisions.clear()
    watched.uploader = world.start()
    watched.uploader.submit(request).done.result(30)
    assert watched.arrived()
    assert not world.orphans()


def test_a_file_that_changes_while_it_is_compared_waits_until_it_is_quiet(watched: Watched) -> None:
    watched.rewrite(changed_in_the_middle(watched.path.read_bytes()))
    ticket = watched.uploader.submit(watched.request())
    watched.path.write_bytes(b"short")
    assert ticket.done.exception(30) is not None, "a watched folder submits it again by itself"
    watched.send()
    assert watched.arrived()


def test_progress_counts_copied_bytes_once_they_are_copied(watched: Watched, until: Until) -> None:
    world = watched.world
    watched.rewrite(changed_in_the_middle(watched.path.read_bytes()))
    world.s3.fail("stall", times=1, part=2)
    ticket = watched.uploader.submit(watched.request())
    until(lambda: len(world.s3.copied) == 2, 30)

    def told() -> int:
        one = next(one for one in watched.uploader.progress() if one.upload_id == ticket.upload_id)
        assert one.state is TransferState.SENDING
        return one.sent

    until(lambda: 34 * MIB <= told() < 40 * MIB)
    world.s3.release.set()
    ticket.done.result(30)


def test_a_large_file_that_is_there_already_sends_nothing(watched: Watched) -> None:
    world = watched.world
    twin = watched.path.with_name("twin.img")
    twin.write_bytes(watched.path.read_bytes())
    world.service.held_sha.add(sha256(twin))
    world.s3.received = 0
    watched.uploader.submit(world.request(twin)).done.result(30)
    assert world.s3.received == 0


def test_a_known_file_that_becomes_another_one_that_is_there_sends_nothing(watched: Watched) -> None:
    world = watched.world
    other = world.file("other.img", 40 * MIB, seed=3)
    watched.uploader.submit(world.request(other, origin="root", parent_id="p")).done.result(30)
    world.service.held_sha.add(sha256(other))
    watched.rewrite(other.read_bytes())
    watched.send()
    assert world.s3.received == 0
    assert not world.s3.copied


def test_what_it_was_before_sends_nothing_and_the_next_change_is_compared_with_it(watched: Watched) -> None:
    world, first = watched.world, watched.path.read_bytes()
    world.service.held_sha.add(sha256(watched.path))
    watched.rewrite(first + b"longer")
    watched.send()
    watched.rewrite(first)
    watched.send()
    assert world.s3.received == 0
    world.s3.objects[world.service.latest[watched.node_id]] = first  # where the service finds it by its digest
    watched.rewrite(changed_in_the_middle(first))
    watched.send()
    assert watched.arrived()
    assert world.s3.received <= 6 * MIB


def test_a_journal_that_cannot_remember_a_revision_does_not_hold_the_upload(watched: Watched) -> None:
    def refuse(*_: Any) -> None:
        raise JournalError("The journal cannot be used", "The disk is full.")

    watched.world.store.remember = refuse  # type: ignore[method-assign] # as on a full disk
    watched.rewrite(changed_in_the_middle(watched.path.read_bytes()))
    watched.send(seconds=10)
    assert watched.arrived()


def test_a_large_file_that_only_begins_like_a_known_one_is_sent(watched: Watched) -> None:
    world = watched.world
    other = watched.path.with_name("other.img")
    other.write_bytes(changed_in_the_middle(watched.path.read_bytes()))
    request = world.request(other)
    watched.uploader.submit(request).done.result(30)
    assert world.has(request.upload_id, other)
