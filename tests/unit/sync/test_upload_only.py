"""What an upload-only root does, seen from both sides."""

from __future__ import annotations

import asyncio
import unicodedata
from dataclasses import replace

import pytest

from satchel.core.errors import LocalFileError, OfflineError, RefusedError
from satchel.core.model import Node, Revision
from sync_world import World


@pytest.fixture
def world():
    return World()


def in_step(world):
    row = world.run()
    assert row.state == "in_step", row
    assert world.remote.tree() == world.local()
    return row


def test_files_and_folders_arrive(world):
    world.disk.write("a.txt", "one")
    world.disk.write("deep/er/b.txt", "two")
    world.disk.mkdirs("empty")
    in_step(world)
    assert world.remote.count("make_folders") == 2  # /Work, and all others in one batch


def test_nothing_to_do_asks_only_for_changes(world):
    world.disk.write("a.txt", "one")
    in_step(world)
    world.remote.calls.clear()
    in_step(world)
    assert {call[0] for call in world.remote.calls} == {"changes"}


def test_a_rename_moves_the_node_and_sends_nothing(world):
    world.disk.write("a.txt", "one")
    in_step(world)
    node, sent = world.remote.at("/Work/a.txt"), world.remote.uploads
    world.disk.rename("a.txt", "sub/b.txt")
    in_step(world)
    assert world.remote.at("/Work/sub/b.txt").node_id == node.node_id
    assert world.remote.uploads == sent


def test_renaming_a_whole_folder_is_one_move(world):
    for number in range(30):
        world.disk.write(f"old/sub{number % 3}/{number}.txt", f"{number}")
    in_step(world)
    world.remote.calls.clear()
    world.disk.rename("old", "new")
    in_step(world)
    assert world.remote.count("move") == 1
    assert world.remote.count("upload") == world.remote.count("trash") == world.remote.count("make_folders") == 0


def test_an_edit_is_a_new_revision_of_the_same_node(world):
    world.disk.write("a.txt", "one")
    in_step(world)
    before = world.remote.at("/Work/a.txt")
    world.disk.write("a.txt", "two!")
    in_step(world)
    after = world.remote.at("/Work/a.txt")
    assert after.node_id == before.node_id
    assert after.revision != before.revision


def test_delete_and_create_under_the_same_name_is_a_new_revision(world):
    world.disk.write("a.txt", "one")
    in_step(world)
    before = world.remote.at("/Work/a.txt")
    world.disk.delete("a.txt")
    world.disk.write("x", "takes the inode")
    world.disk.write("a.txt", "two!")
    in_step(world)
    assert world.remote.at("/Work/a.txt").node_id == before.node_id


def test_an_inode_used_again_is_not_a_rename(world):
    world.disk.write("a.txt", "one")
    in_step(world)
    before = world.remote.at("/Work/a.txt").node_id
    number = world.disk.nodes["a.txt"].number
    world.disk.delete("a.txt")
    world.disk.write("b.txt", "two")  # the same size, another time and content
    assert world.disk.nodes["b.txt"].number == number
    in_step(world)
    assert world.remote.at("/Work/b.txt").node_id != before


def test_a_file_that_was_touched_and_renamed_is_known_by_its_digest(world):
    world.disk.write("a.txt", "one")
    in_step(world)
    uploads = world.remote.uploads
    world.disk.rename("a.txt", "b.txt")
    world.disk.write("b.txt", "one")
    in_step(world)
    assert world.remote.uploads == uploads


def test_touching_sends_nothing(world):
    world.disk.write("a.txt", "one")
    in_step(world)
    uploads = world.remote.uploads
    world.clock.time += 100
    world.disk.write("a.txt", "one")
    in_step(world)
    assert world.remote.uploads == uploads


def test_a_delete_goes_to_the_trash(world):
    world.disk.write("a.txt", "one")
    world.disk.write("sub/b.txt", "two")
    in_step(world)
    world.disk.delete("a.txt")
    world.disk.delete("sub")
    in_step(world)
    assert world.remote.count("trash") == 2


def test_a_file_saved_out_of_a_deleted_folder_is_moved_before_the_folder_goes(world):
    world.disk.write("sub/keep.txt", "precious")
    world.disk.write("sub/b.txt", "two")
    in_step(world)
    uploads = world.remote.uploads
    world.disk.rename("sub/keep.txt", "keep.txt")
    world.disk.delete("sub")
    in_step(world)
    assert world.remote.uploads == uploads


def test_a_file_replaced_by_a_folder_of_its_name_and_back(world):
    world.disk.write("a", "one")
    in_step(world)
    world.disk.delete("a")
    world.disk.write("a/b", "two")
    in_step(world)
    world.disk.delete("a")
    world.disk.write("a", "three")
    in_step(world)


def test_folders_that_exchange_their_names_take_a_detour(world):
    world.disk.write("a/1.txt", "one")
    world.disk.write("b/2.txt", "two")
    in_step(world)
    uploads = world.remote.uploads
    world.disk.rename("a", "tmp")
    world.disk.rename("b", "a")
    world.disk.rename("tmp", "b")
    in_step(world)
    assert world.remote.uploads == uploads


def test_a_folder_that_changes_places_with_its_parent(world):
    world.disk.write("a/b/1.txt", "one")
    world.disk.write("a/2.txt", "two")
    in_step(world)
    world.disk.rename("a/b", "b")
    world.disk.rename("a", "b/a")
    in_step(world)


def test_a_change_of_capitals_or_accents_is_a_rename(world):
    world.disk.write("Café.txt", "one")
    in_step(world)
    node, uploads = world.remote.at("/Work/Café.txt"), world.remote.uploads
    other = unicodedata.normalize("NFD", "CAFÉ.txt")
    world.disk.rename("Café.txt", other)
    in_step(world)
    assert world.remote.at(f"/Work/{other}").node_id == node.node_id
    assert world.remote.uploads == uploads


def test_two_names_that_are_one_to_the_service_are_never_merged(world):
    world.disk.write("a.txt", "one")
    world.disk.write("A.txt", "two")
    row = world.run()
    assert row.state == "attention"
    assert len(world.remote.tree()) == 1
    assert "capitals" in row.held[0].reason
    world.disk.rename(row.held[0].path, "other.txt")
    in_step(world)


# -- the remote side --------------------------------------------------------------------------------------------------


def test_a_remote_rename_is_followed_and_the_next_edit_goes_to_the_same_node(world):
    world.disk.write("a.txt", "one")
    in_step(world)
    node = world.remote.at("/Work/a.txt")
    world.remote.put(replace(node, name="theirs.txt"))
    world.disk.write("a.txt", "two!")
    row = world.run()
    assert row.state == "in_step"
    assert world.remote.tree() == {"theirs.txt": b"two!"}
    assert world.local() == {"a.txt": b"two!"}


def test_a_local_rename_wins_over_a_remote_one(world):
    world.disk.write("a.txt", "one")
    in_step(world)
    world.remote.put(replace(world.remote.at("/Work/a.txt"), name="theirs.txt"))
    world.disk.rename("a.txt", "mine.txt")
    in_step(world)


def test_a_new_local_file_gets_its_name_back_from_our_own_renamed_node(world):
    world.disk.write("a.txt", "one")
    in_step(world)
    world.remote.put(replace(world.remote.at("/Work/a.txt"), name="b.txt"))
    world.disk.write("b.txt", "two")
    in_step(world)


def test_a_remote_delete_stands_until_the_local_content_changes(world):
    world.disk.write("sub/a.txt", "one")
    in_step(world)
    world.remote.drop(world.remote.at("/Work/sub").node_id)
    row = world.run()
    assert row.state == "in_step"
    assert world.remote.tree() == {}
    world.disk.write("sub/a.txt", "two!")
    in_step(world)


def test_what_was_deleted_on_both_sides_is_forgotten(world):
    world.disk.write("a.txt", "one")
    in_step(world)
    world.remote.drop(world.remote.at("/Work/a.txt").node_id)
    world.disk.delete("a.txt")
    in_step(world)
    assert world.remote.count("trash") == 0


def test_deleting_the_whole_remote_folder_stands_too(world):
    world.disk.write("a.txt", "one")
    world.disk.write("b.txt", "two")
    in_step(world)
    world.remote.drop(world.remote.at("/Work").node_id)
    world.run()
    world.disk.write("b.txt", "three")
    assert world.run().state == "in_step"
    assert world.remote.tree() == {"b.txt": b"three"}
    assert set(world.local()) == {"a.txt", "b.txt"}


def test_deleting_a_folder_above_the_remote_folder_is_noticed(world):
    world.journal.roots.save(replace(world.journal.roots.get("r" * 32), remote_path="/Backups/Work"))
    world.start()
    world.disk.write("a.txt", "one")
    world.run()
    assert world.remote.tree("/Backups/Work") == {"a.txt": b"one"}
    world.remote.drop(world.remote.at("/Backups").node_id)
    world.disk.write("b.txt", "two")
    assert world.run().state == "in_step"
    assert world.remote.tree("/Backups/Work") == {"b.txt": b"two"}


def test_local_wins_over_a_remote_edit_and_the_other_revision_is_kept(world):
    world.disk.write("a.txt", "one")
    in_step(world)
    node = world.remote.at("/Work/a.txt")
    theirs = Revision("f" * 32, 6, 5, None)
    world.remote.content["f" * 32] = b"theirs"
    world.uploads.during["a.txt"] = lambda: world.remote.put(replace(node, revision=theirs))
    world.disk.write("a.txt", "mine")
    in_step(world)
    revisions = [entry.node.revision for change in world.remote.log for entry in change.entries]
    assert theirs in revisions


def test_a_remote_stranger_with_the_name_becomes_an_older_revision(world):
    world.run()
    revision = Revision("e" * 32, 6, 5, None)
    world.remote.content["e" * 32] = b"theirs"
    stranger = world.remote.put(Node("9" * 32, world.remote.at("/Work").node_id, "A.txt", "file", 0, revision))
    world.disk.write("a.txt", "mine")
    row = world.run()
    assert row.state == "in_step"
    assert world.remote.tree() == {"A.txt": b"mine"}
    assert world.remote.at("/Work/A.txt").node_id == stranger.node_id


def test_moving_onto_a_stranger_takes_its_node_over(world):
    world.disk.write("a.txt", "mine")
    in_step(world)
    revision = Revision("e" * 32, 6, 5, None)
    world.remote.content["e" * 32] = b"theirs"
    world.remote.put(Node("9" * 32, world.remote.at("/Work").node_id, "b.txt", "file", 0, revision))
    world.disk.rename("a.txt", "b.txt")
    in_step(world)
    assert world.remote.sent_bytes == len("mine")


def test_a_folder_of_the_name_is_adopted_with_what_is_equal(world):
    world.disk.write("sub/a.txt", "one")
    in_step(world)
    world.journal.tree("r" * 32).remove(*[item.item_id for item in world.journal.tree("r" * 32).children("")])
    uploads = world.remote.uploads
    in_step(world)
    assert world.remote.uploads == uploads


def test_a_lost_journal_sends_nothing_that_is_there(world):
    for number in range(20):
        world.disk.write(f"sub{number % 4}/{number}.txt", f"content {number}")
    in_step(world)
    uploads = world.remote.uploads
    world.lose_journal()
    world.disk.write("sub1/new.txt", "new")
    in_step(world)
    assert world.remote.uploads == uploads + 1


def test_a_cursor_older_than_the_log_deletes_nothing(world):
    world.disk.write("a.txt", "one")
    in_step(world)
    world.remote.put(replace(world.remote.at("/Work/a.txt"), name="theirs.txt"))
    world.remote.log_starts_at = len(world.remote.log)
    world.disk.write("a.txt", "two!")
    assert world.run().state == "in_step"
    assert world.remote.tree() == {"theirs.txt": b"two!"}


# -- accidents --------------------------------------------------------------------------------------------------------


def test_a_vanished_root_is_never_an_emptied_one(world):
    world.disk.write("a.txt", "one")
    in_step(world)
    world.disk.marker, nodes = None, dict(world.disk.nodes)
    world.disk.nodes.clear()
    row = world.run()
    assert row.state == "attention"
    assert row.held[0].remedy
    assert world.remote.tree() == {"a.txt": b"one"}
    world.disk.marker, world.disk.nodes = "r" * 32, nodes
    in_step(world)


def test_a_mass_delete_is_held_back_and_everything_else_goes_on(world):
    for number in range(60):
        world.disk.write(f"{number}.txt", f"{number}")
    in_step(world)
    for number in range(55):
        world.disk.delete(f"{number}.txt")
    world.disk.write("new.txt", "new")
    row = world.run()
    assert row.state == "attention"
    assert "55" in row.held[0].reason
    assert len(world.remote.tree()) == 61
    world.sync.confirm_deletions()
    in_step(world)


def test_a_confirmed_mass_delete_allows_no_larger_one(world):
    for number in range(60):
        world.disk.write(f"{number}.txt", f"{number}")
    in_step(world)
    for number in range(40):
        world.disk.delete(f"{number}.txt")
    assert world.run().deletions == 40
    world.sync.confirm_deletions()
    for number in range(40, 55):
        world.disk.delete(f"{number}.txt")
    assert world.run().deletions == 55
    assert len(world.remote.tree()) == 60
    world.sync.confirm_deletions()
    in_step(world)
    assert world.run().deletions == 0


def test_an_unreadable_folder_is_held_and_nothing_in_it_is_deleted(world):
    world.disk.write("sub/a.txt", "one")
    in_step(world)
    world.disk.unreadable.add("sub")
    row = world.run()
    assert [held.path for held in row.held] == ["sub"]
    assert world.remote.tree() == world.local()


def test_one_failing_file_holds_back_only_itself(world):
    for name in "abc":
        world.disk.write(f"{name}.txt", name)
    world.uploads.refuse["b.txt"] = LocalFileError("The file may not be read", "Give permission.")
    row = world.run()
    assert [(held.path, held.remedy) for held in row.held] == [("b.txt", "Give permission.")]
    assert row.state == "attention"
    assert set(world.remote.tree()) == {"a.txt", "c.txt"}
    world.uploads.refuse.clear()
    in_step(world)


def test_a_full_quota_is_said_and_other_files_go_on(world):
    world.disk.write("big.bin", "x" * 100)
    world.disk.write("small.txt", "x")
    world.uploads.refuse["big.bin"] = RefusedError("quota-exceeded", "The account is full", "Delete something.")
    row = world.run()
    assert row.held[0].reason == "The account is full"
    assert set(world.remote.tree()) == {"small.txt"}


def test_offline_is_a_state_and_not_a_failure(world):
    world.disk.write("a.txt", "one")
    world.remote.offline = OfflineError("The service cannot be reached")
    row = world.run()
    assert row.state == "offline"
    world.remote.offline = None
    in_step(world)


def test_a_file_that_grows_during_the_upload_is_sent_again_when_quiet(world):
    world.disk.write("a.txt", "half")
    world.uploads.during["a.txt"] = lambda: world.disk.write("a.txt", "half and whole")
    in_step(world)
    assert world.remote.uploads == 1


def test_a_file_deleted_during_the_upload_is_no_failure(world):
    world.disk.write("a.txt", "one")
    world.disk.write("b.txt", "two")
    world.uploads.during["a.txt"] = lambda: world.disk.delete("a.txt")
    in_step(world)


def test_paused_does_nothing(world):
    world.disk.write("a.txt", "one")
    world.sync.pause()
    assert world.run().state == "paused"
    assert world.remote.calls == []
    world.sync.resume()
    in_step(world)


def test_after_the_machine_slept_everything_is_looked_at_again(world):
    world.disk.write("a.txt", "one")
    in_step(world)
    world.disk.write("b.txt", "two")  # and no event told of it

    async def sleep_over_night():
        wall = world.clock.now_ms
        world.clock.now_ms = lambda: wall() + 8 * 3600 * 1000 * (world.clock.time > started)
        await world.sync._wait()
        await world.sync.sync_once()

    started = world.clock.time
    lists = world.disk.lists
    asyncio.run(sleep_over_night())
    assert world.disk.lists > lists
    assert world.remote.tree() == world.local()


def test_hints_alone_are_enough_between_rescans(world):
    world.disk.mkdirs("one")
    world.disk.write("two/a.txt", "a")
    in_step(world)
    world.disk.write("one/b.txt", "b")
    world.disk.write("two/unseen.txt", "no event told of it")
    world.sync._dirty.add("one")

    async def one_turn():
        world.clock.time += 10
        await world.sync._turn()
        await world.sync._sending.outbox.some_done()

    asyncio.run(one_turn())
    assert set(world.remote.tree()) == {"one", "one/b.txt", "two", "two/a.txt"}
    in_step(world)


def test_a_rescan_asked_for_during_a_look_at_one_folder_is_still_made(world):
    world.disk.write("one/a.txt", "a")
    in_step(world)
    world.disk.write("two/unseen.txt", "no event told of it")
    world.sync._dirty.add("one")

    async def asked_for_meanwhile():
        # The service answers slowly, and somebody runs `satchel sync` before it has.
        answer = world.remote.changes

        async def changes(after):
            world.sync.rescan()
            return await answer(after)

        world.remote.changes = changes
        world.sync.remote_changed()
        await world.sync._turn()
        world.remote.changes = answer
        await world.sync._turn()

    asyncio.run(asked_for_meanwhile())
    assert "two" in world.remote.tree()


def test_a_file_that_took_anothers_place_before_it_was_read_passes_for_neither(world):
    world.disk.write("a", "one", mtime_ns=5)
    world.disk.write("b", "two", mtime_ns=6)  # the same millisecond
    upload = world.uploads.upload

    async def late(request):
        world.uploads.upload = upload
        nodes = world.disk.nodes
        nodes["a"], nodes["b"] = nodes["b"], nodes["a"]
        return await upload(request)

    world.uploads.upload = late
    world.run()
    in_step(world)
    assert world.remote.tree() == {"a": b"two", "b": b"one"}


def test_what_was_held_back_in_a_folder_that_is_gone_is_not_held_any_more(world):
    for folder in ("one/in", "two"):
        world.disk.write(f"{folder}/a.txt", "a")
        world.disk.write(f"{folder}/A.txt", "b")
    (inside,) = {one.path for one in world.run().held if one.path.startswith("one/in/")}
    (other,) = {one.path for one in world.sync.status().held} - {inside}
    world.disk.delete("one/in")
    world.sync._dirty.add("one")

    async def one_turn():
        world.clock.time += 10
        await world.sync._turn()

    asyncio.run(one_turn())
    assert [one.path for one in world.sync.status().held] == [other]


def test_what_an_earlier_run_left_is_given_up_once_everything_is_in_step(world):
    world.disk.write("a.txt", "a")
    world.uploads.refuse["a.txt"] = OfflineError("The storage does not answer")
    world.run()
    assert world.uploads.given_up == []
    world.uploads.refuse.clear()
    in_step(world)
    in_step(world)
    assert world.uploads.given_up == ["r" * 32]
