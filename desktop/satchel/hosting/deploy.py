"""Deploy Satchel into an AWS account, or take it away again. The same code serves AWS and the local cloud."""

from __future__ import annotations

import hashlib
import json
import mimetypes
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass

import satchel
from satchel.hosting import artifacts, emulated, preflight, stack
from satchel.hosting.aws import Aws, explained
from satchel.hosting.destroy import clear, destroy
from satchel.hosting.package import Payload, cache_control, payload, stamped
from satchel.hosting.report import Report, resources_of, silent

__all__ = ["DISCOVERY", "Deployment", "deploy", "destroy", "discovery"]

DISCOVERY = ".well-known/satchel.json"


@dataclass(frozen=True, slots=True)
class Deployment:
    """What stands after a deploy. `changed` is False when everything was there before."""

    stack: str
    site: str
    region: str
    changed: bool
    outputs: dict[str, str]


def deploy(
    name: str,
    *,
    aws: Aws | None = None,
    region: str | None = None,
    profile: str | None = None,
    parameters: Mapping[str, str] | None = None,
    site: str | None = None,
    report: Report = silent,
    sent: Payload | None = None,
) -> Deployment:
    """Create or update the stack `name` with its site; idempotent.

    `parameters` are the root template's; what is not given keeps its value. `site` is the address that the discovery
    document names, where it is not CloudFront's. Raises `HostingError`.
    """
    stack.check_name(name)
    aws = aws or Aws(region, profile)
    sent = sent or payload()
    with explained():
        preflight.identify(aws, report)
        bucket = artifacts.bucket_of(aws, name)
        given = {"CodeBucket": bucket, "CodeKey": sent.code_key} | dict(parameters or {})
        template = sent.template_files["satchel.yaml"].decode()
        preflight.check(aws, stack.describe(aws, name), template, given, report)
        artifacts.ensure(aws, bucket)
        found = stack.settled(aws, name, report)
        if found is not None and found["StackStatus"] in stack.DEAD:
            report(f"removing what an earlier, failed deployment left of {name}")
            clear(aws, name, report)
            found = None
        sent = stamped(sent, stack.in_force(aws, found, template, given))
        artifacts.upload_once(aws, bucket, sent.code_key, sent.zip)
        for file, content in sent.template_files.items():
            artifacts.upload_once(aws, bucket, f"{sent.template_prefix}/{file}", content)
        given["TemplateBase"] = base = f"{artifacts.address(aws, bucket)}/{sent.template_prefix}"
        if found is None:
            given["OriginSecret"] = secrets.token_urlsafe(32)
        resources = resources_of(sent.template_files, "satchel.yaml") if found is None else None
        changed = stack.bring_up(aws, name, f"{base}/satchel.yaml", given, report, resources=resources)
        made = stack.outputs(aws, name)
        if aws.local:
            emulated.restore(aws, name, sent)
        site = site or made["Site"]
        changed |= _publish(aws, sent, made, site, report)
    return Deployment(name, site, aws.where, changed, made)


def discovery(aws: Aws, made: Mapping[str, str], site: str) -> dict[str, object]:
    """The discovery document: where a client finds everything."""
    return {
        "satchel": 1,
        "version": satchel.__version__,
        "site": site,
        "region": aws.where,
        "user_pool_id": made["UserPoolId"],
        "client_id": made["ClientId"],
        "identity_endpoint": aws.endpoint,
    }


def _publish(aws: Aws, sent: Payload, made: Mapping[str, str], site: str, report: Report) -> bool:
    """Send what changed of the site, remove what is no longer part of it; False when it was all there."""
    s3, bucket = aws.client("s3"), made["StaticBucket"]
    document = json.dumps(discovery(aws, made, site), indent=2).encode()
    wanted = sent.site_files | {DISCOVERY: document}
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    there = {one["Key"]: one["ETag"].strip('"') for page in pages for one in page.get("Contents", [])}
    # The ETag of a plain PUT under SSE-S3 is the content's MD5.
    changed = {
        key: content
        for key, content in wanted.items()
        if there.get(key) != hashlib.md5(content, usedforsecurity=False).hexdigest()
    }
    gone = [key for key in there if key not in wanted]
    # The pages come last: they must not name a module that is not there yet.
    for key in sorted(changed, key=lambda key: (key.endswith(".html"), key)):
        s3.put_object(Bucket=bucket, Key=key, Body=changed[key], **_headers(key))
    for key in gone:
        s3.delete_object(Bucket=bucket, Key=key)
    if not changed and not gone:
        return False
    report(f"published the site: {len(changed)} files sent, {len(gone)} removed")
    if not aws.local:
        aws.client("cloudfront").create_invalidation(
            DistributionId=made["DistributionId"],
            InvalidationBatch={"Paths": {"Quantity": 1, "Items": ["/*"]}, "CallerReference": str(time.time_ns())},
        )
    return True


def _headers(key: str) -> dict[str, str]:
    kind = "text/javascript" if key.endswith((".js", ".mjs")) else mimetypes.guess_type(key)[0]
    kind = kind or "application/octet-stream"
    if kind.startswith("text/"):
        kind += "; charset=utf-8"
    return {"ContentType": kind, "CacheControl": cache_control(key)}
