"""Changing the tree: make folders, move and rename, trash."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from satchel_cloud.adapters import rows
from satchel_cloud.adapters.table import Action, delete, put, update
from satchel_cloud.domain.model import ROOT, FolderIntent, Head, Node
from satchel_cloud.domain.names import check_name, name_key
from satchel_cloud.domain.problems import ProblemError

from .committing import ROOM, Plan, commit
from .context import Context
from .linking import Linking
from .naming import Taken, settle
from .tree import Tree

_PER_FOLDER = 4
_GROUP = ROOM // _PER_FOLDER
_LOOKED_THROUGH = 100
"""Changes that are looked through for a trash that says what it has seen."""


def make_folders(ctx: Context, account: str, intents: list[FolderIntent]) -> list[dict[str, Any]]:
    """One answer per folder: `outcome` with `node` and `link`, or with a `problem`."""
    answers: list[dict[str, Any]] = []
    for start in range(0, len(intents), _GROUP):
        answers += _make_group(ctx, account, intents[start : start + _GROUP])
    return answers


def _make_group(ctx: Context, account: str, intents: list[FolderIntent]) -> list[dict[str, Any]]:
    return commit(ctx, account, lambda head: _plan_folders(ctx, head, intents))


def _plan_folders(ctx: Context, head: Head, intents: list[FolderIntent]) -> Plan[list[dict[str, Any]]]:
    tree, taken, linking = Tree(ctx, head.account), Taken(), Linking(ctx, head.account)
    made: dict[str, Node] = {}
    plan: Plan[list[dict[str, Any]]] = Plan([])
    tree.learn([folder for intent in intents for folder in (intent.node_id, intent.parent_id) if folder != ROOT])
    for intent in intents:
        try:
            node = made.get(intent.node_id) or _existing(tree, intent)
            actions: list[Action] = []
            if node is None:
                check_name(intent.name)
                tree.check_folder(intent.parent_id)
                name = settle(tree, intent.parent_id, intent.name, intent.if_taken, node_id=intent.node_id, taken=taken)
                node = Node(intent.node_id, intent.parent_id, name, "folder", head.sequence + 1)
                actions = _new(head.account, node)
            answer: dict[str, Any] = {"outcome": "done", "node": node.to_json()}
            if intent.link:
                link, link_actions = linking.link(node.node_id, node.name, intent.link)
                answer["link"] = link.to_json(ctx.now_ms(), token=intent.link.token)
                actions += link_actions
        except ProblemError as problem:
            plan.result.append({"outcome": "problem", "problem": problem})
            continue
        if node.node_id not in made and node.sequence == head.sequence + 1:
            plan.entries.append(("put", node))
            tree.pretend(node)
            taken[intent.parent_id, name_key(node.name)] = node
        made[node.node_id] = node
        plan.actions += actions
        plan.result.append(answer)
    return plan


def _existing(tree: Tree, intent: FolderIntent) -> Node | None:
    """The folder that this request made before."""
    locator = tree.locator(intent.node_id)
    if locator is None:
        return None
    if locator["kind"] != "folder" or not tree.alive(intent.node_id):
        raise ProblemError("id-taken", "Something else was made with this id. Make a new id.")
    return tree.node(intent.node_id)


def _new(account: str, node: Node) -> list[Action]:
    return [put(rows.entry_row(account, node), "attribute_not_exists(PK)"), new_locator(account, node)]


def new_locator(account: str, node: Node) -> Action:
    values = {"parent_id": node.parent_id, "name": node.name, "kind": node.kind, "node_id": node.node_id}
    return put(rows.keyed(rows.locator_key(account, node.node_id), values), "attribute_not_exists(PK)")


def move(
    ctx: Context, account: str, node_id: str, *, parent_id: str | None, name: str | None, if_taken: str
) -> dict[str, Any]:
    """The node where it is now. Says nothing twice: a node that is there already is left alone."""
    if node_id == ROOT:
        raise ProblemError("bad-request", "The root can be neither moved nor renamed.")
    if name is not None:
        check_name(name)
    return commit(
        ctx, account, lambda head: _plan_move(ctx, head, node_id, parent_id=parent_id, name=name, if_taken=if_taken)
    ).to_json()


def _plan_move(
    ctx: Context, head: Head, node_id: str, *, parent_id: str | None, name: str | None, if_taken: str
) -> Plan[Node]:
    tree = Tree(ctx, head.account)
    node = tree.node(node_id)
    assert node.parent_id is not None  # noqa: S101 - only the root has none
    goal = parent_id or node.parent_id
    tree.check_folder(goal)
    if node_id in (tree.lineage(goal) or []):
        raise ProblemError("into-itself", "Choose a folder that is not inside the one to be moved.")
    final = settle(tree, goal, name if name is not None else node.name, if_taken, node_id=node_id, taken={})
    if (goal, final) == (node.parent_id, node.name):
        return Plan(node)
    moved = replace(node, parent_id=goal, name=final, sequence=head.sequence + 1)
    old, new = rows.entry_key(head.account, node.parent_id, node.name), rows.entry_key(head.account, goal, final)
    actions = [
        put(rows.entry_row(head.account, moved), "attribute_not_exists(PK) OR #node_id = :node_id", node_id=node_id),
        update(
            rows.locator_key(head.account, node_id),
            "SET #parent_id = :parent_id, #name = :name",
            "attribute_exists(PK)",
            parent_id=goal,
            name=final,
        ),
    ]
    if old != new:
        actions.append(delete(old, "#node_id = :node_id", node_id=node_id))
    return Plan(moved, actions, [("put", moved)])


def trash(ctx: Context, account: str, node_id: str, seen: int | None = None) -> None:
    """Move a node with all that is in it to the trash; once there, nothing happens again.

    With `seen`, a cursor, it must not have changed since, nor anything in it: raises `changed-since`.
    """
    if node_id == ROOT:
        raise ProblemError("bad-request", "The root cannot be deleted. Delete what is in it.")
    commit(ctx, account, lambda head: _plan_trash(ctx, head, node_id, seen))


def _plan_trash(ctx: Context, head: Head, node_id: str, seen: int | None) -> Plan[None]:
    tree = Tree(ctx, head.account)
    if tree.locator(node_id) is not None and not tree.alive(node_id):
        return Plan(None)
    node = tree.node(node_id)
    assert node.parent_id is not None  # noqa: S101 - only the root has none
    if seen is not None and seen < head.sequence:
        _check_unchanged(ctx, head, tree, node, seen)
    now = ctx.now_ms()
    key = rows.trash_key(head.account, now, node_id)
    gone = replace(node, sequence=head.sequence + 1)
    row = rows.keyed(key, rows.node_values(gone) | rows.due(key, now + ctx.settings.trash_days * rows.DAY_MS))
    actions = [
        delete(rows.entry_key(head.account, node.parent_id, node.name), "#node_id = :node_id", node_id=node_id),
        put(row),
        update(rows.locator_key(head.account, node_id), "SET #trash = :trash", "attribute_exists(PK)", trash=key[1]),
    ]
    return Plan(None, actions, [("trash", gone)])


def _check_unchanged(ctx: Context, head: Head, tree: Tree, node: Node, seen: int) -> None:
    """Raises `changed-since`, also when too much has happened since to look through."""
    _, position = rows.change_key(head.account, seen)
    found = ctx.table.query(rows.change_key(head.account, 0)[0], after=position, limit=_LOOKED_THROUGH)
    whole = len(found) == head.sequence - seen
    entries = [entry["node"] for row in found for entry in row["entries"]]
    parents = {entry["parent_id"] for entry in entries if entry["parent_id"] != ROOT}
    tree.learn(list(parents))
    inside = any(entry["node_id"] == node.node_id for entry in entries)
    inside = inside or any(node.node_id in (tree.lineage(parent) or []) for parent in parents)
    if not whole or inside:
        raise ProblemError("changed-since", "Read the change log on, and decide again.", current=node.to_json())
