"""A client in a process of its own, to be killed: it goes on with what its journal and its folder tell, to the end.

As the engine does: what was submitted is never submitted again but resumed, a watched folder's file is asked for anew.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path
from typing import Any

import satchel.transfer.line
import satchel.transfer.prepare
from satchel.core.model import ContentSource, Node, Revision, UploadRequest
from satchel.core.ports import SystemClock, SystemIds
from satchel.journal import Journal
from satchel.transfer import Limit, Uploader, download
from satchel.transfer.backoff import Backoff
from sim.remote_service import RemoteService

CONNECTIONS = 2
UPLOAD_RATE, DOWNLOAD_RATE = 30_000_000, 60_000_000
_QUICK = Backoff(first=0.01, longest=0.05)


def run(told: dict[str, Any]) -> None:
    satchel.transfer.line.QUIET_S = satchel.transfer.prepare.QUIET_S = 0.1
    clock, ids = SystemClock(), SystemIds()
    journal = Journal(Path(told["journal"]))
    uploader = Uploader(
        RemoteService(told["service"]),
        journal.uploads,
        clock=clock,
        ids=ids,
        connections=CONNECTIONS,
        limit=UPLOAD_RATE,
        backoff=_QUICK,
    )
    print("ready", flush=True)
    limit = Limit(clock, DOWNLOAD_RATE)
    fetching = [
        threading.Thread(target=_fetch, args=(told["s3"], Path(told["into"]), one, limit)) for one in told["fetch"]
    ]
    for thread in fetching:
        thread.start()
    tickets = uploader.resume_stored()
    if journal.settings.get("submitted") is None:
        requests = [UploadRequest(**one) for one in told["drops"]]
        new = [one for one in requests if journal.uploads.get(one.upload_id) is None]
        tickets += uploader.submit_all(new)
        journal.settings.set("submitted", "yes")
    if journal.settings.get("in step") is None:
        uploader.submit(UploadRequest(**told["watched"])).done.result(120)
        journal.settings.set("in step", "yes")
    for ticket in tickets:
        ticket.done.result(120)
    for thread in fetching:
        thread.join()
    while journal.uploads.given_up():  # told in the background, and an engine lives on
        time.sleep(0.01)
    uploader.close()
    journal.close()


def _fetch(s3: str, into: Path, one: dict[str, Any], limit: Limit) -> None:
    dest, left = into / one["name"], [path for path in into.iterdir() if path.name.startswith(".satchel-")]
    if dest.exists() and not any(path.samefile(dest) for path in left):
        return
    revision = Revision("1" * 32, one["size"], 0, one["sha256"], True)
    source = ContentSource(f"{s3}/{one['name']}", Node("n", "root", one["name"], "file", 1, revision))
    download(lambda: source, dest, clock=SystemClock(), ids=SystemIds(), backoff=_QUICK, limit=limit)


if __name__ == "__main__":
    run(json.loads(Path(sys.argv[1]).read_text()))
