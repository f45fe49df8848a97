"""Sending one file of a watched folder, and what becomes of its item."""

from __future__ import annotations

from dataclasses import replace

from satchel.core.errors import RefusedError
from satchel.core.model import Node, UploadRequest
from satchel.disk import Entry
from satchel.journal.tree import TRASHED, UNKNOWN

from .apply import rebase
from .carry import checked
from .operations import Upload
from .plan import unmade
from .ports import Uploads
from .remote import Side, followed

_SENT_KEPT = 3
"""Uploads of one file that may be known to the service without us knowing it."""


async def send(side: Side, uploads: Uploads, operation: Upload) -> bool:
    """Upload and record; True when the file on disk is what was sent, False when it must be looked at again.

    Conflicts are rebased: the item then owns what is there, and the next plan sends a new revision if the contents
    differ. Raises what else the upload raises.
    """
    item = operation.item
    upload_id = side.new_id()
    if side.root.two_way:
        await side.blocking(lambda: _note(side, item.item_id, upload_id))
    request = UploadRequest(
        upload_id=upload_id,
        path=side.disk.absolute(operation.path),
        node_id=item.node_id,
        parent_id=item.remote_parent,
        name=item.remote_name,
        origin="root",
        group=side.root.root_id,
        base_revision=item.revision_id,
    )
    try:
        node = await uploads.upload(request)
    except RefusedError as error:
        if not await _go_on(side, operation, error):
            raise
        return False
    return await side.blocking(lambda: _record(side, operation, node))


def _note(side: Side, item_id: str, upload_id: str) -> None:
    """If the answer is lost, the log's news of this revision is no news."""
    item = side.tree.get(item_id)
    if item is not None:
        before = [one for one in item.sent.split() if one != TRASHED]
        side.tree.put(replace(item, sent=" ".join([*before[-_SENT_KEPT + 1 :], upload_id])))


async def _go_on(side: Side, operation: Upload, error: RefusedError) -> bool:
    if error.kind in ("name-taken", "revision-conflict") and isinstance(error.current, Node):
        return await rebase(side, operation, error.current)
    if error.kind == "id-taken" and operation.item.state == "intended":
        await side.blocking(lambda: _take_another_id(side, operation.item.item_id))
        return True
    return False


def _take_another_id(side: Side, item_id: str) -> None:
    item = side.tree.get(item_id)
    if item is not None and item.state == "intended":  # else the log has told meanwhile that it is there
        side.tree.put(replace(item, node_id=side.new_id()))


def _record(side: Side, operation: Upload, node: Node) -> bool:
    found = side.disk.stat(operation.path)
    entry = _as_sent(operation.entry, node)
    if entry is not None and (found is None or found.file_id != entry.file_id):
        # Another file of the same size and time may have been in its place when it was read: the digest tells.
        entry = entry._replace(size=UNKNOWN)
    entry = entry or _as_sent(found, node)
    with side.journal.transaction():
        item = side.tree.get(operation.item.item_id)
        if item is None:
            return False  # deleted meanwhile, with its folder
        if not item.here:
            return False  # it has no local half any more: the log tells of what was sent
        if side.root.two_way and item.sequence < node.sequence <= (side.journal.roots.cursor(side.root.root_id) or 0):
            # All was listed since it was made, and it was not there any more.
            side.tree.put(unmade(item, side.new_id()))
            return False
        if node.sequence < item.sequence or (node.sequence == item.sequence and item.state == "trashed"):
            # The log was quicker, and knows more: what went with a folder has its own sequence still.
            known = item.revision_id == node.revision.revision_id if node.revision else False
            sent = replace(item, size=UNKNOWN) if known else item
        else:
            sent = replace(followed(item, node), node_id=node.node_id, state="live", size=UNKNOWN)
        if node.revision is not None:
            sent = replace(sent, synced_revision=node.revision.revision_id, synced_sha256=node.revision.sha256)
        if entry is not None:
            sent = replace(sent, size=entry.size, mtime_ns=entry.mtime_ns, file_id=entry.file_id)
        side.tree.put(checked(side, sent) if side.root.two_way else sent)
    return entry is not None and entry.size != UNKNOWN


def _as_sent(entry: Entry | None, node: Node) -> Entry | None:
    """The entry, if it is what the node's revision was made from; the file may have changed before it was read."""
    revision = node.revision
    if entry is None or revision is None:
        return None
    same = entry.size == revision.size and entry.mtime_ns // 1_000_000 == revision.modified_ms
    return entry if same else None
