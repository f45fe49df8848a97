"""S3's Object Created events, through the queue: finish the uploads that nobody completed.

May: DynamoDB as the api function; S3 GetObject (head) on `c/*`. Never lists, never deletes.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

from satchel_cloud.domain.model import CompleteItem
from satchel_cloud.domain.problems import ProblemError
from satchel_cloud.service.completing import complete
from satchel_cloud.service.context import context

from .http import log


def handler(event: dict[str, Any], _lambda: Any) -> dict[str, Any]:
    """Names the messages that are to come again."""
    failed = []
    for record in event.get("Records", []):
        outcomes: list[str] = []
        try:
            outcomes = [_finish(*found) for found in _uploads(json.loads(record["body"]))]
        except Exception:
            logging.getLogger(__name__).exception("message %s failed", record["messageId"])
            outcomes = ["failed"]
        log(route="ingest", message_id=record["messageId"], outcomes=outcomes)
        if {"failed", "pending"} & set(outcomes):
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


def _uploads(body: Any) -> Iterator[tuple[str, str]]:
    """Account and upload of every object; S3's test event names none."""
    for record in body.get("Records", []):
        parts = unquote_plus(record["s3"]["object"]["key"]).split("/")
        if len(parts) == 3 and parts[0] == "c":
            yield parts[1], parts[2]


def _finish(account: str, upload_id: str) -> str:
    """What came of it. A problem stays with the upload: its client, or the janitor, will see it again."""
    try:
        (result,) = complete(context(), account, [CompleteItem(upload_id)])
    except ProblemError as refusal:
        return refusal.kind
    problem = result.get("problem")
    return str(problem.kind if isinstance(problem, ProblemError) else result["outcome"])
