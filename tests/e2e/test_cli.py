"""The whole journey at a terminal, against the local cloud."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.cloud_fixture import LocalCloud, wait_until
from satchel.engine.control import EngineClient
from satchel.engine.host import connect

NEVER = "http://127.0.0.1:9"


class Terminal:
    """Runs `satchel ...` in a process of its own, in one home. No keyring: the session lives in the running engine."""

    def __init__(self, home: Path, password_file: Path | None = None) -> None:
        self.home = home
        self.env = os.environ | {
            "SATCHEL_HOME": str(home),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
            "NO_COLOR": "1",
        }
        if password_file is not None:
            self.env["SATCHEL_PASSWORD_FILE"] = str(password_file)

    def run(self, *words: str, stdin: str = "", code: int = 0) -> subprocess.CompletedProcess[str]:
        ended = subprocess.run(
            [sys.executable, "-m", "satchel.cli", *words],
            input=stdin,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
        assert ended.returncode == code, (words, ended.returncode, ended.stdout, ended.stderr)
        return ended

    def json(self, *words: str, stdin: str = "") -> Any:
        return json.loads(self.run("--json", *words, stdin=stdin).stdout.splitlines()[-1])


@pytest.fixture
def terminal(cloud: LocalCloud, tmp_path: Path) -> Iterator[Terminal]:
    """Signed in, with no engine running: the password's file signs in whenever it is needed."""
    email, password = cloud.new_user()
    secret = tmp_path / "password"
    secret.write_text(password + "\n")
    made = Terminal(tmp_path / "home", secret)
    made.run("login", cloud.site, "--email", email, "--password-stdin", stdin=password + "\n")
    return made


def test_a_file_is_put_and_its_link_gives_the_same_bytes(cloud: LocalCloud, terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "Année 1.txt"
    file.write_bytes(os.urandom(70_000))

    put = terminal.run("put", str(file), "--link")

    [link] = put.stdout.split()
    token = link.rsplit("/", 1)[-1]
    assert cloud.request("GET", f"/p/{token}/content", follow=True).body == file.read_bytes()
    assert [node["name"] for node in terminal.json("ls", "/Drops")] == ["Année 1.txt"]
    assert terminal.json("status")["links"][0]["url"] == link


def test_the_tree_is_changed_and_fetched_by_path_and_link(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(os.urandom(5000))
    terminal.run("mkdir", "/Work/2026")
    terminal.run("put", str(file), "--to", "/Work/2026")
    terminal.run("mv", "/Work/2026/a.bin", "/Work/b.bin")

    link = terminal.run("link", "/Work/b.bin").stdout.strip()
    terminal.run("get", "/Work/b.bin", "-o", str(tmp_path / "by path"))
    terminal.run("get", link, "-o", str(tmp_path / "by link"))
    assert (tmp_path / "by path").read_bytes() == (tmp_path / "by link").read_bytes() == file.read_bytes()

    [listed] = terminal.json("link", "list")
    assert (listed["url"], listed["state"]) == (link, "live")
    terminal.run("link", "revoke", link)
    refused = terminal.run("get", link, "-o", str(tmp_path / "again"), code=1)
    assert refused.stderr.startswith("satchel: ")
    terminal.run("rm", "/Work")
    assert terminal.json("ls") == []


def test_a_folder_goes_whole_and_comes_back_whole(terminal: Terminal, tmp_path: Path) -> None:
    folder = tmp_path / "Trip"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "one.txt").write_text("1")
    (folder / "deep" / "er" / "two.txt").write_text("2")
    (folder / "out").symlink_to("/etc/passwd")

    put = terminal.json("put", str(folder), "--link")

    assert len(put["links"]) == 1
    terminal.run("get", put["links"][0], "-o", str(tmp_path / "back"))
    back = sorted(str(path.relative_to(tmp_path / "back")) for path in (tmp_path / "back").rglob("*"))
    assert back == ["deep", "deep/er", "deep/er/two.txt", "one.txt"]


def test_a_watched_folder_is_brought_in_step_once(terminal: Terminal, tmp_path: Path) -> None:
    folder = tmp_path / "Share"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "x.txt").write_text("x")
    terminal.run("root", "add", str(folder))

    terminal.run("sync", "--once")

    assert [node["name"] for node in terminal.json("ls", "/Share/sub")] == ["x.txt"]
    assert terminal.json("root", "list")[0]["path"] == str(folder)
    terminal.run("root", "remove", str(folder))
    assert terminal.json("root", "list") == []


def test_signed_out_is_3_offline_is_4_nonsense_is_2(terminal: Terminal, tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_text("x")
    terminal.run("whoami")
    terminal.run("nonsense", code=2)
    terminal.run("logout")
    error = json.loads(terminal.run("--json", "put", str(file), code=3).stderr)
    assert error["error"]["code"] == "not-signed-in"
    terminal.run("whoami", code=3)
    terminal.run("login", NEVER, "--email", "alice@example.com", "--password-stdin", stdin="x\n", code=4)


def test_one_bad_path_fails_the_command_but_not_the_others(terminal: Terminal, tmp_path: Path) -> None:
    good = tmp_path / "good"
    good.write_text("good")

    ended = terminal.run("put", str(tmp_path / "missing"), str(good), code=1)

    assert "There is no such file" in ended.stderr
    assert [node["name"] for node in terminal.json("ls", "/Drops")] == ["good"]


def test_app_and_cli_work_on_one_engine(cloud: LocalCloud, tmp_path: Path) -> None:
    email, password = cloud.new_user()
    home = tmp_path / "home"
    terminal = Terminal(home)
    file = tmp_path / "shared.txt"
    file.write_text("seen by both")
    with connect(home) as app:
        seen: list[dict[str, Any]] = []
        watcher = threading.Thread(target=_watch, args=(home, seen), daemon=True)
        watcher.start()
        terminal.run("login", cloud.site, "--email", email, "--password-stdin", stdin=password + "\n")
        terminal.run("put", str(file), "--link")
        [link] = app.call("status")["links"]
        assert link["name"] == "shared.txt"
        wait_until(lambda: seen and seen[-1]["links"] and seen[-1]["transfers"][0]["state"] == "done")
    watcher.join(timeout=10)
    assert not watcher.is_alive()


def _watch(home: Path, seen: list[dict[str, Any]]) -> None:
    try:
        for kind, value in EngineClient(home).stream("watch"):
            if kind == "event" and "headline" in value:
                seen.append(value)
    except Exception:
        return


def test_ctrl_c_cancels_and_the_page_says_that_the_sender_stopped(
    cloud: LocalCloud, terminal: Terminal, tmp_path: Path
) -> None:
    big = tmp_path / "big.bin"
    with big.open("wb") as file:
        file.truncate(400 * 1024 * 1024)
    # A shell that runs the tests in the background ignores Ctrl-C, and children inherit that.
    words = ["env", "--default-signal=INT", sys.executable, "-m", "satchel.cli", "put", str(big), "--link"]
    with subprocess.Popen(words, env=terminal.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as put:
        assert put.stdout is not None
        link = put.stdout.readline().strip()
        put.send_signal(signal.SIGINT)
        assert put.wait(timeout=60) == 130
    token = link.rsplit("/", 1)[-1]
    wait_until(lambda: cloud.request("GET", f"/p/{token}").json().get("state") == "stopped")
