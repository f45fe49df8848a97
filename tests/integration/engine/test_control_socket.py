from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from multiprocessing import AuthenticationError
from multiprocessing.connection import Client
from pathlib import Path
from typing import Any

import pytest

from satchel.core.errors import EngineError, OfflineError, RefusedError
from satchel.engine import control
from satchel.engine.control import ControlServer, EngineClient
from satchel.engine.lock import HomeLock


class Answers:
    """A handler that shows what it was asked for."""

    def __init__(self) -> None:
        self.cancelled = threading.Event()
        self.began = threading.Event()

    async def __call__(self, method: str, params: dict[str, Any], emit: Any) -> Any:
        if method == "refuse":
            refused = RefusedError("name-taken", "The name is taken", "Choose another.", path="/a")
            refused.reference = "request-1"
            raise refused
        if method == "offline":
            raise OfflineError("No answer", "Check the network.")
        if method == "bug":
            raise ValueError("oops")
        if method == "many":
            for number in range(params["count"]):
                emit(number)
            return method
        if method == "echo and wait":
            emit(params)
        if method == "flood":
            for _ in range(200):
                emit("x" * 100_000)
        if method in ("forever", "echo and wait", "flood"):
            self.began.set()
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled.set()
        emit(params)
        return method


@pytest.fixture
def answers() -> Answers:
    return Answers()


@pytest.fixture
def server(tmp_path: Path, answers: Answers) -> Iterator[ControlServer]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    server = ControlServer(tmp_path, loop, answers)
    yield server
    server.close()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


def test_events_come_before_the_result(server: ControlServer, tmp_path: Path) -> None:
    frames = list(EngineClient(tmp_path).stream("echo", word="é", bytes_of_a_path="\udcff"))

    assert frames == [("event", {"word": "é", "bytes_of_a_path": "\udcff"}), ("result", "echo")]


@pytest.mark.parametrize(
    ("method", "kind"), [("refuse", RefusedError), ("offline", OfflineError), ("bug", EngineError)]
)
def test_errors_keep_their_kind_over_the_wire(server: ControlServer, tmp_path: Path, method: str, kind: type) -> None:
    with pytest.raises(kind) as caught:
        EngineClient(tmp_path).call(method)

    if method == "refuse":
        assert (caught.value.kind, caught.value.path, caught.value.message) == ("name-taken", "/a", "Choose another.")
        assert caught.value.reference == "request-1"


def test_a_wrong_key_is_refused_and_others_are_served(server: ControlServer, tmp_path: Path) -> None:
    address = json.loads((tmp_path / "engine.json").read_text())["address"]
    with pytest.raises((AuthenticationError, EOFError, OSError)):
        Client(address, authkey=b"guess")

    assert EngineClient(tmp_path).call("echo") == "echo"


def test_a_silent_client_keeps_nobody_out(server: ControlServer, tmp_path: Path) -> None:
    address = json.loads((tmp_path / "engine.json").read_text())["address"]
    silent = Client(address)

    assert EngineClient(tmp_path).call("echo") == "echo"
    silent.close()


def test_hanging_up_cancels(server: ControlServer, answers: Answers, tmp_path: Path) -> None:
    from multiprocessing.connection import Connection

    found = json.loads((tmp_path / "engine.json").read_text())
    line: Connection = Client(found["address"], authkey=bytes.fromhex(found["key"]))
    line.send_bytes(json.dumps({"method": "forever"}).encode())
    assert answers.began.wait(5)
    assert server.busy()

    line.close()

    assert answers.cancelled.wait(5)


def test_two_clients_are_served_at_once(server: ControlServer, answers: Answers, tmp_path: Path) -> None:
    def wait_forever() -> None:
        with pytest.raises(EngineError):
            EngineClient(tmp_path).call("forever")

    waiting = threading.Thread(target=wait_forever)
    waiting.start()
    assert answers.began.wait(5)

    assert EngineClient(tmp_path).call("echo") == "echo"

    server.close()
    waiting.join(timeout=5)
    assert not waiting.is_alive()


def _threads_of_the_server() -> list[int | None]:
    """Those that are about to end are waited for: one accepts, one answers."""
    deadline = time.monotonic() + 10
    while True:
        found = [one.native_id for one in threading.enumerate() if one.name.startswith("control")]
        if len(found) == 2 or time.monotonic() > deadline:
            return found
        time.sleep(0.01)


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells how often a thread woke")
def test_while_nothing_happens_nobody_wakes(server: ControlServer, answers: Answers, tmp_path: Path) -> None:
    stream = EngineClient(tmp_path).stream("echo and wait")
    assert next(stream) == ("event", {})
    waiting = _threads_of_the_server()
    assert len(waiting) == 2

    def wakes() -> list[str]:
        lines = [Path(f"/proc/self/task/{one}/status").read_text().splitlines() for one in waiting]
        return [line for task in lines for line in task if line.startswith("voluntary_ctxt_switches")]

    time.sleep(0.5)
    before = wakes()
    time.sleep(1.2)
    assert wakes() == before
    stream.close()
    assert answers.cancelled.wait(5)


def test_events_that_come_faster_than_they_are_read_all_come(server: ControlServer, tmp_path: Path) -> None:
    heard = []
    for kind, value in EngineClient(tmp_path).stream("many", count=20_000):
        if kind == "event" and value % 1000 == 0:
            time.sleep(0.01)
        heard.append(value)
    assert heard == [*range(20_000), "many"]


def test_a_client_that_does_not_read_does_not_hold_up_the_end(
    server: ControlServer, answers: Answers, tmp_path: Path
) -> None:
    stream = EngineClient(tmp_path).stream("flood")
    next(stream)
    assert answers.began.wait(10)
    time.sleep(0.2)  # until the socket is full

    before = time.monotonic()
    server.close()

    assert answers.cancelled.is_set()
    assert time.monotonic() - before < control._PATIENCE_S
    stream.close()


def test_only_the_user_can_read_the_key(server: ControlServer, tmp_path: Path) -> None:
    assert (tmp_path / "engine.json").stat().st_mode & 0o777 == 0o600


_HOLD = """
import sys, time
from pathlib import Path
from satchel.engine.lock import HomeLock
lock = HomeLock(Path(sys.argv[1]))
print(lock.acquire(), flush=True)
time.sleep(60)
"""


def test_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", _HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        assert HomeLock(tmp_path).acquire() is False

        os.kill(holder.pid, 9)
        holder.wait()

    deadline = time.monotonic() + 5
    lock = HomeLock(tmp_path)
    while not lock.acquire():
        assert time.monotonic() < deadline
    lock.release()
