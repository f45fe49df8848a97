"""S3, as far as the service itself speaks to it. File bytes never come this way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

_GONE = {"NoSuchUpload", "NoSuchKey", "404", "403", "AccessDenied", "NotFound", "Forbidden"}


class GoneError(Exception):
    """S3 knows no such upload (any more)."""


class BrokenError(Exception):
    """S3 refuses to put the parts together."""


class SlowError(Exception):
    """S3 is still putting the parts together."""


@dataclass(frozen=True, slots=True)
class Part:
    number: int
    size: int
    etag: str
    crc64nvme: str | None = None


class Objects:
    def __init__(self, connect: Callable[[], Any], bucket: str) -> None:
        """`connect` makes the client at its first use: most requests only sign, and need none."""
        self._connect = connect
        self._bucket = bucket

    @cached_property
    def _client(self) -> Any:
        return self._connect()

    def size(self, key: str) -> int | None:
        """Bytes of an object; None when it is not there (without ListBucket S3 says 403 for that)."""
        try:
            return int(self._client.head_object(Bucket=self._bucket, Key=key)["ContentLength"])
        except ClientError as error:
            if error.response["Error"]["Code"] in _GONE:
                return None
            raise

    def version(self, key: str, size: int) -> str | None:
        """Which version of an object is the newest; None when it is not there or not of that size."""
        try:
            found = self._client.head_object(Bucket=self._bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in _GONE:
                return None
            raise
        return found.get("VersionId") if found["ContentLength"] == size else None

    def create_multipart(self, key: str) -> str:
        # S3 makes this a full-object checksum by itself; the emulator only knows the composite kind.
        reply = self._client.create_multipart_upload(Bucket=self._bucket, Key=key, ChecksumAlgorithm="CRC64NVME")
        return str(reply["UploadId"])

    def parts(self, key: str, multipart_id: str, after: int = 0) -> tuple[list[Part], bool]:
        """Up to 1,000 parts above number `after`, and whether there are more. Raises `GoneError`."""
        try:
            reply = self._client.list_parts(
                Bucket=self._bucket, Key=key, UploadId=multipart_id, PartNumberMarker=after, MaxParts=1000
            )
        except ClientError as error:
            if error.response["Error"]["Code"] in _GONE:
                raise GoneError from error
            raise
        found = [
            Part(raw["PartNumber"], raw["Size"], raw["ETag"], raw.get("ChecksumCRC64NVME"))
            for raw in reply.get("Parts", [])
        ]
        return found, bool(reply.get("IsTruncated"))

    def all_parts(self, key: str, multipart_id: str) -> list[Part]:
        found: list[Part] = []
        more = True
        while more:
            page, more = self.parts(key, multipart_id, found[-1].number if found else 0)
            found += page
            more = more and bool(page)
        return found

    def complete_multipart(self, key: str, multipart_id: str, parts: list[Part]) -> None:
        """Raises `GoneError`, `BrokenError` or `SlowError`."""
        listed = [
            {"PartNumber": part.number, "ETag": part.etag}
            | ({"ChecksumCRC64NVME": part.crc64nvme} if part.crc64nvme else {})
            for part in parts
        ]
        try:
            self._client.complete_multipart_upload(
                Bucket=self._bucket, Key=key, UploadId=multipart_id, MultipartUpload={"Parts": listed}
            )
        except ReadTimeoutError as error:
            raise SlowError from error
        except ClientError as error:
            if error.response["Error"]["Code"] in _GONE:
                raise GoneError from error
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in (400, 409):
                raise BrokenError from error
            raise

    def abort_multipart(self, key: str, multipart_id: str) -> None:
        try:
            self._client.abort_multipart_upload(Bucket=self._bucket, Key=key, UploadId=multipart_id)
        except ClientError as error:
            if error.response["Error"]["Code"] not in _GONE:
                raise

    def delete(self, key: str) -> None:
        self._client.delete_object(Bucket=self._bucket, Key=key)
