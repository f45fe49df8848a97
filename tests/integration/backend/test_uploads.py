"""Uploads: opened, sent, completed; and everything that may go wrong on the way."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from satchel_cloud.service.context import context

from .conftest import ALICE, BOB, new_id, new_token

MIB = 1024 * 1024


def test_a_small_file_goes_by_one_signed_put(service: Any) -> None:
    intent = service.intent(name="a.txt")
    _, reply = service.call("POST", "/v1/uploads", {"intents": [intent]})
    put = reply["uploads"][0]["put"]
    assert put["headers"]["if-none-match"] == "*"
    assert put["headers"]["x-amz-checksum-sha256"] == base64.b64encode(hashlib.sha256(b"hello").digest()).decode()
    assert put["url"].endswith(f"/c/{ALICE}/{intent['upload_id']}")
    whole = f"{put['url']}?{reply['signing_query']}&{put['query']}"
    assert "X-Amz-SignedHeaders=content-length%3Bhost%3Bif-none-match%3Bx-amz-checksum-sha256" in whole
    assert "X-Amz-Signature=" in put["query"]
    assert "X-Amz-Security-Token" in reply["signing_query"]


def test_items_written_are_few(service: Any) -> None:
    service.call("GET", "/v1/account")
    counts = []

    def cost(work: Any) -> Any:
        service.items.clear()
        out = work()
        counts.append(service.items["written"])
        return out

    one = service.intent(b"one")
    cost(lambda: service.open(one))
    cost(lambda: service.open(service.intent(b"two", link={"token": new_token()})))
    service.send(one, b"one")
    cost(lambda: service.complete({"upload_id": one["upload_id"]}))
    many = [service.intent(b"%d" % n) for n in range(24)]
    service.open(*many)
    for n, intent in enumerate(many):
        service.send(intent, b"%d" % n)
    results = cost(lambda: service.complete(*({"upload_id": i["upload_id"]} for i in many)))
    assert {r["outcome"] for r in results} == {"done"}
    folder = service.folder("old")["node"]["node_id"]
    cost(lambda: service.call("PATCH", f"/v1/nodes/{folder}", {"name": "new"}))
    cost(lambda: service.call("GET", "/v1/nodes/root/children"))
    cost(lambda: service.call("GET", "/v1/changes", query={"after": 0}))
    assert counts == [1, 3, 6, 98, 5, 0, 0]


def test_completing_twice_gives_the_same_node(service: Any) -> None:
    intent = service.intent()
    service.open(intent)
    service.send(intent)
    first = service.complete({"upload_id": intent["upload_id"]})
    assert service.complete({"upload_id": intent["upload_id"]}) == first
    assert service.open(intent)[0]["outcome"] == "done"
    assert service.call("GET", "/v1/account")[1]["sequence"] == 1


def test_content_that_is_here_is_not_sent_again(service: Any) -> None:
    service.put(b"same", name="a")
    again = service.intent(b"same", name="b")
    twin = service.intent(b"same", name="c")
    assert {o["outcome"] for o in service.open(again, twin)} == {"present"}
    done = service.complete({"upload_id": again["upload_id"]}, {"upload_id": twin["upload_id"]})
    assert [r["outcome"] for r in done] == ["done", "done"]
    assert len(service.objects()) == 1
    assert service.call("GET", "/v1/account")[1]["used_bytes"] == 4
    assert service.open(service.intent(b"same"), who=BOB)[0]["outcome"] == "put"


def test_equal_names_of_one_batch_are_numbered(service: Any) -> None:
    intents = [service.intent(b"x", name="a.txt", if_taken="rename") for _ in range(3)]
    service.open(*intents)
    for intent in intents:
        service.send(intent, b"x")
    names = [r["node"]["name"] for r in service.complete(*({"upload_id": i["upload_id"]} for i in intents))]
    assert names == ["a.txt", "a (2).txt", "a (3).txt"]


def test_a_taken_name_is_told_with_the_node_that_has_it(service: Any) -> None:
    node = service.put(name="Straße")
    opened = service.open(service.intent(name="STRASSE"))[0]
    assert opened["problem"]["type"].endswith("name-taken")
    assert opened["problem"]["current"]["node_id"] == node["node_id"]
    assert opened["problem"]["instance"].startswith("urn:satchel:request:")


def test_a_new_revision_needs_the_one_it_was_made_from(service: Any) -> None:
    node = service.put(b"1", name="a")
    base = node["revision"]["revision_id"]
    late = service.intent(b"3", node_id=node["node_id"], name="a", base_revision=base)
    service.open(late)
    service.send(late, b"3")
    newer = service.put(b"2", node_id=node["node_id"], name="a", base_revision=base)
    result = service.complete({"upload_id": late["upload_id"]})[0]
    assert result["problem"]["type"].endswith("revision-conflict")
    assert result["problem"]["current"] == newer
    again = {"upload_id": late["upload_id"], "base_revision": newer["revision"]["revision_id"]}
    assert service.complete(again)[0]["outcome"] == "done"
    assert service.call("DELETE", f"/v1/nodes/{node['node_id']}")[0] == 204
    gone = service.open(service.intent(b"4", node_id=node["node_id"], name="a", base_revision=base))[0]
    assert gone["problem"]["type"].endswith("not-found")


def test_a_large_file_goes_in_parts(service: Any) -> None:
    size = 17 * MIB
    intent = service.intent(b"", size=size, name="big", link={"token": new_token()})
    del intent["sha256"]
    opened = service.open(intent)[0]
    assert (opened["outcome"], opened["part_size"]) == ("multipart", 8 * MIB)
    assert service.open(intent)[0]["part_size"] == 8 * MIB
    parts = f"/v1/uploads/{intent['upload_id']}/parts"
    crc = base64.b64encode(b"12345678").decode()
    _, reply = service.call("POST", parts, {"sign": [{"part": n, "crc64nvme": crc} for n in (1, 2, 3)]})
    assert [p["headers"]["content-length"] for p in reply["signed"]] == [str(8 * MIB), str(8 * MIB), str(MIB)]
    assert service.call("POST", parts, {"sign": [{"part": 4, "crc64nvme": crc}]})[0] == 400
    item = {"upload_id": intent["upload_id"]}
    assert service.complete(item)[0]["problem"]["missing_parts"] == [1, 2, 3]
    key = f"c/{ALICE}/{intent['upload_id']}"
    multipart = service.s3.list_multipart_uploads(Bucket="content")["Uploads"][0]["UploadId"]
    for number, length in ((1, 8 * MIB), (2, 8 * MIB), (3, MIB)):
        service.s3.upload_part(Bucket="content", Key=key, UploadId=multipart, PartNumber=number, Body=b"x" * length)
        assert service.call("POST", parts, {"sent_bytes": number * MIB})[0] == 200
    assert [p["part"] for p in service.call("POST", parts, {"list": True, "after": 1})[1]["present"]] == [2, 3]
    view = service.call("GET", f"/p/{intent['link']['token']}")[1]
    assert (view["state"], view["sent_bytes"]) == ("arriving", 3 * MIB)
    done = service.complete(item | {"sha256": hashlib.sha256(b"x" * size).hexdigest()})[0]
    assert done["node"]["revision"]["sha256_verified"] is False
    assert service.call("GET", f"/v1/uploads/{intent['upload_id']}")[1]["state"] == "done"
    assert service.call("POST", parts, {"list": True})[1]["type"].endswith("upload-closed")


def test_an_upload_that_s3_put_together_already_is_finished(service: Any) -> None:
    intent = service.intent(b"", size=16 * MIB)
    service.open(intent)
    multipart = service.s3.list_multipart_uploads(Bucket="content")["Uploads"][0]
    place = {"Bucket": "content", "Key": multipart["Key"], "UploadId": multipart["UploadId"]}
    etags = [service.s3.upload_part(**place, PartNumber=n, Body=b"x" * 8 * MIB)["ETag"] for n in (1, 2)]
    listed = [{"PartNumber": n, "ETag": etag} for n, etag in enumerate(etags, 1)]
    service.s3.complete_multipart_upload(**place, MultipartUpload={"Parts": listed})
    assert service.complete({"upload_id": intent["upload_id"]})[0]["outcome"] == "done"


def test_a_multipart_upload_that_s3_has_lost_says_so(service: Any) -> None:
    intent = service.intent(b"", size=16 * MIB)
    service.open(intent)
    multipart = service.s3.list_multipart_uploads(Bucket="content")["Uploads"][0]
    service.s3.abort_multipart_upload(Bucket="content", Key=multipart["Key"], UploadId=multipart["UploadId"])
    result = service.complete({"upload_id": intent["upload_id"]})[0]
    assert result["problem"]["type"].endswith("upload-lost")
    listed = service.call("POST", f"/v1/uploads/{intent['upload_id']}/parts", {"list": True})
    assert listed[1]["type"].endswith("upload-lost")


def test_an_aborted_upload_is_closed_and_its_link_says_stopped(service: Any) -> None:
    token = new_token()
    intent = service.intent(link={"token": token})
    service.open(intent)
    path = f"/v1/uploads/{intent['upload_id']}"
    assert service.call("DELETE", path)[0] == 204
    assert service.call("DELETE", path)[0] == 204
    assert service.call("GET", f"/p/{token}")[1]["state"] == "stopped"
    assert service.complete({"upload_id": intent["upload_id"]})[0]["problem"]["type"].endswith("upload-closed")
    done = service.put()
    assert service.call("DELETE", f"/v1/uploads/{done['revision']['revision_id']}")[0] == 409


def test_one_bad_intent_does_not_stop_the_others(service: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = context().settings
    object.__setattr__(settings, "quota_bytes", 100)
    taken = service.put()["node_id"]
    undigested = service.intent()
    del undigested["sha256"]
    opened = service.open(
        service.intent(name="good"), service.intent(name="a/b"), service.intent(size=2**50), undigested,
        service.intent(size=200), service.intent(node_id=taken), service.intent(parent_id=new_id()),
        service.intent(parent_id=taken),
    )  # fmt: skip
    kinds = [o["problem"]["type"].rsplit(":", 1)[-1] if "problem" in o else o["outcome"] for o in opened]
    assert kinds == [
        "present", "name-invalid", "too-large", "digest-needed", "quota-exceeded", "id-taken", "not-found",
        "not-a-folder",
    ]  # fmt: skip


def test_bytes_that_have_not_arrived_are_asked_for(service: Any) -> None:
    intent = service.intent()
    service.open(intent)
    assert service.complete({"upload_id": intent["upload_id"]})[0]["problem"]["type"].endswith("incomplete")
    service.send(intent, b"hell")
    assert service.complete({"upload_id": intent["upload_id"]})[0]["problem"]["type"].endswith("upload-lost")


def test_an_id_may_come_once_in_a_request(service: Any) -> None:
    intent = service.intent()
    assert service.call("POST", "/v1/uploads", {"intents": [intent, intent]})[0] == 400
    twin = service.intent(node_id=intent["node_id"])
    first, second = service.open(intent, twin)
    assert (first["outcome"], second["outcome"]) == ("put", "problem")


def test_completing_and_the_queue_at_once_make_one_node(service: Any) -> None:
    intent = service.intent(name="one")
    service.open(intent)
    service.send(intent)
    table = context().table
    write, raced = table.write, []

    def write_late(actions: Any) -> None:
        if not raced:
            raced.append(True)
            service.tell(f"c/{ALICE}/{intent['upload_id']}")
        write(actions)

    table.write = write_late
    assert service.complete({"upload_id": intent["upload_id"]})[0]["node"]["name"] == "one"
    assert service.call("GET", "/v1/account")[1]["sequence"] == 1


def test_a_full_account_is_told_at_completion_too(service: Any) -> None:
    intents = [service.intent(b"a"), service.intent(b"b")]
    service.open(*intents)
    for intent, data in zip(intents, (b"a", b"b"), strict=True):
        service.send(intent, data)
    object.__setattr__(context().settings, "quota_bytes", 1)
    results = service.complete(*({"upload_id": i["upload_id"]} for i in intents))
    assert [r["outcome"] for r in results] == ["done", "problem"]
    assert results[1]["problem"]["type"].endswith("quota-exceeded")


def test_the_largest_batches_stay_under_128_kib(service: Any) -> None:
    intents = [service.intent(b"%d" % n, name=f"{n:03}" + "ü" * 126, link={"token": new_token()}) for n in range(100)]
    assert all(o["outcome"] == "put" for o in service.open(*intents))
    for n, intent in enumerate(intents):
        service.send(intent, b"%d" % n)
    results = service.complete(*({"upload_id": i["upload_id"]} for i in intents))
    assert {r["outcome"] for r in results} == {"done"}
    assert service.call("GET", "/v1/changes", query={"after": 0})[0] == 200


def test_the_queue_finishes_what_nobody_completed(service: Any) -> None:
    intent = service.intent(name="alone")
    service.open(intent)
    service.send(intent)
    key = f"c/{ALICE}/{intent['upload_id']}"
    assert service.tell(key, "in/other", f"c/{ALICE}/{new_id()}") == {"batchItemFailures": []}
    assert service.tell(key) == {"batchItemFailures": []}
    assert service.call("GET", "/v1/nodes", query={"path": "/alone"})[1]["sequence"] == 1
