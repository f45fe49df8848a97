"""Following the service for a two-way folder: all of its nodes are items, whether they are on this disk or not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import replace

from satchel.core.errors import RefusedError
from satchel.core.model import ChangePage, Node
from satchel.journal import Item, Tree
from satchel.journal.tree import AWAY, TOP, TRASHED

from .naming import who_is_on_a_detour
from .plan import unmade
from .remote import LISTED_AT_ONCE, Side, followed, listed


async def mirror(side: Side) -> bool:
    """Read the change log to its end. False when the remote folder itself went to the trash.

    Lists afresh when there is no cursor, or the log no longer reaches back to it. What is in step and not there any
    more then is made anew, never deleted: how it went is not known.
    """
    cursor = await side.blocking(lambda: side.journal.roots.cursor(side.root.root_id))
    while cursor is not None:
        try:
            page = await side.remote.changes(cursor)
        except RefusedError as error:
            if error.kind != "cursor-too-old":
                raise
            break
        if not page.changes and page.cursor == cursor:
            return True
        found = await _come_in(side, page)
        there = await side.blocking(lambda page=page, found=found: _write(side, page, found))  # type: ignore[misc] # bound
        if not there or not page.more:
            return there
        cursor = page.cursor
    return await _list_afresh(side)


async def _come_in(side: Side, page: ChangePage) -> list[Node]:
    """What is in folders that were moved into the watched one: the log tells only of the folder itself."""

    def unknown() -> list[str]:
        inside: set[str] = set()
        for change in page.changes:
            for entry in change.entries:
                node, parent = entry.node, entry.node.parent_id or ""
                if entry.op != "put" or node.kind != "folder":
                    continue
                item = side.tree.by_node(node.node_id)
                if item is not None and item.state != "trashed":
                    continue
                if parent == side.top or parent in inside or _is_inside(side.tree, parent):
                    inside.add(node.node_id)
        return sorted(inside)

    return [node async for node in _below(side, await side.blocking(unknown))]


async def _below(side: Side, folders: list[str]) -> AsyncIterator[Node]:
    """All that is in these folders, a folder before what is in it."""
    while folders:
        batch, folders = folders[:LISTED_AT_ONCE], folders[LISTED_AT_ONCE:]
        for nodes in await asyncio.gather(*(listed(side.remote, folder) for folder in batch)):
            for node in nodes:
                yield node
            folders += [node.node_id for node in nodes if node.kind == "folder"]


def _write(side: Side, page: ChangePage, found: Iterable[Node]) -> bool:
    """One page and its cursor in one commit."""
    there = True
    with side.journal.transaction():
        for change in page.changes:
            for entry in change.entries:
                if entry.op == "put":
                    _learn(side, entry.node)
                elif entry.node.node_id in (side.top, *side.root.remote_above):
                    there = False
                    side.tree.put_many(_lost(side.tree, side.top))
                    side.journal.roots.save(replace(side.root, remote_node=None))
                else:
                    _unlearn(side.tree, entry.node)
        for node in found:
            _learn(side, node)
        side.journal.roots.set_cursor(side.root.root_id, page.cursor)
    return there


def _id_of_lost(tree: Tree, node: Node) -> str | None:
    """Who has lost his journal in the middle of a detour, and with it the item, takes the node for it again, and so
    ends the detour. If it is somebody else's, that one goes on from the name before."""
    item_id = who_is_on_a_detour(node.name)
    return item_id if item_id is not None and tree.get(item_id) is None else None


def _learn(side: Side, node: Node, item_id: str | None = None) -> None:
    """`item_id` is for a node that is not known, instead of a new one."""
    tree = side.tree
    item = tree.by_node(node.node_id)
    inside = node.parent_id == side.top or _is_inside(tree, node.parent_id or "")
    if item is None:
        if inside:
            made = item_id or side.new_id()
            new = Item(made, AWAY, made, node.kind, node.node_id, "", "", dirty=True)
            tree.put(followed(new, node))
        return
    if node.sequence < item.sequence:
        return
    if not inside:
        _unlearn(tree, node)
        return
    now = replace(followed(item, node), state="live")
    if item.here and now.revision_id in item.sent.split():
        # It was sent from here, and only the answer was lost.
        now = replace(now, synced_revision=now.revision_id, synced_sha256=now.sha256)
    if now != replace(item, sequence=now.sequence):
        now = replace(now, dirty=True)
    tree.put(now)
    if now.kind == "folder" and (now.remote_parent, now.remote_name) != (item.remote_parent, item.remote_name):
        tree.think_again(now.node_id)


def _unlearn(tree: Tree, node: Node) -> None:
    item = tree.by_node(node.node_id)
    if item is None or node.sequence < item.sequence:
        return
    tree.put(replace(item, state="trashed", sequence=node.sequence, dirty=True))
    tree.put_many(_lost(tree, node.node_id))
    if item.here and TRASHED in item.sent.split():
        # It was deleted from here, and only the answer was lost: what there is now was put back, or made anew.
        tree.remove(item.item_id)


def _lost(tree: Tree, node_id: str) -> Iterator[Item]:
    """All that went with a folder."""
    for item in tree.in_remote_folder(node_id):
        if item.state == "live":
            yield replace(item, state="trashed", dirty=True)
            yield from _lost(tree, item.node_id)


def _is_inside(tree: Tree, node_id: str) -> bool:
    folder = tree.by_node(node_id)
    return folder is not None and folder.kind == "folder" and folder.state != "trashed"


async def _list_afresh(side: Side) -> bool:
    start = cursor = await side.remote.sequence()
    nodes = [node async for node in _below(side, [side.top])]
    seen = {node.node_id for node in nodes}
    pages: list[tuple[ChangePage, list[Node]]] = []
    while not pages or pages[-1][0].more:
        # Meanwhile something may have been moved from a folder yet to be listed into one that was.
        page = await side.remote.changes(cursor)
        came = [one.node for change in page.changes for one in change.entries if one.op == "put"]
        found: list[Node] = []
        for folder in came:
            if folder.kind == "folder" and folder.node_id not in seen and (folder.parent_id in {*seen, side.top}):
                seen.add(folder.node_id)
                found += [node async for node in _below(side, [folder.node_id])]
        seen.update(node.node_id for node in (*came, *found))
        pages.append((page, found))
        cursor = page.cursor

    def finish() -> bool:
        tree, there = side.tree, True
        with side.journal.transaction():
            for node in nodes:
                _learn(side, node, _id_of_lost(side.tree, node))
            for page, found in pages:
                there = _write(side, page, found) and there
            for item in [*tree.descendants(AWAY), *tree.descendants(TOP)]:
                if item.node_id in seen or item.sequence > start:
                    continue
                if not item.here:
                    tree.remove(item.item_id)
                elif item.state == "live":
                    tree.put(unmade(item, side.new_id()))
        return there

    return await side.blocking(finish)
