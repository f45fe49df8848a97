"""The values of the service. Sizes are bytes, times milliseconds since the epoch, UTC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

ROOT = "root"


@dataclass(frozen=True, slots=True)
class Head:
    """What an account's commits are serialized by, and what it uses."""

    account: str
    sequence: int = 0
    used_bytes: int = 0
    status: str = "active"
    quota_bytes: int | None = None
    """Set by an administrator for this account alone; 0 is no limit, None is what the service gives everybody."""


@dataclass(frozen=True, slots=True)
class Revision:
    """One version of a file. `content` names the content row, `key` the object in S3: neither leaves the service."""

    revision_id: str
    size: int
    modified_ms: int
    key: str
    content: str
    sha256: str | None = None
    sha256_verified: bool = False

    def to_json(self) -> dict[str, Any]:
        out: dict[str, Any] = {
            "revision_id": self.revision_id,
            "size": self.size,
            "modified_ms": self.modified_ms,
        }
        if self.sha256:
            out |= {"sha256": self.sha256, "sha256_verified": self.sha256_verified}
        return out


@dataclass(frozen=True, slots=True)
class Node:
    node_id: str
    parent_id: str | None
    name: str
    kind: Literal["file", "folder"]
    sequence: int
    revision: Revision | None = None

    def to_json(self) -> dict[str, Any]:
        out: dict[str, Any] = {
            "node_id": self.node_id,
            "parent_id": self.parent_id,
            "name": self.name,
            "kind": self.kind,
            "sequence": self.sequence,
        }
        if self.revision:
            out["revision"] = self.revision.to_json()
        return out


@dataclass(frozen=True, slots=True)
class LinkIntent:
    token: str
    expires_ms: int | None = None


@dataclass(frozen=True, slots=True)
class FolderIntent:
    node_id: str
    parent_id: str
    name: str
    if_taken: str = "fail"
    link: LinkIntent | None = None


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
    if_taken: str = "fail"
    link: LinkIntent | None = None
    part_sizes: tuple[int, ...] = ()
    """The parts it would like to come in, so that some of them can be copied from the revision before."""


@dataclass(frozen=True, slots=True)
class CompleteItem:
    upload_id: str
    sha256: str | None = None
    base_revision: str | None = None


@dataclass(frozen=True, slots=True)
class PartToSign:
    """A part to send, with the digest of its bytes, or one to copy from the offset `copy_from` of the source."""

    part: int
    crc64nvme: str | None = None
    copy_from: int | None = None


@dataclass(frozen=True, slots=True)
class Source:
    """One version of an object that parts may be copied from."""

    key: str
    version: str
    size: int


@dataclass(frozen=True, slots=True)
class Upload:
    """`via` says how its bytes come: `put`, `multipart`, or `present` (they are here: `content` names them)."""

    upload_id: str
    account: str
    node_id: str
    parent_id: str
    name: str
    size: int
    modified_ms: int
    created_ms: int
    via: str
    key: str
    state: str = "open"
    sha256: str | None = None
    base_revision: str | None = None
    if_taken: str = "fail"
    multipart_id: str | None = None
    part_size: int | None = None
    part_sizes: tuple[int, ...] = ()
    """Of every part in turn, in place of `part_size`; then there is a `source` to copy from."""
    source: Source | None = None
    content: str | None = None
    sent_bytes: int = 0
    node: dict[str, Any] | None = None
    """What it became, as JSON, once it is done."""


@dataclass(frozen=True, slots=True)
class Link:
    """`token_hash` is the hex SHA-256 of the token; its first 32 digits are the `link_id`."""

    token_hash: str
    account: str
    node_id: str
    name: str
    created_ms: int
    expires_ms: int | None = None
    revoked: bool = False
    views: int = 0
    downloads: int = 0
    upload_id: str | None = None

    @property
    def link_id(self) -> str:
        return self.token_hash[:32]

    def to_json(self, now_ms: int, *, name: str | None = None, token: str | None = None) -> dict[str, Any]:
        expired = self.expires_ms is not None and self.expires_ms <= now_ms
        out: dict[str, Any] = {
            "link_id": self.link_id,
            "node_id": self.node_id,
            "name": name or self.name,
            "state": "revoked" if self.revoked else "expired" if expired else "live",
            "created_ms": self.created_ms,
            "views": self.views,
            "downloads": self.downloads,
        }
        if self.expires_ms is not None:
            out["expires_ms"] = self.expires_ms
        if token:
            out["path"] = f"/s/{token}"
        return out
