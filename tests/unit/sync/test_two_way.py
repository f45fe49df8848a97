"""What two computers with one two-way folder come to: each rule of ARCHITECTURE.md, "Two-way folders"."""

from __future__ import annotations

import asyncio
import functools
import math
import unicodedata
from dataclasses import replace

import pytest

from satchel.core.errors import LocalFileError, OfflineError
from satchel.core.model import Node
from satchel.core.names import here_problem
from satchel.disk import Hints
from satchel.journal import Tree
from two_way_world import ROOT, Together, exchange

COPY = "(conflicted copy of bob, 2023-11-14)"


@pytest.fixture
def both():
    return Together("anna", "bob")


def test_what_one_writes_the_other_gets(both):
    anna, bob = both
    anna.disk.write("deep/er/a.txt", "one")
    anna.disk.mkdirs("empty")
    assert both.settle() == {"deep": None, "deep/er": None, "deep/er/a.txt": b"one", "empty": None}
    assert bob.disk.nodes["deep/er/a.txt"].mtime_ns // 10**6 == anna.disk.nodes["deep/er/a.txt"].mtime_ns // 10**6


def test_an_edit_replaces_the_file_and_the_old_one_is_in_the_trash(both):
    anna, bob = both
    anna.disk.write("a.txt", "one")
    both.settle()
    node = both.remote.node("a.txt").node_id
    anna.disk.write("a.txt", "two")
    assert both.settle() == {"a.txt": b"two"}
    assert both.remote.node("a.txt").node_id == node
    assert b"one" in bob.disk.trashed()


def test_a_delete_goes_to_the_trash_on_both_sides(both):
    anna, bob = both
    anna.disk.write("f/a.txt", "one")
    both.settle()
    anna.disk.delete("f")
    assert both.settle() == {}
    assert b"one" in bob.disk.trashed()


def test_renames_and_moves_of_files_and_folders_send_and_fetch_nothing(both):
    anna, bob = both
    for number in range(5):
        anna.disk.write(f"old/{number}.txt", f"{number}")
    anna.disk.write("x.txt", "x")
    both.settle()
    sent, bob.downloads.fetched = both.remote.uploads, []
    anna.disk.rename("old", "other/new")
    bob.disk.rename("x.txt", "y.txt")
    tree = both.settle()
    assert set(tree) == {"other", "other/new", *(f"other/new/{n}.txt" for n in range(5)), "y.txt"}
    assert both.remote.uploads == sent
    assert bob.downloads.fetched == []


def test_a_move_of_which_only_the_goal_was_heard_of_is_a_move(both):
    anna, _ = both
    anna.disk.write("from/a.txt", "one")
    anna.disk.mkdirs("to")
    both.settle()
    node, sent = both.remote.node("from/a.txt").node_id, both.remote.uploads
    anna.disk.rename("from/a.txt", "to/a.txt")
    anna.sync._dirty, anna.sync._full = {"to"}, False
    anna.clock.time += 60
    asyncio.run(anna.sync._turn())
    assert both.remote.node("to/a.txt").node_id == node
    assert both.remote.uploads == sent


def test_a_move_of_which_only_the_place_before_was_looked_at_is_no_delete(both):
    anna, _ = both
    anna.disk.write("from/a.txt", "one")
    anna.disk.mkdirs("to")
    both.settle()
    node, sent = both.remote.node("from/a.txt").node_id, both.remote.uploads
    anna.disk.rename("from/a.txt", "to/a.txt")
    anna.sync._dirty, anna.sync._full, anna.sync._scan_at = {"from"}, False, math.inf
    for _ in range(3):  # nobody watches: only a look at everything can tell
        anna.clock.time += 10
        asyncio.run(anna.sync._turn())
    assert both.remote.node("to/a.txt").node_id == node
    assert both.remote.count("trash") == 0
    assert both.remote.uploads == sent


def test_a_folder_that_is_asked_for_by_its_old_capitals_is_one_folder(both):
    anna, _ = both
    anna.disk.write("work/a", "one")
    anna.disk.write("work/b", "two")
    both.settle()
    anna.disk.mkdirs("work/new")
    exchange(anna.disk, "work/a", "work/b")
    anna.disk.rename("work", "Work")
    listing, reaches = anna.disk.list, anna.disk.reaches
    # As a system that takes these for one name has it.
    anna.disk.list = lambda folder: listing(folder.replace("work", "Work"))
    anna.disk.reaches = lambda folder: reaches(folder.replace("work", "Work"))
    uploads = both.remote.uploads
    anna.sync._dirty, anna.sync._full, anna.sync._scan_at = {"", "work"}, False, math.inf
    anna.clock.time += 10
    asyncio.run(anna.sync._turn())
    assert anna.sync.status().held == ()
    assert both.settle() == {"Work": None, "Work/a": b"two", "Work/b": b"one", "Work/new": None}
    assert both.remote.uploads == uploads


def test_what_is_held_back_makes_way_for_what_gets_its_name(both):
    anna, bob = both
    anna.disk.write("A", "one")
    both.settle()
    bob.disk.write("a", "bob's own")
    assert [held.path for held in bob.run().held] == ["a"]
    anna.disk.rename("A", "a")
    assert both.settle() == {"a": b"one", f"a {COPY}": b"bob's own"}


def test_what_is_left_out_makes_way_for_what_gets_its_name(both):
    anna, bob = both
    anna.disk.write("a", "one")
    anna.disk.mkdirs("films")
    both.settle()
    asyncio.run(bob.sync.leave_out("films"))
    bob.run()
    bob.disk.write("films/own", "bob's own")
    anna.disk.rename("films", "movies")
    anna.disk.rename("a", "films")
    for _ in range(3):
        for computer in both:
            computer.run()
    kept = f"films {COPY}"
    assert bob.disk.files() == {"films": b"one", f"{kept}/own": b"bob's own"}
    assert both.remote.tree() == {"films": b"one", "movies": None, kept: None, f"{kept}/own": b"bob's own"}


def test_what_is_ignored_and_deleted_online_makes_way_for_what_gets_its_name(both):
    anna, bob = both
    anna.disk.write("build/a", "one")
    anna.disk.write("b.txt", "two")
    both.settle()
    anna.disk.write(".satchelignore", "build")
    both.settle()
    both.remote.drop(both.remote.node("build").node_id)
    bob.run()
    assert set(bob.disk.files()) == {".satchelignore", "b.txt", "build/a"}, "it is ignored"
    both.remote.rename("b.txt", to="build")
    for _ in range(3):
        for computer in both:
            computer.run()
    for computer in both:
        kept = f"build {COPY.replace('bob', computer.name)}/a"
        assert {path: content for path, content in computer.disk.files().items() if "copy of" not in path} == {
            ".satchelignore": b"build",
            "build": b"two",
        }
        assert computer.disk.files()[kept] == b"one"
        assert computer.sync.status().state == "in_step"


def test_what_is_ignored_and_was_changed_goes_with_its_folder(both):
    anna, bob = both
    anna.disk.write("f/a.log", "one")
    anna.disk.write("b.txt", "two")
    both.settle()
    anna.disk.write(".satchelignore", "*.log")
    both.settle()
    bob.disk.write("f/a.log", "changed")
    both.remote.drop(both.remote.node("f").node_id)
    assert bob.run().state == "in_step"
    assert set(bob.disk.files()) == {".satchelignore", "b.txt"}
    assert b"changed" in bob.disk.trashed()


def test_what_a_folder_ignored_comes_in_the_folder_that_takes_its_place(both):
    anna, bob = both
    anna.disk.write("f/.satchelignore", "*.log")
    both.settle()
    anna.disk.delete("f")
    anna.run()
    anna.disk.write("f/a.log", "one")
    anna.run()
    assert bob.run().state == "in_step"
    assert bob.local() == both.remote.tree() == {"f": None, "f/a.log": b"one"}


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_ignored_and_gone_comes_where_it_was_moved_to(both, kind):
    anna, bob = both
    anna.disk.write("f/g/a" if kind == "folder" else "f/g", "one")
    both.settle()
    anna.disk.write(".satchelignore", "f")
    both.settle()
    bob.disk.delete("f/g")
    both.remote.rename("f/g", to="h")
    for _ in range(2):
        assert bob.run().state == "in_step"
    assert bob.disk.files() == {".satchelignore": b"f", "h/a" if kind == "folder" else "h": b"one"}


def test_what_comes_while_it_is_left_out_is_not_put_in_place(both):
    anna, bob = both
    both.settle()
    anna.disk.write("f/a", "one")
    anna.run()
    fetch = bob.downloads.fetch

    async def slow(*asked):
        await bob.sync.leave_out("f/a")
        return await fetch(*asked)

    bob.downloads.fetch = slow
    assert bob.run().state == "in_step"
    assert bob.local() == {"f": None}


def test_a_name_that_is_one_with_an_ignored_one_is_held_back(both):
    anna, bob = both
    anna.disk.write("B", "one")
    both.settle()
    anna.disk.write(".satchelignore", "B")
    both.settle()
    bob.disk.mkdirs("b")
    asked = both.remote.count("make_folders")
    assert [held.path for held in bob.run().held] == ["b"]
    assert both.remote.count("make_folders") == asked
    anna.disk.write(".satchelignore", "# none")
    for _ in range(2):
        anna.run()
        row = bob.run()
    assert [held.path for held in row.held] == ["b"]
    bob.disk.rename("b", "c")
    assert both.settle() == {".satchelignore": b"# none", "B": b"one", "c": None}


def test_what_comes_does_not_take_the_place_of_what_got_it_meanwhile(both, caplog):
    anna, bob = both
    both.settle()
    bob.disk.write("b", "bob's own")
    anna.disk.write("b", "one")
    anna.run()
    fetch = bob.downloads.fetch

    async def slow(*asked):
        node = await fetch(*asked)
        # It is renamed there before it has come, so that bob's own may stay.
        bob.downloads.fetch = fetch
        both.remote.rename("b", to="c")
        bob.sync.rescan()
        bob.sync.remote_changed()
        await bob.sync._turn()
        return node

    bob.downloads.fetch = slow
    assert both.settle() == {"b": b"bob's own", "c": b"one"}
    assert not caplog.records, "two items in one place"


def test_what_has_come_waits_until_what_was_decided_is_done(both):
    anna, bob = both
    both.settle()
    anna.disk.write("b", "one")
    anna.run()
    make, seen = both.remote.make_folders, []

    async def slow(folders):
        for _ in range(50):  # the file has come by now
            await asyncio.sleep(0)
        seen.append(bob.disk.files())
        return await make(folders)

    async def at_work():
        bob.sync.remote_changed()
        await bob.sync._turn()
        bob.disk.mkdirs("f")
        bob.sync._dirty = {""}
        both.remote.make_folders = slow
        await bob.sync._turn()
        await bob.sync._some_done()

    asyncio.run(at_work())
    assert bob.downloads.fetched == ["b"]
    assert seen == [{}]
    assert bob.disk.files() == {"b": b"one"}


def test_of_two_names_that_are_one_the_one_that_travels_makes_way(both):
    anna, bob = both
    bob.disk.write("A", "a file")
    bob.disk.mkdirs("a")
    anna.disk.mkdirs("A")
    anna.run()
    for _ in range(3):
        row = bob.run()
    assert row.state in ("in_step", "attention")
    anna.run()
    assert sorted(anna.disk.files().values()) == [b"a file"]
    assert "A" in anna.disk.folders()


def test_a_file_that_takes_anothers_place_just_before_that_is_moved_here_is_sent(both):
    anna, bob = both
    anna.disk.write("a.txt", "one")
    anna.disk.write("b.txt", "two")
    both.settle()
    stamp = bob.disk.nodes["a.txt"].mtime_ns
    both.remote.rename("a.txt", to="c.txt")

    def replaced(_old, _new):
        # The same size and time as what was there: only the file itself is another.
        bob.disk.before_rename = lambda old, new: None
        bob.disk.delete("a.txt")
        bob.disk.nodes["a.txt"] = bob.disk.nodes.pop("b.txt")
        bob.disk.nodes["a.txt"].mtime_ns = stamp

    bob.disk.before_rename = replaced
    assert both.settle() == {"c.txt": b"two"}


def test_a_rename_here_of_what_was_moved_there_a_moment_before_is_moved_here(both):
    anna, bob = both
    anna.disk.write("a.txt", "one")
    anna.disk.mkdirs("f")
    both.settle()
    bob.disk.rename("a.txt", "b.txt")
    move = both.remote.move

    async def late(node_id, **where):
        # Bob has read the log, and the other move is there before his.
        both.remote.move = move
        both.remote.rename("a.txt", to="f/a.txt")
        return await move(node_id, **where)

    both.remote.move = late
    bob.sync._dirty, bob.sync._full = {""}, False
    bob.clock.time += 10
    asyncio.run(bob.sync._turn())
    assert bob.local() == both.remote.tree() == {"f": None, "f/b.txt": b"one"}


def test_a_difference_that_was_not_noted_is_found_by_the_next_full_look(both):
    anna, bob = both
    anna.disk.write("a.txt", "one")
    anna.disk.mkdirs("f")
    both.settle()
    both.remote.rename("a.txt", to="f/a.txt")
    bob.run()
    tree = bob.journal.tree("r" * 32)
    item = tree.by_node(both.remote.node("f/a.txt").node_id)
    bob.disk.rename("f/a.txt", "a.txt")
    tree.put(replace(item, parent_item="", name="a.txt", file_id=bob.disk.nodes["a.txt"].number, dirty=False))
    assert both.settle() == {"f": None, "f/a.txt": b"one"}


def test_where_nothing_was_written_nothing_is_looked_for(both, monkeypatch):
    anna, bob = both
    anna.disk.write("a.txt", "one")
    both.settle()
    bob.run()
    looks = []
    differing = Tree.differing

    def counted(tree, top, *, away):
        looks.append(away)
        return differing(tree, top, away=away)

    monkeypatch.setattr(Tree, "differing", counted)
    assert bob.run().state == "in_step"
    assert looks == []
    bob.journal.settings.set("something", "else")
    bob.run()
    assert looks == [False]


def test_more_than_half_of_what_is_here_is_a_mass_delete_wherever_it_was_deleted(both):
    anna, bob = both
    for number in range(40):
        anna.disk.write(f"here/{number}", f"{number}")
        anna.disk.write(f"films/{number}", f"film {number}")
    both.settle()
    asyncio.run(bob.sync.leave_out("films"))
    bob.run()
    for number in range(21):
        bob.disk.delete(f"here/{number}")
    assert bob.run().deletions == 21
    assert both.remote.count("trash") == 0
    for number in range(21):
        bob.disk.write(f"here/{number}", f"{number}")
    assert bob.run().deletions == 0
    for number in range(20):
        anna.disk.delete(f"here/{number}")
    anna.run()
    assert bob.run().deletions == 0, "no more than half"
    assert len(bob.disk.files()) == 20


def test_both_edited_keeps_both_and_the_first_commit_keeps_the_node(both):
    anna, bob = both
    anna.disk.write("a.txt", "base")
    both.settle()
    node = both.remote.node("a.txt").node_id
    anna.disk.write("a.txt", "anna's")
    bob.disk.write("a.txt", "bob's")
    assert both.settle() == {"a.txt": b"anna's", f"a {COPY}.txt": b"bob's"}
    assert both.remote.node("a.txt").node_id == node
    assert both.remote.node(f"a {COPY}.txt").node_id != node


def test_a_second_conflict_on_one_day_gets_a_number(both):
    anna, bob = both
    anna.disk.write("a.txt", "base")
    both.settle()
    for turn in "xy":
        anna.disk.write("a.txt", f"anna {turn}")
        bob.disk.write("a.txt", f"bob {turn}")
        both.settle()
    assert both.remote.tree()["a (conflicted copy of bob, 2023-11-14, 2).txt"] == b"bob y"


def test_the_same_content_on_both_sides_is_no_conflict(both):
    anna, bob = both
    anna.disk.write("a.txt", "base")
    both.settle()
    anna.disk.write("a.txt", "same")
    bob.disk.write("a.txt", "same")
    anna.disk.write("new/b.txt", "also")
    bob.disk.write("new/b.txt", "also")
    assert both.settle() == {"a.txt": b"same", "new": None, "new/b.txt": b"also"}
    assert both.remote.uploads == 3


def test_a_touch_is_no_edit_and_gives_way_to_one(both):
    anna, bob = both
    anna.disk.write("a.txt", "one")
    both.settle()
    anna.disk.write("a.txt", "two")
    bob.clock.time += 1
    bob.disk.write("a.txt", "one")
    assert both.settle() == {"a.txt": b"two"}


def test_both_made_a_file_of_one_name(both):
    anna, bob = both
    anna.disk.write("a.txt", "anna's")
    bob.disk.write("a.txt", "bob's")
    assert both.settle() == {"a.txt": b"anna's", f"a {COPY}.txt": b"bob's"}


@pytest.mark.parametrize("editor", [0, 1])
def test_an_edit_outlives_a_delete_whoever_comes_first(both, editor):
    writer, deleter = both.computers[editor], both.computers[1 - editor]
    writer.disk.write("f/a.txt", "one")
    both.settle()
    writer.disk.write("f/a.txt", "two")
    deleter.disk.delete("f")
    assert both.settle() == {"f": None, "f/a.txt": b"two"}


@pytest.mark.parametrize("maker", [0, 1])
def test_a_new_file_outlives_the_delete_of_its_folder(both, maker):
    writer, deleter = both.computers[maker], both.computers[1 - maker]
    writer.disk.write("f/old.txt", "old")
    both.settle()
    writer.disk.write("f/new.txt", "new")
    deleter.disk.delete("f")
    assert both.settle() == {"f": None, "f/new.txt": b"new"}


def test_a_delete_takes_nothing_along_that_it_has_not_seen(both):
    anna, _ = both
    anna.disk.write("f/old.txt", "old")
    both.settle()
    anna.disk.delete("f")
    trash = both.remote.trash

    async def just_after_another(node_id, seen):
        both.remote.trash = trash
        folder = both.remote.node("f")
        both.remote.put(Node("n" * 32, folder.node_id, "new", "folder", 0))
        await trash(node_id, seen)

    both.remote.trash = just_after_another
    anna.run()
    assert both.settle() == {"f": None, "f/new": None}


def test_what_lies_in_a_folder_that_somebody_has_made_anew_is_sent_at_once(both):
    anna, bob = both
    anna.disk.mkdirs("f/g")
    both.settle()
    anna.disk.delete("f")
    anna.run()
    anna.disk.mkdirs("f")
    anna.run()
    bob.disk.write("f/g/x", "one")
    assert bob.run().state == "in_step"
    assert both.remote.tree() == {"f": None, "f/g": None, "f/g/x": b"one"}


def test_a_folder_is_not_given_up_while_something_of_it_is_on_its_way(both):
    anna, bob = both
    anna.disk.mkdirs("f")
    anna.disk.mkdirs("g")
    both.settle()
    bob.disk.write("f/a", "one")
    upload = bob.uploads.upload

    async def slow(request):
        # It is moved out, and its folder deleted, in which there is something new.
        both.remote.put(Node("n" * 32, both.remote.node("f").node_id, "new", "folder", 0))
        bob.sync.remote_changed()
        bob.disk.rename("f/a", "g/a")
        bob.disk.delete("f")
        for _ in range(3):
            bob.clock.time += 10
            bob.sync.rescan()
            await bob.sync._turn()
        return both.remote.receive(request, b"one", bob.disk.nodes["g/a"].mtime_ns)

    bob.uploads.upload = slow
    bob.clock.time += 60

    async def once():
        await bob.sync._turn()
        bob.uploads.upload = upload
        await bob.sync._some_done()

    asyncio.run(once())
    assert both.settle() == {"f": None, "f/new": None, "g": None, "g/a": b"one"}


def test_what_was_moved_within_a_folder_that_cannot_be_made_anew_keeps_its_node(both):
    anna, bob = both
    anna.disk.mkdirs("c/a")
    both.settle()
    node = both.remote.node("c/a").node_id
    anna.disk.rename("c/a", "e/a")
    anna.disk.delete("c")
    anna.run()
    anna.disk.write("c", "one")
    anna.run()
    bob.disk.rename("c/a", "c/y")
    tree = both.settle()
    assert tree["c"] == b"one"
    assert [path for path in tree if both.remote.node(path).node_id == node] == ["e/y"]


def test_a_file_and_a_folder_of_one_name(both):
    anna, bob = both
    anna.disk.write("x", "a file")
    bob.disk.write("x/y", "in a folder")
    assert both.settle() == {"x": b"a file", f"x {COPY}": None, f"x {COPY}/y": b"in a folder"}


def test_folders_made_on_both_sides_are_one(both):
    anna, bob = both
    anna.disk.write("f/a.txt", "a")
    bob.disk.write("f/b.txt", "b")
    assert both.settle() == {"f": None, "f/a.txt": b"a", "f/b.txt": b"b"}


def test_of_two_moves_the_later_wins(both):
    anna, bob = both
    anna.disk.write("a.txt", "one")
    both.settle()
    anna.disk.rename("a.txt", "anna.txt")
    bob.disk.rename("a.txt", "bob.txt")
    assert both.settle() == {"bob.txt": b"one"}


def test_a_move_and_an_edit_are_both_kept(both):
    anna, bob = both
    anna.disk.write("a.txt", "one")
    both.settle()
    anna.disk.rename("a.txt", "sub/b.txt")
    bob.disk.write("a.txt", "two")
    assert both.settle() == {"sub": None, "sub/b.txt": b"two"}


@pytest.mark.parametrize("mover", [0, 1])
def test_a_delete_outlives_a_move(both, mover):
    moves, deletes = both.computers[mover], both.computers[1 - mover]
    moves.disk.write("f/a.txt", "one")
    both.settle()
    moves.disk.rename("f", "g")
    deletes.disk.delete("f")
    assert both.settle() == {}
    assert b"one" in moves.disk.trashed()


@pytest.mark.parametrize("name", ["a", "b"])
def test_what_is_put_back_when_the_answer_to_its_delete_was_lost_stays(both, name):
    anna, bob = both
    anna.disk.write("a", "one")
    both.settle()
    kept = bob.disk.nodes["a"]
    bob.disk.delete("a")
    trash = both.remote.trash

    async def lost(node_id, seen):
        both.remote.trash = trash
        await trash(node_id, seen)
        raise OfflineError("Gone")

    both.remote.trash = lost
    assert bob.run().state == "offline"
    bob.disk.nodes[name] = kept
    assert both.settle() == {name: b"one"}


def test_a_move_into_a_folder_that_was_moved(both):
    anna, bob = both
    anna.disk.write("a.txt", "one")
    anna.disk.write("f/g/x", "x")
    both.settle()
    anna.disk.rename("f", "moved")
    bob.disk.rename("a.txt", "f/g/a.txt")
    assert both.settle() == {"moved": None, "moved/g": None, "moved/g/x": b"x", "moved/g/a.txt": b"one"}


def test_a_move_into_a_folder_that_was_deleted_makes_it_anew(both):
    anna, bob = both
    anna.disk.write("a.txt", "one")
    anna.disk.write("f/x", "x")
    both.settle()
    anna.disk.delete("f")
    bob.disk.rename("a.txt", "f/a.txt")
    assert both.settle() == {"f": None, "f/a.txt": b"one"}


def test_two_movers_make_no_circle(both):
    anna, bob = both
    anna.disk.write("A/a", "a")
    anna.disk.write("B/b", "b")
    both.settle()
    anna.disk.rename("A", "B/A")
    bob.disk.rename("B", "A/B")
    assert both.settle() == {"B": None, "B/b": b"b", "B/A": None, "B/A/a": b"a"}


def test_a_rename_to_capitals_only(both):
    anna, _bob = both
    anna.disk.write("name/a.txt", "one")
    both.settle()
    sent = both.remote.uploads
    anna.disk.rename("name", "NAME")
    assert both.settle() == {"NAME": None, "NAME/a.txt": b"one"}
    assert both.remote.uploads == sent


def test_a_move_to_a_name_that_was_taken_meanwhile_is_taken_back(both):
    anna, bob = both
    anna.disk.write("a", "one")
    both.settle()
    node = both.remote.node("a").node_id
    anna.disk.write("b", "anna's")
    bob.disk.rename("a", "b")
    assert both.settle() == {"a": b"one", "b": b"anna's"}
    assert both.remote.node("a").node_id == node


def test_accents_are_the_disks_own_affair(both):
    anna, bob = both
    anna.disk.write(unicodedata.normalize("NFC", "é/ü.txt"), "one")
    both.settle()
    calls, fetched = both.remote.uploads, list(bob.downloads.fetched)
    bob.disk.rename(unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é"))
    rows = [computer.run() for computer in (*both, *both)]
    assert {row.state for row in rows} == {"in_step"}
    assert (both.remote.uploads, bob.downloads.fetched) == (calls, fetched)
    assert unicodedata.normalize("NFD", "é") in bob.disk.nodes
    assert unicodedata.normalize("NFC", "é") in anna.disk.nodes


def test_what_is_new_in_a_folder_whose_accents_are_written_anew_is_sent(both):
    anna, _bob = both
    anna.disk.mkdirs("Caf\u00e9/f")
    both.settle()
    anna.disk.rename("Caf\u00e9", "Cafe\u0301")
    anna.disk.write("Cafe\u0301/f/a", "one")
    assert anna.run().state == "in_step"
    assert both.remote.tree() == {"Caf\u00e9": None, "Caf\u00e9/f": None, "Caf\u00e9/f/a": b"one"}
    writes = anna.journal.writes
    anna.run()
    assert anna.journal.writes == writes, "there is nothing to note"


def test_a_name_that_cannot_be_had_here_is_held_back_and_nobodys_delete(both, monkeypatch):
    anna, bob = both
    anna.disk.write("CON.txt", "one")
    anna.disk.write("what?/in it", "two")
    anna.disk.write("fine", "three")
    anna.run()
    monkeypatch.setattr("satchel.sync.news.here_problem", functools.partial(here_problem, platform="win32"))
    row = bob.run()
    assert bob.disk.files() == {"fine": b"three"}
    assert {held.path for held in row.held} == {"CON.txt", "what?"}
    assert all(held.remedy for held in row.held)
    bob.disk.write("fine", "four")
    bob.run()
    anna.run()
    assert set(anna.disk.files()) == {"CON.txt", "what?/in it", "fine"}


def test_names_that_are_swapped_there_are_swapped_here(both):
    anna, bob = both
    anna.disk.write("a", "A")
    anna.disk.write("b", "B")
    both.settle()
    bob.downloads.fetched = []
    both.remote.rename("a", to="t")
    both.remote.rename("b", to="a")
    both.remote.rename("t", to="b")
    assert both.settle() == {"a": b"B", "b": b"A"}
    assert bob.downloads.fetched == []


def test_files_that_exchange_names_here_keep_their_nodes(both):
    anna, bob = both
    for name in "abc":
        anna.disk.write(name, f"content {name}")
    anna.disk.write("f/d", "content d")
    both.settle()
    nodes = {name: both.remote.node(name).node_id for name in ("a", "b", "c", "f/d")}
    sent, bob.downloads.fetched = both.remote.uploads, []
    exchange(anna.disk, "a", "b")
    exchange(anna.disk, "c", "f/d")
    tree = both.settle()
    assert tree == {"a": b"content b", "b": b"content a", "c": b"content d", "f": None, "f/d": b"content c"}
    assert {name: both.remote.node(name).node_id for name in nodes} == {
        "a": nodes["b"],
        "b": nodes["a"],
        "c": nodes["f/d"],
        "f/d": nodes["c"],
    }
    assert (both.remote.uploads, bob.downloads.fetched) == (sent, [])


def test_a_swap_that_comes_too_late_leaves_nothing_under_a_temporary_name(both):
    anna, bob = both
    for name, content in (("a", "one"), ("b", "two"), ("c", "three")):
        anna.disk.write(name, content)
    anna.disk.mkdirs("f")
    both.settle()
    exchange(bob.disk, "a", "b")
    move = both.remote.move

    async def late(node_id, **where):
        # Bob has read the log, and these moves are there before his.
        both.remote.move = move
        both.remote.rename("b", to="f/b")
        both.remote.rename("c", to="b")
        return await move(node_id, **where)

    both.remote.move = late
    tree = both.settle()
    assert sorted(content for content in tree.values() if content) == [b"one", b"three", b"two"]
    assert [path for path in tree if ".satchel-" in path] == []


def test_a_swap_whose_first_answer_is_lost_is_ended_by_the_next_plan(both):
    anna, bob = both
    anna.disk.write("a", "one")
    anna.disk.write("b", "two")
    both.settle()
    nodes = {name: both.remote.node(name).node_id for name in ("a", "b")}
    exchange(bob.disk, "a", "b")
    move = both.remote.move

    async def lost(node_id, **where):
        both.remote.move = move
        await move(node_id, **where)
        raise OfflineError("Gone")

    both.remote.move = lost
    assert bob.run().state == "offline"
    assert [name for name in both.remote.tree() if ".satchel-" in name]
    assert both.settle() == {"a": b"two", "b": b"one"}
    assert {name: both.remote.node(name).node_id for name in ("b", "a")} == {"b": nodes["a"], "a": nodes["b"]}
    assert set(bob.disk.files()) == {"a", "b"}


def test_a_detour_that_was_cut_off_is_taken_back_where_the_names_are_as_before(both):
    anna, bob = both
    anna.disk.write("a", "one")
    both.settle()
    item = bob.journal.tree(ROOT).by_node(both.remote.node("a").node_id)
    both.remote.rename("a", to=f".satchel-{item.item_id}-a")
    assert both.settle() == {"a": b"one"}


def test_nobody_follows_another_computer_on_its_detour(both):
    anna, bob = both
    anna.disk.write("a", "one")
    both.settle()
    both.remote.rename("a", to=f".satchel-{'f' * 32}-a")
    bob.disk.write("a", "bob's edit")
    for _ in range(2):
        assert bob.run().state == "in_step"
        assert bob.disk.files() == {"a": b"bob's edit"}
    assert both.remote.tree() == {f".satchel-{'f' * 32}-a": b"bob's edit"}
    both.remote.rename(f".satchel-{'f' * 32}-a", to="b")
    assert both.settle() == {"b": b"bob's edit"}


def test_who_stays_during_a_detour_makes_way_for_what_gets_the_name(both):
    anna, bob = both
    anna.disk.write("a", "one")
    anna.disk.write("b", "two")
    both.settle()
    both.remote.rename("a", to=f".satchel-{'f' * 32}-a")
    bob.run()
    assert set(bob.disk.files()) == {"a", "b"}
    both.remote.rename("b", to="a")
    bob.run()
    assert bob.disk.files()["a"] == b"two"
    both.remote.rename(f".satchel-{'f' * 32}-a", to="b")
    assert both.settle() == {"a": b"two", "b": b"one"}


def test_a_name_that_is_there_keeps_its_node_when_only_one_side_of_it_moved(both):
    anna, _ = both
    anna.disk.write("f", "one")
    anna.disk.write("f.bak", "older")
    both.settle()
    node = both.remote.node("f").node_id
    anna.disk.rename("f", "f.bak")
    anna.disk.write("f", "two")
    assert both.settle() == {"f": b"two", "f.bak": b"one"}
    assert both.remote.node("f").node_id == node


def test_a_file_that_moves_to_where_its_folder_was(both):
    anna, _bob = both
    anna.disk.write("x/a", "one")
    anna.disk.write("x/b", "two")
    both.settle()
    anna.disk.rename("x/a", "keep")
    anna.disk.delete("x")
    anna.disk.rename("keep", "x")
    assert both.settle() == {"x": b"one"}


def test_a_file_that_was_deleted_there_and_is_a_folder_here_makes_way_for_a_new_one(both):
    anna, bob = both
    anna.disk.write("b", "one")
    both.settle()
    anna.disk.delete("b")
    anna.run()
    anna.disk.write("b", "two")
    anna.run()
    bob.disk.delete("b")
    bob.disk.mkdirs("b")
    assert both.settle() == {"b": b"two", f"b {COPY}": None}


def test_a_file_that_was_never_sent_and_is_a_folder_by_now_makes_way_for_a_new_one(both):
    anna, bob = both
    both.settle()
    bob.disk.write("b", "one")
    upload = bob.uploads.upload

    async def offline(_request):
        bob.uploads.upload = upload
        raise OfflineError("Gone")

    bob.uploads.upload = offline
    assert bob.run().state != "in_step"
    anna.disk.write("b", "two")
    anna.run()
    bob.disk.delete("b")
    bob.disk.mkdirs("b")
    assert both.settle() == {"b": b"two", f"b {COPY}": None}


def test_what_the_name_is_to_go_to_is_taken_here(both):
    anna, bob = both
    anna.disk.write("a", "one")
    both.settle()
    anna.disk.rename("a", "b")
    bob.disk.write("b", "bob's")
    assert both.settle() == {"b": b"one", f"b {COPY}": b"bob's"}


def test_a_folder_that_comes_from_elsewhere_in_the_account_comes_with_all_that_is_in_it(both):
    anna, _bob = both
    anna.disk.write("out/deep/a.txt", "one")
    both.settle()
    folder = both.remote.node("out")
    both.remote.put(folder.__class__(folder.node_id, "root", "out", "folder", 0))
    assert both.settle() == {}
    both.remote.put(folder.__class__(folder.node_id, both.remote.at("/Work").node_id, "back", "folder", 0))
    assert both.settle() == {"back": None, "back/deep": None, "back/deep/a.txt": b"one"}


def test_a_cursor_that_is_too_old_leads_to_a_listing_and_deletes_nothing(both):
    anna, _bob = both
    anna.disk.write("a", "one")
    anna.disk.write("b", "two")
    both.settle()
    both.remote.drop(both.remote.node("a").node_id)
    both.remote.write("b", "newer")
    both.remote.log_starts_at = len(both.remote.log)
    assert both.settle() == {"a": b"one", "b": b"newer"}


def test_what_was_edited_there_before_its_first_answer_came_is_no_ones_own(both):
    anna, bob = both
    both.settle()
    bob.disk.write("a", "one")
    leave = both.remote._leave

    def lost():
        if bob.remote.calls[-1][0] == "upload":
            both.remote._leave, both.remote.offline = leave, OfflineError("Gone")
            raise both.remote.offline
        leave()

    both.remote._leave = lost
    assert bob.run().state == "offline"
    both.remote.offline = None
    anna.run()
    anna.disk.write("a", "anna's edit")
    anna.run()
    both.remote.log_starts_at = len(both.remote.log)
    bob.disk.delete("a")
    assert both.settle() == {"a": b"anna's edit"}


def test_what_was_sent_and_is_not_listed_any_more_is_made_anew(both):
    anna, bob = both
    both.settle()
    bob.disk.write("a", "one")
    upload, sent = bob.uploads.upload, []

    async def lost(request):
        bob.uploads.upload = again
        sent.append(await upload(request))
        raise OfflineError("Gone")

    async def again(_request):
        # The service knows that it is done, and says what came of it then.
        bob.uploads.upload = upload
        return sent[0]

    bob.uploads.upload = lost
    assert bob.run().state != "in_step"
    anna.run()
    anna.disk.delete("a")
    anna.run()
    both.remote.log_starts_at = len(both.remote.log)
    assert both.settle() == {"a": b"one"}


def test_what_was_sent_and_went_with_its_folder_before_the_answer_came_is_gone(both):
    anna, bob = both
    anna.disk.mkdirs("f")
    both.settle()
    bob.disk.write("f/a", "one")
    bob.clock.time += 60
    upload = bob.uploads.upload

    async def late(request):
        node = await upload(request)
        both.remote.drop(both.remote.node("f").node_id)
        bob.sync.remote_changed()
        await bob.sync._turn()
        return node

    bob.uploads.upload = late
    assert both.settle() == {}
    assert b"one" in bob.disk.trashed()


def test_a_lost_journal_sends_nothing_again(both):
    anna, bob = both
    for number in range(4):
        anna.disk.write(f"f/{number}", f"{number}")
    both.settle()
    sent, calls = both.remote.sent_bytes, both.remote.uploads
    bob.lose_journal()
    both.settle()
    assert (both.remote.sent_bytes, both.remote.uploads, bob.downloads.fetched) == (sent, calls, [])


def test_a_mass_delete_there_asks_here_first(both):
    anna, bob = both
    for number in range(120):
        anna.disk.write(f"f/{number}", f"{number}")
    both.settle()
    both.remote.drop(both.remote.node("f").node_id)
    row = bob.run()
    assert row.state == "attention"
    assert "120" in row.held[0].reason
    assert len(bob.disk.files()) == 120
    bob.sync.confirm_deletions()
    bob.run()
    assert bob.disk.files() == {}
    assert len(bob.disk.trashed()) == 120


def test_a_full_disk_holds_back_only_that_file(both):
    anna, bob = both
    anna.disk.write("big", "big")
    anna.disk.write("small", "small")
    anna.run()
    bob.downloads.refuse["big"] = LocalFileError("The disk is full", "Make room.", path="big")
    row = bob.run()
    assert bob.disk.files() == {"small": b"small"}
    assert [held.path for held in row.held] == ["big"]
    bob.downloads.refuse.clear()
    bob.sync.retry()
    both.settle()


def test_offline_is_said_and_ends(both):
    anna, bob = both
    anna.disk.write("a", "one")
    anna.run()
    both.remote.offline = OfflineError("The service cannot be reached")
    assert bob.run().state == "offline"
    both.remote.offline = None
    assert both.settle() == {"a": b"one"}


def test_a_push_makes_it_look_at_once(both):
    anna, bob = both
    both.settle()
    anna.disk.write("a", "one")
    anna.run()
    bob.sync._full = False

    async def pushed():
        await bob.sync._turn()
        assert bob.disk.files() == {}, "nothing is due"
        bob.sync.remote_changed()
        await bob.sync._turn()
        while bob.sync._following.inbox.working:
            await asyncio.sleep(0)

    asyncio.run(pushed())
    assert bob.disk.files() == {"a": b"one"}


def test_a_hint_that_was_lost_costs_half_a_minute_while_people_work(both):
    anna, bob = both
    anna.disk.write("a", "one")
    both.settle()
    anna.disk.write("a", "two")
    anna.run()
    bob.sync._hears, bob.sync._full = lambda: True, False
    bob.sync.remote_changed()

    async def turn():
        await bob.sync._turn()
        while bob.sync._following.inbox.working:
            await asyncio.sleep(0)

    for _ in range(3):
        asyncio.run(turn())
    assert bob.disk.files() == {"a": b"two"}
    anna.disk.write("a", "three")
    anna.run()
    bob.sync._dirty, bob.sync._full, bob.sync._scan_at = set(), False, math.inf
    assert bob.sync._pull_at - bob.clock.time <= 30
    bob.clock.time = bob.sync._pull_at - 0.1
    asyncio.run(turn())
    assert bob.disk.files() == {"a": b"two"}, "nothing is due"
    bob.clock.time += 0.2
    asyncio.run(turn())
    assert bob.disk.files() == {"a": b"three"}


# -- what users of other clients complain of --------------------------------------------------------------------------


def test_in_step_is_said_only_while_disk_and_service_are_equal(both):
    said = []

    def look(computer):
        if computer.sync.status().state == "in_step":
            said.append(computer.local() == both.remote.tree())

    def slow(computer, move_bytes):
        async def slowly(*request):
            for _ in range(50):
                await asyncio.sleep(0)
                look(computer)
            return await move_bytes(*request)

        return slowly

    for computer in both:
        computer.sync._on_change = lambda one=computer: look(one)
        computer.uploads.upload = slow(computer, computer.uploads.upload)
        computer.downloads.fetch = slow(computer, computer.downloads.fetch)
    anna, bob = both
    anna.disk.write("f/a.txt", "one")
    anna.disk.write("f/b.txt", "two")
    both.settle()
    anna.disk.write("f/a.txt", "more")
    anna.disk.rename("f/b.txt", "c.txt")
    bob.disk.write("d.txt", "bob's")
    both.settle()
    assert len(said) > 3
    assert all(said)


def test_news_is_out_of_step_from_the_moment_it_is_known(both):
    anna, bob = both
    for number in range(5):
        anna.disk.write(f"{number}.txt", f"{number}")
    both.settle()
    for number in range(5):
        anna.disk.rename(f"{number}.txt", f"renamed {number}.txt")
    anna.run()
    said = []

    async def watched():
        running = asyncio.create_task(bob.sync.sync_once())
        while not running.done():
            if bob.journal.roots.cursor(ROOT) == len(both.remote.log):
                said.append((bob.sync.status().state, bob.local() == both.remote.tree()))
            await asyncio.sleep(0)

    asyncio.run(watched())
    assert ("syncing", False) in said
    # Once at most: between the commit of the page in the journal and the loop's hearing of it.
    assert said.count(("in_step", False)) <= 1


def test_many_edits_on_both_sides_make_one_copy_and_no_copy_of_a_copy(both):
    anna, bob = both
    anna.disk.write("a.txt", "base")
    both.settle()
    both.remote.offline = OfflineError("no network")
    for number in range(10):
        anna.disk.write("a.txt", f"anna {number}")
        bob.disk.write("a.txt", f"bob {number}")
        for computer in both:
            computer.run()
    both.remote.offline = None
    tree = both.settle()
    assert tree == {"a.txt": b"anna 9", f"a {COPY}.txt": b"bob 9"}
    uploads, fetched = both.remote.uploads, [*anna.downloads.fetched, *bob.downloads.fetched]
    for _ in range(5):
        assert both.settle() == tree
    assert both.remote.uploads == uploads
    assert [*anna.downloads.fetched, *bob.downloads.fetched] == fetched


class Silence:
    """A watch that works, where nothing happens."""

    problem = None

    def take(self):
        return Hints()

    def close(self):
        pass


def test_a_folder_in_which_nothing_happens_costs_next_to_nothing(both):
    """In an hour: a full scan every ten minutes, a look at the log every five, and asleep in between."""
    anna, _ = both
    anna.disk.write("f/a.txt", "one")
    both.settle()
    waits = []
    asleep = anna.clock.asleep

    async def counted(seconds):
        waits.append(seconds)
        await asleep(seconds)

    async def watch_for(seconds):
        until = anna.clock.time + seconds
        watching = asyncio.create_task(anna.sync.run())
        while anna.clock.time < until:
            await asyncio.sleep(0)
        watching.cancel()

    anna.sync._watcher, anna.sync._sleep = lambda _root, _wake: Silence(), counted
    asyncio.run(watch_for(900))  # after a change people are taken to be at work for a while
    waits.clear()
    calls, lists = len(both.remote.calls), anna.disk.lists
    asyncio.run(watch_for(3600))
    assert anna.sync.status().state == "in_step"
    assert len(both.remote.calls) - calls <= 3600 / 300 + 3600 / 600 + 2
    assert anna.disk.lists - lists <= 2 * (3600 / 600 + 1)
    assert len(waits) <= 3600 / 30 + 40
