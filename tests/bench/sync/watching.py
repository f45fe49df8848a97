"""`python -m tests.bench.sync.watching FOLDER LAST`: how long until FOLDER is watched, and until a change in its folder
LAST is heard of, as JSON."""

from __future__ import annotations

import json
import sys
import threading
import time
from pathlib import Path

from satchel.disk import watch

LIMIT_S = 60.0


def main(folder: Path, last: str) -> int:
    heard = threading.Event()
    began = time.perf_counter()
    watching = watch(folder, heard.set)
    started = time.perf_counter() - began
    try:
        number = 0
        while time.perf_counter() - began < LIMIT_S:
            (folder / last / f"new-{number}").touch()
            heard.wait(0.02)
            heard.clear()
            hints = watching.take()
            if last in hints.folders or hints.everything or watching.problem:
                break
            number += 1
        problem = watching.problem.reason if watching.problem else ""
        said = {"started_s": started, "heard_s": time.perf_counter() - began, "problem": problem}
    finally:
        watching.close()
    print(json.dumps(said))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2]))
