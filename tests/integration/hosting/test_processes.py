from __future__ import annotations

import os
import signal
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from satchel.hosting.process import HostingError, Service, exclusively


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    """A process that takes its lock, says that it is ready, and ends when asked to."""
    (tmp_path / "sleeper.py").write_text(
        textwrap.dedent("""
        import pathlib, signal, sys, time
        from satchel.hosting.process import hold
        signal.signal(signal.SIGTERM, lambda *_: (pathlib.Path("ended").touch(), sys.exit()))
        held = hold(pathlib.Path(sys.argv[sys.argv.index("--hold") + 1]))
        pathlib.Path("ready").touch()
        print("here I am", flush=True)
        time.sleep(60)
        """)
    )
    made = Service(tmp_path / "run", "sleeper", "sleeper")
    yield made
    made.stop()


def start(service: Service) -> None:
    paths = os.pathsep.join([str(service.folder.parent), *sys.path])
    ready = service.folder / "ready"
    service.start([], {**os.environ, "PYTHONPATH": paths}, ready.exists)


def test_a_started_process_is_known_by_its_pid_and_ends_when_asked(service: Service) -> None:
    start(service)
    pid = service.pid()

    assert pid is not None
    assert "here I am" in service.log.read_text()
    assert service.stop()
    assert service.pid() is None
    assert (service.folder / "ended").exists()


def test_stopping_what_does_not_run_does_nothing(service: Service) -> None:
    assert not service.stop()


def test_a_pid_left_by_a_process_that_died_is_not_believed(service: Service) -> None:
    start(service)
    dead = service.pid()
    assert dead is not None
    os.kill(dead, signal.SIGKILL)
    while service.pid() is not None:
        time.sleep(0.01)
    (service.folder / "sleeper.pid").write_text(str(os.getpid()))

    assert service.pid() is None
    assert not service.stop()


def test_a_process_that_fails_at_its_start_says_why(tmp_path: Path) -> None:
    broken = Service(tmp_path / "run", "broken", "no_such_module")

    with pytest.raises(HostingError, match="No module named"):
        broken.start([], dict(os.environ), lambda: False)


def test_who_gives_up_waiting_leaves_nothing_behind(service: Service) -> None:
    paths = os.pathsep.join([str(service.folder.parent), *sys.path])

    def interrupted() -> bool:
        if (service.folder / "ready").exists():
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        service.start([], {**os.environ, "PYTHONPATH": paths}, interrupted)

    assert service.pid() is None


def test_a_second_caller_waits_and_is_told_so(tmp_path: Path) -> None:
    order: list[str] = []
    told = threading.Event()

    def second() -> None:
        with exclusively(tmp_path / "lock", told.set):
            order.append("second")

    with exclusively(tmp_path / "lock", lambda: order.append("never")):
        waiting = threading.Thread(target=second)
        waiting.start()
        assert told.wait(5)
        order.append("first")
    waiting.join()

    assert order == ["first", "second"]
