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
BLOCK = 64 * 1024


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
    """The next answer, and whether the connection may be used for another. Raises as `parse` does, and `OSError`."""
    held = b""
    while True:
        more = sock.recv(BLOCK)
        held += more
        if (found := parse(held, ended=not more)) is not None:
            return found


def parse(held: bytes, *, ended: bool) -> tuple[Reply, bool] | None:
    """The answer that `held` begins with, and whether the connection may be used for another; None if more must come.

    `ended` says that nothing will. Raises `http.client.HTTPException` for what breaks off or is no HTTP. A body beyond
    `MAX_REPLY` is cut.
    """
    reader = _Reader(held, ended=ended)
    try:
        while True:
            version, status, headers = _parsed(reader.until(b"\r\n\r\n"))
            if not 100 <= status < 200:
                break
        connection = headers.get("connection", "").lower()
        keep = connection != "close" if version == b"HTTP/1.1" else connection == "keep-alive"
        body, whole = _body(reader, status, headers)
    except _MoreError:
        if ended:
            raise http.client.RemoteDisconnected("the answer broke off") from None
        return None
    return Reply(status, headers, body), keep and whole and reader.empty


class _MoreError(Exception):
    """There is more to come."""


def _body(reader: _Reader, status: int, headers: Mapping[str, str]) -> tuple[bytes, bool]:
    """The body, and whether that was all of it and its end was marked."""
    if status in (204, 304):
        return b"", True
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return _chunks(reader)
    length = headers.get("content-length")
    if length is None:
        return reader.rest(), False
    if not length.isdigit():
        raise http.client.HTTPException("a broken content-length")
    return reader.exactly(min(int(length), MAX_REPLY)), int(length) <= MAX_REPLY


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
    def __init__(self, held: bytes, *, ended: bool) -> None:
        self._held = held
        self._at = 0
        self._ended = ended

    @property
    def empty(self) -> bool:
        return self._at == len(self._held)

    def until(self, mark: bytes) -> bytes:
        """What comes before `mark`, which is taken too."""
        end = self._held.find(mark, self._at)
        if end < 0:
            if len(self._held) - self._at > MAX_REPLY:
                raise http.client.LineTooLong("the head of an answer")
            raise _MoreError
        found = self._held[self._at : end]
        self._at = end + len(mark)
        return found

    def exactly(self, length: int) -> bytes:
        if len(self._held) - self._at < length:
            raise _MoreError
        found = self._held[self._at : self._at + length]
        self._at += length
        return found

    def rest(self) -> bytes:
        """Until the other side hangs up."""
        if not self._ended and len(self._held) - self._at < MAX_REPLY:
            raise _MoreError
        found = self._held[self._at : self._at + MAX_REPLY]
        self._at = len(self._held)
        return found
