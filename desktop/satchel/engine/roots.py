"""Watched folders: what `sync` needs from outside, and one `RootSync` for each folder."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from satchel.cloud import Cloud, Push
from satchel.core.errors import RefusedError, UsageError
from satchel.core.model import ChangePage, FolderIntent, FolderMade, Node, UploadRequest
from satchel.core.names import printable
from satchel.core.ports import Clock, Ids
from satchel.core.status import RootRow
from satchel.disk import LocalDisk, check_paths
from satchel.journal import Journal, WatchedRoot
from satchel.sync import RootSync, add_root
from satchel.transfer import Uploader

from .incoming import Downloads
from .transfers import Transfers
from .verification import Verification

T = TypeVar("T")


class Remote:
    """`sync.Remote` on the account's service."""

    def __init__(self, cloud: Cloud, pool: Executor) -> None:
        self._cloud = cloud
        self._pool = pool

    async def sequence(self) -> int:
        return (await self._run(self._cloud.get_account)).sequence

    async def make_folders(self, folders: list[FolderIntent]) -> list[FolderMade]:
        return list(await self._run(lambda: self._cloud.make_folders(folders)))

    async def move(self, node_id: str, *, parent_id: str | None = None, name: str | None = None) -> Node:
        return await self._run(lambda: self._cloud.move_node(node_id, parent_id=parent_id, name=name))

    async def trash(self, node_id: str, seen: int | None) -> None:
        await self._run(lambda: self._cloud.trash_node(node_id, seen=seen))

    async def changes(self, after: int) -> ChangePage:
        return await self._run(lambda: self._cloud.list_changes(after))

    async def children(self, node_id: str) -> list[Node]:
        return await self._run(lambda: list(self._cloud.children(node_id)))

    async def find(self, path: str) -> Node | None:
        try:
            return await self._run(lambda: self._cloud.find_node(path))
        except RefusedError as error:
            if error.kind == "not-found":
                return None
            raise

    def _run(self, work: Callable[[], T]) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._pool, work)


class Uploads:
    """`sync.Uploads` on the uploader, with a row for each file."""

    def __init__(self, uploader: Uploader, transfers: Transfers, pool: Executor, clock: Clock) -> None:
        self._uploader = uploader
        self._transfers = transfers
        self._pool = pool
        self._clock = clock

    async def upload(self, request: UploadRequest) -> Node:
        ticket = await asyncio.get_running_loop().run_in_executor(self._pool, self._uploader.submit, request)
        self._transfers.add_root_file(ticket, printable(request.name), printable(request.path), self._clock.now_ms())
        # Shielded: a root that stops waiting leaves the upload to be taken up again.
        return await asyncio.shield(asyncio.wrap_future(ticket.done))

    async def give_up_left(self, group: str) -> None:
        await asyncio.get_running_loop().run_in_executor(self._pool, self._uploader.give_up_left, group)


class Roots:
    """All watched folders of the signed-in account. Use it on the engine's loop."""

    def __init__(
        self,
        journal: Journal,
        remote: Remote,
        uploads: Uploads,
        downloads: Downloads,
        *,
        account_id: str,
        pool: Executor,
        clock: Clock,
        ids: Ids,
        on_change: Callable[[], None],
        push: Callable[[Callable[[], None]], Push],
    ) -> None:
        """`push` makes what calls its argument when there is something new in the account."""
        self._journal = journal
        self._remote = remote
        self._uploads = uploads
        self._downloads = downloads
        self._account_id = account_id
        self._pool = pool
        self._clock = clock
        self._ids = ids
        self._on_change = on_change
        self._verification = Verification(journal, remote, clock)
        self._syncs: dict[str, RootSync] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._push = push(self._remote_changed)
        self._listening: asyncio.Task[None] | None = None
        self._paused = False
        self.resident = False
        for root in journal.roots.all():
            self._syncs[root.root_id] = self._made(root)

    def stay(self) -> None:
        """Keep all folders in step from now on."""
        self.resident = True
        for root_id in self._syncs:
            self._start(root_id)

    async def close(self) -> None:
        self._stop_listening()
        for task in self._running.values():
            task.cancel()
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        for sync in self._syncs.values():
            await sync.close()

    def rows(self) -> tuple[RootRow, ...]:
        return tuple(self._row(root_id) for root_id in self._syncs)

    async def add(self, folder: str, to: str | None, *, two_way: bool = False, left_out: Sequence[str] = ()) -> RootRow:
        """`left_out` are paths in the remote folder that are not to come here. Raises `UsageError`."""
        if left_out and not two_way:
            raise UsageError("A folder that only uploads has nothing to leave out", "Add it as two-way.", path=folder)
        check_paths(left_out)

        def added() -> WatchedRoot:
            root = add_root(
                self._journal,
                Path(folder),
                to,
                clock=self._clock,
                ids=self._ids,
                account_id=self._account_id,
                two_way=two_way,
            )
            for path in left_out:
                LocalDisk(Path(root.path)).leave_out(path)
            return root

        root = await self._blocking(added)
        sync = self._syncs[root.root_id] = self._made(root)
        if self._paused:
            sync.pause()
        if self.resident:
            self._start(root.root_id)
        self._on_change()
        return self._row(root.root_id)

    async def remove(self, root_id_or_dir: str) -> None:
        """Forget a folder; neither side's files are touched. Raises `UsageError`."""
        root = self._find(root_id_or_dir)
        task, sync = self._running.pop(root.root_id, None), self._syncs.pop(root.root_id, None)
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        elif sync is not None:
            await sync.close()
        if not self._syncs:
            self._stop_listening()
        await self._blocking(lambda: self._journal.roots.remove(root.root_id))
        self._verification.forget(root.root_id)
        await self._uploads.give_up_left(root.root_id)
        self._on_change()

    async def confirm(self, root_id_or_dir: str, files: int | None) -> int:
        """Have the deletes that wait for a person's word carried out; the number of files. Raises `UsageError` when
        there are none, or others than the `files` that the person was told of."""
        sync = self._syncs[self._find(root_id_or_dir).root_id]
        if not self.resident:
            await sync.sync_once()
        row = sync.status()
        if not row.deletions:
            raise UsageError("No deletes wait to be confirmed here", "See `satchel status`.", path=row.path)
        if files not in (None, row.deletions):
            raise UsageError(
                f"It is {row.deletions} files by now, not {files}", "Look which are gone, then confirm.", path=row.path
            )
        sync.confirm_deletions()
        if not self.resident:
            await sync.sync_once()
        self._on_change()
        return row.deletions

    async def leave_out(self, path: str) -> RootRow:
        """Keep something in a two-way folder online only: `path` is where it is, or would be, on this computer. Raises
        `UsageError`."""
        root, inside = self._leading_into(path)
        return await self._chosen(root, self._syncs[root.root_id].leave_out(inside))

    async def take_in(self, path: str) -> RootRow:
        """Have here again what was left out. Raises `UsageError`."""
        root, inside = self._leading_into(path)
        return await self._chosen(root, self._syncs[root.root_id].take_in(inside))

    async def folders(self, root_id_or_dir: str) -> tuple[str, ...]:
        """Names of the folders that are online in a watched folder's remote one. Raises `UsageError`."""
        return await self._syncs[self._find(root_id_or_dir).root_id].folders_online()

    async def _chosen(self, root: WatchedRoot, choice: Awaitable[None]) -> RootRow:
        await choice
        if not self.resident:
            await self._syncs[root.root_id].sync_once()
        self._on_change()
        return self._row(root.root_id)

    async def verify(self, root_id_or_dir: str | None, emit: Callable[[Any], None]) -> tuple[RootRow, ...]:
        """Compare every byte of one folder, or of all, and change nothing; see `Verification.run`. Raises `UsageError`
        and what the service raises."""
        roots = self._journal.roots.all() if root_id_or_dir is None else [self._find(root_id_or_dir)]
        for root in roots:
            await self._verification.run(root, emit)
            if root.root_id not in self._syncs:  # removed meanwhile
                self._verification.forget(root.root_id)
            self._on_change()
        return tuple(self._row(root.root_id) for root in roots if root.root_id in self._syncs)

    async def sync_once(self) -> None:
        await asyncio.gather(*(sync.sync_once() for sync in self._syncs.values()))

    def pause(self) -> None:
        self._paused = True
        for sync in self._syncs.values():
            sync.pause()

    def resume(self) -> None:
        self._paused = False
        for sync in self._syncs.values():
            sync.resume()

    def retry(self) -> None:
        """The service is back, or somebody asked."""
        for sync in self._syncs.values():
            sync.retry()

    def reconnect(self) -> None:
        """The computer slept, or is online again: a socket that looks open may be dead."""
        self._push.again()

    def _remote_changed(self) -> None:
        for sync in self._syncs.values():
            sync.remote_changed()

    def _stop_listening(self) -> None:
        if self._listening is not None:
            self._listening.cancel()
            self._listening = None

    def _find(self, root_id_or_dir: str) -> WatchedRoot:
        given = root_id_or_dir
        here = {given, str(Path(given).absolute()), str(Path(given).resolve())}
        root = next((root for root in self._journal.roots.all() if root.root_id == given or root.path in here), None)
        if root is None:
            raise UsageError("This folder is not watched", "See `satchel root list`.", path=given)
        return root

    def _leading_into(self, path: str) -> tuple[WatchedRoot, str]:
        """The watched folder that a path leads into, and the way on from there."""
        places = [Path(path).absolute(), Path(path).parent.resolve() / Path(path).name]
        for root in self._journal.roots.all():
            for place in places:
                if place.is_relative_to(root.path) and place != Path(root.path):
                    return root, place.relative_to(root.path).as_posix()
        raise UsageError("This lies in no watched folder", "See `satchel root list`.", path=path)

    def _row(self, root_id: str) -> RootRow:
        return replace(self._syncs[root_id].status(), verified=self._verification.last(root_id))

    def _made(self, root: WatchedRoot) -> RootSync:
        return RootSync(
            root,
            self._journal,
            self._remote,
            self._uploads,
            downloads=self._downloads,
            hears=lambda: self._push.live,
            host=socket.gethostname(),
            blocking=self._blocking,
            clock=self._clock,
            ids=self._ids,
            on_change=self._on_change,
        )

    def _start(self, root_id: str) -> None:
        if root_id not in self._running:
            self._running[root_id] = asyncio.create_task(self._syncs[root_id].run(), name=f"root {root_id}")
        if self._listening is None:  # without a folder nobody would be told
            self._listening = asyncio.create_task(self._push.run(), name="push")

    def _blocking(self, function: Callable[[], T], /) -> Awaitable[T]:
        return asyncio.get_running_loop().run_in_executor(self._pool, function)
