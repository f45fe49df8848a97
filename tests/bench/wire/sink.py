"""`python -m tests.bench.wire.sink`: an S3 that keeps nothing, for work that is larger than this machine's memory."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

_READ = 1024 * 1024


class Sink(ThreadingHTTPServer):
    """Takes objects and parts, and remembers of them how many bytes came and when the last did; hands out zeros."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Connection)
        self.lock = threading.Lock()
        self.parts: dict[str, dict[int, int]] = {}
        self.received = 0
        self.last_at = 0.0

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever hangs up has been cancelled."""


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Sink

    def do_PUT(self) -> None:
        length, buffer = int(self.headers["content-length"]), memoryview(bytearray(_READ))
        left = length
        while left:
            got = self.rfile.readinto1(buffer[: min(_READ, left)])  # type: ignore[attr-defined]  # a BufferedReader
            if not got:
                raise ConnectionError("hung up")
            left -= got
            with self.server.lock:
                self.server.received += got
                self.server.last_at = time.monotonic()
        query = parse_qs(urlsplit(self.path).query)
        if number := query.get("partNumber"):
            with self.server.lock:
                self.server.parts.setdefault(query["uploadId"][0], {})[int(number[0])] = length
        self._answer("", etag='"0"')

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        query = parse_qs(urlsplit(self.path).query, keep_blank_values=True)
        if "uploads" in query:
            self._answer("<UploadId>one</UploadId>")
        else:
            self._answer("<CompleteMultipartUploadResult/>")

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        if "size" in query:
            self._hand_out(int(query["size"][0]))
            return
        after = int(query["part-number-marker"][0])
        with self.server.lock:
            parts = sorted(self.server.parts.get(query["uploadId"][0], {}))
        listed = "".join(f"<Part><PartNumber>{n}</PartNumber><ETag>0</ETag></Part>" for n in parts if n > after)
        self._answer(listed)

    def do_DELETE(self) -> None:
        with self.server.lock:
            self.server.parts.clear()
        self._answer("")

    def _hand_out(self, size: int) -> None:
        """The range that is asked for, of nothing but zeros."""
        first, last = map(int, self.headers["range"].removeprefix("bytes=").split("-"))
        self.send_response(206)
        self.send_header("etag", '"0"')
        self.send_header("content-range", f"bytes {first}-{last}/{size}")
        self.send_header("content-length", str(last - first + 1))
        self.end_headers()
        for at in range(first, last + 1, _READ):
            self.wfile.write(bytes(min(_READ, last + 1 - at)))

    def _answer(self, body: str, **headers: str) -> None:
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@contextlib.contextmanager
def sinking() -> Iterator[str]:
    """The address of a sink in a process of its own."""
    command = [sys.executable, "-m", "tests.bench.wire.sink"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.kill()
        process.wait()


if __name__ == "__main__":
    sink = Sink()
    print(sink.endpoint, flush=True)
    sink.serve_forever()
