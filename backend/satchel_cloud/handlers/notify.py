"""The table's stream of new changes: tell their accounts' connections.

May: DynamoDB Query, DeleteItem on the table's connections; DescribeStream, GetRecords, GetShardIterator, ListStreams on
its stream, for Lambda reads that with the function's role; ManageConnections of the WebSocket API, to post. It sees the
keys of change rows. Never what is in them.
"""

from __future__ import annotations

from typing import Any

from satchel_cloud.adapters.rows import read_change_key
from satchel_cloud.domain.push import newest
from satchel_cloud.service.context import context
from satchel_cloud.service.pushing import tell

from .log import failure, log


def handler(event: dict[str, Any], runtime: Any) -> None:
    """Never raises: a hint that comes late is worth less than the next one, which a retry would hold up."""
    keys = [record["dynamodb"]["Keys"] for record in event["Records"]]
    for account, sequence in newest(read_change_key(key["PK"]["S"], key["SK"]["S"]) for key in keys).items():
        fields: dict[str, Any] = {}
        trouble: dict[str, Any] = {}
        try:
            done = tell(context(), account, sequence)
            fields = {"told": done.told, "gone": done.gone}
        except Exception as error:
            trouble = failure(error)
        log(
            "error" if trouble else "info",
            "notify",
            request_id=runtime.aws_request_id,
            account=account,
            sequence=sequence,
            **fields,
            **trouble,
        )
