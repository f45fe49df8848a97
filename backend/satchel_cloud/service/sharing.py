"""The public side of links: what whoever has the token may see and fetch. Reads, counts, signs; writes nothing else."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Any

from satchel_cloud.adapters import rows
from satchel_cloud.adapters.table import update
from satchel_cloud.domain.links import check_open, token_hash
from satchel_cloud.domain.model import Link, Node, Upload
from satchel_cloud.domain.problems import ProblemError

from .context import Context
from .fetching import sign
from .tree import Tree, children

_PAGE = 150
_DELETED = "The sender has deleted what this link led to."


@dataclass(frozen=True, slots=True)
class Shared:
    """A link that is open, with the node it leads to, or the upload that will be that node."""

    link: Link
    tree: Tree
    node: Node | None = None
    upload: Upload | None = None


def shared(ctx: Context, token: str) -> Shared:
    """Raises `not-found`, `link-revoked`, `link-expired`, `account-disabled` or `content-deleted`."""
    digest = token_hash(token)
    item = ctx.table.get(rows.link_key(digest[:32]))
    if item is None or not hmac.compare_digest(item["token_hash"], digest):
        raise ProblemError("not-found", "There is no such link. Check that it was copied whole.")
    link = rows.read_link(item)
    check_open(link, ctx.now_ms())
    head = ctx.table.get(rows.head_key(link.account))
    if head is None or head["status"] != "active":
        raise ProblemError("account-disabled", "The sender's account is disabled. Ask them for another way.")
    tree = Tree(ctx, link.account)
    if tree.locator(link.node_id) is None and link.upload_id:
        row = ctx.table.get(rows.upload_key(link.upload_id))
        if row and row["account"] == link.account and row["state"] != "done":
            return Shared(link, tree, upload=rows.read_upload(row))
        tree = Tree(ctx, link.account)  # it may have been completed between the two looks
    try:
        return Shared(link, tree, node=tree.node(link.node_id))
    except ProblemError:
        raise ProblemError("content-deleted", _DELETED) from None


def view(ctx: Context, token: str, folder_id: str | None, after: str | None) -> tuple[dict[str, Any], str | None]:
    """The page's view, and the key to read on after."""
    seen = shared(ctx, token)
    expires = {} if seen.link.expires_ms is None else {"expires_ms": seen.link.expires_ms}
    if seen.upload:
        if folder_id:
            raise ProblemError("not-found", "There is no such folder behind this link.")
        return _coming(seen.upload) | expires, None
    node = _inside(seen, folder_id)
    out: dict[str, Any] = {"kind": node.kind, "name": node.name, "state": "ready"} | expires
    if node.revision:
        if folder_id:
            raise ProblemError("not-found", "There is no such folder behind this link.")
        return out | {"size": node.revision.size, "modified_ms": node.revision.modified_ms}, None
    nodes, following = children(ctx, seen.link.account, node.node_id, after, _PAGE)
    return out | {"folder_id": node.node_id, "items": [_item(child) for child in nodes]}, following


def count_view(ctx: Context, token: str) -> None:
    _count(ctx, shared(ctx, token).link, "views")


def download(ctx: Context, token: str, node_id: str | None) -> str:
    """Count a download; the address of the bytes in S3. Only what can be fetched is counted."""
    node, link = _file(ctx, token, node_id)
    signed = sign(ctx, node)
    _count(ctx, link, "downloads")
    return signed.address


def peek(ctx: Context, token: str, node_id: str | None) -> Node:
    """The file that a download would fetch; never counted."""
    return _file(ctx, token, node_id)[0]


def _file(ctx: Context, token: str, node_id: str | None) -> tuple[Node, Link]:
    seen = shared(ctx, token)
    if seen.upload:
        if node_id and node_id != seen.upload.node_id:
            raise ProblemError("not-found", "There is no such file behind this link.")
        if seen.upload.state == "aborted":
            raise ProblemError("content-deleted", "The sender stopped before everything was sent.")
        raise ProblemError("still-arriving", "The file is still on its way. Try again in a moment.")
    node = _inside(seen, node_id)
    if node.kind != "file":
        raise ProblemError("not-a-file", "A folder has no content of its own. Choose a file in it.")
    return node, seen.link


def _inside(seen: Shared, node_id: str | None) -> Node:
    """The linked node, or one that lies in it. Raises `not-found` for everything else of the account."""
    assert seen.node is not None  # noqa: S101 - who asks has seen that nothing is arriving
    if node_id is None or node_id == seen.node.node_id:
        return seen.node
    lineage = seen.tree.lineage(node_id)
    if lineage is None or seen.node.node_id not in lineage:
        raise ProblemError("not-found", "There is nothing like that behind this link.")
    return seen.tree.node(node_id)


def _coming(upload: Upload) -> dict[str, Any]:
    stopped = upload.state == "aborted"
    out: dict[str, Any] = {
        "kind": "file", "name": upload.name, "state": "stopped" if stopped else "arriving", "size": upload.size,
        "modified_ms": upload.modified_ms,
    }  # fmt: skip
    return out if stopped else out | {"sent_bytes": upload.sent_bytes}


def _item(node: Node) -> dict[str, Any]:
    out: dict[str, Any] = {"node_id": node.node_id, "kind": node.kind, "name": node.name}
    if node.revision:
        out |= {"size": node.revision.size, "modified_ms": node.revision.modified_ms}
    return out


def _count(ctx: Context, link: Link, what: str) -> None:
    ctx.table.write([update(rows.link_key(link.link_id), f"ADD #{what} :one", "attribute_exists(PK)", one=1)])
