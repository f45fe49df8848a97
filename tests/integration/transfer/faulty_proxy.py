"""A loopback proxy before an S3 that spoils requests at random, the same ones for the same seed, and notes which."""

from __future__ import annotations

import http.client
import random
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
    "skewed", "no such upload", "portal", "bit flip",
)  # fmt: skip
GET_FAULTS = ("reset before", "answer cut", "silence", "500", "503", "slow down", "expired", "portal")
ANSWERS = {
    "500": (500, "InternalError"),
    "503": (503, "ServiceUnavailable"),
    "slow down": (503, "SlowDown"),
    "expired": (403, "ExpiredToken"),
    "skewed": (403, "RequestTimeTooSkewed"),
}
_BLOCK = 256 * 1024
_SILENCE_S = 0.2


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
            self.spoiled[self.name_of(path)] += 1
            self.kinds[fault] += 1
            return fault

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
        length = int(self.headers["content-length"])
        fault = self.faults.pick(self.path, PUT_FAULTS)
        if fault == "reset before":
            self._reset()
            return
        body = bytearray()
        until = length // 2 if fault == "reset within" else length
        while len(body) < until:
            body += self.rfile.read(min(_BLOCK, until - len(body)))
        if fault == "reset within":
            self._reset()
        elif fault == "silence":
            time.sleep(_SILENCE_S)
            self._reset()
        elif fault in ANSWERS or fault in ("portal", "no such upload"):
            self._say(fault)
        else:
            if fault == "bit flip" and body:
                body[len(body) // 2] ^= 1
            self._pass("PUT", bytes(body), fault)

    def do_GET(self) -> None:
        fault = self.faults.pick(self.path, GET_FAULTS)
        if fault in ("reset before", "silence"):
            time.sleep(_SILENCE_S if fault == "silence" else 0)
            self._reset()
        elif fault in ANSWERS or fault == "portal":
            self._say(fault)
        else:
            self._pass("GET", None, fault)

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
        self.wfile.write(content[: len(content) // 2] if fault == "answer cut" else content)
        if fault == "answer cut":
            self._reset()

    def _say(self, fault: str) -> None:
        date = None
        if fault == "portal":
            status, content = 200, b"<html><title>Welcome to our wifi</title></html>"
        else:
            status, code = ANSWERS.get(fault, (404, "NoSuchUpload"))
            content = f"<Error><Code>{code}</Code></Error>".encode()
            date = formatdate(time.time() - 3600, usegmt=True) if fault == "skewed" else None
        self.send_response_only(status)
        if date:
            self.send_header("date", date)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.shutdown(socket.SHUT_RDWR)
        self.connection.close()
