"""The bucket that a stack's code and templates come from, and its one rule: a key names its content."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from satchel.hosting.aws import Aws, error_code


def bucket_of(aws: Aws, name: str) -> str:
    """The bucket of a stack's code and templates: always the same one, so that it is found again."""
    return f"satchel-artifacts-{aws.account}-{aws.where}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def address(aws: Aws, bucket: str) -> str:
    return f"{aws.endpoint}/{bucket}" if aws.local else f"https://{bucket}.s3.{aws.where}.amazonaws.com"


def ensure(aws: Aws, bucket: str) -> None:
    import botocore.exceptions  # noqa: PLC0415 - heavy

    s3 = aws.client("s3")
    try:
        # Bucket names are everybody's: never hand code to one that somebody else took.
        s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=aws.account)
    except botocore.exceptions.ClientError as error:
        if error_code(error) not in ("404", "NoSuchBucket"):
            raise
        where = {} if aws.where == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": aws.where}}
        s3.create_bucket(Bucket=bucket, **where)
        closed = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
        s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=dict.fromkeys(closed, True))
        if not aws.local:
            s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(_tls_only(aws, bucket)))


def _tls_only(aws: Aws, bucket: str) -> dict[str, Any]:
    partition = aws.identity.split(":")[1]
    arn = f"arn:{partition}:s3:::{bucket}"
    plain = {"Bool": {"aws:SecureTransport": "false"}}
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [arn, f"{arn}/*"], "Condition": plain}
    return {"Version": "2012-10-17", "Statement": [deny]}


def upload_once(aws: Aws, bucket: str, key: str, content: bytes) -> None:
    """Keys name their content: what is there is right."""
    import botocore.exceptions  # noqa: PLC0415 - heavy

    s3 = aws.client("s3")
    try:
        s3.head_object(Bucket=bucket, Key=key)
    except botocore.exceptions.ClientError as error:
        if error_code(error) not in ("404", "NoSuchKey"):
            raise
        s3.put_object(Bucket=bucket, Key=key, Body=content, ExpectedBucketOwner=aws.account)
