"""Where a bundle starts: `satchel ...`, `satchel-app`, and `-m MODULE`, by which Satchel starts others of its own."""

from __future__ import annotations

import os
import runpy
import sys
from pathlib import Path

MODULES = {"satchel": "satchel.cli.__main__", "satchel-app": "satchel.app.main"}


def main() -> None:
    given = sys.argv[1:]
    if given[:1] == ["-P"]:  # there is no folder to keep off the path here
        given = given[1:]
    if given[:1] == ["-m"] and len(given) > 1:
        module, given = given[1], given[2:]
    else:
        module = MODULES[Path(sys.executable).stem]
    sys.argv = [sys.argv[0], *given]
    if sys.stdout is None:  # Windows gives a program without a console nowhere to write
        sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - for as long as the program runs
    runpy.run_module(module, run_name="__main__", alter_sys=True)


main()
