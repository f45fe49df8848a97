"""One client's way to the service, and the process that goes it: what gets lost, comes late, comes twice, or dies."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import msgspec

from satchel.core.errors import OfflineError, RefusedError
from satchel.core.model import Problem
from satchel_cloud.domain.problems import ProblemError

T = TypeVar("T")

SLOWEST_S = 0.4
"""The longest that a request or a reply travels while nothing is wrong."""
LATE_S = 20.0
"""How late a request may arrive that its sender has given up."""


class Crash(BaseException):
    """The process is gone: nothing after it runs, nothing handles it."""


@dataclass
class Process:
    """One life of a client. It may be told to die at the n-th step from now."""

    alive: bool = True
    steps_left: int | None = None
    died: asyncio.Event = field(default_factory=asyncio.Event)

    def step(self) -> None:
        """Anything that a crash may come before or after."""
        if self.steps_left is not None:
            self.steps_left -= 1
            if self.steps_left < 0:
                self.alive = False
                self.died.set()
        if not self.alive:
            raise Crash


class Network:
    """Calls to the service: delayed, and now and then without their request or reply."""

    def __init__(self, chance: random.Random, faults: float) -> None:
        self._chance = chance
        self.faults = faults
        """Of one call, from 0 to 1."""
        self.online = True
        self.calls: list[str] = []

    async def call(self, process: Process, function: Callable[[], T]) -> T:
        """What the service answers, its problems as the client's errors; `OfflineError` for what got lost."""
        process.step()
        self.calls.append(getattr(function, "__name__", "call"))
        fate = self._fate()
        await self._travel(process)
        if fate == "request lost":
            raise _unreachable()
        if fate == "late":
            late = self._chance.uniform(0, LATE_S)
            asyncio.get_running_loop().call_later(late, _for_nobody, function)
            raise _unreachable()
        if fate == "twice":
            _for_nobody(function)
        answer, refusal = None, None
        try:
            answer = function()
        except ProblemError as problem:
            refusal = RefusedError.of(msgspec.convert(problem.to_json(), Problem))
        await self._travel(process)
        if fate == "reply lost":
            raise _unreachable()
        if refusal is not None:
            raise refusal
        return answer  # type: ignore[return-value] # there is one when nothing was refused

    def _fate(self) -> str:
        if not self.online:
            return "request lost"
        if self._chance.random() >= self.faults:
            return "well"
        return self._chance.choice(("request lost", "reply lost", "late", "twice"))

    async def _travel(self, process: Process) -> None:
        await asyncio.sleep(self._chance.random() ** 3 * SLOWEST_S)
        process.step()
        if not self.online:
            raise _unreachable()


def _for_nobody(function: Callable[[], object]) -> None:
    with contextlib.suppress(ProblemError):
        function()


def _unreachable() -> OfflineError:
    return OfflineError("The service cannot be reached", "Check the connection.")
