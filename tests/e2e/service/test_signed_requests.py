"""What S3 and the roles refuse, whoever holds a URL: late, altered, of another length, or for another part."""

from __future__ import annotations

import base64
import hashlib
import http.client
import secrets
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Any

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


def open_upload(
    cloud: LocalCloud, token: str, content: bytes, size: int | None = None, **more: Any
) -> tuple[str, dict[str, Any]]:
    """The upload's id and the service's whole answer."""
    upload_id = more.get("upload_id") or secrets.token_hex(16)
    intent = {
        "upload_id": upload_id,
        "node_id": secrets.token_hex(16),
        "parent_id": "root",
        "name": f"{upload_id}.bin",
        "size": size or len(content),
        "modified_ms": 1_700_000_000_000,
    } | more
    if (size or len(content)) < MULTIPART:
        intent["sha256"] = hashlib.sha256(content).hexdigest()
    reply = cloud.request("POST", "/v1/uploads", {"intents": [intent]}, token=token)
    assert reply.status == 200, reply.body
    return upload_id, reply.json()


def signed_put(cloud: LocalCloud, token: str, content: bytes) -> Signed:
    return put_of(open_upload(cloud, token, content)[1])


def put_of(answer: dict[str, Any]) -> Signed:
    put = answer["uploads"][0]["put"]
    return Signed(f"{put['url']}?{answer['signing_query']}&{put['query']}", put["headers"])


def signed_part(cloud: LocalCloud, token: str) -> tuple[Signed, bytes]:
    """A request for the first part of an upload, and what it was signed for."""
    upload_id, opened = open_upload(cloud, token, b"", size=2 * MULTIPART)
    content = secrets.token_bytes(opened["uploads"][0]["part_size"])
    return sign_part(cloud, token, upload_id, {"part": 1, "crc64nvme": crc_of(content)}), content


def sign_part(cloud: LocalCloud, token: str, upload_id: str, part: dict[str, Any]) -> Signed:
    reply = cloud.request("POST", f"/v1/uploads/{upload_id}/parts", {"sign": [part]}, token=token)
    assert reply.status == 200, reply.body
    answer = reply.json()
    signed = answer["signed"][0]
    return Signed(f"{signed['url']}?{answer['signing_query']}&{signed['query']}", signed["headers"])


def addresses(cloud: LocalCloud, token: str, *node_ids: str) -> list[str]:
    """Where these files' contents are, asked for at once."""
    reply = cloud.request("POST", "/v1/contents", {"node_ids": list(node_ids)}, token=token)
    assert reply.status == 200, reply.body
    answer = reply.json()
    return [f"{one['url']}?{answer['signing_query']}&{one['query']}" for one in answer["contents"]]


def crc_of(content: bytes) -> str:
    return base64.b64encode(checksums.crc64nvme(content).to_bytes(8, "big")).decode()


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


@pytest.fixture(scope="module")
def copy(cloud: LocalCloud, token: str) -> tuple[Signed, bytes]:
    """A request that has S3 copy the first part of a new revision, and what is copied."""
    content, node_id = secrets.token_bytes(MULTIPART), secrets.token_hex(16)
    upload_id, opened = open_upload(cloud, token, b"", size=MULTIPART, node_id=node_id)
    size = opened["uploads"][0]["part_size"]
    for number, at in enumerate(range(0, MULTIPART, size), 1):
        piece = content[at : at + size]
        part = {"part": number, "crc64nvme": crc_of(piece)}
        assert sign_part(cloud, token, upload_id, part).put(piece)[0] == 200
    done = cloud.request("POST", "/v1/uploads/complete", {"uploads": [{"upload_id": upload_id}]}, token=token)
    base = done.json()["results"][0]["node"]["revision"]["revision_id"]
    more = {"node_id": node_id, "base_revision": base, "part_sizes": [MULTIPART // 2, MULTIPART // 2]}
    upload_id, _ = open_upload(cloud, token, b"", size=MULTIPART, **more)
    return sign_part(cloud, token, upload_id, {"part": 1, "copy_from": 1000}), content[1000 : 1000 + MULTIPART // 2]


def test_a_signed_copy_copies_what_it_was_signed_for(copy: tuple[Signed, bytes]) -> None:
    signed, copied = copy
    status, answer = signed.put(b"")
    assert status == 200
    assert hashlib.md5(copied, usedforsecurity=False).hexdigest().encode() in answer


@pytest.mark.parametrize(
    ("header", "change"),
    [
        ("x-amz-copy-source", lambda told: told.partition("?")[0]),
        ("x-amz-copy-source", lambda told: told.replace("/c/", "/c/somebody/../")),
        ("x-amz-copy-source", lambda told: f"{told}x"),
        ("x-amz-copy-source-range", lambda told: told.replace("bytes=1000-", "bytes=0-")),
        ("x-amz-copy-source", lambda told: None),
        ("x-amz-copy-source-range", lambda told: None),
    ],
    ids=["any version", "another object", "another version", "another range", "no source", "all of it"],
)
def test_a_copy_of_anything_else_is_refused(copy: tuple[Signed, bytes], header: str, change: Any) -> None:
    signed, _ = copy
    headers = {name: value for name, value in signed.headers.items() if name != header}
    if (other := change(signed.headers[header])) is not None:
        headers[header] = other
    assert headers != signed.headers
    assert Signed(signed.url, headers).put(b"")[0] == 403


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


def test_a_url_lives_for_a_quarter_of_an_hour(cloud: LocalCloud, token: str) -> None:
    query = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(signed_put(cloud, token, b"x" * 100).url).query))

    assert query["X-Amz-Expires"] == "900"


def test_what_the_service_signed_is_refused_when_it_is_late(cloud: LocalCloud, token: str) -> None:
    kept = secrets.token_bytes(1000)
    upload_id, node_id, link = secrets.token_hex(16), secrets.token_hex(16), secrets.token_urlsafe(17)[:22]
    opened_id, opened = open_upload(cloud, token, kept, upload_id=upload_id, node_id=node_id, link={"token": link})
    assert put_of(opened).put(kept)[0] == 200
    cloud.request("POST", "/v1/uploads/complete", {"uploads": [{"upload_id": opened_id}]}, token=token)
    content = secrets.token_bytes(1000)
    with cloud.serving_with("api", URL_SECONDS="1"), cloud.serving_with("public", URL_SECONDS="1"):
        put, (part, piece) = signed_put(cloud, token, content), signed_part(cloud, token)
        downloads = [
            cloud.request("GET", f"/v1/nodes/{node_id}/content", token=token).json()["url"],
            *addresses(cloud, token, node_id),
            cloud.request("GET", f"/p/{link}/content").header("location"),
        ]
    assert all("X-Amz-Expires=1&" in url for url in (put.url, part.url, *downloads))
    time.sleep(2.1)

    assert put.put(content)[0] == 403
    assert part.put(piece)[0] == 403
    for url in downloads:
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(url, timeout=10)


@pytest.mark.parametrize("name", ["page.html", "drawing.svg", 'a"b\nc\u202egpj.é;%.txt'])
def test_a_download_is_an_attachment_with_a_type_that_cannot_run(cloud: LocalCloud, token: str, name: str) -> None:
    content, link = secrets.token_bytes(100), secrets.token_urlsafe(17)[:22]
    upload_id, opened = open_upload(cloud, token, content, name=name, if_taken="rename", link={"token": link})
    signed = put_of(opened)
    # What the sender says of the type counts for nothing.
    assert Signed(signed.url, signed.headers | {"content-type": "text/html"}).put(content)[0] == 200
    cloud.request("POST", "/v1/uploads/complete", {"uploads": [{"upload_id": upload_id}]}, token=token)

    fetched = cloud.request("GET", f"/p/{link}/content", follow=True)

    assert fetched.body == content
    assert fetched.header("content-type") in ("application/octet-stream", "text/plain")
    told = fetched.header("content-disposition") or ""
    assert told.startswith("attachment; ")
    assert urllib.parse.unquote(told.rpartition("''")[2]) == name


def test_addresses_of_one_reply_lead_each_to_its_content(cloud: LocalCloud, token: str) -> None:
    contents = [secrets.token_bytes(100) for _ in range(3)]
    node_ids = [secrets.token_hex(16) for _ in contents]
    for node_id, content, ending in zip(node_ids, contents, ("txt", "é", "bin"), strict=True):
        upload_id, opened = open_upload(cloud, token, content, node_id=node_id, name=f"{node_id}.{ending}")
        assert put_of(opened).put(content)[0] == 200
        cloud.request("POST", "/v1/uploads/complete", {"uploads": [{"upload_id": upload_id}]}, token=token)

    for address, content in zip(addresses(cloud, token, *node_ids), contents, strict=True):
        with urllib.request.urlopen(address, timeout=10) as reply:
            assert reply.read() == content
            assert reply.headers["content-disposition"].startswith("attachment; ")


@pytest.fixture(scope="module")
def public(cloud: LocalCloud) -> Any:
    """S3 as the deployed public function may use it."""
    return cloud.acting_as("public", "s3")


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


def test_the_public_role_reads_content_and_writes_none(cloud: LocalCloud, public: Any) -> None:
    key = f"c/somebody/{secrets.token_hex(16)}"
    cloud.aws.client("s3").put_object(Bucket=cloud.content_bucket, Key=key, Body=b"kept")

    assert public.get_object(Bucket=cloud.content_bucket, Key=key)["Body"].read() == b"kept"
    for ask in (
        lambda: public.put_object(Bucket=cloud.content_bucket, Key=key, Body=b"x"),
        lambda: public.delete_object(Bucket=cloud.content_bucket, Key=key),
        lambda: public.create_multipart_upload(Bucket=cloud.content_bucket, Key=key),
        lambda: public.copy_object(
            Bucket=cloud.content_bucket, Key=f"{key}2", CopySource={"Bucket": cloud.content_bucket, "Key": key}
        ),
        lambda: public.get_object(Bucket=cloud.content_bucket, Key="elsewhere"),
        lambda: public.get_object(Bucket=cloud.outputs["StaticBucket"], Key="index.html"),
    ):
        with pytest.raises(botocore.exceptions.ClientError, match="AccessDenied"):
            ask()


def test_the_public_role_can_neither_search_nor_fill_the_table(cloud: LocalCloud) -> None:
    table, key = cloud.acting_as("public", "dynamodb"), {"PK": {"S": "A#x"}, "SK": {"S": "HEAD"}}
    for ask in (
        lambda: table.scan(TableName=cloud.table),
        lambda: table.put_item(TableName=cloud.table, Item=key),
        lambda: table.delete_item(TableName=cloud.table, Key=key),
        lambda: table.query(
            TableName=cloud.table,
            IndexName="due",
            KeyConditionExpression="due_shard = :shard",
            ExpressionAttributeValues={":shard": {"S": "DUE#0"}},
        ),
    ):
        with pytest.raises(botocore.exceptions.ClientError, match="AccessDenied"):
            ask()
