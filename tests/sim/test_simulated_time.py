from __future__ import annotations

import asyncio
import random

import pytest

from satchel.core.errors import OfflineError, RefusedError
from satchel_cloud.domain.problems import ProblemError

from .loop import SimLoop, StuckError
from .network import Crash, Network, Process


def test_an_hour_takes_no_time_and_everybody_wakes_in_turn() -> None:
    loop, woken = SimLoop(), []

    async def sleeper(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        woken.append((name, round(loop.time())))

    async def all_of_them() -> None:
        await asyncio.gather(sleeper("late", 3600), sleeper("early", 60), sleeper("between", 61))

    loop.run_until_complete(all_of_them())
    loop.close()
    assert woken == [("early", 60), ("between", 61), ("late", 3600)]
    assert loop.now_ms() == 1_700_003_600_000


def test_waiting_for_nothing_is_seen() -> None:
    loop = SimLoop()
    forever = loop.create_future()
    with pytest.raises(StuckError):
        loop.run_until_complete(forever)
    loop.close()


def _calls(faults: float, times: int, process: Process | None = None) -> tuple[list[str], int]:
    """How calls ended, and how often the service did something."""
    loop, done, ends = SimLoop(), [], []
    network = Network(random.Random(1), faults)

    def effect() -> int:
        done.append(1)
        return len(done)

    async def ask() -> None:
        for _ in range(times):
            try:
                await network.call(process or Process(), effect)
                ends.append("answered")
            except OfflineError:
                ends.append("offline")
        await asyncio.sleep(60)

    try:
        loop.run_until_complete(ask())
    finally:
        loop.close()
    return ends, len(done)


def test_faults_lose_requests_and_replies_and_do_things_late_and_twice() -> None:
    assert _calls(0.0, 40) == (["answered"] * 40, 40)
    ends, done = _calls(1.0, 400)
    # Of the four faults one in four is a lost request: nothing done; one is a request that comes twice.
    assert 60 < ends.count("answered") < 140
    assert abs(done - 400) < 60


def test_a_refusal_is_the_clients_error_with_the_node_that_is_there() -> None:
    loop, network = SimLoop(), Network(random.Random(1), 0.0)
    node = {"node_id": "1" * 32, "parent_id": "root", "name": "a", "kind": "folder", "sequence": 3}

    def refuse() -> None:
        raise ProblemError("name-taken", "It is taken.", current=node)

    with pytest.raises(RefusedError) as refused:
        loop.run_until_complete(network.call(Process(), refuse))
    loop.close()
    assert (refused.value.kind, refused.value.current.name) == ("name-taken", "a")


def test_a_dead_process_does_nothing_more() -> None:
    process = Process(steps_left=2)
    with pytest.raises(Crash):
        _calls(0.0, 40, process)
    assert not process.alive
    with pytest.raises(Crash):
        process.step()
