"""A desktop of a test's own: X server, window manager, session bus, tray; all gone at the end."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue

HERE = Path(__file__).parent


class Process:
    """A child whose lines are read as they come; `log` is everything it said so far."""

    def __init__(self, command: list[str], environment: Mapping[str, str]) -> None:
        self.log: list[str] = []
        self._lines: SimpleQueue[str] = SimpleQueue()
        self.popen = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            self.log.append(line)
            self._lines.put(line.rstrip("\n"))

    def say(self, line: str) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write(line + "\n")
        self.popen.stdin.flush()

    def hear(self, *beginnings: str, seconds: float = 30) -> str:
        """The next line that begins with one of these."""
        try:
            while not (line := self._lines.get(timeout=seconds)).startswith(beginnings):
                pass
        except Empty:
            raise AssertionError(f"nobody said {beginnings}: {''.join(self.log)}") from None
        return line

    def end(self) -> None:
        self.popen.terminate()
        try:
            self.popen.wait(15)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()


@dataclass
class Desktop:
    environment: dict[str, str]
    stack: ExitStack = field(repr=False)
    tray: Process | None = None

    def start(self, *command: str, **environment: str) -> Process:
        """A program on this desktop; ended with it."""
        process = Process(list(command), self.environment | environment)
        self.stack.callback(process.end)
        return process

    def python(self, *arguments: str, **environment: str) -> Process:
        return self.start(sys.executable, *arguments, **environment)

    def run(self, *command: str) -> str:
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout.strip()

    def xdotool(self, *arguments: object) -> str:
        return self.run("xdotool", *map(str, arguments))

    def clipboard(self) -> str:
        """What another program gets when it pastes; empty while nothing is there."""
        done = subprocess.run(
            ["xclip", "-selection", "clipboard", "-o"],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
        return done.stdout if done.returncode == 0 else ""

    def read_aloud(self) -> list[list[str]]:
        """Role, name and description of all that a screen reader finds in the app's window."""
        told = self.run("/usr/bin/python3", str(HERE / "screen_reader.py"))
        return [[part.strip() for part in line.split("|")] for line in told.splitlines()]

    def geometry(self, window: str) -> tuple[int, int, int, int]:
        """x, y, width, height on the screen."""
        told = dict(
            line.split("=", 1) for line in self.xdotool("getwindowgeometry", "--shell", window).splitlines() if line
        )
        return int(told["X"]), int(told["Y"]), int(told["WIDTH"]), int(told["HEIGHT"])


@contextmanager
def desktop(folder: Path, tray: bool = True) -> Iterator[Desktop]:
    """`folder` becomes the runtime directory; the tray is there from the start, or never."""
    with ExitStack() as stack:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        display = _x_server(stack)
        bus = _session_bus(stack)
        left_out = {"WAYLAND_DISPLAY", "XAUTHORITY", "QT_QPA_PLATFORM"}
        own = {
            "DISPLAY": display,
            "DBUS_SESSION_BUS_ADDRESS": bus,
            "XDG_RUNTIME_DIR": str(folder),
            "XDG_CURRENT_DESKTOP": "KDE",
            "QT_QUICK_BACKEND": "software",
            "QT_QPA_PLATFORM": "xcb",
            "PYTHONUNBUFFERED": "1",
            "QT_LINUX_ACCESSIBILITY_ALWAYS_ON": "1",
        }
        made = Desktop({k: v for k, v in os.environ.items() if k not in left_out} | own, stack)
        made.start("openbox", "--sm-disable")
        if tray:
            # PyGObject is the system's: it is not on PyPI as a wheel.
            made.tray = made.start("/usr/bin/python3", str(HERE / "tray_host.py"))
            made.tray.hear("ready")
        yield made


def _x_server(stack: ExitStack) -> str:
    readable, writable = os.pipe()
    server = subprocess.Popen(
        ["Xvfb", "-displayfd", str(writable), "-screen", "0", "1280x1040x24", "-nolisten", "tcp"],
        pass_fds=[writable],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    stack.callback(_end, server)
    os.close(writable)
    with os.fdopen(readable) as told:
        number = told.readline().strip()
    assert number, "Xvfb did not start"
    return f":{number}"


def _session_bus(stack: ExitStack) -> str:
    bus = subprocess.Popen(
        ["dbus-daemon", "--session", "--nofork", "--print-address=1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    stack.callback(_end, bus)
    assert bus.stdout is not None
    return bus.stdout.readline().strip()


def _end(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    process.terminate()
    process.wait(10)
