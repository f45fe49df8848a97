"""Satchel as people run it: `satchel ...` in a home of its own, signed in to the local cloud."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar

from tests.bench.file_keyring import VARIABLE
from tests.bench.measure import BenchError
from tests.e2e.cloud_fixture import LocalCloud

from satchel.core.errors import EngineError
from satchel.engine.control import EngineClient

from . import folder, seed

LIMIT_S = 300.0
Mode = Literal["upload-only", "two-way"]
T = TypeVar("T")


class Home:
    """Signed in to an account of its own, with no watched folder yet."""

    def __init__(self, cloud: LocalCloud, at: Path) -> None:
        self.at = at
        try:
            self.at.mkdir()
        except FileExistsError:
            raise BenchError(f"making {self.at.name} failed before") from None
        self._cloud = cloud
        self._email, self._password = cloud.new_user(quota=1 << 50)
        self.satchel("login", cloud.site, "--email", self._email, "--password-stdin", said=self._password)

    @property
    def environment(self) -> dict[str, str]:
        """No session bus, so that no keyring is asked for a password."""
        left_out = {"WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "XAUTHORITY"}
        own = {
            "HOME": str(self.at),
            "XDG_RUNTIME_DIR": str(self.at),
            "SATCHEL_HOME": str(self.at / "home"),
            "PYTHON_KEYRING_BACKEND": "tests.bench.file_keyring.FileKeyring",
            VARIABLE: str(self.at / "keyring.json"),
        }
        return {key: value for key, value in os.environ.items() if key not in left_out} | own

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "satchel.cli", *words]

    def satchel(self, *words: str, said: str = "") -> Any:
        """What a command that is not measured answers. Raises `BenchError`."""
        done = subprocess.run(
            self.command("--json", *words),
            env=self.environment,
            input=said,
            capture_output=True,
            timeout=LIMIT_S,
            check=False,
            text=True,
        )
        if done.returncode:
            raise BenchError(f"satchel {words[0]} ended {done.returncode}: {done.stdout[-600:]} {done.stderr[-600:]}")
        return json.loads(done.stdout.splitlines()[-1])

    @contextlib.contextmanager
    def running(self) -> Iterator[Engine]:
        """`satchel sync`, once it answers; ended afterwards."""
        with (self.at / "engine.log").open("ab") as log:
            process = subprocess.Popen(
                self.command("sync"), env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            yield Engine(process.pid, self._line(process))
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def sequence(self) -> int:
        """Of the account's newest change."""
        return int(self._ask("/v1/account")["sequence"])

    def changed_since(self, sequence: int, node_name: str) -> bool:
        changes = self._ask(f"/v1/changes?after={sequence}")["changes"]
        return any(entry["node"]["name"] == node_name for change in changes for entry in change["entries"])

    def _ask(self, path: str) -> Any:
        return self._cloud.request("GET", path, token=self._token()).json()

    def _token(self) -> str:
        """Asked for anew when it may be about to expire."""
        now = time.monotonic()
        found, until = getattr(self, "_asked", ("", 0.0))
        if now > until:
            found, until = self._cloud.tokens(self._email, self._password)["AccessToken"], now + 300
            self._asked = found, until
        return str(found)

    def _line(self, process: subprocess.Popen[bytes]) -> EngineClient:
        def answers() -> EngineClient | None:
            if process.poll() is not None:
                raise BenchError(f"the engine ended: {(self.at / 'engine.log').read_text()[-600:]}")
            with contextlib.suppress(EngineError):
                return EngineClient(self.at / "home")
            return None

        return until(answers, "the engine did not answer")


class Engine:
    """A running engine."""

    def __init__(self, pid: int, line: EngineClient) -> None:
        self.pid = pid
        self._line = line

    def call(self, method: str, **params: Any) -> Any:
        return self._line.call(method, **params)

    def root(self) -> Any:
        [root] = self.call("root_list")
        return root

    def kill(self) -> None:
        """It need not tidy up."""
        os.kill(self.pid, signal.SIGKILL)

    def settled(self) -> None:
        """Wait until the one watched folder is in step."""
        until(lambda: self.root()["state"] == "in_step", lambda: f"not in step: {self.root()}")


class Subject(Home):
    """A home whose one watched folder, of `files` files, is in step.

    The first hundred files were really sent; the others were entered into the journal alone, as those hundred are,
    because the emulator would take an hour for them.
    """

    def __init__(self, cloud: LocalCloud, at: Path, mode: Mode, files: int) -> None:
        super().__init__(cloud, at)
        self.mode = mode
        self.folder = at / "kept in step"
        self.folder.mkdir()
        folder.fill(self.folder, min(files, folder.IN_FOLDER))
        self.satchel("root", "add", str(self.folder), *(["--two-way"] if mode == "two-way" else []))
        self.satchel("sync", "--once")
        folder.fill(self.folder, files)
        [journal] = (at / "home" / "journals").glob("*.sqlite3")
        seeded = seed.seed(journal, self.folder)
        before = self.sequence()
        self.satchel("sync", "--once")
        if self.sequence() != before or seeded != max(0, files - folder.IN_FOLDER):
            raise BenchError("the seeded journal and the disk do not agree")

    @property
    def sent_file(self) -> Path:
        """One of the files that the service really has."""
        return self.folder / next(folder.contents(1))[0]


def until(condition: Callable[[], T | None], why: str | Callable[[], str], *, every: float = 0.05) -> T:
    """The first true value of `condition()`. Raises `BenchError` with `why` after some minutes."""
    end = time.monotonic() + LIMIT_S
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(every)
    raise BenchError(why if isinstance(why, str) else why())
