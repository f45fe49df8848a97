"""What moving bytes needs from outside; the engine wires `cloud.Cloud` and the journal's uploads in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from satchel.core.model import (
    CompleteItem,
    CompleteResult,
    OpenedUploads,
    PartsReply,
    PartToSign,
    StoredUpload,
    UploadIntent,
    UploadStatus,
)


class UploadService(Protocol):
    """The service's upload routes. Blocking and thread-safe; every method raises the `SatchelError` family."""

    def open_uploads(self, intents: Sequence[UploadIntent]) -> OpenedUploads:
        """Up to 100, one answer each, in their order."""

    def upload_parts(
        self,
        upload_id: str,
        *,
        sign: Sequence[PartToSign] = (),
        list_after: int | None = None,
        sent_bytes: int | None = None,
    ) -> PartsReply:
        """Sign up to 64 parts, list those that S3 holds above `list_after`, report progress."""

    def complete_uploads(self, items: Sequence[CompleteItem]) -> Sequence[CompleteResult]:
        """Up to 100, one result each, in their order."""

    def get_upload(self, upload_id: str) -> UploadStatus: ...

    def abort_upload(self, upload_id: str) -> None: ...


class UploadStore(Protocol):
    """What outlives a crash. Thread-safe; a method has stored what it was given when it returns."""

    def add(self, uploads: Sequence[StoredUpload]) -> None:
        """All of them at once, replacing those with the same id."""

    def save(self, upload: StoredUpload) -> None: ...

    def get(self, upload_id: str) -> StoredUpload | None: ...

    def unfinished(self) -> list[StoredUpload]:
        """Those not done, failed or cancelled; oldest first."""

    def given_up(self) -> list[StoredUpload]:
        """Cancelled, and a watched folder's that failed; those that the service has heard of are removed."""

    def forget_done(self, before_ms: int) -> None:
        """Those that are done and began before that time, in milliseconds since the epoch."""

    def remove(self, upload_id: str) -> None: ...

    def part_done(self, upload_id: str, part: int, crc64nvme: str, size: int) -> None: ...

    def parts(self, upload_id: str) -> dict[int, str]:
        """The CRC64NVME of every part that S3 acknowledged, by part number."""

    def forget_parts(self, upload_id: str) -> None: ...

    def remember(self, node_id: str, revision_id: str, size: int, head: bytes, signature: bytes | None) -> None:
        """A large file's newest revision: the digest of its beginning, and how to tell what changes in it next. May be
        forgotten at any time."""

    def signature(self, node_id: str, revision_id: str) -> bytes | None:
        """What `remember` was given for just this revision, while it is the node's newest."""

    def heads(self, size: int) -> set[bytes]:
        """The digests of the beginnings of all revisions of this size."""
