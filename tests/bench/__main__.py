"""`python -m tests.bench [--runs N] [NAME...]`: medians beside a bare baseline, as a table and under build/bench/.

It reports and judges nothing: seconds depend on the machine, so the goals are printed and never asserted.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

from . import dollars, functions, startup
from .measure import BenchError, Result

BENCHES: dict[str, Callable[[int], Result]] = {
    "help": startup.cli_help,
    "first-frame": startup.first_frame,
    **functions.BENCHES,
}
FOLDER = Path("build") / "bench"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description="Times beside a bare baseline.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHES))
    parser.add_argument("--runs", type=int, default=7, help="counted runs of each (default 7)")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(BENCHES):
        parser.error(f"no such bench: {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")

    results: list[Result] = []
    failed = False
    for name in asked.names or BENCHES:
        try:
            results.append(BENCHES[name](asked.runs))
        except BenchError as error:
            failed = True
            print(f"{name}: not measured: {error}", file=sys.stderr)
    if results:
        print(table(results))
        print(f"\nwritten to {written(results)}")
    if not asked.names:
        print(f"\n{dollars.table()}")
    return 1 if failed else 0


def table(results: list[Result]) -> str:
    rows = [("", "median", "goal", "baseline", "median", "ratio", "goal", "memory, MB")]
    for result in results:
        goal = "" if result.goal is None else f"{result.goal:.2f} s"
        ratio = f"{result.median / result.baseline_median:.2f}"
        part = "" if result.goal_ratio is None else f"{result.goal_ratio:.2f}"
        peak = "" if result.peak_mb is None else "{:.0f} ({:.0f})".format(*result.peak_mb)
        baseline = (result.baseline_name, f"{result.baseline_median:.3f} s")
        rows.append((result.name, f"{result.median:.3f} s", goal, *baseline, ratio, part, peak))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)


def written(results: list[Result]) -> Path:
    machine = {"system": platform.platform(), "python": platform.python_version(), "machine": platform.machine()}
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / f"{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.json"
    file.write_text(json.dumps({"on": machine, "results": [result.as_json() for result in results]}, indent=2) + "\n")
    return file


if __name__ == "__main__":
    sys.exit(main())
