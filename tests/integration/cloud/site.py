"""A site on loopback that answers what it is told to, and the client's `Cloud` for it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from satchel.cloud import Cloud
from satchel.core.model import Discovery
from satchel.core.ports import SystemIds


class Site:
    """Answers from a list, the last one for ever, and remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        self.asked: list[tuple[str, str, dict[str, str], Any]] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                site.asked.append((self.command, self.path, dict(self.headers.items()), json.loads(body or b"null")))
                status, headers, content = site.answers.pop(0) if len(site.answers) > 1 else site.answers[0]
                self.send_response_only(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                if status != 204:
                    self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PATCH = do_DELETE = answer

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def json(self, value: Any, status: int = 200, kind: str = "application/json", **headers: str) -> None:
        self.answers.append((status, {"content-type": kind, **headers}, json.dumps(value).encode()))

    def problem(self, value: dict[str, Any]) -> None:
        self.json(value, value["status"], "application/problem+json")


class Clock:
    def __init__(self) -> None:
        self.slept: list[float] = []

    def now_ms(self) -> int:
        return 0

    def monotonic(self) -> float:
        return 0.0

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


def cloud(site: Site, clock: Clock, refresh: Callable[[str], str] | None = None) -> Cloud:
    found = Discovery(1, "0.1", site.url, "us-east-1", "pool", "client")
    return Cloud(found, lambda: "secret-token", refresh=refresh, clock=clock, ids=SystemIds())
