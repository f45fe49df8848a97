"""Drops, with the transfer and the journal as they are, over an account in memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from drop_world import Computer, FakeAccount
from satchel.core.errors import NotSignedInError, RefusedError
from satchel.engine.delivery import Delivery


@pytest.fixture
def account() -> FakeAccount:
    return FakeAccount()


@pytest.fixture
def computer(tmp_path: Path, account: FakeAccount) -> Iterator[Computer]:
    made = Computer(tmp_path, account)
    yield made
    made.account.before = lambda route: None
    made.crash()


def until(condition: Callable[[], Any]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "it did not come to be"
        time.sleep(0.01)


def test_a_dropped_file_has_its_link_at_once(computer: Computer, account: FakeAccount) -> None:
    result = computer.drops.drop([computer.file("a.txt")], None, True)

    assert [account.shared(url) for url in result.links] == ["/Drops/a.txt"]
    assert result.items[0].remote_path == "/Drops/a.txt"
    until(lambda: computer.states() == ["done"])


def test_each_of_ten_items_has_a_link_of_its_own(computer: Computer, account: FakeAccount) -> None:
    result = computer.drops.drop([computer.file(f"{n}.txt") for n in range(10)], None, True)

    assert [account.shared(url) for url in result.links] == [f"/Drops/{n}.txt" for n in range(10)]


def test_eleven_items_share_one_new_folder_and_one_link(computer: Computer, account: FakeAccount) -> None:
    computer.file("Folder/in.txt")
    paths = [computer.file(f"{n}.txt") for n in range(10)]

    result = computer.drops.drop([*paths, str(computer.folder / "Folder")], None, True)

    [url] = result.links
    top = account.shared(url)
    assert top.startswith("/Drops/Drop ")
    assert {item.link_url for item in result.items} == {url}
    until(lambda: set(computer.states()) == {"done"})
    assert set(account.tree()) == {
        "/Drops", top, *(f"{top}/{n}.txt" for n in range(10)), f"{top}/Folder", f"{top}/Folder/in.txt",
    }  # fmt: skip


def test_a_taken_name_becomes_name_2_in_the_answer_and_in_the_row(computer: Computer, account: FakeAccount) -> None:
    path = computer.file("a.txt")
    computer.drops.drop([path], None, True)

    result = computer.drops.drop([path], None, True)

    assert result.items[0].remote_path == "/Drops/a (2).txt"
    assert account.shared(result.links[0]) == "/Drops/a (2).txt"
    until(lambda: sorted(row.name for row in computer.rows()) == ["a (2).txt", "a.txt"])


def test_a_dropped_folder_has_one_link_and_all_its_files(computer: Computer, account: FakeAccount) -> None:
    for name in ("a.txt", "deep/er/b.txt", "deep/c.txt"):
        computer.file(f"Photos/{name}")
    (computer.folder / "Photos" / "empty").mkdir()

    result = computer.drops.drop([str(computer.folder / "Photos")], None, True)

    assert account.shared(result.links[0]) == "/Drops/Photos"
    until(lambda: computer.states() == ["done"])
    assert account.tree() == [
        "/Drops", "/Drops/Photos", "/Drops/Photos/a.txt", "/Drops/Photos/deep", "/Drops/Photos/deep/c.txt",
        "/Drops/Photos/deep/er", "/Drops/Photos/deep/er/b.txt", "/Drops/Photos/empty",
    ]  # fmt: skip
    [row] = computer.rows()
    assert (row.files, row.files_done) == (3, 3)


def test_one_bad_item_stops_no_other(computer: Computer, account: FakeAccount) -> None:
    account.refused = {"Refused": "quota-exceeded"}
    computer.file("Refused/a.txt")
    good, gone = computer.file("good.txt"), str(computer.folder / "gone.txt")

    result = computer.drops.drop([gone, str(computer.folder / "Refused"), good], None, True)

    assert [item.error is None for item in result.items] == [False, False, True]
    assert result.items[1].error == "It is quota-exceeded. Look again."
    assert [account.shared(url) for url in result.links] == ["/Drops/good.txt"]
    until(lambda: sorted(computer.states()) == ["done", "failed"])


def test_a_drop_into_a_file_is_refused_as_a_whole_and_leaves_no_row(computer: Computer) -> None:
    path = computer.file("a.txt")
    computer.drops.drop([path], None, True)

    with pytest.raises(RefusedError, match="This is a file"):
        computer.drops.drop([path], "/Drops/a.txt", True)

    assert len(computer.rows()) == 1


# -- offline ----------------------------------------------------------------------------------------------------------


def test_the_first_file_of_all_dropped_offline_waits_and_gets_its_link(
    computer: Computer, account: FakeAccount
) -> None:
    computer.offline()
    result = computer.drops.drop([computer.file("a.txt")], None, True)

    assert (result.links, result.items[0].error, result.items[0].link_url) == ((), None, None)
    [row] = computer.rows()
    assert (row.state.value, row.message) == ("waiting", "The service cannot be reached")

    computer.online()
    until(lambda: computer.states() == ["done"])
    [row] = computer.rows()
    assert (account.shared(row.link_url), row.message) == ("/Drops/a.txt", "")


@pytest.mark.parametrize("link", [False, True])
def test_what_waited_has_its_path_and_link_in_a_later_answer(
    computer: Computer, account: FakeAccount, link: bool
) -> None:
    path = computer.file("a.txt")
    computer.drops.drop([path], "/To", False)
    until(lambda: computer.states() == ["done"])
    computer.offline()
    [item] = computer.drops.drop([path], "/To", link).items
    assert (item.remote_path, item.link_url) == (None, None)

    computer.online()
    until(lambda: computer.states() == ["done"] * 2)

    answer = computer.drops.answer(item)
    assert (answer.remote_path, answer.error) == ("/To/a (2).txt", None)
    assert account.shared(answer.link_url) == "/To/a (2).txt" if link else answer.link_url is None
    computer.transfers.clear_done()
    assert computer.drops.answer(item) == item


@pytest.mark.parametrize("known", [False, True])
def test_a_folder_dropped_offline_waits_and_gets_its_link(
    computer: Computer, account: FakeAccount, known: bool
) -> None:
    if known:
        computer.drops.drop([computer.file("before.txt")], None, True)
    computer.file("Photos/a.txt")
    computer.offline()

    result = computer.drops.drop([str(computer.folder / "Photos")], None, True)

    assert result.items[0].error is None
    assert computer.rows()[-1].state.value == "waiting"
    computer.online()
    until(lambda: set(computer.states()) == {"done"})
    assert account.shared(computer.rows()[-1].link_url) == "/Drops/Photos"
    assert "/Drops/Photos/a.txt" in account.tree()


@pytest.mark.parametrize("known", [False, True])
def test_eleven_items_dropped_offline_wait_and_share_one_link(
    computer: Computer, account: FakeAccount, known: bool
) -> None:
    if known:
        computer.drops.drop([computer.file("before.txt")], None, True)
        computer.drops.drop([computer.file("before.txt")], None, True)
    computer.offline()
    result = computer.drops.drop([computer.file(f"{n}.txt") for n in range(11)], None, True)

    assert result.links == ()
    computer.online()
    mine = {item.transfer_id for item in result.items}
    until(lambda: set(computer.states()) == {"done"})
    [url] = {row.link_url for row in computer.rows() if row.transfer_id in mine}
    assert sum(path.startswith(account.shared(url) + "/") for path in account.tree()) == 11


def test_what_waits_for_a_sign_in_is_not_lost_either(computer: Computer, account: FakeAccount) -> None:
    account.trouble = NotSignedInError("The session has ended", "Sign in again.")
    computer.drops.drop([computer.file("a.txt")], "/New", True)

    assert computer.rows()[0].message == "The session has ended"
    computer.online()
    until(lambda: computer.states() == ["done"])
    assert account.tree() == ["/New", "/New/a.txt"]


def test_what_was_dropped_offline_outlives_crashes(computer: Computer, account: FakeAccount) -> None:
    computer.file("Photos/a.txt")
    computer.offline()
    paths = [computer.file(f"{n}.txt") for n in range(10)]
    computer.drops.drop([*paths, str(computer.folder / "Photos")], None, True)
    computer.drops.drop(paths[:1], None, True)

    computer.restart()
    assert computer.states() == ["waiting"] * 12
    computer.restart()
    computer.online()

    until(lambda: set(computer.states()) == {"done"})
    assert len({row.link_url for row in computer.rows()}) == 2
    assert len(account.tree()) == 15, "Drops, the new folder, 10 files, Photos, a.txt; and 0.txt"


def test_a_drop_cancelled_offline_is_never_sent(computer: Computer, account: FakeAccount) -> None:
    computer.offline()
    [item] = computer.drops.drop([computer.file("a.txt")], None, True).items
    other = computer.drops.drop([computer.file("b.txt")], None, True)

    computer.drops.cancel(item.transfer_id or "")
    computer.restart()
    computer.online()

    until(lambda: sorted(computer.states()) == ["cancelled", "done"])
    assert account.tree() == ["/Drops", "/Drops/b.txt"]
    assert other.items[0].error is None


def test_a_drop_refused_when_the_service_is_back_fails_and_can_be_retried(
    computer: Computer, account: FakeAccount
) -> None:
    account.refused = {"New": "quota-exceeded"}
    computer.file("Photos/a.txt")
    computer.offline()
    [item] = computer.drops.drop([str(computer.folder / "Photos")], "/New", True).items

    computer.online()
    until(lambda: computer.states() == ["failed"])
    assert "quota-exceeded" in computer.rows()[0].message
    account.refused = {}
    computer.drops.retry(item.transfer_id or "")

    until(lambda: computer.states() == ["done"])
    assert account.shared(computer.rows()[0].link_url) == "/New/Photos"


# -- second thoughts --------------------------------------------------------------------------------------------------


def test_a_cancelled_file_is_dropped_again_by_retry_with_a_new_link(computer: Computer, account: FakeAccount) -> None:
    account.held = True
    result = computer.drops.drop([computer.file("a.txt")], "/To", True)
    computer.drops.cancel(result.items[0].transfer_id or "")
    until(lambda: computer.states() == ["cancelled"] and account.aborted)

    account.held = False
    computer.drops.retry(result.items[0].transfer_id or "")

    until(lambda: computer.states() == ["done"])
    [row] = computer.rows()
    assert row.link_url not in result.links
    assert account.shared(row.link_url).startswith("/To/a")


def test_a_cancelled_folder_is_dropped_again_by_retry(computer: Computer, account: FakeAccount) -> None:
    account.held = True
    computer.file("Photos/a.txt")
    [item] = computer.drops.drop([str(computer.folder / "Photos")], None, True).items
    until(lambda: account.opened)
    computer.drops.cancel(item.transfer_id or "")
    assert computer.states() == ["cancelled"]

    account.held = False
    computer.drops.retry(item.transfer_id or "")

    until(lambda: computer.states() == ["done"])
    assert account.shared(computer.rows()[0].link_url) == "/Drops/Photos (2)"


def test_a_failed_file_keeps_its_link_when_it_is_retried(computer: Computer, account: FakeAccount) -> None:
    account.refused = {"a.txt": "quota-exceeded"}
    result = computer.drops.drop([computer.file("a.txt")], None, True)
    assert "quota-exceeded" in (result.items[0].error or "")
    until(lambda: computer.states() == ["failed"])

    account.refused = {}
    computer.drops.retry(result.items[0].transfer_id or "")

    until(lambda: computer.states() == ["done"] and computer.rows()[0].link_url)
    assert account.shared(computer.rows()[0].link_url) == "/Drops/a.txt"


def test_a_failed_file_of_a_folder_is_retried_alone(computer: Computer, account: FakeAccount) -> None:
    account.refused = {"b.txt": "quota-exceeded"}
    for name in ("a", "b"):
        computer.file(f"Photos/{name}.txt")
    [item] = computer.drops.drop([str(computer.folder / "Photos")], None, True).items
    until(lambda: computer.states() == ["failed"])
    opened = set(account.opened)

    account.refused = {}
    computer.drops.retry(item.transfer_id or "")

    until(lambda: computer.states() == ["done"])
    assert len(set(account.opened) - opened) == 1
    assert "/Drops/Photos/b.txt" in account.tree()


def test_drops_go_on_elsewhere_when_their_folder_was_trashed(computer: Computer, account: FakeAccount) -> None:
    computer.file("Photos/in.txt")
    paths = [computer.file("a.txt"), str(computer.folder / "Photos")]
    computer.drops.drop(paths[:1], None, True)
    until(lambda: computer.states() == ["done"])
    account.trash("/Drops")

    result = computer.drops.drop(paths, None, True)

    assert [account.shared(url) for url in result.links] == ["/Drops/a.txt", "/Drops/Photos"]
    until(lambda: computer.states() == ["done"] * 3)
    assert account.tree() == ["/Drops", "/Drops/Photos", "/Drops/Photos/in.txt", "/Drops/a.txt"]


# -- crashes ----------------------------------------------------------------------------------------------------------


def test_a_file_goes_on_after_a_crash_with_the_same_link(computer: Computer, account: FakeAccount) -> None:
    account.held = True
    result = computer.drops.drop([computer.file("a.txt")], None, True)

    computer.restart()
    assert [row.state.final for row in computer.rows()] == [False]
    account.held = False

    until(lambda: computer.states() == ["done"])
    assert [row.link_url for row in computer.rows()] == list(result.links)
    assert account.tree() == ["/Drops", "/Drops/a.txt"]


def test_a_folder_goes_on_after_a_crash_and_sends_nothing_twice(computer: Computer, account: FakeAccount) -> None:
    account.held = True
    for number in range(30):
        computer.file(f"Photos/{number % 3}/{number}.txt")
    [item] = computer.drops.drop([str(computer.folder / "Photos")], None, True).items

    computer.restart()
    account.held = False

    until(lambda: computer.states() == ["done"])
    [row] = computer.rows()
    assert (row.files_done, row.link_url) == (30, item.link_url)
    assert len(account.tree()) == 1 + 1 + 3 + 30


def test_a_crash_before_the_transfer_knows_of_a_file_loses_it_not(
    computer: Computer, account: FakeAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Delivery, "begin", lambda self, records: None)
    computer.drops.drop([computer.file("a.txt")], None, True)
    monkeypatch.undo()

    computer.restart()

    until(lambda: computer.states() == ["done"])
    assert account.shared(computer.rows()[0].link_url) == "/Drops/a.txt"


def test_a_crash_after_the_transfer_knows_of_a_file_sends_it_once(computer: Computer, account: FakeAccount) -> None:
    computer.drops.drop([computer.file("a.txt")], None, True)
    until(lambda: computer.states() == ["done"])
    [row] = computer.rows()
    computer.transfers.change(row.transfer_id, begun=False, parent_id="")

    computer.restart()

    assert computer.states() == ["done"]
    assert account.tree() == ["/Drops", "/Drops/a.txt"]


def test_what_an_earlier_run_left_leaves_this_runs_rows_alone(computer: Computer, account: FakeAccount) -> None:
    account.held = True
    [item] = computer.drops.drop([computer.file("a.txt")], None, True).items
    tickets = computer.transfers.tickets(item.transfer_id or "")

    computer.drops.resume()

    assert tickets
    assert computer.transfers.tickets(item.transfer_id or "") == tickets
    account.held = False
    until(lambda: computer.states() == ["done"])


def test_a_cancelled_row_stays_cancelled_after_a_crash(computer: Computer, account: FakeAccount) -> None:
    account.held = True
    [item] = computer.drops.drop([computer.file("a.txt")], None, True).items
    computer.drops.cancel(item.transfer_id or "")
    computer.transfers.change(item.transfer_id or "", name="b.txt")

    computer.restart()

    assert computer.states() == ["cancelled"]


def test_the_journal_keeps_the_newest_rows_that_ended(computer: Computer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("satchel.engine.transfers.MAX_ROWS", 3)
    computer.drops.drop([computer.file(f"{n}.txt") for n in range(5)], None, True)
    until(lambda: set(computer.states()) == {"done"})
    computer.transfers.settle()

    computer.restart()

    assert computer.states() == ["done"] * 3
    assert len(computer.journal.settings.under("drop/")) == 3
