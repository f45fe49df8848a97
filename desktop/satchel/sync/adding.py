"""Beginning to watch a folder."""

from __future__ import annotations

from pathlib import Path

from satchel.core.ports import Clock, Ids
from satchel.disk import write_marker
from satchel.journal import Journal, WatchedRoot

from .rules import check_root


def add_root(
    journal: Journal,
    folder: Path,
    remote_path: str | None,
    *,
    clock: Clock,
    ids: Ids,
    account_id: str = "",
    two_way: bool = False,
) -> WatchedRoot:
    """Check the folder, put its marker into it and remember it. Raises `UsageError` or `LocalFileError` with the
    reason. `remote_path` is `/<name of the folder>` when it is None."""
    folder = check_root(folder, [Path(root.path) for root in journal.roots.all()])
    remote = "/" + (remote_path or folder.name).strip("/")
    root = WatchedRoot(
        ids.new_id(), str(folder), remote, clock.now_ms(), account_id, mode="two-way" if two_way else "upload-only"
    )
    write_marker(folder, root.root_id)
    journal.roots.add(root)
    return root
