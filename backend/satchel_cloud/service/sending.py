"""Uploads on their way: sign parts, list them, tell progress, give up."""

from __future__ import annotations

from typing import Any

from satchel_cloud.adapters import rows
from satchel_cloud.adapters.objects import GoneError
from satchel_cloud.adapters.signing import Signed, split
from satchel_cloud.adapters.table import ConflictError, update
from satchel_cloud.domain.model import PartToSign, Upload
from satchel_cloud.domain.problems import ProblemError
from satchel_cloud.domain.uploads import part_length, parts_of

from .context import Context

SWEEP_MS = 2 * 3600 * 1000
"""An aborted upload is swept when the last URL signed for it has surely died."""


def upload_of(ctx: Context, account: str, upload_id: str) -> Upload:
    item = ctx.table.get(rows.upload_key(upload_id))
    if item is None or item["account"] != account:
        raise ProblemError("not-found", "There is no such upload.")
    return rows.read_upload(item)


def upload_status(ctx: Context, account: str, upload_id: str) -> dict[str, Any]:
    upload = upload_of(ctx, account, upload_id)
    out = {
        "upload_id": upload.upload_id, "state": upload.state, "size": upload.size, "sent_bytes": upload.sent_bytes,
    }  # fmt: skip
    return out | ({"node": upload.node} if upload.node else {})


def upload_parts(
    ctx: Context,
    account: str,
    upload_id: str,
    sign: list[PartToSign],
    *,
    listed: bool,
    after: int,
    sent_bytes: int | None,
) -> dict[str, Any]:
    upload = upload_of(ctx, account, upload_id)
    if upload.state != "open":
        raise ProblemError("upload-closed", "This upload is done or was given up.")
    if sent_bytes is not None:
        _tell(ctx, upload, min(sent_bytes, upload.size))
    out: dict[str, Any] = {"signing_query": "", "signed": []}
    if not sign and not listed:
        return out
    if upload.multipart_id is None:
        raise ProblemError("bad-request", "This upload has no parts. Open it again for a fresh PUT.")
    multipart_id, lengths = upload.multipart_id, parts_of(upload)
    common, own = split([_signed(ctx, upload, multipart_id, part, part_length(part.part, lengths)) for part in sign])
    out["signing_query"] = common
    out["signed"] = [{"part": asked.part, **request} for asked, request in zip(sign, own, strict=True)]
    if listed:
        try:
            parts, more = ctx.objects.parts(upload.key, multipart_id, after)
        except GoneError:
            # Put together already, perhaps: complete tells.
            if ctx.objects.size(upload.key) == upload.size:
                raise ProblemError("upload-closed", "All parts have arrived: complete the upload.") from None
            detail = "S3 has lost this upload. Open it again with a new id and send the file again."
            raise ProblemError("upload-lost", detail) from None
        out["present"] = [
            {"part": p.number, "size": p.size} | ({"crc64nvme": p.crc64nvme} if p.crc64nvme else {}) for p in parts
        ]
        out["more"] = more
    return out


def _signed(ctx: Context, upload: Upload, multipart_id: str, asked: PartToSign, length: int) -> Signed:
    """A request that sends a part, or copies it: from the source that was chosen at opening and from no other."""
    if asked.crc64nvme is not None:
        return ctx.signer.part(upload.key, multipart_id, asked.part, length, asked.crc64nvme)
    first, source = asked.copy_from, upload.source
    if first is None or source is None:
        raise ProblemError("bad-request", "This upload copies nothing: send the part.")
    if first + length > source.size:
        raise ProblemError("bad-request", f"Part {asked.part} would be copied from beyond the end of its source.")
    return ctx.signer.copied_part(upload.key, multipart_id, asked.part, source, range(first, first + length))


def _tell(ctx: Context, upload: Upload, sent_bytes: int) -> None:
    change = update(
        rows.upload_key(upload.upload_id), "SET #sent_bytes = :sent", "#state = :open", sent=sent_bytes, open="open"
    )
    try:
        ctx.table.write([change])
    except ConflictError:
        raise ProblemError("upload-closed", "This upload is done or was given up.") from None


def abort_upload(ctx: Context, account: str, upload_id: str) -> None:
    """Give it up. What was sent is thrown away: parts at once, a whole object by the janitor."""
    upload = upload_of(ctx, account, upload_id)
    if upload.state == "open":
        try:
            mark_aborted(ctx, upload)
        except ConflictError:
            upload = upload_of(ctx, account, upload_id)
    if upload.state == "done":
        raise ProblemError("upload-closed", "This upload is done. Delete the file instead.")
    if upload.multipart_id:
        ctx.objects.abort_multipart(upload.key, upload.multipart_id)


def mark_aborted(ctx: Context, upload: Upload) -> None:
    """Raises `ConflictError` when it is open no more."""
    key = rows.upload_key(upload.upload_id)
    due = rows.due(key, ctx.now_ms() + SWEEP_MS)
    change = "SET #state = :aborted, #due_shard = :due_shard, #due_ms = :due_ms"
    ctx.table.write([update(key, change, "#state = :open", aborted="aborted", open="open", **due)])
