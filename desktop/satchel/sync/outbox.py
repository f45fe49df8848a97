"""Files on their way, out or in, beside the loop that decides."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, TypeVar

from .operations import Fetch, Upload

Sending = TypeVar("Sending", Upload, Fetch)

AT_ONCE = 256
"""More than the wire takes, so that uploads can be opened, and addresses to fetch from be asked for, in batches."""


class Outbox(Generic[Sending]):
    """Sends, or fetches, what is put into it, `AT_ONCE` at a time. `send` says whether the file is in step then and
    raises nothing; `sent` hears of each file after it has left `busy`."""

    def __init__(
        self,
        send: Callable[[Sending], Awaitable[bool]],
        sent: Callable[[Sending, bool], None],
    ) -> None:
        self._send: Callable[[Sending], Awaitable[bool]] = send
        self._sent: Callable[[Sending, bool], None] = sent
        self._waiting: deque[Sending] = deque()
        self._senders: set[asyncio.Task[None]] = set()
        self._paused = False
        self.busy: set[str] = set()

    def put(self, operations: Iterable[Sending]) -> None:
        for operation in operations:
            self.busy.add(operation.item.item_id)
            self._waiting.append(operation)
        self._hire()

    def pause(self) -> None:
        """Begin no more files."""
        self._paused = True

    def resume(self) -> None:
        self._paused = False
        self._hire()

    @property
    def working(self) -> bool:
        return bool(self._senders)

    async def some_done(self) -> None:
        """Wait until there is less to do."""
        await asyncio.wait(self._senders, return_when=asyncio.FIRST_COMPLETED)

    async def close(self) -> None:
        self._waiting.clear()
        for sender in self._senders:
            sender.cancel()
        if self._senders:
            await asyncio.wait(self._senders)
        self.busy.clear()

    def _hire(self) -> None:
        """As many senders as there is work for; each takes from the front until nothing is left."""
        for _ in range(min(len(self._waiting), AT_ONCE - len(self._senders))):
            sender = asyncio.create_task(self._work())
            self._senders.add(sender)
            sender.add_done_callback(self._senders.discard)

    async def _work(self) -> None:
        while self._waiting and not self._paused:
            operation = self._waiting.popleft()
            in_step = False
            try:
                in_step = await self._send(operation)
            finally:
                self.busy.discard(operation.item.item_id)
                self._sent(operation, in_step)
