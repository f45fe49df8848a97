"""What is measured, and how it is told."""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from tests.bench.display import xvfb
from tests.bench.measure import BenchError
from tests.bench.startup import FIRST_FRAME
from tests.bench.wire import contenders
from tests.bench.wire.contenders import Run

from . import process
from .ground import MODES, Ground
from .peers import Syncthing
from .subject import Engine, Subject, until

FOLDERS = 10_000
"""For the start of watching."""

SETTLE_S = 5.0
"""What a beginning leaves behind is over after so long."""


@dataclass
class Measure:
    """Of one contender; a figure that does not apply is left out."""

    who: str
    seconds: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)
    note: str = ""


@dataclass
class Result:
    """`said` are comparisons with what the project wants to reach."""

    row: str
    measures: list[Measure]
    said: list[str] = field(default_factory=list)


def no_op_pass(ground: Ground) -> Result:
    """All is in step, and Satchel and Syncthing run: look at everything once."""
    syncthing, rclone = ground.syncthing, ground.rclone
    with ExitStack() as running:
        engines = {mode: running.enter_context(subject.running()) for mode, subject in ground.subjects.items()}
        for engine in engines.values():
            engine.settled()
        runs: dict[str, Callable[[], Run]] = {
            _satchel(mode): partial(_asked, engine.pid, partial(engine.call, "sync_once"))
            for mode, engine in engines.items()
        }
        runs["rclone sync --size-only, disk"] = rclone.to_disk
        runs["rclone sync --size-only, S3"] = rclone.to_s3
        if isinstance(syncthing, Syncthing):
            runs["Syncthing, rescan"] = partial(_asked, syncthing.pid, syncthing.rescan)
        time.sleep(SETTLE_S)
        measures = _in_turn(runs, ground.runs)
    said = _ratios(measures[: len(MODES)], measures[len(MODES) + 1 :], " (goal 0.35)")
    if isinstance(syncthing, BenchError):
        said.append(f"Syncthing: not measured: {syncthing}")
    return Result(f"no-op pass over {ground.files:,} files", measures, said)


def no_op_command(ground: Ground) -> Result:
    """All is in step and nothing runs: Satchel starts, looks at everything once and ends, as rclone does."""
    runs: dict[str, Callable[[], Run]] = {
        _satchel(mode, "satchel sync --once"): partial(_commanded, subject) for mode, subject in ground.subjects.items()
    }
    measures = _in_turn(runs | {"rclone sync --size-only, S3": ground.rclone.to_s3}, ground.runs)
    said = _ratios(measures[: len(MODES)], measures[len(MODES) :])
    return Result(f"no-op pass over {ground.files:,} files by one command, nothing running before", measures, said)


def one_change(ground: Ground) -> Result:
    """One file is written to: how long until the service has its new revision."""
    measures = []
    for mode, subject in ground.subjects.items():
        measure = Measure(_satchel(mode))
        with subject.running() as engine:
            engine.settled()
            for number in range(ground.runs + 1):
                time.sleep(SETTLE_S)
                sequence, used, began = subject.sequence(), process.cpu_s(engine.pid), time.perf_counter()
                subject.sent_file.write_text(f"changed at {time.time_ns()}\n")
                name = subject.sent_file.name
                until(lambda: subject.changed_since(sequence, name), "the change did not arrive")  # noqa: B023 - at once
                took = time.perf_counter() - began
                engine.settled()
                if number:
                    _add(measure, took, process.cpu_s(engine.pid) - used)
        measures.append(measure)
    return Result(f"one of {ground.files:,} files changes, until the service has it", measures, ["goal 1 s"])


def first_scan(ground: Ground) -> Result:
    """A folder is added: how long until all of it was looked at, and the memory until all is planned."""
    measures = []
    for mode in MODES:
        home = ground.fresh_home(f"first-{mode}")
        with home.running() as engine:
            before, used, began = process.memory_mb(engine.pid), process.cpu_s(engine.pid), time.time()
            engine.call("root_add", dir=str(ground.peers_folder), to=None, two_way=mode == "two-way")
            scanned = until(lambda: engine.root()["last_full_scan_ms"], "no scan", every=0.2)
            cpu = process.cpu_s(engine.pid) - used
            until(lambda: engine.root()["waiting"] >= ground.files, lambda: f"not planned: {engine.root()}", every=0.5)
            planned = time.time() - began
            measure = Measure(_satchel(mode), note=f"all is planned after {planned:.1f} s; {before:.0f} MB before")
            _add(measure, scanned / 1000 - began, cpu, process.peak_mb(engine.pid))
            engine.kill()
        shutil.rmtree(ground.peers_folder / ".satchel")
        measures.append(measure)
    try:
        with ground.fresh_syncthing("syncthing-first") as syncthing:
            began = time.perf_counter()
            syncthing.add(ground.peers_folder, ground.files)
            took = time.perf_counter() - began
            measure = Measure("Syncthing", note="reads and digests all files, which Satchel does when it sends them")
            _add(measure, took, process.cpu_s(syncthing.pid), process.peak_mb(syncthing.pid))
        measures.append(measure)
    except BenchError as error:
        measures.append(Measure("Syncthing", note=f"not measured: {error}"))
    return Result(f"first scan of {ground.files:,} files", measures)


def watch_start(ground: Ground) -> Result:
    """Until a change in the last of 10,000 folders is heard of."""
    top = ground.at / "folders"
    for number in range(FOLDERS):
        (top / f"{number // 100:03}" / f"{number:05}").mkdir(parents=True)
    last = f"{(FOLDERS - 1) // 100:03}/{FOLDERS - 1:05}"
    command = [sys.executable, "-m", "tests.bench.sync.watching", str(top), last]
    measure = Measure("Satchel")
    for _ in range(ground.runs):
        run, words = contenders.watched(command, os.environ)
        told = json.loads(words)
        if told["problem"]:
            raise BenchError(told["problem"])
        _add(measure, told["heard_s"], run.cpu_s, run.peak_mb)
    return Result(f"watching {FOLDERS:,} folders, until a change in the last is heard of", [measure], ["goal 2 s"])


def idle(ground: Ground) -> Result:
    """Nothing happens."""
    measures = []
    said = ["goal 0.5 % of a core and 150 MB, without the app"]
    syncthing = ground.syncthing
    for mode, subject in ground.subjects.items():
        with subject.running() as engine:
            engine.settled()
            time.sleep(SETTLE_S)
            measures += _while_idle({_satchel(mode): engine.pid}, ground.idle)
            if mode == MODES[-1]:
                measures += _app_on_top(engine, subject.environment, ground.idle)
    if isinstance(syncthing, Syncthing):
        measures += _while_idle({"Syncthing": syncthing.pid}, ground.idle)
    else:
        said.append(f"Syncthing: not measured: {syncthing}")
    return Result(f"{ground.files:,} files watched, nothing happens", measures, said)


ROWS: dict[str, Callable[[Ground], Result]] = {
    "no-op-pass": no_op_pass,
    "no-op-command": no_op_command,
    "one-change": one_change,
    "idle": idle,
    "first-scan": first_scan,
    "watch-start": watch_start,
}


def lines(result: Result) -> list[str]:
    """A heading, and a line for each contender."""
    out = [": ".join([result.row, *(["; ".join(result.said)] if result.said else [])])]
    for one in result.measures:
        figures = [
            f"{statistics.median(values):7.2f} {unit}" if values else " " * (8 + len(unit))
            for values, unit in ((one.seconds, "s"), (one.cpu_s, "s CPU"), (one.memory_mb, "MB"))
        ]
        each = f"   each: {' '.join(f'{value:.2f}' for value in one.seconds)}" if len(one.seconds) > 1 else ""
        out.append(f"  {one.who:32} {'  '.join(figures)}{each}{f'   {one.note}' if one.note else ''}")
    return out


def _satchel(mode: str, what: str = "Satchel") -> str:
    return f"{what}, {mode}"


def _add(measure: Measure, seconds: float, cpu_s: float, memory_mb: float | None = None) -> None:
    measure.seconds.append(seconds)
    measure.cpu_s.append(cpu_s)
    if memory_mb is not None:
        measure.memory_mb.append(memory_mb)


def _in_turn(runs: dict[str, Callable[[], Run]], count: int) -> list[Measure]:
    """`count` of each, one after the other so that noise meets all, after one of each that is not counted. Who fails is
    left out from then on."""
    measures = {who: Measure(who) for who in runs}
    for number in range(count + 1):
        for who, run in runs.items():
            if measures[who].note:
                continue
            try:
                took = run()
            except BenchError as error:
                measures[who].note = f"not measured: {error}"
                continue
            if number:
                _add(measures[who], took.seconds, took.cpu_s, took.peak_mb)
    return list(measures.values())


def _asked(pid: int, ask: Callable[[], object]) -> Run:
    """What it costs a running process to do what `ask` returns from."""
    used, began = process.cpu_s(pid), time.perf_counter()
    ask()
    took = time.perf_counter() - began
    return Run(took, process.cpu_s(pid) - used, process.peak_mb(pid))


def _commanded(subject: Subject) -> Run:
    return contenders.watched(subject.command("sync", "--once"), subject.environment)[0]


def _ratios(satchel: Sequence[Measure], peers: Sequence[Measure], goal: str = "") -> list[str]:
    """Satchel's part of each peer's time."""
    return [
        f"{one.who} / {peer.who} {statistics.median(one.seconds) / statistics.median(peer.seconds):.2f}{goal}"
        for one in satchel
        for peer in peers
        if one.seconds and peer.seconds
    ]


def _while_idle(pids: dict[str, int], seconds: float) -> list[Measure]:
    """What each of these processes uses in a time in which nothing happens."""
    before = {who: process.cpu_s(pid) for who, pid in pids.items()}
    time.sleep(seconds)
    measures = []
    for who, pid in pids.items():
        used = process.cpu_s(pid) - before[who]
        note = f"{used / seconds:.2%} of a core during {seconds:.0f} s; {process.peak_mb(pid):.0f} MB at most"
        measures.append(Measure(who, cpu_s=[used], memory_mb=[process.memory_mb(pid)], note=note))
    return measures


def _app_on_top(engine: Engine, environment: dict[str, str], seconds: float) -> list[Measure]:
    """The app's window shows the running engine."""
    program = Path(sys.executable).with_name("satchel-app")
    try:
        with xvfb() as display:
            shown = environment | {
                "DISPLAY": display,
                "QT_QPA_PLATFORM": "xcb",
                "SATCHEL_REPORT_FIRST_FRAME": "1",
                "PYTHONUNBUFFERED": "1",
            }
            app = subprocess.Popen(
                [str(program)], env=shown, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            try:
                assert app.stdout is not None
                if not any(line.startswith(FIRST_FRAME) for line in app.stdout):
                    raise BenchError("the app showed no window")
                time.sleep(SETTLE_S)
                return _while_idle({"the app on top": app.pid, "its engine": engine.pid}, seconds)
            finally:
                app.terminate()
                app.wait(20)
    except BenchError as error:
        return [Measure("the app on top", note=f"not measured: {error}")]
