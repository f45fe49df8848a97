"""/v1/links"""

from __future__ import annotations

from satchel_cloud.domain.problems import ProblemError
from satchel_cloud.service.context import context
from satchel_cloud.service.linking import create_link, list_links, revoke_link

from .access import active, known
from .http import Reply, Request, Route, empty_reply, json_reply, page_key, page_token
from .parse import FOLDER_ID, Fields, link_intent, path_id, query_number


def _list(request: Request) -> Reply:
    after, limit = page_key(request), query_number(request.query, "limit", 1, 150, 150)
    links, following = list_links(context(), known(request).account, after, limit)
    return json_reply({"links": links} | page_token(following))


def _create(request: Request) -> Reply:
    fields = Fields(request.body, "")
    node_id, link = fields.text("node_id", FOLDER_ID), fields.maybe("link", link_intent)
    fields.end()
    if link is None:
        raise ProblemError("bad-request", "`link` is missing.")
    if node_id == "root":
        raise ProblemError("bad-request", "A link cannot lead to everything. Choose a file or a folder.")
    return json_reply(create_link(context(), active(request).account, node_id, link), 201)


def _revoke(request: Request) -> Reply:
    revoke_link(context(), active(request).account, path_id(request.ids["link_id"]))
    return empty_reply()


ROUTES = (
    Route("GET", "/v1/links", _list),
    Route("POST", "/v1/links", _create),
    Route("DELETE", "/v1/links/{link_id}", _revoke),
)
