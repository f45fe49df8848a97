"""`/v1/push`: a ticket to the socket that tells of changes."""

from __future__ import annotations

from satchel_cloud.service.context import context
from satchel_cloud.service.pushing import open_push

from .access import active
from .http import Reply, Request, Route, json_reply
from .parse import ID, Fields


def _open(request: Request) -> Reply:
    fields = Fields(request.body, "")
    client_id = fields.text("client_id", ID)
    fields.end()
    return json_reply(open_push(context(), active(request).account, client_id))


ROUTES = (Route("POST", "/v1/push", _open),)
