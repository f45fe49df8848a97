"""Two to four computers that people work on at the same time, with everything that goes wrong: scenarios by seed.

`make test` plays the same 500 each time; `make sim` goes on to others for as long as SATCHEL_SIM_SECONDS says.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

SEEDS = 500
SECONDS = os.environ.get("SATCHEL_SIM_SECONDS")


def test_whatever_happens_all_are_equal_in_the_end_and_nothing_is_lost() -> None:
    tests = Path(__file__).parents[1]
    # A process of its own, because the order of sets is a part of the course of things.
    env = os.environ | {"PYTHONHASHSEED": "0", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    ask = ["--seconds", SECONDS, str(SEEDS)] if SECONDS else ["0", str(SEEDS)]
    done = subprocess.run(
        [sys.executable, "-m", "sim.two_way", *ask], cwd=tests, env=env, capture_output=True, text=True, check=False
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr
    assert re.search(r"^[1-9]\d* seeds, 0 failed", done.stdout, re.MULTILINE)


def test_a_seed_always_takes_the_same_course() -> None:
    from .two_way import play

    assert play(3) == play(3)
    assert play(3) != play(4)
