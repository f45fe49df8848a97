from __future__ import annotations

import pytest

from satchel.core.errors import FileChangedError, LocalFileError, PlaceTakenError

from .disk import SimDisk
from .loop import SimLoop


def disk(kind="cased"):
    loop = SimLoop()
    loop.close()
    return SimDisk(loop, "r" * 32, kind)


def test_a_caseless_disk_takes_two_spellings_for_one_and_keeps_the_first():
    one = disk("caseless")
    one.write("Folder/a", b"1")
    one.write("folder/A", b"2")
    assert one.files() == {"Folder/a": b"2"}
    one.rename("FOLDER", "folder")
    assert one.files() == {"folder/a": b"2"}
    assert one.list("FoLdEr").entries[0].name == "a"


def test_an_old_mac_writes_names_decomposed():
    one = disk("decomposing")
    one.write("Caf\u00e9/a", b"1")
    assert list(one.nodes) == ["Cafe\u0301", "Cafe\u0301/a"]
    assert one.stat("Caf\u00e9/a").size == 1
    one.rename("Caf\u00e9", "x")
    assert one.files() == {"x/a": b"1"}


def test_inodes_are_given_out_again_at_once():
    one = disk()
    one.write("a", b"1")
    number = one.stat("a").file_id
    one.delete("a")
    one.write("b", b"2")
    assert one.stat("b").file_id == number


def test_what_changes_between_look_and_trash_is_put_back():
    one = disk()
    one.write("a", b"1")
    planned = one.stat("a")
    one.between = lambda: one.nodes and "a" in one.nodes and one.write("a", b"other")
    with pytest.raises(FileChangedError):
        one.trash("a", planned)
    assert one.files() == {"a": b"other"}
    assert one.trashed == []


def test_what_is_put_back_is_in_its_folder_wherever_that_is_by_now():
    found = disk()
    found.write("f/a", b"one")
    planned = found.stat("f/a")
    meanwhile = [lambda: found.rename("f", "g"), lambda: found.write("f/a", b"saved")]
    found.between = lambda: meanwhile and meanwhile.pop()()
    with pytest.raises(FileChangedError):
        found.trash("f/a", planned)
    assert found.tree() == {"g": None, "g/a": b"saved"}


def test_what_takes_the_place_meanwhile_is_not_replaced():
    one = disk()
    partial = one.partial("p")
    one.fill(partial, b"fetched", 5)
    one.write("a", b"1")
    with pytest.raises(PlaceTakenError):
        one.place(partial, "a", None)
    planned = one.stat("a")
    steps = []

    def between():
        steps.append(1)
        if "a" not in one.nodes and len(steps) > 2:
            one.write("a", b"new")

    one.between = between
    with pytest.raises(PlaceTakenError):
        one.place(partial, "a", planned)
    assert one.files() == {"a": b"new"}
    assert one.kept() == {b"1", b"new"}


def test_a_folder_is_set_aside_with_all_in_it_and_brought_back():
    one = disk()
    one.write("x/y/a", b"1")
    one.set_aside("x", "key")
    assert (dict(one.nodes), one.aside()["key"].name) == ({}, "x")
    one.bring_back("key", "z")
    assert one.files() == {"z/y/a": b"1"}


def test_a_full_disk_and_a_locked_folder_refuse():
    one = disk()
    one.mkdirs("x")
    one.full, one.unreadable = True, {"x"}
    for refused in (lambda: one.make_folder("y"), lambda: one.fill("/disk/p", b"1", 1), lambda: one.list("x")):
        with pytest.raises(LocalFileError):
            refused()


def test_a_disk_that_is_taken_away_is_empty_until_it_is_back():
    one = disk()
    one.write("a", b"1")
    one.unmount()
    assert (one.root_id(), one.list("").entries) == (None, ())
    one.mount("r" * 32)
    assert (one.root_id(), one.files()) == ("r" * 32, {"a": b"1"})
