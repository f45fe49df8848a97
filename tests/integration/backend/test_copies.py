"""New revisions of large files: parts of a layout of their own, those that did not change copied inside S3."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import pytest

from .conftest import ALICE, BOB, Service, new_id

MIB = 1024 * 1024
CRC = "AAAAAAAAAAA="
LAYOUT = [10 * MIB, 6 * MIB, MIB]
NEW = random.Random(2).randbytes(6 * MIB)


@pytest.fixture
def old(service: Service) -> bytes:
    """What the revision before holds. As deployed, the bucket keeps versions."""
    service.s3.put_bucket_versioning(Bucket="content", VersioningConfiguration={"Status": "Enabled"})
    return random.Random(1).randbytes(18 * MIB)


@pytest.fixture
def node(service: Service, old: bytes) -> dict[str, Any]:
    """A large file that is there."""
    intent = without_digest(service.intent(size=len(old)))
    service.open(intent)
    place = multipart(service, intent)
    for number, at in enumerate(range(0, len(old), 8 * MIB), 1):
        service.s3.upload_part(**place, PartNumber=number, Body=old[at : at + 8 * MIB])
    digest = hashlib.sha256(old).hexdigest()
    return dict(service.complete({"upload_id": intent["upload_id"], "sha256": digest})[0]["node"])


def without_digest(intent: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in intent.items() if name != "sha256"}


def changed(service: Service, node: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The intent of a new revision that would come in `LAYOUT`."""
    intent = without_digest(service.intent(size=sum(LAYOUT), node_id=node["node_id"], name=node["name"]))
    return intent | {"part_sizes": LAYOUT, "base_revision": node["revision"]["revision_id"]} | more


def multipart(service: Service, intent: dict[str, Any]) -> dict[str, Any]:
    """How S3 names the parts of an open upload."""
    (open_now,) = [
        one
        for one in service.s3.list_multipart_uploads(Bucket="content")["Uploads"]
        if one["Key"].endswith(intent["upload_id"])
    ]
    return {"Bucket": "content", "Key": open_now["Key"], "UploadId": open_now["UploadId"]}


def sign(service: Service, intent: dict[str, Any], *parts: dict[str, Any], who: str = ALICE) -> Any:
    return service.call("POST", f"/v1/uploads/{intent['upload_id']}/parts", {"sign": list(parts)}, who=who)


def test_a_copy_names_one_version_of_the_revision_before_and_all_of_it_is_signed(
    service: Service, node: dict[str, Any]
) -> None:
    intent = changed(service, node)
    opened = service.open(intent)[0]
    assert (opened["outcome"], opened["part_sizes"]) == ("multipart", LAYOUT)
    status, reply = sign(service, intent, {"part": 1, "copy_from": 8 * MIB}, {"part": 2, "crc64nvme": CRC})
    assert status == 200
    copied, sent = reply["signed"]
    key = f"c/{ALICE}/{node['revision']['revision_id']}"
    version = service.s3.head_object(Bucket="content", Key=key)["VersionId"]
    assert copied["headers"] == {
        "x-amz-copy-source": f"content/{key}?versionId={version}",
        "x-amz-copy-source-range": f"bytes={8 * MIB}-{18 * MIB - 1}",
    }
    signed = f"{reply['signing_query']}&{copied['query']}"
    assert "X-Amz-SignedHeaders=host%3Bx-amz-copy-source%3Bx-amz-copy-source-range" in signed
    assert sent["headers"] == {"content-length": str(6 * MIB), "x-amz-checksum-crc64nvme": CRC}


def test_copied_and_sent_parts_become_one_ordinary_object(service: Service, node: dict[str, Any], old: bytes) -> None:
    intent = changed(service, node)
    service.open(intent)
    place = multipart(service, intent)
    _, reply = sign(service, intent, *({"part": part, "copy_from": at} for part, at in ((1, 8 * MIB), (3, 5))))
    for signed in reply["signed"]:
        source, _, version = signed["headers"]["x-amz-copy-source"].partition("?versionId=")
        service.s3.upload_part_copy(
            **place,
            PartNumber=signed["part"],
            CopySource={"Bucket": "content", "Key": source.partition("/")[2], "VersionId": version},
            CopySourceRange=signed["headers"]["x-amz-copy-source-range"],
        )
    assert service.complete({"upload_id": intent["upload_id"]})[0]["problem"]["missing_parts"] == [2]
    service.s3.upload_part(**place, PartNumber=2, Body=NEW)
    done = service.complete({"upload_id": intent["upload_id"]})[0]
    assert done["outcome"] == "done"
    assert (
        service.s3.get_object(Bucket="content", Key=place["Key"])["Body"].read() == old[8 * MIB :] + NEW + old[5:][:MIB]
    )
    assert service.open(intent)[0]["outcome"] == "done"


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"part_sizes": [10 * MIB, 6 * MIB]}, "add up"),
        ({"part_sizes": [13 * MIB, 4 * MIB - 1, 1]}, "5 MiB"),
        ({"part_sizes": [17 * MIB], "base_revision": None, "node_id": new_id()}, "nothing to copy"),
        ({"size": MIB, "part_sizes": [MIB], "sha256": "0" * 64}, "16 MiB"),
    ],
)
def test_a_layout_that_s3_would_not_take_is_refused_by_itself(
    service: Service, node: dict[str, Any], change: dict[str, Any], why: str
) -> None:
    intent = {name: value for name, value in (changed(service, node) | change).items() if value is not None}
    good = changed(service, node, upload_id=new_id()) if change.get("node_id") else service.intent()
    refused, taken = service.open(intent, good)
    assert why in refused["problem"]["detail"]
    assert taken["outcome"] in ("put", "multipart")


@pytest.mark.parametrize("sizes", [[0, 17 * MIB], [5 * 1024 * MIB + 1], [MIB] * 10_001, "8", [8.5], [True]])
def test_what_is_no_layout_is_told_by_its_name(service: Service, node: dict[str, Any], sizes: Any) -> None:
    status, problem = service.call("POST", "/v1/uploads", {"intents": [changed(service, node, part_sizes=sizes)]})
    assert status == 400
    assert "part_sizes" in problem["detail"]


def test_layouts_of_one_request_are_not_too_long_together(service: Service, node: dict[str, Any]) -> None:
    intents = [changed(service, node, part_sizes=[1] * 5001) for _ in range(2)]
    status, problem = service.call("POST", "/v1/uploads", {"intents": intents})
    assert (status, problem["type"]) == (400, "urn:satchel:problem:bad-request")


def test_the_longest_layout_is_kept_and_answered(service: Service, node: dict[str, Any]) -> None:
    sizes = [5 * MIB + number % 2 for number in range(10_000)]
    intent = changed(service, node, size=sum(sizes), part_sizes=sizes)
    assert service.open(intent)[0]["part_sizes"] == sizes
    assert service.open(intent)[0]["part_sizes"] == sizes
    assert sign(service, intent, {"part": 10_000, "copy_from": 0})[0] == 200


@pytest.mark.parametrize(
    "part",
    [
        {"part": 4, "copy_from": 0},
        {"part": 1, "copy_from": 8 * MIB + 1},
        {"part": 1, "copy_from": -1},
        {"part": 1, "copy_from": 0, "crc64nvme": CRC},
        {"part": 1},
    ],
    ids=["no such part", "beyond its end", "before its begin", "both", "neither"],
)
def test_a_part_that_cannot_be_copied_is_not_signed(service: Service, node: dict[str, Any], part: Any) -> None:
    intent = changed(service, node)
    service.open(intent)
    assert sign(service, intent, part)[0] == 400


def test_an_upload_in_equal_parts_copies_nothing(service: Service, node: dict[str, Any]) -> None:
    intent = changed(service, node)
    del intent["part_sizes"]
    assert "part_sizes" not in service.open(intent)[0]
    assert sign(service, intent, {"part": 1, "copy_from": 0})[0] == 400


def test_a_revision_whose_bytes_are_gone_is_answered_by_equal_parts(service: Service, node: dict[str, Any]) -> None:
    service.s3.delete_object(Bucket="content", Key=f"c/{ALICE}/{node['revision']['revision_id']}")
    opened = service.open(changed(service, node))[0]
    assert (opened["outcome"], opened["part_size"]) == ("multipart", 8 * MIB)
    assert "part_sizes" not in opened


def test_a_small_revision_before_is_answered_by_equal_parts(service: Service, old: bytes) -> None:
    opened = service.open(changed(service, service.put(b"small")))[0]
    assert "part_sizes" not in opened


def test_nothing_is_copied_from_what_is_anothers_or_out_of_date(service: Service, node: dict[str, Any]) -> None:
    service.call("GET", "/v1/account", who=BOB)
    assert service.open(changed(service, node), who=BOB)[0]["problem"]["type"].endswith("not-found")
    stale = service.open(changed(service, node, base_revision=new_id()))[0]
    assert stale["problem"]["type"].endswith("revision-conflict")
    intent = changed(service, node)
    service.open(intent)
    assert sign(service, intent, {"part": 1, "copy_from": 0}, who=BOB)[0] == 404


def test_the_source_stays_the_one_of_the_opening(service: Service, node: dict[str, Any]) -> None:
    """Another computer's revision comes in between: its bytes are at other offsets."""
    intent = changed(service, node)
    service.open(intent)
    service.put(b"x" * (6 * MIB), node_id=node["node_id"], base_revision=node["revision"]["revision_id"])
    _, reply = sign(service, intent, {"part": 1, "copy_from": 0})
    assert f"/{node['revision']['revision_id']}?" in reply["signed"][0]["headers"]["x-amz-copy-source"]


def test_of_a_large_files_digest_the_last_word_counts(service: Service, node: dict[str, Any], old: bytes) -> None:
    """It was hashed before it was opened; the parts were read, and checked by S3, later."""
    intent = changed(service, node, part_sizes=[17 * MIB], sha256="1" * 64)
    service.open(intent)
    service.s3.upload_part(**multipart(service, intent), PartNumber=1, Body=old[: 17 * MIB])
    digest = hashlib.sha256(old[: 17 * MIB]).hexdigest()
    done = service.complete({"upload_id": intent["upload_id"], "sha256": digest})[0]
    assert done["node"]["revision"]["sha256"] == digest
