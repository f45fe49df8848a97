"""What happens to names in step that are ignored, or held back, from now on: nothing, on either side."""

from __future__ import annotations

from dataclasses import replace

import pytest

from satchel.journal import Item
from satchel.journal.tree import AWAY, TOP
from satchel.sync.follow import News, follow
from satchel.sync.news import leaves_out
from satchel.sync.observe import observe
from satchel.sync.plan import World as Settings
from satchel.sync.plan import plan
from sync_world import World


@pytest.fixture
def world():
    return World()


def in_step(world):
    row = world.run()
    assert row.state == "in_step", row
    return row


def remote(world):
    return {path: content for path, content in world.remote.tree().items() if content is not None}


def test_ignored_names_do_not_travel_and_the_ignore_file_does(world):
    world.disk.write(".satchelignore", "*.log\nbuild/\n")
    world.disk.write("a.txt", "one")
    world.disk.write("a.log", "two")
    world.disk.write("sub/build/c.txt", "three")
    in_step(world)
    assert set(world.remote.tree()) == {".satchelignore", "a.txt", "sub"}


def test_a_synced_name_that_becomes_ignored_is_left_alone_on_both_sides(world):
    world.disk.write("a.log", "one")
    world.disk.write("build/b.txt", "two")
    world.disk.write("build/sub/c.txt", "three")
    world.disk.write("d.txt", "four")
    in_step(world)
    before = remote(world)
    world.disk.write(".satchelignore", "*.log\nbuild/\n")
    in_step(world)
    world.disk.write("a.log", "changed")
    world.disk.delete("build/b.txt")
    world.disk.delete("build/sub")
    in_step(world)
    world.disk.delete("build")
    world.disk.delete("a.log")
    in_step(world)
    assert remote(world) == before | {".satchelignore": b"*.log\nbuild/\n"}
    assert world.remote.count("trash") == 0


def test_what_is_no_longer_ignored_is_brought_in_step_under_its_old_node(world):
    world.disk.write("a.log", "one")
    in_step(world)
    node = world.remote.at("/Work/a.log").node_id
    world.disk.write(".satchelignore", "*.log\n")
    world.disk.write("a.log", "two!")
    in_step(world)
    assert remote(world)["a.log"] == b"one"
    world.disk.delete(".satchelignore")
    in_step(world)
    assert remote(world) == {"a.log": b"two!"}
    assert world.remote.at("/Work/a.log").node_id == node


def test_a_name_that_is_gone_when_it_is_no_longer_ignored_is_trashed_then(world):
    world.disk.write("a.log", "one")
    world.disk.write("b.txt", "two")
    in_step(world)
    world.disk.write(".satchelignore", "*.log\n")
    world.disk.delete("a.log")
    in_step(world)
    assert "a.log" in remote(world)
    world.disk.write(".satchelignore", "# nothing\n")
    in_step(world)
    assert set(remote(world)) == {".satchelignore", "b.txt"}


@pytest.mark.parametrize("left_out", ["ignored", "held"])
def test_a_moved_folder_keeps_what_is_left_out_in_it(world, left_out):
    world.disk.write("old/a.txt", "one")
    world.disk.write("old/b.log", "two")
    in_step(world)
    if left_out == "ignored":
        world.disk.write(".satchelignore", "*.log\n")
    else:
        world.disk.links.add("old/b.log")
    world.run()
    world.disk.rename("old", "new")
    world.disk.links = {"new/b.log"} if left_out == "held" else set()
    world.run()
    assert {path for path in remote(world) if path != ".satchelignore"} == {"new/a.txt", "new/b.log"}
    assert world.remote.count("trash") == 0


def test_a_plan_trashes_nothing_that_stays_in_a_moved_folder(world):
    world.disk.write("old/a.txt", "one")
    world.disk.write("old/b.log", "two")
    in_step(world)
    world.disk.write(".satchelignore", "*.log\n")
    world.disk.rename("old", "new")
    seen = observe(world.disk, world.journal.tree("r" * 32), None)
    settings = Settings(top="top", new_id=world.ids.new_id, stays=lambda path, kind: seen.stays(world.disk, path, kind))
    assert {type(step.operation).__name__ for step in plan(seen.dirt, settings).steps} == {"Move", "Upload"}


def test_a_hint_in_an_ignored_folder_leads_to_nothing(world):
    world.disk.write("build/sub/a.txt", "one")
    world.disk.write("b.txt", "two")
    in_step(world)
    world.disk.write(".satchelignore", "build/\n")
    in_step(world)
    world.disk.write("build/sub/a.txt", "changed")
    world.disk.write("build/sub/new.txt", "new")
    seen = observe(world.disk, world.journal.tree("r" * 32), ["build/sub", "build"])
    assert seen.dirt.differences == []


def test_a_changed_ignore_file_is_seen_once_be_it_deep_down(world):
    world.disk.write(".satchelignore", "*.log\n")
    world.disk.mkdirs("deep/er")
    in_step(world)
    tree = world.journal.tree("r" * 32)
    world.disk.write("deep/er/.satchelignore", "!a.log\n")
    before = observe(world.disk, tree, [""]).rules
    after = observe(world.disk, tree, ["deep/er"]).rules
    assert after > before
    assert observe(world.disk, tree, ["deep/er", ""]).rules == after


def test_a_broken_line_is_held_with_its_number_and_all_else_goes_on(world):
    world.disk.write("sub/.satchelignore", "*.log\n[z-a]\n")
    world.disk.write("sub/a.log", "one")
    world.disk.write("sub/b.txt", "two")
    row = world.run()
    assert row.state == "attention"
    assert [(held.path, held.reason) for held in row.held] == [("sub/.satchelignore", "Line 2 is no pattern: [z-a]")]
    assert row.held[0].remedy
    assert set(remote(world)) == {"sub/.satchelignore", "sub/b.txt"}
    world.disk.write("sub/.satchelignore", "*.log\n")
    in_step(world)


def test_ignored_files_are_no_mass_delete(world):
    for number in range(200):
        world.disk.write(f"logs/{number}.log", f"{number}")
    in_step(world)
    world.disk.write(".satchelignore", "*.log\n")
    world.disk.delete("logs/7.log")
    in_step(world)
    assert len(remote(world)) == 201


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_ignored_here_is_neither_fetched_nor_trashed_for_the_service(world, kind):
    world.disk.write(".satchelignore", "*.log\nbuild/\n")
    world.disk.list("")
    name = "a.log" if kind == "file" else "build"
    there = Item("1", AWAY, "", kind, "n1", "top", name, revision_id="r1" if kind == "file" else None, dirty=True)
    gone = replace(there, parent_item=TOP, name=name, state="trashed")
    for item, ordinary in ((there, replace(there, remote_name="b")), (gone, replace(gone, name="b", remote_name="b"))):
        plans = []
        for one in (item, ordinary):
            news = News((one,), owners={TOP: {}}, there={TOP: {}})
            settings = Settings(top="top", new_id=world.ids.new_id, stays=world.disk.ignored, two_way=True)
            plans.append(follow(news, settings, lambda one, news=news: leaves_out(world.disk, news, one)))
        assert plans[0].steps == ()
        assert plans[1].steps != ()


def test_what_is_ignored_in_a_folder_that_was_trashed_goes_with_it_and_holds_nothing_up(world):
    world.disk.write(".satchelignore", "*.log\n")
    world.disk.list("")
    folder = Item("1", TOP, "a", "folder", "n1", "top", "a", state="trashed", dirty=True)
    inside = Item("2", "1", "b.log", "file", "n2", "n1", "b.log", state="trashed", dirty=True)
    settings = Settings(top="top", new_id=world.ids.new_id, stays=world.disk.ignored, two_way=True)
    made = follow(News((folder, inside), under={"1": (inside,)}), settings)
    assert [step.operation.path for step in made.steps] == ["a/b.log", "a"]
    assert not made.waiting


def test_what_this_computer_cannot_have_is_not_fetched(world):
    news = News()
    named = Item("1", AWAY, "", "file", "n1", "top", "x" * 300)
    assert leaves_out(world.disk, news, named)
    assert not leaves_out(world.disk, news, replace(named, remote_name="x"))
