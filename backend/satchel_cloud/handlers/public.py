"""The side without a sign-in: `ANY /p/{proxy+}`.

May: DynamoDB GetItem and Query on the table, UpdateItem on its links (to count); S3 GetObject on `c/*`, to sign
downloads. No ListBucket and no writing of objects.
"""

from __future__ import annotations

from typing import Any

from satchel_cloud.service.context import context
from satchel_cloud.service.sharing import count_view, download, peek, view

from .http import Reply, Request, Route, empty_reply, json_reply, page_key, page_token, serve
from .parse import ID, TOKEN, path_id


def handler(event: dict[str, Any], _lambda: Any) -> Reply:
    return serve(_ROUTES, event, context().settings.origin_secret, context().measures, signed_in=False)


def _view(request: Request) -> Reply:
    shown, following = view(context(), _token(request), _inner(request, "folder"), page_key(request))
    return json_reply(shown | page_token(following))


def _count(request: Request) -> Reply:
    count_view(context(), _token(request))
    return empty_reply()


def _download(request: Request) -> Reply:
    url = download(context(), _token(request), _inner(request, "node"))
    headers = {"location": url, "cache-control": "no-store", "referrer-policy": "no-referrer"}
    return {"statusCode": 302, "headers": headers, "body": ""}


def _peek(request: Request) -> Reply:
    node = peek(context(), _token(request), _inner(request, "node"))
    assert node.revision is not None  # noqa: S101 - peek gives files only
    reply = empty_reply(200)
    reply["headers"]["content-length"] = str(node.revision.size)
    return reply


def _token(request: Request) -> str:
    return path_id(request.ids["token"], TOKEN)


def _inner(request: Request, name: str) -> str | None:
    value = request.query.get(name)
    return None if value is None else path_id(value, ID)


_ROUTES = (
    Route("GET", "/p/{token}", _view),
    Route("POST", "/p/{token}/views", _count),
    Route("GET", "/p/{token}/content", _download),
    Route("HEAD", "/p/{token}/content", _peek),
)
