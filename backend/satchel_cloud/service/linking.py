"""The owner's side of links: make, list, revoke."""

from __future__ import annotations

import hmac
from dataclasses import replace
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


class Linking:
    """Makes the links of one request. Each token may come in it once."""

    def __init__(self, ctx: Context, account: str) -> None:
        self._ctx, self._account = ctx, account
        self._asked: set[str] = set()

    def link(
        self, node_id: str, name: str, intent: LinkIntent, *, upload_id: str | None = None
    ) -> tuple[Link, list[Action]]:
        """The link of a token, and the writes that make it so: none when it is that already.

        A link whose file is sent anew, by another upload, follows that one: its page tells of what is coming now.
        Raises `id-taken` when the token leads elsewhere.
        """
        digest = token_hash(intent.token)
        item = self._ctx.table.get(rows.link_key(digest[:32]))
        if digest in self._asked:
            raise ProblemError("id-taken", "Two links of this request have one token. Make a new one for each.")
        self._asked.add(digest)
        if item is None:
            link = Link(
                digest, self._account, node_id, name, self._ctx.now_ms(), intent.expires_ms, upload_id=upload_id
            )
            return link, _new(link)
        link = rows.read_link(item)
        if not hmac.compare_digest(link.token_hash, digest) or (link.account, link.node_id) != (self._account, node_id):
            raise ProblemError("id-taken", "This token belongs to another link. Make a new one.")
        if upload_id is None or link.upload_id == upload_id:
            return link, []
        follow = update(
            rows.link_key(link.link_id), "SET #upload_id = :upload_id", "attribute_exists(PK)", upload_id=upload_id
        )
        return replace(link, upload_id=upload_id), [follow]


def _new(link: Link) -> list[Action]:
    row = rows.link_row(link)
    if link.expires_ms is not None:
        row |= rows.due(rows.link_key(link.link_id), link.expires_ms + KEPT_DAYS * rows.DAY_MS)
    key = (rows.links_pk(link.account), f"{link.created_ms:016d}#{link.link_id}")
    return [put(row, "attribute_not_exists(PK)"), put(rows.keyed(key, {"link_id": link.link_id}))]


def create_link(ctx: Context, account: str, node_id: str, intent: LinkIntent) -> dict[str, Any]:
    node = Tree(ctx, account).node(node_id)
    for _ in range(2):
        link, actions = Linking(ctx, account).link(node_id, node.name, intent)
        if actions:
            try:
                ctx.table.write(actions)
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
