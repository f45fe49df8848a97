"""A loopback proxy before an S3 that spoils requests at random, the same ones for the same seed, and notes which."""

from __future__ import annotations

import http.client
import random
import select
import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

PUT_FAULTS = (
    "reset before", "reset within", "reset after", "silence", "answer cut", "500", "503", "slow down", "expired",
    "skewed", "skewed 400", "no such upload", "portal", "portal with etag", "bit flip", "stall", "mute", "stutter",
)  # fmt: skip
COPY_FAULTS = (
    "reset before", "reset after", "answer cut", "500", "503", "slow down", "expired", "no such upload", "portal",
    "late error", "source gone", "source changed", "mute",
)  # fmt: skip
GET_FAULTS = (
    "reset before", "answer cut", "silence", "500", "503", "slow down", "expired", "skewed", "portal",
    "portal in chunks", "mute", "stall", "stutter",
)  # fmt: skip
_HANGS_UP = getattr(select, "POLLRDHUP", select.POLLHUP)
HARMLESS = ("stutter",)
"""Nothing needs to be sent again after these."""
ANSWERS = {
    "500": (500, "InternalError"),
    "503": (503, "ServiceUnavailable"),
    "slow down": (503, "SlowDown"),
    "expired": (403, "ExpiredToken"),
    "skewed": (403, "RequestTimeTooSkewed"),
    "skewed 400": (400, "RequestTimeTooSkewed"),
    "source gone": (404, "NoSuchKey"),
    "source changed": (412, "PreconditionFailed"),
    "no such upload": (404, "NoSuchUpload"),
}
_PAGE = b"<html><title>Welcome to our wifi</title></html>"
_LATE = b"<?xml version='1.0'?> <Error><Code>InternalError</Code></Error>"
_BLOCK = 256 * 1024
_SILENCE_S, _STUTTER_S = 0.2, 0.1


class FaultyProxy:
    """`spoiled` counts the faults by the request's own name, which `name_of(path)` tells."""

    def __init__(self, upstream: str, seed: int, *, share: float, name_of: Callable[[str], str]) -> None:
        self.upstream = urlsplit(upstream).netloc
        self.share = share
        self.name_of = name_of
        self.spoiled: Counter[str] = Counter()
        self.kinds: Counter[str] = Counter()
        self.lose: Callable[[str], bool] = lambda _path: False
        """Makes S3 forget the multipart upload of this address; whether it was one."""
        self.puts = 0
        self.on_put: Callable[[int], None] = lambda _number: None
        """Told of every PUT before it is worked on, with its number."""
        self._random = random.Random(seed)
        self._lock = threading.Lock()
        proxy = self

        class Handler(_Handler):
            faults = proxy

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def pick(self, path: str, faults: tuple[str, ...]) -> str:
        with self._lock:
            if self._random.random() > self.share:
                return ""
            fault = self._random.choice(faults)
            if fault == "no such upload" and not self.lose(path):
                return ""
            self.spoiled[self.name_of(path)] += fault not in HARMLESS
            self.kinds[fault] += 1
            return fault

    def count_put(self) -> None:
        with self._lock:
            self.puts += 1
            number = self.puts
        self.on_put(number)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    faults: FaultyProxy

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_PUT(self) -> None:
        self.faults.count_put()
        length = int(self.headers["content-length"])
        fault = self.faults.pick(self.path, COPY_FAULTS if "x-amz-copy-source" in self.headers else PUT_FAULTS)
        if fault == "reset before":
            self._reset()
            return
        body = bytearray()
        until = length // 2 if fault in ("reset within", "stall") else length
        while len(body) < until:
            block = self.rfile.read(min(_BLOCK, until - len(body)))
            if not block:  # the client has hung up
                self.close_connection = True
                return
            body += block
        if fault == "reset within":
            self._reset()
        elif fault in ("stall", "mute"):
            self._until_it_gives_up(read=fault == "mute")
        elif fault == "silence":
            time.sleep(_SILENCE_S)
            self._reset()
        elif fault in ANSWERS or fault in ("portal", "portal with etag", "late error"):
            self._say(fault)
        else:
            if fault == "bit flip" and body:
                body[len(body) // 2] ^= 1
            self._pass("PUT", bytes(body), fault)

    def do_GET(self) -> None:
        fault = self.faults.pick(f"{self.path}#{self.headers.get('range', '')}", GET_FAULTS)
        if fault in ("reset before", "silence"):
            time.sleep(_SILENCE_S if fault == "silence" else 0)
            self._reset()
        elif fault == "mute":
            self._until_it_gives_up(read=True)
        elif fault in ANSWERS or fault in ("portal", "portal in chunks"):
            self._say(fault)
        else:
            self._pass("GET", None, fault)

    def _until_it_gives_up(self, *, read: bool) -> None:
        """Say nothing until the client hangs up; without `read` take nothing either."""
        self.close_connection = True
        watch = select.poll()
        watch.register(self.connection, select.POLLIN | _HANGS_UP if read else _HANGS_UP)
        end = time.monotonic() + self.timeout
        while time.monotonic() < end:
            if watch.poll(100) and (not read or not self.connection.recv(_BLOCK)):
                return

    def _pass(self, method: str, body: bytes | None, fault: str) -> None:
        upstream = http.client.HTTPConnection(self.faults.upstream, timeout=60)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("host", "connection")}
        upstream.request(method, self.path, body, headers)
        answer = upstream.getresponse()
        content = answer.read()
        upstream.close()
        if fault == "reset after":
            self._reset()
            return
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            self.send_header(name, value)
        self.end_headers()
        if fault not in ("answer cut", "stall", "stutter"):
            self.wfile.write(content)
            return
        self.wfile.write(content[: len(content) // 2])
        if fault == "answer cut":
            self._reset()
        elif fault == "stall":
            self._until_it_gives_up(read=False)
        else:
            time.sleep(_STUTTER_S)
            self.wfile.write(content[len(content) // 2 :])

    def _say(self, fault: str) -> None:
        headers = {}
        if fault in ANSWERS:
            status, code = ANSWERS[fault]
            content = f"<Error><Code>{code}</Code></Error>".encode()
            if fault.startswith("skewed"):
                headers["date"] = formatdate(time.time() - 3600, usegmt=True)
        else:
            status, content = 200, _LATE if fault == "late error" else _PAGE
            if fault == "portal with etag":
                headers["etag"] = '"page"'
        if fault == "portal in chunks":
            headers["transfer-encoding"] = "chunked"
            content = b"%x\r\n%b\r\n0\r\n\r\n" % (len(content), content)
        else:
            headers["content-length"] = str(len(content))
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()
