"""Choosing what of a two-way folder a computer has: left out here, kept everywhere else, and never a delete."""

from __future__ import annotations

import asyncio

import pytest

from satchel.core.errors import LocalFileError, UsageError
from sync_world import World
from two_way_world import Together


@pytest.fixture
def both():
    return Together()


def leave_out(computer, path):
    asyncio.run(computer.sync.leave_out(path))


def take_in(computer, path):
    asyncio.run(computer.sync.take_in(path))


@pytest.fixture
def films(both):
    """Two films in a folder beside a note, on both computers."""
    anna, _ = both
    anna.disk.write("films/a.mp4", "one")
    anna.disk.write("films/old/b.mp4", "two")
    anna.disk.write("note.txt", "three")
    both.settle()
    return both


def rounds(together, count=3):
    for _ in range(count):
        for computer in together:
            computer.run()


def test_what_is_left_out_goes_from_this_computer_only(films):
    anna, bob = films
    leave_out(bob, "films")
    rounds(films)
    assert set(bob.local()) == {"note.txt"}
    assert bob.disk.trashed() == [b"one", b"two"]
    assert (
        set(anna.local())
        == set(films.remote.tree())
        == {"films", "films/a.mp4", "films/old", "films/old/b.mp4", "note.txt"}
    )
    assert films.remote.count("trash") == 0
    assert bob.sync.status().state == "in_step"
    assert bob.sync.status().left_out == ("films",)


def test_a_power_cut_cannot_take_the_choice_back(films, monkeypatch):
    """Else what is left out would be missed, maybe under the name it had before."""
    _, bob = films
    done, trash, reach = [], bob.disk.trash, bob.journal.reach_the_disk
    monkeypatch.setattr(bob.journal, "reach_the_disk", lambda: (done.append("journal"), reach()))
    bob.disk.trash = lambda *asked: (done.append("trash"), trash(*asked))
    leave_out(bob, "note.txt")
    assert done == ["journal", "trash"]


def test_it_comes_back_as_it_is_by_then(films):
    anna, bob = films
    leave_out(bob, "films")
    rounds(films)
    anna.disk.write("films/a.mp4", "changed")
    anna.disk.rename("films/old/b.mp4", "films/c.mp4")
    rounds(films)
    assert set(bob.local()) == {"note.txt"}
    take_in(bob, "films")
    rounds(films)
    assert bob.local() == anna.local() == films.remote.tree()
    assert bob.sync.status().left_out == ()
    assert films.remote.count("trash") == 0


def test_what_was_never_here_can_be_left_out(both):
    anna, bob = both
    anna.disk.write("films/a.mp4", "one")
    anna.disk.write("note.txt", "two")
    anna.run()
    bob.downloads.refuse["a.mp4"] = LocalFileError("The disk is full")
    bob.run()
    leave_out(bob, "films/a.mp4")
    row = bob.run()
    assert (row.state, set(bob.local())) == ("in_step", {"films", "note.txt"})
    anna.run()
    assert set(both.remote.tree()) == {"films", "films/a.mp4", "note.txt"}


def test_a_line_of_a_person_does_the_same(films):
    anna, bob = films
    bob.disk.selection = b"*.mp4\n"
    rounds(films)
    assert set(bob.local()) == set(anna.local()), "what is here stays"
    bob.disk.delete("films/old/b.mp4")
    rounds(films)
    assert "films/old/b.mp4" in anna.local()
    bob.disk.selection = b""
    rounds(films)
    assert bob.local() == anna.local() == films.remote.tree(), "that it was gone was no delete"


@pytest.mark.parametrize("trouble", ["new", "changed", "deleted", "unreadable", "named twice"])
def test_what_is_not_all_online_is_refused_and_nothing_happens(films, trouble):
    _, bob = films
    match trouble:
        case "new":
            bob.disk.write("films/old/new.mp4", "new")
        case "changed":
            bob.disk.write("films/old/b.mp4", "changed")
        case "deleted":
            bob.disk.delete("films/old/b.mp4")
        case "unreadable":
            bob.disk.unreadable.add("films/old")
        case _:
            bob.disk.write("films/old/B.mp4", "new")
    before = bob.local()
    with pytest.raises(UsageError) as refused:
        leave_out(bob, "films")
    assert refused.value.path.startswith("films/old")
    assert (bob.disk.selection, bob.local(), bob.disk.trashed()) == (b"", before, [])


def test_what_was_just_moved_here_is_not_left_out_under_its_old_name(films):
    _, bob = films
    bob.disk.rename("films", "cinema")
    with pytest.raises(UsageError, match="moved or deleted here"):
        leave_out(bob, "films")
    assert set(films.settle()) == {"cinema", "cinema/a.mp4", "cinema/old", "cinema/old/b.mp4", "note.txt"}


def test_a_changed_file_is_not_left_out(films):
    _, bob = films
    bob.disk.write("note.txt", "changed")
    with pytest.raises(UsageError, match="Not all of it is online"):
        leave_out(bob, "note.txt")
    films.settle()
    leave_out(bob, "note.txt")
    rounds(films)
    assert "note.txt" not in bob.local()
    assert films.remote.tree()["note.txt"] == b"changed"


@pytest.mark.parametrize("path", ["nothing", "films/nothing", "note.txt/a"])
def test_what_is_nowhere_cannot_be_left_out(films, path):
    with pytest.raises(UsageError, match="nothing of this name online"):
        leave_out(films.computers[1], path)


def test_what_an_ignore_file_keeps_in_is_refused(films):
    anna, bob = films
    anna.disk.write(".satchelignore", "!films/\n")
    films.settle()
    with pytest.raises(UsageError, match="keeps this in"):
        leave_out(bob, "films")
    assert bob.disk.selection == b""
    assert "films/a.mp4" in bob.local()


def test_only_what_is_left_out_can_be_taken_in(films):
    with pytest.raises(UsageError, match="not left out"):
        take_in(films.computers[1], "films")


def test_an_upload_only_folder_leaves_nothing_out():
    world = World()
    world.disk.write("a.txt", "one")
    world.run()
    with pytest.raises(UsageError, match="only uploads"):
        asyncio.run(world.sync.leave_out("a.txt"))


def test_a_name_in_other_capitals_is_the_same(films):
    _, bob = films
    leave_out(bob, "FILMS")
    rounds(films)
    assert bob.sync.status().left_out == ("films",)
    take_in(bob, "Films")
    films.settle()


def test_a_crash_between_the_line_and_the_trash_loses_nothing(films):
    anna, bob = films
    bob.disk.leave_out("films")
    bob.start()
    rounds(films)
    assert set(bob.local()) == set(anna.local()), "left alone"
    bob.disk.delete("films")
    rounds(films)
    assert "films/a.mp4" in films.remote.tree()


def test_something_new_under_the_name_is_left_alone(films):
    anna, bob = films
    leave_out(bob, "films")
    rounds(films)
    bob.disk.write("films/mine.mp4", "mine")
    rounds(films)
    assert "films/mine.mp4" not in films.remote.tree()
    take_in(bob, "films")
    rounds(films)
    assert bob.local() == anna.local() == films.remote.tree()
    assert bob.local()["films/mine.mp4"] == b"mine"


def test_what_is_left_out_is_not_gone_through_again_and_again(films):
    anna, bob = films
    leave_out(bob, "films")
    rounds(films)
    tree = bob.journal.tree("r" * 32)
    assert tree.dirty() == []
    bob.start()  # a new process
    rounds(films)
    assert tree.dirty() == []
    anna.disk.write("films/new.mp4", "new")
    rounds(films)
    assert tree.dirty() == []
    take_in(bob, "films")
    assert films.settle()["films/new.mp4"] == b"new"
    assert bob.local() == anna.local()


def test_a_folder_that_is_deleted_elsewhere_is_forgotten_here(films):
    anna, bob = films
    leave_out(bob, "films")
    rounds(films)
    anna.disk.delete("films")
    films.computers[0].run()
    rounds(films)
    take_in(bob, "films")
    rounds(films)
    assert set(bob.local()) == set(films.remote.tree()) == {"note.txt"}


def test_folders_online_are_known_whether_they_are_here_or_not(films):
    _, bob = films
    leave_out(bob, "films")
    rounds(films)
    assert asyncio.run(bob.sync.folders_online()) == ("films",)


def test_what_took_the_place_of_a_file_of_the_same_size_and_time_is_no_copy_of_it(both):
    anna, bob = both
    anna.disk.write("a", "one")
    anna.disk.write("b", "two")
    both.settle()
    stamp = bob.disk.nodes["a"].mtime_ns
    bob.disk.delete("a")
    bob.disk.rename("b", "a")
    bob.disk.nodes["a"].mtime_ns = stamp
    with pytest.raises(UsageError, match="Not all of it is online"):
        leave_out(bob, "a")
    assert bob.disk.files() == {"a": b"two"}
