"""S3's Object Created events, through the queue: finish the uploads that nobody completed.

May: DynamoDB GetItem, BatchGetItem, PutItem, UpdateItem on the table; S3 GetObject (head) on `c/*`. Never lists, never
deletes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import unquote_plus

from satchel_cloud.domain.model import CompleteItem
from satchel_cloud.domain.problems import ProblemError
from satchel_cloud.service.completing import complete
from satchel_cloud.service.context import context

from .log import failure, log


@dataclass(frozen=True, slots=True)
class _Arrival:
    """An object that S3 has whole since `at_ms`."""

    account: str
    upload_id: str
    at_ms: int


def handler(event: dict[str, Any], runtime: Any) -> dict[str, Any]:
    """Names the messages that are to come again."""
    failed = []
    for record in event.get("Records", []):
        uploads: list[str] = []
        outcomes: list[str] = []
        trouble: dict[str, Any] = {}
        try:
            for arrival in _arrivals(json.loads(record["body"])):
                uploads.append(arrival.upload_id)
                outcomes.append(_finish(arrival))
        except Exception as error:
            trouble = failure(error)
            outcomes.append("failed")
        log(
            "error" if trouble else "info",
            "ingest",
            context().measures,
            request_id=runtime.aws_request_id,
            message_id=record["messageId"],
            uploads=uploads,
            outcomes=outcomes,
            **trouble,
        )
        if {"failed", "pending"} & set(outcomes):
            failed.append({"itemIdentifier": record["messageId"]})
    return {"batchItemFailures": failed}


def _arrivals(body: Any) -> Iterator[_Arrival]:
    """What each record tells of; S3's test event tells of nothing."""
    for record in body.get("Records", []):
        parts = unquote_plus(record["s3"]["object"]["key"]).split("/")
        if len(parts) == 3 and parts[0] == "c":
            at = datetime.fromisoformat(record["eventTime"]).timestamp()
            yield _Arrival(parts[1], parts[2], round(at * 1000))


def _finish(arrival: _Arrival) -> str:
    """What came of it. A problem stays with the upload: its client, or the janitor, will see it again."""
    measures = context().measures
    before = measures["UploadsFinished"]
    try:
        (result,) = complete(context(), arrival.account, [CompleteItem(arrival.upload_id)])
    except ProblemError as refusal:
        return refusal.kind
    if measures["UploadsFinished"] > before:  # and not by its client, long ago
        measures["IngestLagMs"] = max(measures["IngestLagMs"], context().now_ms() - arrival.at_ms)
    problem = result.get("problem")
    return str(problem.kind if isinstance(problem, ProblemError) else result["outcome"])
