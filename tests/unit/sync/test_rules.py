from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satchel.core.errors import CancelledError, OfflineError, UsageError
from satchel.core.names import name_key
from satchel.disk import Entry, read_marker
from satchel.journal import Item, Journal
from satchel.sync import add_root, check_root
from satchel.sync.failures import Failures
from satchel.sync.operations import Detour, MakeFolder, Move, MoveHere, Trash, TrashHere, Upload
from satchel.sync.order import order
from satchel.sync.quiet import CLOSED, MISSING, OPEN, Quiet
from satchel.sync.roots import DEBOUNCE
from satchel.sync.rules import admit, is_mass_delete
from sync_world import FakeClock, FakeIds


@pytest.fixture
def home(tmp_path):
    (tmp_path / "home" / "Work" / "deep").mkdir(parents=True)
    return tmp_path / "home"


@pytest.mark.parametrize(
    ("folder", "reason"),
    [
        (".", "home folder"),
        ("..", "home folder"),
        ("/", "whole disk"),
        ("gone", "no such folder"),
        ("Work/file.txt", "not a folder"),
        ("Work", "watched already"),
        ("Work/deep", "lies in a watched folder"),
        ("Dropbox/x", "Dropbox"),
        ("OneDrive - Example/x", "OneDrive"),
        ("My Drive", "Google Drive"),
        ("Mobile Documents/com~apple~CloudDocs", "iCloud"),
    ],
)
def test_a_folder_that_must_not_be_watched_is_refused_with_the_reason(home, folder, reason):
    (home / "Work" / "file.txt").write_text("")
    if folder not in ("gone", "Work/file.txt"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    with pytest.raises(UsageError, match=reason) as error:
        check_root(home / folder, [home / "Work"], home=home)
    assert error.value.message


def test_a_folder_around_a_watched_one_is_refused(home):
    with pytest.raises(UsageError, match="lies in it"):
        check_root(home / "Work", [home / "Work" / "deep"], home=home)


def test_an_ordinary_folder_may_be_watched_and_links_to_it_are_resolved(home):
    (home / "link").symlink_to(home / "Work")
    assert check_root(home / "link", [], home=home) == (home / "Work").resolve()


def test_adding_a_root_leaves_its_marker_and_is_remembered(home, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(home))
    journal = Journal(tmp_path / "journal.db")
    root = add_root(journal, home / "Work", None, clock=FakeClock(), ids=FakeIds())
    assert root.remote_path == "/Work"
    assert read_marker(home / "Work") == root.root_id
    assert journal.roots.all() == [root]
    with pytest.raises(UsageError, match="already"):
        add_root(journal, home / "Work", None, clock=FakeClock(), ids=FakeIds())
    journal.close()


def test_of_names_that_are_one_the_synced_one_goes():
    entries = [Entry(name, "file", 1, 1, 1) for name in ("b.txt", "A.TXT", "a.txt")]
    admitted, held = admit(entries, frozenset({"a.txt"}))
    assert sorted(entry.name for entry in admitted) == ["a.txt", "b.txt"]
    assert [one.path for one in held] == ["A.TXT"]


_NAMES = st.lists(
    st.sampled_from(["a", "A", "é", "É", "e\u0301", "E\u0301", "ß", "ss", "SS", "b", "ﬁ", "fi", "I", "i"]), unique=True
)


@given(_NAMES, st.data())
def test_names_that_are_one_are_never_merged_and_the_synced_one_wins_in_any_order(names, data):
    synced = {name_key(name): name for name in data.draw(st.permutations(names)) if data.draw(st.booleans())}
    entries = [Entry(name, "file", 1, 1, 1) for name in names]
    admitted, held = admit(entries, frozenset(synced.values()))
    kept = [entry.name for entry in admitted]
    assert sorted([*kept, *(one.path for one in held)]) == sorted(names)  # each is somewhere, and once
    assert len({name_key(name) for name in kept}) == len(kept)
    assert all(synced.get(name_key(name), name) == name for name in kept)
    assert admit(data.draw(st.permutations(entries)), frozenset(synced.values())) == (admitted, held)


@pytest.mark.parametrize(
    ("gone", "total", "asks"),
    [
        (9, 9, False),
        (10, 20, False),
        (10, 19, True),
        (10, 10, True),
        (100, 1000, False),
        (101, 1000, True),
        (101, 1_000_000, True),
    ],
)
def test_a_mass_delete_is_more_than_half_of_the_tree_or_more_than_a_hundred_files(gone, total, asks):
    assert is_mass_delete(gone, total) is asks


# -- waiting until quiet ----------------------------------------------------------------------------------------------


def test_an_old_file_need_not_wait():
    assert Quiet().left("a", (1, 1), age=OPEN + 1, now=10.0) == 0


def test_a_fresh_file_waits_until_it_has_not_changed_for_a_while():
    quiet = Quiet()
    assert quiet.left("a", (1, 1), 0.0, 10.0) == OPEN
    assert quiet.left("a", (2, 2), 0.0, 11.0) >= OPEN
    assert quiet.left("a", (2, 2), 0.0, 11.0 + OPEN) == 0


def test_a_closed_file_waits_less_until_it_is_written_again():
    quiet = Quiet()
    quiet.closed("a", 10.0)
    assert quiet.left("a", (1, 1), 0.0, 10.0) == pytest.approx(CLOSED)
    assert quiet.left("a", (2, 2), 0.0, 11.0) >= OPEN
    quiet.closed("a", 11.0)
    assert quiet.left("a", (2, 2), 0.0, 11.0) >= OPEN


def test_a_saved_file_goes_within_a_second_and_one_that_grows_all_the_time_does_not():
    saved, growing = Quiet(), Quiet()
    saved.closed("a", DEBOUNCE)
    assert DEBOUNCE + saved.left("a", (1, 1), 0.0, DEBOUNCE) < 0.75
    for tenth in range(200):
        growing.closed("log", tenth / 10)
        assert growing.left("log", (tenth, tenth), 0.0, tenth / 10) > 0


def test_a_slow_writer_gets_twice_its_longest_pause():
    quiet = Quiet()
    quiet.left("a", (1, 1), 0.0, 10.0)
    assert quiet.left("a", (2, 2), 0.0, 11.9) == pytest.approx(3.8)


def test_a_missing_name_is_believed_after_a_moment():
    quiet = Quiet()
    assert quiet.left("a", None, 0.0, 10.0) == MISSING
    assert quiet.left("a", None, 0.0, 10.0 + MISSING) == 0


# -- failures ---------------------------------------------------------------------------------------------------------


def test_a_failure_is_tried_again_later_and_later_or_when_the_content_changes():
    failures = Failures(lambda: 0.0)
    failures.add("a", (1, 1), OfflineError("x"), 0.0)
    first = failures.left("a", 0.0)
    failures.add("a", (1, 1), OfflineError("x"), 0.0)
    assert failures.left("a", 0.0) == 2 * first
    assert failures.blocks("a", (1, 1), 1.0)
    assert not failures.blocks("a", (2, 2), 1.0)
    assert not failures.blocks("a", (1, 1), 100.0)


def test_what_somebody_cancelled_waits_for_a_change():
    failures = Failures(lambda: 0.0)
    failures.add("a", (1, 1), CancelledError("Cancelled"), 0.0)
    assert failures.blocks("a", (1, 1), 1e9)
    assert failures.held()[0].remedy


# -- order ------------------------------------------------------------------------------------------------------------


def folder(item_id, name, parent="", node_parent="top"):
    return Item(item_id, parent, name, "folder", item_id, node_parent, name)


def kinds(steps):
    return [type(step.operation).__name__ for step in steps]


def test_two_that_exchange_places_are_untied_by_one_detour():
    a, b = folder("1", "a"), folder("2", "b")
    moves = [Move(folder("1", "b"), "b", a), Move(folder("2", "a"), "a", b)]
    assert kinds(order(moves, {"1": a, "2": b})) == ["Detour", "Move", "Move"]


def test_a_name_that_gets_other_capitals_waits_until_the_one_that_is_one_with_it_has_gone():
    small, large, old = folder("1", "z"), folder("2", "Z"), folder("3", "e")
    respelled, gone = MoveHere(folder("2", "z"), "z", large), MoveHere(folder("1", "e"), "e", small)
    dropped = TrashHere(old, "e")
    for operations in ([respelled, gone, dropped], [gone, respelled, dropped]):
        steps = order(operations, {"1": small, "2": large, "3": old})
        assert [step.operation for step in steps] == [dropped, gone, respelled]


def test_a_folder_replaced_while_something_of_it_is_kept_in_the_new_one():
    old, kept = folder("1", "a"), folder("2", "k", "1", "1")
    new = folder("3", "a")
    steps = order(
        [MakeFolder(new, "a"), Move(folder("2", "k", "3", "3"), "a/k", kept), Trash(old, "a")], {"1": old, "2": kept}
    )
    assert kinds(steps) == ["Detour", "MakeFolder", "Move", "Trash"]
    assert isinstance(steps[0].operation, Detour)
    assert steps[0].operation.item.item_id == "1"


def test_what_depends_on_a_refused_operation_is_left_out():
    old, new = folder("1", "a"), folder("2", "a")
    steps = order([MakeFolder(new, "a"), Trash(old, "a"), MakeFolder(folder("3", "b"), "b")], {"1": old}, {"1"})
    assert [step.operation.path for step in steps] == ["b"]


def test_ordering_the_files_of_a_large_new_folder_takes_little_memory():
    top = Item("f", "", "new", "folder", "F", "root", "new", state="intended")
    files = [Item(f"{n:032x}", "f", str(n), "file", f"{n:032x}", "F", str(n), state="intended") for n in range(5000)]
    uploads = [Upload(file, f"new/{file.name}", Entry(file.name, "file", 1, 1, 1)) for file in files]
    tracemalloc.start()
    try:
        steps = order([MakeFolder(top, "new"), *uploads], {})
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [step.after for step in steps] == [frozenset(), *[frozenset({0})] * len(files)]
    assert peak / len(files) < 1000
