"""What a command ends with, and that no name from elsewhere can steer the terminal or leave the folder asked for."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from pathlib import Path

import pytest

from .conftest import Ended, Shell

HOSTILE = "a\x1b[2J\x1b]0;title\x07\r\n\u202eb.txt"
SHOWN = "a�[2J�]0;title����b.txt"

ASKING = [
    ["put", "a.txt"], ["put", "--link", "a.txt"], ["get", "/a.txt"], ["ls"], ["mkdir", "/New"], ["mv", "/a.txt", "/b"],
    ["rm", "/a.txt"], ["link", "/a.txt"], ["link", "list"], ["link", "revoke", "0" * 32], ["sync", "--once"],
]  # fmt: skip
"""Commands that cannot do without the service."""


def refused(ended: Ended, code: int, error: str) -> None:
    """Told as one JSON document on standard error."""
    assert (ended.code, ended.out) == (code, "")
    said = json.loads(ended.err)["error"]
    assert (said["code"], said["exit_code"]) == (error, code)


# -- exit codes -------------------------------------------------------------------------------------------------------


def test_what_is_not_there_ends_with_1(shell: Shell) -> None:
    for words in (["get", "/gone"], ["ls", "/gone"], ["mv", "/gone", "/b"], ["rm", "/gone"], ["link", "/gone"]):
        said = "satchel: /gone: There is no such file or folder. Check the path.\n"
        assert shell.run(*words).said == (1, "", said), words
        refused(shell.run("--json", *words), 1, "refused")


def test_a_local_file_that_is_not_there_ends_with_1_and_stops_no_other(shell: Shell) -> None:
    shell.file("a.txt")
    ended = shell.run("put", "gone.txt", "a.txt")
    assert (ended.code, ended.out) == (1, "/Drops/a.txt\n")
    assert f"satchel: {shell.folder / 'gone.txt'}: " in ended.err


def test_what_makes_no_sense_ends_with_2(shell: Shell) -> None:
    for words in (
        ["ls", "/../b"], ["mkdir", "/"], ["rm", "/"], ["mv", "/", "/b"], ["link", "/"], ["link", "revoke"],
        ["link", "/a", "b"], ["link", "revoke", "no token"], ["get", "http://x.example.com/no/link"],
        ["root", "remove", "/nowhere"], ["put"], ["ls", "a", "b"],
    ):  # fmt: skip
        plain = shell.run(*words)
        assert (plain.code, plain.out, plain.err.count("\n")) == (2, "", 1), words
        refused(shell.run("--json", *words), 2, "usage")


def test_without_anybody_signed_in_it_ends_with_3(shell: Shell) -> None:
    shell.file("a.txt")
    shell.run("logout")
    for words in (*ASKING, ["root", "list"], ["root", "add", "."], ["root", "remove", "."], ["whoami"]):
        said = "satchel: Nobody is signed in. Sign in first: satchel login SITE --email YOU\n"
        assert shell.run(*words).said == (3, "", said), words
        refused(shell.run("--json", *words), 3, "not-signed-in")


def test_a_session_that_has_ended_ends_with_3(shell: Shell) -> None:
    shell.file("a.txt")
    shell.signed_out()
    for words in ASKING:
        assert shell.run(*words).said == (3, "", "satchel: The session has ended. Sign in again.\n"), words
        refused(shell.run("--json", *words), 3, "not-signed-in")


def test_without_the_service_it_ends_with_4(shell: Shell) -> None:
    shell.file("a.txt")
    shell.offline()
    for words in ASKING:
        said = "satchel: The service cannot be reached. Check the network.\n"
        assert shell.run(*words).said == (4, "", said), words
        refused(shell.run("--json", *words), 4, "offline")


def test_what_needs_no_service_works_offline(shell: Shell) -> None:
    shell.file("Notes/a.txt")
    shell.offline()
    for words in (["status"], ["whoami"], ["root", "add", "Notes"], ["root", "list"], ["diagnose"], ["logout"]):
        assert shell.run(*words).code == 0, words


# -- names from elsewhere ---------------------------------------------------------------------------------------------


def test_a_hostile_remote_name_is_one_harmless_line(shell: Shell) -> None:
    shell.account.add("root", HOSTILE)

    assert shell.run("ls").said == (0, f"    25 B  {SHOWN}\n", "")
    url = shell.run("link", f"/{HOSTILE}").out.strip()
    assert shell.run("link", "list").out == f"live         0 downloads  {SHOWN}  {url}\n"
    ended = shell.run("get", f"/{HOSTILE}")
    assert (ended.code, ended.out) == (0, f"{shell.folder / SHOWN}\n")
    assert ended.err.splitlines()[-1] == f"{SHOWN}: done, 25 B"
    assert (shell.folder / HOSTILE).read_bytes() == HOSTILE.encode(), "the name itself is kept"


def test_a_hostile_remote_name_is_whole_in_json(shell: Shell) -> None:
    shell.account.add("root", HOSTILE)

    for words in (["ls"], ["link", f"/{HOSTILE}"], ["get", f"/{HOSTILE}"]):
        ended = shell.run("--json", *words)
        assert ended.documents, "each line is a document"
        assert ended.out.isascii()
        assert "\x1b" not in ended.out
    assert shell.json("ls")[0]["name"] == HOSTILE


def test_a_hostile_local_name_is_one_harmless_line(shell: Shell) -> None:
    shell.file(HOSTILE)

    ended = shell.run("put", HOSTILE, "--to", "/")
    assert (ended.code, ended.out) == (0, f"/{SHOWN}\n")
    assert "\x1b" not in ended.err
    assert shell.json("put", HOSTILE, "--to", "/New")["items"][0]["remote_path"] == f"/New/{HOSTILE}"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_local_name_that_is_no_text_is_refused_in_text(shell: Shell) -> None:
    odd = os.fsdecode(b"\xff\xfe.txt")
    shell.file(odd)

    plain, told = shell.run("put", odd), shell.run("put", odd, "--json")

    assert (plain.code, told.code, plain.out) == (1, 1, "")
    assert "The name is not valid text" in plain.err
    assert "The name is not valid text" in told.documents[-1]["items"][0]["error"]


def test_an_error_shows_what_was_typed_harmlessly(shell: Shell) -> None:
    for words in (["ls", "/\x1b[2J"], ["\x1b[2J"], ["link", "/a", "\x1b[2J"], ["root", "add", "\x1b[2J"]):
        ended = shell.run(*words)
        assert ended.code in (1, 2)
        assert "[2J" in ended.err
        assert "\x1b" not in ended.err


@pytest.mark.parametrize("name", ["../evil.txt", "..", "/etc/evil.txt", "deep/../../evil.txt", "nul\0.txt"])
def test_no_remote_name_leads_out_of_the_folder(shell: Shell, name: str) -> None:
    into = shell.folder / "into"
    into.mkdir()
    bad = shell.account.add("root", "Bad", "folder")
    shell.account.add(bad.node_id, name)
    before = _all_files(shell.folder)

    for source in ("/Bad", shell.service.share(name), shell.service.share("Linked", name)):
        ended = shell.run("get", source, "-o", "into")
        assert (ended.code, ended.out) == (1, ""), source
        assert "This name cannot be used on this computer" in ended.err
        refused(_last_line(shell.run("get", source, "-o", "into", "--force", "--json")), 1, "local-file")

    assert _all_files(shell.folder) == before
    assert not list(into.iterdir())
    assert shell.run("get", shell.service.share(name), "-o", "into/safe.txt").code == 0


def _all_files(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if path.is_file() and "home" not in path.parts}


def _last_line(ended: Ended) -> Ended:
    """Without the rows that were told before."""
    assert all("transfer" in document for document in ended.documents)
    return Ended(ended.code, "", ended.err)


# -- terminals --------------------------------------------------------------------------------------------------------


COLOUR = re.compile(r"\x1b\[[0-9;]*(?:3[0-8]|9[0-7])[0-9;]*m")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def watched(shell: Shell, *words: str, **environment: str) -> Ended:
    """What ends up on standard output, and on the terminal that standard error is."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM"):
            patch.delenv(name, raising=False)
        for name, value in {"TERM": "xterm-256color", **environment}.items():
            patch.setenv(name, value)
        patch.setattr("sys.stderr", terminal := Terminal())
        ended = shell.run(*words)
    return Ended(ended.code, ended.out, terminal.getvalue())


def test_the_bar_has_colours_unless_nobody_wants_them(shell: Shell) -> None:
    path = str(shell.file("a.txt"))

    assert COLOUR.search(watched(shell, "put", path).err)
    plain = watched(shell, "put", path, NO_COLOR="1")
    assert "a.txt" in plain.err
    assert not COLOUR.search(plain.err)


def test_a_hostile_name_in_the_bar_is_harmless(shell: Shell) -> None:
    shell.file(HOSTILE)
    shell.account.add("root", "[red]" + HOSTILE)

    for words in (["put", HOSTILE], ["get", f"/[red]{HOSTILE}"]):
        ended = watched(shell, *words)
        assert (ended.code, "�]0;title" in ended.err) == (0, True)
        assert "\x1b[2J" not in ended.err
        assert "\x1b]" not in ended.err


def test_links_go_to_standard_output_while_the_bar_is_on_the_terminal(shell: Shell) -> None:
    ended = watched(shell, "put", "--link", str(shell.file("a.txt")))

    assert shell.account.shared(ended.out.strip()) == "/Drops/a.txt"
    assert ended.out.strip() not in ended.err


def test_json_draws_no_bar(shell: Shell) -> None:
    ended = watched(shell, "put", str(shell.file("a.txt")), "--json")
    assert ended.documents[-1]["items"]
    assert ended.err == ""


def test_a_file_of_an_options_name_is_no_option(shell: Shell) -> None:
    shell.file("--json")
    assert shell.run("put", "--to", "/", "--", "--json").out == "/--json\n"
