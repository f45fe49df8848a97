"""A loopback stand-in for the service behind the share page: the real page, scripted answers.

Every scripted body is checked against backend/openapi.yaml first, so that the page is never tested against an answer
that the service could not give.
"""

from __future__ import annotations

import json
import mimetypes
import threading
from collections import defaultdict
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from jsonschema import Draft202012Validator

REPOSITORY = Path(__file__).parents[3]
SITE = REPOSITORY / "backend" / "site"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_CONTRACT = yaml.safe_load((REPOSITORY / "backend" / "openapi.yaml").read_text())


@dataclass(frozen=True)
class Answer:
    """One reply; status 0 hangs up instead."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


HANG_UP = Answer(0)


def view(**fields: Any) -> Answer:
    """A LinkView; ready unless told otherwise."""
    body = {"kind": "file", "state": "ready", **fields}
    _validator("LinkView").validate(body)
    return Answer(200, body)


def folder(name: str, *items: dict[str, Any], **fields: Any) -> Answer:
    return view(kind="folder", name=name, items=list(items), **fields)


def problem(kind: str, status: int) -> Answer:
    body = {"type": f"urn:satchel:problem:{kind}", "title": kind, "status": status, "detail": "For people."}
    _validator("Problem").validate(body)
    return Answer(status, body)


def gateway(status: int, message: str, **headers: str) -> Answer:
    """What API Gateway says by itself: no problem document."""
    return Answer(status, {"message": message}, headers)


def _validator(schema: str) -> Draft202012Validator:
    return Draft202012Validator(
        {"$ref": f"#/components/schemas/{schema}", "components": _CONTRACT["components"]},
        format_checker=Draft202012Validator.FORMAT_CHECKER,
    )


class StubSite:
    """The site on one port and its "S3" on another, as two origins. Use as a context manager."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str]] = []
        self.referrers: set[str] = set()
        self.content: dict[str, bytes] = {}
        self._scripts: dict[str, list[Answer]] = defaultdict(list)
        self._lock = threading.Lock()
        self._servers = [_serve(self._site), _serve(self._store)]
        self.origin, self.store = (f"http://127.0.0.1:{server.server_port}" for server in self._servers)

    def __enter__(self) -> StubSite:
        return self

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.shutdown()
            server.server_close()

    def script(self, address: str, *answers: Answer) -> None:
        """Answers to GET or HEAD of `/p/...` in turn; the last one stays."""
        with self._lock:
            self._scripts[address] = list(answers)

    def count(self, method: str, address: str) -> int:
        return self.requests.count((method, address))

    def _site(self, http: _Handler) -> Answer | None:
        method, address = http.command, http.path
        path = urlsplit(address).path
        self.requests.append((method, address))
        self.referrers |= {value for value in [http.headers.get("Referer")] if value}
        if not path.startswith("/p/"):
            http.send_page(path)
            return None
        if path.endswith("/views"):
            return Answer(204)
        if path.endswith("/content") and address not in self._scripts:
            known = address in self.content
            if not known:
                return problem("not-found", 404)
            return Answer(200) if method == "HEAD" else Answer(302, None, {"Location": f"{self.store}/?of={address}"})
        with self._lock:
            script = self._scripts.get(address)
            if not script:
                return problem("not-found", 404)
            return script.pop(0) if len(script) > 1 else script[0]

    def _store(self, http: _Handler) -> Answer | None:
        address = urlsplit(http.path).query.removeprefix("of=")
        http.send_bytes(200, self.content[address], {"Content-Disposition": 'attachment; filename="download.bin"'})
        return None


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        reply = self.server.respond(self)  # type: ignore[attr-defined]  # set by _serve
        if reply is None:
            return
        if reply.status == 0:
            self.close_connection = True
            return
        body = b"" if reply.body is None else json.dumps(reply.body).encode()
        kind = "application/problem+json" if body and "type" in reply.body else "application/json"
        self.send_bytes(reply.status, body, {"Content-Type": kind, **reply.headers})

    do_GET = do_HEAD = do_POST = answer

    def send_page(self, path: str) -> None:
        """As the edge does: /assets/ is files, every other address is the page."""
        file = SITE / path.lstrip("/") if path.startswith("/assets/") else SITE / "index.html"
        if not file.resolve().is_relative_to(SITE) or not file.is_file():
            self.send_bytes(404, b"", {})
            return
        kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        headers = {"Content-Type": kind, "Content-Security-Policy": CSP, "X-Content-Type-Options": "nosniff"}
        self.send_bytes(200, file.read_bytes(), headers)

    def send_bytes(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


def _serve(respond: Any) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.respond = respond  # type: ignore[attr-defined]  # read by _Handler
    threading.Thread(target=server.serve_forever, args=(0.01,), name="stub-site", daemon=True).start()
    return server
