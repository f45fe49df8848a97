"""The gateway's side of open sockets: where clients connect, and how one of them is told something."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

STAGE = "live"


class Sockets:
    """`base` is the stage's address over HTTP. The client of the gateway is made when the first message is sent."""

    def __init__(self, make_client: Callable[[str], Any], base: str) -> None:
        self._make_client = make_client
        self._base = base

    @property
    def url(self) -> str:
        """Where a client connects: `wss://…`, `ws://…` on a local cloud."""
        return "ws" + self._base.removeprefix("http")

    def send(self, connection_id: str, text: str) -> bool:
        """False when the connection is gone."""
        try:
            self._client.post_to_connection(ConnectionId=connection_id, Data=text.encode())
        except self._client.exceptions.GoneException:
            return False
        return True

    @cached_property
    def _client(self) -> Any:
        return self._make_client(self._base)
