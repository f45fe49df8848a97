"""What another computer put into a two-way folder, fetched by the engine: from a service and an S3 on loopback."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from integration.transfer.conftest import World
from satchel.core.errors import RefusedError
from satchel.core.model import FoundContent, FoundContents, Node, Problem, Revision
from satchel.core.ports import SystemClock, SystemIds
from satchel.engine.incoming import THREADS, Downloads
from satchel.transfer import Limit

NAMES = [f"{number:02}" for number in range(60)]
GONE = Problem("urn:satchel:problem:not-found", "Not found", 404, "It is gone.")


class Account:
    """Each file's content is its name; remembers what it was asked. Answers once it may."""

    def __init__(self, s3: Any) -> None:
        self.s3 = s3
        self.asked: list[list[str]] = []
        self.may_answer = threading.Event()
        s3.downloads.update({f"/{name}": name.encode() for name in NAMES})

    def get_contents(self, node_ids: Sequence[str]) -> FoundContents:
        self.asked.append(list(node_ids))
        assert self.may_answer.wait(20)
        return FoundContents("common", tuple(map(self._found, node_ids)))

    def _found(self, name: str) -> FoundContent:
        if f"/{name}" not in self.s3.downloads:
            return FoundContent(name, "problem", problem=GONE)
        revision = Revision(name * 16, len(name), 5, hashlib.sha256(name.encode()).hexdigest(), True)
        node = Node(name, "root", name, "file", 1, revision)
        return FoundContent(name, "done", node, f"{self.s3.url}/{name}", "signed")


class Computer:
    def __init__(self, world: World) -> None:
        self.account, self.folder = Account(world.s3), world.folder
        clock: Any = SystemClock()
        account: Any = self.account
        rows: Any = None  # files this small have none
        self.downloads = Downloads(account, rows, clock, SystemIds(), Limit(clock))

    def fetch(self, names: list[str]) -> list[asyncio.Task[Node]]:
        return [
            asyncio.create_task(self.downloads.fetch(name, str(self.folder / f"{name}.part"), name)) for name in names
        ]

    def has(self, names: list[str]) -> bool:
        return sorted(path.name for path in self.folder.iterdir()) == [f"{name}.part" for name in names] and all(
            (self.folder / f"{name}.part").read_text() == name for name in names
        )


@pytest.fixture
def computer(tmp_path: Path) -> Iterator[Computer]:
    world = World(tmp_path)
    made = Computer(world)
    yield made
    made.account.may_answer.set()
    made.downloads.close()
    world.close()


def threads() -> int:
    return sum(thread.name.startswith("fetch") for thread in threading.enumerate())


def test_files_that_are_wanted_at_once_are_asked_for_together(computer: Computer) -> None:
    async def scenario() -> None:
        fetching = computer.fetch(NAMES)
        await asyncio.sleep(0)
        computer.account.may_answer.set()
        nodes = await asyncio.gather(*fetching)
        assert [node.name for node in nodes] == NAMES

    asyncio.run(scenario())
    assert computer.has(NAMES)
    assert sorted(name for asked in computer.account.asked for name in asked) == NAMES, "each once"
    assert len(computer.account.asked) <= 2


def test_connections_are_kept_between_files_until_they_may_be_dead(computer: Computer) -> None:
    computer.account.may_answer.set()

    async def fetch(names: list[str]) -> None:
        await asyncio.gather(*computer.fetch(names))

    asyncio.run(fetch(NAMES[:-2]))
    made = computer.account.s3.connections
    assert made <= THREADS
    asyncio.run(fetch(NAMES[-2:-1]))
    assert computer.account.s3.connections == made
    computer.downloads.drop_connections()
    asyncio.run(fetch(NAMES[-1:]))
    assert computer.account.s3.connections == made + 1


def test_one_that_is_gone_fails_alone(computer: Computer) -> None:
    del computer.account.s3.downloads["/07"]
    computer.account.may_answer.set()

    async def scenario() -> list[Any]:
        return list(await asyncio.gather(*computer.fetch(NAMES), return_exceptions=True))

    failed = [one for one in asyncio.run(scenario()) if isinstance(one, BaseException)]
    assert [(type(one), one.kind) for one in failed if isinstance(one, RefusedError)] == [(RefusedError, "not-found")]
    assert len(failed) == 1
    assert computer.has([name for name in NAMES if name != "07"])


def test_while_it_is_paused_no_file_begins(computer: Computer) -> None:
    computer.account.may_answer.set()

    async def scenario() -> None:
        computer.downloads.pause()
        fetching = computer.fetch(NAMES)
        await asyncio.sleep(0)
        while threads() < THREADS:
            await asyncio.sleep(0.001)
        assert computer.account.asked == []
        computer.downloads.resume()
        await asyncio.gather(*fetching)

    asyncio.run(scenario())
    assert computer.has(NAMES)


def test_what_is_wanted_no_more_is_neither_asked_for_nor_fetched(computer: Computer) -> None:
    computer.account.may_answer.set()

    async def scenario() -> None:
        computer.downloads.pause()
        unwanted, wanted = computer.fetch(NAMES[:20]), computer.fetch(NAMES[20:])
        await asyncio.sleep(0)
        for fetching in unwanted:
            fetching.cancel()
        await asyncio.gather(*unwanted, return_exceptions=True)
        computer.downloads.resume()
        await asyncio.gather(*wanted)

    asyncio.run(scenario())
    assert computer.has(NAMES[20:])
    assert {name for asked in computer.account.asked for name in asked} == set(NAMES[20:])
