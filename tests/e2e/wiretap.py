"""Loopback proxies between a client and the local cloud: they count what passes and can spoil it.

`wiretap(cloud)` stands before both doors at once. A client that signs in to `Wiretap.site` sends its API requests
through `Wiretap.api` and, because the presigned addresses in the replies are rewritten, its bytes through
`Wiretap.s3`. Signatures stay valid: each proxy puts the real host back.
"""

from __future__ import annotations

import contextlib
import http.client
import socketserver
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

from e2e.cloud_fixture import LocalCloud

_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "host", "content-length", "expect"}


@dataclass
class Exchange:
    """One request and the reply to it; `status` is 0 while the service has not answered."""

    method: str
    path: str
    query: dict[str, list[str]]
    request_bytes: int
    sent_bytes: int = 0
    status: int = 0
    reply_bytes: int = 0

    @property
    def part(self) -> int | None:
        return int(self.query["partNumber"][0]) if "partNumber" in self.query else None


@dataclass
class Tap:
    """A proxy to `upstream` (host:port). `exchanges` are in the order in which they began.

    `spoil(exchange, offset, block)` sees each block of a request's body and returns what goes on; raising
    `ConnectionAbortedError` cuts the connection. `rewrite` maps bytes in JSON replies. Replies wait for `hold`.
    """

    upstream: str
    rewrite: dict[bytes, bytes] = field(default_factory=dict)
    spoil: Callable[[Exchange, int, bytes], bytes] | None = None
    hold: threading.Event | None = None
    exchanges: list[Exchange] = field(default_factory=list)
    port: int = 0

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def puts(self, status: int = 200) -> list[Exchange]:
        """Bodies that arrived: PUTs answered with `status`."""
        return [e for e in self.exchanges if e.method == "PUT" and e.status == status]

    @contextlib.contextmanager
    def listening(self) -> Iterator[Tap]:
        tap = self

        class Handler(_Handler):
            pass

        Handler.tap = tap
        with _Server(("127.0.0.1", 0), Handler) as server:
            self.port = server.server_address[1]
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
            try:
                yield self
            finally:
                server.shutdown()


@dataclass
class Wiretap:
    site: str
    api: Tap
    s3: Tap


@contextlib.contextmanager
def wiretap(cloud: LocalCloud) -> Iterator[Wiretap]:
    s3 = Tap(urlsplit(cloud.endpoint).netloc)
    api = Tap(urlsplit(cloud.site).netloc)
    with s3.listening(), api.listening():
        api.rewrite = {cloud.site.encode(): api.address.encode(), cloud.endpoint.encode(): s3.address.encode()}
        # Sign-in is no business of the taps.
        api.rewrite[b'"identity_endpoint":"' + s3.address.encode()] = b'"identity_endpoint":"' + cloud.endpoint.encode()
        yield Wiretap(api.address, api, s3)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that was killed is what these tests are about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    tap: Tap

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def _pass(self) -> None:
        split = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        exchange = Exchange(self.command, split.path, parse_qs(split.query, keep_blank_values=True), length)
        self.tap.exchanges.append(exchange)
        upstream = http.client.HTTPConnection(self.tap.upstream, timeout=120)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            upstream.putheader("Host", self.tap.upstream)
            for name, value in self.headers.items():
                if name.lower() not in _HOP_BY_HOP:
                    upstream.putheader(name, value)
            if "Content-Length" in self.headers:
                upstream.putheader("Content-Length", str(length))
            upstream.endheaders()
            if self.headers.get("Expect", "").lower() == "100-continue":
                self.send_response_only(100)
                self.end_headers()
            while exchange.sent_bytes < length:
                block = self.rfile.read(min(1 << 16, length - exchange.sent_bytes))
                if not block:
                    raise ConnectionAbortedError
                if self.tap.spoil is not None:
                    block = self.tap.spoil(exchange, exchange.sent_bytes, block)
                upstream.send(block)
                exchange.sent_bytes += len(block)
            self._reply(upstream.getresponse(), exchange)
        except (ConnectionError, TimeoutError, http.client.HTTPException):
            self.close_connection = True
        finally:
            upstream.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _pass

    def _reply(self, reply: http.client.HTTPResponse, exchange: Exchange) -> None:
        if self.tap.hold is not None:
            self.tap.hold.wait(30)
        body = reply.read()
        if "json" in (reply.getheader("Content-Type") or ""):
            for old, new in self.tap.rewrite.items():
                body = body.replace(old, new)
        # Said before the client hears it: a killed client's bytes have arrived all the same.
        exchange.reply_bytes, exchange.status = len(body), reply.status
        self.send_response_only(reply.status, reply.reason)
        for name, value in reply.getheaders():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header(
            "Content-Length", reply.getheader("Content-Length") or "0" if self.command == "HEAD" else str(len(body))
        )
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass
