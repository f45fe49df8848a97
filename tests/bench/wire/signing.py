"""Presigned S3 requests made here: what the service does elsewhere, so that the engine can be timed alone.

Signature version 4 by query, as in Amazon's "Authenticating Requests: Using Query Parameters"; the day's key is kept.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from collections.abc import Mapping
from functools import cache, lru_cache
from urllib.parse import quote

REGION = "us-east-1"
ACCESS_KEY, SECRET_KEY = "benchmark", "benchmark-secret-key"


def presigned(method: str, url: str, query: Mapping[str, str], headers: Mapping[str, str], expires: int = 900) -> str:
    """The whole query for `url`, which has none of its own; `headers` have lower-case names and go as they are."""
    _, _, rest = url.partition("://")
    host, _, path = rest.partition("/")
    now = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    signed = {"host": host, **headers}
    names = ";".join(sorted(signed))
    # In the order of bytes: capitals come first.
    own = "".join(f"&{quote(key, safe='')}={quote(query[key], safe='')}" for key in sorted(query))
    text = _common(now, names, expires) + own
    lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
    request = f"{method}\n/{path}\n{text}\n{lines}\n{names}\nUNSIGNED-PAYLOAD"
    digest = hashlib.sha256(request.encode()).hexdigest()
    signature = _mac(_key(now[:8]), f"AWS4-HMAC-SHA256\n{now}\n{_scope(now)}\n{digest}").hex()
    return f"{text}&X-Amz-Signature={signature}"


def _scope(now: str) -> str:
    return f"{now[:8]}/{REGION}/s3/aws4_request"


@lru_cache(maxsize=8)
def _common(now: str, names: str, expires: int) -> str:
    asked = {
        "X-Amz-Algorithm": "AWS4-HMAC-SHA256",
        "X-Amz-Credential": f"{ACCESS_KEY}/{_scope(now)}",
        "X-Amz-Date": now,
        "X-Amz-Expires": str(expires),
        "X-Amz-SignedHeaders": names,
    }
    return "&".join(f"{key}={quote(value, safe='')}" for key, value in asked.items())


@cache
def _key(day: str) -> bytes:
    key = f"AWS4{SECRET_KEY}".encode()
    for word in (day, REGION, "s3", "aws4_request"):
        key = _mac(key, word)
    return key


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
