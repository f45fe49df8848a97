"""The real service on a table and a bucket in memory, and what a test wants to know of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from satchel_cloud.adapters.objects import Objects
from satchel_cloud.adapters.rows import SHARDS
from satchel_cloud.adapters.settings import Settings
from satchel_cloud.adapters.signing import Signed
from satchel_cloud.adapters.sockets import Sockets
from satchel_cloud.adapters.table import Item, Table, from_dynamo
from satchel_cloud.domain.model import CompleteItem, FolderIntent, UploadIntent
from satchel_cloud.domain.problems import ProblemError
from satchel_cloud.service.accounts import account_json, check_active, head_of
from satchel_cloud.service.changes import list_changes
from satchel_cloud.service.changing import make_folders, move, trash
from satchel_cloud.service.completing import complete
from satchel_cloud.service.context import Context
from satchel_cloud.service.opening import open_uploads
from satchel_cloud.service.sending import abort_upload
from satchel_cloud.service.tidying import tidy
from satchel_cloud.service.tree import Tree, children, node_at

from .dynamo import Dynamo

Json = dict[str, Any]
ACCOUNT = "aaaaaaaa-0000-4000-8000-000000000001"
PAGE = 7
"""Changes and children come in pages this small, so that there are pages."""


class Bucket(Objects):
    """Whole objects by key: files of a simulation are too small for parts."""

    def __init__(self) -> None:
        super().__init__(lambda: None, "content")
        self.kept: dict[str, bytes] = {}

    def size(self, key: str) -> int | None:
        return len(self.kept[key]) if key in self.kept else None

    def delete(self, key: str) -> None:
        self.kept.pop(key, None)


class Unsigned:
    """In place of the signer: the key itself is the address."""

    def put(self, key: str, size: int, sha256: str) -> Signed:
        return Signed(key, (f"size={size}", f"sha256={sha256}"))


class Service:
    """One account's service: what its routes do, one method each, with JSON in and out. Raises `ProblemError`."""

    def __init__(self, now_ms: Callable[[], int]) -> None:
        self.bucket = Bucket()
        self.dynamo = Dynamo()
        self._context = Context(
            Settings("table", "content"),
            Table(self.dynamo, "table"),
            self.bucket,
            Unsigned(),  # type: ignore[arg-type] # only `put` is asked for
            Sockets(lambda _url: None, ""),  # nobody is told: clients look by and by
            now_ms,
            pause=lambda _attempt: None,
        )

    # -- as the handlers ----------------------------------------------------------------------------------------------

    def account(self) -> Json:
        return account_json(self._context, head_of(self._context, ACCOUNT))

    def open(self, intent: UploadIntent) -> Json:
        head = head_of(self._context, ACCOUNT)
        check_active(head)
        (answer,) = open_uploads(self._context, head, [intent])["uploads"]
        return _told(answer)

    def put(self, key: str, content: bytes) -> None:
        """S3's part: an object is never written twice."""
        self.bucket.kept.setdefault(key, content)

    def complete(self, upload_id: str, base_revision: str | None = None) -> Json:
        (result,) = complete(self._context, ACCOUNT, [CompleteItem(upload_id, base_revision=base_revision)])
        return _told(result)

    def abort(self, upload_id: str) -> None:
        abort_upload(self._context, ACCOUNT, upload_id)

    def make_folders(self, intents: list[FolderIntent]) -> list[Json]:
        answers = make_folders(self._context, ACCOUNT, intents)
        return [
            answer | ({"problem": answer["problem"].to_json()} if "problem" in answer else {}) for answer in answers
        ]

    def move(self, node_id: str, *, parent_id: str | None = None, name: str | None = None) -> Json:
        return move(self._context, ACCOUNT, node_id, parent_id=parent_id, name=name, if_taken="fail")

    def trash(self, node_id: str, seen: int | None = None) -> None:
        trash(self._context, ACCOUNT, node_id, seen)

    def changes(self, after: int) -> Json:
        return list_changes(self._context, head_of(self._context, ACCOUNT), after, PAGE)

    def children(self, node_id: str) -> list[Json]:
        """Every page."""
        found: list[Json] = []
        after: str | None = None
        Tree(self._context, ACCOUNT).check_folder(node_id)
        while True:
            page, after = children(self._context, ACCOUNT, node_id, after, PAGE)
            found += [node.to_json() for node in page]
            if after is None:
                return found

    def find(self, path: str) -> Json:
        return node_at(self._context, ACCOUNT, path).to_json()

    def content(self, node_id: str) -> tuple[Json, bytes]:
        """The node and the bytes of its revision, as behind the address that was signed for them."""
        node = Tree(self._context, ACCOUNT).node(node_id)
        if node.revision is None:
            raise ProblemError("not-a-file", "A folder has no content.")
        return node.to_json(), self.bucket.kept[node.revision.key]

    # -- what happens by itself ---------------------------------------------------------------------------------------

    def ingest(self, upload_id: str) -> None:
        """S3's word that an object has arrived: finish what nobody completed."""
        complete(self._context, ACCOUNT, [CompleteItem(upload_id)])

    def sweep(self) -> None:
        """The janitor's round."""
        for shard in SHARDS:
            for key in self._context.table.due(shard, self._context.now_ms())[0]:
                tidy(self._context, key, lambda: True)

    def cut_log(self) -> None:
        """All changes but the newest are older than the log."""
        for row in self._rows("C")[:-1]:
            self.dynamo.forget((row["PK"], row["SK"]))

    # -- what a test wants to know ------------------------------------------------------------------------------------

    @property
    def sequence(self) -> int:
        return int(self.account()["sequence"])

    def nodes(self, top: str) -> Iterator[tuple[str, Json]]:
        """Paths below the folder at `top`, and their nodes."""
        try:
            waiting = [("", self.find(top)["node_id"])]
        except ProblemError:
            return
        while waiting:
            folder, node_id = waiting.pop()
            for node in self.children(node_id):
                path = f"{folder}/{node['name']}" if folder else node["name"]
                yield path, node
                if node["kind"] == "folder":
                    waiting.append((path, node["node_id"]))

    def tree(self, top: str) -> dict[str, bytes | None]:
        """Paths below the folder at `top`: the content of files, None for folders."""
        return {
            path: self.content(node["node_id"])[1] if node["kind"] == "file" else None for path, node in self.nodes(top)
        }

    def everything(self) -> Iterator[tuple[str, bytes]]:
        """Every content that a node, a revision or something in the trash has, and which of these it is."""
        for row in self._rows("F", "T", "R"):
            if "revision" in row:
                kind = {"F": "the folder", "T": "the trash", "R": "the revisions"}[row["PK"].split("#")[2]]
                yield f"{kind} {row['PK'].split('#', 3)[-1]} as {row['name']}", self.bucket.kept[row["revision"]["key"]]

    def histories(self) -> dict[str, list[tuple[str, bytes]]]:
        """Every file's revisions by node, oldest first: whose upload it was (the revision's id), and the content."""
        found = [row for row in self._rows("F", "T", "R") if "revision" in row]
        out: dict[str, list[tuple[str, bytes]]] = {}
        for row in sorted(found, key=lambda row: int(row["sequence"])):
            one = row["revision"]["revision_id"], self.bucket.kept[row["revision"]["key"]]
            known = out.setdefault(row["node_id"], [])
            # A move or a trip to the trash makes a new row and no new revision.
            if one not in known:
                known.append(one)
        return out

    def _rows(self, *kinds: str) -> list[Item]:
        found = [row for row in self.dynamo.rows() if row["PK"]["S"].split("#")[2:3] in [[kind] for kind in kinds]]
        read = [{name: from_dynamo(value) for name, value in row.items()} for row in found]
        return sorted(read, key=lambda row: (row["PK"], row["SK"]))


def _told(answer: Json) -> Json:
    """The answer to one item, or its problem."""
    if answer["outcome"] == "problem":
        raise answer["problem"]
    return answer
