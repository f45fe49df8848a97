from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from integration.transfer.conftest import World
from satchel.core.errors import CancelledError, DigestError, LocalFileError, OfflineError, SatchelError
from satchel.core.model import ContentSource, Node, Revision
from satchel.core.ports import SystemClock, SystemIds
from satchel.transfer import download
from satchel.transfer.backoff import Backoff
from satchel.transfer.limits import Limit
from satchel.transfer.ranges import RANGE, RANGES_FROM

SIZE = 4 * RANGE + 12345
CONTENT = random.Random(1).randbytes(SIZE)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def source_of(url: str, **changes: Any) -> ContentSource:
    revision = replace(Revision("a" * 32, SIZE, 1_700_000_000_000, SHA256, True), **changes)
    return ContentSource(f"{url}/o?sig=1", Node("b" * 32, "root", "file.bin", "file", 1, revision))


@pytest.fixture
def source(world: World) -> ContentSource:
    world.s3.downloads["/o"] = CONTENT
    return source_of(world.s3.url)


def fetch(source: ContentSource, dest: Path, **options: Any) -> Path:
    fast = Backoff(first=0.005, longest=0.02)
    return download(lambda: source, dest, clock=SystemClock(), ids=SystemIds(), backoff=fast, **options)


def served(world: World) -> list[int]:
    """Numbers of the ranges that were asked for."""
    return sorted(int(one.removeprefix("bytes=").partition("-")[0]) // RANGE for one in world.s3.ranges if one)


def test_a_large_file_comes_in_ranges_over_several_connections(
    world: World, source: ContentSource, tmp_path: Path
) -> None:
    world.s3.get_delay = 0.1
    assert fetch(source, tmp_path / "f").read_bytes() == CONTENT
    assert served(world) == [0, 1, 2, 3, 4]
    assert world.s3.connections >= 3
    assert (tmp_path / "f").stat().st_mtime == 1_700_000_000
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_a_file_below_the_threshold_comes_in_one_stream(world: World, tmp_path: Path) -> None:
    content = CONTENT[: RANGES_FROM - 1]
    world.s3.downloads["/o"] = content
    small = source_of(world.s3.url, size=len(content), sha256=hashlib.sha256(content).hexdigest())
    assert fetch(small, tmp_path / "f").read_bytes() == content
    assert world.s3.ranges == [None]


def test_a_later_call_fetches_only_the_ranges_that_miss(world: World, source: ContentSource, tmp_path: Path) -> None:
    world.s3.fail_range = 2
    with pytest.raises(OfflineError, match="is kept"):
        fetch(source, tmp_path / "f", tries=10)  # so many that all others have come before the last
    assert not (tmp_path / "f").exists()
    world.s3.fail_range = None
    world.s3.ranges.clear()
    assert fetch(source, tmp_path / "f").read_bytes() == CONTENT
    assert served(world) == [2]
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


@pytest.mark.parametrize("fault", ["cut", "403", "503", "portal", "reset"])
def test_a_range_that_fails_is_asked_for_again(world: World, source: ContentSource, tmp_path: Path, fault: str) -> None:
    world.s3.fail(fault, times=4)
    assert fetch(source, tmp_path / "f").read_bytes() == CONTENT


def test_an_expired_address_is_asked_for_anew_once_for_all(world: World, source: ContentSource, tmp_path: Path) -> None:
    asked: list[ContentSource] = []

    def again() -> ContentSource:
        asked.append(source)
        return source

    world.s3.get_delay = 0.05
    world.s3.fail("403", times=4)
    download(again, tmp_path / "f", clock=SystemClock(), ids=SystemIds(), backoff=Backoff(0.005, 0.02))
    assert 2 <= len(asked) <= 5
    assert (tmp_path / "f").read_bytes() == CONTENT


def test_a_server_that_knows_no_ranges_hands_it_out_as_a_whole(
    world: World, source: ContentSource, tmp_path: Path
) -> None:
    world.s3.whole_only = True
    assert fetch(source, tmp_path / "f").read_bytes() == CONTENT
    assert [path.name for path in tmp_path.iterdir()] == ["f"]


def test_other_content_in_the_middle_is_never_mixed_in(world: World, tmp_path: Path) -> None:
    other = CONTENT[::-1]
    sources = [source_of(world.s3.url), source_of(world.s3.url, revision_id="c" * 32, sha256=None)]
    world.s3.downloads["/o"] = CONTENT
    world.s3.replace_after(2, other, '"v2"')

    def fetch_source() -> ContentSource:
        return sources[1] if world.s3.downloads["/o"] is other else sources[0]

    download(fetch_source, tmp_path / "f", clock=SystemClock(), ids=SystemIds(), backoff=Backoff(0.005, 0.02))
    assert (tmp_path / "f").read_bytes() == other


def test_damaged_bytes_never_get_the_files_name(world: World, source: ContentSource, tmp_path: Path) -> None:
    world.s3.downloads["/o"] = CONTENT[:-1] + b"?"
    with pytest.raises(DigestError):
        fetch(source, tmp_path / "f")
    assert list(tmp_path.iterdir()) == []


def test_what_a_power_cut_made_of_an_earlier_run_is_fetched_once_more(
    world: World, source: ContentSource, tmp_path: Path
) -> None:
    world.s3.fail_range = 4
    with pytest.raises(OfflineError):
        fetch(source, tmp_path / "f", tries=2)
    world.s3.fail_range = None
    [kept] = tmp_path.glob("*.ranges")
    with kept.open("r+b") as file:
        file.write(b"\0" * 1000)
    assert fetch(source, tmp_path / "f").read_bytes() == CONTENT


def test_a_list_that_is_none_is_not_believed(world: World, source: ContentSource, tmp_path: Path) -> None:
    world.s3.fail_range = 4
    with pytest.raises(OfflineError):
        fetch(source, tmp_path / "f", tries=2)
    world.s3.fail_range = None
    [listed] = tmp_path.glob("*.list")
    listed.write_bytes(b"\xff\x00 no list\n7\n")
    assert fetch(source, tmp_path / "f").read_bytes() == CONTENT


@pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege there")
def test_a_link_in_the_way_leads_the_bytes_nowhere_else(world: World, source: ContentSource, tmp_path: Path) -> None:
    world.s3.fail_range = 0
    with pytest.raises(OfflineError):
        fetch(source, tmp_path / "f", tries=1)
    world.s3.fail_range = None
    precious = tmp_path / "precious"
    for kept in [*tmp_path.glob("*.ranges"), *tmp_path.glob("*.list")]:
        kept.unlink()
        precious.write_text("mine")
        kept.symlink_to(precious)
    try:
        fetch(source, tmp_path / "f")
    except LocalFileError:
        assert not (tmp_path / "f").exists()
    assert precious.read_text() == "mine"


def test_cancelling_stops_all_connections_and_keeps_what_came(
    world: World, source: ContentSource, tmp_path: Path
) -> None:
    world.s3.fail_range = 3
    seen: list[int] = []
    with pytest.raises(CancelledError):
        fetch(
            source,
            tmp_path / "f",
            tries=1000,
            on_progress=lambda got, _size: seen.append(got),
            stopped=lambda: bool(seen) and seen[-1] >= 2 * RANGE,
        )
    assert not (tmp_path / "f").exists()
    assert list(tmp_path.glob("*.ranges"))


def test_progress_counts_every_byte_once(world: World, source: ContentSource, tmp_path: Path) -> None:
    seen: list[int] = []
    fetch(source, tmp_path / "f", on_progress=lambda got, _size: seen.append(got))
    assert seen == sorted(seen)
    assert seen[-1] == SIZE


def test_what_the_service_says_ends_it(world: World, source: ContentSource, tmp_path: Path) -> None:
    del world.s3.downloads["/o"]
    with pytest.raises(SatchelError, match="gone"):
        fetch(source, tmp_path / "f")


def test_ranges_keep_to_the_limit_together(world: World, source: ContentSource, tmp_path: Path) -> None:
    began = time.monotonic()
    fetch(source, tmp_path / "f", limit=Limit(SystemClock(), SIZE))
    assert time.monotonic() - began > 0.8


@pytest.mark.skipif(sys.platform == "win32", reason="nobody is killed like that there")
def test_whenever_it_is_killed_the_next_run_goes_on_and_the_bytes_are_right(world: World, tmp_path: Path) -> None:
    world.s3.downloads["/o"] = CONTENT
    dest = tmp_path / "f"
    code = (
        "import sys; sys.path[:0] = sys.argv[3].split(':')\n"
        "from pathlib import Path\n"
        "from integration.transfer.test_fetching_in_ranges import fetch, source_of\n"
        "from satchel.transfer.limits import Limit\n"
        "from satchel.core.ports import SystemClock\n"
        "print('ready', flush=True)\n"
        "fetch(source_of(sys.argv[1]), Path(sys.argv[2]), limit=Limit(SystemClock(), 40_000_000))\n"
    )
    pick = random.Random(3)
    killed = 0
    for _ in range(10):
        child = subprocess.Popen(
            [sys.executable, "-c", code, world.s3.url, str(dest), ":".join(sys.path)], stdout=subprocess.PIPE
        )
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(pick.uniform(0.0, 0.8))
        os.kill(child.pid, signal.SIGKILL)
        killed += child.wait() == -signal.SIGKILL
        child.stdout.close()
        assert not dest.exists() or dest.read_bytes() == CONTENT
    missing = 5
    for listed in tmp_path.glob("*.list"):
        missing = 5 - len(set(listed.read_text().split("\n")[1:-1]))
    world.s3.ranges.clear()
    if not dest.exists():
        fetch(source_of(world.s3.url), dest)
        assert len(served(world)) == missing, "it went on rather than began again"
    assert killed
    assert dest.read_bytes() == CONTENT
