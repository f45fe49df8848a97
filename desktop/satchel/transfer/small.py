"""The wire of small files: one thread for many connections, each with one request under way.

With a thread for each connection, small files spend more time on waiting for their turn in Python than on the wire; and
what is far away wants many under way at once.
"""

from __future__ import annotations

import contextlib
import queue
import selectors
import socket
import ssl
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from http.client import HTTPException

from satchel.core.errors import SatchelError

from .backoff import Allowance
from .dial import Dialer, UnreachableError, is_stale, shut, words_for
from .http1 import BLOCK, Reply, head, parse, split
from .limits import Limit
from .line import ClosedError, Line, Stretch, Turn
from .outcome import Outcome
from .replies import Verdict
from .upload import Job

_IDLE_S = 30.0
"""Connections that nobody needs are kept for so long."""
_TICK_S = 1.0

Place = tuple[str, str]
"""Scheme, and host with port."""


@dataclass(eq=False, slots=True)
class _Connection:
    """A connection, and the request under way on it."""

    place: Place
    sock: socket.socket
    stretch: Stretch | None = None
    job: Job | None = None
    ticket: int = 0
    unsent: memoryview = field(default_factory=lambda: memoryview(b""))
    held: bytes = b""
    until: float = 0.0
    kept: bool = False
    """Whether it has been waiting for work: the server may have closed it meanwhile."""
    halted: bool = False

    def arm(self) -> None:
        self.halted = False

    def interrupt(self) -> None:
        """From any thread: the request under way ends at once."""
        self.halted = True
        shut(self.sock)


class SmallSender:
    def __init__(self, line: Line, dialer: Dialer, limit: Limit, *, reply_timeout: float, most: int) -> None:
        """`reply_timeout` is seconds from the first byte sent to the whole answer; `most` is how many connections."""
        self._line = line
        self._outcome = Outcome(line)
        self._dialer = dialer
        self._limit = limit
        self._timeout = reply_timeout
        self._allowance = Allowance(line.clock, most=most)
        self._selector = selectors.DefaultSelector()
        self._bell, self._ear = socket.socketpair()
        self._bell.setblocking(False)
        self._ear.setblocking(False)
        self._selector.register(self._ear, selectors.EVENT_READ)
        self._dialled: queue.SimpleQueue[tuple[Place, int, socket.socket | Exception]] = queue.SimpleQueue()
        self._dialling = 0
        self._waiting: deque[Stretch] = deque()
        self._idle: list[_Connection] = []
        self._busy: set[_Connection] = set()
        self._arrived: list[Stretch] = []
        self._forget = False
        line.to_send_small.on_change = self.wake

    def wake(self) -> None:
        """There is something new; from any thread."""
        with contextlib.suppress(OSError):  # full: it wakes up anyhow; closed: it has ended
            self._bell.send(b".")

    def drop_connections(self) -> None:
        """From any thread: they are of no use any more."""
        self._forget = True
        self.wake()

    def run(self) -> None:
        line = self._line
        try:
            while self._fetch():
                try:
                    with line.at_work():
                        self._round()
                        ended = self._settled()
                except ClosedError:
                    return
                except Exception as error:
                    line.unforeseen(self._all_given_up(), error)
                    continue
                if ended:
                    line.finish(ended)
        finally:
            self._close()

    # -- what to send ----------------------------------------------------------------------------------------------

    def _fetch(self) -> bool:
        """Take what there is room for, waiting while there is nothing at all to do. False when closed."""
        pending = self._line.to_send_small
        if not (self._busy or self._waiting or self._dialling):
            for connection in self._idle:
                connection.kept = True
            first = pending.take(within=_IDLE_S if self._idle else None)
            if first is not None:
                self._waiting.append(first)
            else:
                self._drop_all(self._idle)
        room = self._allowance.limit - len(self._busy) - len(self._waiting)
        if room > 0 and self._line.wire_gate.seconds_left() == 0.0:
            self._waiting.extend(pending.take_some(room))
        return not pending.closed

    def _round(self) -> None:
        """Begin what can begin, then hear what there is to hear."""
        pause = self._line.wire_gate.seconds_left() if self._waiting else _TICK_S
        if self._waiting and pause == 0.0:
            pause = self._begin() or _TICK_S
        for key, events in self._selector.select(min(pause, _TICK_S)):
            if key.data is None:
                with contextlib.suppress(OSError):
                    self._ear.recv(4096)
            elif key.data.stretch is None:
                self._hear_idle(key.data)
            else:
                self._attend(key.data, events)
        self._take_dialled()
        self._look_around()

    def _begin(self) -> float:
        """Put on their way what there are connections for. The seconds until the limit lets another go; 0 for none."""
        ticket = self._line.wire_gate.failures
        for _ in range(len(self._waiting)):
            stretch = self._waiting[0]
            if not self._line.ledger.fresh(stretch.upload, stretch.epoch):
                self._waiting.popleft()  # it must not cost the others their share of the limit
                continue
            scheme, place, _ = split(stretch.url)
            found = next((one for one in reversed(self._idle) if one.place == (scheme, place)), None)
            if found is not None and (seconds := self._limit.try_take(stretch.size)) > 0.0:
                return seconds
            if found is None:
                self._waiting.rotate(-1)
            else:
                self._start(stretch, found, ticket)
                self._waiting.remove(stretch)
        for stretch in list(self._waiting)[self._dialling :]:
            self._dial(stretch.url, ticket)
        return 0.0

    def _start(self, stretch: Stretch, connection: _Connection, ticket: int) -> None:
        assert stretch.payload is not None  # noqa: S101 - those without one go another way
        line = self._line
        try:
            if not self._outcome.ready(stretch):
                return
            asked = head("PUT", stretch.url, {**stretch.headers, "content-length": str(stretch.size)})
        except SatchelError as error:
            self._outcome.stumbled(stretch, error)
            return
        except ValueError:
            self._outcome.unreachable(stretch, ticket, UnreachableError("The address is broken"))
            return
        job = line.ledger.start_job(stretch.upload, stretch.epoch, connection)
        if job is None:
            return
        connection.stretch, connection.job, connection.ticket = stretch, job, ticket
        connection.unsent, connection.held = memoryview(asked + stretch.payload), b""
        connection.until = line.clock.monotonic() + self._timeout
        self._idle.remove(connection)
        self._busy.add(connection)
        self._attend(connection, selectors.EVENT_WRITE)

    # -- connections -----------------------------------------------------------------------------------------------

    def _dial(self, url: str, ticket: int) -> None:
        """In a thread of its own: names, proxies and TLS may all take their time."""
        scheme, place, _ = split(url)

        def work() -> None:
            try:
                made = self._dialer.connect(url)
                sock = made.sock
                assert sock is not None  # noqa: S101 - it is connected
                made.sock = None
                sock.setblocking(False)
                self._dialled.put(((scheme, place), ticket, sock))
            except (OSError, HTTPException, ValueError) as error:
                self._dialled.put(((scheme, place), ticket, error))
            self.wake()

        self._dialling += 1
        threading.Thread(target=work, name="upload-dial", daemon=True).start()

    def _take_dialled(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                place, ticket, found = self._dialled.get_nowait()
                self._dialling -= 1
                if isinstance(found, Exception):
                    self._line.wire_gate.failed(ticket, words_for(found))
                    self._allowance.pushed_back()
                else:
                    made = _Connection(place, found)
                    self._selector.register(found, selectors.EVENT_READ, made)
                    self._idle.append(made)

    def _look_around(self) -> None:
        if self._forget:
            self._forget = False
            self._drop_all(self._idle)
            for connection in list(self._busy):
                self._broke(connection, ConnectionResetError())
        now = self._line.clock.monotonic()
        for connection in [one for one in self._busy if one.until < now]:
            self._broke(connection, TimeoutError())

    def _attend(self, connection: _Connection, events: int) -> None:
        try:
            if events & selectors.EVENT_WRITE:
                self._push(connection)
            if events & selectors.EVENT_READ:
                self._hear(connection)
        except (OSError, HTTPException) as error:
            self._broke(connection, error)

    def _push(self, connection: _Connection) -> None:
        """As much as the connection takes; the rest when it takes more."""
        was = len(connection.unsent)
        try:
            while connection.unsent:
                connection.unsent = connection.unsent[connection.sock.send(connection.unsent) :]
        except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            self._selector.modify(connection.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, connection)
            return
        if connection.job is not None and connection.stretch is not None:
            connection.job.count(connection.stretch.size)
        if was and self._selector.get_key(connection.sock).events != selectors.EVENT_READ:
            self._selector.modify(connection.sock, selectors.EVENT_READ, connection)

    def _hear(self, connection: _Connection) -> None:
        while True:
            try:
                more = connection.sock.recv(BLOCK)
            except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
                return
            connection.held += more
            found = parse(connection.held, ended=not more)
            if found is not None:
                self._answered(connection, *found)
                return

    def _hear_idle(self, connection: _Connection) -> None:
        """The server hung up on a connection that had nothing to do, or TLS had something to say of its own."""
        try:
            connection.sock.recv(BLOCK)
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except OSError:
            pass
        self._drop(connection)

    def _answered(self, connection: _Connection, reply: Reply, keep: bool) -> None:
        stretch, line = connection.stretch, self._line
        assert stretch is not None  # noqa: S101 - it is busy
        whole, began = not connection.unsent, connection.until - self._timeout
        self._end(connection)
        connection.kept = True
        if keep and whole:
            self._idle.append(connection)
        else:
            self._drop(connection)
        if reply.status in (429, 503):
            self._allowance.pushed_back()
        else:
            self._allowance.answered(line.clock.monotonic() - began)
        line.wire_gate.passed()
        try:
            if self._outcome.judged(stretch, reply) is Verdict.ARRIVED:
                self._arrived.append(stretch)
        except SatchelError as error:
            self._outcome.stumbled(stretch, error)

    def _broke(self, connection: _Connection, error: Exception) -> None:
        stretch = connection.stretch
        assert stretch is not None  # noqa: S101 - it is busy
        stale = connection.kept and not connection.held and is_stale(error)
        halted, ticket = connection.halted, connection.ticket
        self._end(connection)
        self._drop(connection)
        if halted:
            self._line.send(stretch)  # of no effect if the upload was what was halted
        elif stale:
            self._waiting.appendleft(stretch)
        else:
            self._allowance.pushed_back()
            self._outcome.unreachable(stretch, ticket, UnreachableError(words_for(error)))

    def _end(self, connection: _Connection) -> None:
        stretch, job = connection.stretch, connection.job
        if stretch is not None and job is not None:
            self._line.ledger.end_job(stretch.upload, job)
        connection.stretch, connection.job = None, None
        self._busy.discard(connection)

    def _settled(self) -> list[Turn]:
        """Those whose bytes have arrived since: their turn to be finished."""
        if not self._arrived:
            return []
        work = [(stretch.upload, stretch.epoch) for stretch in self._arrived]
        self._arrived = []
        return [Turn(upload, epoch) for upload, epoch in self._line.ledger.arrived(work)]

    def _all_given_up(self) -> list[Turn]:
        """Whose turn it was; nothing is left under way."""
        stretches = [*self._waiting, *self._arrived, *(one.stretch for one in self._busy if one.stretch is not None)]
        for connection in list(self._busy):
            self._end(connection)
            self._drop(connection)
        self._waiting.clear()
        self._arrived.clear()
        return [Turn(stretch.upload, stretch.epoch) for stretch in stretches]

    def _drop(self, connection: _Connection) -> None:
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(connection.sock)
        connection.sock.close()
        if connection in self._idle:
            self._idle.remove(connection)

    def _drop_all(self, connections: Iterable[_Connection]) -> None:
        for connection in list(connections):
            self._drop(connection)

    def _close(self) -> None:
        self._drop_all([*self._idle, *self._busy])
        self._selector.close()
        self._bell.close()
        self._ear.close()
