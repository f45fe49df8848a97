"""What becomes of a name in a folder where it may be taken."""

from __future__ import annotations

from satchel_cloud.domain.model import Node
from satchel_cloud.domain.names import name_key, numbered
from satchel_cloud.domain.problems import ProblemError

from .tree import Tree

Taken = dict[tuple[str, str], Node]


def settle(tree: Tree, parent_id: str, name: str, if_taken: str, *, node_id: str, taken: Taken) -> str:
    """The name that a node gets. `taken` are the names given away earlier in the same commit.

    Raises `name-taken` with the node that has it. A name that the node itself has is free.
    """
    candidate, number = name, 1
    while True:
        there = taken.get((parent_id, name_key(candidate))) or tree.named(parent_id, candidate)
        if there is None or there.node_id == node_id:
            return candidate
        if if_taken != "rename":
            raise ProblemError(
                "name-taken",
                f"“{there.name}” is in this folder already. Choose another name.",
                current=there.to_json(),
            )
        number += 1
        candidate = numbered(name, number)
