"""Hearing of changes at once: one WebSocket to the service, opened anew whenever it ends.

What comes over it is a hint and no more. Who is told looks at the change log, which is the truth; and whoever hears
nothing looks by and by.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec

from satchel.core.errors import OfflineError, RefusedError, SatchelError
from satchel.core.model import PushTicket
from satchel.core.ports import Ids

from .http import is_loopback

log = logging.getLogger(__name__)

LIFE = 110 * 60.0
"""Seconds that a connection is kept: the gateway ends it after two hours, in the middle of something perhaps."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 300.0
"""Seconds between attempts to connect, doubling."""

ABSENT_PAUSE = 3600.0
"""Seconds until a service that is too old for it is asked again."""

STOOD = 60.0
"""A connection that stood for so many seconds was a good one: the next attempt follows soon."""

SPACING = 1.0
"""Seconds between two hints that are passed on: commits may come by the dozen."""

PING, PING_ANSWER = 30.0, 20.0
"""Seconds between pings, and how long their answer may take: a connection that died in its sleep says nothing."""


class Socket(Protocol):
    async def recv(self) -> str | bytes:
        """The next message. Raises when the connection has ended."""


Dial = Callable[[PushTicket], AbstractAsyncContextManager[Socket]]
Sleep = Callable[[float], Awaitable[None]]


class Push:
    """Calls `on_change` at each new connection and when the service tells of something new, once a second at most.

    `open_push` asks for a ticket for a client's id. Everything happens on the event loop that `run` is awaited on.
    """

    def __init__(
        self,
        open_push: Callable[[str], Awaitable[PushTicket]],
        on_change: Callable[[], None],
        *,
        ids: Ids,
        dial: Dial | None = None,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._open_push = open_push
        self._on_change = on_change
        self._ids = ids
        self._dial = dial or connection
        self._sleep = sleep
        self._client_id = ids.new_id()
        self._again = asyncio.Event()
        self._passing: asyncio.Task[None] | None = None
        self._sequence = 0
        self._waiting = False
        self._trouble = ""
        self.live = False

    def again(self) -> None:
        """Leave the connection, which may be dead, and connect afresh now: the computer slept, or is online again."""
        self._again.set()

    async def run(self) -> None:
        """Until cancelled."""
        attempts = 0
        try:
            while True:
                began = asyncio.get_running_loop().time()
                pause = await self._stay_connected()
                if asyncio.get_running_loop().time() - began >= STOOD or self._again.is_set():
                    attempts = 0
                if pause is None:
                    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempts) * (0.5 + self._ids.jitter())
                    attempts = min(attempts + 1, 16)
                await self._first(self._sleep(pause), self._again.wait())
                self._again.clear()
        finally:
            if self._passing is not None:
                self._passing.cancel()

    async def _stay_connected(self) -> float | None:
        """One connection from its ticket to its end; how long to wait then, None for as long as usual."""
        try:
            ticket = await self._open_push(self._client_id)
            async with self._dial(ticket) as socket:
                self._stands()
                listening = asyncio.ensure_future(self._listen(socket))
                # Spread, for all clients come back at once after an outage.
                await self._first(listening, self._sleep(LIFE - 300 * self._ids.jitter()), self._again.wait())
                if listening.done():
                    listening.result()
        except RefusedError as error:
            self._does_not_stand(error)
            return ABSENT_PAUSE if error.status == 404 else None
        except SatchelError as error:
            self._does_not_stand(error)
            return None
        except Exception:
            log.exception("hearing of changes ran into a bug")
            return LONGEST_PAUSE
        finally:
            self.live = False
        return 0.0

    async def _listen(self, socket: Socket) -> None:
        while True:
            told = _sequence_of(await socket.recv())
            if told > self._sequence:
                self._sequence = told
                self._pass_on()

    def _stands(self) -> None:
        log.info("connected to hear of changes at once")
        self.live, self._trouble, self._sequence = True, "", 0
        self._pass_on()

    def _does_not_stand(self, error: SatchelError) -> None:
        """Said once, and not at every attempt."""
        if error.title != self._trouble:
            log.info("not told of changes, so looking by and by: %s", error.title)
        self._trouble = error.title

    def _pass_on(self) -> None:
        self._waiting = True
        if self._passing is None or self._passing.done():
            self._passing = asyncio.ensure_future(self._pass())

    async def _pass(self) -> None:
        while self._waiting:
            self._waiting = False
            self._on_change()
            await self._sleep(SPACING)

    @staticmethod
    async def _first(*these: Awaitable[Any]) -> None:
        """Until one of these is done; the others are given up."""
        tasks = [asyncio.ensure_future(one) for one in these]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()


@contextlib.asynccontextmanager
async def connection(ticket: PushTicket) -> AsyncIterator[Socket]:
    """A socket by the system's certificates and proxy. Raises `OfflineError`, also while it is used."""
    # Loaded only by who listens: it takes a twentieth of a second.
    from websockets.asyncio.client import connect  # noqa: PLC0415
    from websockets.exceptions import WebSocketException  # noqa: PLC0415

    class Direct(connect):
        def process_redirect(self, exc: Exception) -> Exception | str:
            """A ticket is for the place that it was made for."""
            return exc

    host = _checked(ticket.url)
    quiet = logging.getLogger("websockets.client")
    quiet.setLevel(logging.WARNING)  # at DEBUG it writes down headers, and the ticket is one
    opening = Direct(
        ticket.url,
        additional_headers={"x-satchel-ticket": ticket.ticket},
        user_agent_header="satchel",
        proxy=_proxy(host),
        compression=None,
        open_timeout=15,
        close_timeout=2,
        ping_interval=PING,
        ping_timeout=PING_ANSWER,
        max_size=4096,
        logger=quiet,
    )
    title = "The service's socket cannot be reached"
    try:
        async with opening as socket:
            title = "The service's socket has ended"
            yield socket
    except (WebSocketException, OSError, EOFError, ImportError) as error:  # a SOCKS proxy wants one more library
        raise OfflineError(title, f"{type(error).__name__}: is there a proxy in between?") from error


def _checked(url: str) -> str:
    """The host of `url`, to which there is TLS or no network at all. Raises `OfflineError`."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not host or not (parts.scheme == "wss" or (parts.scheme == "ws" and is_loopback(host))):
        raise OfflineError("The service's socket is not safe", "Deploy the service again.")
    return host


def _proxy(host: str) -> str | None:
    if is_loopback(host) or urllib.request.proxy_bypass(host):
        return None
    return urllib.request.getproxies().get("https")


class _Message(msgspec.Struct):
    sequence: int = 0


def _sequence_of(message: str | bytes) -> int:
    """What a message tells; 0 when it tells of something else."""
    try:
        return msgspec.json.decode(message, type=_Message).sequence
    except msgspec.DecodeError:
        return 0
