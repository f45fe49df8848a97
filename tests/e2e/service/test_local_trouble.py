"""`satchel local up` when something is in its way: interrupted, run twice at once, out of date, hung."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from satchel.core.errors import UsageError
from satchel.hosting import local
from satchel.hosting.process import HostingError


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A state folder; the tests go on from what the ones before left in it."""
    folder = tmp_path_factory.mktemp("trouble") / "state"
    try:
        yield folder
    finally:
        local.erase(folder)


def interrupted_at(state: Path, line: str) -> str:
    """What `satchel local up` says when Ctrl-C comes at a line of its report."""
    words = [sys.executable, "-u", "-m", "satchel.cli", "local", "up", "--state", str(state)]
    up = subprocess.Popen(
        # A shell that runs the tests in the background ignores Ctrl-C, and children inherit that.
        ["env", "--default-signal=INT", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"SATCHEL_HOME": str(state.parent / "home"), "PYTHONUNBUFFERED": "1"},
    )
    assert up.stdout is not None
    said = ""
    for text in up.stdout:
        said += text
        if line in text:
            time.sleep(0.3)
            up.send_signal(signal.SIGINT)
            break
    said += up.stdout.read()
    assert up.wait(30) != 0, said
    assert "Traceback" not in said
    return said


def test_ctrl_c_while_it_starts_leaves_nothing_running_half(state: Path) -> None:
    interrupted_at(state, "starting the local cloud")

    status = local.status(state)
    assert not status.running
    assert status.edge_pid is None


def test_ctrl_c_while_it_deploys_is_made_good_by_the_next_up(state: Path) -> None:
    interrupted_at(state, "creating the stack")
    local.down(state)  # which loses what was under way
    (state / "state" / "half-made").touch()

    assert local.up(state).running
    assert not (state / "state" / "half-made").exists()


def test_two_at_once_do_it_once(state: Path) -> None:
    local.down(state)
    said: list[str] = []

    with ThreadPoolExecutor(2) as both:
        first, second = both.map(lambda _: local.up(state, report=said.append), range(2))

    assert first == second
    assert said.count("starting the local cloud") == 1
    assert "waiting for another command that is at this local cloud" in said


def test_changed_code_of_satchel_starts_its_processes_anew(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = local.up(state)
    monkeypatch.setattr(local, "_PYTHON", b"another")
    said: list[str] = []

    after = local.up(state, report=said.append)

    assert after.running
    assert after.cloud_pid != before.cloud_pid
    assert after.edge_pid != before.edge_pid
    assert "starting the cloud anew: its program has changed" in said
    assert local.up(state).cloud_pid == after.cloud_pid


def test_a_cloud_that_hangs_is_started_anew(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = local.up(state)
    assert before.edge_pid is not None
    monkeypatch.setattr(local, "_in_time", lambda well: well())
    os.kill(before.edge_pid, signal.SIGSTOP)
    monkeypatch.setattr("satchel.hosting.process.Service.stop.__defaults__", (0.5,))

    after = local.up(state)

    assert after.running
    assert after.edge_pid != before.edge_pid


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(HostingError, match="cannot keep anything in this folder") as caught:
        local.up(tmp_path / "file" / "state")

    assert "--state" in caught.value.message


def test_without_ministack_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ministack", None)

    with pytest.raises(HostingError, match="not installed"):
        local.up(tmp_path / "state", port=local.free_port())

    assert not local.status(tmp_path / "state").running


def test_a_port_taken_between_down_and_up_is_said(state: Path) -> None:
    local.down(state)
    port = int((local.status(state).site or "").rsplit(":", 1)[1])
    with socket.socket() as squatter:
        squatter.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        squatter.bind(("127.0.0.1", port))
        squatter.listen()

        with pytest.raises(UsageError, match=f"Port {port} is taken"):
            local.up(state)

    assert local.up(state).running
