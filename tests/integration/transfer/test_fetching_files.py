from __future__ import annotations

import hashlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from integration.transfer.conftest import World
from satchel.core.errors import CancelledError, DigestError, LocalFileError, OfflineError
from satchel.core.model import ContentSource, Node, Revision
from satchel.core.ports import SystemClock, SystemIds
from satchel.transfer import download, safe_child
from satchel.transfer.backoff import Backoff

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
