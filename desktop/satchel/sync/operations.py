"""What a plan is made of. Every operation has the item as it is, or as the journal will hold it, and a path."""

from __future__ import annotations

from dataclasses import dataclass

from satchel.disk import Entry
from satchel.journal import Item


@dataclass(frozen=True, slots=True)
class MakeFolder:
    """`item` is what the journal will hold once it is made; `path` is relative to the watched folder."""

    item: Item
    path: str


@dataclass(frozen=True, slots=True)
class Upload:
    """Send the file as it is in `entry`: as a new node when `item` is `intended`, else as a new revision."""

    item: Item
    path: str
    entry: Entry


@dataclass(frozen=True, slots=True)
class Move:
    """Rename or move a node; `before` is where it was."""

    item: Item
    path: str
    before: Item


@dataclass(frozen=True, slots=True)
class Trash:
    item: Item
    path: str


@dataclass(frozen=True, slots=True)
class Settle:
    """Only the journal learns something."""

    item: Item
    path: str
    before: Item


@dataclass(frozen=True, slots=True)
class Forget:
    """Gone on both sides."""

    item: Item
    path: str


@dataclass(frozen=True, slots=True)
class Detour:
    """Give up a place early, for a temporary name, because operations wait for each other's places. Only the journal's
    row changes when the node itself stays where it is."""

    item: Item
    path: str


@dataclass(frozen=True, slots=True)
class Detach:
    """Only the journal: what is on this disk under the item's name, if anything, is not the item any more. The node is
    fetched again, beside it if need be."""

    item: Item
    path: str


@dataclass(frozen=True, slots=True)
class Adopt:
    """Only the journal: what is on this disk is what the service has; `item` is what the journal will hold."""

    item: Item
    path: str


# Changes of this disk, for what the service has done. `item` is as the journal will hold it; `evict` is what stands in
# its place and is nobody's: it keeps its content under another name.


@dataclass(frozen=True, slots=True)
class MakeHere:
    item: Item
    path: str
    evict: Entry | None = None


@dataclass(frozen=True, slots=True)
class MoveHere:
    item: Item
    path: str
    before: Item
    evict: Entry | None = None


@dataclass(frozen=True, slots=True)
class TrashHere:
    item: Item
    path: str


@dataclass(frozen=True, slots=True)
class Fetch:
    """Bring the file's content to this disk: into its place, or in place of the content before."""

    item: Item
    path: str
    evict: Entry | None = None


@dataclass(frozen=True, slots=True)
class SetAside:
    """Give up a place on this disk early, for the marker folder, because operations wait for each other's places."""

    item: Item
    path: str


@dataclass(frozen=True, slots=True)
class Clean:
    """Only the journal: the two halves were found to be the same."""

    item: Item
    path: str


Operation = (
    MakeFolder
    | Upload
    | Move
    | Trash
    | Settle
    | Forget
    | Detour
    | Detach
    | Adopt
    | MakeHere
    | MoveHere
    | TrashHere
    | Fetch
    | SetAside
    | Clean
)
