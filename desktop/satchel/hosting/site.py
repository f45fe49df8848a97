"""The static bucket: the site's pages and the apps to download. Only what differs is sent, in an order that holds."""

from __future__ import annotations

import hashlib
import json
import mimetypes
import time
from collections.abc import Iterable, Mapping

import satchel
from satchel.hosting.aws import Aws
from satchel.hosting.package import ASSETS, Payload
from satchel.hosting.report import Report

DISCOVERY = ".well-known/satchel.json"
DOWNLOADS = "download/"
"""What lies under it are the apps, which stay when the site changes."""
MANIFEST = "download/latest.json"
_SEEN_AS = {"index.html": ("/", "/s/*")}
"""Under which other addresses CloudFront may keep a page."""


def publish(aws: Aws, sent: Payload, made: Mapping[str, str], site: str, report: Report) -> bool:
    """Send what changed of the site, remove what is no longer part of it; False when it was all there.

    `made` are the outputs of the stack; `site` is the address that the discovery document names.
    """
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
    gone = [key for key in there if key not in wanted and not key.startswith(DOWNLOADS)]
    # The pages come last: they must not name a module that is not there yet.
    for key in sorted(changed, key=lambda key: (key.endswith(".html"), key)):
        s3.put_object(Bucket=bucket, Key=key, Body=changed[key], **headers(key))
    for key in gone:
        s3.delete_object(Bucket=bucket, Key=key)
    if not changed and not gone:
        return False
    report(f"published the site: {len(changed)} files sent, {len(gone)} removed")
    forget(aws, made, [*changed, *gone])
    return True


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


def cache_control(key: str) -> str:
    """What a file says of its keeping, at the edge and in browsers."""
    return "public, max-age=31536000, immutable" if _names_content(key) else "no-cache"


def headers(key: str) -> dict[str, str]:
    """What S3 keeps with a file and says when it is asked for."""
    kind = "text/javascript" if key.endswith((".js", ".mjs")) else mimetypes.guess_type(key)[0]
    kind = kind or "application/octet-stream"
    if kind.startswith("text/"):
        kind += "; charset=utf-8"
    return {"ContentType": kind, "CacheControl": cache_control(key)}


def forget(aws: Aws, made: Mapping[str, str], keys: Iterable[str]) -> None:
    """Have CloudFront ask anew for those of `keys` that do not name their content."""
    named = [key for key in keys if not _names_content(key)]
    paths = sorted({f"/{key}" for key in named} | {path for key in named for path in _SEEN_AS.get(key, ())})
    if not paths or aws.local:  # the local edge keeps nothing
        return
    aws.client("cloudfront").create_invalidation(
        DistributionId=made["DistributionId"],
        InvalidationBatch={"Paths": {"Quantity": len(paths), "Items": paths}, "CallerReference": str(time.time_ns())},
    )


def _names_content(key: str) -> bool:
    return key.startswith((ASSETS, DOWNLOADS)) and key != MANIFEST
