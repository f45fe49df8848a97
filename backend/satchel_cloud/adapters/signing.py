"""Presigned S3 requests. What those of one reply have in common is given once, so that replies stay small."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest

from satchel_cloud.domain.model import Source


@dataclass(frozen=True, slots=True)
class Signed:
    """A signed request; `query` is its whole query, parameter by parameter as it goes on the wire."""

    url: str
    query: tuple[str, ...]
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """The whole URL."""
        return f"{self.url}?{'&'.join(self.query)}"


class Signer:
    """Signs requests for one bucket, each good for `expires` seconds. `base` is its address, no slash at its end."""

    def __init__(self, credentials: Callable[[], Any], region: str, base: str, expires: int, *, bucket: str) -> None:
        self._credentials = credentials
        self._region = region
        self._base = base
        self._bucket = bucket
        self._expires = expires

    def put(self, key: str, size: int, sha256: str) -> Signed:
        headers = {
            "content-length": str(size),
            "if-none-match": "*",
            "x-amz-checksum-sha256": base64.b64encode(bytes.fromhex(sha256)).decode(),
        }
        return self._sign("PUT", key, {}, headers)

    def part(self, key: str, multipart_id: str, number: int, size: int, crc64nvme: str) -> Signed:
        headers = {"content-length": str(size), "x-amz-checksum-crc64nvme": crc64nvme}
        return self._sign("PUT", key, {"partNumber": str(number), "uploadId": multipart_id}, headers)

    def copied_part(self, key: str, multipart_id: str, number: int, source: Source, copied: range) -> Signed:
        """A part that S3 copies itself: these bytes of `source`. Both are signed, with the version."""
        headers = {
            "x-amz-copy-source": f"{self._bucket}/{quote(source.key)}?versionId={quote(source.version, safe='')}",
            "x-amz-copy-source-range": f"bytes={copied.start}-{copied.stop - 1}",
        }
        return self._sign("PUT", key, {"partNumber": str(number), "uploadId": multipart_id}, headers)

    def get(self, key: str, *, disposition: str, content_type: str) -> Signed:
        """Good for range requests, too."""
        query = {"response-content-disposition": disposition, "response-content-type": content_type}
        return self._sign("GET", key, query, {})

    def _sign(self, method: str, key: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Signed:
        url = f"{self._base}/{quote(key)}"
        asked = f"{url}?{urlencode(query, quote_via=quote)}" if query else url
        request = AWSRequest(method=method, url=asked, headers=dict(headers))
        S3SigV4QueryAuth(self._credentials(), "s3", self._region, self._expires).add_auth(request)
        return Signed(url, tuple(request.url.split("?", 1)[1].split("&")), headers)


def split(requests: Sequence[Signed]) -> tuple[str, list[dict[str, Any]]]:
    """The shared `signing_query`, and each request with its own `query`: the contract's SignedRequest."""
    if not requests:
        return "", []
    shared = set(requests[0].query).intersection(*(request.query for request in requests[1:]))
    shared = {pair for pair in shared if not pair.startswith("X-Amz-Signature=")}
    common = "&".join(pair for pair in requests[0].query if pair in shared)
    own = [
        {
            "url": request.url,
            "query": "&".join(pair for pair in request.query if pair not in shared),
            "headers": dict(request.headers),
        }
        for request in requests
    ]
    return common, own
