"""What S3 and the roles refuse, whoever holds a URL: late, altered, of another length, or for another part."""

from __future__ import annotations

import base64
import hashlib
import http.client
import secrets
import time
import urllib.parse
from dataclasses import dataclass
from typing import Any

import boto3
import botocore.exceptions
import pytest
from awscrt import checksums

from e2e.cloud_fixture import LocalCloud

MULTIPART = 16 * 1024 * 1024


@dataclass(frozen=True)
class Signed:
    url: str
    headers: dict[str, str]

    def put(self, body: bytes) -> tuple[int, bytes]:
        """Status and body of S3's answer."""
        parts = urllib.parse.urlsplit(self.url)
        line = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        try:
            # The length that goes out is the body's own, whatever was signed.
            headers = {name: value for name, value in self.headers.items() if name.lower() != "content-length"}
            line.request("PUT", f"{parts.path}?{parts.query}", body, headers)
            reply = line.getresponse()
            return reply.status, reply.read()
        finally:
            line.close()


@pytest.fixture(scope="module")
def token(cloud: LocalCloud) -> str:
    return cloud.tokens(*cloud.new_user())["AccessToken"]


def open_upload(cloud: LocalCloud, token: str, content: bytes, size: int | None = None) -> tuple[str, dict[str, Any]]:
    """The upload's id and the service's whole answer."""
    upload_id = secrets.token_hex(16)
    intent = {
        "upload_id": upload_id,
        "node_id": secrets.token_hex(16),
        "parent_id": "root",
        "name": f"{upload_id}.bin",
        "size": size or len(content),
        "modified_ms": 1_700_000_000_000,
    }
    if (size or len(content)) < MULTIPART:
        intent["sha256"] = hashlib.sha256(content).hexdigest()
    reply = cloud.request("POST", "/v1/uploads", {"intents": [intent]}, token=token)
    assert reply.status == 200, reply.body
    return upload_id, reply.json()


def signed_put(cloud: LocalCloud, token: str, content: bytes) -> Signed:
    _, answer = open_upload(cloud, token, content)
    put = answer["uploads"][0]["put"]
    return Signed(f"{put['url']}?{answer['signing_query']}&{put['query']}", put["headers"])


def signed_part(cloud: LocalCloud, token: str) -> tuple[Signed, bytes]:
    """A request for the first part of an upload, and what it was signed for."""
    upload_id, opened = open_upload(cloud, token, b"", size=2 * MULTIPART)
    content = secrets.token_bytes(opened["uploads"][0]["part_size"])
    crc = base64.b64encode(checksums.crc64nvme(content).to_bytes(8, "big")).decode()
    asked = {"sign": [{"part": 1, "crc64nvme": crc}]}
    reply = cloud.request("POST", f"/v1/uploads/{upload_id}/parts", asked, token=token)
    assert reply.status == 200, reply.body
    answer = reply.json()
    signed = answer["signed"][0]
    return Signed(f"{signed['url']}?{answer['signing_query']}&{signed['query']}", signed["headers"]), content


def flipped(content: bytes) -> bytes:
    return bytes([content[0] ^ 1]) + content[1:]


def test_a_signed_put_takes_what_it_was_signed_for_once(cloud: LocalCloud, token: str) -> None:
    content = secrets.token_bytes(1000)
    put = signed_put(cloud, token, content)

    assert put.url.startswith(cloud.endpoint)
    assert put.put(content)[0] == 200
    assert put.put(content)[0] == 412


@pytest.mark.parametrize("change", [lambda body: body + b"x", lambda body: body[:-1], lambda body: b""])
def test_another_length_is_refused(cloud: LocalCloud, token: str, change: Any) -> None:
    content = secrets.token_bytes(1000)

    assert signed_put(cloud, token, content).put(change(content))[0] == 403


def test_a_byte_flipped_on_the_wire_is_refused(cloud: LocalCloud, token: str) -> None:
    content = secrets.token_bytes(1000)
    put = signed_put(cloud, token, content)

    status, answer = put.put(flipped(content))

    assert status == 400
    assert b"BadDigest" in answer or b"ChecksumMismatch" in answer
    assert put.put(content)[0] == 200


def test_a_byte_flipped_in_a_part_is_refused(cloud: LocalCloud, token: str) -> None:
    part, content = signed_part(cloud, token)

    assert part.put(flipped(content))[0] == 400
    assert part.put(content)[0] == 200


def test_a_part_is_signed_for_its_own_place_only(cloud: LocalCloud, token: str) -> None:
    part, content = signed_part(cloud, token)
    moved = Signed(part.url.replace("partNumber=1", "partNumber=2"), part.headers)

    assert moved.url != part.url
    assert moved.put(content)[0] == 403


def test_an_altered_url_is_refused(cloud: LocalCloud, token: str) -> None:
    content = secrets.token_bytes(1000)
    put = signed_put(cloud, token, content)
    parts = urllib.parse.urlsplit(put.url)
    elsewhere = parts._replace(path=parts.path[:-1] + ("0" if parts.path[-1] != "0" else "1")).geturl()
    query = dict(urllib.parse.parse_qsl(parts.query))
    longer = put.url.replace(f"X-Amz-Expires={query['X-Amz-Expires']}", "X-Amz-Expires=604800")
    free = {name: value for name, value in put.headers.items() if name.lower() != "if-none-match"}

    assert longer != put.url
    assert free != put.headers
    assert Signed(elsewhere, put.headers).put(content)[0] == 403
    assert Signed(longer, put.headers).put(content)[0] == 403
    assert Signed(put.url, free).put(content)[0] == 403


def test_a_url_lives_for_an_hour_at_most_and_is_refused_when_it_is_late(cloud: LocalCloud, token: str) -> None:
    put = signed_put(cloud, token, b"x" * 100)
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(put.url).query))
    late = cloud.aws.client("s3").generate_presigned_url(
        "put_object", Params={"Bucket": cloud.content_bucket, "Key": "c/late/late"}, ExpiresIn=1
    )
    time.sleep(2.1)

    assert int(query["X-Amz-Expires"]) <= 3600
    assert Signed(late, {}).put(b"x")[0] == 403


@pytest.fixture(scope="module")
def public(cloud: LocalCloud) -> Any:
    """S3 as the deployed public function may use it."""
    credentials = cloud.aws.client("sts").assume_role(RoleArn=cloud.role("public"), RoleSessionName="test")
    key = credentials["Credentials"]
    return boto3.client(
        "s3",
        endpoint_url=cloud.endpoint,
        region_name=cloud.region,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        aws_session_token=key["SessionToken"],
    )


def test_the_public_role_cannot_list(cloud: LocalCloud, public: Any) -> None:
    for ask in (
        public.list_buckets,
        lambda: public.list_objects_v2(Bucket=cloud.content_bucket),
        lambda: public.list_object_versions(Bucket=cloud.content_bucket),
        lambda: public.list_multipart_uploads(Bucket=cloud.content_bucket),
        lambda: public.list_objects_v2(Bucket=cloud.outputs["StaticBucket"]),
    ):
        with pytest.raises(botocore.exceptions.ClientError, match="AccessDenied"):
            ask()


@pytest.mark.parametrize("key", ["c/somebody/content", "index.html", "inside/c", "../in/x", "IN/x"])
def test_the_public_role_cannot_write_outside_in(cloud: LocalCloud, public: Any, key: str) -> None:
    for bucket in (cloud.content_bucket, cloud.outputs["StaticBucket"]):
        with pytest.raises(botocore.exceptions.ClientError, match="AccessDenied"):
            public.put_object(Bucket=bucket, Key=key, Body=b"x")
        with pytest.raises(botocore.exceptions.ClientError, match="AccessDenied"):
            public.delete_object(Bucket=bucket, Key=key)
