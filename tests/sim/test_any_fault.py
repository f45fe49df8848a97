"""Transfers through a network, a service and a disk that fail at random: whatever happens, the bytes arrive, once, and
nothing is left over.

`make test` runs some seeds; `make sim` runs SATCHEL_SIM_SCALE times as many.
"""

from __future__ import annotations

import errno
import hashlib
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from integration.transfer.conftest import World
from integration.transfer.fake_s3 import FakeService, problem
from integration.transfer.faulty_proxy import COPY_FAULTS, GET_FAULTS, PUT_FAULTS, FaultyProxy
from satchel.core.errors import BusyError, LocalFileError, OfflineError, SatchelError
from satchel.core.model import CompleteItem, CompleteResult, ContentSource, Node, Revision, UploadRequest
from satchel.core.ports import SystemClock
from satchel.transfer import Ticket, Uploader, download
from satchel.transfer.backoff import Backoff
from satchel.transfer.delta import Bounds, plan
from satchel.transfer.dial import UnreachableError
from satchel.transfer.local import read_small, stamp_of
from satchel.transfer.outcome import Outcome
from satchel.transfer.ranges import Ranges
from satchel.transfer.wire import Wire

SEEDS = range(10 * int(os.environ.get("SATCHEL_SIM_SCALE", "1")))
SHARE = 0.25
QUICK = Backoff(first=0.005, longest=0.02)
TIMEOUT_S = 0.4
# Sizes are a sixteenth of what they are, so that many seeds cost little; the tests of integration have the real ones.
PART, LARGE_FROM, RANGE, CHUNK = 320 * 1024, 1024 * 1024, 512 * 1024, 16 * 1024
SERVICE_FAULTS = ("busy", "offline", "answer lost")
COMPLETE_FAULTS = ("pending", "conflict", "upload gone")
CHANGES = ("size", "time", "digest")


class FaultyService(FakeService):
    """Is away, busy, or done with it when its answer gets lost; S3 may refuse to put a file together."""

    def __init__(self, world: Faulty) -> None:
        super().__init__(world.s3)
        self.world = world
        self.kinds: Counter[str] = Counter()
        self._random = random.Random(world.random.random())
        self._alone = threading.RLock()

    def pick(self, faults: Sequence[str], share: float) -> str:
        with self._alone:
            fault = self._random.choice(faults) if self._random.random() < share else ""
            self.kinds[fault] += 1
            return fault

    def open_uploads(self, *given: Any) -> Any:
        return self._faulty(super().open_uploads, *given)

    def upload_parts(self, *given: Any, **named: Any) -> Any:
        return self._faulty(super().upload_parts, *given, **named)

    def complete_uploads(self, *given: Any) -> Any:
        return self._faulty(super().complete_uploads, *given)

    def abort_upload(self, *given: Any) -> Any:
        return self._faulty(super().abort_upload, *given)

    def _faulty(self, work: Any, *given: Any, **named: Any) -> Any:
        fault = self.pick(SERVICE_FAULTS, SHARE / 2)
        if fault == "busy":
            raise BusyError("The service is busy", "Try again later.")
        if fault == "offline":
            raise OfflineError("Could not connect")
        answer = work(*given, **named)
        if fault == "answer lost":
            raise OfflineError("No answer")
        return answer

    def _complete(self, item: CompleteItem) -> CompleteResult:
        upload = self.uploads[item.upload_id]
        if upload.outcome != "multipart" or upload.state == "done":
            return super()._complete(item)
        fault = self.pick(COMPLETE_FAULTS, SHARE)
        if fault == "pending":
            return CompleteResult(item.upload_id, "pending")
        if fault:
            self.world.begun_anew[upload.intent.node_id] += 1
            if fault == "upload gone":
                self.s3.parts.pop(item.upload_id, None)
            # A 409 of S3 leaves the parts where they are: giving them up is the client's to ask.
            return CompleteResult(item.upload_id, "problem", problem=problem("upload-lost"))
        return super()._complete(item)


class FaultyFile:
    """A file on a disk that cannot always be read."""

    def __init__(self, file: Any, disk: FaultyDisk) -> None:
        self._file = file
        self._disk = disk

    def read(self, size: int) -> Any:
        self._disk.maybe_fail()
        return self._file.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class FaultyDisk:
    """In the place of `os` where files are read."""

    def __init__(self, seed: int) -> None:
        self.share = 0.01
        self._random = random.Random(seed)
        self._alone = threading.Lock()
        self.failed = 0

    def maybe_fail(self) -> None:
        with self._alone:
            if self._random.random() < self.share:
                self.failed += 1
                raise OSError(errno.EIO, "Input/output error")

    def fdopen(self, *given: Any, **named: Any) -> Any:
        return FaultyFile(os.fdopen(*given, **named), self)

    def read(self, handle: int, size: int) -> bytes:
        self.maybe_fail()
        return os.read(handle, size)

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)


class Faulty(World):
    def __init__(self, folder: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(folder)
        self.random = random.Random(seed)
        self.service = FaultyService(self)
        self.failed: Counter[str] = Counter()
        """How often an upload had failed: that cuts off its other parts on the wire, which are sent again."""
        self.slow: Counter[str] = Counter()
        """Requests for which the machine was too slow: the client had given up though nothing was wrong."""
        self.begun_anew: Counter[str] = Counter()
        """By node: what makes a client send it under another upload."""
        self.may_be: set[bytes] = set()
        """What the file that changes midway may have become."""
        self.downloads_failed = 0
        """As a whole, or because the machine was too slow."""
        self.disk = FaultyDisk(seed)
        self.proxy = FaultyProxy(self.s3.url, seed, share=SHARE, name_of=self.name_of)
        self.proxy.lose = self.lose
        self.s3.public = self.proxy.url
        monkeypatch.setattr("satchel.transfer.local.os", self.disk)
        # Quiet soon, and a download as impatient as an upload is told to be.
        monkeypatch.setattr("satchel.transfer.line.QUIET_S", 0.05)
        monkeypatch.setattr("satchel.transfer.prepare.QUIET_S", 0.05)
        monkeypatch.setitem(Wire.__init__.__kwdefaults__, "reply_timeout", TIMEOUT_S)
        self.service.part, self.service.multipart_from = PART, LARGE_FROM
        monkeypatch.setattr("satchel.transfer.prepare.MULTIPART_FROM", LARGE_FROM)
        monkeypatch.setitem(download.__globals__, "RANGES_FROM", LARGE_FROM)
        monkeypatch.setattr("satchel.transfer.ranges.RANGE", RANGE)
        monkeypatch.setattr("satchel.transfer.drive.plan", partial(plan, bounds=Bounds(PART, 2 * PART, 32 * PART)))
        monkeypatch.setattr("satchel.transfer.delta._AVERAGES", (CHUNK,))
        unreachable = Outcome.unreachable

        def noted(outcome: Outcome, stretch: Any, ticket: int, error: UnreachableError) -> None:
            if str(error) == "No answer":
                self.slow[f"{stretch.upload_id}/{stretch.part}"] += 1
            unreachable(outcome, stretch, ticket, error)

        def noted_of_ranges(ranges: Ranges, title: str) -> None:
            self.downloads_failed += title == "No answer"
            failed(ranges, title)

        failed = Ranges._failed
        monkeypatch.setattr(Outcome, "unreachable", noted)
        monkeypatch.setattr(Ranges, "_failed", noted_of_ranges)

    def name_of(self, path: str) -> str:
        """Upload and part of an address; path and range of a download."""
        mark = parse_qs(urlsplit(path).query).get("sig", [""])[0]
        signed = self.s3.signatures.get(mark)
        return f"{signed.upload_id}/{signed.part}" if signed else path

    def lose(self, path: str) -> bool:
        upload_id, _, part = self.name_of(path).partition("/")
        if part in ("", "0") or self.s3.parts.pop(upload_id, None) is None:
            return False
        self.begun_anew[self.service.uploads[upload_id].intent.node_id] += 1
        return True

    def close(self) -> None:
        super().close()
        self.proxy.close()

    def until_done(self, uploader: Uploader, ticket: Ticket) -> Node:
        """As a patient person would: who is told that it failed presses Retry."""
        for _ in range(100):
            try:
                return ticket.done.result(60)
            except SatchelError as error:
                assert error.message, "a failure says what to do"  # noqa: PT017 - and it is retried
                if "clock" in error.title:
                    assert "60 minutes ahead" in error.message  # noqa: PT017
                upload = uploader._ledger.find(ticket.upload_id)
                assert upload is not None
                self.failed[upload.id] += 1
                uploader.retry(ticket.upload_id)
        raise AssertionError("it fails again and again")

    def change_midway(self, request: UploadRequest) -> None:
        """A program writes the file anew while it is sent."""
        kind, number = self.random.choice(CHANGES), self.random.randrange(1, 30)
        path = Path(request.path)
        before, stamp = path.read_bytes(), path.stat()
        after = self.random.randbytes(len(before) + 4321 * (kind == "size"))
        self.may_be = {before}

        def change(at: int) -> None:
            if at != number:
                return
            beside = path.with_name("beside")
            beside.write_bytes(after)
            if kind == "digest":
                os.utime(beside, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
            beside.replace(path)
            # Nobody can know of other bytes that were never read again, nor of what happens after the last look.
            unknown = kind == "digest" or self.arrived(request.node_id, len(before))
            self.may_be = {before, after} if unknown else {after}
            # It is found out, and perhaps once more if some of it was read and some was not.
            self.begun_anew[request.node_id] += 2

        self.proxy.on_put = change

    def arrived(self, node_id: str, size: int) -> bool:
        """Whether S3 has all bytes of a node that has this size."""
        ids = [upload_id for upload_id, one in list(self.service.uploads.items()) if one.intent.node_id == node_id]
        parts = [list(self.s3.parts.get(upload_id, {}).values()) for upload_id in ids]
        return any(upload_id in self.s3.objects for upload_id in ids) or any(
            sum(len(content) for content, _ in several if isinstance(content, bytes)) == size for several in parts
        )

    def orphans_in_the_end(self) -> list[str]:
        """What was given up is told to the service in the background."""
        end = time.monotonic() + 20
        while (left := self.open_uploads()) and time.monotonic() < end:
            time.sleep(0.01)
        return left

    def open_uploads(self) -> list[str]:
        return [at for at, upload in self.service.uploads.items() if upload.state not in ("done", "aborted")]

    def fetch(self, name: str, content: bytes) -> None:
        path, dest = f"/d/{name}", self.folder / name
        self.s3.downloads[path] = content
        revision = Revision("1" * 32, len(content), 0, hashlib.sha256(content).hexdigest(), True)
        node = Node("n", "root", name, "file", 1, revision)
        for _ in range(100):
            try:
                download(
                    lambda: ContentSource(f"{self.proxy.url}{path}", node),
                    dest,
                    clock=SystemClock(),
                    ids=self.ids,
                    backoff=QUICK,
                )
            except SatchelError as error:
                assert not dest.exists(), "what is not whole has no name yet"
                if "clock" in error.title:
                    assert "60 minutes ahead" in error.message  # noqa: PT017
                self.downloads_failed += 1
            else:
                assert dest.read_bytes() == content
                return
        raise AssertionError("it fails again and again")

    def assert_nothing_was_sent_without_need(self) -> None:
        for (upload_id, part), times in Counter(self.s3.wire).items():
            name = f"{upload_id}/{part}"
            explained = self.proxy.spoiled[name] + self.slow[name] + self.failed[upload_id]
            assert times <= 1 + explained, f"part {part} was sent {times} times"
        for (upload_id, part), times in Counter(self.s3.copied).items():
            name = f"{upload_id}/{part}"
            explained = self.proxy.spoiled[name] + self.slow[name] + self.failed[upload_id]
            assert times <= 1 + explained, f"part {part} was copied {times} times"
        for (path, wanted), times in Counter(self.s3.asked).items():
            explained = self.proxy.spoiled[f"{path}#{wanted or ''}"] + self.downloads_failed
            assert times <= 1 + explained, f"{wanted} of {path} was fetched {times} times"


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_fails_the_bytes_arrive_and_nothing_is_left_over(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = Faulty(tmp_path, seed, monkeypatch)
    try:
        sizes = [0, 1, 3 * PART + 17 + PART // 2, 400_000, *(world.random.randrange(1, 90_000) for _ in range(12))]
        paths = [world.file(f"{seed}-{number}", size) for number, size in enumerate(sizes)]
        watched = world.file("watched", 6 * PART)
        changing = world.file("changing", world.random.choice([PART, 4 * PART]))
        first = world.request(watched, origin="root")
        second = world.request(changing)
        world.change_midway(second)
        uploader = world.start(backoff=QUICK, send_timeout=TIMEOUT_S, reply_timeout=TIMEOUT_S)
        fetched = {"small": 70_000, "middle": 900_000, "large": 4 * RANGE + 5}
        with ThreadPoolExecutor(3) as others:
            fetching = [
                others.submit(world.fetch, name, world.random.randbytes(size)) for name, size in fetched.items()
            ]
            tickets = uploader.submit_all([first, second, *(world.request(path) for path in paths)])
            node, *_ = [world.until_done(uploader, ticket) for ticket in tickets]
            for one in fetching:
                one.result()

        # What comes next is compared with what is there: copied as far as it can be, or there already.
        content = watched.read_bytes()
        watched.write_bytes(content[: 3 * PART] + world.random.randbytes(10_000) + content[3 * PART + 10_000 :])
        assert node.revision is not None
        later = world.request(watched, origin="root", node_id=node.node_id, base_revision=node.revision.revision_id)
        twin = tmp_path / "twin"
        twin.write_bytes(paths[2].read_bytes())
        world.service.held_sha.add(hashlib.sha256(twin.read_bytes()).hexdigest())
        for ticket in uploader.submit_all([later, same := world.request(twin)]):
            world.until_done(uploader, ticket)

        assert not world.orphans_in_the_end()
        uploads = Counter(upload.intent.node_id for upload in world.service.uploads.values())
        for node_id, times in uploads.items():
            assert times <= 1 + world.begun_anew[node_id] + (node_id == node.node_id), "begun anew without need"
        latest = {node_id: world.s3.objects.get(upload_id) for node_id, upload_id in world.service.latest.items()}
        assert latest.pop(same.node_id) is None, "it was there already"
        assert any(intent.part_sizes for intent in world.service.intents), "some was to be copied"
        became = latest.pop(second.node_id)
        assert became in world.may_be
        assert latest.pop(node.node_id) == watched.read_bytes()
        assert Counter(latest.values()) == Counter(path.read_bytes() for path in paths)
        world.assert_nothing_was_sent_without_need()
    finally:
        world.close()


def test_every_fault_has_its_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the seeds above would prove less than they seem to."""
    world = Faulty(tmp_path, 7, monkeypatch)
    try:
        world.proxy.lose = lambda _path: True
        for _ in range(3000):
            for faults in (PUT_FAULTS, COPY_FAULTS, GET_FAULTS):
                world.proxy.pick("/any", faults)
            world.service.pick(SERVICE_FAULTS, SHARE)
            world.service.pick(COMPLETE_FAULTS, SHARE)
        assert set(world.proxy.kinds) == {*PUT_FAULTS, *COPY_FAULTS, *GET_FAULTS}
        assert set(world.service.kinds) == {*SERVICE_FAULTS, *COMPLETE_FAULTS, ""}
        path = world.file("f", 10)
        world.disk.share = 1.0
        with pytest.raises(LocalFileError, match="Input/output error"):
            read_small(str(path), stamp_of(str(path)))
    finally:
        world.close()
