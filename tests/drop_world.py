"""An account in memory that uploads end in without S3, and the drops of one computer that comes and goes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from satchel.core.errors import OfflineError, RefusedError, SatchelError
from satchel.core.model import (
    CompleteItem,
    CompleteResult,
    FolderIntent,
    FolderMade,
    Link,
    LinkIntent,
    Node,
    OpenedUpload,
    OpenedUploads,
    Problem,
    Revision,
    UploadIntent,
)
from satchel.core.ports import SystemClock, SystemIds
from satchel.core.status import TransferRow
from satchel.engine.browse import Browse
from satchel.engine.drops import Drops
from satchel.engine.transfers import Transfers
from satchel.journal import Journal
from satchel.transfer import Uploader
from satchel.transfer.backoff import Backoff

SITE = "https://files.example.com"


class FakeAccount:
    """The routes that drops use, in memory, with the service's rules as far as a client can tell.

    `trouble` is raised by every call; `held`: uploads open but do not end; `refused`: names with the kind of problem
    that they meet; `before` is called at the start of every call, by the route's name.
    """

    site = SITE

    def __init__(self) -> None:
        self.nodes = {"root": Node("root", None, "", "folder", 0)}
        self.linked: dict[str, str] = {}
        self.opened: dict[str, UploadIntent] = {}
        self.aborted: list[str] = []
        self.trouble: SatchelError | None = None
        self.held = False
        self.refused: dict[str, str] = {}
        self.before: Callable[[str], None] = lambda route: None

    def find_node(self, path: str) -> Node:
        self._call("find")
        node = self.nodes["root"]
        for name in path.strip("/").split("/") if path != "/" else ():
            found = self._named(node.node_id, name)
            if found is None:
                raise RefusedError("not-found", "There is no such file or folder", status=404)
            node = found
        return node

    def make_folders(self, folders: Sequence[FolderIntent]) -> list[FolderMade]:
        self._call("folders")
        return [self._folder(intent) for intent in folders]

    def open_uploads(self, intents: Sequence[UploadIntent]) -> OpenedUploads:
        self._call("open")
        return OpenedUploads("", tuple(self._open(intent) for intent in intents))

    def complete_uploads(self, items: Sequence[CompleteItem]) -> list[CompleteResult]:
        self._call("complete")
        return [
            CompleteResult(item.upload_id, "pending")
            if self.held
            else CompleteResult(item.upload_id, "done", node=self._file(self.opened[item.upload_id]))
            for item in items
        ]

    def abort_upload(self, upload_id: str) -> None:
        self._call("abort")
        self.aborted.append(upload_id)

    # what a test asks for

    def trash(self, path: str) -> None:
        node = self.find_node(path)
        gone = {node.node_id}
        while more := {one.node_id for one in self.nodes.values() if one.parent_id in gone} - gone:
            gone |= more
        self.nodes = {at: one for at, one in self.nodes.items() if at not in gone}

    def tree(self) -> list[str]:
        return sorted(self.path(node) for node in self.nodes.values() if node.parent_id is not None)

    def path(self, node: Node) -> str:
        return "" if node.parent_id is None else f"{self.path(self.nodes[node.parent_id])}/{node.name}"

    def shared(self, url: str | None) -> str:
        """The path that a link leads to."""
        assert url is not None
        return self.path(self.nodes[self.linked[url]])

    # details

    def _call(self, route: str) -> None:
        self.before(route)
        if self.trouble is not None:
            raise self.trouble

    def _named(self, parent_id: str, name: str) -> Node | None:
        return next((one for one in self.nodes.values() if (one.parent_id, one.name) == (parent_id, name)), None)

    def _problem(self, intent: FolderIntent | UploadIntent) -> Problem | None:
        kind = self.refused.get(intent.name) or ("not-found" if intent.parent_id not in self.nodes else None)
        return Problem(f"urn:satchel:problem:{kind}", f"It is {kind}", 409, "Look again.") if kind else None

    def _new(self, intent: FolderIntent | UploadIntent, kind: Any) -> Node:
        if (known := self.nodes.get(intent.node_id)) is not None:
            return known
        name, number = intent.name, 1
        while (other := self._named(intent.parent_id, name)) is not None:
            if intent.if_taken == "fail":
                raise AssertionError(f"{other.name} is taken")
            number += 1
            stem, dot, suffix = intent.name.partition(".")
            name = f"{stem} ({number}){dot}{suffix}"
        node = Node(intent.node_id, intent.parent_id, name, kind, len(self.nodes))
        self.nodes[node.node_id] = node
        return node

    def _link(self, node: Node, link: LinkIntent | None) -> Link | None:
        if link is None:
            return None
        self.linked[f"{self.site}/s/{link.token}"] = node.node_id
        return Link(hashlib.sha256(link.token.encode()).hexdigest()[:32], node.node_id, node.name, "live", 0)

    def _folder(self, intent: FolderIntent) -> FolderMade:
        if (problem := self._problem(intent)) is not None:
            return FolderMade("problem", problem=problem)
        node = self._new(intent, "folder")
        return FolderMade("done", node, self._link(node, intent.link))

    def _open(self, intent: UploadIntent) -> OpenedUpload:
        if (problem := self._problem(intent)) is not None:
            return OpenedUpload(intent.upload_id, "problem", problem=problem)
        self.opened[intent.upload_id] = intent
        node = self._file(intent)
        link = self._link(node, intent.link)
        if self.held:
            return OpenedUpload(intent.upload_id, "present", link=link)
        return OpenedUpload(intent.upload_id, "done", link=link, node=node)

    def _file(self, intent: UploadIntent) -> Node:
        node = self._new(intent, "file")
        revision = Revision("1" * 32, intent.size, intent.modified_ms, intent.sha256, True)
        self.nodes[node.node_id] = done = Node(node.node_id, node.parent_id, node.name, "file", 1, revision)
        return done


class Computer:
    """The parts of an engine that drops are made of; `crash` and `start` as often as one likes."""

    def __init__(self, folder: Path, account: FakeAccount) -> None:
        self.folder = folder
        self.account = account
        self._running = False
        self.start()

    def start(self) -> None:
        clock, ids, cloud = SystemClock(), SystemIds(), self.account
        self.journal = Journal(self.folder / "journal.db")
        self.uploader = Uploader(
            cloud,  # type: ignore[arg-type] # no routes for parts: nothing gets that far
            self.journal.uploads,
            clock=clock,
            ids=ids,
            connections=1,
            backoff=Backoff(first=0.02, longest=0.1),
        )
        self.transfers = Transfers(self.journal, lambda: None)
        browse = Browse(cloud, self.journal, clock, ids)  # type: ignore[arg-type] # only what drops use
        self.drops = Drops(
            SITE, browse, self.uploader, self.journal, self.transfers, clock=clock, ids=ids, link_patience=5
        )
        self._running = True

    def crash(self) -> None:
        """The process is gone; nothing is settled."""
        if self._running:
            self._running = False
            self.drops.close()
            self.uploader.close()
            self.journal.close()

    def restart(self) -> None:
        self.crash()
        self.start()
        self.drops.resume()

    def online(self) -> None:
        """The service is back, and the engine has noticed."""
        self.account.trouble = None
        self.uploader.hurry()
        self.drops.hurry()

    def offline(self) -> None:
        self.account.trouble = OfflineError("The service cannot be reached")

    def file(self, name: str, text: str = "") -> str:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text or name)
        return str(path)

    def rows(self) -> list[TransferRow]:
        """Oldest first."""
        self.transfers.update(self.uploader.progress())
        return sorted(self.transfers.rows(), key=lambda row: row.created_ms)

    def states(self) -> list[str]:
        return [row.state.value for row in self.rows()]
