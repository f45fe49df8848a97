"""What each function's role is refused: everything that is not its work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import botocore.exceptions
import pytest

from e2e.cloud_fixture import LocalCloud
from satchel.hosting import local, stack

Ask = Callable[[LocalCloud, Any], Any]
ITEM = {"PK": {"S": "A#somebody"}, "SK": {"S": "HEAD"}}


def due(cloud: LocalCloud, client: Any) -> Any:
    return client.query(
        TableName=cloud.table,
        IndexName="due",
        KeyConditionExpression="due_shard = :shard",
        ExpressionAttributeValues={":shard": {"S": "DUE#0"}},
    )


FOR_NOBODY: dict[str, tuple[str, Ask]] = {
    "scan the table": ("dynamodb", lambda cloud, it: it.scan(TableName=cloud.table)),
    "delete the table": ("dynamodb", lambda cloud, it: it.delete_table(TableName=cloud.table)),
    "export the table": ("dynamodb", lambda cloud, it: it.describe_continuous_backups(TableName=cloud.table)),
    "read another table": ("dynamodb", lambda _, it: it.get_item(TableName="another", Key=ITEM)),
    "list what users keep": ("s3", lambda cloud, it: it.list_objects_v2(Bucket=cloud.content_bucket)),
    "read beside content": ("s3", lambda cloud, it: it.get_object(Bucket=cloud.content_bucket, Key="other/x")),
    "write beside content": ("s3", lambda cloud, it: it.put_object(Bucket=cloud.content_bucket, Key="other/x")),
    "open the bucket": ("s3", lambda cloud, it: it.delete_public_access_block(Bucket=cloud.content_bucket)),
    "change the site": ("s3", lambda cloud, it: it.put_object(Bucket=cloud.outputs["StaticBucket"], Key="index.html")),
    "call a function": ("lambda", lambda _, it: it.invoke(FunctionName=f"{local.STACK}-janitor:live")),
    "change a function": (
        "lambda", lambda _, it: it.update_function_configuration(FunctionName=f"{local.STACK}-api", Timeout=3),
    ),
    "read users": ("cognito-idp", lambda cloud, it: it.list_users(UserPoolId=cloud.user_pool_id)),
    "give itself rights": (
        "iam", lambda cloud, it: it.put_role_policy(RoleName=role(cloud), PolicyName="more", PolicyDocument="{}"),
    ),
    "forge an event": ("sqs", lambda cloud, it: it.send_message(QueueUrl=queue(cloud), MessageBody="{}")),
    "read logs": ("logs", lambda _, it: it.filter_log_events(logGroupName=f"/aws/lambda/{local.STACK}-api")),
}  # fmt: skip

FOR_SOME: dict[str, tuple[str, set[str], Ask]] = {
    "delete content": (
        "s3", {"api", "public", "ingest", "socket", "notify"},
        lambda cloud, it: it.delete_object(Bucket=cloud.content_bucket, Key="c/somebody/x"),
    ),
    "write content": (
        "s3", {"public", "ingest", "socket", "notify"},
        lambda cloud, it: it.put_object(Bucket=cloud.content_bucket, Key="c/somebody/x"),
    ),
    "write rows": ("dynamodb", {"public", "notify"}, lambda cloud, it: it.put_item(TableName=cloud.table, Item=ITEM)),
    "delete rows": (
        "dynamodb", {"public", "ingest"}, lambda cloud, it: it.delete_item(TableName=cloud.table, Key=ITEM),
    ),
    "ask what is due": ("dynamodb", {"api", "public", "ingest", "socket", "notify"}, due),
}  # fmt: skip


@pytest.mark.parametrize("function", ["api", "public", "ingest", "janitor", "socket", "notify"])
def test_a_role_is_refused_what_is_not_its_work(cloud: LocalCloud, function: str) -> None:
    asked = FOR_NOBODY | {what: (service, ask) for what, (service, whom, ask) in FOR_SOME.items() if function in whom}
    allowed = [
        what for what, (service, ask) in asked.items() if not refused(cloud, cloud.acting_as(function, service), ask)
    ]

    assert allowed == []


def test_the_janitor_alone_may_ask_what_is_due(cloud: LocalCloud) -> None:
    assert not refused(cloud, cloud.acting_as("janitor", "dynamodb"), due)


def refused(cloud: LocalCloud, client: Any, ask: Ask) -> bool:
    try:
        ask(cloud, client)
    except botocore.exceptions.ClientError as error:
        return "AccessDenied" in error.response["Error"]["Code"]
    return False


def role(cloud: LocalCloud) -> str:
    return physical(cloud, "ApiRole")


def queue(cloud: LocalCloud) -> str:
    return physical(cloud, "IngestQueue")


def physical(cloud: LocalCloud, logical_id: str) -> str:
    return next(one.physical_id for one in stack.resources(cloud.aws, local.STACK) if one.logical_id == logical_id)
