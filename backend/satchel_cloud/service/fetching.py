"""Where files' contents can be fetched."""

from __future__ import annotations

from typing import Any

from satchel_cloud.adapters.signing import Signed, split
from satchel_cloud.domain.model import Node
from satchel_cloud.domain.problems import ProblemError
from satchel_cloud.domain.serving import content_type, disposition

from .context import Context
from .tree import Tree


def content(ctx: Context, account: str, node_id: str) -> dict[str, Any]:
    """The reply for one file. Raises `not-found`, `not-a-file`."""
    node, signed = _found(ctx, Tree(ctx, account), node_id)
    return {"url": signed.address, "node": node.to_json()}


def contents(ctx: Context, account: str, node_ids: list[str]) -> dict[str, Any]:
    """The reply to a batch: each answered as `content` would, on its own."""
    tree = Tree(ctx, account)
    tree.learn_nodes(node_ids)
    answers, requests = [], []
    for node_id in node_ids:
        try:
            node, signed = _found(ctx, tree, node_id)
        except ProblemError as problem:
            answers.append({"node_id": node_id, "outcome": "problem", "problem": problem})
        else:
            answers.append({"node_id": node_id, "outcome": "done", "node": node.to_json()})
            requests.append(signed)
    common, own = split(requests)
    signed_ones = iter(own)
    for answer in answers:
        if answer["outcome"] == "done":
            request = next(signed_ones)
            answer |= {"url": request["url"], "query": request["query"]}
    return {"signing_query": common, "contents": answers}


def sign(ctx: Context, node: Node) -> Signed:
    """The request for a file's content. Raises `not-a-file`."""
    if node.revision is None:
        raise ProblemError("not-a-file", "A folder has no content of its own. Choose a file in it.")
    return ctx.signer.get(node.revision.key, disposition=disposition(node.name), content_type=content_type(node.name))


def _found(ctx: Context, tree: Tree, node_id: str) -> tuple[Node, Signed]:
    node = tree.node(node_id)
    return node, sign(ctx, node)
