"""Opening uploads: decide by which way each file's bytes come, reserve its ids, make its link, sign."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from satchel_cloud.adapters import rows
from satchel_cloud.adapters.signing import Signed, split
from satchel_cloud.adapters.table import Action, ConflictError, Item, Key, put
from satchel_cloud.domain.model import ROOT, Head, Link, Source, Upload, UploadIntent
from satchel_cloud.domain.names import is_name
from satchel_cloud.domain.problems import ProblemError
from satchel_cloud.domain.uploads import LEAST_PART, MULTIPART_FROM, check_intent, check_quota, part_size_for

from .committing import ATTEMPTS
from .context import Context
from .linking import Linking
from .tree import Tree

_GROUP = 99


def open_uploads(ctx: Context, head: Head, intents: list[UploadIntent]) -> dict[str, Any]:
    """The reply to a batch. Asking again gives the same answers with fresh signatures."""
    for attempt in range(ATTEMPTS):
        opening = _Opening(ctx, head, intents)
        answers = [opening.answer(intent) for intent in intents]
        try:
            for group in _groups(opening.actions):
                ctx.table.write(group)
        except ConflictError:
            ctx.pause(attempt)
            continue
        ctx.measures["UploadsOpened"] += len(opening.actions)
        common, own = split(opening.signed)
        signed = iter(own)
        for answer in answers:
            if answer["outcome"] == "put":
                answer["put"] = next(signed)
        return {"signing_query": common, "uploads": answers}
    raise ProblemError("busy", "The same uploads are being opened by another request. Try again in a few seconds.")


def _groups(actions: list[list[Action]]) -> list[list[Action]]:
    """Transactions of at most 99 actions that keep together what belongs together."""
    groups: list[list[Action]] = []
    for bundle in actions:
        if groups and len(groups[-1]) + len(bundle) <= _GROUP:
            groups[-1] += bundle
        else:
            groups.append(list(bundle))
    return groups


class _Opening:
    """One look at the table, and what is decided by it."""

    def __init__(self, ctx: Context, head: Head, intents: list[UploadIntent]) -> None:
        self._ctx, self._head = ctx, head
        self._now = ctx.now_ms()
        self._tree = Tree(ctx, head.account)
        self._linking = Linking(ctx, head.account)
        self._asked_bytes = 0
        self._nodes: set[str] = set()
        self.actions: list[list[Action]] = []
        self.signed: list[Signed] = []
        self._uploads = ctx.table.get_many(rows.upload_key(intent.upload_id) for intent in intents)
        nodes = [node for intent in intents for node in (intent.node_id, intent.parent_id) if node != ROOT]
        self._tree.learn(nodes)
        self._there: dict[Key, Item] = ctx.table.get_many(
            self._content_key(intent) for intent in intents if intent.sha256
        )
        self._tree.learn_names(
            [(one.parent_id, one.name) for one in intents if one.base_revision is None and _must_be_free(one)]
        )

    def answer(self, intent: UploadIntent) -> dict[str, Any]:
        try:
            upload, bundle = self._upload(intent)
            link: Link | None = None
            if intent.link:
                link, actions = self._linking.link(intent.node_id, intent.name, intent.link, upload_id=intent.upload_id)
                bundle = [*bundle, *actions]
            out = self._shape(upload)
        except ProblemError as problem:
            return {"upload_id": intent.upload_id, "outcome": "problem", "problem": problem}
        if link and intent.link:
            out["link"] = link.to_json(self._now, token=intent.link.token)
        if bundle:
            self.actions.append(bundle)
        return out

    def _upload(self, intent: UploadIntent) -> tuple[Upload, list[Action]]:
        """The upload as it is or will be, and the write that makes it."""
        item = self._uploads.get(rows.upload_key(intent.upload_id))
        if item:
            upload = rows.read_upload(item)
            mine = (self._head.account, intent.node_id, intent.size)
            if (upload.account, upload.node_id, upload.size) != mine:
                raise ProblemError("id-taken", "Another upload has this id. Make a new id.")
            if upload.state == "aborted":
                raise ProblemError("upload-closed", "This upload was given up. Open it again with a new id.")
            return upload, []
        upload = self._fresh(intent)
        key = rows.upload_key(upload.upload_id)
        first_look = min(self._ctx.settings.upload_days, 1) * rows.DAY_MS
        row = rows.upload_row(upload) | rows.due(key, self._now + first_look)
        return upload, [put(row, "attribute_not_exists(PK)")]

    def _fresh(self, intent: UploadIntent) -> Upload:
        self._check(intent)
        content = self._there.get(self._content_key(intent)) if intent.sha256 else None
        key = rows.object_key(self._head.account, intent.upload_id)
        upload = Upload(
            intent.upload_id, self._head.account, intent.node_id, intent.parent_id, intent.name, intent.size,
            intent.modified_ms, self._now, "put", key, sha256=intent.sha256, base_revision=intent.base_revision,
            if_taken=intent.if_taken,
        )  # fmt: skip
        if content and not content.get("deleting"):
            return replace(upload, via="present", content=content["SK"])
        check_quota(self._head, self._asked_bytes + intent.size, self._ctx.settings.quota_bytes)
        self._asked_bytes += intent.size
        if intent.size < MULTIPART_FROM:
            return upload
        upload = replace(upload, via="multipart", part_size=part_size_for(intent.size))
        if intent.part_sizes and (source := self._source(intent)):
            upload = replace(upload, part_sizes=intent.part_sizes, source=source)
        return replace(upload, multipart_id=self._ctx.objects.create_multipart(key))

    def _source(self, intent: UploadIntent) -> Source | None:
        """The content of the revision before, in just the version that is there now; None if it cannot be copied."""
        revision = self._tree.node(intent.node_id).revision
        # S3 copies ranges only out of what is larger than the least part.
        if revision is None or revision.size <= LEAST_PART:
            return None
        version = self._ctx.objects.version(revision.key, revision.size)
        return Source(revision.key, version, revision.size) if version else None

    def _check(self, intent: UploadIntent) -> None:
        check_intent(intent)
        if intent.node_id in self._nodes:
            raise ProblemError("id-taken", "Two uploads of this request have one node id.")
        self._nodes.add(intent.node_id)
        if intent.base_revision is not None:
            check_base(self._tree, intent.node_id, intent.base_revision)
            return
        if self._tree.locator(intent.node_id) is not None:
            raise ProblemError("id-taken", "There is a node with this id. Make a new id, or say which revision it had.")
        self._tree.check_folder(intent.parent_id)
        there = self._tree.named(intent.parent_id, intent.name) if _must_be_free(intent) else None
        if there is not None:
            raise ProblemError(
                "name-taken",
                f"“{there.name}” is in this folder already. Choose another name.",
                current=there.to_json(),
            )

    def _shape(self, upload: Upload) -> dict[str, Any]:
        out: dict[str, Any] = {"upload_id": upload.upload_id, "outcome": upload.via}
        if upload.state == "done":
            return out | {"outcome": "done", "node": upload.node}
        if upload.via == "put":
            assert upload.sha256 is not None  # noqa: S101 - check_intent has seen to it
            self.signed.append(self._ctx.signer.put(upload.key, upload.size, upload.sha256))
        elif upload.via == "multipart":
            out["part_size"] = upload.part_size
            if upload.source:
                out["part_sizes"] = list(upload.part_sizes)
        return out

    def _content_key(self, intent: UploadIntent) -> Key:
        return rows.content_key(self._head.account, f"{intent.sha256}#{intent.size}")


def _must_be_free(intent: UploadIntent) -> bool:
    return intent.if_taken == "fail" and is_name(intent.name)


def check_base(tree: Tree, node_id: str, base_revision: str) -> None:
    """Raises `not-found`, `not-a-file`, or `revision-conflict` with the node as it is now."""
    node = tree.node(node_id)
    if node.revision is None:
        raise ProblemError("not-a-file", "A folder has no revisions.", current=node.to_json())
    if node.revision.revision_id != base_revision:
        raise ProblemError(
            "revision-conflict",
            f"“{node.name}” was changed by somebody else. Look at the newer revision first.",
            current=node.to_json(),
        )
