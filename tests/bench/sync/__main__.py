"""`python -m tests.bench.sync [--files N] [--runs N] [ROW...]`: keeping many files in step, as a table and as JSON.

Satchel is `satchel ...` of a signed-in home, with an upload-only folder and with a two-way one, and the service is what
the templates deploy onto the local cloud. rclone compares the same files with what the benchmarks' S3 server has, and
with a copy on the same disk; Syncthing watches them. All files are in memory where the system has a folder for that.
Nearly all of Satchel's were never sent: they were entered into its journal as if they had been, for the emulator would
take an hour for them. Medians; the goals are printed and never asserted.
"""

from __future__ import annotations

import argparse
import json
import platform
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from tests.bench.measure import BenchError

from . import rows
from .ground import Ground
from .rows import Result

FOLDER = Path("build") / "bench"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.sync", description="Beside rclone and Syncthing.")
    parser.add_argument("names", nargs="*", metavar="ROW", help=", ".join(rows.ROWS))
    parser.add_argument("--files", type=int, default=100_000, help="in folders of 100 (default 100000)")
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each (default 5)")
    parser.add_argument("--idle", type=float, default=60.0, help="seconds of doing nothing (default 60)")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(rows.ROWS):
        parser.error(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(rows.ROWS)}")
    if asked.files < 200:
        parser.error("--files: 200 or more")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # engines and cloud must not outlive us
    results: list[Result] = []
    failed = False
    memory = Path("/dev/shm")
    where = memory if memory.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="satchel-bench-", dir=where) as at, ExitStack() as stack:
        ground = Ground(Path(at), asked.files, asked.runs, asked.idle, stack)
        for name in asked.names or rows.ROWS:
            try:
                results.append(rows.ROWS[name](ground))
            except BenchError as error:
                failed = True
                print(f"{name}: not measured: {error}", file=sys.stderr)
            else:
                print(*rows.lines(results[-1]), sep="\n", flush=True)
    if results:
        print(f"\nwritten to {written(results, asked.files)}")
    return 1 if failed else 0


def written(results: list[Result], files: int) -> Path:
    machine = {"system": platform.platform(), "python": platform.python_version(), "machine": platform.machine()}
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / f"sync-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.json"
    said = {"on": machine, "files": files, "results": [asdict(result) for result in results]}
    file.write_text(json.dumps(said, indent=2) + "\n")
    return file


if __name__ == "__main__":
    sys.exit(main())
