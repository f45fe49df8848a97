"""Wall times of commands, each beside a bare baseline taken in the same run: trust the ratio, not the seconds."""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

LIMIT_S = 60.0


class BenchError(Exception):
    """Something could not be measured; the message says why."""


@dataclass(frozen=True)
class Result:
    """Seconds of every run of one subject and of its baseline.

    `goal` is what the project wants to reach here, in seconds, `goal_ratio` as a part of the baseline; `peak_mb` is the
    memory of both.
    """

    name: str
    baseline_name: str
    seconds: tuple[float, ...]
    baseline_seconds: tuple[float, ...]
    goal: float | None = None
    goal_ratio: float | None = None
    peak_mb: tuple[float, float] | None = None

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def baseline_median(self) -> float:
        return statistics.median(self.baseline_seconds)

    def as_json(self) -> dict[str, object]:
        return {
            "name": self.name,
            "median_s": round(self.median, 4),
            "runs_s": [round(value, 4) for value in self.seconds],
            "baseline": self.baseline_name,
            "baseline_median_s": round(self.baseline_median, 4),
            "baseline_runs_s": [round(value, 4) for value in self.baseline_seconds],
            "ratio": round(self.median / self.baseline_median, 2),
            "goal_s": self.goal,
            "goal_ratio": self.goal_ratio,
            "peak_mb": None if self.peak_mb is None else [round(value, 1) for value in self.peak_mb],
        }


def in_turn(subject: Callable[[], float], baseline: Callable[[], float], runs: int) -> tuple[list[float], list[float]]:
    """`runs` of each, one after the other so that noise meets both, after one of each that is not counted."""
    subject()
    baseline()
    pairs = [(subject(), baseline()) for _ in range(runs)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def until_exit(command: Sequence[str], environment: Mapping[str, str]) -> float:
    """Seconds from start to exit 0."""
    started = time.perf_counter()
    done = subprocess.run(command, env=environment, capture_output=True, timeout=LIMIT_S, check=False)
    seconds = time.perf_counter() - started
    if done.returncode:
        raise BenchError(f"{command[0]} ended {done.returncode}: {done.stderr.decode(errors='replace')[-400:]}")
    return seconds


def until_line(command: Sequence[str], environment: Mapping[str, str], line: str) -> float:
    """Seconds from start to the first output line that begins with `line`; the process is then ended."""
    started = time.perf_counter()
    process = subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    said: list[str] = []
    watchdog = threading.Timer(LIMIT_S, _end, [process])
    watchdog.daemon = True
    watchdog.start()
    try:
        assert process.stdout is not None
        for heard in process.stdout:
            if heard.startswith(line):
                return time.perf_counter() - started
            said.append(heard)
        raise BenchError(f"{command[0]} never said `{line}`: {''.join(said)[-400:]}")
    finally:
        watchdog.cancel()
        _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """Politely, then for good; with whatever it started."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        os.killpg(process.pid, how)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            continue
