"""Making connections: TLS with the system's certificates, through the system's proxy, and what a failure means."""

from __future__ import annotations

import contextlib
import http.client
import select
import socket
import ssl
import threading
import urllib.request
from collections.abc import Iterator
from urllib.parse import urlsplit

CONNECT_TIMEOUT = 10.0


class UnreachableError(Exception):
    """No answer, or a broken one; the text is for people, a few words."""


class HaltedError(Exception):
    """The exchange was interrupted from here."""


class Dialer:
    """Connects; thread-safe. The certificates of the system are read once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tls: ssl.SSLContext | None = None

    def connect(self, url: str) -> http.client.HTTPConnection:
        """A connection to the host of `url`, ready for a request. Raises `OSError`, `http.client.HTTPException`."""
        parts = urlsplit(url)
        host = parts.hostname or ""
        made: http.client.HTTPConnection
        if parts.scheme == "http":
            made = http.client.HTTPConnection(host, parts.port, timeout=CONNECT_TIMEOUT)
        else:
            proxy = urlsplit(urllib.request.getproxies().get("https", ""))
            if proxy.hostname and not urllib.request.proxy_bypass(host):
                made = http.client.HTTPSConnection(
                    proxy.hostname, proxy.port, timeout=CONNECT_TIMEOUT, context=self._context()
                )
                made.set_tunnel(host, parts.port or 443)
            else:
                made = http.client.HTTPSConnection(host, parts.port, timeout=CONNECT_TIMEOUT, context=self._context())
        made.connect()
        return made

    def _context(self) -> ssl.SSLContext:
        with self._lock:
            self._tls = self._tls or ssl.create_default_context()
            return self._tls


@contextlib.contextmanager
def in_words() -> Iterator[None]:
    """What the network refuses, as `UnreachableError`."""
    try:
        yield
    except (OSError, http.client.HTTPException) as error:
        raise UnreachableError(words_for(error)) from error


def words_for(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return "The storage's certificate was refused"
    if isinstance(error, socket.gaierror | ConnectionRefusedError):
        return "Could not connect"
    if isinstance(error, TimeoutError):
        return "No answer"
    return "The connection broke"


def is_stale(error: Exception) -> bool:
    """Whether a kept connection may fail like this just because the server closed it meanwhile."""
    return isinstance(error, ConnectionError | http.client.RemoteDisconnected | ssl.SSLEOFError)


def shut(sock: socket.socket) -> None:
    """End a connection under another thread's hands: whatever it waits for there ends at once."""
    with contextlib.suppress(OSError):
        # On the plain socket below TLS, which would otherwise want to say goodbye from the wrong thread.
        socket.socket.shutdown(sock, socket.SHUT_RDWR)


def readable(sock: socket.socket) -> bool:
    """Whether there is something to read: an answer, or the end of the connection."""
    try:
        if hasattr(select, "poll"):  # select() takes no descriptor above 1,023
            poll = select.poll()
            poll.register(sock, select.POLLIN)
            return bool(poll.poll(0))
        return bool(select.select([sock], [], [], 0)[0])
    except (OSError, ValueError):
        return True
