"""Scenarios of two-way clients by seed.

`python -m sim.two_way 7` plays one again and tells it; `python -m sim.two_way 0 500` plays those from 0 up to 500;
`--seconds 60 500` plays those from 500 on for a minute; `--shrink` looks for a shorter scenario that fails in the same
way. To be run in `tests`.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from dataclasses import replace

from .people import Action, scenario
from .world import World


def play(seed: int, actions: list[Action] | None = None) -> tuple[list[str], list[str]]:
    """What went wrong in the scenario of a seed, or in other actions by the same chance; and the story."""
    chance = random.Random(seed)
    computers, drawn = scenario(chance)
    world = World(chance.randrange(2**32), computers, drawn if actions is None else actions)
    return world.run(), world.story


def kinds(wrongs: list[str]) -> set[str]:
    """What went wrong, without the particulars."""
    return {_kind(wrong) for wrong in wrongs}


def _kind(wrong: str) -> str:
    lines = wrong.splitlines()
    if len(lines) > 1:
        return f"{lines[0]} … {lines[-1]}"
    words = wrong.partition(":")[0].partition(" put ")[0]
    return "".join(letter for letter in words if not letter.isdigit())


def shrink(seed: int, wanted: set[str]) -> list[Action]:
    """Fewer and plainer actions that still fail in one of the wanted ways."""
    actions = scenario(random.Random(seed))[1]

    def fails(tried: list[Action]) -> bool:
        return bool(kinds(play(seed, tried)[0]) & wanted)

    size = max(1, len(actions) // 2)
    while True:
        start, shorter = 0, False
        while start < len(actions):
            tried = actions[:start] + actions[start + size :]
            if fails(tried):
                actions, shorter = tried, True
            else:
                start += size
        if size == 1 and not shorter:
            break
        size = max(1, size // 2)
    for place, action in enumerate(actions):
        for plainer in (replace(action, race=None), replace(action, pause=60.0)):
            tried = [*actions[:place], plainer, *actions[place + 1 :]]
            if tried != actions and fails(tried):
                actions = tried
                break
    return actions


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("first", type=int)
    parser.add_argument("end", type=int, nargs="?")
    parser.add_argument("--shrink", action="store_true")
    parser.add_argument("--seconds", type=float)
    asked = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":
        # The order of sets is a part of the course of things.
        again = [sys.executable, "-m", "sim.two_way", *sys.argv[1:]]
        os.execve(sys.executable, again, os.environ | {"PYTHONHASHSEED": "0"})
    end = asked.end if asked.end is not None else asked.first + (10**9 if asked.seconds else 1)
    played, failed, slowest, began = 0, 0, (0.0, 0), time.perf_counter()
    for seed in range(asked.first, end):
        if asked.seconds and time.perf_counter() - began > asked.seconds:
            break
        played += 1
        start = time.perf_counter()
        wrongs, story = play(seed)
        slowest = max(slowest, (time.perf_counter() - start, seed))
        if wrongs:
            failed += 1
            if asked.shrink:
                wrongs, story = play(seed, shrink(seed, kinds(wrongs)))
            print("\n".join([f"seed {seed}:", *story, *wrongs]), flush=True)
        elif end == asked.first + 1:
            print("\n".join([f"seed {seed} is well:", *story]))
    rate = played / (time.perf_counter() - began)
    print(f"{played} seeds, {failed} failed, {rate:.1f} a second; the slowest: {slowest[1]} in {slowest[0]:.2f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
