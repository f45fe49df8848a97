"""A real folder, real events, a real journal; only the service is in memory."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from satchel.core.errors import FileChangedError, LocalFileError
from satchel.core.ports import SystemClock, SystemIds
from satchel.disk import write_marker
from satchel.journal import Journal, WatchedRoot
from satchel.sync import RootSync
from sync_world import FakeRemote


class RealUploads:
    """Reads the real file as a transfer does: facts before, bytes, facts after."""

    def __init__(self, remote):
        self.remote = remote
        self.seen = []

    async def give_up_left(self, group):
        pass

    async def upload(self, request):
        try:
            before = Path(request.path).stat()
            content = Path(request.path).read_bytes()
            await asyncio.sleep(0.01)
            after = Path(request.path).stat()
        except OSError as error:
            raise LocalFileError("The file is gone", path=request.path) from error
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise FileChangedError("The file changed", path=request.path)
        self.seen.append(Path(request.path).name)
        return self.remote.receive(request, content, before.st_mtime_ns)


class Running:
    def __init__(self, base):
        self.folder = base / "Work"
        self.folder.mkdir()
        self.journal = Journal(base / "journal.db")
        self.remote = FakeRemote(SystemClock())
        self.uploads = RealUploads(self.remote)
        self.root = WatchedRoot("r" * 32, str(self.folder), "/Work", 1)
        self.journal.roots.add(self.root)
        write_marker(self.folder, self.root.root_id)

    @contextlib.asynccontextmanager
    async def syncing(self):
        with ThreadPoolExecutor(2) as pool:
            loop = asyncio.get_running_loop()
            sync = RootSync(
                self.root,
                self.journal,
                self.remote,
                self.uploads,
                blocking=lambda function: loop.run_in_executor(pool, function),
                clock=SystemClock(),
                ids=SystemIds(),
            )
            task = asyncio.create_task(sync.run())
            try:
                yield sync
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        self.journal.close()

    def local(self):
        return {
            str(path.relative_to(self.folder)): path.read_bytes() if path.is_file() else None
            for path in self.folder.rglob("*")
            if ".satchel" not in path.parts
        }

    async def until_equal(self, sync, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if sync.status().state == "in_step" and self.remote.tree() == self.local():
                return
            await asyncio.sleep(0.1)
        assert sync.status() == "in step"


@pytest.fixture
def running(tmp_path):
    return Running(tmp_path)


def make_a_mess(folder, seed=7):
    """About five seconds of making, editing, renaming and deleting 100 files in nested folders."""
    rng = random.Random(seed)
    folders = [folder / "/".join(f"d{rng.randrange(4)}" for _ in range(depth)) for depth in (1, 2, 3) for _ in range(5)]
    files = []
    for number in range(100):
        where = rng.choice(folders)
        where.mkdir(parents=True, exist_ok=True)
        path = where / f"file {number} é.txt"
        path.write_text(f"content {number}")
        files.append(path)
        time.sleep(0.02)
    rng.shuffle(files)
    for path in files[:30]:
        path.write_text("edited " + path.name)
        time.sleep(0.02)
    for path in files[20:60]:
        path.rename(path.with_name("renamed " + path.name))
        time.sleep(0.02)
    for path in files[60:80]:
        path.unlink()
    (folder / "d1").rename(folder / "moved")
    (folder / "empty").mkdir()


def test_a_hundred_files_in_five_seconds_end_as_an_identical_tree(running):
    async def scenario():
        async with running.syncing() as sync:
            await asyncio.to_thread(make_a_mess, running.folder)
            await running.until_equal(sync)

    asyncio.run(scenario())


def test_a_rename_is_seen_at_once_and_sends_nothing(running):
    async def scenario():
        (running.folder / "old").mkdir()
        for number in range(5):
            (running.folder / "old" / f"{number}.txt").write_text(f"{number}")
        async with running.syncing() as sync:
            await running.until_equal(sync)
            uploads, node = running.remote.uploads, running.remote.at("/Work/old").node_id
            (running.folder / "old").rename(running.folder / "new")
            await asyncio.sleep(0.2)
            await running.until_equal(sync, 10)
            assert running.remote.uploads == uploads
            assert running.remote.at("/Work/new").node_id == node

    asyncio.run(scenario())


def test_a_changed_ignore_file_is_taken_up_at_once_all_the_way_down(running):
    deep = running.folder / "deep" / "er"
    ignore_file = running.folder / ".satchelignore"

    async def until(there):
        end = time.monotonic() + 20
        while set(running.remote.tree()) != there and time.monotonic() < end:
            await asyncio.sleep(0.1)
        assert set(running.remote.tree()) == there

    async def scenario():
        deep.mkdir(parents=True)
        ignore_file.write_text("*.log\n")
        (deep / "a.log").write_text("one")
        folders = {"deep", "deep/er", ".satchelignore"}
        async with running.syncing() as sync:
            await until(folders)
            looked = sync.status().last_full_scan_ms
            (deep / "b.log").write_text("two")
            ignore_file.write_text("b.log\n*.txt\n")
            await until({*folders, "deep/er/a.log"})
            assert sync.status().last_full_scan_ms > looked
            (deep / "c.txt").write_text("three")
            (deep / "b.log").rename(deep / "b2.log")
            await until({*folders, "deep/er/a.log", "deep/er/b2.log"})
            ignore_file.unlink()
            await until({"deep", "deep/er", "deep/er/a.log", "deep/er/b2.log", "deep/er/c.txt"})

    asyncio.run(scenario())


@pytest.mark.parametrize("reopens", [False, True], ids=["kept open", "opened for each piece"])
def test_a_file_written_over_five_seconds_is_sent_once_and_whole(running, reopens):
    def write_slowly():
        path = running.folder / "slow.bin"
        with path.open("ab", buffering=0) as file:
            for _ in range(10):
                if reopens:
                    with path.open("ab") as again:
                        again.write(b"x" * 1000)
                else:
                    file.write(b"x" * 1000)
                time.sleep(0.5)

    async def scenario():
        async with running.syncing() as sync:
            await running.until_equal(sync)
            await asyncio.to_thread(write_slowly)
            await running.until_equal(sync)
        assert running.uploads.seen == ["slow.bin"]
        assert running.remote.tree() == {"slow.bin": b"x" * 10_000}

    asyncio.run(scenario())


@pytest.mark.skipif(sys.platform != "linux", reason="inotify")
def test_without_events_it_says_so_and_rescans(running, monkeypatch):
    from watchdog.observers.inotify_c import InotifyFD

    def refuse(self):
        raise OSError(errno.EMFILE, "inotify instance limit reached")

    monkeypatch.setattr(InotifyFD, "__init__", refuse)
    monkeypatch.setattr("satchel.sync.roots.RESCAN_BLIND", 0.5)

    async def scenario():
        async with running.syncing() as sync:
            (running.folder / "a.txt").write_text("one")
            end = time.monotonic() + 15
            while running.remote.tree() != {"a.txt": b"one"} and time.monotonic() < end:
                await asyncio.sleep(0.1)
            assert running.remote.tree() == {"a.txt": b"one"}
            assert "limit" in sync.status().held[-1].reason

    asyncio.run(scenario())


def test_what_changed_while_nothing_ran_is_found_at_the_start(running):
    async def scenario():
        (running.folder / "a.txt").write_text("one")
        async with running.syncing() as sync:
            await running.until_equal(sync)
        running.journal = Journal(running.folder.parent / "journal.db")
        (running.folder / "a.txt").rename(running.folder / "b.txt")
        (running.folder / "c.txt").write_text("three")
        async with running.syncing() as sync:
            await running.until_equal(sync)
        assert running.uploads.seen == ["a.txt", "c.txt"]

    asyncio.run(scenario())
