from __future__ import annotations

import os
import threading
import tracemalloc
from dataclasses import replace
from typing import Any

import pytest

from integration.transfer.conftest import World, sha256
from integration.transfer.fake_s3 import PART, MemoryStore, crc64nvme
from satchel.core.errors import JournalError, SatchelError
from satchel.core.model import CompleteItem, TransferState

LARGE = 8 * PART


def crash(world: World, until: Any, **request: Any) -> Any:
    """An uploader that died with some parts at S3 and some not."""
    path = world.file("big", LARGE)
    world.s3.fail("stall", times=4, part=6)
    uploader = world.start(connections=2)
    ticket = uploader.submit(world.request(path, **request))
    until(lambda: len(world.store.parts(ticket.upload_id)) >= 4)
    uploader.close()
    world.s3.faults.clear()
    world.s3.release.set()
    until(lambda: world.s3.taking == 0)
    assert not ticket.done.done() or ticket.done.cancelled()
    return path, ticket


def test_a_dropped_file_goes_on_and_no_part_is_sent_twice(world: World, until: Any) -> None:
    path, ticket = crash(world, until)
    (again,) = world.start().resume_stored()
    again.done.result(15)
    assert again.upload_id == ticket.upload_id
    assert world.has(ticket.upload_id, path)
    assert sorted(world.s3.wire) == sorted(set(world.s3.wire)), "no part twice"
    assert len(world.s3.wire) == 8


@pytest.mark.parametrize("lists_crc", [True, False])
def test_parts_whose_answer_was_lost_are_found_at_s3(world: World, until: Any, lists_crc: bool) -> None:
    path, ticket = crash(world, until)
    world.store.part_rows.clear()
    world.service.lists_crc = lists_crc
    (again,) = world.start().resume_stored()
    again.done.result(15)
    assert world.has(ticket.upload_id, path)
    assert len(world.s3.wire) == 8


@pytest.mark.parametrize("journal", ["knows nothing", "knows the old part", "was told that the new one arrived"])
def test_parts_of_two_states_of_a_file_are_never_put_together(world: World, until: Any, journal: str) -> None:
    path, ticket = crash(world, until)
    stamp = path.stat()
    world.file("big", LARGE, seed=1)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    if journal == "knows nothing":
        world.store.part_rows.clear()
    elif journal == "was told that the new one arrived":
        # By a page of something in between, which had an ETag.
        content = path.read_bytes()
        for part in world.store.part_rows[ticket.upload_id]:
            crc = crc64nvme(content[(part - 1) * PART : part * PART])
            world.store.part_rows[ticket.upload_id][part] = crc
    (again,) = world.start().resume_stored()
    again.done.result(15)
    assert world.contents() == {path.read_bytes(): 1}
    assert world.service.aborted == [ticket.upload_id]


def test_a_watched_file_is_adopted_when_its_folder_asks_again(world: World, until: Any) -> None:
    path, ticket = crash(world, until, origin="root")
    uploader = world.start()
    assert uploader.resume_stored() == []
    again = uploader.submit(world.request(path, origin="root"))
    again.done.result(15)
    assert again.upload_id == ticket.upload_id
    assert len(world.s3.wire) == 8


def test_a_file_that_changed_meanwhile_begins_anew(world: World, until: Any) -> None:
    path, ticket = crash(world, until)
    world.file("big", LARGE, seed=1)
    os.utime(path, ns=(1, 1))
    (again,) = world.start().resume_stored()
    again.done.result(15)
    assert list(world.s3.objects.values()) == [path.read_bytes()]
    assert ticket.upload_id in world.service.aborted
    assert ticket.upload_id not in world.store.rows


def test_uploads_lost_by_s3_meanwhile_begin_anew(world: World, until: Any) -> None:
    path, _ = crash(world, until)
    world.s3.parts.clear()
    (again,) = world.start().resume_stored()
    again.done.result(15)
    assert list(world.s3.objects.values()) == [path.read_bytes()]


def test_an_upload_that_only_lacked_its_completion_is_completed(world: World, until: Any) -> None:
    path = world.file("f", 1000)
    world.service.pending = 1000
    uploader = world.start()
    ticket = uploader.submit(world.request(path))
    until(
        lambda: world.store.rows[ticket.upload_id].state is TransferState.FINISHING and world.service.count("complete")
    )
    uploader.close()
    world.service.pending = 0
    (again,) = world.start().resume_stored()
    again.done.result(5)
    assert len(world.s3.wire) == 1


def test_memory_stays_small_however_large_the_file(world: World) -> None:
    path = world.folder / "sparse"
    with path.open("wb") as file:
        file.truncate(300 * 1024 * 1024)
    world.s3.keep_bytes = False
    uploader = world.start()
    tracemalloc.start()
    try:
        uploader.submit(world.request(path)).done.result(60)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 64 * 1024 * 1024


def test_parts_that_were_put_together_already_are_only_completed(world: World, until: Any) -> None:
    path, ticket = crash(world, until)
    world.s3.objects[ticket.upload_id] = path.read_bytes()
    world.s3.parts.clear()
    held = len(world.s3.wire)
    (again,) = world.start().resume_stored()
    node = again.done.result(15)
    assert node.revision is not None
    assert node.revision.sha256 == sha256(path)
    assert len(world.s3.wire) == held


def test_a_changed_file_whose_old_upload_was_finished_meanwhile_becomes_its_next_revision(
    world: World, until: Any
) -> None:
    path, ticket = crash(world, until)
    first = world.service.uploads[ticket.upload_id]
    world.s3.objects[ticket.upload_id] = b""
    world.service.complete_uploads([CompleteItem(ticket.upload_id)])
    world.file("big", LARGE, seed=1)
    os.utime(path, ns=(1, 1))
    (again,) = world.start().resume_stored()
    node = again.done.result(15)
    assert node.node_id == first.intent.node_id
    assert world.service.intents[-1].base_revision == ticket.upload_id


def test_the_service_hears_in_the_next_run_of_what_was_cancelled_before_a_crash(world: World, until: Any) -> None:
    _, ticket = crash(world, until)
    world.service.offline = True
    uploader = world.start()
    uploader.cancel(ticket.upload_id)
    uploader.close()
    assert ticket.upload_id not in world.service.aborted
    world.service.offline = False

    world.start()

    until(lambda: ticket.upload_id in world.service.aborted)
    until(lambda: ticket.upload_id not in world.store.rows)


def test_what_a_crash_left_of_a_file_that_nobody_asks_for_is_given_up(world: World, until: Any) -> None:
    path, ticket = crash(world, until, origin="root", group="root-1")
    path.unlink()
    uploader = world.start()
    uploader.give_up_left("root-2")
    assert ticket.upload_id in world.store.rows

    uploader.give_up_left("root-1")

    until(lambda: ticket.upload_id in world.service.aborted)
    until(lambda: ticket.upload_id not in world.store.rows)


def test_an_upload_begun_anew_before_a_crash_gives_up_its_old_self_first(world: World, until: Any) -> None:
    _, ticket = crash(world, until)
    old = world.store.rows[ticket.upload_id]
    anew = replace(old, request=replace(old.request, upload_id=world.ids.new_id()), part_size=0)
    world.store.add([replace(old, state=TransferState.CANCELLED), anew])

    (again,) = world.start().resume_stored()

    again.done.result(15)
    assert world.service.aborted == [ticket.upload_id]
    assert ticket.upload_id not in world.store.rows


def test_all_that_was_given_up_before_a_crash_is_told_however_often_the_file_had_changed(
    world: World, until: Any
) -> None:
    _, ticket = crash(world, until)
    old = world.store.rows[ticket.upload_id]
    given_up = [old.request, *(replace(old.request, upload_id=world.ids.new_id()) for _ in range(2))]
    anew = replace(old, request=replace(old.request, upload_id=world.ids.new_id()), part_size=0)
    world.store.add([*(replace(old, request=one, state=TransferState.CANCELLED) for one in given_up), anew])

    (again,) = world.start().resume_stored()

    again.done.result(15)
    assert sorted(world.service.aborted) == sorted(one.upload_id for one in given_up)
    assert set(world.store.rows) == {anew.request.upload_id}


def test_parts_are_not_sent_again_though_a_power_cut_took_their_commits(world: World, until: Any) -> None:
    path, ticket = crash(world, until)
    begun = next(state for upload_id, state in world.store.history if upload_id == ticket.upload_id)
    world.store.rows[ticket.upload_id] = replace(world.store.rows[ticket.upload_id], state=begun, part_size=0)
    world.store.part_rows.clear()

    (again,) = world.start().resume_stored()

    again.done.result(15)
    assert begun is TransferState.WAITING
    assert world.has(ticket.upload_id, path)
    assert len(world.s3.wire) == 8


def test_a_file_of_some_megabytes_that_arrived_is_not_sent_again(world: World, until: Any) -> None:
    first, second = world.file("first", 10), world.file("second", 3_000_000)
    asked, held, complete = threading.Event(), threading.Event(), world.service.complete_uploads

    def busy_with_others(items: Any) -> Any:
        asked.set()
        held.wait(20)
        return complete(items)

    world.service.complete_uploads = busy_with_others  # type: ignore[method-assign]
    uploader = world.start()
    uploader.submit(world.request(first))
    assert asked.wait(10)
    ticket = uploader.submit(world.request(second))
    until(lambda: world.store.rows[ticket.upload_id].state is TransferState.FINISHING)
    uploader.close()
    held.set()
    for again in world.start().resume_stored():
        again.done.result(15)
    assert world.has(ticket.upload_id, second)
    assert world.s3.wire.count((ticket.upload_id, 0)) == 1


def test_a_crash_when_a_file_is_done_leaves_what_its_next_change_is_compared_with(world: World) -> None:
    class Crashing(MemoryStore):
        def add(self, uploads: Any) -> None:
            if any(one.state is TransferState.DONE for one in uploads):
                raise JournalError("Killed", "Just here.")
            super().add(uploads)

    world.store = Crashing()
    request = world.request(world.file("disk.img", LARGE), origin="root")
    with pytest.raises(SatchelError):
        world.start().submit(request).done.result(30)
    node = world.service.nodes[request.node_id]
    assert node.revision is not None
    assert world.store.signature(node.node_id, node.revision.revision_id)


def test_two_crashes_in_a_row_lose_nothing_and_send_nothing_twice(world: World, until: Any) -> None:
    path, ticket = crash(world, until)
    for _ in range(2):
        world.service.offline = True
        uploader = world.start()
        uploader.resume_stored()
        uploader.close()
    world.service.offline = False
    (again,) = world.start().resume_stored()
    again.done.result(15)
    assert world.has(ticket.upload_id, path)
    assert len(world.s3.wire) == 8


def test_a_request_that_is_repeated_after_its_file_changed_begins_anew_under_another_id(
    world: World, until: Any
) -> None:
    path, ticket = crash(world, until)
    request = world.store.rows[ticket.upload_id].request
    world.file("big", LARGE, seed=1)
    os.utime(path, ns=(1, 1))

    again = world.start().submit(request)

    node = again.done.result(15)
    assert node.node_id == request.node_id
    assert list(world.s3.objects.values()) == [path.read_bytes()]
    assert world.service.aborted == [ticket.upload_id]
    assert not world.orphans()
