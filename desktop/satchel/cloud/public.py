"""Share links as anybody may use them: no sign-in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlencode, urlsplit

import msgspec

from satchel.core.errors import UsageError
from satchel.core.ports import Clock, Ids, SystemClock, SystemIds

from .discovery import site_of
from .http import Http, Reply, not_the_service, refusal


@dataclass(frozen=True, slots=True)
class LinkItem:
    node_id: str
    kind: Literal["file", "folder"]
    name: str
    size: int | None = None
    modified_ms: int | None = None


@dataclass(frozen=True, slots=True)
class LinkView:
    kind: Literal["file", "folder"]
    name: str
    state: Literal["ready", "arriving", "stopped"]
    size: int | None = None
    modified_ms: int | None = None
    sent_bytes: int | None = None
    expires_ms: int | None = None
    folder_id: str | None = None
    items: tuple[LinkItem, ...] = ()
    next: str | None = None


def parse_link(url: str) -> tuple[str, str]:
    """Site and token of `https://site/s/TOKEN`. Raises `UsageError`."""
    found = re.fullmatch(r"/s/([A-Za-z0-9_-]{22,64})/?", urlsplit(url.strip()).path)
    if not found:
        raise UsageError("This is not a Satchel link", "A link looks like https://files.example.com/s/… .")
    return site_of(url), found[1]


class PublicLinks:
    """The `/p/` routes of one site. Blocking and thread-safe; refusals are `RefusedError` (`link-expired`, ...)."""

    def __init__(self, site: str, *, clock: Clock | None = None, ids: Ids | None = None) -> None:
        self._site = site_of(site)
        self._http = Http(self._site, clock or SystemClock(), ids or SystemIds())

    def view_link(self, token: str, *, folder: str | None = None, page: str | None = None) -> LinkView:
        """What the link leads to; for a folder, a page of what is in it."""
        reply = self._ask("GET", f"/p/{_token(token)}", folder=folder, page=page)
        try:
            return msgspec.json.decode(reply.body, type=LinkView)
        except msgspec.DecodeError as error:
            raise not_the_service() from error

    def count_view(self, token: str) -> None:
        # Not repeated: a lost answer would count twice.
        reply = self._http.send("POST", f"{self._site}/p/{_token(token)}/views")
        if reply.status >= 300:
            raise refusal(reply)

    def download_link(self, token: str, *, node: str | None = None) -> str:
        """The presigned address of the bytes; counts one download."""
        query = f"?{urlencode({'node': node})}" if node else ""
        reply = self._http.send("GET", f"{self._site}/p/{_token(token)}/content{query}")
        where = reply.headers.get("location", "")
        if reply.status == 302 and where.startswith(("https://", "http://")):
            return where
        if reply.status < 400:
            raise not_the_service()
        raise refusal(reply)

    def _ask(self, method: str, path: str, **query: str | None) -> Reply:
        asked = {name: value for name, value in query.items() if value is not None}
        url = self._site + path + (f"?{urlencode(asked)}" if asked else "")
        reply = self._http.repeat(lambda: self._http.send(method, url, headers={"accept": "application/json"}))
        if reply.status == 200 and reply.is_json:
            return reply
        if reply.status < 400:
            raise not_the_service()
        raise refusal(reply)


def _token(token: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_-]{22,64}", token):
        raise UsageError("This is not a link's token", "Copy the whole link again.")
    return token
