"""On a schedule: everything that is due.

May: DynamoDB GetItem, BatchGetItem, Query, PutItem, UpdateItem, DeleteItem on the table, Query on its index `due`; S3
PutObject (to complete a multipart upload), GetObject (head), DeleteObject, AbortMultipartUpload,
ListMultipartUploadParts on `c/*`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from satchel_cloud.adapters.rows import SHARDS
from satchel_cloud.service.context import context
from satchel_cloud.service.tidying import OutOfTimeError, postpone, tidy

from .log import failure, log

_SPARE_MS = 20_000


def handler(_event: dict[str, Any], runtime: Any) -> dict[str, int]:
    """How often each thing was done."""

    done: Counter[str] = Counter()
    for number, shard in enumerate(SHARDS):
        # Each shard has its share of what is left, so that endless work in one keeps none of the others waiting.
        left_ms = runtime.get_remaining_time_in_millis() - _SPARE_MS
        end_ms = _SPARE_MS + left_ms * (1 - 1 / (len(SHARDS) - number))

        def in_time(end_ms: float = end_ms) -> bool:
            return bool(runtime.get_remaining_time_in_millis() > end_ms)

        try:
            _sweep(shard, in_time, done, runtime.aws_request_id)
        except OutOfTimeError:
            done["out-of-time"] += 1
    context().measures["JanitorFailed"] += done["failed"]
    log("info", "janitor", context().measures, request_id=runtime.aws_request_id, **done)
    return dict(done)


def _sweep(shard: str, in_time: Callable[[], bool], done: Counter[str], request_id: str) -> None:
    start, more = None, True
    while more:
        keys, start = context().table.due(shard, context().now_ms(), start)
        more = start is not None
        for key in keys:
            if not in_time():
                raise OutOfTimeError
            try:
                done[tidy(context(), key, in_time)] += 1
            except OutOfTimeError:
                postpone(context(), key, 0)  # it goes on behind those that wait as well
                raise
            except Exception as error:
                # One row that makes trouble must not stop the rest.
                log("error", "janitor", request_id=request_id, partition=key[0], **failure(error))
                postpone(context(), key)
                done["failed"] += 1
