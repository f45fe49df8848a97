"""Following the remote side: the change log by its cursor, and listing afresh when there is no cursor."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from satchel.core.errors import LocalFileError, RefusedError
from satchel.core.model import ChangePage, FolderIntent, Node
from satchel.core.names import name_key
from satchel.disk import Disk, Entry
from satchel.journal import Item, Journal, Tree, WatchedRoot
from satchel.journal.tree import TOP, UNKNOWN

from .ports import Blocking, Remote


@dataclass(frozen=True, slots=True)
class Side:
    """One root and all that its rooms of `sync` share."""

    root: WatchedRoot
    journal: Journal
    disk: Disk
    remote: Remote
    blocking: Blocking
    new_id: Callable[[], str]
    conflicted: Callable[[str, int], str]
    """The name of a conflicted copy, and of the second, third ... when that is taken."""

    @property
    def tree(self) -> Tree:
        return self.journal.tree(self.root.root_id)

    @property
    def top(self) -> str:
        return self.root.remote_node or ""


LISTED_AT_ONCE = 8
"""Folders of the service that are listed at the same time."""


async def listed(remote: Remote, node_id: str) -> list[Node]:
    """What is in a folder; nothing when it is gone meanwhile, as the log will say."""
    try:
        return await remote.children(node_id)
    except RefusedError as error:
        if error.kind not in ("not-found", "not-a-folder"):
            raise
        return []


async def find_top(side: Side) -> Side:
    """The root with its remote folder, which is made, with those above it, when it is not there."""
    path = "/" + side.root.remote_path.strip("/")
    node = await side.remote.find("/")
    if node is None:
        raise RefusedError("not-found", "The account has no folders", "Sign in again.")
    names = [name for name in path.split("/") if name]
    above: list[str] = []
    for depth, name in enumerate(names, 1):
        above.append(node.node_id)
        below = await side.remote.find("/" + "/".join(names[:depth]))
        if below is None:
            [made] = await side.remote.make_folders([FolderIntent(side.new_id(), node.node_id, name)])
            below = made.node or (made.problem.current if made.problem else None)
        if below is None or below.kind != "folder":
            raise RefusedError(
                "not-a-folder",
                f"{path} online is not a folder",
                "Remove the watched folder and add it with another --to.",
            )
        node = below
    root = replace(side.root, remote_node=node.node_id, remote_above=tuple(above))
    await side.blocking(lambda: side.journal.roots.save(root))
    return replace(side, root=root)


async def pull(side: Side) -> bool:
    """Read the change log to its end. False when the remote folder itself went to the trash: find or make it anew, and
    read on. Its files stay deleted there until they change here.

    Lists afresh, and adopts what is equal on both sides, when there is no cursor or the log no longer reaches back to
    it; nothing is deleted because of that.
    """
    cursor = await side.blocking(lambda: side.journal.roots.cursor(side.root.root_id))
    if cursor is None:
        cursor = await _list_afresh(side)
    there = True
    while True:
        try:
            page = await side.remote.changes(cursor)
        except RefusedError as error:
            if error.kind != "cursor-too-old":
                raise
            cursor = await _list_afresh(side)
            continue
        if not page.changes and page.cursor == cursor:
            return there
        there = await side.blocking(lambda page=page: _apply(side, page)) and there  # type: ignore[misc] # a bound default
        cursor = page.cursor
        if not there or not page.more:
            return there


async def adopt(side: Side, folder: str, item_id: str, node_id: str) -> set[str]:
    """Compare a local folder with a remote one, all the way down; returns the node ids seen.

    Files that are equal become items in step and are not sent; files that differ become items whose next upload is a
    new revision of the node that is there; what is only here stays new; what is only there stays alone.
    """
    seen: set[str] = set()
    waiting = [(folder, item_id, node_id)]
    while waiting:
        path, parent, node = waiting.pop()
        nodes = await side.remote.children(node)
        seen.update(child.node_id for child in nodes)
        waiting += await side.blocking(lambda: _adopt_level(side, path, parent, nodes))  # noqa: B023 - awaited at once
    return seen


def taken_by(item: Item, current: Node, entry: Entry | None) -> Item:
    """The item as a new owner of `current`: in step when they are surely equal, else to be looked at again."""
    revision = current.revision
    adopted = replace(
        followed(item, current),
        node_id=current.node_id,
        state="live",
        size=UNKNOWN,
        mtime_ns=0,
        file_id=entry.file_id if entry else 0,
    )
    if entry is None or entry.kind == "folder" or revision is None:
        return adopted
    if revision.size != entry.size:
        return replace(adopted, sha256=None)
    if revision.sha256 is None and revision.modified_ms == entry.mtime_ns // 1_000_000:
        return replace(adopted, size=entry.size, mtime_ns=entry.mtime_ns)
    return adopted


def followed(item: Item, node: Node) -> Item:
    """The item with what the service says of its node."""
    revision = node.revision
    return replace(
        item,
        remote_parent=node.parent_id or "",
        remote_name=node.name,
        revision_id=revision.revision_id if revision else None,
        sha256=revision.sha256 if revision else None,
        remote_size=revision.size if revision else UNKNOWN,
        modified_ms=revision.modified_ms if revision else 0,
        sequence=node.sequence,
    )


async def _list_afresh(side: Side) -> int:
    cursor = await side.remote.sequence()
    seen = await adopt(side, "", TOP, side.top)

    def finish() -> None:
        with side.journal.transaction():
            lost = [item for item in side.tree.descendants(TOP) if item.state == "live" and item.node_id not in seen]
            side.tree.put_many(replace(item, state="trashed") for item in lost)
            side.journal.roots.set_cursor(side.root.root_id, cursor)

    await side.blocking(finish)
    return cursor


def _apply(side: Side, page: ChangePage) -> bool:
    """One page and its cursor in one commit."""
    tree, there = side.tree, True
    with side.journal.transaction():
        for change in page.changes:
            for entry in change.entries:
                if entry.op == "trash" and entry.node.node_id in (side.top, *side.root.remote_above):
                    there = False
                    tree.put_many(_below(tree, side.top, "live", "trashed"))
                    side.journal.roots.save(replace(side.root, remote_node=None))
                item = tree.by_node(entry.node.node_id)
                if item is None or entry.node.sequence < item.sequence:
                    continue
                if entry.op == "trash":
                    tree.put(replace(item, state="trashed", sequence=entry.node.sequence))
                    tree.put_many(_below(tree, item.node_id, "live", "trashed"))
                else:
                    if item.state == "trashed":
                        tree.put_many(_below(tree, item.node_id, "trashed", "live"))
                    tree.put(replace(followed(item, entry.node), state="live"))
        side.journal.roots.set_cursor(side.root.root_id, page.cursor)
    return there


def _below(tree: Tree, node_id: str, old: str, new: str) -> Iterable[Item]:
    found: list[Item] = []
    waiting = [node_id]
    while waiting:
        for item in tree.in_remote_folder(waiting.pop()):
            if item.state == old:
                found.append(replace(item, state=new))  # type: ignore[arg-type] # the two states given above
                waiting.append(item.node_id)
    return found


def _adopt_level(side: Side, folder: str, parent: str, nodes: Iterable[Node]) -> list[tuple[str, str, str]]:
    try:
        listing = side.disk.list(folder)
    except LocalFileError:
        listing = None
    entries = {name_key(entry.name): entry for entry in (listing.entries if listing else ())}
    tree = side.tree
    below: list[tuple[str, str, str]] = []
    with side.journal.transaction():
        for node in nodes:
            item = tree.by_node(node.node_id)
            if item is not None:
                if node.sequence >= item.sequence:
                    tree.put(replace(followed(item, node), state="live"))
            else:
                entry = entries.get(name_key(node.name))
                if entry is None or entry.kind != node.kind or tree.child(parent, entry.name) is not None:
                    continue
                made = side.new_id()
                item = taken_by(Item(made, parent, entry.name, entry.kind, made, "", ""), node, entry)
                tree.put(item)
            if item.kind == "folder" and (path := tree.path_of(item)) is not None:
                below.append((path, item.item_id, node.node_id))
    return below
