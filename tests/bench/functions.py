"""Cold starts: what a function's module costs to import and to make ready, beside boto3 with two clients."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from satchel.hosting.package import payload

from .measure import LIMIT_S, BenchError, Result, in_turn

_HANDLERS = ("api", "public", "ingest", "janitor", "identity")
_PEER = "import boto3; [boto3.client(name) for name in ('dynamodb', 's3')]"
_PEAK = "; import resource; print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
"""Kilobytes, on Linux."""


def _import_of(handler: str) -> Callable[[int], Result]:
    return lambda runs: _beside_boto3(
        f"import {handler}", f"import satchel_cloud.handlers.{handler}", runs, goal=handler
    )


def _api_ready(runs: int) -> Result:
    ready = "import satchel_cloud.handlers.api; from satchel_cloud.service.context import context; context()"
    return _beside_boto3("import api, and its table's client", ready, runs)


BENCHES: dict[str, Callable[[int], Result]] = {f"import-{name}": _import_of(name) for name in _HANDLERS} | {
    "api-ready": _api_ready
}


def _beside_boto3(name: str, code: str, runs: int, goal: str = "") -> Result:
    peaks: dict[str, int] = {}

    def run(what: str) -> float:
        began = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", what + _PEAK], env=environment, capture_output=True, timeout=LIMIT_S, check=False
        )
        seconds = time.perf_counter() - began
        if done.returncode:
            raise BenchError(done.stderr.decode(errors="replace")[-400:])
        peaks[what] = int(done.stdout)
        return seconds

    with _unpacked() as environment:
        subject, peer = in_turn(lambda: run(code), lambda: run(_PEER), max(runs, 9))
    return Result(
        name,
        "boto3 and two clients",
        tuple(subject),
        tuple(peer),
        goal_ratio=0.5 if goal == "api" else None,
        peak_mb=(peaks[code] / 1024, peaks[_PEER] / 1024),
    )


@contextmanager
def _unpacked() -> Iterator[dict[str, str]]:
    """The Lambda zip as Lambda lays it out, and an environment as it gives it."""
    with tempfile.TemporaryDirectory(prefix="satchel-bench-") as folder:
        zipfile.ZipFile(io.BytesIO(payload().zip)).extractall(folder)
        yield {
            "PATH": os.environ.get("PATH", ""), "PYTHONPATH": folder, "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none", "TABLE": "none", "CONTENT_BUCKET": "none",
        }  # fmt: skip
