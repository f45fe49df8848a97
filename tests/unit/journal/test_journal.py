from __future__ import annotations

import sqlite3
import threading
from dataclasses import replace

import pytest

from satchel.core.errors import JournalError
from satchel.core.model import SavedLink, StoredUpload, TransferState, UploadRequest
from satchel.journal import Item, Journal, Tree, WatchedRoot, database
from satchel.journal import uploads as journal_uploads


@pytest.fixture
def path(tmp_path):
    return tmp_path / "home" / "journal.db"


@pytest.fixture
def journal(path):
    opened = Journal(path)
    yield opened
    opened.close()


def upload(name="a", state=TransferState.WAITING, created_ms=1, path="/tmp/a"):
    request = UploadRequest(name * 32, path, "b" * 32, "root", "a.txt", "drop", "g")
    return StoredUpload(request, 5, 7, state, created_ms)


def item(item_id, name, parent="", kind="file", **values):
    return Item(item_id, parent, name, kind, f"node-{item_id}", "root", name, **values)


def test_uploads_survive_a_new_start(journal, path):
    journal.uploads.add([upload("a"), upload("b", created_ms=2)])
    journal.uploads.part_done("a" * 32, 2, "crc2", 10)
    journal.uploads.part_done("a" * 32, 1, "crc1", 10)
    journal.uploads.save(replace(upload("b", created_ms=2), state=TransferState.DONE))

    again = Journal(path)  # the first one was never closed: as after kill -9

    assert again.uploads.unfinished() == [upload("a")]
    assert again.uploads.parts("a" * 32) == {1: "crc1", 2: "crc2"}
    assert [u.request.upload_id[0] for u in again.uploads.recent(10)] == ["b", "a"]
    again.close()


def test_what_has_reached_the_disk_is_in_the_file_that_a_power_cut_leaves(journal, path, tmp_path):
    journal.settings.set("early", "1")
    journal.reach_the_disk()
    journal.settings.set("late", "2")
    left = tmp_path / "left.db"
    left.write_bytes(path.read_bytes())  # the log beside it may be gone
    again = Journal(left)
    assert (again.settings.get("early"), again.settings.get("late")) == ("1", None)
    again.close()


def test_an_upload_that_is_done_or_removed_leaves_no_parts(journal):
    journal.uploads.add([upload("a"), upload("b")])
    journal.uploads.part_done("a" * 32, 1, "crc", 1)
    journal.uploads.part_done("b" * 32, 1, "crc", 1)
    journal.uploads.save(replace(upload("a"), state=TransferState.DONE))
    journal.uploads.remove("b" * 32)
    assert journal.uploads.parts("a" * 32) == journal.uploads.parts("b" * 32) == {}
    assert journal.uploads.get("b" * 32) is None


def test_a_path_that_is_not_utf8_is_remembered(journal):
    odd = upload(path="/tmp/\udcff")
    journal.uploads.add([odd])
    assert journal.uploads.get("a" * 32) == odd


def test_links_are_found_newest_first_and_by_node(journal):
    first, second = (SavedLink(i, "n", f"https://example.com/s/{i}", "node", at) for i, at in (("l1", 1), ("l2", 2)))
    journal.links.add(first, second)
    assert journal.links.recent(10) == [second, first]
    assert journal.links.by_node("node") == [second, first]
    journal.links.remove("l2")
    assert journal.links.recent(10) == [first]


def test_a_root_keeps_its_cursor_and_takes_its_tree_with_it(journal):
    journal.roots.add(WatchedRoot("r", "/home/alice/Work", "/Work", 1))
    journal.roots.set_cursor("r", 7)
    journal.roots.save(WatchedRoot("r", "/home/alice/Work", "/Work", 1, remote_node="n"))
    assert journal.roots.cursor("r") == 7
    journal.tree("r").put(item("i", "a"))
    journal.roots.remove("r")
    assert journal.roots.all() == []
    assert journal.tree("r").get("i") is None


def test_the_tree_knows_places_nodes_and_paths(journal):
    tree = journal.tree("r")
    tree.put(item("f", "folder", kind="folder"), item("g", "deep", "f", "folder"), item("x", "x.txt", "g", size=3))
    assert tree.path_of(tree.get("x")) == "folder/deep/x.txt"
    assert tree.find("folder/deep/x.txt").item_id == "x"
    assert tree.by_node("node-x").size == 3
    assert [i.item_id for i in tree.descendants("f")] == ["g", "x"]
    assert journal.tree("other").get("x") is None
    tree.remove("f")
    assert tree.get("x") is None


def test_a_transaction_left_by_an_error_leaves_nothing(journal):
    def half_done():
        with journal.transaction():
            journal.settings.set("a", "1")
            journal.tree("r").put(item("i", "a"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        half_done()
    assert journal.settings.get("a") is None
    assert journal.tree("r").get("i") is None


def test_threads_share_one_journal(journal):
    def work(number):
        for part in range(50):
            journal.uploads.part_done(f"{number}", part, "crc", 1)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [len(journal.uploads.parts(f"{n}")) for n in range(4)] == [50] * 4


def test_a_torn_file_is_set_aside_and_a_new_one_is_built(path):
    journal = Journal(path)
    journal.settings.set("a", "1")
    journal.close()
    torn = b"\0garbage" * 4096
    path.write_bytes(torn)

    journal = Journal(path)

    assert journal.set_aside is not None
    assert journal.set_aside.read_bytes() == torn
    assert journal.settings.under("") == []
    journal.close()


def test_damage_in_the_middle_is_seen_at_the_start(path):
    journal = Journal(path)
    journal.tree("r").put_many(item(f"i{n}", f"name {n}") for n in range(3000))
    journal.close()
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 20_000] = b"\xaa" * 20_000
    path.write_bytes(content)
    journal = Journal(path)
    assert journal.set_aside is not None
    journal.close()


def test_a_journal_of_another_version_is_refused_with_what_to_do_and_left_alone(path):
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.execute("CREATE TABLE precious (a)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(JournalError) as error:
        Journal(path)
    assert "99" in str(error.value)
    assert path.read_bytes() == before


def test_a_folder_that_cannot_be_written_is_a_journal_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalError):
        Journal(tmp_path / "file" / "journal.db")


def test_a_watched_folder_s_files_leave_nothing_behind_when_they_are_done(journal):
    for name, state in (("a", TransferState.DONE), ("b", TransferState.CANCELLED), ("c", TransferState.FAILED)):
        given = upload(name)
        journal.uploads.save(replace(given, request=replace(given.request, origin="root"), state=state))
    assert journal.uploads.get("a" * 32) is None
    assert [one.request.upload_id[0] for one in journal.uploads.given_up()] == ["b", "c"]


def test_drops_that_are_done_are_forgotten_after_a_while(journal):
    old, new = upload("a", created_ms=1), upload("b", created_ms=5)
    journal.uploads.add([replace(old, state=TransferState.DONE), replace(new, state=TransferState.DONE)])
    journal.uploads.forget_done(3)
    assert [one.request.upload_id[0] for one in journal.uploads.recent()] == ["b"]


def test_a_journal_of_the_first_format_goes_on_in_this_one(path):
    path.parent.mkdir(parents=True)
    connection = sqlite3.connect(path)
    connection.executescript(database._STEPS[0] + "PRAGMA user_version=1;")
    connection.execute("INSERT INTO setting VALUES ('device', 'd')")
    connection.commit()
    connection.close()

    journal = Journal(path)
    journal.uploads.remember("n", "r", 5, b"head", b"signature")

    assert journal.uploads.signature("n", "r") == b"signature"
    journal.close()
    again = sqlite3.connect(path)
    assert again.execute("SELECT * FROM setting").fetchall() == [("device", "d")]
    assert again.execute("PRAGMA user_version").fetchone() == (database.SCHEMA_VERSION,)
    again.close()


@pytest.mark.parametrize("read", [lambda tree: tree.stamps("f"), Tree.count_files])
def test_a_scan_and_a_count_read_no_more_than_they_need(path, read):
    """One index holds it all: a row looked up for each of 100,000 files takes three times as long, or twenty times."""
    journal = Journal(path)
    asked: list[str] = []
    journal._database._connection.set_trace_callback(asked.append)
    read(journal.tree("r"))
    journal._database._connection.set_trace_callback(None)
    [way] = journal._database.read(f"EXPLAIN QUERY PLAN {asked[0]}")
    assert "USING COVERING INDEX" in way[-1]
    journal.close()


def test_a_file_is_compared_with_its_newest_revision_and_may_go_back_to_an_older_one(journal):
    uploads = journal.uploads
    uploads.remember("n", "first", 5, b"head", b"1")
    uploads.remember("n", "second", 6, b"other", b"2")
    assert uploads.signature("n", "first") is None
    assert uploads.signature("n", "second") == b"2"
    assert uploads.heads(5) == {b"head"}
    assert uploads.heads(6) == {b"other"}
    uploads.remember("n", "second", 6, b"other", b"2")
    assert uploads.signature("n", "second") == b"2"


def test_a_file_that_changes_often_takes_no_room_from_others(journal):
    journal.uploads.remember("other", "r", 100, b"head", b"")
    for number in range(20):
        journal.uploads.remember("n", f"r{number}", number, b"head", b"1")
    assert [number for number in range(20) if journal.uploads.heads(number)] == list(range(12, 20))
    assert journal.uploads.heads(100)


def test_what_was_remembered_longest_ago_is_forgotten(journal, monkeypatch):
    monkeypatch.setattr(journal_uploads, "_REVISIONS", 3)
    monkeypatch.setattr(journal_uploads, "_SIGNATURE_BYTES", 10)
    for number in range(4):
        journal.uploads.remember(f"n{number}", "r", number, b"head", b"")
    assert [journal.uploads.signature(f"n{n}", "r") for n in range(4)] == [None, b"", b"", b""]
    journal.uploads.remember("n4", "r", 4, b"head", b"123456")
    journal.uploads.remember("n5", "r", 5, b"head", b"12345")
    assert journal.uploads.signature("n4", "r") is None
    assert journal.uploads.signature("n5", "r") == b"12345"
