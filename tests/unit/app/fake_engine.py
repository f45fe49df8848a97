"""An engine of the tests: answers what a test scripts, remembers what it was asked, streams what a test pushes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

from satchel.core.errors import EngineError

SETTINGS = {
    "theme": "light",
    "autostart": False,
    "notifications": True,
    "paused": False,
    "connections": 6,
    "upload_limit": 0,
    "download_limit": 0,
}
ACCOUNT = {
    "state": "signed_in",
    "site": "https://files.example.com",
    "email": "alice.martin@example.com",
    "used_bytes": 42_600_000_000,
    "quota_bytes": 100_000_000_000,
    "remembered": True,
}


def row(transfer_id: str, state: str = "done", **values: Any) -> dict[str, Any]:
    """A `TransferRow` as JSON values."""
    return {
        "transfer_id": transfer_id,
        "direction": "up",
        "origin": "drop",
        "name": f"{transfer_id}.pdf",
        "local_path": f"/home/alice/{transfer_id}.pdf",
        "state": state,
        "size": 1000,
        "sent_bytes": 1000 if state == "done" else 0,
        "files": 1,
        "files_done": 0,
        "rate": 0.0,
        "seconds_left": None,
        "message": "",
        "link_url": f"https://files.example.com/s/{transfer_id}",
        "created_ms": 0,
    } | values


def link(name: str) -> dict[str, Any]:
    return {"link_id": name, "name": name, "url": f"https://files.example.com/s/{name}", "created_ms": 0}


def root(path: str = "/home/alice/Share", **values: Any) -> dict[str, Any]:
    return {
        "root_id": "r1",
        "path": path,
        "remote_path": "/Share",
        "mode": "upload-only",
        "state": "in_step",
        "waiting": 0,
        "held": [],
        "last_full_scan_ms": None,
        "deletions": 0,
        "verified": None,
        "left_out": [],
    } | values


def snapshot(*transfers: dict[str, Any], **values: Any) -> dict[str, Any]:
    return {
        "headline": "Ready",
        "tone": "ok",
        "account": ACCOUNT,
        "paused": False,
        "transfers": list(transfers),
        "transfers_active": 0,
        "links": [],
        "roots": [],
        "notices": [],
        "settings_set": 0,
    } | values


class FakeEngine:
    """A `satchel.app.line.Engine`. `answers` are values, errors to raise, or functions of the parameters."""

    def __init__(self, first: dict[str, Any] | None = None, **answers: Any) -> None:
        self.answers: dict[str, Any] = {"settings_get": SETTINGS, "show": False} | answers
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.watched = threading.Event()
        self.closed = False
        self._events: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self.push(first or snapshot())

    def push(self, event: dict[str, Any]) -> None:
        self._events.put(event)

    def end(self) -> None:
        """As when the engine's process ends."""
        self._events.put(None)

    def asked(self, method: str) -> list[dict[str, Any]]:
        """The parameters of every call of `method` so far."""
        return [params for name, params in list(self.calls) if name == method]

    def call(self, method: str, /, **params: Any) -> Any:
        self.calls.append((method, params))
        answer = self.answers.get(method)
        if isinstance(answer, Exception):
            raise answer
        if method == "settings_set" and answer is None:
            self.answers["settings_get"] = self.answers["settings_get"] | params
            return self.answers["settings_get"]
        return answer(**params) if isinstance(answer, Callable) else answer  # type: ignore[arg-type] # is a class

    def stream(self, method: str, /, **params: Any) -> Iterator[tuple[str, Any]]:
        self.calls.append((method, params))
        self.watched.set()
        while (event := self._events.get()) is not None:
            yield "event", event
        raise EngineError("The engine went away")

    def close(self) -> None:
        self.closed = True
        self.end()
