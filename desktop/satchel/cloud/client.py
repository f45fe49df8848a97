"""The service's routes, one method each, named as in `backend/openapi.yaml`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from satchel.core.errors import NotSignedInError
from satchel.core.model import (
    Account,
    ChangePage,
    CompleteItem,
    CompleteResult,
    ContentSource,
    Discovery,
    FolderIntent,
    FolderMade,
    FoundContents,
    IfTaken,
    Link,
    LinkIntent,
    Node,
    OpenedUploads,
    PartsReply,
    PartToSign,
    PushTicket,
    UploadIntent,
    UploadStatus,
)
from satchel.core.ports import Clock, Ids, SystemClock, SystemIds

from .http import Http, Reply, not_the_service, referring, refusal

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class NodePage:
    """A page of a folder; `next` is the page to ask for, None after the last."""

    nodes: tuple[Node, ...]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class LinkPage:
    links: tuple[Link, ...]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class _Folders:
    folders: tuple[FolderMade, ...]


@dataclass(frozen=True, slots=True)
class _Completed:
    results: tuple[CompleteResult, ...]


class Cloud:
    """The signed-in account's service. Blocking and thread-safe.

    `access_token()` gives a good token; `refresh(used)` gives another one after the gateway has refused `used`.
    Every method raises the `SatchelError` family: `RefusedError` for a problem document, `NotSignedInError`,
    `BusyError` with `retry_after`, `OfflineError`. All requests are idempotent, by client-made ids, and are repeated.
    """

    def __init__(
        self,
        discovery: Discovery,
        access_token: Callable[[], str],
        *,
        refresh: Callable[[str], str] | None = None,
        clock: Clock | None = None,
        ids: Ids | None = None,
    ) -> None:
        self.site = discovery.site
        self._access_token = access_token
        self._refresh = refresh
        self._http = Http(self.site, clock or SystemClock(), ids or SystemIds())

    def close(self) -> None:
        """Drop the connections; the next request opens new ones."""
        self._http.close()

    # -- account ---------------------------------------------------------------------------------------------------

    def get_account(self) -> Account:
        return self._call("GET", "/v1/account", Account)

    # -- uploads ---------------------------------------------------------------------------------------------------

    def open_uploads(self, intents: Sequence[UploadIntent]) -> OpenedUploads:
        """Up to 100, one answer each, in their order."""
        return self._call("POST", "/v1/uploads", OpenedUploads, {"intents": intents})

    def complete_uploads(self, items: Sequence[CompleteItem]) -> tuple[CompleteResult, ...]:
        """Up to 100, one result each, in their order; those `pending` are to be asked for again."""
        return self._call("POST", "/v1/uploads/complete", _Completed, {"uploads": items}).results

    def get_upload(self, upload_id: str) -> UploadStatus:
        return self._call("GET", f"/v1/uploads/{_part(upload_id)}", UploadStatus)

    def abort_upload(self, upload_id: str) -> None:
        self._call("DELETE", f"/v1/uploads/{_part(upload_id)}", None)

    def upload_parts(
        self,
        upload_id: str,
        *,
        sign: Sequence[PartToSign] = (),
        list_after: int | None = None,
        sent_bytes: int | None = None,
    ) -> PartsReply:
        """Sign up to 64 parts, list those S3 holds above `list_after`, report progress: any of these at once."""
        body: dict[str, Any] = {}
        if sign:
            body["sign"] = sign
        if list_after is not None:
            body |= {"list": True, "after": list_after}
        if sent_bytes is not None:
            body["sent_bytes"] = sent_bytes
        return self._call("POST", f"/v1/uploads/{_part(upload_id)}/parts", PartsReply, body)

    # -- tree ------------------------------------------------------------------------------------------------------

    def make_folders(self, folders: Sequence[FolderIntent]) -> tuple[FolderMade, ...]:
        """Up to 50, one answer each, in their order."""
        return self._call("POST", "/v1/folders", _Folders, {"folders": folders}).folders

    def find_node(self, path: str) -> Node:
        """The node at an absolute path; `RefusedError` of kind `not-found`."""
        return self._call("GET", "/v1/nodes", Node, query={"path": path})

    def get_node(self, node_id: str) -> Node:
        return self._call("GET", f"/v1/nodes/{_part(node_id)}", Node)

    def move_node(
        self,
        node_id: str,
        *,
        parent_id: str | None = None,
        name: str | None = None,
        if_taken: IfTaken = "fail",
    ) -> Node:
        body = {"parent_id": parent_id, "name": name, "if_taken": if_taken}
        return self._call("PATCH", f"/v1/nodes/{_part(node_id)}", Node, body)

    def trash_node(self, node_id: str, *, seen: int | None = None) -> None:
        """`RefusedError` of kind `changed-since` when it, or something in it, changed after the cursor `seen`."""
        self._call("DELETE", f"/v1/nodes/{_part(node_id)}", None, query={"seen": seen})

    def list_children(self, node_id: str, *, page: str | None = None, limit: int | None = None) -> NodePage:
        return self._call("GET", f"/v1/nodes/{_part(node_id)}/children", NodePage, query={"page": page, "limit": limit})

    def children(self, node_id: str) -> Iterator[Node]:
        """Every page of `list_children`, node by node."""
        page: str | None = None
        while True:
            found = self.list_children(node_id, page=page)
            yield from found.nodes
            if (page := found.next) is None:
                return

    def get_content(self, node_id: str) -> ContentSource:
        return self._call("GET", f"/v1/nodes/{_part(node_id)}/content", ContentSource)

    def get_contents(self, node_ids: Sequence[str]) -> FoundContents:
        """Up to 100, one answer each, in their order; those with a problem of kind `busy` are to be asked for again.
        `RefusedError` of status 404 from a service that is too old for it."""
        return self._call("POST", "/v1/contents", FoundContents, {"node_ids": node_ids})

    def list_changes(self, after: int, *, limit: int | None = None) -> ChangePage:
        """`RefusedError` of kind `cursor-too-old` when the log no longer reaches back so far."""
        return self._call("GET", "/v1/changes", ChangePage, query={"after": after, "limit": limit})

    def open_push(self, client_id: str) -> PushTicket:
        """The way to the socket that tells of changes; `RefusedError` of status 404 from a service that has none."""
        return self._call("POST", "/v1/push", PushTicket, {"client_id": client_id})

    # -- links -----------------------------------------------------------------------------------------------------

    def list_links(self, *, page: str | None = None, limit: int | None = None) -> LinkPage:
        return self._call("GET", "/v1/links", LinkPage, query={"page": page, "limit": limit})

    def links(self) -> Iterator[Link]:
        """Every page of `list_links`, newest first."""
        page: str | None = None
        while True:
            found = self.list_links(page=page)
            yield from found.links
            if (page := found.next) is None:
                return

    def create_link(self, node_id: str, link: LinkIntent) -> Link:
        return self._call("POST", "/v1/links", Link, {"node_id": node_id, "link": link})

    def revoke_link(self, link_id: str) -> None:
        self._call("DELETE", f"/v1/links/{_part(link_id)}", None)

    # -- how -------------------------------------------------------------------------------------------------------

    def _call(
        self,
        method: str,
        path: str,
        shape: type[T] | None,
        body: dict[str, Any] | None = None,
        *,
        query: dict[str, Any] | None = None,
    ) -> T:
        asked = {name: value for name, value in (query or {}).items() if value is not None}
        url = self.site + path + (f"?{urlencode(asked)}" if asked else "")
        content = None if body is None else _ENCODER.encode(_without_none(body))
        token = self._access_token()
        reply = self._exchange(method, url, content, token)
        if reply.status == 401 and self._refresh is not None:
            reply = self._exchange(method, url, content, self._refresh(token))
        if reply.status == 401:
            raise referring(NotSignedInError("The session has ended", "Sign in again."), reply)
        if not 200 <= reply.status < 300:
            if 300 <= reply.status < 400:
                raise not_the_service()
            raise refusal(reply)
        if shape is None:
            if reply.status != 204 and reply.body and not reply.is_json:
                raise not_the_service()
            return None  # type: ignore[return-value] # callers that pass no shape take no value
        if not reply.is_json:
            raise not_the_service()
        try:
            return msgspec.json.decode(reply.body, type=shape)
        except msgspec.DecodeError as error:
            raise not_the_service() from error

    def _exchange(self, method: str, url: str, content: bytes | None, token: str) -> Reply:
        headers = {"authorization": f"Bearer {token}", "accept": "application/json"}
        if content is not None:
            headers["content-type"] = "application/json"
        return self._http.repeat(lambda: self._http.send(method, url, body=content, headers=headers))


_ENCODER = msgspec.json.Encoder()


def _part(value: str) -> str:
    return quote(value, safe="")


def _without_none(value: Any) -> Any:
    """The service takes an absent field and no null: dataclasses lose the fields that are None."""
    plain = msgspec.to_builtins(value)
    if isinstance(plain, dict):
        return {name: _without_none(item) for name, item in plain.items() if item is not None}
    if isinstance(plain, list | tuple):
        return [_without_none(item) for item in plain]
    return plain
