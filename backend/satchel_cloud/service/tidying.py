"""What the janitor does with a row that is due. Every step may be repeated; none is half done."""

from __future__ import annotations

from collections.abc import Callable

from satchel_cloud.adapters import rows
from satchel_cloud.adapters.table import Action, ConflictError, Item, Key, delete, update
from satchel_cloud.domain.model import CompleteItem, Node, Revision
from satchel_cloud.domain.problems import ProblemError

from .committing import RECONCILE_MS
from .completing import KEPT_S, complete
from .context import Context
from .sending import mark_aborted

_LATER_MS = 3600 * 1000
_PAGE = 1000
_GRACE_MS = rows.DAY_MS
"""How long content that nothing refers to is kept: an upload may be about to refer to it."""


class OutOfTimeError(Exception):
    """The run's time is used up; the rest stays due."""


def tidy(ctx: Context, key: Key, in_time: Callable[[], bool]) -> str:
    """Do what one due row asks for; what was done, in a word. Raises `OutOfTimeError`."""
    item = _due(ctx, key)
    if item is None:
        return "nothing"  # the index is a little behind the table
    try:
        return _tidy(ctx, key, item, in_time)
    except ConflictError:
        if _due(ctx, key) is None:
            return "nothing"  # somebody else was at it, another janitor perhaps
        raise


def _due(ctx: Context, key: Key) -> Item | None:
    item = ctx.table.get(key)
    return item if item and item.get("due_ms", ctx.now_ms() + 1) <= ctx.now_ms() else None


def _tidy(ctx: Context, key: Key, item: Item, in_time: Callable[[], bool]) -> str:
    parts = key[0].split("#")
    account = parts[1]
    if key == rows.head_key(account):
        return _reconcile(ctx, account, in_time)
    match parts[2] if parts[0] == "A" else parts[0]:
        case "U":
            return _upload(ctx, item)
        case "L":
            return _link(ctx, item)
        case "T":
            return _trash(ctx, account, item, in_time)
        case "R":
            return _revision(ctx, account, item)
        case _:
            return _content(ctx, account, item)


def postpone(ctx: Context, key: Key, by_ms: int = _LATER_MS) -> None:
    """Look again later, so that a row that makes trouble does not stand in the way of others."""
    change = update(key, "SET #due_ms = :at", "attribute_exists(#due_ms)", at=ctx.now_ms() + by_ms)
    try:
        ctx.table.write([change])
    except ConflictError:
        return


def _reconcile(ctx: Context, account: str, in_time: Callable[[], bool]) -> str:
    """Count an account's use anew: the bytes of all content that it keeps. Corrects what nobody changed meanwhile."""
    key = rows.head_key(account)
    head = ctx.table.get(key) or {}
    counted, after = 0, None
    while True:
        page = ctx.table.query(rows.contents_pk(account), after=after, limit=_PAGE)
        counted += sum(item["size"] for item in page)
        if len(page) < _PAGE:
            break
        after = page[-1]["SK"]
        if not in_time():
            postpone(ctx, key, rows.DAY_MS)
            return "unreconciled"
    drift = counted - head["used_bytes"]
    change = update(
        key,
        "SET #used_bytes = :counted, #due_ms = :at",
        "#sequence = :sequence AND #used_bytes = :used",
        counted=counted,
        at=ctx.now_ms() + RECONCILE_MS,
        sequence=head["sequence"],
        used=head["used_bytes"],
    )
    try:
        ctx.table.write([change])
    except ConflictError:
        postpone(ctx, key)
        return "unreconciled"
    ctx.measures["UsageDriftBytes"] += abs(drift)
    return "corrected" if drift else "reconciled"


def _upload(ctx: Context, item: Item) -> str:
    upload, key = rows.read_upload(item), (item["PK"], item["SK"])
    if upload.state == "open":
        try:
            (result,) = complete(ctx, upload.account, [CompleteItem(upload.upload_id)], rename=True)
        except ProblemError:
            result = {"outcome": "pending"}  # the account is disabled: its uploads wait until their last day
        if result["outcome"] == "done":
            return "completed"
        if ctx.now_ms() < upload.created_ms + ctx.settings.upload_days * rows.DAY_MS:
            postpone(ctx, key, rows.DAY_MS)
            return "waiting"
        mark_aborted(ctx, upload)
        return "aborted"
    if upload.state == "aborted":
        if upload.multipart_id:
            ctx.objects.abort_multipart(upload.key, upload.multipart_id)
        ctx.objects.delete(upload.key)
    change = "SET #ttl = :ttl REMOVE #due_shard, #due_ms"
    ctx.table.write([update(key, change, "#state <> :open", ttl=ctx.now_ms() // 1000 + KEPT_S, open="open")])
    return "swept"


def _link(ctx: Context, item: Item) -> str:
    link = rows.read_link(item)
    listed = (rows.links_pk(link.account), f"{link.created_ms:016d}#{link.link_id}")
    ctx.table.write([delete((item["PK"], item["SK"])), delete(listed)])
    return "link"


def _revision(ctx: Context, account: str, item: Item) -> str:
    gone = delete((item["PK"], item["SK"]), "attribute_exists(PK)")
    ctx.table.write([gone, *_release(ctx, account, rows.read_node(item).revision)])
    return "revision"


def _trash(ctx: Context, account: str, item: Item, in_time: Callable[[], bool]) -> str:
    node = rows.read_node(item)
    if node.kind == "folder":
        _empty(ctx, account, node.node_id, in_time)
    _destroy(ctx, account, node, (item["PK"], item["SK"]))
    return "trash"


def _empty(ctx: Context, account: str, folder_id: str, in_time: Callable[[], bool]) -> None:
    """Destroy all that is in a folder, the deepest first. Walks with a stack: folders may be deeper than Python's."""
    stack: list[Node | str] = [folder_id]
    while stack:
        if not in_time():
            raise OutOfTimeError
        top = stack[-1]
        folder = top if isinstance(top, str) else top.node_id
        page = [rows.read_node(row) for row in ctx.table.query(rows.folder_pk(account, folder), limit=50)]
        for child in page:
            if child.kind == "file":
                _destroy(ctx, account, child, rows.entry_key(account, folder, child.name))
        folders: list[Node | str] = [child for child in page if child.kind == "folder"]
        if folders:
            stack += folders
        elif not page:
            stack.pop()
            if isinstance(top, Node):
                assert top.parent_id is not None  # noqa: S101 - only the root has none
                _destroy(ctx, account, top, rows.entry_key(account, top.parent_id, top.name))


def _destroy(ctx: Context, account: str, node: Node, key: Key) -> None:
    """Delete a node's row and locator and let go of its content. The condition keeps it from being counted twice."""
    actions = [
        delete(key, "#node_id = :node_id", node_id=node.node_id),
        delete(rows.locator_key(account, node.node_id)),
        *_release(ctx, account, node.revision),
    ]
    try:
        ctx.table.write(actions)
    except ConflictError:
        if ctx.table.get(key) is not None:
            raise


def _release(ctx: Context, account: str, revision: Revision | None) -> list[Action]:
    """One reference less; the content comes up after the grace and is looked at then."""
    if revision is None:
        return []
    key = rows.content_key(account, revision.content)
    change = "SET #refs = #refs - :one, #due_shard = :due_shard, #due_ms = :due_ms"
    return [update(key, change, "attribute_exists(PK)", one=1, **rows.due(key, ctx.now_ms() + _GRACE_MS))]


def _content(ctx: Context, account: str, item: Item) -> str:
    key = (item["PK"], item["SK"])
    if item["refs"] > 0:
        ctx.table.write([update(key, "REMOVE #due_shard, #due_ms", "#refs > :zero", zero=0)])
        return "kept"
    ctx.table.write([update(key, "SET #deleting = :yes", "#refs = :zero", yes=True, zero=0)])
    ctx.objects.delete(item["key"])
    less = update(
        rows.head_key(account), "SET #used_bytes = #used_bytes - :size", "attribute_exists(PK)", size=item["size"]
    )
    ctx.table.write([delete(key, "attribute_exists(#deleting)"), less])
    return "content"
