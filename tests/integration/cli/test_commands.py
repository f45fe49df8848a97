"""Every command of the client, as people type it and as programs do."""

from __future__ import annotations

import io
import json
import os
import re
import zipfile
from pathlib import Path

import pytest

from satchel.core.errors import BusyError

from .conftest import Shell

# -- put --------------------------------------------------------------------------------------------------------------


def test_put_says_where_each_path_went(shell: Shell) -> None:
    shell.file("a.txt")
    shell.file("Photos/b.txt")

    ended = shell.run("put", "a.txt", "Photos", "--to", "/Work")

    assert (ended.code, ended.out) == (0, "/Work/a.txt\n/Work/Photos\n")
    assert shell.account.tree() == ["/Work", "/Work/Photos", "/Work/Photos/b.txt", "/Work/a.txt"]


def test_put_with_link_prints_nothing_but_the_links(shell: Shell) -> None:
    ended = shell.run("put", "--link", str(shell.file("a.txt")), str(shell.file("b.txt")))

    assert ended.code == 0
    assert sorted(map(shell.account.shared, ended.out.splitlines())) == ["/Drops/a.txt", "/Drops/b.txt"]
    assert "a.txt: done, 7 B" in ended.err


def test_put_as_json_ends_with_its_result(shell: Shell) -> None:
    shell.file("a.txt")
    ended = shell.run("put", "a.txt", "gone.txt", "--to", "/Work", "--link", "--json")

    *rows, result = ended.documents
    assert all(set(row) == {"transfer"} for row in rows)
    assert [item["remote_path"] for item in result["items"]] == ["/Work/a.txt", None]
    assert result["items"][1]["error"]
    assert [shell.account.shared(url) for url in result["links"]] == ["/Work/a.txt"]
    assert ended.code == 1


@pytest.mark.parametrize("route", ["folders", "open"])
def test_put_says_path_and_link_of_what_had_to_wait(shell: Shell, route: str) -> None:
    refusals = [BusyError("The service is busy")]

    def busy_once(called: str) -> None:
        if called == route and refusals:
            raise refusals.pop()

    shell.account.before = busy_once
    result = shell.json("put", "--link", str(shell.file("a.txt")))

    assert refusals == []
    assert result["items"][0]["remote_path"] == "/Drops/a.txt"
    assert [shell.account.shared(url) for url in result["links"]] == ["/Drops/a.txt"]


# -- get --------------------------------------------------------------------------------------------------------------


def test_get_by_path_writes_here_or_where_it_is_told(shell: Shell) -> None:
    shell.account.add("root", "a.txt")

    ended = shell.run("get", "/a.txt")
    assert (ended.code, ended.out) == (0, f"{shell.folder / 'a.txt'}\n")
    assert shell.json("get", "a.txt", "-o", "b.txt") == {"path": str(shell.folder / "b.txt")}
    assert (shell.folder / "a.txt").read_text() == (shell.folder / "b.txt").read_text() == "a.txt"


def test_get_replaces_nothing_unless_forced(shell: Shell) -> None:
    shell.account.add("root", "a.txt")
    mine = shell.file("a.txt", "mine")

    refused = shell.run("get", "/a.txt")
    assert (refused.code, refused.out, mine.read_text()) == (1, "", "mine")
    assert "There is a file of this name already" in refused.err
    assert shell.run("get", "/a.txt", "--force").code == 0
    assert mine.read_text() == "a.txt"


def test_get_fetches_a_folder_with_all_in_it(shell: Shell) -> None:
    photos = shell.account.add("root", "Photos", "folder")
    deep = shell.account.add(photos.node_id, "deep", "folder")
    shell.account.add(photos.node_id, "a.txt")
    shell.account.add(deep.node_id, "b.txt")

    assert shell.json("get", "Photos", "-o", "Mine") == {"path": str(shell.folder / "Mine")}
    assert (shell.folder / "Mine/a.txt").read_text() == "a.txt"
    assert (shell.folder / "Mine/deep/b.txt").read_text() == "b.txt"


def test_get_by_link_needs_nobody_to_be_signed_in(shell: Shell) -> None:
    shell.run("logout")
    url = shell.service.share("a.txt")

    ended = shell.run("get", url)
    assert (ended.code, ended.out) == (0, f"{shell.folder / 'a.txt'}\n")
    assert shell.json("get", url, "-o", "b.txt") == {"path": str(shell.folder / "b.txt")}
    assert (shell.folder / "b.txt").read_text() == "a.txt"
    assert shell.run("get", "/a.txt").code == 3


def test_get_by_link_fetches_a_folder(shell: Shell) -> None:
    url = shell.service.share("Photos", "a.txt", "b.txt")

    assert shell.json("get", url) == {"path": str(shell.folder / "Photos")}
    assert (shell.folder / "Photos/b.txt").read_text() == "b.txt"


# -- the tree ---------------------------------------------------------------------------------------------------------


def test_ls_lists_a_folder(shell: Shell) -> None:
    shell.account.add("root", "Photos", "folder")
    shell.account.add("root", "a.txt")

    ended = shell.run("ls")
    assert (ended.code, ended.out, ended.err) == (0, "          Photos/\n     5 B  a.txt\n", "")
    assert [(node["name"], node["kind"]) for node in shell.json("ls", "/")] == [("Photos", "folder"), ("a.txt", "file")]
    assert [node["name"] for node in shell.json("ls", "/a.txt")] == ["a.txt"]


def test_mkdir_mv_and_rm_change_the_tree_and_say_it_as_json_only(shell: Shell) -> None:
    assert shell.run("mkdir", "/Work/2026").said == (0, "", "")
    assert shell.json("mkdir", "/Home")["name"] == "Home"
    shell.account.add("root", "a.txt")

    assert shell.run("mv", "/a.txt", "/b.txt").said == (0, "", "")
    assert shell.json("mv", "/b.txt", "/Work")["name"] == "b.txt"
    assert shell.account.tree() == ["/Home", "/Work", "/Work/2026", "/Work/b.txt"]

    assert shell.run("rm", "/Home").said == (0, "", "")
    assert shell.json("rm", "/Work/b.txt") == {"removed": "/Work/b.txt"}
    assert shell.account.tree() == ["/Work", "/Work/2026"]


# -- links ------------------------------------------------------------------------------------------------------------


def test_a_link_is_made_listed_and_revoked(shell: Shell) -> None:
    shell.account.add("root", "a.txt")
    url = shell.run("link", "/a.txt").out.strip()
    assert shell.account.shared(url) == "/a.txt"

    listed = shell.run("link", "list")
    assert (listed.code, listed.out) == (0, f"live         0 downloads  a.txt  {url}\n")

    assert shell.run("link", "revoke", url).said == (0, "", "")
    assert shell.run("link", "list").said == (0, "", "")
    assert shell.run("link", "revoke", url).code == 1, "it is gone"


def test_a_link_is_made_listed_and_revoked_as_json(shell: Shell) -> None:
    shell.account.add("root", "a.txt")
    made = shell.json("link", "/a.txt", "--expires", "7d")
    assert made["expires_ms"] > 0

    [listed] = shell.json("link", "list")
    assert (listed["url"], listed["name"]) == (made["url"], "a.txt")

    token = made["url"].rpartition("/")[2]
    assert shell.json("link", "revoke", token) == {"revoked": token}
    assert shell.json("link", "list") == []


# -- watched folders --------------------------------------------------------------------------------------------------


def test_a_folder_is_added_listed_and_removed(shell: Shell) -> None:
    where = shell.file("Notes/a.txt").parent

    added = shell.run("root", "add", "Notes", "--to", "/Backup")
    assert added.said == (0, f"{where} is kept in step with /Backup while Satchel runs.\n", "")
    assert shell.run("root", "list").said == (0, f"{where} -> /Backup\n", "")
    assert shell.run("root", "remove", "Notes").said == (0, "", "")
    assert shell.run("root", "list").said == (0, "", "")


def test_a_folder_is_added_listed_and_removed_as_json(shell: Shell) -> None:
    where = shell.file("Notes/a.txt").parent

    added = shell.json("root", "add", "Notes")
    assert (added["path"], added["remote_path"]) == (str(where), "/Notes")
    assert [row["root_id"] for row in shell.json("root", "list")] == [added["root_id"]]
    assert shell.json("root", "remove", added["root_id"]) == {"removed": added["root_id"]}
    assert shell.json("root", "list") == []


def test_sync_once_brings_the_folders_in_step(shell: Shell) -> None:
    shell.file("Notes/a.txt")
    shell.run("root", "add", "Notes")

    ended = shell.run("sync", "--once")
    assert (ended.code, ended.out) == (0, "Everything is in step.\n")
    assert shell.account.tree() == ["/Notes", "/Notes/a.txt"]

    again = shell.run("sync", "--once", "--json")
    *told, last = again.documents
    assert again.code == 0
    assert all(set(document) == {"status"} for document in told)
    assert [root["state"] for root in last["roots"]] == ["in_step"]


def test_sync_says_what_is_held_back_and_ends_with_1(shell: Shell) -> None:
    shell.file("Notes/good.txt")
    shell.file("Notes/bad.txt")
    shell.account.refused = {"bad.txt": "quota-exceeded"}
    shell.run("root", "add", "Notes")

    ended = shell.run("sync", "--once")

    assert (ended.code, ended.out) == (1, "Not everything is in step.\n")
    assert "bad.txt: It is quota-exceeded" in ended.err
    assert shell.account.tree() == ["/Notes", "/Notes/good.txt"]


def test_a_mass_delete_waits_until_it_is_confirmed(shell: Shell) -> None:
    files = [shell.file(f"Notes/{number}.txt") for number in range(20)]
    shell.run("root", "add", "Notes")
    shell.run("sync", "--once")
    for file in files[:15]:
        file.unlink()

    ended = shell.run("sync", "--once")
    assert ended.code == 1
    assert "15 files are gone from this folder at once" in ended.err
    assert "satchel root confirm" in ended.err
    assert len(shell.account.tree()) == 21
    assert [row["deletions"] for row in shell.json("root", "list")] == [15]

    refused = shell.run("root", "confirm", "Notes", "--files", "14")
    assert refused.code == 2
    assert "It is 15 files by now, not 14" in refused.err
    assert len(shell.account.tree()) == 21

    said = shell.run("root", "confirm", "Notes", "--files", "15")
    assert said.said == (0, "15 files of Notes go to the trash.\n", "")
    assert shell.run("sync", "--once").code == 0
    assert len(shell.account.tree()) == 6


def test_a_mass_delete_is_confirmed_as_json_and_by_id(shell: Shell) -> None:
    files = [shell.file(f"Notes/{number}.txt") for number in range(12)]
    added = shell.json("root", "add", "Notes")
    shell.run("sync", "--once")
    for file in files:
        file.unlink()

    assert shell.json("root", "confirm", added["root_id"]) == {"confirmed": added["root_id"], "files": 12}
    assert shell.account.tree() == ["/Notes"]


def test_a_folder_is_left_out_and_taken_in_again(shell: Shell) -> None:
    (shell.folder / "Notes" / "films" / "old").mkdir(parents=True)
    shell.run("root", "add", "Notes", "--two-way")
    shell.run("sync", "--once")

    left = shell.run("root", "leave-out", "Notes/films")
    assert (left.code, left.err) == (0, "")
    assert "films is not kept on this computer any more" in left.out
    assert not (shell.folder / "Notes" / "films").exists()
    assert "/Notes/films/old" in shell.account.tree()
    assert "  not on this computer: films\n" in shell.run("root", "list").out
    assert [row["left_out"] for row in shell.json("root", "list")] == [["films"]]

    assert shell.json("root", "take-in", "Notes/films")["left_out"] == []
    assert shell.run("sync", "--once").code == 0
    assert (shell.folder / "Notes" / "films" / "old").is_dir()


def test_what_cannot_be_left_out_says_why(shell: Shell) -> None:
    shell.file("Notes/films/a.mp4")
    shell.run("root", "add", "Notes", "--two-way")
    shell.run("sync", "--once")
    shell.file("Notes/films/new.mp4")
    for path, why in (
        ("Notes/films", "Not all of it is online"),
        ("Notes/nothing", "nothing of this name online"),
        ("Notes", "lies in no watched folder"),
        ("Elsewhere/a", "lies in no watched folder"),
    ):
        refused = shell.run("root", "leave-out", path)
        assert (refused.code, refused.out) == (2, "")
        assert why in refused.err
    assert (shell.folder / "Notes" / "films" / "new.mp4").exists()


def test_a_folder_is_added_without_what_is_not_wanted(shell: Shell) -> None:
    for path in ("/Notes", "/Notes/films", "/Notes/kept"):
        shell.run("mkdir", path)
    for name in ("Here", "There"):
        (shell.folder / name).mkdir()
    shell.run("root", "add", "Here", "--two-way", "--to", "/Notes", "--leave-out", "films/")
    assert shell.run("sync", "--once").code == 0
    assert sorted(path.name for path in (shell.folder / "Here").iterdir()) == [".satchel", "kept"]
    refused = shell.run("root", "add", "There", "--leave-out", "films")
    assert refused.code == 2
    assert "nothing to leave out" in refused.err


def test_there_may_be_nothing_to_confirm(shell: Shell) -> None:
    shell.file("Notes/a.txt")
    shell.run("root", "add", "Notes")
    for folder in ("Notes", "Elsewhere"):
        assert shell.run("root", "confirm", folder).code == 2


def test_verify_counts_what_is_equal_and_status_remembers_it(shell: Shell) -> None:
    shell.file("Notes/a.txt", "one")
    shell.file("Notes/sub/b.txt", "two")
    shell.run("root", "add", "Notes")
    assert "never verified: `satchel verify`" in shell.run("status").out
    shell.run("sync", "--once")
    before = shell.account.tree()

    ended = shell.run("verify")
    assert (ended.code, ended.err, shell.account.tree()) == (0, "", before)
    assert re.fullmatch(rf"{shell.folder}/Notes: Verified at \d\d:\d\d: 2 files equal\n", ended.out)
    status = shell.run("status").out
    assert f"{shell.folder}/Notes -> /Notes: in step\n  Upload only. Looked through whole at " in status
    assert ": 2 files equal.\n" in status
    [root] = shell.json("status")["roots"]
    assert (root["verified"]["files"], root["verified"]["size"], root["verified"]["ok"]) == (2, 6, True)

    shell.run("root", "remove", "Notes")
    added = shell.json("root", "add", "Notes")
    assert added["verified"] is None


def test_verify_names_what_differs_and_ends_with_1(shell: Shell) -> None:
    for name in ("a.txt", "b.txt", "c.txt"):
        shell.file(f"Notes/{name}", name)
    root_id = shell.json("root", "add", "Notes")["root_id"]
    shell.run("sync", "--once")
    a = shell.folder / "Notes/a.txt"
    stamp = a.stat()
    a.write_text("A.TXT")
    os.utime(a, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    (shell.folder / "Notes/b.txt").unlink()
    shell.file("Notes/new.txt")

    ended = shell.run("verify", "Notes")
    assert ended.code == 1
    assert f"{shell.folder}/Notes/a.txt: The content differs. " in ended.err
    assert f"{shell.folder}/Notes/b.txt: It is online only. " in ended.err
    assert f"{shell.folder}/Notes/new.txt: It is on this computer only. " in ended.err
    assert ": 1 file equal, 1 different, 1 only here, 1 only online\n" in ended.out

    *told, rows = shell.run("verify", root_id, "--json").documents
    assert {one["difference"]["path"]: one["difference"]["what"] for one in told if "difference" in one} == {
        "a.txt": "differing", "b.txt": "only_there", "new.txt": "only_here",
    }  # fmt: skip
    assert rows[0]["verified"] == shell.json("status")["roots"][0]["verified"]


def test_what_is_online_only_is_no_fault_of_a_folder_that_only_uploads(shell: Shell) -> None:
    shell.file("Notes/a.txt")
    shell.run("root", "add", "Notes")
    shell.run("sync", "--once")
    [notes] = [node for node in shell.account.nodes.values() if node.name == "Notes"]
    shell.account.add(notes.node_id, "theirs.txt")

    ended = shell.run("verify")
    assert (ended.code, ": 1 file equal, 1 only online\n" in ended.out) == (0, True)


def test_a_folder_that_is_not_there_is_not_verified_and_stops_no_other(shell: Shell) -> None:
    for name in ("Away", "Notes"):
        shell.file(f"{name}/a.txt")
        shell.run("root", "add", name)
    shell.run("sync", "--once")
    (shell.folder / "Away").rename(shell.folder / "elsewhere")

    ended = shell.run("verify")
    assert ended.code == 1
    assert f"{shell.folder}/Away: The watched folder is not there. " in ended.err
    assert "Away: Verified at" in ended.out
    assert ": 0 files equal, 1 held back\n" in ended.out
    assert ": 1 file equal\n" in ended.out


# -- the account ------------------------------------------------------------------------------------------------------


def test_status_and_whoami_say_who_and_how_much(shell: Shell) -> None:
    who = f"alice@example.com at {shell.service.url}, 1.4 MB of 20.0 GB used\n"

    assert shell.run("whoami").said == (0, who, "")
    assert shell.run("status").said == (0, "Ready\n" + who, "")
    assert shell.json("whoami")["email"] == shell.json("status")["account"]["email"] == "alice@example.com"


def test_logout_and_login_change_who_is_signed_in(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    assert shell.run("logout").said == (0, "Signed out.\n", "")
    assert shell.run("status").out == "Sign in to start\n"
    assert shell.json("logout") == {"state": "signed_out"}

    words = ["login", shell.service.url, "--email", "alice@example.com", "--password-stdin"]
    monkeypatch.setattr("sys.stdin", io.StringIO("right\n"))
    ended = shell.run(*words)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith(f"alice@example.com at {shell.service.url}, ")

    monkeypatch.setattr("sys.stdin", io.StringIO("right\r\n"))
    assert shell.json(*words)["state"] == "signed_in"
    assert shell.session.passwords == ["right", "right"]


def test_a_first_sign_in_reads_the_new_password_from_the_second_line(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.run("logout")
    monkeypatch.setattr("sys.stdin", io.StringIO("temporary\nlasting\n"))

    ended = shell.run("login", shell.service.url, "--email", "alice@example.com", "--password-stdin")

    assert ended.code == 0
    assert shell.session.passwords == ["temporary", "lasting"]


@pytest.mark.parametrize(("typed", "code", "error"), [("wrong\n", 3, "sign-in-refused"), ("", 2, "usage")])
def test_a_password_that_will_not_do_leaves_everything_as_it_was(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, typed: str, code: int, error: str
) -> None:
    words = ["login", shell.service.url, "--email", "alice@example.com", "--password-stdin"]
    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    plain = shell.run(*words)
    assert (plain.code, plain.out, plain.err.count("\n")) == (code, "", 1)

    monkeypatch.setattr("sys.stdin", io.StringIO(typed))
    ended = shell.run("--json", *words)
    assert (ended.code, ended.out, json.loads(ended.err)["error"]["code"]) == (code, "", error)
    assert shell.json("whoami")["state"] == "signed_in"


def test_who_is_not_remembered_is_told_so(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    shell.session.remembered = False
    monkeypatch.setattr("sys.stdin", io.StringIO("right\n"))

    ended = shell.run("login", shell.service.url, "--email", "alice@example.com", "--password-stdin", "--json")

    assert (ended.code, ended.documents[0]["remembered"]) == (0, False)
    assert "there is no keyring to keep you signed in" in ended.err


def test_diagnose_writes_a_bundle_once(shell: Shell) -> None:
    ended = shell.run("diagnose")
    assert ended.said == (0, f"{shell.folder / 'satchel-diagnose.zip'}\n", "")
    made = shell.json("diagnose", "-o", "other.zip")["path"]
    with zipfile.ZipFile(made) as bundle:
        assert "alice@example.com" not in bundle.read("report.json").decode()
    assert Path(made) == shell.folder / "other.zip"

    assert shell.run("diagnose").code == 2, "it is there already"


# -- limit ------------------------------------------------------------------------------------------------------------


def test_limit_sets_what_it_is_told_and_says_both(shell: Shell) -> None:
    assert shell.run("limit").out == "up    no limit\ndown  no limit\n"

    ended = shell.run("limit", "--up", "5MB")
    assert (ended.code, ended.out) == (0, "up    5.0 MB a second\ndown  no limit\n")
    assert shell.json("limit", "--down", "500kB") == {"upload_limit": 5_000_000, "download_limit": 500_000}
    assert shell.json("limit", "--up", "none") == {"upload_limit": 0, "download_limit": 500_000}
    assert "download_limit = 500000" in next(shell.folder.rglob("settings.toml")).read_text()


def test_a_limit_may_be_typed_as_it_is_said(shell: Shell) -> None:
    assert shell.json("limit", "--up", "2.5 MB/s", "--down", "5KiB") == {
        "upload_limit": 2_500_000, "download_limit": 5120,
    }  # fmt: skip
    assert shell.run("limit", "--up", "off").out == "up    no limit\ndown  5.1 kB a second\n"


@pytest.mark.parametrize(
    ("rate", "told"),
    [
        ("fast", "a limit looks like 500kB"),
        ("0", "a limit looks like 500kB"),
        ("-1", "--up"),
        ("100", "upload_limit must be bytes a second, 4096 or more, or 0 for no limit. Nothing was changed."),
    ],
)
def test_a_limit_that_cannot_be_is_refused_and_changes_nothing(shell: Shell, rate: str, told: str) -> None:
    refused = shell.run("limit", "--up", rate)
    assert (refused.code, refused.out) == (2, "")
    assert told in refused.err
    assert shell.json("limit") == {"upload_limit": 0, "download_limit": 0}
