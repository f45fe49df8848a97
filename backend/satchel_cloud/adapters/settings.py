"""What the stack tells a function through its environment."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Settings:
    table: str
    bucket: str
    """Empty for a function that has nothing to do with content."""
    origin_secret: str = ""
    quota_bytes: int = 0
    trash_days: int = 30
    upload_days: int = 7
    url_seconds: int = 900
    """How long a presigned URL is good for, at most: it dies with the credentials that signed it."""
    push_api: str = ""
    """The id of the WebSocket API."""
    endpoint: str | None = None
    """Set for a cloud that is not AWS: everything is under this one address."""
    s3_endpoint: str | None = None
    """Set for a cloud that is not AWS; addresses are path-style then."""

    @classmethod
    def read(cls, env: Mapping[str, str] = os.environ) -> Settings:
        return cls(
            table=env["TABLE"],
            bucket=env.get("CONTENT_BUCKET", ""),
            origin_secret=env.get("ORIGIN_SECRET", ""),
            quota_bytes=int(env.get("QUOTA_BYTES") or 0),
            trash_days=int(env.get("TRASH_DAYS") or 30),
            upload_days=int(env.get("UPLOAD_DAYS") or 7),
            url_seconds=int(env.get("URL_SECONDS") or 900),
            push_api=env.get("PUSH_API", ""),
            endpoint=env.get("AWS_ENDPOINT_URL") or None,
            s3_endpoint=env.get("AWS_ENDPOINT_URL_S3") or env.get("AWS_ENDPOINT_URL") or None,
        )
