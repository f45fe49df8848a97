"""`python -m tests.bench.wire [--runs N] [ROW...]`: Satchel's engine beside s5cmd and rclone, as a table and as JSON.

Everybody sends the same files to the same S3 server, in turn, and digests what is sent; Satchel's addresses are signed
in its own process. Medians; the goals are printed and never asserted.
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
from .servers import Server, seaweed
from .sink import sinking

MIB = 1024 * 1024
FOLDER = Path("build") / "bench"
ROUND_TRIP_S = 0.05


@dataclass(frozen=True)
class Row:
    """One kind of work. The goals are parts of s5cmd's figures, or with `best` of the better peer's; MB for memory, and
    for `sent` a part of the file. With an `edit` the file was sent before, but for that. What goes into the `sink` is a
    hole, and goes from Satchel alone."""

    files: int
    size: int
    tls: bool = False
    far: bool = False
    down: bool = False
    edit: str = ""
    sent: float | None = None
    sink: bool = False
    wall: float | None = None
    cpu: float | None = None
    memory: float | None = None
    best: bool = False


ROWS: dict[str, Row] = {
    "1-gib": Row(1, 1024 * MIB, wall=0.85, cpu=0.5, memory=100),
    "200-of-2-mib": Row(200, 2 * MIB, wall=0.8, best=True),
    "5000-of-8-kib": Row(5000, 8192, wall=0.7, cpu=0.4, best=True),
    "1-gib-tls": Row(1, 1024 * MIB, tls=True, wall=0.9, best=True),
    "200-of-2-mib-tls": Row(200, 2 * MIB, tls=True, wall=0.9, best=True),
    "5000-of-8-kib-tls": Row(5000, 8192, tls=True, wall=0.9, best=True),
    "500-of-8-kib-far": Row(500, 8192, far=True, wall=1.0, best=True),
    "256-mib-far": Row(1, 256 * MIB, far=True, wall=1.0, best=True),
    "500-of-8-kib-far-tls": Row(500, 8192, tls=True, far=True, wall=1.0, best=True),
    "1-gib-changed": Row(1, 1024 * MIB, edit="1 MiB changed in the middle", sent=0.02),
    "1-gib-inserted": Row(1, 1024 * MIB, edit="1 byte inserted at the start", sent=0.02),
    "1-gib-sink": Row(1, 1024 * MIB, sink=True, memory=100),
    "8-gib-sink": Row(1, 8 * 1024 * MIB, sink=True, memory=100),
    "get-1-gib": Row(1, 1024 * MIB, down=True, wall=0.9),
}


@dataclass(frozen=True)
class Result:
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
    parser.add_argument("names", nargs="*", metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--runs", type=int, default=5, help="counted runs of each (default 5)")
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(ROWS):
        parser.error(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the server must not outlive us
    results: list[Result] = []
    failed = False
    with (
        seaweed(contenders.binary("weed")) as server,
        tempfile.TemporaryDirectory(dir=server.certificate.parent) as at,
    ):
        for who in (SATCHEL, S5CMD, RCLONE):
            contenders.make_bucket(server, who)
        for name in asked.names or ROWS:
            try:
                results.append(measured(name, server, Path(at), asked.runs))
            except BenchError as error:
                failed = True
                print(f"{name}: not measured: {error}", file=sys.stderr)
            else:
                print(*lines(results[-1]), sep="\n", flush=True)
    print(f"\nwritten to {written(results)}")
    return 1 if failed else 0


def measured(name: str, server: Server, folder: Path, runs: int) -> Result:
    """One run of each that is not counted, then `runs` of each in turn."""
    row = ROWS[name]
    took: dict[str, list[Run]] = {who: [] for who in ([SATCHEL] if row.sink else [SATCHEL, S5CMD, RCLONE])}
    with (
        _files(folder / name, row) as files,
        _edited(files, row.edit) as now,
        _place(server, row) as endpoint,
    ):
        key = _stored(server, files) if row.down else ""
        for number in range(runs + 1):
            for who, all_runs in took.items():
                if row.down:
                    dest = folder / "fetched"
                    run = contenders.timed(contenders.fetch(who, endpoint, S5CMD, key, dest), server)
                    if dest.stat().st_size != row.size:
                        raise BenchError(f"{who} fetched {dest.stat().st_size} bytes of {row.size}")
                    dest.unlink()
                else:
                    with tempfile.TemporaryDirectory(dir=folder) as home:
                        if row.edit and who == SATCHEL:
                            contenders.timed(contenders.send(who, endpoint, files, "", Path(home)), server)
                        sending = contenders.send(who, endpoint, now, f"run-{number}", Path(home))
                        run = contenders.timed(sending, server)
                    if not row.sink:
                        contenders.empty_bucket(server, who)
                if number:
                    all_runs.append(run)
        if row.down:
            contenders.empty_bucket(server, S5CMD)
    return Result(name, row, took)


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
    out = [f"{result.name}: against {against}: {', '.join(said)}{more}"]
    for who in result.runs:
        wall, cpu, peak = (result.median(who, what) for what in ("seconds", "cpu_s", "peak_mb"))
        each = " ".join(f"{run.seconds:.2f}" for run in result.runs[who])
        out.append(f"  {who:8} {wall:7.2f} s  {cpu:6.2f} s CPU  {peak:5.0f} MB   each: {each}")
    return out


def written(results: list[Result]) -> Path:
    machine = {"system": platform.platform(), "python": platform.python_version(), "machine": platform.machine()}
    rows = [
        {
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


def _stored(server: Server, files: Path) -> str:
    """The one file of `files` in s5cmd's bucket, under a key that tells its size and SHA-256."""
    file = next(files.iterdir())
    with file.open("rb") as opened:
        key = f"{file.stat().st_size}-{hashlib.file_digest(opened, 'sha256').hexdigest()}"
    named = files.parent / "named"
    named.mkdir()
    file.rename(named / key)
    contenders.timed(contenders.send(S5CMD, server.plain, named, "stored", named), server)
    shutil.rmtree(named)
    return f"stored/{key}"


if __name__ == "__main__":
    sys.exit(main())
