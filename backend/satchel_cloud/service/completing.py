"""Finishing uploads: one idempotent way, taken by the api, by ingest and by the janitor alike."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

from satchel_cloud.adapters import rows
from satchel_cloud.adapters.objects import BrokenError, GoneError, SlowError
from satchel_cloud.adapters.table import Action, Item, Key, put, update
from satchel_cloud.domain.model import ROOT, CompleteItem, Head, Node, Revision, Upload
from satchel_cloud.domain.names import name_key
from satchel_cloud.domain.problems import ProblemError
from satchel_cloud.domain.uploads import check_quota, missing_parts, parts_of

from .changing import new_locator
from .committing import ROOM, Plan, commit
from .context import Context
from .naming import Taken, settle
from .opening import check_base
from .tree import Tree

Result = dict[str, Any]
"""`outcome` (done, pending, problem) with `node` or `problem` (a ProblemError)."""

_PER_FILE = 4
_GROUP = ROOM // _PER_FILE
_LOST = "S3 no longer has what was sent. Open the upload again with a new id and send the file again."
KEPT_S = 30 * 86400


def complete(ctx: Context, account: str, items: list[CompleteItem], *, rename: bool = False) -> list[Result]:
    """One result per item, in their order, each with its `upload_id`. With `rename` a taken name is no obstacle."""
    found = ctx.table.get_many(rows.upload_key(item.upload_id) for item in items)
    results: dict[str, Result] = {}
    waiting: list[Upload] = []
    for item in items:
        row = found.get(rows.upload_key(item.upload_id))
        if row is None or row["account"] != account:
            results[item.upload_id] = _problem(ProblemError("not-found", "There is no such upload."))
            continue
        upload = _told(rows.read_upload(row), item)
        settled = _settled(upload)
        if settled:
            results[item.upload_id] = settled
        else:
            waiting.append(replace(upload, if_taken="rename") if rename else upload)
    arrived: list[Upload] = []
    with ThreadPoolExecutor(max_workers=8) as pool:
        for upload, trouble in zip(waiting, pool.map(lambda one: _arrive(ctx, one), waiting), strict=True):
            if trouble:
                results[upload.upload_id] = trouble
            else:
                arrived.append(upload)
    for start in range(0, len(arrived), _GROUP):
        results |= _commit(ctx, account, arrived[start : start + _GROUP])
    return [{"upload_id": item.upload_id, **results[item.upload_id]} for item in items]


def _told(upload: Upload, item: CompleteItem) -> Upload:
    """The upload with what the client says only now. The digest of a PUT was signed and cannot be said anew; that of
    parts was taken, at the latest, when they were read to be sent."""
    return replace(
        upload,
        sha256=(item.sha256 if upload.via == "multipart" else None) or upload.sha256,
        base_revision=item.base_revision or upload.base_revision,
    )


def _settled(upload: Upload) -> Result | None:
    if upload.state == "done":
        return {"outcome": "done", "node": upload.node}
    if upload.state == "aborted":
        return _problem(ProblemError("upload-closed", "This upload was given up. Open it again with a new id."))
    return None


def _problem(problem: ProblemError) -> Result:
    return {"outcome": "problem", "problem": problem}


def _arrive(ctx: Context, upload: Upload) -> Result | None:
    """See that the bytes are in S3, whole; None when they are."""
    try:
        if upload.via == "put":
            _check_put(ctx, upload)
        elif upload.via == "multipart":
            _put_together(ctx, upload)
    except ProblemError as problem:
        return _problem(problem)
    except SlowError:
        return {"outcome": "pending"}
    return None


def _check_put(ctx: Context, upload: Upload) -> None:
    size = ctx.objects.size(upload.key)
    if size is None:
        raise ProblemError("incomplete", "The file has not arrived in S3 yet. Send it, then complete again.")
    if size != upload.size:
        raise ProblemError("upload-lost", _LOST)


def _put_together(ctx: Context, upload: Upload) -> None:
    assert upload.multipart_id is not None  # noqa: S101 - a multipart upload has one
    try:
        parts = ctx.objects.all_parts(upload.key, upload.multipart_id)
        missing = missing_parts({part.number: part.size for part in parts}, parts_of(upload))
        if missing:
            detail = f"{len(missing)} parts are missing. Send them, then complete again."
            raise ProblemError("incomplete", detail, missing_parts=missing)
        ctx.objects.complete_multipart(upload.key, upload.multipart_id, parts)
    except GoneError:
        # Put together by an earlier attempt, or thrown away: the object tells.
        if ctx.objects.size(upload.key) != upload.size:
            raise ProblemError("upload-lost", _LOST) from None
    except BrokenError:
        raise ProblemError("upload-lost", _LOST) from None


def _commit(ctx: Context, account: str, uploads: list[Upload]) -> dict[str, Result]:
    finished: Plan[dict[str, Result]] = Plan({})

    def decide(head: Head) -> Plan[dict[str, Result]]:
        nonlocal finished
        finished = _Finish(ctx, head, uploads).plan
        return finished

    try:
        results = commit(ctx, account, decide)
    except ProblemError as problem:
        if problem.kind == "busy":
            return {upload.upload_id: {"outcome": "pending"} for upload in uploads}
        raise
    nodes = [node for _, node in finished.entries if node.revision]
    ctx.measures["UploadsFinished"] += len(nodes)
    ctx.measures["BytesFinished"] += sum(node.revision.size for node in nodes if node.revision)
    return results


class _Finish:
    """Decides for a group of uploads, by one look at the table, what nodes they become."""

    def __init__(self, ctx: Context, head: Head, uploads: list[Upload]) -> None:
        self._ctx, self._head = ctx, head
        self._now = ctx.now_ms()
        self._tree = Tree(ctx, head.account)
        self._taken = Taken()
        self._made: set[str] = set()
        self._present: Counter[str] = Counter()
        self._new_contents: set[str] = set()
        self.plan: Plan[dict[str, Result]] = Plan({})
        self._tree.learn([n for upload in uploads for n in (upload.node_id, upload.parent_id) if n != ROOT])
        self._tree.learn_names([(up.parent_id, up.name) for up in uploads if up.base_revision is None])
        contents = [rows.content_key(head.account, name) for upload in uploads if (name := self._content_name(upload))]
        self._there: dict[Key, Item] = ctx.table.get_many(
            [*contents, *(rows.upload_key(upload.upload_id) for upload in uploads)]
        )
        for upload in uploads:
            self.plan.result[upload.upload_id] = self._finish(upload)
        for name, times in self._present.items():
            change = "SET #refs = #refs + :times REMOVE #due_shard, #due_ms"
            condition = "attribute_exists(PK) AND attribute_not_exists(#deleting)"
            self.plan.actions.append(update(rows.content_key(head.account, name), change, condition, times=times))

    def _finish(self, upload: Upload) -> Result:
        fresh = self._there.get(rows.upload_key(upload.upload_id))
        settled = _settled(rows.read_upload(fresh)) if fresh else None
        if settled:
            return settled
        try:
            node, actions = self._place(upload)
            self._content(upload, actions)
        except ProblemError as problem:
            return _problem(problem)
        shape = node.to_json()
        # Its layout may be long, and nobody asks for it again.
        ended = replace(upload, state="done", sent_bytes=upload.size, node=shape, part_sizes=(), source=None)
        done = rows.upload_row(ended)
        actions.append(put(done | {"ttl": self._now // 1000 + KEPT_S}, "#state = :open", open="open"))
        self.plan.actions += actions
        self.plan.entries.append(("put", node))
        self._made.add(node.node_id)
        self._taken[node.parent_id or ROOT, name_key(node.name)] = node
        return {"outcome": "done", "node": shape}

    def _place(self, upload: Upload) -> tuple[Node, list[Action]]:
        """The node it becomes, and the writes that put it there."""
        account, sequence = self._head.account, self._head.sequence + 1
        if upload.node_id in self._made:
            raise ProblemError("id-taken", "Two uploads of this request have one node id.")
        revision = self._revision(upload)
        if upload.base_revision is not None:
            check_base(self._tree, upload.node_id, upload.base_revision)
            old = self._tree.node(upload.node_id)
            assert old.revision is not None  # noqa: S101 - check_base has seen to it
            node = replace(old, sequence=sequence, revision=revision)
            key = rows.revision_key(account, old.node_id, old.revision.revision_id)
            kept = rows.keyed(key, rows.node_values(old)) | rows.due(
                key, self._now + self._ctx.settings.trash_days * rows.DAY_MS
            )
            return node, [put(rows.entry_row(account, node)), put(kept)]
        if self._tree.locator(upload.node_id) is not None:
            raise ProblemError("id-taken", "There is a node with this id. Open the upload again with a new one.")
        self._tree.check_folder(upload.parent_id)
        name = settle(
            self._tree, upload.parent_id, upload.name, upload.if_taken, node_id=upload.node_id, taken=self._taken
        )
        node = Node(upload.node_id, upload.parent_id, name, "file", sequence, revision)
        return node, [put(rows.entry_row(account, node), "attribute_not_exists(PK)"), new_locator(account, node)]

    def _revision(self, upload: Upload) -> Revision:
        """The upload's id is its revision's: the same bytes completed twice are one revision."""
        key, content, verified = upload.key, self._content_name(upload), upload.via == "put"
        if upload.via == "present":
            row = self._there.get(rows.content_key(self._head.account, content))
            if row is None or row.get("deleting"):
                raise ProblemError("upload-lost", "The content that was here is gone. Open the upload again, new id.")
            key, verified = row["key"], row["verified"]
        elif self._is_taken(content):
            content = f"{content}#{upload.upload_id}"
        return Revision(upload.upload_id, upload.size, upload.modified_ms, key, content, upload.sha256, verified)

    def _content(self, upload: Upload, actions: list[Action]) -> None:
        """Count a reference to what is here, or write down what has come."""
        name = self._content_name(upload)
        if upload.via == "present":
            self._present[name] += 1
            return
        check_quota(self._head, self.plan.added_bytes + upload.size, self._ctx.settings.quota_bytes)
        if self._is_taken(name):
            name = f"{name}#{upload.upload_id}"
        self._new_contents.add(name)
        self.plan.added_bytes += upload.size
        values = {
            "key": upload.key, "size": upload.size, "sha256": upload.sha256, "verified": upload.via == "put", "refs": 1,
        }  # fmt: skip
        row = rows.keyed(rows.content_key(self._head.account, name), values)
        actions.append(put(row, "attribute_not_exists(PK)"))

    def _is_taken(self, name: str) -> bool:
        return name in self._new_contents or rows.content_key(self._head.account, name) in self._there

    @staticmethod
    def _content_name(upload: Upload) -> str:
        if upload.content:
            return upload.content
        return f"{upload.sha256}#{upload.size}" if upload.sha256 else f"#{upload.upload_id}"
