"""Comparing every byte: what is on this disk now with what the service has now, whatever the journal says.

What does not seem equal is looked at once more at the end, afresh on both sides: it may have been on its way. Nothing
is changed.
"""

from __future__ import annotations

import asyncio
import threading
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from satchel.core.errors import CancelledError, LocalFileError
from satchel.core.model import Node
from satchel.core.names import NameProblem, here_problem, name_key, printable
from satchel.core.status import Difference, Held
from satchel.disk import Disk, Entry, Listing
from satchel.journal import WatchedRoot

from .dirt import join
from .ports import Blocking, Remote
from .remote import LISTED_AT_ONCE, listed
from .rules import admit

Kind = Literal["file", "folder"]
What = Literal["differing", "only_here", "only_there", "held"]


class Place(NamedTuple):
    """A folder to compare: `here` unless it is only on the service, and its node unless it is only here."""

    path: str
    here: bool
    node_id: str | None


class Finding(NamedTuple):
    """What is not equal. `key` is the `name_key` of its name, or nothing for the compared folder itself."""

    key: str
    what: What
    path: str
    reason: str
    remedy: str


@dataclass(slots=True)
class Level:
    """What comparing one folder came to. `digests` decide on the files that are on both sides: SHA-256 by path."""

    digests: dict[str, str] = field(default_factory=dict)
    folders: list[Place] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


@dataclass(slots=True)
class Tally:
    """Counts so far: `size` bytes were read, `equal` files are the same; the others count files and folders."""

    size: int = 0
    equal: int = 0
    differing: int = 0
    only_here: int = 0
    only_there: int = 0
    held: int = 0

    @property
    def files(self) -> int:
        """How many were compared."""
        return self.equal + self.differing


async def verify(
    root: WatchedRoot,
    disk: Disk,
    remote: Remote,
    tally: Tally,
    *,
    blocking: Blocking,
    found: Callable[[Difference], None],
) -> None:
    """Compare all of a root. `tally` counts while it goes, in the threads of `blocking` too; `found` is called for what
    differs. Raises what `remote` raises, and `LocalFileError` when the folder is not there."""
    if await blocking(disk.root_id) != root.root_id:
        raise LocalFileError("The watched folder is not there", "Connect its disk or put it back.", path=root.path)
    node_id = root.remote_node
    if node_id is None:
        top = await remote.find(root.remote_path)
        node_id = top.node_id if top is not None else None

    def tell(one: Finding) -> None:
        found(Difference(root.path, one.path, one.what, one.reason, one.remedy))

    walk = _Walk(disk, remote, tally, blocking, tell)
    try:
        await walk.whole(Place("", True, node_id))
    finally:
        walk.stop.set()


class _Walk:
    def __init__(
        self, disk: Disk, remote: Remote, tally: Tally, blocking: Blocking, found: Callable[[Finding], None]
    ) -> None:
        self._disk = disk
        self._remote = remote
        self._tally = tally
        self._blocking = blocking
        self._found = found
        self._doubts: dict[Place, set[str]] = {}
        self.stop = threading.Event()

    async def whole(self, top: Place) -> None:
        await self._each([(top, None)], self._doubt)
        await self._each(list(self._doubts.items()), self._tell)

    async def _each(
        self,
        waiting: list[tuple[Place, set[str] | None]],
        judge: Callable[[Place, Level], list[Place]],
    ) -> None:
        """Compare folders, of some only what has one of these keys, and then those that `judge` names."""
        while waiting:
            batch, waiting = waiting[-LISTED_AT_ONCE:], waiting[:-LISTED_AT_ONCE]
            levels = await asyncio.gather(*(self._level(place) for place, _ in batch))
            for (place, keys), whole in zip(batch, levels, strict=True):
                level = whole if keys is None else _only(whole, keys)
                await self._blocking(lambda level=level: self._read(level))  # type: ignore[misc] # a bound default
                waiting += [(folder, None) for folder in judge(place, level)]

    def _doubt(self, place: Place, level: Level) -> list[Place]:
        keys = {finding.key for finding in level.findings}
        if keys:
            self._doubts[place] = keys
        return [folder for folder in level.folders if _key(folder.path) not in keys]

    def _tell(self, _: Place, level: Level) -> list[Place]:
        for finding in level.findings:
            setattr(self._tally, finding.what, getattr(self._tally, finding.what) + 1)
            self._found(finding)
        return level.folders

    async def _level(self, place: Place) -> Level:
        nodes = await listed(self._remote, place.node_id) if place.node_id is not None else []
        return await self._blocking(lambda: self._compared(place, nodes))

    def _compared(self, place: Place, nodes: list[Node]) -> Level:
        listing = None
        try:
            listing = self._disk.list(place.path) if place.here else None
        except LocalFileError as error:
            held = Held(printable(place.path), error.title, error.message or "Look whether it can be read.")
            return Level(findings=[_held("", printable(place.path), held)])
        return compare(place, listing or Listing(()), nodes, self._disk.ignored)

    def _read(self, level: Level) -> None:
        for path, sha256 in level.digests.items():
            try:
                same = self._disk.sha256(path, self._count) == sha256
            except LocalFileError as error:
                held = Held("", error.title, error.message or "Look whether it can be read.")
                level.findings.append(_held(_key(path), printable(path), held))
                continue
            if same:
                self._tally.equal += 1
            else:
                level.findings.append(Finding(_key(path), "differing", printable(path), _CONTENT, _HELP))

    def _count(self, size: int) -> None:
        if self.stop.is_set():
            raise CancelledError("Cancelled")
        self._tally.size += size


def _only(level: Level, keys: set[str]) -> Level:
    """The part of it that has one of these keys; all when the folder itself was in doubt."""
    if "" in keys:
        return level
    return Level(
        {path: sha256 for path, sha256 in level.digests.items() if _key(path) in keys},
        [folder for folder in level.folders if _key(folder.path) in keys],
        [finding for finding in level.findings if finding.key in keys],
    )


def _key(path: str) -> str:
    return name_key(path.rpartition("/")[2])


def _held(key: str, path: str, why: Held | NameProblem) -> Finding:
    return Finding(key, "held", path, why.reason, why.remedy)


_HELP = "If it is not on its way, `satchel status` says why."
_CONTENT = "The content differs"


def compare(place: Place, listing: Listing, nodes: Iterable[Node], ignored: Callable[[str, Kind], bool]) -> Level:
    """One folder as it is on both sides. What is ignored here counts on neither."""
    level = Level()
    there = {name_key(node.name): node for node in nodes}
    entries, doubles = admit(listing.entries, frozenset(node.name for node in there.values()))
    here = {name_key(entry.name): entry for entry in entries}
    for one in (*listing.held, *doubles):
        level.findings.append(_held(name_key(one.path), join(place.path, one.path), one))
    # The other side of what is held back here is not missing here.
    for key in sorted((here.keys() | there.keys()) - {name_key(one.path) for one in listing.held}):
        entry, node = here.get(key), there.get(key)
        if entry is not None and node is not None:
            _both(level, join(place.path, entry.name), entry, node)
        elif entry is not None:
            _one(level, key, Place(join(place.path, entry.name), True, None), entry.kind)
        elif node is not None and not ignored(path := join(place.path, node.name), node.kind):
            problem = here_problem(node.name)
            if problem is not None:
                level.findings.append(_held(key, printable(path), problem))
            else:
                _one(level, key, Place(path, False, node.node_id), node.kind)
    return level


def _both(level: Level, path: str, entry: Entry, node: Node) -> None:
    reason = ""
    if entry.kind != node.kind:
        reason = f"It is a {entry.kind} here and a {node.kind} online"
    elif unicodedata.normalize("NFC", entry.name) != unicodedata.normalize("NFC", node.name):
        reason = f"It is named “{node.name}” online"
    elif entry.kind == "file" and (node.revision is None or node.revision.size != entry.size):
        reason = _CONTENT
    if reason:
        level.findings.append(Finding(name_key(entry.name), "differing", path, reason, _HELP))
    if entry.kind == node.kind == "folder":
        level.folders.append(Place(path, True, node.node_id))
    elif not reason and node.revision is not None:
        if node.revision.sha256 is None:
            unknown = Held(path, "The service has no digest of it", "Fetch it with `satchel get`, and compare that.")
            level.findings.append(_held(name_key(entry.name), path, unknown))
        else:
            level.digests[path] = node.revision.sha256


def _one(level: Level, key: str, place: Place, kind: Kind) -> None:
    what: What = "only_here" if place.here else "only_there"
    reason = "It is on this computer only" if place.here else "It is online only"
    shown = printable(place.path) + ("/" if kind == "folder" else "")
    level.findings.append(Finding(key, what, shown, reason, _HELP))
    if kind == "folder":
        level.folders.append(place)
