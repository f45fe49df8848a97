"""/v1/uploads"""

from __future__ import annotations

from satchel_cloud.domain.problems import ProblemError
from satchel_cloud.domain.uploads import MAX_PARTS, MAX_SIZE
from satchel_cloud.service.completing import complete
from satchel_cloud.service.context import context
from satchel_cloud.service.opening import open_uploads
from satchel_cloud.service.sending import abort_upload, upload_parts, upload_status

from .access import active, known
from .http import Reply, Request, Route, empty_reply, json_reply, settled
from .parse import Fields, batch, complete_item, part_to_sign, path_id, upload_intent


def _open(request: Request) -> Reply:
    intents = batch(request.body, "intents", upload_intent, 100)
    if sum(len(intent.part_sizes) for intent in intents) > MAX_PARTS:
        raise ProblemError("bad-request", f"`part_sizes` of one request may be {MAX_PARTS} in all: ask in several.")
    reply = open_uploads(context(), active(request), intents)
    return json_reply(reply | {"uploads": settled(reply["uploads"], request)})


def _complete(request: Request) -> Reply:
    items = batch(request.body, "uploads", complete_item, 100)
    results = complete(context(), active(request).account, items)
    pending = any(result["outcome"] == "pending" for result in results)
    return json_reply({"results": settled(results, request)}, 202 if pending else 200)


def _get(request: Request) -> Reply:
    upload_id = path_id(request.ids["upload_id"])
    return json_reply(upload_status(context(), known(request).account, upload_id))


def _abort(request: Request) -> Reply:
    abort_upload(context(), active(request).account, path_id(request.ids["upload_id"]))
    return empty_reply()


def _parts(request: Request) -> Reply:
    fields = Fields(request.body, "")
    sign = fields.many("sign", part_to_sign, 0, 64)
    listed = fields.flag("list")
    after = fields.maybe_number("after", 0, 10_000) or 0
    sent_bytes = fields.maybe_number("sent_bytes", 0, MAX_SIZE)
    fields.end()
    upload_id = path_id(request.ids["upload_id"])
    account = active(request).account
    return json_reply(
        upload_parts(context(), account, upload_id, sign, listed=listed, after=after, sent_bytes=sent_bytes)
    )


ROUTES = (
    Route("POST", "/v1/uploads", _open),
    Route("POST", "/v1/uploads/complete", _complete),
    Route("GET", "/v1/uploads/{upload_id}", _get),
    Route("DELETE", "/v1/uploads/{upload_id}", _abort),
    Route("POST", "/v1/uploads/{upload_id}/parts", _parts),
)
