"""Comparing every byte of a root with what the service has now."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import replace
from typing import Any

import pytest

from satchel.core.errors import CancelledError, LocalFileError
from satchel.core.model import Node, Revision
from satchel.core.status import Difference
from satchel.sync import Tally, verify
from two_way_world import ROOT, Computer, Together

Found = dict[str, str]


def verified(computer: Computer) -> tuple[Tally, Found]:
    """What was counted, and what was found by path."""
    tally, found = Tally(), []
    root = computer.journal.roots.get(ROOT)
    assert root is not None

    async def blocking(work: Any) -> Any:
        return work()

    asyncio.run(verify(root, computer.disk, computer.remote, tally, blocking=blocking, found=found.append))
    assert all(isinstance(one, Difference) and one.root == "/disk" and one.reason and one.remedy for one in found)
    assert len(found) == len({one.path for one in found})
    return tally, {one.path: one.what for one in found}


@pytest.fixture
def computer() -> Computer:
    """In step: two files, one of them in a folder."""
    world = Together("anna")
    [anna] = world
    anna.disk.write("a", "one")
    anna.disk.write("sub/b", "two")
    world.settle()
    return anna


def test_what_is_in_step_is_equal_to_the_last_byte_and_stays_as_it_is(computer: Computer) -> None:
    before, calls = computer.local(), len(computer.remote.log)
    tally, found = verified(computer)
    assert (tally.files, tally.equal, tally.size, found) == (2, 2, 6, {})
    assert (computer.local(), len(computer.remote.log)) == (before, calls)


def test_bytes_that_changed_under_the_same_size_and_time_are_found(computer: Computer) -> None:
    computer.disk.nodes["sub/b"].content = b"TWO"
    assert computer.run().state == "in_step", "no scan can see it"
    tally, found = verified(computer)
    assert (found, tally.equal, tally.differing) == ({"sub/b": "differing"}, 1, 1)


def test_the_service_is_asked_and_not_the_journal(computer: Computer) -> None:
    node = computer.remote.node("a")
    assert node.revision is not None
    computer.remote.nodes[node.node_id] = replace(node, revision=replace(node.revision, sha256="0" * 64))
    assert verified(computer)[1] == {"a": "differing"}


def test_what_is_on_one_side_only_is_told_with_all_that_is_in_it(computer: Computer) -> None:
    computer.disk.write("new/deep/c", "c")
    folder = computer.remote.put(Node("f" * 32, computer.remote.node("sub").node_id, "theirs", "folder", 0))
    computer.remote.put(Node("e" * 32, folder.node_id, "d", "file", 0, Revision("e" * 32, 1, 0, "0" * 64)))
    tally, found = verified(computer)
    assert found == {
        "new/": "only_here", "new/deep/": "only_here", "new/deep/c": "only_here",
        "sub/theirs/": "only_there", "sub/theirs/d": "only_there",
    }  # fmt: skip
    assert (tally.equal, tally.only_here, tally.only_there) == (2, 3, 2)


def test_a_file_in_the_place_of_a_folder_and_a_name_in_other_capitals_differ(computer: Computer) -> None:
    computer.disk.delete("sub")
    computer.disk.write("sub", "a file")
    computer.disk.rename("a", "A")
    assert verified(computer)[1] == {"sub": "differing", "A": "differing"}


def test_what_cannot_be_compared_is_held_back_with_its_reason_and_is_not_missing(computer: Computer) -> None:
    node = computer.remote.node("a")
    assert node.revision is not None
    computer.remote.nodes[node.node_id] = replace(node, revision=replace(node.revision, sha256=None))
    computer.disk.unreadable.add("sub")
    assert verified(computer)[1] == {"a": "held", "sub": "held"}
    computer.disk.unreadable.clear()
    computer.disk.links.add("sub/b")
    assert verified(computer)[1] == {"a": "held", "sub/b": "held"}


def test_what_is_ignored_here_counts_on_neither_side(computer: Computer) -> None:
    computer.disk.write(".satchelignore", "*.log")
    computer.run()
    computer.disk.write("here.log", "1")
    computer.remote.put(
        Node("e" * 32, computer.remote.node("sub").node_id, "x.log", "file", 0, Revision("e" * 32, 1, 0))
    )
    assert verified(computer)[1] == {}


def test_what_arrives_while_the_rest_is_compared_is_no_difference(computer: Computer) -> None:
    computer.disk.write("late", "late")
    lists: list[str] = []
    ask = computer.remote.children

    async def children(node_id: str) -> list[Node]:
        lists.append(node_id)
        if len(lists) == 2:  # the last folder of the first look
            computer.run()
        return await ask(node_id)

    computer.remote.children = children  # type: ignore[method-assign] # as somebody else meanwhile
    tally, found = verified_within(computer)
    assert (found, tally.equal) == ({}, 3)


def verified_within(computer: Computer) -> tuple[Tally, Found]:
    """`verified`, with the engine at work on the same loop."""
    run = computer.run

    def on_a_thread() -> Any:
        thread = threading.Thread(target=run)
        thread.start()
        thread.join()

    computer.run = on_a_thread  # type: ignore[method-assign] # a loop cannot run in a loop
    return verified(computer)


def test_an_unmounted_folder_is_never_taken_for_an_empty_one(computer: Computer) -> None:
    computer.disk.marker = None
    with pytest.raises(LocalFileError, match="not there"):
        verified(computer)


def test_cancelling_ends_in_the_middle_of_a_file(computer: Computer) -> None:
    read: list[int] = []

    async def cancelled() -> None:
        reading, go_on = threading.Event(), threading.Event()

        def sha256(path: str, told: Any) -> str:
            reading.set()
            go_on.wait(10)
            try:
                told(1)
            except CancelledError:
                read.append(0)
                raise
            return ""

        computer.disk.sha256 = sha256  # type: ignore[assignment] # one that takes long
        root = computer.journal.roots.get(ROOT)
        assert root is not None
        work = asyncio.create_task(
            verify(root, computer.disk, computer.remote, Tally(), blocking=asyncio.to_thread, found=lambda _: None)
        )
        await asyncio.to_thread(reading.wait, 10)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        go_on.set()

    asyncio.run(cancelled())
    assert read == [0]
