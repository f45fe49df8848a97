"""Problems made for people: an RFC 9457 document with a stable kind."""

from __future__ import annotations

from typing import Any

KINDS: dict[str, tuple[int, str]] = {
    "bad-request": (400, "The request is not valid"),
    "wrong-door": (403, "Not through this door"),
    "account-disabled": (403, "This account is disabled"),
    "not-found": (404, "Not found"),
    "name-taken": (409, "The name is taken"),
    "name-invalid": (400, "The name cannot be used"),
    "changed-since": (409, "Something in it has changed meanwhile"),
    "into-itself": (409, "A folder cannot be moved into itself"),
    "not-a-folder": (409, "Not a folder"),
    "not-a-file": (409, "Not a file"),
    "revision-conflict": (409, "The file has changed meanwhile"),
    "quota-exceeded": (403, "No room left in this account"),
    "too-large": (400, "Too large"),
    "digest-needed": (400, "The SHA-256 is missing"),
    "incomplete": (409, "Not all bytes have arrived"),
    "upload-lost": (409, "The upload was lost"),
    "upload-closed": (409, "The upload is closed"),
    "id-taken": (409, "The id is taken"),
    "cursor-too-old": (410, "The change log does not reach back that far"),
    "link-revoked": (410, "The link was revoked"),
    "link-expired": (410, "The link has expired"),
    "content-deleted": (410, "What the link led to was deleted"),
    "still-arriving": (409, "Still on its way"),
    "busy": (503, "The service is busy"),
}


class ProblemError(Exception):
    """One problem: `kind` of `KINDS`, `detail` for people, `current` the node that is there now (as JSON)."""

    def __init__(
        self, kind: str, detail: str, *, current: dict[str, Any] | None = None, missing_parts: list[int] | None = None
    ) -> None:
        super().__init__(kind, detail)
        self.kind = kind
        self.detail = detail
        self.current = current
        self.missing_parts = missing_parts
        self.status, self.title = KINDS[kind]

    def to_json(self, request_id: str = "") -> dict[str, Any]:
        out: dict[str, Any] = {
            "type": f"urn:satchel:problem:{self.kind}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if request_id:
            out["instance"] = f"urn:satchel:request:{request_id}"
        if self.current is not None:
            out["current"] = self.current
        if self.missing_parts is not None:
            out["missing_parts"] = self.missing_parts[:1000]
        return out
