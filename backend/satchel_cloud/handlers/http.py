"""The seam to the gateway: payload format 2.0 in, JSON or a problem document out, one log line per request."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import parse_qsl

from satchel_cloud.domain.problems import ProblemError

from .log import failure, log

MAX_BODY = 128 * 1024
_ROOM = 120_000
ORIGIN_HEADER = "x-satchel-origin"
REQUEST_ID_HEADER = "x-request-id"
_SORT_KEY_BYTES = 1024
"""What DynamoDB takes."""

Reply = dict[str, Any]


@dataclass
class Request:
    """One call. `ids` are the named parts of its path; `account` is empty on public routes."""

    event: dict[str, Any]
    ids: dict[str, str] = field(default_factory=dict)

    @cached_property
    def request_id(self) -> str:
        return str(self.event["requestContext"].get("requestId", ""))

    @cached_property
    def account(self) -> str:
        claims = self.event["requestContext"].get("authorizer", {}).get("jwt", {}).get("claims", {})
        return str(claims.get("sub", ""))

    @cached_property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(self.event.get("rawQueryString", ""), keep_blank_values=True))

    @cached_property
    def body(self) -> Any:
        """The JSON body. Raises `bad-request` or `too-large`."""
        raw = self.event.get("body") or ""
        try:
            data = base64.b64decode(raw) if self.event.get("isBase64Encoded") else raw.encode()
            if len(data) > MAX_BODY:
                raise ProblemError("too-large", "A request may have 128 KiB. Ask for fewer things at once.")
            return json.loads(data)
        except (ValueError, RecursionError):
            raise ProblemError("bad-request", "The body is not JSON.") from None


@dataclass(frozen=True)
class Route:
    """`pattern` has `{name}` where an id or token stands."""

    method: str
    pattern: str
    answer: Callable[[Request], Reply]

    @cached_property
    def regex(self) -> re.Pattern[str]:
        return re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", self.pattern))


def serve(
    routes: Iterable[Route], event: dict[str, Any], secret: str, measures: Counter[str], *, signed_in: bool
) -> Reply:
    """Find the route, answer, and log one line. The gateway's id of the request is in line, reply and problem alike."""
    began = time.monotonic()
    request = Request(event)
    route: Route | None = None
    trouble: dict[str, Any] = {}
    try:
        _check_door(request, secret, signed_in=signed_in)
        route = _find(routes, request)
        reply = route.answer(request)
    except ProblemError as problem:
        reply = problem_reply(problem, request.request_id)
    except Exception as error:
        trouble = failure(error)
        detail = "Something went wrong here. Try again in a few seconds."
        reply = problem_reply(ProblemError("busy", detail), request.request_id)
    reply["headers"][REQUEST_ID_HEADER] = request.request_id
    log(
        "error" if trouble else "info",
        f"{route.method} {route.pattern}" if route else "none",
        measures,
        status=reply["statusCode"],
        ms=round((time.monotonic() - began) * 1000),
        request_id=request.request_id,
        account=request.account or None,
        **trouble,
    )
    return reply


def json_reply(body: Any, status: int = 200) -> Reply:
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    return {"statusCode": status, "headers": headers, "body": json.dumps(body, ensure_ascii=False)}


def empty_reply(status: int = 204) -> Reply:
    return {"statusCode": status, "headers": {"cache-control": "no-store"}, "body": ""}


def problem_reply(problem: ProblemError, request_id: str) -> Reply:
    reply = json_reply(problem.to_json(request_id), problem.status)
    reply["headers"]["content-type"] = "application/problem+json"
    return reply


def settled(items: list[dict[str, Any]], request: Request) -> list[dict[str, Any]]:
    """Items as JSON, problems written out. What would make the reply too large is to be asked for again, on its own."""
    room, out = _ROOM, []
    for item in items:
        problem = item.get("problem")
        shape = item | ({"problem": problem.to_json(request.request_id)} if problem else {})
        room -= len(json.dumps(shape, ensure_ascii=False).encode()) + 2
        if room < 0:
            late = ProblemError("busy", "The reply grew too large. Ask for this one again, with fewer others.")
            kept = {name: item[name] for name in ("upload_id", "node_id") if name in item}
            shape = kept | {"outcome": "problem", "problem": late.to_json()}
        out.append(shape)
    return out


def page_token(key: str | None) -> dict[str, str]:
    """The `next` of a page, if there is one."""
    return {} if key is None else {"next": base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")}


def page_key(request: Request) -> str | None:
    token = request.query.get("page")
    if token is None:
        return None
    try:
        key = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)).decode()
    except (binascii.Error, ValueError):
        key = ""
    if not key or len(key.encode()) > _SORT_KEY_BYTES:
        raise ProblemError("bad-request", "`page` must be the `next` of the page before.")
    return key


def _check_door(request: Request, secret: str, *, signed_in: bool) -> None:
    if signed_in and not request.account:
        raise ProblemError("wrong-door", "This request did not pass the sign-in.")
    shown = str(request.event.get("headers", {}).get(ORIGIN_HEADER, ""))
    if secret and not hmac.compare_digest(shown.encode(), secret.encode()):
        raise ProblemError("wrong-door", "Use the address of the site.")


def _find(routes: Iterable[Route], request: Request) -> Route:
    method, path = request.event["requestContext"]["http"]["method"], request.event["rawPath"]
    for route in routes:
        match = route.regex.fullmatch(path) if route.method == method else None
        if match:
            request.ids = match.groupdict()
            return route
    raise ProblemError("not-found", "The service has no such address.")
