"""Stands in for CloudFront on this machine: one loopback port carries the site, the share pages and the API.

`python -m satchel.hosting.edge CONFIG --hold LOCK`. The config is a JSON file of `EdgeConfig`, read again whenever it
changes. Paths carry tokens, so no request is ever logged.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BufferedIOBase
from pathlib import Path
from typing import Any

import msgspec

from satchel.hosting import process

SERVER = "satchel-edge"
_CHUNK = 64 * 1024
_HOP_BY_HOP = frozenset(
    ("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer", "transfer-encoding")
) | {"upgrade", "proxy-connection", "expect"}
_FROM_S3 = (
    "content-type",
    "content-length",
    "content-range",
    "cache-control",
    "etag",
    "last-modified",
    "accept-ranges",
)
_TO_S3 = ("if-none-match", "if-modified-since", "range")


@dataclass(frozen=True, slots=True)
class EdgeConfig:
    """What the edge must know of the deployment behind it; `headers` go on every answer, as CloudFront adds them."""

    port: int
    cloud: str
    region: str
    api_id: str
    static_bucket: str
    origin_secret: str = field(repr=False)
    key: tuple[str, str] = field(repr=False)
    headers: dict[str, str] = field(default_factory=dict)


class Edge(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._read: tuple[int, EdgeConfig] | None = None
        super().__init__(("127.0.0.1", self.config.port), _Request)

    @property
    def config(self) -> EdgeConfig:
        with self._lock:
            changed = self._path.stat().st_mtime_ns
            if self._read is None or self._read[0] != changed:
                self._read = (changed, msgspec.json.decode(self._path.read_bytes(), type=EdgeConfig))
            return self._read[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """One line without the request's path."""
        del request, client_address
        kind = sys.exc_info()[0]
        if kind is not None and not issubclass(kind, (ConnectionError, TimeoutError)):
            sys.stderr.write(f"a request failed: {kind.__name__}\n")


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = SERVER, ""
    disable_nagle_algorithm = True
    timeout = 75
    server: Edge

    def setup(self) -> None:
        super().setup()
        self._upstream: tuple[str, http.client.HTTPConnection] | None = None

    def finish(self) -> None:
        self._hang_up()
        super().finish()

    def _serve(self) -> None:
        config = self.server.config
        own = {f"{name}:{config.port}" for name in ("127.0.0.1", "localhost")}
        if (self.headers.get("host") or "").lower() not in own:
            # A page from elsewhere whose name was pointed at this machine.
            self._problem(421, "wrong-host", "This is not the name of this site", "Use the address as it was given.")
            return
        path = urllib.parse.urlsplit(self.path).path
        if not path.startswith("/") or {".", ".."}.intersection(urllib.parse.unquote(path).split("/")):
            # It would lead out of the site's bucket, or from one route into another.
            self._problem(404, "not-found", "There is no such page", "Check the address.")
            return
        try:
            if path.startswith(("/v1/", "/p/")):
                self._to_api(config)
            elif self.command in ("GET", "HEAD"):
                self._to_site(config, "/index.html" if path == "/" or path.startswith("/s/") else path)
            else:
                self._problem(405, "not-allowed", "Only GET and HEAD work here", "Ask for the page instead.")
        except _NotReachedError:
            self._hang_up()
            self._problem(
                503, "cloud-down", "The local cloud is not running", "Start it with `satchel local up`, then try again."
            )

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _serve  # noqa: N815 - the base class's

    def _to_api(self, config: EdgeConfig) -> None:
        if "transfer-encoding" in self.headers:
            self._problem(411, "length-needed", "The request does not say its length", "Send Content-Length.")
            return
        left_out = _HOP_BY_HOP | {"host", "content-length", "x-satchel-origin", "x-forwarded-for", "x-forwarded-proto"}
        headers = [(name, value) for name, value in self.headers.items() if name.lower() not in left_out]
        headers += [
            ("X-Satchel-Origin", config.origin_secret),
            ("X-Forwarded-For", self.client_address[0]),
            ("X-Forwarded-Proto", "http"),
        ]
        size = int(self.headers.get("content-length") or 0)
        body = _Limited(self.rfile, size) if size or self.command in ("POST", "PUT", "PATCH") else None
        reply = self._ask(config, f"/_aws/execute-api/{config.api_id}{self.path}", headers, body, size)
        if body is not None and body.left:
            self.close_connection = True
        self._relay(reply, [(n, v) for n, v in reply.getheaders() if n.lower() not in _HOP_BY_HOP])

    def _to_site(self, config: EdgeConfig, path: str) -> None:
        asked = {name: self.headers[name] for name in _TO_S3 if name in self.headers}
        url = f"{config.cloud}/{config.static_bucket}{urllib.parse.quote(urllib.parse.unquote(path))}"
        signed = _signed(self.command, url, asked, config)
        reply = self._ask(config, urllib.parse.urlsplit(url).path, list(signed.items()), None, 0)
        if reply.status in (403, 404):
            reply.read()
            self._problem(404, "not-found", "There is no such page", "Check the address.")
            return
        kept = [(name, value) for name in _FROM_S3 if (value := reply.getheader(name)) is not None]
        self._relay(reply, kept)

    def _ask(
        self, config: EdgeConfig, target: str, headers: list[tuple[str, str]], body: _Limited | None, size: int
    ) -> http.client.HTTPResponse:
        """The cloud's answer over a connection that lives as long as the client's. A dead one is replaced once."""
        fresh = self._upstream is None or self._upstream[0] != config.cloud
        if fresh:
            self._hang_up()
            host = urllib.parse.urlsplit(config.cloud)
            self._upstream = (config.cloud, http.client.HTTPConnection(host.hostname or "", host.port, timeout=60))
        assert self._upstream is not None  # noqa: S101 - just made
        upstream = self._upstream[1]
        try:
            upstream.putrequest(self.command, target, skip_accept_encoding=True, skip_host=_has(headers, "host"))
            for name, value in headers:
                upstream.putheader(name, value)
            if body is not None:
                upstream.putheader("Content-Length", str(size))
            upstream.endheaders()
            for chunk in body or ():
                upstream.send(chunk)
            return upstream.getresponse()
        except (OSError, http.client.HTTPException) as error:
            self._hang_up()
            untouched = body is None or body.left == size
            if not fresh and untouched and self.command in ("GET", "HEAD", "DELETE", "PUT"):
                return self._ask(config, target, headers, body, size)
            raise _NotReachedError from error

    def _relay(self, reply: http.client.HTTPResponse, headers: list[tuple[str, str]]) -> None:
        bodiless = self.command == "HEAD" or reply.status in (204, 304)
        chunked = not bodiless and reply.getheader("content-length") is None
        self._head(reply.status, headers + ([("Transfer-Encoding", "chunked")] if chunked else []))
        if bodiless:
            reply.read()
            return
        cut_off = False
        try:
            while piece := reply.read1(_CHUNK):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        except http.client.HTTPException:
            cut_off = True
        if cut_off or reply.length:
            # The cloud went away in the middle: ending the connection early is how the client can tell.
            self.close_connection = True
            self._hang_up()
            return
        reply.close()  # read1 does not, at the end of a body of known length; the connection goes on
        if chunked:
            self.wfile.write(b"0\r\n\r\n")

    def _problem(self, status: int, kind: str, title: str, detail: str) -> None:
        self.close_connection = self.close_connection or "content-length" in self.headers
        document = {"type": f"urn:satchel:problem:{kind}", "title": title, "status": status, "detail": detail}
        body = json.dumps(document).encode()
        headers = [("Content-Type", "application/problem+json"), ("Content-Length", str(len(body)))]
        headers += [("Cache-Control", "no-store")] + ([("Retry-After", "2")] if status == 503 else [])
        headers += [("Connection", "close")] if self.close_connection else []
        self._head(status, headers)
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: int, headers: list[tuple[str, str]]) -> None:
        ours = self.server.config.headers
        replaced = {name.lower() for name in ours} | {"server", "date"}
        self.send_response(status)
        for name, value in [*((n, v) for n, v in headers if n.lower() not in replaced), *ours.items()]:
            self.send_header(name, value)
        self.end_headers()

    def _hang_up(self) -> None:
        if self._upstream is not None:
            self._upstream[1].close()
            self._upstream = None

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class calls it so
        """Says nothing: paths carry tokens."""


class _NotReachedError(Exception):
    """Nobody answers where the cloud should be."""


class _Limited:
    """The rest of a request's body, never beyond its end."""

    def __init__(self, file: BufferedIOBase, size: int) -> None:
        self._file = file
        self.left = size

    def __iter__(self) -> Iterator[bytes]:
        while self.left:
            piece = self._file.read1(min(_CHUNK, self.left))
            if not piece:
                raise ConnectionError("the request ended early")
            self.left -= len(piece)
            yield piece


def _has(headers: list[tuple[str, str]], wanted: str) -> bool:
    return any(name.lower() == wanted for name, _ in headers)


def _signed(method: str, url: str, headers: dict[str, str], config: EdgeConfig) -> dict[str, str]:
    """The headers of a request to S3, signed as CloudFront's origin access control would."""
    from botocore.auth import S3SigV4Auth  # noqa: PLC0415 - only when a page is asked for
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415
    from botocore.credentials import Credentials  # noqa: PLC0415

    request = AWSRequest(method=method, url=url, headers=headers)
    S3SigV4Auth(Credentials(*config.key), "s3", config.region).add_auth(request)
    return {name: str(value) for name, value in request.headers.items()}


def answers(port: int) -> bool:
    """Whether an edge, and nobody else, answers on `port`."""
    line = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        line.request("HEAD", "/.well-known/satchel.json")
        return line.getresponse().getheader("server", "").startswith(SERVER)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        line.close()


def service(state: Path) -> process.Service:
    return process.Service(state, "edge", "satchel.hosting.edge")


def free(port: int) -> bool:
    """Whether nobody listens on `port` of the loopback."""
    with contextlib.closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def main() -> None:
    import signal  # noqa: PLC0415 - only here

    held = process.hold(Path(sys.argv[sys.argv.index("--hold") + 1]))
    edge = Edge(Path(sys.argv[1]))

    def leave(*_: object) -> None:
        threading.Thread(target=edge.shutdown, daemon=True).start()

    for name in ("SIGTERM", "SIGINT", "SIGBREAK"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), leave)
    edge.serve_forever()
    edge.server_close()
    held.close()


if __name__ == "__main__":
    main()
