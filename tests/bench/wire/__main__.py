"""`python -m tests.bench.wire [--view V] [--runs N] [ROW...]`: Satchel beside s5cmd and rclone, as a table and as JSON.

Everybody sends the same files to the same S3 server, in turn, and digests what is sent. In the view `engine` Satchel is
its transfers alone, with addresses signed in their own process. In `product` it is all of it: `satchel put`, `get` and
`sync` of a signed-in home, and the service as its templates deploy it onto the local cloud, which signs for that same
S3 server. What the service takes is shown apart, for there it runs in an emulator on the machine that is measured.
Medians; the goals are printed and never asserted.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import platform
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench.measure import BenchError

from . import contenders
from .contenders import RCLONE, S5CMD, SATCHEL, Run
from .rows import MIB, ROUND_TRIP_S, VIEWS, Row
from .servers import Server
from .sides import SIDES, Side, Work
from .sink import sinking

FOLDER = Path("build") / "bench"


@dataclass(frozen=True)
class Result:
    view: str
    name: str
    row: Row
    runs: dict[str, list[Run]]

    def median(self, who: str, what: str) -> float:
        return statistics.median([float(asdict(run)[what]) for run in self.runs[who]])

    def ratio(self, what: str) -> float:
        peers = [SATCHEL] if self.row.sink else [S5CMD, RCLONE] if self.row.best else [S5CMD]
        return self.median(SATCHEL, what) / min(self.median(peer, what) for peer in peers)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.wire", description="Beside s5cmd and rclone.")
    parser.add_argument(
        "names", nargs="*", metavar="ROW", help=", ".join(dict.fromkeys(n for v in VIEWS.values() for n in v))
    )
    parser.add_argument("--view", choices=VIEWS, help="only this one (default: both)")
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each (default 5)")
    asked = parser.parse_args()
    views = [asked.view] if asked.view else list(VIEWS)
    if unknown := set(asked.names).difference(*(VIEWS[view] for view in views)):
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # server and cloud must not outlive us
    results: list[Result] = []
    failed = False
    for view in views:
        names = [name for name in asked.names or VIEWS[view] if name in VIEWS[view]]
        if not names:
            continue
        with SIDES[view]() as side, tempfile.TemporaryDirectory(dir=side.server.certificate.parent) as at:
            for name in names:
                try:
                    results.append(measured(view, name, side, Path(at), asked.runs))
                except BenchError as error:
                    failed = True
                    print(f"{view}, {name}: not measured: {error}", file=sys.stderr)
                else:
                    print(*lines(results[-1]), sep="\n", flush=True)
    print(f"\nwritten to {written(results)}")
    return 1 if failed else 0


def measured(view: str, name: str, side: Side, folder: Path, runs: int) -> Result:
    """One run of each that is not counted, then `runs` of each in turn."""
    row = VIEWS[view][name]
    took: dict[str, list[Run]] = {who: [] for who in ([SATCHEL] if row.sink else [SATCHEL, S5CMD, RCLONE])}
    with (
        _files(folder / name, row) as files,
        _edited(files, row.edit) as now,
        _place(side.server, row) as endpoint,
        side.serving(row, endpoint),
    ):
        key = _stored(side, files) if row.down else ""
        for number in range(runs + 1):
            for who, all_runs in took.items():
                with tempfile.TemporaryDirectory(dir=folder) as at:
                    home = Path(at) / "home"
                    home.mkdir()
                    dest = home.with_name("fetched")
                    if who == SATCHEL:
                        side.begin(row, files, home)
                        command = side.command(row, Work(now, key, dest, home, endpoint))
                    elif row.down:
                        command = contenders.fetch(who, endpoint, S5CMD, key, dest)
                    else:
                        command = contenders.send(who, endpoint, now, f"run-{number}")
                    run = contenders.timed(command, side.server)
                    if row.down and dest.stat().st_size != row.size:
                        raise BenchError(f"{who} fetched {dest.stat().st_size} bytes of {row.size}")
                if not row.sink and (who == SATCHEL or not row.down):
                    side.empty(who)
                if number:
                    all_runs.append(run)
        if row.down:
            side.empty(S5CMD)
    return Result(view, name, row, took)


def lines(result: Result) -> list[str]:
    """A heading, and a line for each contender."""
    row = result.row
    goals = [("wall", "seconds", row.wall), ("CPU", "cpu_s", row.cpu)]
    said = [
        f"{name} {result.ratio(what):.2f}" + ("" if goal is None else f" (goal {goal:.2f})")
        for name, what, goal in goals
    ]
    against = "itself" if row.sink else "the better peer" if row.best else "s5cmd"
    more = "" if row.memory is None else f"; memory goal {row.memory:.0f} MB"
    if row.sent is not None:
        more += f"; sent {result.median(SATCHEL, 'sent') / row.size:.2%} (goal {row.sent:.0%})"
    if row.calls is not None:
        more += f"; {result.median(SATCHEL, 'calls'):.0f} calls (goal {row.calls})"
    out = [f"{result.view}, {result.name}: against {against}: {', '.join(said)}{more}"]
    for who in result.runs:
        wall, cpu, peak = (result.median(who, what) for what in ("seconds", "cpu_s", "peak_mb"))
        each = " ".join(f"{run.seconds:.2f}" for run in result.runs[who])
        out.append(f"  {who:8} {wall:7.2f} s  {cpu:6.2f} s CPU  {peak:5.0f} MB   each: {each}")
    if result.view == "product":
        calls, every, some, alone = (
            result.median(SATCHEL, what) for what in ("calls", "calls_s", "service_s", "waited_s")
        )
        out.append(
            f"  of it the service: {calls:.0f} calls of {every:.2f} s in all; for {some:.2f} s one or more was under "
            f"way, {alone:.2f} s of that with nothing on its way to or from S3"
        )
    return out


def written(results: list[Result]) -> Path:
    machine = {"system": platform.platform(), "python": platform.python_version(), "machine": platform.machine()}
    rows = [
        {
            "view": result.view,
            "name": result.name,
            "row": asdict(result.row),
            "wall_ratio": round(result.ratio("seconds"), 3),
            "cpu_ratio": round(result.ratio("cpu_s"), 3),
            "runs": {who: [asdict(run) for run in runs] for who, runs in result.runs.items()},
        }
        for result in results
    ]
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / f"wire-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.json"
    file.write_text(json.dumps({"on": machine, "results": rows}, indent=2) + "\n")
    return file


@contextlib.contextmanager
def _files(folder: Path, row: Row) -> Iterator[Path]:
    """Files of random bytes, the same in every run."""
    folder.mkdir()
    source = random.Random(folder.name)
    for number in range(row.files):
        with (folder / f"{number:05}.bin").open("wb") as file:
            file.truncate(row.size)
            for start in range(0, 0 if row.sink else row.size, MIB):
                file.write(source.randbytes(min(MIB, row.size - start)))
    yield folder
    shutil.rmtree(folder)


@contextlib.contextmanager
def _edited(files: Path, edit: str) -> Iterator[Path]:
    """The one file of `files` with its edit done, in a folder beside it; `files` when there is none."""
    if not edit:
        yield files
        return
    there = next(files.iterdir())
    folder = files.with_name(f"{files.name}-edited")
    folder.mkdir()
    data = random.Random(edit).randbytes(MIB)
    middle = there.stat().st_size // 2
    with there.open("rb") as old, (folder / there.name).open("wb") as new:
        if edit.startswith("1 byte"):
            new.write(data[:1])
        shutil.copyfileobj(old, new, MIB)
        if edit.startswith("1 MiB"):
            new.seek(middle)
            new.write(data)
    yield folder
    shutil.rmtree(folder)


@contextlib.contextmanager
def _place(server: Server, row: Row) -> Iterator[str]:
    if row.sink:
        with sinking() as endpoint:
            yield endpoint
    elif row.far:
        with server.far(tls=row.tls, round_trip=ROUND_TRIP_S) as endpoint:
            yield endpoint
    else:
        yield server.tls if row.tls else server.plain


def _stored(side: Side, files: Path) -> str:
    """The one file of `files` also in s5cmd's bucket, under a key that tells its size and SHA-256, as it does here."""
    file = next(files.iterdir())
    with file.open("rb") as opened:
        key = f"{file.stat().st_size}-{hashlib.file_digest(opened, 'sha256').hexdigest()}"
    file.rename(files / key)
    contenders.timed(contenders.send(S5CMD, side.server.plain, files, "stored"), side.server)
    return f"stored/{key}"


if __name__ == "__main__":
    sys.exit(main())
