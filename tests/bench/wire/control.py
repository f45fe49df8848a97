"""`python -m tests.bench.wire.control`: how well limits are kept, and how long the wire goes on after a cancel.

In real time and against a sink: tests show the same with a clock of their own.
"""

from __future__ import annotations

import contextlib
import json
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from satchel.core.errors import CancelledError
from satchel.core.model import ContentSource, Node, Revision, UploadRequest
from satchel.core.ports import SystemClock, SystemIds
from satchel.journal import Journal
from satchel.transfer import Limit, Uploader, download

from .sink import Sink
from .subject import MIB, InProcess

FOLDER = Path("build") / "bench"
RATES = (1_000_000, 20_000_000)
SECONDS, SETTLE_S, AFTER_S = 10.0, 1.0, 1.0
CANCELS = 5
_SIZE = 4 * 1024 * MIB


def main() -> int:
    said: dict[str, float] = {}
    for rate in RATES:
        for name, measure in (("upload", uploading), ("download", downloading)):
            got = measure(rate)
            said[f"{name} at {rate}"] = got
            print(f"{name} kept to {rate / 1e6:.0f} MB/s: {got / 1e6:.3f} MB/s over {SECONDS:.0f} s", flush=True)
    said["cancel_ms"] = max(cancelling() for _ in range(CANCELS)) * 1000
    print(f"after a cancel bytes came for {said['cancel_ms']:.1f} ms more, the longest of {CANCELS}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    file = FOLDER / f"control-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.json"
    file.write_text(json.dumps(said, indent=2) + "\n")
    print(f"\nwritten to {file}")
    return 0


def uploading(rate: int) -> float:
    """Bytes a second that came, of a large file and a limit of `rate`."""
    with _under_way(rate) as (sink, _, _):
        time.sleep(SETTLE_S)
        began, before = time.monotonic(), sink.received
        time.sleep(SECONDS)
        return (sink.received - before) / (time.monotonic() - began)


def downloading(rate: int) -> float:
    """As `uploading`, the other way."""
    got = [0]
    over = threading.Event()
    with _sink() as sink, tempfile.TemporaryDirectory() as folder:
        node = Node("node", "root", "file", "file", 1, Revision("1" * 32, _SIZE, 0, None))

        def fetch() -> None:
            with contextlib.suppress(CancelledError):
                download(
                    lambda: ContentSource(f"{sink.endpoint}/file?size={_SIZE}", node),
                    Path(folder) / "file",
                    clock=SystemClock(),
                    ids=SystemIds(),
                    on_progress=lambda so_far, _: got.__setitem__(0, so_far),
                    stopped=over.is_set,
                    limit=Limit(SystemClock(), rate),
                )

        thread = threading.Thread(target=fetch)
        thread.start()
        try:
            time.sleep(SETTLE_S)
            began, before = time.monotonic(), got[0]
            time.sleep(SECONDS)
            return (got[0] - before) / (time.monotonic() - began)
        finally:
            over.set()
            thread.join()


def cancelling() -> float:
    """Seconds from the cancel of an upload to the last byte that came."""
    with _under_way(0) as (sink, uploader, upload_id):
        time.sleep(SETTLE_S)
        before = sink.received
        while sink.received == before:  # in the midst of it, not while the next part is digested
            time.sleep(0.0005)
        asked = time.monotonic()
        uploader.cancel(upload_id)
        time.sleep(AFTER_S)
        return max(0.0, sink.last_at - asked)


@contextlib.contextmanager
def _under_way(rate: int) -> Iterator[tuple[Sink, Uploader, str]]:
    """A hole of some GiB on its way to a sink."""
    ids = SystemIds()
    with _sink() as sink, tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "hole"
        with file.open("wb") as made:
            made.truncate(_SIZE)
        journal = Journal(Path(folder) / "journal.sqlite")
        service = InProcess(sink.endpoint, "sink")
        uploader = Uploader(service, journal.uploads, clock=SystemClock(), ids=ids, limit=rate)
        upload_id = ids.new_id()
        try:
            uploader.submit(
                UploadRequest(
                    upload_id=upload_id, path=str(file), node_id=ids.new_id(), parent_id="root", name=file.name,
                    origin="drop", group="bench",
                )
            )  # fmt: skip
            while not sink.received:
                time.sleep(0.01)
            yield sink, uploader, upload_id
        finally:
            uploader.close()
            journal.close()


@contextlib.contextmanager
def _sink() -> Iterator[Sink]:
    with Sink() as sink:
        threading.Thread(target=sink.serve_forever, daemon=True).start()
        yield sink
        sink.shutdown()


if __name__ == "__main__":
    sys.exit(main())
