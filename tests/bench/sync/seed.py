"""A journal as if many files had been sent: what two real ones recorded, a folder and a file, for all the others."""

from __future__ import annotations

import hashlib
import os
import uuid
from dataclasses import replace
from pathlib import Path

from tests.bench.measure import BenchError

from satchel.journal import Item, Journal
from satchel.journal.tree import TOP


def seed(journal_file: Path, folder: Path) -> int:
    """Enter everything in `folder` that the journal does not know; returns how many files those are. No engine may be
    running. The service knows nothing of them: enough where nothing is to happen to them."""
    journal = Journal(journal_file)
    try:
        [root] = journal.roots.all()
        tree = journal.tree(root.root_id)
        known = tree.children(TOP)
        if not known:
            raise BenchError("nothing was sent yet, so there is nothing to make more of")
        like_folder, like_file = known[0], tree.children(known[0].item_id)[0]
        names = {item.name for item in known}
        made: list[Item] = []
        with os.scandir(folder) as found:
            missing = sorted((one for one in found if one.name not in names), key=lambda one: one.name)
        for one in missing:
            if one.name.startswith("."):
                continue
            above = _alike(like_folder, one, TOP, like_folder.remote_parent)
            made.append(above)
            with os.scandir(one.path) as files:
                made += [_alike(like_file, file, above.item_id, above.node_id) for file in files]
        tree.put_many(made)
    finally:
        journal.close()
    return sum(item.kind == "file" for item in made)


def _alike(known: Item, found: os.DirEntry[str], parent_item: str, remote_parent: str) -> Item:
    facts = found.stat()
    item = replace(
        known,
        item_id=uuid.uuid4().hex,
        node_id=uuid.uuid4().hex,
        parent_item=parent_item,
        remote_parent=remote_parent,
        name=found.name,
        remote_name=found.name,
        mtime_ns=facts.st_mtime_ns,
        file_id=facts.st_ino,
    )
    if known.kind == "folder":
        return item
    revision, digest = uuid.uuid4().hex, hashlib.sha256(Path(found.path).read_bytes()).hexdigest()
    return replace(
        item,
        size=facts.st_size,
        sha256=digest,
        revision_id=revision,
        remote_size=facts.st_size if known.remote_size >= 0 else known.remote_size,
        modified_ms=facts.st_mtime_ns // 1_000_000 if known.modified_ms else 0,
        synced_revision=revision if known.synced_revision else None,
        synced_sha256=digest if known.synced_sha256 else None,
        sent=revision if known.sent else "",
    )
