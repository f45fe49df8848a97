"""Several computers with one two-way folder, everything fake but the journals, for rules seen from outside."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

from satchel.core.errors import RefusedError
from satchel.core.model import Node, Revision
from satchel.journal import Journal, WatchedRoot
from satchel.sync import RootSync
from sync_world import FakeClock, FakeDisk, FakeIds, FakeRemote, FakeUploads

ROOT = "r" * 32


class Service(FakeRemote):
    """The service of `sync_world`, whose revisions have the ids of their uploads, and ids are used once."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.gone: set[str] = set()

    def receive(self, request: Any, content: bytes, mtime_ns: int) -> Node:
        self._arrive("upload", request.path)
        old = self.nodes.get(request.node_id)
        if request.base_revision is None and (old is not None or request.node_id in self.gone):
            raise RefusedError("id-taken", "There is a node with this id")
        if request.base_revision is not None:
            old = self._existing(request.node_id)
            assert old.revision is not None
            if old.revision.revision_id != request.base_revision:
                raise RefusedError("revision-conflict", "There is a newer revision", current=old)
        digest = hashlib.sha256(content).hexdigest()
        if digest not in {hashlib.sha256(kept).hexdigest() for kept in self.content.values()}:
            self.sent_bytes += len(content)
        revision = Revision(request.upload_id, len(content), mtime_ns // 1_000_000, digest, True)
        parent, name = (old.parent_id, old.name) if old else (request.parent_id, request.name)
        node = self.put(Node(request.node_id, parent, name, "file", 0, revision))
        self.content[revision.revision_id] = content
        self.uploads += 1
        self._leave()
        return node

    def drop(self, node_id: str) -> None:
        before = set(self.nodes)
        super().drop(node_id)
        self.gone |= before - set(self.nodes)

    def node(self, path: str) -> Node:
        found = self.at(f"/Work/{path}")
        assert found is not None, path
        return found

    # what somebody does in a browser

    def rename(self, path: str, *, to: str) -> None:
        parent, _, name = f"/Work/{to}".rpartition("/")
        above = self.at(parent)
        assert above is not None
        self.put(replace(self.node(path), parent_id=above.node_id, name=name))

    def write(self, path: str, content: str) -> None:
        node, number = self.node(path), len(self.content)
        digest = hashlib.sha256(content.encode()).hexdigest()
        revision = Revision(f"browser{number}", len(content), self.clock.now_ms(), digest, True)
        self.content[revision.revision_id] = content.encode()
        self.put(replace(node, revision=revision))


class FakeDownloads:
    def __init__(self, disk: FakeDisk, remote: Service) -> None:
        self.disk = disk
        self.remote = remote
        self.fetched: list[str] = []
        self.refuse: dict[str, Exception] = {}

    async def fetch(self, node_id: str, dest: str, name: str) -> Node:
        await asyncio.sleep(0)
        if name in self.refuse:
            raise self.refuse[name]
        self.remote._arrive("content", node_id)
        node = self.remote._existing(node_id)
        assert node.revision is not None
        self.disk.fill(dest, self.remote.content[node.revision.revision_id], node.revision.modified_ms * 1_000_000)
        self.fetched.append(name)
        await asyncio.sleep(0)
        self.remote._leave()
        return node


class Computer:
    """One home with the folder, and a person before it (`disk`)."""

    def __init__(self, name: str, clock: FakeClock, ids: FakeIds, remote: Service) -> None:
        self.name, self.clock, self.ids, self.remote = name, clock, ids, remote
        self.disk = FakeDisk(clock)
        self.journal = Journal(Path(":memory:"))
        self.journal.roots.add(WatchedRoot(ROOT, "/disk", "/Work", 1, mode="two-way"))
        self.start()

    def start(self) -> None:
        """A new process on the same disk and journal."""
        self.remote.crashed, self.remote.crash_in = False, None
        self.uploads = FakeUploads(self.disk, self.remote)
        self.downloads = FakeDownloads(self.disk, self.remote)
        root = self.journal.roots.get(ROOT)
        assert root is not None

        async def blocking(function: Any) -> Any:
            await asyncio.sleep(0)
            return function()

        self.sync = RootSync(
            root,
            self.journal,
            self.remote,
            self.uploads,
            downloads=self.downloads,
            host=self.name,
            blocking=blocking,
            disk=self.disk,
            watcher=None,
            clock=self.clock,
            ids=self.ids,
            sleep=self.clock.asleep,
        )

    def lose_journal(self) -> None:
        self.journal.close()
        self.journal = Journal(Path(":memory:"))
        self.journal.roots.add(WatchedRoot(ROOT, "/disk", "/Work", 1, mode="two-way"))
        self.start()

    def run(self) -> Any:
        """In step as far as it goes, from files that are old enough to be quiet."""
        self.clock.time += 60
        return asyncio.run(self.sync.sync_once())

    def local(self) -> dict[str, bytes | None]:
        return {path: node.content if node.kind == "file" else None for path, node in self.disk.nodes.items()}


class Together:
    def __init__(self, *names: str) -> None:
        self.clock, self.ids = FakeClock(), FakeIds()
        self.remote = Service(self.clock)
        self.computers = [Computer(name, self.clock, self.ids, self.remote) for name in names or ("anna", "bob")]

    def __iter__(self) -> Any:
        return iter(self.computers)

    def settle(self, rounds: int = 10) -> dict[str, bytes | None]:
        """All of them, by turns, until they are equal; the tree that they agree on."""
        for _ in range(rounds):
            rows = [computer.run() for computer in self.computers]
            equal = all(computer.local() == self.remote.tree() for computer in self.computers)
            if equal and all(row.state == "in_step" for row in rows):
                return self.remote.tree()
        raise AssertionError(
            "not in step: "
            + "; ".join(f"{one.name}: {one.local()} {one.sync.status()}" for one in self.computers)
            + f"; online: {self.remote.tree()}"
        )


def exchange(disk: FakeDisk, one: str, other: str) -> None:
    """Each gets the other's name."""
    disk.rename(one, "between")
    disk.rename(other, one)
    disk.rename("between", other)
