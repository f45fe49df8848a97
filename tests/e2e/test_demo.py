"""The one command of a newcomer, end to end."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from satchel.hosting import demo, local


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    local.erase(tmp_path / "cloud")


def test_the_demo_shows_the_main_job_again_and_again(state: Path) -> None:
    for _ in range(2):
        lines: list[str] = []

        assert demo.run(headless=True, report=lines.append, state=state) == 0

        told = "\n".join(lines)
        for step in ("1. A cloud stands", "2. Signed in", "3. Put", "4. Fetched", "5. Saved"):
            assert step in told
        assert "/s/" in told


def test_nothing_is_left_running_afterwards(state: Path) -> None:
    demo.run(headless=True, report=lambda _: None, state=state)

    status = local.status(state / "cloud")

    assert not status.running
    assert status.cloud_pid is None
    assert status.site is not None
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", int(status.site.rsplit(":", 1)[1]))) != 0


def test_the_demos_password_is_in_no_file_of_the_client(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known: list[str] = []
    make = demo._demo_password
    monkeypatch.setattr(demo, "_demo_password", lambda cloud: known.append(make(cloud)) or known[0])

    demo.run(headless=True, report=lambda _: None, state=state)

    assert known
    for path in (state / "home").rglob("*"):
        if path.is_file():
            assert known[0].encode() not in path.read_bytes(), path
