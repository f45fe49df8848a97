"""The owner's side of links: make, list, revoke."""

from __future__ import annotations

import hmac
from typing import Any

from satchel_cloud.adapters import rows
from satchel_cloud.adapters.table import Action, ConflictError, put, update
from satchel_cloud.domain.links import token_hash
from satchel_cloud.domain.model import Link, LinkIntent
from satchel_cloud.domain.problems import ProblemError

from .context import Context
from .tree import Tree, within

KEPT_DAYS = 30
"""How long the row of a link that is over is kept, so that its page can say why."""


def link_for(
    ctx: Context, account: str, node_id: str, name: str, intent: LinkIntent, *, upload_id: str | None = None
) -> tuple[Link, bool]:
    """The link of a token, and whether it is there already. Raises `id-taken` when it leads elsewhere."""
    digest = token_hash(intent.token)
    item = ctx.table.get(rows.link_key(digest[:32]))
    if item is None:
        return Link(digest, account, node_id, name, ctx.now_ms(), intent.expires_ms, upload_id=upload_id), False
    link = rows.read_link(item)
    if not hmac.compare_digest(link.token_hash, digest) or (link.account, link.node_id) != (account, node_id):
        raise ProblemError("id-taken", "This token belongs to another link. Make a new one.")
    return link, True


def link_actions(link: Link) -> list[Action]:
    """The two writes that a new link is."""
    row = rows.link_row(link)
    if link.expires_ms is not None:
        row |= rows.due(rows.link_key(link.link_id), link.expires_ms + KEPT_DAYS * rows.DAY_MS)
    key = (rows.links_pk(link.account), f"{link.created_ms:016d}#{link.link_id}")
    return [put(row, "attribute_not_exists(PK)"), put(rows.keyed(key, {"link_id": link.link_id}))]


def create_link(ctx: Context, account: str, node_id: str, intent: LinkIntent) -> dict[str, Any]:
    node = Tree(ctx, account).node(node_id)
    for _ in range(2):
        link, exists = link_for(ctx, account, node_id, node.name, intent)
        if not exists:
            try:
                ctx.table.write(link_actions(link))
            except ConflictError:
                continue  # the same request, twice at once
        return link.to_json(ctx.now_ms(), name=node.name, token=intent.token)
    raise ProblemError("busy", "The link is being made by another request. Try again.")


def list_links(ctx: Context, account: str, after: str | None, limit: int) -> tuple[list[dict[str, Any]], str | None]:
    """A page of the account's links, newest first, and the key to read on after."""
    page = ctx.table.query(rows.links_pk(account), after=after, limit=limit + 1, newest_first=True)
    found = ctx.table.get_many(rows.link_key(row["link_id"]) for row in page[:limit])
    links = {key: rows.read_link(item) for key, item in found.items()}
    names = ctx.table.get_many(rows.locator_key(account, link.node_id) for link in links.values())
    now, shown = ctx.now_ms(), []
    for row in page[:limit]:
        link = links.get(rows.link_key(row["link_id"]))
        locator = names.get(rows.locator_key(account, link.node_id)) if link else None
        shown.append((row["SK"], link.to_json(now, name=locator["name"] if locator else None) if link else None))
    kept = within(shown, lambda pair: pair[1])
    more = len(kept) < len(page)
    return [shape for _, shape in kept if shape], kept[-1][0] if more and kept else None


def revoke_link(ctx: Context, account: str, link_id: str) -> None:
    key = rows.link_key(link_id)
    item = ctx.table.get(key)
    if item is None or item["account"] != account:
        raise ProblemError("not-found", "There is no such link.")
    if item["revoked"]:
        return
    due = rows.due(key, ctx.now_ms() + KEPT_DAYS * rows.DAY_MS)
    change = "SET #revoked = :yes, #due_shard = :due_shard, #due_ms = :due_ms"
    ctx.table.write([update(key, change, "attribute_exists(PK)", yes=True, **due)])
