"""The client's side of push, with a socket and a time of the test's own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from satchel.cloud import push
from satchel.cloud.push import Push
from satchel.core.errors import NotSignedInError, OfflineError, RefusedError, SatchelError
from satchel.core.model import PushTicket


class Ids:
    def new_id(self) -> str:
        return "c" * 32

    def new_token(self) -> str:
        raise NotImplementedError

    def jitter(self) -> float:
        return 0.5


@dataclass
class Line:
    """A connection: what is put on `incoming` is received, an exception is its end."""

    incoming: asyncio.Queue[str | Exception] = field(default_factory=asyncio.Queue)
    closed: bool = False

    async def recv(self) -> str:
        message = await self.incoming.get()
        if isinstance(message, Exception):
            raise message
        return message

    def tell(self, sequence: int) -> None:
        self.incoming.put_nowait(json.dumps({"sequence": sequence}))

    def end(self) -> None:
        self.incoming.put_nowait(OfflineError("It has ended"))


class Service:
    """Gives tickets and lines; `refusals` come first, one for each attempt. Time passes when a test says so."""

    def __init__(self, *refusals: SatchelError) -> None:
        self.refusals = list(refusals)
        self.asked: list[str] = []
        self.lines: list[Line] = []
        self.pauses: list[float] = []
        self.sleepers: list[tuple[float, asyncio.Future[None]]] = []
        self.changes = 0
        self.push = Push(self.open_push, self.changed, ids=Ids(), dial=self.dial, sleep=self.sleep)

    async def open_push(self, client_id: str) -> PushTicket:
        self.asked.append(client_id)
        if self.refusals:
            raise self.refusals.pop(0)
        return PushTicket("wss://push.example.com/live", f"ticket {len(self.asked)}")

    @contextlib.asynccontextmanager
    async def dial(self, ticket: PushTicket) -> AsyncIterator[Line]:
        assert ticket.ticket == f"ticket {len(self.asked)}"
        line = Line()
        self.lines.append(line)
        try:
            yield line
        finally:
            line.closed = True

    def changed(self) -> None:
        self.changes += 1

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        waiting = asyncio.get_running_loop().create_future()
        self.sleepers.append((seconds, waiting))
        await waiting

    async def pass_by(self, seconds: float) -> None:
        """Wake whoever sleeps for at most so long."""
        for wanted, waiting in list(self.sleepers):
            if wanted <= seconds and not waiting.done():
                waiting.set_result(None)
        await settled()


async def settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def running(scenario: Callable[[Service], Awaitable[None]], *refusals: SatchelError) -> None:
    async def run() -> None:
        service = Service(*refusals)
        task = asyncio.create_task(service.push.run())
        await settled()
        try:
            await scenario(service)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())


def test_a_new_connection_and_every_newer_sequence_are_passed_on() -> None:
    async def scenario(service: Service) -> None:
        assert service.changes == 1  # the log may have grown while nobody listened
        await service.pass_by(push.SPACING)
        service.lines[0].tell(5)
        await settled()
        assert service.changes == 2

        await service.pass_by(push.SPACING)
        service.lines[0].tell(5)
        service.lines[0].tell(4)
        service.lines[0].incoming.put_nowait('{"news": "of a later version"}')
        service.lines[0].incoming.put_nowait("not even JSON")
        await settled()
        assert service.changes == 2
        assert service.push.live

    running(scenario)


def test_a_burst_of_commits_is_passed_on_once_a_second() -> None:
    async def scenario(service: Service) -> None:
        for sequence in range(1, 30):
            service.lines[0].tell(sequence)
        await settled()
        assert service.changes == 1

        await service.pass_by(push.SPACING)
        assert service.changes == 2  # and the last of them is not lost
        await service.pass_by(push.SPACING)
        assert service.changes == 2

    running(scenario)


def test_a_connection_that_ends_is_opened_anew_with_a_new_ticket_for_the_same_client() -> None:
    async def scenario(service: Service) -> None:
        await service.pass_by(push.SPACING)
        service.lines[0].end()
        await settled()
        assert not service.push.live
        await service.pass_by(push.FIRST_PAUSE)

        assert len(service.lines) == 2
        assert service.asked == ["c" * 32] * 2
        assert service.changes == 2

    running(scenario)


def test_attempts_become_rarer_and_go_on() -> None:
    async def scenario(service: Service) -> None:
        for _ in range(11):
            await service.pass_by(push.LONGEST_PAUSE)
        assert service.pauses[:10] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 300.0]
        assert len(service.lines) == 0
        await service.pass_by(push.LONGEST_PAUSE)
        assert service.push.live

    running(scenario, *[OfflineError("No network")] * 12)


def test_it_is_left_before_the_gateway_would_end_it() -> None:
    async def scenario(service: Service) -> None:
        await service.pass_by(push.LIFE - 1)

        assert service.lines[0].closed
        await service.pass_by(0)
        assert len(service.lines) == 2
        assert max(service.pauses) < 2 * 3600 - 60

    running(scenario)


def test_after_sleep_it_connects_at_once_though_the_old_line_says_nothing() -> None:
    async def scenario(service: Service) -> None:
        service.push.again()
        await settled()
        await service.pass_by(0)

        assert service.lines[0].closed
        assert len(service.lines) == 2

    running(scenario)


def test_back_online_it_does_not_wait_out_its_pause() -> None:
    async def scenario(service: Service) -> None:
        assert len(service.lines) == 0
        service.push.again()
        await settled()
        assert len(service.lines) == 1

    running(scenario, OfflineError("No network"))


def test_an_older_service_is_asked_rarely_and_it_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, push.__name__)

    async def scenario(service: Service) -> None:
        assert service.pauses == [push.ABSENT_PAUSE]
        await service.pass_by(push.ABSENT_PAUSE)
        assert service.pauses == [push.ABSENT_PAUSE] * 2
        assert service.changes == 0

    running(scenario, *[RefusedError("not-found", "Not found", status=404)] * 2)

    assert [record.message for record in caplog.records] == ["not told of changes, so looking by and by: Not found"]


def test_whatever_goes_wrong_does_not_end_it() -> None:
    async def scenario(service: Service) -> None:
        await service.pass_by(push.LONGEST_PAUSE)
        await service.pass_by(push.LONGEST_PAUSE)
        assert service.push.live
        await service.pass_by(push.SPACING)
        service.lines[0].incoming.put_nowait(ValueError("a bug"))
        await settled()
        await service.pass_by(push.LONGEST_PAUSE)
        assert service.push.live

    running(scenario, NotSignedInError("The session has ended"), RefusedError("busy", "Busy", status=403))
