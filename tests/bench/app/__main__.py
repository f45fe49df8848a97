"""`python -m tests.bench.app [--runs N]`: how late the app's event loop is while 5,000 small files go up.

The real window, the real engine in its process, and the local cloud made from the templates, which has one core for
itself and its functions. It reports and judges nothing: the goal is printed and never asserted.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import random
import secrets
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.display import xvfb
from tests.bench.measure import BenchError
from tests.e2e.cloud_fixture import LocalCloud, bring_up

from satchel.hosting import local

from .probe import EVERY_MS

FOLDER = Path("build") / "bench"
FILES, SIZE = 5000, 8192
GOAL_MS = 50.0
LIMIT_S = 600


@dataclass(frozen=True)
class Stalls:
    """How late the loop was, in milliseconds: `p99` is exceeded during one hundredth of the time, not of the ticks, of
    which there are few while it stalls."""

    seconds: float
    median: float
    p99: float
    worst: float

    @classmethod
    def of(cls, late_ms: Sequence[float], seconds: float) -> Stalls:
        return cls(seconds, within(late_ms, 0.5), within(late_ms, 0.99), max(late_ms))


def within(late_ms: Sequence[float], part: float) -> float:
    """The lateness that is not exceeded during `part` of the time."""
    left = part * sum(one + EVERY_MS for one in late_ms)
    for one in sorted(late_ms):
        left -= one + EVERY_MS
        if left <= 0:
            return one
    return max(late_ms)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.app", description="The app while much goes up.")
    parser.add_argument("--runs", type=int, default=1, help="counted runs, some eight minutes each (default 1)")
    parser.add_argument("--files", type=int, default=FILES, help=f"files of {SIZE} bytes (default {FILES})")
    asked = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="satchel-bench-") as at, cloud(Path(at) / "cloud") as site:
            runs = [measured(Path(at) / f"run-{number}", site, asked.files) for number in range(asked.runs)]
    except BenchError as error:
        print(f"not measured: {error}", file=sys.stderr)
        return 1
    print(table(runs, asked.files))
    print(f"\nwritten to {written(runs, asked.files)}")
    return 0


def table(runs: Sequence[dict[str, Stalls]], files: int) -> str:
    rows = [("how late the app's event loop is", "median", "99th", "worst", "during")]
    for phase, name in (("idle", "nothing to do"), ("busy", f"{files:,} files of 8 KiB go up")):
        for run in runs:
            one = run[phase]
            figures = (f"{value:.1f} ms" for value in (one.median, one.p99, one.worst))
            rows.append((name, *figures, f"{one.seconds:.1f} s"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    said = "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    p99 = statistics.median(run["busy"].p99 for run in runs)
    return f"{said}\n99th, the runs' median: {p99:.1f} ms (goal {GOAL_MS:.0f} ms)"


def measured(folder: Path, site: LocalCloud, files: int) -> dict[str, Stalls]:
    """One run with an account, a home and files of its own: nothing is there already."""
    folder.mkdir()
    _sign_in(site, folder)
    dropped = folder / "many small files"
    dropped.mkdir()
    source = random.Random(folder.name + secrets.token_hex(8))
    for number in range(files):
        (dropped / f"{number:05}.bin").write_bytes(source.randbytes(SIZE))
    with xvfb() as display:
        on_display = environment(folder) | {"DISPLAY": display, "QT_QPA_PLATFORM": "xcb"}
        command = [sys.executable, "-m", "tests.bench.app.probe", str(dropped)]
        done = subprocess.run(command, env=on_display, capture_output=True, timeout=LIMIT_S, check=False, text=True)
    if done.returncode:
        raise BenchError(f"the app ended {done.returncode}: {done.stderr[-600:]}")
    said = json.loads(done.stdout.splitlines()[-1])
    if said["row"]["state"] != "done" or said["row"]["files_done"] != files:
        raise BenchError(f"not all went up: {said['row']}")
    return {phase: Stalls.of(said[phase]["late_ms"], said[phase]["seconds"]) for phase in ("idle", "busy")}


def environment(folder: Path) -> dict[str, str]:
    """A home of its own, and no keyring: the password is read from a file."""
    left_out = {"WAYLAND_DISPLAY", "DBUS_SESSION_BUS_ADDRESS", "XAUTHORITY"}
    own = {
        "HOME": str(folder),
        "XDG_RUNTIME_DIR": str(folder),
        "SATCHEL_HOME": str(folder / "home"),
        "SATCHEL_PASSWORD_FILE": str(folder / "password"),
        "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
    }
    return {key: value for key, value in os.environ.items() if key not in left_out} | own


@contextlib.contextmanager
def cloud(state: Path) -> Iterator[LocalCloud]:
    """The local cloud on one core, where the system can say so; gone at the end."""
    everywhere = os.sched_getaffinity(0) if sys.platform == "linux" else set()
    try:
        if everywhere:
            os.sched_setaffinity(0, {min(everywhere)})  # what is started now inherits it
        try:
            found = bring_up(state)
        finally:
            if everywhere:
                os.sched_setaffinity(0, everywhere)
        yield found
    finally:
        local.erase(state)


def _sign_in(site: LocalCloud, folder: Path) -> None:
    email, password = site.new_user()
    (folder / "password").touch(mode=0o600)
    (folder / "password").write_text(password)
    command = [sys.executable, "-m", "satchel.cli", "login", site.site, "--email", email, "--password-stdin"]
    done = subprocess.run(
        command, env=environment(folder), input=password, capture_output=True, timeout=60, check=False, text=True
    )
    if done.returncode:
        raise BenchError(f"signing in ended {done.returncode}: {done.stderr[-600:]}")


def written(runs: Sequence[dict[str, Stalls]], files: int) -> Path:
    machine: dict[str, Any] = {"system": platform.platform(), "python": platform.python_version()}
    told = [{phase: vars(stalls) for phase, stalls in run.items()} for run in runs]
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / f"app-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.json"
    file.write_text(json.dumps({"on": machine | {"files": files}, "goal_ms": GOAL_MS, "runs": told}, indent=2) + "\n")
    return file


if __name__ == "__main__":
    sys.exit(main())
