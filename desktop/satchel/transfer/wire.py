"""Bytes to and from S3 over keep-alive connections, one `Wire` for each thread.

Uploads send header and small bodies with one call, larger ones in blocks from the file. An error that the server sends
before it has taken the whole body is read rather than lost in a broken pipe.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import ssl
import time
from collections.abc import Callable, Iterable, Iterator, Mapping

from satchel.core.ports import SystemClock

from .dial import Dialer, HaltedError, UnreachableError, is_stale, readable, shut, words_for
from .http1 import Reply, head, read_reply, split
from .limits import Limit

SEND_TIMEOUT = 60.0
"""Seconds for one block to leave."""
REPLY_TIMEOUT = 90.0
"""Seconds from the last byte sent to the first of the answer."""
_ONE_CALL = 256 * 1024
_FRESH_S = 1.0
"""A kept connection is not asked whether it lives when it was used within so many seconds: its end would tell."""


class Wire:
    """The connections of one thread, one for each host. Only `interrupt` may be called from another thread."""

    def __init__(
        self,
        dialer: Dialer | None = None,
        limit: Limit | None = None,
        *,
        send_timeout: float = SEND_TIMEOUT,
        reply_timeout: float = REPLY_TIMEOUT,
    ) -> None:
        self._dialer = dialer or Dialer()
        self._limit = limit or Limit(SystemClock())
        self._send_timeout = send_timeout
        self._reply_timeout = reply_timeout
        self._connections: dict[tuple[str, str], http.client.HTTPConnection] = {}
        self._halted = False
        self._active: http.client.HTTPConnection | None = None
        self._used = 0.0

    def arm(self) -> None:
        """Ready for a new exchange: forget an earlier `interrupt`."""
        self._halted = False

    def interrupt(self) -> None:
        """Stop the exchange under way at once; it raises `HaltedError`."""
        self._halted = True
        connection = self._active
        sock = connection.sock if connection is not None else None
        if sock is not None:
            shut(sock)

    def put(
        self,
        url: str,
        headers: Mapping[str, str],
        blocks: Callable[[], Iterable[bytes]],
        length: int,
        on_sent: Callable[[int], None],
    ) -> Reply:
        """Send `length` bytes. `blocks` is called again when a kept connection turns out to be dead.

        `on_sent(n)` tells how many have left. Raises `UnreachableError`, `HaltedError`, and whatever `blocks` raises.
        """
        asked = _head("PUT", url, {**headers, "content-length": str(length)})
        with self._translated():
            while True:
                connection, kept = self._connection(url)
                try:
                    return self._exchange(connection, asked, blocks(), length, on_sent)
                except (OSError, http.client.HTTPException) as error:
                    # The server may close a kept connection whenever it likes; that says nothing about the network.
                    if not (kept and is_stale(error)) or self._halted:
                        raise

    @contextlib.contextmanager
    def get(self, url: str, headers: Mapping[str, str]) -> Iterator[http.client.HTTPResponse]:
        """The answer, its body still to be read. Raises `UnreachableError`, `HaltedError`."""
        with self._translated():
            done = False
            connection, response = self._ask(url, headers)
            try:
                with self._translated():
                    yield response
                done = response.isclosed() and not response.will_close
            finally:
                self._active = None
                if not done:
                    response.close()
                    self._drop(connection)

    def close(self) -> None:
        for connection in list(self._connections.values()):
            self._drop(connection)

    # -- details ---------------------------------------------------------------------------------------------------

    def _ask(self, url: str, headers: Mapping[str, str]) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        asked = _head("GET", url, headers)
        while True:
            connection, kept = self._connection(url)
            self._active = connection  # whoever halts it need not wait for the answer
            try:
                self._unless_halted()
                _socket(connection).sendall(asked)
                return connection, self._response(connection)
            except (OSError, http.client.HTTPException, HaltedError):
                self._active = None
                self._drop(connection)
                if not kept or self._halted:
                    raise

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        asked: bytes,
        blocks: Iterable[bytes],
        length: int,
        on_sent: Callable[[int], None],
    ) -> Reply:
        self._active = connection
        try:
            self._unless_halted()
            whole = self._send(connection, asked, blocks, length, on_sent)
            return self._reply(connection, keep=whole)
        except BaseException:
            self._drop(connection)
            raise
        finally:
            self._active = None

    def _unless_halted(self) -> None:
        if self._halted:
            raise HaltedError

    def _send(
        self,
        connection: http.client.HTTPConnection,
        asked: bytes,
        blocks: Iterable[bytes],
        length: int,
        on_sent: Callable[[int], None],
    ) -> bool:
        """True when all has left; False when the server answered before."""
        sock = _socket(connection)
        _give(sock, self._send_timeout if length > _ONE_CALL else self._reply_timeout)
        if length <= _ONE_CALL and not self._limit.rate:
            whole = self._push(sock, asked + b"".join(blocks))
            on_sent(length)
            return whole
        if not self._push(sock, asked):
            return False
        sent = 0
        for block in blocks:
            self._unless_halted()
            # TLS has bytes to read of its own accord; there a broken pipe tells.
            if not isinstance(sock, ssl.SSLSocket) and readable(sock):
                return False
            for piece in self._pieces(block):
                if not self._push(sock, piece):
                    return False
                sent += len(piece)
                on_sent(sent)
        return True

    def _pieces(self, block: bytes) -> Iterator[bytes]:
        """The block as it may leave: whole, or piece by piece at its time."""
        at = 0
        while at < len(block):
            size = self._limit.piece(len(block) - at)
            self._limit.take(size, lambda: self._halted)
            self._unless_halted()
            yield block if size == len(block) else block[at : at + size]
            at += size

    def _push(self, sock: socket.socket, data: bytes) -> bool:
        """False when the server hung up but has left an answer to read."""
        try:
            sock.sendall(data)
        except (ConnectionError, ssl.SSLEOFError):
            if not self._halted and readable(sock):
                return False
            raise
        return True

    def _reply(self, connection: http.client.HTTPConnection, *, keep: bool) -> Reply:
        sock = _socket(connection)
        _give(sock, self._reply_timeout)
        reply, alive = read_reply(sock)
        self._used = time.monotonic()
        if not (keep and alive):
            self._drop(connection)
        return reply

    def _response(self, connection: http.client.HTTPConnection) -> http.client.HTTPResponse:
        sock = _socket(connection)
        _give(sock, self._reply_timeout)
        response = http.client.HTTPResponse(sock, method="GET")
        response.begin()
        return response

    def _connection(self, url: str) -> tuple[http.client.HTTPConnection, bool]:
        """A connection to the host of `url`, and whether it was kept from before."""
        scheme, place, _ = split(url)
        found = self._connections.get((scheme, place))
        if found is not None:
            if found.sock is not None and (time.monotonic() - self._used < _FRESH_S or not readable(found.sock)):
                return found, True
            self._drop(found)
        made = self._dialer.connect(url)
        self._connections[scheme, place] = made
        return made, False

    def _drop(self, connection: http.client.HTTPConnection) -> None:
        connection.close()
        for key, kept in list(self._connections.items()):
            if kept is connection:
                del self._connections[key]

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except (OSError, http.client.HTTPException) as error:
            if self._halted:
                raise HaltedError from error
            raise UnreachableError(words_for(error)) from error


def _head(method: str, url: str, headers: Mapping[str, str]) -> bytes:
    try:
        return head(method, url, headers)
    except ValueError:
        raise UnreachableError("The address is broken") from None


def _socket(connection: http.client.HTTPConnection) -> socket.socket:
    sock: socket.socket | None = connection.sock
    if sock is None:
        raise ConnectionResetError("the connection is closed")
    return sock


def _give(sock: socket.socket, seconds: float) -> None:
    """Set the timeout; a system call, and so only when it is another."""
    if sock.gettimeout() != seconds:
        sock.settimeout(seconds)
