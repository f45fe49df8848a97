"""Take a deployment away, with everything it made and kept.

What outlives the stack is written down in the artifact bucket before anything is deleted: a destroy that was cut off
goes on from there.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from satchel.hosting import artifacts, stack
from satchel.hosting.aws import Aws, error_code, explained
from satchel.hosting.process import HostingError
from satchel.hosting.report import Report, silent

_PLAN = "destroy.json"
_BATCH = 1000
_BUSY = {"SlowDown", "InternalError", "ServiceUnavailable"}
_PAUSES = (1.0, 4.0, 15.0)
_GONE = {"404", "NoSuchBucket", "NoSuchKey", "ResourceNotFoundException", "NoSuchUpload"}


@dataclass(frozen=True, slots=True)
class Plan:
    """What the stack does not take with it."""

    buckets: tuple[str, ...]
    tables: tuple[str, ...]
    user_pools: tuple[str, ...]
    static_bucket: str | None = None


def destroy(
    name: str,
    *,
    aws: Aws | None = None,
    region: str | None = None,
    profile: str | None = None,
    erase: str | None = None,
    report: Report = silent,
) -> None:
    """Delete the stack `name` and all that belongs to it, the retained included.

    Refuses with `HostingError` while users keep files in it, unless `erase` repeats the stack's name.
    """
    stack.check_name(name)
    aws = aws or Aws(region, profile)
    with explained():
        artifact_bucket = artifacts.bucket_of(aws, name)
        plan = _recorded(aws, artifact_bucket) or _drawn_up(aws, name)
        if plan is None and not _exists(aws, artifact_bucket):
            raise HostingError(f"There is no stack called {name}", f"Nothing of that name is in {aws.where}.")
        if plan is not None:
            _refuse_to_lose(aws, name, plan, erase)
            _record(aws, artifact_bucket, plan)
            _carry_out(aws, name, plan, report)
        report("removing the deployment's own files")
        _remove_bucket(aws, artifact_bucket)
    report(f"{name} is gone")


def clear(aws: Aws, name: str, report: Report) -> None:
    """Remove a stack whose creation failed. Nobody can have kept anything in it."""
    plan = _drawn_up(aws, name)
    if plan is not None:
        _carry_out(aws, name, plan, report)


def _drawn_up(aws: Aws, name: str) -> Plan | None:
    if stack.describe(aws, name) is None:
        return None
    found = list(stack.resources(aws, name))

    def of(kind: str) -> tuple[str, ...]:
        return tuple(one.physical_id for one in found if one.kind == kind)

    static = next((one.physical_id for one in found if one.logical_id == "StaticBucket"), None)
    return Plan(of("AWS::S3::Bucket"), of("AWS::DynamoDB::Table"), of("AWS::Cognito::UserPool"), static)


def _refuse_to_lose(aws: Aws, name: str, plan: Plan, erase: str | None) -> None:
    if erase == name:
        return
    for bucket in plan.buckets:
        if bucket != plan.static_bucket and _exists(aws, bucket) and next(_versions(aws, bucket), None):
            raise HostingError(
                f"{name} still holds what its users keep",
                f"To delete all of it for good, say the stack's name once more: --erase {name}",
            )


def _carry_out(aws: Aws, name: str, plan: Plan, report: Report) -> None:
    for table in plan.tables:
        _unless_gone(aws.client("dynamodb").update_table, TableName=table, DeletionProtectionEnabled=False)
    if plan.static_bucket is not None:
        _empty(aws, plan.static_bucket)
    if stack.describe(aws, name) is not None:
        report(f"deleting the stack {name}")
        stack.take_down(aws, name, report)
    for bucket in plan.buckets:
        report(f"deleting the bucket {bucket}")
        _remove_bucket(aws, bucket, report)
    for table in plan.tables:
        report(f"deleting the table {table}")
        _unless_gone(aws.client("dynamodb").delete_table, TableName=table)
    for pool in plan.user_pools:
        report(f"deleting the user pool {pool}")
        # Not a moment sooner: Cognito takes what an update does not name for its default, such as anybody's sign-up.
        _unless_gone(aws.client("cognito-idp").update_user_pool, UserPoolId=pool, DeletionProtection="INACTIVE")
        _unless_gone(aws.client("cognito-idp").delete_user_pool, UserPoolId=pool)


def _recorded(aws: Aws, bucket: str) -> Plan | None:
    import botocore.exceptions  # noqa: PLC0415 - heavy

    try:
        reply = aws.client("s3").get_object(Bucket=bucket, Key=_PLAN)
    except botocore.exceptions.ClientError as error:
        if error_code(error) in _GONE:
            return None
        raise
    return msgspec.json.decode(reply["Body"].read(), type=Plan)


def _record(aws: Aws, bucket: str, plan: Plan) -> None:
    artifacts.ensure(aws, bucket)
    aws.client("s3").put_object(Bucket=bucket, Key=_PLAN, Body=msgspec.json.encode(plan))


def _remove_bucket(aws: Aws, bucket: str, report: Report = silent) -> None:
    if _exists(aws, bucket):
        _empty(aws, bucket, report)
        _unless_gone(aws.client("s3").delete_bucket, Bucket=bucket)


def _empty(aws: Aws, bucket: str, report: Report = silent) -> None:
    """Every version, every delete marker, every open multipart upload."""
    if not _exists(aws, bucket):
        return
    s3 = aws.client("s3")
    for key, upload in _open_uploads(aws, bucket):
        _unless_gone(s3.abort_multipart_upload, Bucket=bucket, Key=key, UploadId=upload)
    versions, gone = _versions(aws, bucket), 0
    while batch := list(itertools.islice(versions, _BATCH)):
        _delete(s3, bucket, batch)
        gone += len(batch)
        if gone % (10 * _BATCH) == 0:
            report(f"{gone:,} files and versions of them deleted so far")


def _delete(s3: Any, bucket: str, batch: list[dict[str, str]]) -> None:
    """Ask again for what S3 was too busy to delete."""
    for pause in (*_PAUSES, None):
        reply = s3.delete_objects(Bucket=bucket, Delete={"Objects": batch, "Quiet": True})
        errors = reply.get("Errors", [])
        if not errors:
            return
        refused = next((error for error in errors if error.get("Code") not in _BUSY), None)
        if refused is not None or pause is None:
            first = refused or errors[0]
            raise HostingError(f"{first.get('Key')} could not be deleted", str(first.get("Message", first.get("Code"))))
        batch = [{name: error[name] for name in ("Key", "VersionId") if name in error} for error in errors]
        time.sleep(pause)


def _versions(aws: Aws, bucket: str) -> Iterator[dict[str, str]]:
    for page in aws.client("s3").get_paginator("list_object_versions").paginate(Bucket=bucket):
        for one in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]:
            yield {"Key": one["Key"], "VersionId": one["VersionId"]}


def _open_uploads(aws: Aws, bucket: str) -> Iterator[tuple[str, str]]:
    for page in aws.client("s3").get_paginator("list_multipart_uploads").paginate(Bucket=bucket):
        for one in page.get("Uploads", []):
            yield one["Key"], one["UploadId"]


def _exists(aws: Aws, bucket: str) -> bool:
    return _unless_gone(aws.client("s3").head_bucket, Bucket=bucket, ExpectedBucketOwner=aws.account)


def _unless_gone(do: Callable[..., Any], **arguments: Any) -> bool:
    """Call AWS; False when what it is about is not there."""
    import botocore.exceptions  # noqa: PLC0415 - heavy

    try:
        do(**arguments)
    except botocore.exceptions.ClientError as error:
        if error_code(error) not in _GONE:
            raise
        return False
    return True
