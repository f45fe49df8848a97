"""The two planners over random triples of trees: what both were, what the disk is, what the service is."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from satchel.core.errors import RefusedError
from satchel.core.model import Node
from satchel.core.names import name_key
from satchel.sync.dirt import doubtful
from satchel.sync.follow import follow
from satchel.sync.mirror import mirror
from satchel.sync.news import gather, standing
from satchel.sync.observe import digests, observe
from satchel.sync.operations import Trash, TrashHere
from satchel.sync.plan import World, plan
from two_way_world import Together

PATHS = ["a", "b", "A", "a/x", "b/x", "a/y", "a/x/z"]
"""Few, so that both sides meet."""

seeds = st.randoms(use_true_random=True)


def above(path):
    return [path.rsplit("/", cut)[0] for cut in range(1, path.count("/") + 1)]


def in_one_another(one, other):
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def edit_disk(disk, action, path, other):
    target = other if action == "rename" else path
    if any(one in disk.nodes and disk.nodes[one].kind == "file" for one in above(target)):
        return
    is_folder = path in disk.nodes and disk.nodes[path].kind == "folder"
    if action == "write" and not is_folder:
        disk.write(path, other)
    elif action == "mkdir" and path not in disk.nodes:
        disk.mkdirs(path)
    elif action == "delete":
        disk.delete(path)
    elif action == "rename" and path in disk.nodes and not in_one_another(path, other):
        disk.rename(path, other)


def edit_service(together, action, path, other):
    """The same edit, done by somebody else; what the service refuses is not done."""
    remote = together.remote
    node = remote.at(f"/Work/{path}")
    parent = remote.at(f"/Work/{(other if action == 'rename' else path).rpartition('/')[0]}")
    if parent is None or parent.kind != "folder":
        return
    try:
        if action == "write" and node is not None and node.kind == "file":
            remote.write(path, other)
        elif action == "mkdir" and node is None:
            remote.put(Node(together.ids.new_id(), parent.node_id, path.rpartition("/")[2], "folder", 0))
        elif action == "delete" and node is not None:
            remote.drop(node.node_id)
        elif action == "rename" and node is not None and not f"{other}/".startswith(f"{path}/"):
            remote.put(replace(node, parent_id=parent.node_id, name=other.rpartition("/")[2]))
    except RefusedError:
        pass


def planned(computer):
    """What both planners would do now, the service having been heard of; nothing is carried out."""
    computer.clock.time += 60
    side = computer.sync._side
    asyncio.run(mirror(side))
    seen = observe(side.disk, side.tree, None, side.top)
    known = digests(side.disk, doubtful(seen.dirt))
    world = World(top=side.top, new_id=computer.ids.new_id, digests=known, two_way=True, total_files=lambda: 10**6)
    up = plan(seen.dirt, world)
    news = gather(side.disk, side.tree, side.top)
    down = follow(news, replace(world, digests=standing(side.disk, news, side.top)))
    return up, down


def one_computer(chance):
    """A folder in step, of some files."""
    together = Together("anna")
    [anna] = together
    for path in chance.sample(PATHS, chance.randint(1, 5)):
        edit_disk(anna.disk, "write", path, chance.choice(["one", "two", "three"]))
    keys: set[str] = set()
    for path in sorted(anna.disk.nodes):
        if name_key(path) in keys:
            anna.disk.delete(path)
        keys.add(name_key(path))
    together.settle()
    return together, anna


def triple(chance):
    """A folder that both sides have changed since it was in step."""
    together, anna = one_computer(chance)
    for _ in range(chance.randint(0, 5)):
        together.clock.time += 1
        edit_disk(anna.disk, *some_edit(chance, list(anna.disk.nodes)))
    for _ in range(chance.randint(0, 5)):
        together.clock.time += 1
        edit_service(together, *some_edit(chance, list(together.remote.tree())))
    return together, anna


def some_edit(chance, known):
    action = chance.choice(["write", "write", "rename", "rename", "delete", "mkdir"])
    path = chance.choice(known) if known and action != "mkdir" and chance.random() < 0.8 else chance.choice(PATHS)
    return action, path, chance.choice(PATHS) if action == "rename" else chance.choice(["one", "new", "newer"])


quick = settings(max_examples=200, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@quick
@given(seeds)
def test_equal_trees_need_nothing(chance):
    _, anna = one_computer(chance)
    up, down = planned(anna)
    assert (up.steps, up.waiting, down.steps, down.waiting) == ((), frozenset(), (), frozenset())


@quick
@given(seeds)
def test_no_plan_deletes_what_only_one_side_has(chance):
    together, anna = triple(chance)
    up, down = planned(anna)
    tree = anna.sync._side.tree
    for step in up.steps:
        operation = step.operation
        if isinstance(operation, Trash):
            for node in below(together.remote, operation.item.node_id):
                item = tree.by_node(node.node_id)
                assert item is not None, f"{node.name} was never here"
                if node.revision is not None:
                    assert node.revision.revision_id == item.synced_revision, f"{node.name} was edited there"
    for step in down.steps:
        operation = step.operation
        if isinstance(operation, TrashHere) and operation.item.kind == "file":
            found = anna.disk.stat(tree.path_of(operation.item))
            assert found is not None
            assert (found.size, found.mtime_ns) == (operation.item.size, operation.item.mtime_ns), "edited here"
            assert together.remote.nodes.get(operation.item.node_id) is None, "it is still there"


@quick
@given(seeds)
def test_every_step_comes_after_what_it_needs(chance):
    _, anna = triple(chance)
    for made in planned(anna):
        for number, step in enumerate(made.steps):
            assert all(before < number for before in step.after)
        assert len({id(step) for step in made.steps}) == len(made.steps)


@quick
@given(seeds)
def test_from_any_triple_they_come_to_one_tree(chance):
    together, anna = triple(chance)
    keys: set[str] = set()
    for path in sorted(anna.disk.nodes):
        if name_key(path) in keys:
            anna.disk.delete(path)  # held back by design
        keys.add(name_key(path))
    before = set(anna.disk.files().values()) | set(together.remote.tree().values())
    together.settle()
    everywhere = {*anna.disk.files().values(), *anna.disk.trashed(), *together.remote.content.values()}
    assert before - {None} <= everywhere


def below(remote, node_id):
    found = [remote.nodes[node_id]] if node_id in remote.nodes else []
    for node in found:
        found += [other for other in remote.nodes.values() if other.parent_id == node.node_id]
    return found
