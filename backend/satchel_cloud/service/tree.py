"""Reading the tree: what is where, and whether it can be reached from the root."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from satchel_cloud.adapters import rows
from satchel_cloud.adapters.table import Item, Key
from satchel_cloud.domain.model import ROOT, Node
from satchel_cloud.domain.names import is_name, name_key
from satchel_cloud.domain.problems import ProblemError

from .context import Context

PAGE_BYTES = 110_000
_GONE = "There is nothing with this id here. It may have been deleted or moved away: list the folder again."


class Tree:
    """One account's tree as it is now. Every row is read once: make a new one for every decision."""

    def __init__(self, ctx: Context, account: str) -> None:
        self._ctx = ctx
        self._account = account
        self._locators: dict[str, Item | None] = {}
        self._entries: dict[Key, Item | None] = {}

    def locator(self, node_id: str) -> Item | None:
        """Where a node was put last, also when it is in the trash; None when the id was never used."""
        if node_id not in self._locators:
            self._locators[node_id] = self._ctx.table.get(rows.locator_key(self._account, node_id))
        return self._locators[node_id]

    def learn(self, node_ids: list[str]) -> None:
        """Read many locators at once."""
        keys = [rows.locator_key(self._account, node_id) for node_id in node_ids]
        found = self._ctx.table.get_many(keys)
        self._locators |= {key[1]: found.get(key) for key in keys}

    def learn_names(self, places: list[tuple[str, str]]) -> None:
        """Read many entries at once, by folder and name."""
        keys = [rows.entry_key(self._account, parent_id, name) for parent_id, name in places]
        found = self._ctx.table.get_many(keys)
        self._entries |= {key: found.get(key) for key in keys}

    def learn_nodes(self, node_ids: list[str]) -> None:
        """Read many nodes at once, each with all that it lies in: one read for each level."""
        level = set(node_ids) - {ROOT}
        while level:
            self.learn(sorted(level))
            above = {locator["parent_id"] for node_id in level if (locator := self._locators[node_id])}
            level = above - self._locators.keys() - {ROOT}
        located = [locator for node_id in node_ids if (locator := self._locators.get(node_id))]
        self.learn_names([(locator["parent_id"], locator["name"]) for locator in located])

    def pretend(self, node: Node) -> None:
        """Count a node as there before it is written, for what comes after it in the same commit."""
        self._locators[node.node_id] = {
            "node_id": node.node_id, "parent_id": node.parent_id, "name": node.name, "kind": node.kind,
        }  # fmt: skip

    def lineage(self, node_id: str) -> list[str] | None:
        """The node's id and those of its ancestors up to the root; None when it cannot be reached from there."""
        chain: list[str] = []
        while node_id != ROOT:
            locator = self.locator(node_id)
            if locator is None or locator.get("trash") or node_id in chain:
                return None
            chain.append(node_id)
            node_id = locator["parent_id"]
        return [*chain, ROOT]

    def alive(self, node_id: str) -> bool:
        return self.lineage(node_id) is not None

    def node(self, node_id: str) -> Node:
        """Raises `not-found`, also for what is in the trash."""
        if node_id == ROOT:
            return root()
        locator = self.locator(node_id)
        if locator is not None and self.alive(node_id):
            found = self.named(locator["parent_id"], locator["name"])
            if found is not None and found.node_id == node_id:
                return found
        raise ProblemError("not-found", _GONE)

    def named(self, parent_id: str, name: str) -> Node | None:
        """The node of this name in a folder."""
        key = rows.entry_key(self._account, parent_id, name)
        if key not in self._entries:
            self._entries[key] = self._ctx.table.get(key)
        item = self._entries[key]
        return rows.read_node(item) if item else None

    def check_folder(self, folder_id: str) -> None:
        """Raises `not-found` or `not-a-folder`."""
        if not self.alive(folder_id):
            raise ProblemError("not-found", "The folder is not there any more. Choose another.")
        if folder_id != ROOT and (self.locator(folder_id) or {}).get("kind") != "folder":
            raise ProblemError("not-a-folder", "This is a file; only a folder can hold things.")


def root() -> Node:
    return Node(ROOT, None, "", "folder", 0)


def node_at(ctx: Context, account: str, path: str) -> Node:
    """The node at an absolute path. Raises `bad-request` or `not-found`."""
    if not path.startswith("/"):
        raise ProblemError("bad-request", "A path begins with `/`.")
    tree, node = Tree(ctx, account), root()
    for name in filter(None, path.split("/")):
        found = tree.named(node.node_id, name) if node.kind == "folder" and is_name(name) else None
        if found is None:
            raise ProblemError("not-found", "There is nothing at this path.")
        node = found
    return node


def children(
    ctx: Context, account: str, folder_id: str, after: str | None, limit: int
) -> tuple[list[Node], str | None]:
    """A page of what is in a folder, ordered by folded name, and the key to read on after."""
    items = ctx.table.query(rows.folder_pk(account, folder_id), after=after, limit=limit + 1)
    nodes = [rows.read_node(item) for item in items]
    kept = within(nodes[:limit], lambda node: node.to_json())
    more = len(kept) < len(nodes)
    return kept, name_key(kept[-1].name) if more and kept else None


def within(things: list[Any], shape: Any, room: int = PAGE_BYTES) -> list[Any]:
    """As many of the first things as fit into a reply."""
    return list(_take(things, shape, room))


def _take(things: list[Any], shape: Any, room: int) -> Iterator[Any]:
    for position, thing in enumerate(things):
        room -= len(json.dumps(shape(thing), ensure_ascii=False).encode()) + 2
        if room < 0 and position:
            return
        yield thing
