"""Processes of the local cloud that outlive the command that started them.

Each holds a lock on a file as long as it lives. The lock, and not the recorded pid, says whether it runs: a pid may
have been given to somebody else since.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from satchel.core.errors import SatchelError

LOG_BYTES = 4 * 1024 * 1024
"""A log is moved aside at this size; with the one before it, a process never keeps more than twice that."""


class HostingError(SatchelError):
    """The local cloud or a deployment cannot do what it was asked to."""

    code = "hosting"


@dataclass(frozen=True, slots=True)
class Service:
    """One process of the local cloud, by its folder and name. `python -m module` runs it."""

    folder: Path
    name: str
    module: str

    @property
    def log(self) -> Path:
        return self.folder / f"{self.name}.log"

    def pid(self) -> int | None:
        """The process's id; None when it does not run."""
        with _open_lock(self._lock) as file:
            if _try_lock(file, shared=True):
                return None
        with contextlib.suppress(OSError, ValueError):
            return int(self._pid.read_text())
        return None

    def start(self, arguments: Sequence[str], environment: Mapping[str, str], ready: Callable[[], bool]) -> None:
        """Start it and wait until `ready()`. Raises `HostingError` with the end of its log when it does not come up."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            child = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-P", "-m", self.module, *arguments, "--hold", str(self._lock)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(environment),
                cwd=self.folder,
                **_detached(),
            )
        try:
            self._await(child, ready)
        except BaseException:
            # Also when Ctrl-C ends the waiting: what is only half up must not stay.
            child.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                child.wait(5)
            raise
        threading.Thread(target=child.wait, daemon=True, name=f"reap-{self.name}").start()

    def _await(self, child: subprocess.Popen[bytes], ready: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            if child.poll() is not None:
                raise HostingError(f"The {self.name} did not start", _tail(self.log), path=str(self.log))
            if ready():
                return
            time.sleep(0.05)
        raise HostingError(f"The {self.name} does not answer", _tail(self.log), path=str(self.log))

    def stop(self, patience: float = 30.0) -> bool:
        """Ask it to end, which lets it save its state, and wait. False when it did not run."""
        pid = self.pid()
        if pid is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, _ASK)
        deadline = time.monotonic() + patience
        while self.pid() is not None:
            if time.monotonic() > deadline:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, _FORCE)
                deadline = time.monotonic() + 5
            time.sleep(0.05)
        self._pid.unlink(missing_ok=True)
        return True

    @property
    def _lock(self) -> Path:
        return self.folder / f"{self.name}.lock"

    @property
    def _pid(self) -> Path:
        return self.folder / f"{self.name}.pid"


def hold(lock: Path) -> IO[bytes]:
    """Called by such a process at its start: take the lock, record the pid, keep the log short.

    The lock is held until the returned file is closed, at the latest when the process ends. Exits when another
    process holds it.
    """
    file = _open_lock(lock)
    deadline = time.monotonic() + 2  # somebody who only asks whether it runs holds the lock for a moment
    while not _try_lock(file):
        if time.monotonic() > deadline:
            raise SystemExit(f"{lock.stem} is running already")
        time.sleep(0.02)
    lock.with_suffix(".pid").write_text(str(os.getpid()))
    threading.Thread(target=_cap, args=(lock.with_suffix(".log"),), daemon=True, name="log-cap").start()
    return file


@contextlib.contextmanager
def exclusively(path: Path, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
    """One at a time: a second caller waits until the first is through, and hears of it by `waiting` once."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _open_lock(path) as file:
        if not _try_lock(file):
            waiting()
            while not _try_lock(file):
                time.sleep(0.1)
        yield


def _cap(log: Path) -> None:
    """Copy and truncate: the file stays open in this process and its children, all of which append."""
    while True:
        time.sleep(10)
        with contextlib.suppress(OSError):
            if log.stat().st_size > LOG_BYTES:
                shutil.copyfile(log, log.with_suffix(".log.1"))
                os.truncate(log, 0)


def _tail(log: Path) -> str:
    lines = log.read_text("utf-8", "replace").splitlines() if log.exists() else []
    return "The end of its log: " + " / ".join(lines[-4:]) if lines else "It said nothing."


def _open_lock(path: Path) -> IO[bytes]:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("ab")


if sys.platform == "win32":
    import msvcrt

    _ASK, _FORCE = signal.CTRL_BREAK_EVENT, signal.SIGTERM

    def _try_lock(file: IO[bytes], *, shared: bool = False) -> bool:
        del shared  # Windows knows no such thing
        try:
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _detached() -> dict[str, Any]:
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}

else:
    import fcntl

    _ASK, _FORCE = signal.SIGTERM, signal.SIGKILL

    def _try_lock(file: IO[bytes], *, shared: bool = False) -> bool:
        try:
            fcntl.flock(file, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def _detached() -> dict[str, Any]:
        return {"start_new_session": True}
