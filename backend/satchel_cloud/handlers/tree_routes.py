"""/v1/account, /v1/folders, /v1/nodes, /v1/contents and /v1/changes"""

from __future__ import annotations

from satchel_cloud.domain.problems import ProblemError
from satchel_cloud.service.accounts import account_json
from satchel_cloud.service.changes import list_changes
from satchel_cloud.service.changing import make_folders, move, trash
from satchel_cloud.service.context import context
from satchel_cloud.service.fetching import content, contents
from satchel_cloud.service.tree import Tree, children, node_at

from .access import active, known
from .http import Reply, Request, Route, empty_reply, json_reply, page_key, page_token, settled
from .parse import FOLDER_ID, MAX_MS, Fields, batch, folder_intent, node_ids, path_id, query_number


def _account(request: Request) -> Reply:
    return json_reply(account_json(context(), known(request)))


def _folders(request: Request) -> Reply:
    intents = batch(request.body, "folders", folder_intent, 50)
    made = make_folders(context(), active(request).account, intents)
    return json_reply({"folders": settled(made, request)})


def _find(request: Request) -> Reply:
    path = request.query.get("path", "")
    if len(path) > 8192:
        raise ProblemError("bad-request", "`path` is longer than 8,192 characters.")
    return json_reply(node_at(context(), known(request).account, path).to_json())


def _get(request: Request) -> Reply:
    return json_reply(Tree(context(), known(request).account).node(_node_id(request)).to_json())


def _move(request: Request) -> Reply:
    fields = Fields(request.body, "")
    parent_id, name = fields.maybe_text("parent_id", FOLDER_ID), fields.maybe_text("name")
    if_taken = fields.choice("if_taken", ("fail", "rename"))
    fields.end()
    if not request.body:
        raise ProblemError("bad-request", "Say a `name`, a `parent_id`, or both.")
    account = active(request).account
    return json_reply(move(context(), account, _node_id(request), parent_id=parent_id, name=name, if_taken=if_taken))


def _trash(request: Request) -> Reply:
    seen = query_number(request.query, "seen", 0, MAX_MS) if "seen" in request.query else None
    trash(context(), active(request).account, _node_id(request), seen)
    return empty_reply()


def _children(request: Request) -> Reply:
    after, limit = page_key(request), query_number(request.query, "limit", 1, 150, 150)
    account, node_id = known(request).account, _node_id(request)
    Tree(context(), account).check_folder(node_id)
    nodes, following = children(context(), account, node_id, after, limit)
    return json_reply({"nodes": [node.to_json() for node in nodes]} | page_token(following))


def _content(request: Request) -> Reply:
    return json_reply(content(context(), active(request).account, _node_id(request)))


def _contents(request: Request) -> Reply:
    asked = node_ids(request.body)
    reply = contents(context(), active(request).account, asked)
    return json_reply(reply | {"contents": settled(reply["contents"], request)})


def _changes(request: Request) -> Reply:
    after = query_number(request.query, "after", 0, MAX_MS)
    limit = query_number(request.query, "limit", 1, 150, 150)
    return json_reply(list_changes(context(), known(request), after, limit))


def _node_id(request: Request) -> str:
    return path_id(request.ids["node_id"], FOLDER_ID)


ROUTES = (
    Route("GET", "/v1/account", _account),
    Route("POST", "/v1/folders", _folders),
    Route("GET", "/v1/nodes", _find),
    Route("GET", "/v1/nodes/{node_id}", _get),
    Route("PATCH", "/v1/nodes/{node_id}", _move),
    Route("DELETE", "/v1/nodes/{node_id}", _trash),
    Route("GET", "/v1/nodes/{node_id}/children", _children),
    Route("GET", "/v1/nodes/{node_id}/content", _content),
    Route("POST", "/v1/contents", _contents),
    Route("GET", "/v1/changes", _changes),
)
