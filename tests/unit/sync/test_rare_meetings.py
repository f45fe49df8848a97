"""What took the scenarios of `tests/sim` thousands of seeds to find, each told as short as it can be."""

from __future__ import annotations

import asyncio
import itertools
import unicodedata
from dataclasses import replace
from types import SimpleNamespace

import pytest

from satchel.core.errors import PlaceTakenError, RefusedError
from satchel.core.model import Node, Revision
from satchel.core.names import name_key
from satchel.disk import Hints
from satchel.journal import Item
from satchel.journal.tree import AWAY, TOP
from satchel.sync.carry import beside, put_in_place
from satchel.sync.follow import News, follow
from satchel.sync.naming import temporary_name
from satchel.sync.operations import Detach, Fetch, MoveHere, SetAside, Trash, TrashHere
from satchel.sync.order import order
from satchel.sync.plan import World
from two_way_world import ROOT, Together, exchange

COPY = "(conflicted copy of bob, 2023-11-14)"

ELSEWHERE = f".satchel-{'f' * 32}-"
"""What a detour of a computer that is not here begins with."""


@pytest.fixture
def both():
    return Together("anna", "bob")


def item_of(computer, path):
    return computer.journal.tree(ROOT).by_node(computer.remote.node(path).node_id)


def cut_off(both):
    """Bob died on the detour of a file that he had put elsewhere and deleted since, and that Anna has edited."""
    anna, bob = both
    anna.disk.write("a", "one")
    both.settle()
    item = item_of(bob, "a")
    temporary = f".satchel-{item.item_id}-a"
    both.remote.rename("a", to=temporary)
    bob.journal.tree(ROOT).put(replace(item, name=temporary, remote_name=temporary))
    bob.disk.delete("a")
    anna.disk.write("a", "anna's edit")
    anna.run()


# -- detours ----------------------------------------------------------------------------------------------------------


def test_a_detour_that_was_cut_off_is_ended_though_the_file_is_gone_here_and_was_edited_there(both):
    cut_off(both)
    assert both.settle() == {"a": b"anna's edit"}


def test_a_name_that_was_taken_during_a_detour_stays_with_its_new_owner(both):
    anna, bob = both
    anna.disk.write("a", "one")
    both.settle()
    both.remote.rename("a", to=f".satchel-{item_of(bob, 'a').item_id}-a")
    anna.run()
    anna.disk.delete("a")
    anna.disk.write("b", "two")
    anna.run()
    both.remote.rename("b", to="a")
    tree = both.settle()
    assert tree["a"] == b"two"
    assert not [path for path in tree if ".satchel-" in path]


def test_a_temporary_name_is_on_no_disk_whoever_has_the_name_by_now(both):
    anna, bob = both
    anna.disk.write("a", "one")
    anna.disk.write("b", "two")
    both.settle()
    both.remote.rename("a", to=f"{ELSEWHERE}a")
    bob.run()
    both.remote.rename("b", to="a")
    bob.run()
    assert bob.disk.files() == {"a": b"two", "a (2)": b"one"}
    both.remote.rename(f"{ELSEWHERE}a", to="c")
    assert both.settle() == {"a": b"two", "c": b"one"}


def test_what_comes_while_it_is_on_a_detour_has_no_temporary_name_either(both):
    anna, bob = both
    both.settle()
    anna.disk.write("b", "two")
    anna.disk.write("a", "one")
    anna.run()
    both.remote.rename("a", to=f"{ELSEWHERE}a")
    both.remote.rename("b", to="a")
    bob.run()
    assert bob.disk.files() == {"a": b"two", "a (2)": b"one"}


def test_a_folder_on_a_detour_is_left_out_all_the_same(both):
    anna, bob = both
    anna.disk.write("films/a.mp4", "one")
    both.settle()
    asyncio.run(bob.sync.leave_out("films"))
    both.remote.rename("films", to=f"{ELSEWHERE}films")
    assert bob.run().state == "in_step"
    assert bob.local() == {}


def test_a_long_name_is_given_back_whole_though_it_is_shortened_in_the_temporary_one(both):
    anna, bob = both
    name = f"{'x' * 246}.txt"
    anna.disk.write(name, "one")
    both.settle()
    temporary = temporary_name(item_of(bob, name))
    assert len(temporary) == 255
    both.remote.rename(name, to=temporary)
    assert both.settle() == {name: b"one"}


def test_a_detour_is_ended_though_its_file_is_ignored_by_now(both):
    _, bob = both
    cut_off(both)
    bob.disk.write(".satchelignore", "/a\n")
    for _ in range(3):
        for computer in both:
            computer.run()
    assert both.remote.tree() == {"a": b"anna's edit", ".satchelignore": b"/a\n"}


def test_who_lost_his_journal_on_a_detour_ends_it(both):
    anna, bob = both
    anna.disk.write("a", "one")
    anna.disk.write("f/b", "two")
    both.settle()
    nodes = {name: both.remote.node(name).node_id for name in ("a", "f")}
    for name in nodes:
        both.remote.rename(name, to=f".satchel-{item_of(bob, name).item_id}-{name}")
    anna.run()
    bob.lose_journal()
    assert both.settle() == {"a": b"one", "f": None, "f/b": b"two"}
    assert {name: both.remote.node(name).node_id for name in nodes} == nodes


@pytest.mark.parametrize("rest", ["", ".", "..", ".satchel"])
def test_a_name_that_only_looks_temporary_ends_in_no_other_name_and_no_loop(both, rest):
    anna, bob = both
    anna.disk.write("a", "one")
    both.settle()
    both.remote.rename("a", to=f".satchel-{item_of(bob, 'a').item_id}-{rest}")
    for _ in range(3):
        for computer in both:
            computer.run()
    assert set(both.remote.tree().values()) == {b"one"}
    assert set(bob.disk.files().values()) == {b"one"}
    assert [one.reason for one in bob.sync.status().held] == []


def test_a_folder_whose_name_was_taken_during_a_detour_is_the_same_to_what_comes_into_it(both):
    anna, bob = both
    anna.disk.write("a/x", "one")
    anna.disk.write("b/f", "the same")
    both.settle()
    both.remote.rename("a", to=f"{ELSEWHERE}a")
    both.remote.rename("b", to="a")
    for computer in both:
        computer.run()
        assert set(computer.disk.folders()) == {"a", "a (2)"}
    bob.disk.write("a (2)/f", "bob's it")
    anna.disk.write("a (2)/f", "the same")
    anna.run()
    assert bob.run().state == "in_step"
    assert bob.disk.files()["a (2)/f"] == b"the same"
    assert b"bob's it" in bob.disk.files().values()


# -- making way -------------------------------------------------------------------------------------------------------


def test_what_waited_for_a_folder_that_made_way_goes_on_at_once(both):
    anna, bob = both
    for path in ("e/x", "e/a"):
        anna.disk.mkdirs(path)
    both.settle()
    both.remote.drop(both.remote.node("e").node_id)
    anna.run()
    anna.disk.write("e", "a file now")
    anna.run()
    bob.disk.mkdirs("e/y")
    bob.disk.write("e/x/f", "new")
    bob.disk.rename("e/x", "e/y/x")
    bob.sync._watch = SimpleNamespace(problem=None, take=Hints)  # else all is looked at anyway
    assert bob.run().state == "in_step"
    assert bob.local() == both.remote.tree()
    copy = f"e {COPY}"
    assert both.settle() == {
        "e": b"a file now",
        copy: None,
        f"{copy}/y": None,
        f"{copy}/y/x": None,
        f"{copy}/y/x/f": b"new",
    }


def test_a_folder_makes_way_where_it_is_by_now(both):
    anna, bob = both
    anna.disk.mkdirs("b/z")
    anna.disk.write("d.txt", "three")
    both.settle()
    both.remote.drop(both.remote.node("b/z").node_id)
    anna.run()
    anna.disk.write("b/z", "a file now")
    anna.run()
    bob.disk.write("b/z/e/B", "five")
    exchange(bob.disk, "b", "d.txt")
    tree = both.settle()
    assert sorted(content for content in tree.values() if content) == [b"a file now", b"five", b"three"]
    assert tree["b"] == b"three"
    assert tree["d.txt/z"] == b"a file now"


def test_what_is_ignored_makes_way_though_its_name_differs_in_capitals(both):
    """The disk takes the two names for one, and the rules of an ignore file do not."""
    anna, bob = both
    both.settle()
    disk, free = bob.disk, bob.disk._check_free

    def check_free(path):
        free(path)
        if any(name_key(path) == name_key(one) for one in disk.nodes):
            raise PlaceTakenError("There is something else of this name", path=path)

    disk._check_free = check_free
    stat = disk.stat
    disk.stat = lambda path: stat(next((one for one in disk.nodes if name_key(one) == name_key(path)), path))
    disk.write(".satchelignore", "/y\n")
    disk.write("y", "bob's own")
    bob.run()
    anna.disk.write("Y", "anna's")
    for _ in range(3):
        for computer in both:
            computer.run()
    assert bob.disk.files()["Y"] == b"anna's"
    assert b"bob's own" in bob.disk.files().values()
    assert bob.sync.status().held == ()


# -- who is who -------------------------------------------------------------------------------------------------------


def test_a_file_that_took_a_name_in_another_spelling_is_another_file(both):
    anna, bob = both
    composed, apart = unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")
    for name, content in ((composed, "one"), ("b", "two")):
        anna.disk.write(name, content, mtime_ns=1_600_000_000_000_000_000)
    both.settle()
    bob.disk.delete(composed)
    bob.disk.rename("b", apart)
    bob.run()
    assert both.remote.tree() == {composed: b"two"}
    anna.run()
    assert anna.disk.files() == {composed: b"two"}


def test_a_file_that_came_does_not_take_a_name_that_is_another_items_in_another_spelling(both):
    anna, _ = both
    anna.run()
    composed, apart = unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")
    side = anna.sync._side
    tree = side.tree
    tree.put(Item("1" * 32, "", apart, "file", "1" * 32, side.top, "other", size=1, dirty=True))
    coming = Item("2" * 32, "away", "2" * 32, "file", "2" * 32, side.top, composed, revision_id="r", dirty=True)
    tree.put(coming)
    partial = anna.disk.partial("r")
    anna.disk.fill(partial, "one", 1)
    node = Node(coming.node_id, side.top, composed, "file", 0, Revision("r", 3, 1, None, True))
    assert not put_in_place(side, Fetch(replace(coming, parent_item="", name=composed), composed), node, partial)


def test_of_two_files_that_were_known_by_one_id_the_content_tells_which_it_is(both):
    """The first was deleted unseen, and what came then got its inode."""
    anna, bob = both
    for name, content in (("e", "one"), ("x", "two")):
        anna.disk.write(name, content, mtime_ns=1_600_000_000_000_000_000)
    both.settle()
    tree, nodes = bob.journal.tree(ROOT), {name: both.remote.node(name).node_id for name in "ex"}
    bob.disk.delete("e")
    for first in "ex":  # whichever was noted first
        tree.put(replace(tree.by_node(nodes[first]), file_id=bob.disk.nodes["x"].number))
    bob.disk.rename("x", "b")
    assert both.settle() == {"b": b"two"}
    assert both.remote.node("b").node_id == nodes["x"]


def test_hard_links_are_told_apart_by_their_content(both):
    anna, bob = both
    for name, content in (("e", "one"), ("x", "two")):
        anna.disk.write(name, content, mtime_ns=1_600_000_000_000_000_000)
    both.settle()
    tree, inode = bob.journal.tree(ROOT), bob.disk.nodes["x"]
    tree.put(replace(item_of(bob, "e"), file_id=inode.number))
    for name in "ex":
        bob.disk.delete(name)
    bob.disk.nodes["p"] = bob.disk.nodes["q"] = inode
    assert both.settle() == {"p": b"two", "q": b"two"}


def test_moving_a_folder_of_hard_links_reads_none_of_them(both, monkeypatch):
    anna, bob = both
    for number in range(10):
        anna.disk.write(f"f/{number}", f"content {number}")
    both.settle()
    tree = bob.journal.tree(ROOT)
    for number in range(10):
        bob.disk.nodes[f"f/{number}"].number = 1000 + number // 2
        tree.put(replace(item_of(bob, f"f/{number}"), file_id=1000 + number // 2))
    bob.disk.rename("f", "g")
    read = []
    monkeypatch.setattr(bob.disk, "sha256", read.append)
    bob.run()
    assert read == []
    assert set(both.remote.tree()) == {"g", *(f"g/{number}" for number in range(10))}


def test_what_the_log_told_meanwhile_is_not_sent_under_another_id(both):
    """It was sent twice, and the second time was refused because it is there."""
    _, bob = both
    both.settle()
    bob.disk.write("a", "one")
    bob.clock.time += 60
    upload = bob.uploads.upload

    async def again(request):
        # The first time was just before a power cut, and nobody here knows of it.
        bob.uploads.upload = upload
        await upload(request)
        [item] = tree.descendants("")
        tree.put(replace(item, sent=""))
        bob.sync.remote_changed()
        await bob.sync._turn()
        raise RefusedError("id-taken", "There is a node with this id")

    bob.uploads.upload, tree = again, bob.journal.tree(ROOT)
    assert both.settle() == {"a": b"one"}
    assert len(both.remote.nodes) == 3


# -- waiting for each other -------------------------------------------------------------------------------------------


def test_a_deleted_file_does_not_wait_for_the_new_folder_that_wants_its_name(both):
    anna, bob = both
    anna.disk.write("A", "one")
    anna.disk.write("x", "two")
    both.settle()
    bob.disk.delete("A")
    bob.disk.mkdirs("a")
    exchange(anna.disk, "A", "x")
    anna.run()
    tree = both.settle()
    assert tree["A"] == b"two"
    assert [name_key(path) for path in tree if tree[path] is None] == [f"a {COPY}"]


def test_nor_does_one_that_was_edited_there_or_a_folder_with_news(both):
    anna, bob = both
    anna.disk.write("d.txt", "one")
    anna.disk.write("e", "two")
    anna.disk.write("z/d.txt", "three")
    both.settle()
    for path in ("d.txt", "e", "z"):
        bob.disk.delete(path)
    bob.disk.mkdirs("e")
    bob.disk.write("d.txt", "bob's")
    exchange(anna.disk, "d.txt", "e")
    anna.run()
    anna.disk.write("d.txt", "anna's")
    anna.disk.write("z/a", "new")
    anna.run()
    tree = both.settle()
    assert {b"anna's", b"bob's", b"new"} <= set(tree.values())
    assert tree["z/a"] == b"new"


def test_a_file_in_the_folder_that_wants_its_name_is_brought_anew(both):
    anna, bob = both
    anna.disk.write("A", "one")
    anna.disk.write("x", "two")
    both.settle()
    bob.disk.rename("A", "between")
    bob.disk.mkdirs("a")
    bob.disk.rename("between", "a/A")
    exchange(anna.disk, "A", "x")
    anna.run()
    tree = both.settle()
    assert tree["A"] == b"two"
    assert b"one" in tree.values()


def test_a_folder_loses_its_place_only_after_what_lies_in_it():
    """Else that would have a place in nothing, if what becomes of it is refused."""
    folder = Item("e", "", "e", "folder", "e", "top", "e", file_id=1)
    file = Item("z", "e", "z", "file", "z", "e", "z", file_id=2)
    steps = order([Detach(folder, "e"), Trash(file, "e/z")], {"e": folder, "z": file})
    assert [type(step.operation) for step in steps] == [Trash, Detach]
    assert steps[1].after == {0}
    assert order([Detach(folder, "e"), Trash(file, "e/z")], {"e": folder, "z": file}, {"z"}) == ()


def test_a_folder_that_was_made_though_it_is_left_out_and_is_gone_again_is_made_again(both):
    anna, bob = both
    anna.disk.mkdirs("x/e")
    for name in "fg":
        anna.disk.write(name, f"content {name}")
    both.settle()
    asyncio.run(bob.sync.leave_out("x"))
    bob.run()
    both.remote.rename("f", to="x/e/f")
    bob.run()
    assert "x/e/f" in bob.disk.nodes  # what is here goes where its node goes
    bob.disk.delete("x/e")
    both.remote.rename("g", to="x/e/g")
    assert bob.run().state == "in_step"
    assert bob.disk.files() == {"x/e/g": b"content g"}
    assert both.remote.tree()["x/e/f"] == b"content f"


def test_a_file_in_the_place_of_a_left_out_folder_makes_way_for_what_goes_there(both):
    anna, bob = both
    anna.disk.mkdirs("x/e")
    for name in "fg":
        anna.disk.write(name, f"content {name}")
    both.settle()
    asyncio.run(bob.sync.leave_out("x"))
    bob.run()
    both.remote.rename("f", to="x/e/f")
    bob.run()
    bob.disk.delete("x/e")
    bob.disk.write("x/e", "bob's own")
    both.remote.rename("g", to="x/e/g")
    assert bob.run().state == "in_step"
    assert bob.disk.files()["x/e/g"] == b"content g"
    assert b"bob's own" in bob.disk.files().values()


def test_what_was_changed_where_it_is_left_out_stays_there_as_ones_own_when_it_was_edited_there(both):
    anna, bob = both
    anna.disk.mkdirs("x")
    anna.disk.write("f", "one")
    both.settle()
    asyncio.run(bob.sync.leave_out("x"))
    both.remote.rename("f", to="x/f")
    bob.run()
    bob.disk.write("x/f", "bob's")
    both.remote.write("x/f", "edited there")
    both.remote.rename("x/f", to="f")
    assert bob.run().state == "in_step"
    assert bob.disk.files() == {"x/f": b"bob's", "f": b"edited there"}


# -- what is known of what is not there -------------------------------------------------------------------------------


def test_a_folder_that_came_back_from_a_detour_before_a_power_cut_is_what_it_was(both, caplog):
    anna, bob = both
    anna.disk.write("f/a", "one")
    anna.disk.write("f/g/b", "two")
    both.settle()
    folder, sent = item_of(bob, "f"), both.remote.uploads
    bob.journal.tree(ROOT).put(replace(folder, parent_item=AWAY, name=folder.item_id, dirty=True))
    bob.disk.write("f/g/c", "new")
    assert both.settle() == {"f": None, "f/a": b"one", "f/g": None, "f/g/b": b"two", "f/g/c": b"new"}
    assert both.remote.uploads == sent + 1
    assert [one.message for one in caplog.records if one.name.startswith("satchel.journal")] == []


def test_a_file_that_came_back_from_a_detour_before_a_power_cut_and_has_gone_since_is_fetched(both):
    anna, bob = both
    anna.disk.write("a", "one")
    both.settle()
    item = item_of(bob, "a")
    bob.journal.tree(ROOT).put(replace(item, parent_item=AWAY, name=item.item_id, dirty=True))
    bob.disk.delete("a")
    assert both.settle() == {"a": b"one"}


def test_a_name_that_the_journal_has_for_something_else_is_not_free(both):
    _, bob = both
    bob.disk.write(f"X {COPY}", "moved away in a moment")
    bob.run()
    bob.disk.delete(f"X {COPY}")
    bob.disk.mkdirs("X")
    assert beside(bob.sync._side, "X", "X", TOP) == "X (conflicted copy of bob, 2023-11-14, 2)"


def test_what_was_to_be_sent_and_is_ignored_by_now_goes_with_its_folder(both):
    anna, bob = both
    anna.disk.mkdirs("f/g")
    both.settle()
    bob.disk.write("f/g/y", "bob's")

    async def refuse(_request):
        raise RefusedError("quota", "The account is full")

    upload, bob.uploads.upload = bob.uploads.upload, refuse
    bob.run()
    bob.uploads.upload = upload
    bob.disk.write(".satchelignore", "y\n")
    both.remote.drop(both.remote.node("f").node_id)
    assert bob.run().state == "in_step"
    assert set(bob.local()) == {".satchelignore"}
    assert b"bob's" in bob.disk.trashed()


# -- folders inside out -----------------------------------------------------------------------------------------------


def moved(item_id, kind, before, after):
    """A folder or file that goes from one place on this disk to another: (item id of the folder, name)."""
    old = Item(item_id, *before, kind, item_id, "", after[1], dirty=True)
    return MoveHere(replace(old, parent_item=after[0], name=after[1]), after[1], old)


@pytest.mark.parametrize("sequence", list(itertools.permutations(range(4))))
def test_folders_that_change_places_with_what_is_in_them_find_their_places_one_by_one(sequence):
    """d/a/a, d, d/a and c become d, c/a, c and c/a/a."""
    moves = [
        moved("outer", "folder", ("", "d"), ("inner", "a")),
        moved("inner", "folder", ("outer", "a"), ("", "c")),
        moved("first", "file", ("inner", "a"), ("", "d")),
        moved("other", "file", ("", "c"), ("outer", "a")),
    ]
    places = {move.item.item_id: (move.before.parent_item, move.before.name) for move in moves}
    steps = order([moves[number] for number in sequence], {move.before.item_id: move.before for move in moves})

    def is_seen(item_id):
        return item_id == "" or (item_id in places and is_seen(places[item_id][0]))

    for step in steps:
        item = step.operation.item
        if isinstance(step.operation, SetAside):
            assert is_seen(item.item_id)
            del places[item.item_id]
            continue
        assert item.item_id not in places or is_seen(item.item_id)
        assert is_seen(item.parent_item)
        places[item.item_id] = (item.parent_item, item.name)
        assert len(set(places.values())) == len(places)
    assert places == {move.item.item_id: (move.item.parent_item, move.item.name) for move in moves}


def test_what_waits_for_a_delete_that_is_held_back_is_not_set_aside_meanwhile():
    one, other = moved("1", "file", ("", "a"), ("", "b")), moved("2", "file", ("", "b"), ("", "a"))
    gone = TrashHere(replace(one.item, item_id="3", name="B", state="trashed"), "B")  # one with b to some disks
    items = {"1": one.before, "2": other.before, "3": gone.item}
    assert order([one, other, gone], items, {"3"}) == ()
    assert len(order([one, other, gone], items)) == 4


@pytest.mark.parametrize("between", [False, True])
def test_a_folder_waits_for_the_one_in_it_that_it_is_to_go_into(between):
    """Also when that is another one that goes there now."""
    inner = Item("inner", "outer", "x", "folder", "node of inner", "top", "c", dirty=True)
    middle = Item("middle", "outer", "m", "folder", "node of middle", inner.node_id, "m", dirty=True)
    goal = middle if between else inner
    outer = Item("outer", "", "e", "folder", "node of outer", goal.node_id, "e", dirty=True)
    news = News(
        (outer, middle, inner) if between else (outer, inner),
        folders={one.node_id: one for one in (inner, middle)},
        above={"outer": outer},
        owners={"": {}, "inner": {}, "middle": {}},
    )
    made = follow(news, World(top="top", new_id=lambda: "", two_way=True, busy=frozenset({"inner"})))
    assert [step.operation.item.item_id for step in made.steps] == (["middle"] if between else [])
    assert made.waiting == {"c", "c/m/e" if between else "c/e"}
