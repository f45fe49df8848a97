"""The ports of one client's engine, in front of the service: `Remote`, `Uploads`, `Downloads`."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import random
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import msgspec

from satchel.core.errors import FileChangedError, LocalFileError, OfflineError, RefusedError
from satchel.core.model import ChangePage, FolderIntent, FolderMade, Node, UploadRequest
from satchel_cloud.domain import model as served
from satchel_cloud.domain.problems import ProblemError

from .disk import SimDisk
from .network import Network, Process
from .service import Service

T = TypeVar("T")


class Door:
    """The service as one process of one client reaches it."""

    def __init__(self, service: Service, network: Network, process: Process) -> None:
        self.service = service
        self._network = network
        self._process = process

    async def ask(self, shape: type[T], method: Callable[..., Any], *given: Any, **named: Any) -> T:
        call = partial(method, *given, **named)
        call.__name__ = method.__name__  # type: ignore[attr-defined] # the network writes down what was called
        return msgspec.convert(await self._network.call(self._process, call), shape)


class Remote:
    def __init__(self, door: Door) -> None:
        self._ask = door.ask
        self._service = door.service

    async def sequence(self) -> int:
        account = await self._ask(dict[str, Any], self._service.account)
        return int(account["sequence"])

    async def make_folders(self, folders: list[FolderIntent]) -> list[FolderMade]:
        assert 1 <= len(folders) <= 50
        intents = [served.FolderIntent(one.node_id, one.parent_id, one.name, one.if_taken) for one in folders]
        return await self._ask(list[FolderMade], self._service.make_folders, intents)

    async def move(self, node_id: str, *, parent_id: str | None = None, name: str | None = None) -> Node:
        return await self._ask(Node, self._service.move, node_id, parent_id=parent_id, name=name)

    async def trash(self, node_id: str, seen: int | None) -> None:
        await self._ask(type(None), self._service.trash, node_id, seen)

    async def changes(self, after: int) -> ChangePage:
        return await self._ask(ChangePage, self._service.changes, after)

    async def children(self, node_id: str) -> list[Node]:
        return await self._ask(list[Node], self._service.children, node_id)

    async def find(self, path: str) -> Node | None:
        try:
            return await self._ask(Node, self._service.find, path)
        except RefusedError as error:
            if error.kind != "not-found":
                raise
            return None


LeftKey = tuple[str, bytes, int, str, str, str | None]


class Uploads:
    """Sends files of the disk. `left` outlives the process, as the journal's own memory of uploads does."""

    def __init__(
        self,
        door: Door,
        disk: SimDisk,
        left: dict[LeftKey, str],
        later: Callable[[float, Callable[[], None]], object],
        chance: random.Random,
    ) -> None:
        self._ask = door.ask
        self._service = door.service
        self._disk = disk
        self._left = left
        self._later = later
        self._chance = chance

    async def upload(self, request: UploadRequest) -> Node:
        content, mtime_ns = self._disk.read(request.path)
        key = (request.path, content, mtime_ns, request.node_id, request.parent_id, request.base_revision)
        upload_id = self._left.setdefault(key, request.upload_id)
        intent = served.UploadIntent(
            upload_id,
            request.node_id,
            request.parent_id,
            request.name,
            len(content),
            mtime_ns // 1_000_000,
            hashlib.sha256(content).hexdigest(),
            request.base_revision,
            request.if_taken,
        )
        while True:
            try:
                node = await self._send(intent, content, request, mtime_ns)
            except (RefusedError, LocalFileError):
                # As the real one does, which tries until the service has heard of it.
                self._left.pop(key, None)
                self._later(self._chance.uniform(0.1, 2), partial(self._give_up, upload_id))
                raise
            except OfflineError:
                await asyncio.sleep(self._chance.uniform(1, 10))
            else:
                self._left.pop(key, None)
                return node

    async def _send(self, intent: served.UploadIntent, content: bytes, request: UploadRequest, mtime_ns: int) -> Node:
        answer = await self._ask(dict[str, Any], self._service.open, intent)
        if answer["outcome"] == "done":
            return msgspec.convert(answer["node"], Node)
        if answer["outcome"] == "put":
            await self._ask(type(None), self._service.put, answer["put"]["url"], content)
            if self._chance.random() < 0.5:
                # S3 tells of it by itself, too, and sooner or later it is heard.
                self._later(self._chance.uniform(1, 90), partial(self._service.ingest, intent.upload_id))
        if self._disk.holds(request.path) and self._disk.read(request.path) != (content, mtime_ns):
            raise FileChangedError("The file changed while it was sent", path=request.path)
        answer = await self._ask(dict[str, Any], self._service.complete, intent.upload_id, request.base_revision)
        return msgspec.convert(answer["node"], Node)

    def _give_up(self, upload_id: str) -> None:
        with contextlib.suppress(ProblemError):
            self._service.abort(upload_id)

    async def give_up_left(self, group: str) -> None:
        for key, upload_id in list(self._left.items()):
            try:
                await self._ask(type(None), self._service.abort, upload_id)
            except RefusedError as error:
                if error.kind not in ("not-found", "upload-closed"):
                    raise
            self._left.pop(key, None)


class Downloads:
    """Fetches files into the disk's partials."""

    def __init__(self, door: Door, disk: SimDisk) -> None:
        self._ask = door.ask
        self._service = door.service
        self._disk = disk

    async def fetch(self, node_id: str, dest: str, name: str) -> Node:
        found, content = await self._ask(tuple[Node, bytes], self._service.content, node_id)
        if found.revision is None or hashlib.sha256(content).hexdigest() != found.revision.sha256:
            raise LocalFileError("Other bytes arrived than were asked for", path=name)
        # They come in two pieces: a crash between them leaves a partial that is no whole file.
        self._disk.fill(dest, content[: len(content) // 2], self._disk.clock.now_ms() * 1_000_000)
        await self._ask(dict[str, Any], self._service.account)
        self._disk.fill(dest, content, found.revision.modified_ms * 1_000_000)
        return found
