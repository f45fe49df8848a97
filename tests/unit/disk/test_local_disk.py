from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from ordinary_user import as_ordinary_user
from satchel.core.errors import LocalFileError
from satchel.disk import LocalDisk, read_marker, write_marker
from satchel.disk.ignore import ignored


@pytest.fixture
def disk(tmp_path):
    return LocalDisk(tmp_path)


def names(listing):
    return sorted(entry.name for entry in listing.entries)


def test_files_and_folders_are_listed_with_their_facts(tmp_path, disk):
    (tmp_path / "a.txt").write_bytes(b"12345")
    (tmp_path / "sub").mkdir()
    listing = disk.list("")
    entries = {entry.name: entry for entry in listing.entries}
    facts = (tmp_path / "a.txt").stat()
    assert entries["a.txt"] == ("a.txt", "file", 5, facts.st_mtime_ns, facts.st_ino)
    assert entries["sub"].kind == "folder"
    assert disk.stat("a.txt") == entries["a.txt"]


def test_links_and_special_files_are_held_with_a_reason_and_never_followed(tmp_path, disk):
    outside = tmp_path.parent / f"{tmp_path.name}-outside"
    outside.mkdir()
    (tmp_path / "link").symlink_to(outside)
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as door:
        os.chdir(tmp_path)  # a socket's path must be short
        door.bind("door")
        os.chdir("/")
        listing = disk.list("")
    assert names(listing) == []
    assert sorted(held.path for held in listing.held) == ["door", "link", "pipe"]
    assert all(held.reason and held.remedy for held in listing.held)
    assert disk.list("link") is None
    assert not disk.reaches("link")


@pytest.mark.skipif(os.name != "posix", reason="bytes as names are Linux's")
def test_a_name_that_is_not_text_is_held_and_can_be_shown(tmp_path, disk):
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.txt")).write_text("")
    (tmp_path / "new\nline").write_text("")
    listing = disk.list("")
    assert names(listing) == ["new\nline"]
    assert [held.path for held in listing.held] == ["bad�.txt"]


def test_an_unreadable_folder_is_an_error_and_not_an_empty_folder(tmp_path, disk):
    (tmp_path / "closed").mkdir(mode=0)
    with as_ordinary_user(), pytest.raises(LocalFileError, match="may not be read"):
        disk.list("closed")


def test_a_folder_that_is_gone_is_none(disk):
    assert disk.list("gone") is None
    assert disk.stat("gone") is None
    assert not disk.reaches("gone/deeper")
    assert disk.reaches("")


@pytest.mark.parametrize(
    "name", [".DS_Store", "~$report.docx", "film.crdownload", "x.part", ".satchel", "Thumbs.db", ".~lock.a.odt#"]
)
def test_leavings_and_partial_downloads_are_ignored(name):
    assert ignored(name)


@pytest.mark.parametrize("name", ["report.docx", "party.txt", ".hidden", "satchel", "x.tmp", "apartment"])
def test_what_is_a_persons_is_not_ignored(name):
    assert not ignored(name)


def test_the_marker_tells_which_folder_this_is(tmp_path, disk):
    assert disk.root_id() is None
    write_marker(tmp_path, "abc")
    assert disk.root_id() == read_marker(tmp_path) == "abc"
    assert names(disk.list("")) == []


def test_a_digest_of_a_missing_file_is_an_error_for_people(tmp_path, disk):
    (tmp_path / "a").write_bytes(b"abc")
    assert disk.sha256("a").startswith("ba7816bf")
    with pytest.raises(LocalFileError):
        disk.sha256("gone")


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there, and there are no pipes")
def test_what_took_a_file_s_place_is_neither_followed_nor_waited_for(tmp_path, disk):
    (tmp_path / "file").write_text("private")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "pipe"):
        with pytest.raises(LocalFileError):
            disk.sha256(name)
