"""What keeping a folder in step needs from outside; the engine wires it, tests and a simulator play it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

from satchel.core.model import ChangePage, FolderIntent, FolderMade, Node, UploadRequest

T = TypeVar("T")


class Remote(Protocol):
    """The account's tree. Every method raises the `SatchelError` family; refusals are `RefusedError` with a `kind`."""

    async def sequence(self) -> int:
        """The newest change's sequence number (`Account.sequence`)."""

    async def make_folders(self, folders: list[FolderIntent]) -> list[FolderMade]:
        """Up to 50, one answer each, in their order; a parent may be made earlier in the same batch."""

    async def move(self, node_id: str, *, parent_id: str | None = None, name: str | None = None) -> Node:
        """The node where it is now. A `name-taken` refusal carries the node that has the name as `current`."""

    async def trash(self, node_id: str, seen: int | None) -> None:
        """With all that is in it. `RefusedError` of kind `changed-since` when something of it changed after the cursor
        `seen`."""

    async def changes(self, after: int) -> ChangePage:
        """One page; `RefusedError` of kind `cursor-too-old` when the log no longer reaches back so far."""

    async def children(self, node_id: str) -> list[Node]:
        """All pages."""

    async def find(self, path: str) -> Node | None:
        """The node at an absolute path, or None."""


class Uploads(Protocol):
    """Moving bytes."""

    async def upload(self, request: UploadRequest) -> Node:
        """The node with its new revision. `FileChangedError` when the file changed while it was sent; `RefusedError`
        of kinds `name-taken` and `revision-conflict` with `current`. A request like one that was left unfinished
        (same path, size, time, node, parent and base) continues it."""

    async def give_up_left(self, group: str) -> None:
        """All that is to be sent of a watched folder has been asked for: what an earlier run left unfinished besides is
        given up, e.g. because the file was deleted meanwhile."""


class Downloads(Protocol):
    """Fetching bytes."""

    async def fetch(self, node_id: str, dest: str, name: str) -> Node:
        """The file's content as it is now, whole and checked, at the absolute path `dest`, with its modified time; the
        node that it is of. What an earlier call left at `dest` is gone on with, or is that content already. `name` is
        shown to people. Raises what a download raises; `RefusedError` of kind `not-found` when the node is gone."""


class Blocking(Protocol):
    """Runs a blocking function away from the event loop, e.g. `lambda f: loop.run_in_executor(pool, f)`."""

    def __call__(self, function: Callable[[], T], /) -> Awaitable[T]: ...
