"""Values that the rooms of the client hand to each other.

The first half mirrors `backend/openapi.yaml` name by name, so that `msgspec` reads a reply straight into it; the second
half is the client's own: what is to be sent, and what the journal remembers of it.

Sizes are bytes, times end in `_ms` (milliseconds since the epoch, UTC) or `_ns` (nanoseconds, as the disk gives them).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

ROOT = "root"
"""The id of the folder at the top of every account's tree."""

MULTIPART_FROM = 16 * 1024 * 1024
"""Files of this size and above go by multipart; below, by one PUT. The OpenAPI document says so too."""

IfTaken = Literal["fail", "rename"]


# -- the service's values ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Revision:
    revision_id: str
    size: int
    modified_ms: int
    sha256: str | None = None
    sha256_verified: bool = False


@dataclass(frozen=True, slots=True)
class Node:
    node_id: str
    parent_id: str | None
    name: str
    kind: Literal["file", "folder"]
    sequence: int
    revision: Revision | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """An RFC 9457 problem document; `kind` is the last part of its `type`."""

    type: str
    title: str
    status: int
    detail: str
    instance: str | None = None
    current: Node | None = None
    missing_parts: tuple[int, ...] = ()

    @property
    def kind(self) -> str:
        return self.type.rsplit(":", 1)[-1]


@dataclass(frozen=True, slots=True)
class Account:
    account_id: str
    status: Literal["active", "disabled"]
    used_bytes: int
    sequence: int
    quota_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class ChangeEntry:
    op: Literal["put", "trash"]
    node: Node


@dataclass(frozen=True, slots=True)
class Change:
    sequence: int
    at_ms: int
    entries: tuple[ChangeEntry, ...]


@dataclass(frozen=True, slots=True)
class ChangePage:
    changes: tuple[Change, ...]
    cursor: int
    more: bool


@dataclass(frozen=True, slots=True)
class PushTicket:
    """The way to the socket that tells of changes: good once, for a minute."""

    url: str
    ticket: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class LinkIntent:
    token: str
    expires_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Link:
    link_id: str
    node_id: str
    name: str
    state: Literal["live", "revoked", "expired"]
    created_ms: int
    views: int = 0
    downloads: int = 0
    path: str | None = None
    expires_ms: int | None = None


@dataclass(frozen=True, slots=True)
class FolderIntent:
    node_id: str
    parent_id: str
    name: str
    if_taken: IfTaken = "fail"
    link: LinkIntent | None = None


@dataclass(frozen=True, slots=True)
class FolderMade:
    outcome: Literal["done", "problem"]
    node: Node | None = None
    link: Link | None = None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class UploadIntent:
    upload_id: str
    node_id: str
    parent_id: str
    name: str
    size: int
    modified_ms: int
    sha256: str | None = None
    base_revision: str | None = None
    if_taken: IfTaken = "fail"
    link: LinkIntent | None = None
    part_sizes: tuple[int, ...] | None = None
    """The parts it would like to come in, so that some can be copied from the revision before."""


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A presigned request; the address to call is `url + "?" + signing_query + "&" + query`."""

    url: str
    query: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class OpenedUpload:
    upload_id: str
    outcome: Literal["present", "put", "multipart", "done", "problem"]
    put: SignedRequest | None = None
    part_size: int | None = None
    part_sizes: tuple[int, ...] = ()
    """In place of `part_size` where the asked ones were taken."""
    link: Link | None = None
    node: Node | None = None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class OpenedUploads:
    signing_query: str
    uploads: tuple[OpenedUpload, ...]


@dataclass(frozen=True, slots=True)
class PartToSign:
    """A part to send, with the digest of its bytes, or one to copy from that offset of the revision before."""

    part: int
    crc64nvme: str | None = None
    copy_from: int | None = None


@dataclass(frozen=True, slots=True)
class SignedPart:
    part: int
    url: str
    query: str
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class PresentPart:
    part: int
    size: int
    crc64nvme: str | None = None


@dataclass(frozen=True, slots=True)
class PartsReply:
    signing_query: str
    signed: tuple[SignedPart, ...]
    present: tuple[PresentPart, ...] = ()
    more: bool = False


@dataclass(frozen=True, slots=True)
class CompleteItem:
    upload_id: str
    sha256: str | None = None
    base_revision: str | None = None


@dataclass(frozen=True, slots=True)
class CompleteResult:
    upload_id: str
    outcome: Literal["done", "pending", "problem"]
    node: Node | None = None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class UploadStatus:
    upload_id: str
    state: Literal["open", "completing", "done", "aborted"]
    size: int
    sent_bytes: int
    node: Node | None = None


@dataclass(frozen=True, slots=True)
class ContentSource:
    """Where a file's content can be fetched; `url` is complete and good for a few minutes and for range requests."""

    url: str
    node: Node


@dataclass(frozen=True, slots=True)
class FoundContent:
    """`url` and `query` are as in a `SignedRequest`, good for a few minutes and for range requests."""

    node_id: str
    outcome: Literal["done", "problem"]
    node: Node | None = None
    url: str = ""
    query: str = ""
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class FoundContents:
    signing_query: str
    contents: tuple[FoundContent, ...]


@dataclass(frozen=True, slots=True)
class Discovery:
    """`/.well-known/satchel.json` of a site: where everything is. `identity_endpoint` is set for a local cloud only."""

    satchel: int
    version: str
    site: str
    region: str
    user_pool_id: str
    client_id: str
    identity_endpoint: str | None = None


# -- the client's own -------------------------------------------------------------------------------------------------


class TransferState(StrEnum):
    WAITING = "waiting"
    HASHING = "hashing"
    SENDING = "sending"
    FINISHING = "finishing"
    PAUSED = "paused"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        return self._value_ in _FINAL


_FINAL = frozenset({"done", "failed", "cancelled"})
"""Plain text: comparing members of an enum is slow, and this is asked nine times for each file."""


@dataclass(frozen=True, slots=True)
class UploadRequest:
    """One local file that is to become a revision of a node.

    `origin` is `drop` for what a person dropped or put, `root` for a watched folder's files. Requests of one `group`
    are shown as one row. `base_revision` is None for a new node. `upload_id` and `link_token` are made by the caller so
    that a crash between any two steps repeats the same request rather than a second one.
    """

    upload_id: str
    path: str
    node_id: str
    parent_id: str
    name: str
    origin: Literal["drop", "root"]
    group: str
    base_revision: str | None = None
    if_taken: IfTaken = "fail"
    link_token: str | None = None
    link_expires_ms: int | None = None


@dataclass(frozen=True, slots=True)
class StoredUpload:
    """What the journal remembers of an upload until it is done: enough to go on after a crash.

    `size` and `mtime_ns` are those of the file when it was read first; another file under the same path is another
    upload. `part_size` is 0 until the service has answered with a multipart plan.
    """

    request: UploadRequest
    size: int
    mtime_ns: int
    state: TransferState
    created_ms: int
    sha256: str | None = None
    part_size: int = 0
    message: str = ""
    link_url: str | None = None


@dataclass(frozen=True, slots=True)
class SavedLink:
    """A link made here: the only place besides the clipboard that knows its whole address."""

    link_id: str
    name: str
    url: str
    node_id: str
    created_ms: int
    site: str = field(default="")
