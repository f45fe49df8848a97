"""HTTP/1.1 as far as sending needs it: the head of a request, and an answer of at most some kilobytes (RFC 9112).

`http.client` spends more on the headers of one answer than all the rest of sending a small file costs.
"""

from __future__ import annotations

import http.client
import socket
from collections.abc import Mapping
from dataclasses import dataclass

MAX_REPLY = 64 * 1024
"""Bytes of a head, and of a body, that are read; S3's errors are far shorter."""
_BLOCK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes = b""


def head(method: str, url: str, headers: Mapping[str, str]) -> bytes:
    """Raises `ValueError` for what would break out of its line."""
    _, place, target = split(url)
    lines = [f"{method} {target} HTTP/1.1", f"host: {place}"]
    lines += [f"{name}: {value}" for name, value in headers.items() if name.lower() != "host"]
    text = "\n".join(lines)
    if "\r" in text or text.count("\n") != len(lines) - 1:
        raise ValueError("a line break in the head of a request")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def split(url: str) -> tuple[str, str, str]:
    """Scheme, host with port, and what is asked for there; the fragment, which has no use here, is left out."""
    scheme, _, rest = url.partition("://")
    ends = [end for mark in "/?#" if (end := rest.find(mark)) >= 0]
    place, target = (rest[: min(ends)], rest[min(ends) :]) if ends else (rest, "")
    target = target.partition("#")[0]
    return scheme.lower(), place.rpartition("@")[2], target if target.startswith("/") else f"/{target}"


def read_reply(sock: socket.socket) -> tuple[Reply, bool]:
    """The next answer, and whether the connection may be used for another.

    Raises `OSError` and `http.client.HTTPException` when it breaks off or is no HTTP; a body beyond `MAX_REPLY` is cut.
    """
    reader = _Reader(sock)
    while True:
        version, status, headers = _parsed(reader.until(b"\r\n\r\n"))
        if not 100 <= status < 200:
            break
    connection = headers.get("connection", "").lower()
    keep = connection != "close" if version == b"HTTP/1.1" else connection == "keep-alive"
    if status in (204, 304):
        body = b""
    elif headers.get("transfer-encoding", "").lower() == "chunked":
        body, whole = _chunks(reader)
        keep = keep and whole
    elif (length := headers.get("content-length")) is not None:
        if not length.isdigit():
            raise http.client.HTTPException("a broken content-length")
        body = reader.exactly(min(int(length), MAX_REPLY))
        keep = keep and int(length) <= MAX_REPLY
    else:
        body, keep = reader.rest(), False
    return Reply(status, headers, body), keep and reader.empty


def _parsed(text: bytes) -> tuple[bytes, int, dict[str, str]]:
    first, _, rest = text.partition(b"\r\n")
    version, _, status = first.partition(b" ")
    if not version.startswith(b"HTTP/1.") or not status[:3].isdigit():
        raise http.client.BadStatusLine(first[:80].decode("latin-1"))
    headers = (line.partition(":") for line in rest.decode("latin-1").split("\r\n"))
    return version, int(status[:3]), {name.lower(): value.strip() for name, _, value in headers}


def _chunks(reader: _Reader) -> tuple[bytes, bool]:
    """The body, and whether all of it was read."""
    body = b""
    while True:
        size = reader.until(b"\r\n").partition(b";")[0].strip()
        try:
            length = int(size, 16)
        except ValueError:
            raise http.client.HTTPException("a broken chunk") from None
        if length == 0:
            while reader.until(b"\r\n"):
                continue  # trailers
            return body, True
        if length < 0 or len(body) + length > MAX_REPLY:
            return body, False
        body += reader.exactly(length)
        reader.until(b"\r\n")


class _Reader:
    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._held = b""

    @property
    def empty(self) -> bool:
        return not self._held

    def until(self, mark: bytes) -> bytes:
        """What comes before `mark`, which is taken too."""
        while (end := self._held.find(mark)) < 0:
            if len(self._held) > MAX_REPLY:
                raise http.client.LineTooLong("the head of an answer")
            self._more()
        found, self._held = self._held[:end], self._held[end + len(mark) :]
        return found

    def exactly(self, length: int) -> bytes:
        while len(self._held) < length:
            self._more()
        found, self._held = self._held[:length], self._held[length:]
        return found

    def rest(self) -> bytes:
        """Until the other side hangs up."""
        while len(self._held) < MAX_REPLY and (more := self._sock.recv(_BLOCK)):
            self._held += more
        found, self._held = self._held[:MAX_REPLY], b""
        return found

    def _more(self) -> None:
        more = self._sock.recv(_BLOCK)
        if not more:
            raise http.client.RemoteDisconnected("the answer broke off")
        self._held += more
