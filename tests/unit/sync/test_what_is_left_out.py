"""What happens to names in step that are ignored, or held back, from now on: nothing, on either side."""

from __future__ import annotations

import pytest

from satchel.sync.observe import observe
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


def test_a_changed_ignore_file_asks_for_a_full_look_once(world):
    world.disk.write(".satchelignore", "*.log\n")
    world.disk.mkdirs("deep/er")
    in_step(world)
    tree = world.journal.tree("r" * 32)
    world.disk.write("deep/er/.satchelignore", "!a.log\n")
    assert observe(world.disk, tree, ["deep/er"]).rules_changed
    assert not observe(world.disk, tree, ["deep/er"]).rules_changed
    assert not observe(world.disk, tree, [""]).rules_changed


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
