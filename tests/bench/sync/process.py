"""What a running process has used, as the kernel counts it."""

from __future__ import annotations

import os
from pathlib import Path

from tests.bench.measure import BenchError


def cpu_s(pid: int) -> float:
    """Seconds of all its threads, in user mode and in the kernel."""
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    """The resident set."""
    return _status(pid, "VmRSS")


def peak_mb(pid: int) -> float:
    """The largest resident set so far."""
    return _status(pid, "VmHWM")


def _status(pid: int, name: str) -> float:
    lines = dict(line.split(":", 1) for line in _read(pid, "status").splitlines())
    return int(lines[name].split()[0]) / 1024


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except OSError as error:
        raise BenchError(f"process {pid} cannot be looked at: {error.strerror}") from error
