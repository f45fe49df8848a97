"""The whole client, in a process of its own: `satchel ...` as it is, with what crosses its edges counted.

`python -m tests.bench.wire.product HOME LATE WORDS...` runs `satchel WORDS` in HOME. Every answer of the service comes
LATE seconds later than it does. What the command says goes to standard error; standard output gets the service's calls
and seconds and the bytes that left for S3, as JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keyring
from tests.bench.file_keyring import FileKeyring

from satchel.cli import main as satchel
from satchel.cloud.http import Http, Reply
from satchel.transfer.upload import Job, Ledger
from satchel.transfer.wire import Wire

Span = tuple[float, float]


@dataclass
class Edges:
    """When something was asked of the service, and when something was on its way to or from S3. Thread-safe."""

    late: float = 0.0
    calls: list[Span] = field(default_factory=list)
    moves: list[Span] = field(default_factory=list)
    sent: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _began: dict[int, float] = field(default_factory=dict)

    def watch(self) -> None:
        """From now on, for all of this process."""
        exchange, start_job, end_job, get = Http.send, Ledger.start_job, Ledger.end_job, Wire.get

        def send(http: Http, *words: Any, **options: Any) -> Reply:
            with self._noted(self.calls):
                reply = exchange(http, *words, **options)
                time.sleep(self.late)
                return reply

        def started(ledger: Ledger, *words: Any) -> Job | None:
            job = start_job(ledger, *words)
            if job is not None:
                self._began[id(job)] = time.perf_counter()
            return job

        def ended(ledger: Ledger, upload: Any, job: Job) -> None:
            end_job(ledger, upload, job)
            with self._lock:
                self.moves.append((self._began.pop(id(job)), time.perf_counter()))
                self.sent += job.on_wire

        @contextlib.contextmanager
        def got(wire: Wire, url: str, headers: Mapping[str, str]) -> Iterator[Any]:
            with self._noted(self.moves), get(wire, url, headers) as response:
                yield response

        doors: dict[tuple[type, str], Callable[..., Any]] = {
            (Http, "send"): send,
            (Ledger, "start_job"): started,
            (Ledger, "end_job"): ended,
            (Wire, "get"): got,
        }
        for (owner, name), watched in doors.items():
            setattr(owner, name, watched)

    def figures(self) -> dict[str, float]:
        """`calls_s` is the sum of all calls, `service_s` the time with at least one under way, and `waited_s` that part
        of it with nothing on its way to or from S3."""
        asked, moving = merged(self.calls), merged(self.moves)
        return {
            "calls": len(self.calls),
            "calls_s": seconds(self.calls),
            "service_s": seconds(asked),
            "waited_s": seconds(merged([*asked, *moving])) - seconds(moving),
            "sent": self.sent,
        }

    @contextlib.contextmanager
    def _noted(self, spans: list[Span]) -> Iterator[None]:
        began = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                spans.append((began, time.perf_counter()))


def merged(spans: Sequence[Span]) -> list[Span]:
    """The same time in spans that do not overlap."""
    out: list[Span] = []
    for began, ended in sorted(spans):
        if out and began <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], ended))
        else:
            out.append((began, ended))
    return out


def seconds(spans: Sequence[Span]) -> float:
    return sum(ended - began for began, ended in spans)


def main(home: Path, late: float, words: Sequence[str]) -> int:
    os.environ["SATCHEL_HOME"] = str(home)
    keyring.set_keyring(FileKeyring(home.with_name("keyring.json")))
    edges = Edges(late)
    edges.watch()
    with contextlib.redirect_stdout(sys.stderr):
        code = satchel(words)
    print(json.dumps(edges.figures()), flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]))
