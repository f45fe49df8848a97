"""Random local histories with crashes: whatever happens, the remote tree ends as the local one.

`make test` runs the same histories each time; `make sim` runs SATCHEL_SIM_SCALE times as many, other ones each time.
"""

from __future__ import annotations

import asyncio
import contextlib
import os

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from satchel.core.names import name_key
from sync_world import Crash, World

SCALE = int(os.environ.get("SATCHEL_SIM_SCALE", "1"))

NAMES = ["a", "b", "c", "A", "d.txt"]
paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map("/".join)
edits = st.one_of(
    st.tuples(st.just("write"), paths, st.sampled_from(["", "one", "two", "other", "long content"])),
    st.tuples(st.just("mkdir"), paths),
    st.tuples(st.just("rename"), paths, paths),
    st.tuples(st.just("delete"), paths),
    st.tuples(st.just("touch"), paths),
    st.tuples(st.just("sync")),
    st.tuples(st.just("crash"), st.integers(0, 12)),
    st.tuples(st.just("lose journal")),
    st.tuples(st.just("log cut")),
)


def edit(world, action, *args):
    world.clock.time += 1
    if action == "sync":
        world.run()
    elif action == "crash":
        world.remote.crash_in = args[0]
        with contextlib.suppress(Crash):
            world.run()
        world.start()
    elif action == "lose journal":
        # Deletes that only the journal knows of cannot survive its loss: what is online then stays.
        tidy(world)
        world.run()
        world.lose_journal()
        world.run()
    elif action == "log cut":
        world.remote.log_starts_at = len(world.remote.log)
    else:
        touch_disk(world.disk, action, *args)


def touch_disk(disk, action, path, other=""):
    target = other if action == "rename" else path
    above = [target.rsplit("/", cut)[0] for cut in range(1, target.count("/") + 1)]
    if any(one in disk.nodes and disk.nodes[one].kind == "file" for one in above):
        return
    is_file = path in disk.nodes and disk.nodes[path].kind == "file"
    if action == "delete":
        disk.delete(path)
    elif action == "write" and (is_file or path not in disk.nodes):
        disk.write(path, other)
    elif action == "touch" and is_file:
        disk.write(path, disk.nodes[path].content)
    elif action == "mkdir":
        disk.mkdirs(path)
    elif action == "rename" and path in disk.nodes and not in_one_another(path, other):
        disk.rename(path, other)


def in_one_another(one, other):
    return f"{one}/".startswith(f"{other}/") or f"{other}/".startswith(f"{one}/")


def tidy(world):
    """Names that are one to the service are held by design: a person renames one of them."""
    seen: set[str] = set()
    for path in sorted(world.disk.nodes):
        if path not in world.disk.nodes:
            continue
        key = name_key(path)
        if key in seen:
            world.disk.delete(path)
        seen.add(key)


@example([("sync",), ("mkdir", "b/a"), ("crash", 1), ("write", "a", ""), ("rename", "b", "a")])
@settings(max_examples=300 * SCALE, derandomize=SCALE == 1, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(edits, max_size=25))
def test_after_any_history_both_sides_are_equal_and_quiet(history):
    world = World()
    for action in history:
        edit(world, *action)
    tidy(world)
    row = world.run()
    assert (row.state, row.held) == ("in_step", ()), history
    assert world.remote.tree() == world.local(), history

    world.remote.calls.clear()
    world.run()
    assert {call[0] for call in world.remote.calls} == {"changes"}, "an echo of what was done"


@settings(max_examples=150 * SCALE, derandomize=SCALE == 1, deadline=None)
@given(st.lists(st.tuples(paths, paths), min_size=1, max_size=8))
def test_any_renames_send_no_bytes(renames):
    world = World()
    for number, path in enumerate(["a/b/c", "a/c", "b/d.txt", "c/a/b", "d.txt"]):
        world.disk.write(path, f"content {number}")
    world.run()
    uploads = world.remote.uploads
    survivors = set(world.disk.files().values())
    for old, new in renames:
        edit(world, "rename", old, new)
    tidy(world)
    kept = world.disk.files()
    assert set(kept.values()) <= survivors
    sent = world.remote.sent_bytes
    world.run()
    assert world.remote.tree() == world.local()
    assert world.remote.sent_bytes == sent
    if len(kept) == len(survivors) and not any(path in kept for path in ("a/b/c", "a/c", "b/d.txt", "c/a/b", "d.txt")):
        assert world.remote.uploads == uploads, "names that all changed are all moves"


@settings(max_examples=60 * SCALE, derandomize=SCALE == 1, deadline=None)
@given(
    st.lists(edits.filter(lambda e: e[0] not in ("sync", "crash", "lose journal", "log cut")), max_size=12), st.data()
)
def test_partial_looks_find_what_a_full_one_finds(history, data):
    world = World()
    for path in ("a/b", "a/c/d.txt", "b/a"):
        world.disk.write(path, path)
    world.run()
    for action in history:
        before = dict(world.disk.nodes)
        edit(world, *action)
        for path in before.keys() ^ world.disk.nodes.keys():
            world.sync._dirty.add(path.rpartition("/")[0])
        if action[0] in ("write", "touch"):
            world.sync._dirty.add(action[1].rpartition("/")[0])
    tidy(world)
    world.sync._dirty |= {path.rpartition("/")[0] for path in world.disk.nodes} | {""}
    world.clock.time += 60

    async def partial():
        for _ in range(12):
            await world.sync._turn()
            while world.sync._sending.outbox.working:
                await asyncio.sleep(0)
            world.clock.time += 3

    asyncio.run(partial())
    assert world.remote.tree() == world.local()
