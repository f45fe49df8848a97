from __future__ import annotations

import contextlib
import hashlib
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from integration.transfer.conftest import World
from integration.transfer.test_sending_files import SkippingClock
from satchel.core.errors import CancelledError, DigestError, LocalFileError, OfflineError, SatchelError
from satchel.core.model import ContentSource, Node, Revision
from satchel.core.ports import SystemClock, SystemIds
from satchel.transfer import Limit, download, safe_child
from satchel.transfer.backoff import Backoff
from satchel.transfer.ranges import RANGES_FROM

CONTENT = bytes(range(256)) * 8192  # 2 MiB


@pytest.fixture
def source(world: World) -> ContentSource:
    world.s3.downloads["/o"] = CONTENT
    revision = Revision("a" * 32, len(CONTENT), 1_700_000_000_000, hashlib.sha256(CONTENT).hexdigest(), True)
    return ContentSource(f"{world.s3.url}/o?sig=1", Node("b" * 32, "root", "file.bin", "file", 1, revision))


def fetch(source: ContentSource, dest: Path, **options: Any) -> Path:
    fast = Backoff(first=0.01, longest=0.02)
    return download(lambda: source, dest, clock=SystemClock(), ids=SystemIds(), backoff=fast, **options)


def test_a_file_is_fetched_whole_with_its_time(source: ContentSource, tmp_path: Path) -> None:
    dest = fetch(source, tmp_path / "file.bin")
    assert dest.read_bytes() == CONTENT
    assert dest.stat().st_mtime == 1_700_000_000
    assert [path.name for path in tmp_path.iterdir()] == ["file.bin"]


def test_a_broken_download_goes_on_where_it_broke(world: World, source: ContentSource, tmp_path: Path) -> None:
    world.s3.fail("cut", times=2)
    assert fetch(source, tmp_path / "f").read_bytes() == CONTENT
    assert world.s3.ranges == [None, "bytes=1048576-", "bytes=1572864-"]


def test_a_later_call_goes_on_with_what_was_fetched(world: World, source: ContentSource, tmp_path: Path) -> None:
    world.s3.fail("cut")
    world.s3.fail("403", times=1000)
    with pytest.raises(OfflineError, match="is kept"):
        fetch(source, tmp_path / "f", tries=2)
    assert not (tmp_path / "f").exists()
    world.s3.faults.clear()
    assert fetch(source, tmp_path / "f").read_bytes() == CONTENT
    assert world.s3.ranges[-1] == "bytes=1048576-"


def test_damaged_bytes_never_get_the_files_name(world: World, source: ContentSource, tmp_path: Path) -> None:
    world.s3.downloads["/o"] = CONTENT[:-1] + b"?"
    with pytest.raises(DigestError):
        fetch(source, tmp_path / "f")
    assert list(tmp_path.iterdir()) == []


def test_content_of_another_size_is_not_taken(world: World, source: ContentSource, tmp_path: Path) -> None:
    world.s3.downloads["/o"] = CONTENT[:-1]
    with pytest.raises(OfflineError):
        fetch(source, tmp_path / "f", tries=3)
    assert not (tmp_path / "f").exists()


def test_a_file_that_is_there_stays_unless_forced(source: ContentSource, tmp_path: Path) -> None:
    (tmp_path / "f").write_text("mine")
    with pytest.raises(LocalFileError):
        fetch(source, tmp_path / "f")
    assert (tmp_path / "f").read_text() == "mine"
    fetch(source, tmp_path / "f", force=True)
    assert (tmp_path / "f").read_bytes() == CONTENT


def test_a_file_that_appears_meanwhile_stays(source: ContentSource, tmp_path: Path) -> None:
    dest = tmp_path / "f"

    def appear(got: int, size: int) -> None:
        dest.write_text("mine")

    with pytest.raises(LocalFileError):
        fetch(source, dest, on_progress=appear)
    assert dest.read_text() == "mine"


def test_a_download_can_be_stopped(source: ContentSource, tmp_path: Path) -> None:
    with pytest.raises(CancelledError):
        fetch(source, tmp_path / "f", stopped=lambda: True)
    assert not (tmp_path / "f").exists()


def test_an_empty_file_and_a_name_of_255_bytes(source: ContentSource, tmp_path: Path) -> None:
    empty = replace(source, node=replace(source.node, revision=Revision("c" * 32, 0, 0)))
    assert fetch(empty, tmp_path / ("n" * 255)).read_bytes() == b""


def test_a_folder_that_is_not_there_is_told(source: ContentSource, tmp_path: Path) -> None:
    with pytest.raises(LocalFileError):
        fetch(source, tmp_path / "no" / "f")


@pytest.mark.parametrize("name", ["..", ".", "", "a/b", "/etc/passwd", "nul\0"])
def test_no_remote_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(LocalFileError):
        safe_child(tmp_path, name)


def test_ordinary_names_are_kept(tmp_path: Path) -> None:
    assert safe_child(tmp_path, "..a é\n").name == "..a é\n"


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_link_laid_where_the_bytes_are_gathered_is_not_followed(
    world: World, source: ContentSource, tmp_path: Path
) -> None:
    world.s3.fail("403", times=1000)
    with pytest.raises(OfflineError):
        fetch(source, tmp_path / "f", tries=1)
    (part,) = tmp_path.iterdir()
    part.unlink()
    part.symlink_to(tmp_path / "elsewhere")
    world.s3.faults.clear()
    with pytest.raises(LocalFileError):
        fetch(source, tmp_path / "f")
    assert not (tmp_path / "elsewhere").exists()


def test_a_page_of_no_said_length_is_not_taken_for_the_file(
    world: World, source: ContentSource, tmp_path: Path
) -> None:
    unverified = replace(source, node=replace(source.node, revision=Revision("a" * 32, len(CONTENT), 0)))
    world.s3.fail("portal-in-chunks")
    assert fetch(unverified, tmp_path / "f").read_bytes() == CONTENT


@pytest.mark.parametrize("size", [len(CONTENT), RANGES_FROM])
def test_a_wrong_clock_is_told_with_its_offset(world: World, tmp_path: Path, size: int) -> None:
    world.s3.downloads["/o"] = bytes(size)
    world.s3.fail("skew", times=100)
    source = ContentSource(f"{world.s3.url}/o", Node("b" * 32, "root", "f", "file", 1, Revision("a" * 32, size, 0)))
    with pytest.raises(SatchelError, match="30 minutes ahead"):
        fetch(source, tmp_path / "f")


@pytest.mark.parametrize("size", [12_000_000, RANGES_FROM])
@pytest.mark.parametrize("rate", [30_000, 1_000_000])
def test_what_comes_in_ten_seconds_is_within_a_twentieth_of_the_limit(
    world: World, tmp_path: Path, size: int, rate: int
) -> None:
    clock = SkippingClock()
    counted: list[tuple[float, int]] = []
    lock = threading.Lock()

    class Counting(Limit):
        def take(self, size: int, stopped: Callable[[], bool] = lambda: False) -> None:
            super().take(size, stopped)
            with lock:
                counted.append((clock.monotonic(), size))

    limit = Counting(clock, rate)
    began = clock.monotonic()
    world.s3.downloads["/o"] = bytes(size)
    source = ContentSource(f"{world.s3.url}/o", Node("b" * 32, "root", "f", "file", 1, Revision("a" * 32, size, 0)))
    with contextlib.suppress(CancelledError):
        fetch(source, tmp_path / "f", limit=limit, stopped=lambda: clock.monotonic() - began > 10.5)
    came = sum(size for at, size in counted if at - began <= 10)
    assert came == pytest.approx(rate * 10, rel=0.05)


@pytest.mark.skipif(sys.platform == "win32", reason="there a file gets its name by renaming")
@pytest.mark.parametrize(("size", "which"), [(len(CONTENT), 1), (RANGES_FROM, 1), (RANGES_FROM, 2)])
def test_a_run_that_ended_between_the_name_and_clearing_away_is_ended(
    world: World, tmp_path: Path, size: int, which: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    world.s3.downloads["/o"] = bytes(size)
    source = ContentSource(f"{world.s3.url}/o", Node("b" * 32, "root", "f", "file", 1, Revision("a" * 32, size, 0)))
    dest = tmp_path / "f"
    unlink, asked = Path.unlink, 0

    def killed(path: Path, missing_ok: bool = False) -> None:
        nonlocal asked
        asked += dest.exists()
        if asked == which:
            raise Killed
        unlink(path, missing_ok)

    with monkeypatch.context() as dying:
        dying.setattr(Path, "unlink", killed)
        with pytest.raises(Killed):
            fetch(source, dest)
    assert dest.exists()
    assert len(list(tmp_path.iterdir())) > 1
    assert fetch(source, dest) == dest
    assert [path.name for path in tmp_path.iterdir()] == ["f"]
    with pytest.raises(LocalFileError):
        fetch(source, dest)
