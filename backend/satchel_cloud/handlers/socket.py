"""A client that asks to be told of changes: `$connect` of the WebSocket API.

May: DynamoDB DeleteItem, PutItem, Query on the table's tickets and connections. It lets in who has a ticket, and the
gateway sends the status that it answers to whoever has none.
"""

from __future__ import annotations

from typing import Any

from satchel_cloud.service.context import context
from satchel_cloud.service.pushing import connect

from .log import failure, log

TICKET_HEADER = "x-satchel-ticket"


def handler(event: dict[str, Any], runtime: Any) -> dict[str, int]:
    asked = event["requestContext"]
    headers = {name.lower(): str(value) for name, value in (event.get("headers") or {}).items()}
    trouble: dict[str, Any] = {}
    account = None
    try:
        account = connect(context(), headers.get(TICKET_HEADER, ""), asked["connectionId"])
        status = 200 if account else 401
    except Exception as error:
        trouble, status = failure(error), 503
    level = "error" if trouble else "info"
    log(level, "socket", status=status, request_id=runtime.aws_request_id, account=account, **trouble)
    return {"statusCode": status}
