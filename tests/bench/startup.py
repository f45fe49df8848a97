"""How long until Satchel is there: `satchel --help`, and the first frame of the app's window."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .display import xvfb
from .measure import BenchError, Result, in_turn, until_exit, until_line

FIRST_FRAME = "first-frame"
_BARE_WINDOW = Path(__file__).with_name("bare_window.py")


def cli_help(runs: int) -> Result:
    command = _program("satchel")
    with _environment() as environment:
        times = in_turn(
            lambda: until_exit([command, "--help"], environment),
            lambda: until_exit([sys.executable, "-c", "pass"], environment),
            runs,
        )
    return Result("satchel --help", "python -c pass", tuple(times[0]), tuple(times[1]), goal=0.25)


def first_frame(runs: int) -> Result:
    command = _program("satchel-app")
    with _environment() as environment, xvfb() as display:
        on_display = environment | {"DISPLAY": display, "QT_QPA_PLATFORM": "xcb"}
        times = in_turn(
            lambda: until_line([command], on_display | {"SATCHEL_REPORT_FIRST_FRAME": "1"}, FIRST_FRAME),
            lambda: until_line([sys.executable, str(_BARE_WINDOW)], on_display, FIRST_FRAME),
            runs,
        )
    return Result("app, first frame", "bare QML window", tuple(times[0]), tuple(times[1]), goal=1.0)


def _program(name: str) -> str:
    path = Path(sys.executable).with_name(name)
    if not path.exists():
        raise BenchError(f"{path} is not there: install the project first (`make bench` does)")
    return str(path)


@contextmanager
def _environment() -> Iterator[dict[str, str]]:
    """A home and folders of their own; no session bus, so that no keyring is asked for a password."""
    left_out = {"WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "XAUTHORITY"}
    with tempfile.TemporaryDirectory(prefix="satchel-bench-") as folder:
        own = {"HOME": folder, "SATCHEL_HOME": f"{folder}/home", "XDG_RUNTIME_DIR": folder, "PYTHONUNBUFFERED": "1"}
        yield {key: value for key, value in os.environ.items() if key not in left_out} | own
