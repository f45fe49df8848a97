"""What the local cloud's CloudFormation drops without a word, set from the templates through the services' APIs."""

from __future__ import annotations

from typing import Any

from satchel.hosting import stack
from satchel.hosting.aws import Aws
from satchel.hosting.package import Payload


def restore(aws: Aws, name: str, sent: Payload) -> None:
    """Lifecycle rules, time to live and point-in-time recovery, as `storage.yaml` declares them."""
    declared = _parse(sent.template_files["storage.yaml"])["Resources"]
    there = {one.logical_id: one.physical_id for one in stack.resources(aws, name)}
    upload_days = int(_parameter(aws, name, "UploadDays"))
    s3, dynamodb = aws.client("s3"), aws.client("dynamodb")
    for logical_id, resource in declared.items():
        properties, physical = resource.get("Properties", {}), there.get(logical_id)
        if physical is None:
            continue
        if "LifecycleConfiguration" in properties:
            rules = [_rule(rule, upload_days) for rule in properties["LifecycleConfiguration"]["Rules"]]
            s3.put_bucket_lifecycle_configuration(Bucket=physical, LifecycleConfiguration={"Rules": rules})
        if "TimeToLiveSpecification" in properties:
            _time_to_live(dynamodb, physical, properties["TimeToLiveSpecification"])
        if "PointInTimeRecoverySpecification" in properties:
            dynamodb.update_continuous_backups(
                TableName=physical, PointInTimeRecoverySpecification=properties["PointInTimeRecoverySpecification"]
            )


def _time_to_live(dynamodb: Any, table: str, wanted: dict[str, Any]) -> None:
    now = dynamodb.describe_time_to_live(TableName=table)["TimeToLiveDescription"]
    if now.get("TimeToLiveStatus") not in ("ENABLED", "ENABLING"):
        dynamodb.update_time_to_live(TableName=table, TimeToLiveSpecification=wanted)


def _rule(declared: dict[str, Any], upload_days: int) -> dict[str, Any]:
    """A rule in the words of the S3 API, which differ from CloudFormation's."""
    rule: dict[str, Any] = {"ID": declared["Id"], "Status": declared["Status"], "Filter": {"Prefix": ""}}
    if "AbortIncompleteMultipartUpload" in declared:
        rule["AbortIncompleteMultipartUpload"] = {"DaysAfterInitiation": max(14, upload_days)}
    if "NoncurrentVersionExpiration" in declared:
        rule["NoncurrentVersionExpiration"] = declared["NoncurrentVersionExpiration"]
    if declared.get("ExpiredObjectDeleteMarker"):
        rule["Expiration"] = {"ExpiredObjectDeleteMarker": True}
    return rule


def _parameter(aws: Aws, name: str, key: str) -> str:
    found = stack.describe(aws, name) or {}
    return next(str(p["ParameterValue"]) for p in found.get("Parameters", []) if p["ParameterKey"] == key)


def _parse(template: bytes) -> dict[str, Any]:
    """The template with its intrinsic functions left out. PyYAML comes with ministack."""
    import yaml  # noqa: PLC0415 - only a local cloud brings it

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_multi_constructor("!", lambda *_: None)
    parsed: dict[str, Any] = yaml.load(template, Loader)  # noqa: S506 - a SafeLoader
    return parsed
