"""An upload whose client died is finished all the same: S3 tells the queue, the queue tells the function."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import secrets
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest

from e2e.cloud_fixture import LocalCloud, wait_until
from satchel.cli import main
from satchel.hosting import local, stack


@pytest.fixture(scope="module")
def token(cloud: LocalCloud) -> str:
    return cloud.tokens(*cloud.new_user())["AccessToken"]


def test_s3s_event_finishes_what_the_client_did_not(cloud: LocalCloud, token: str) -> None:
    content, upload_id, link = secrets.token_bytes(5000), secrets.token_hex(16), secrets.token_urlsafe(17)[:22]
    intent = {
        "upload_id": upload_id,
        "node_id": secrets.token_hex(16),
        "parent_id": "root",
        "name": "the client died.bin",
        "size": len(content),
        "modified_ms": 1_700_000_000_000,
        "sha256": hashlib.sha256(content).hexdigest(),
        "link": {"token": link},
    }
    opened = cloud.request("POST", "/v1/uploads", {"intents": [intent]}, token=token).json()
    put = opened["uploads"][0]["put"]
    address = urllib.parse.urlsplit(put["url"])
    line = http.client.HTTPConnection(address.hostname or "", address.port, timeout=30)
    line.request("PUT", f"{address.path}?{opened['signing_query']}&{put['query']}", content, put["headers"])
    assert line.getresponse().status == 200
    line.close()
    assert cloud.request("GET", f"/p/{link}/content").status == 409

    wait_until(lambda: cloud.request("GET", f"/v1/uploads/{upload_id}", token=token).json()["state"] == "done")

    fetched = cloud.request("GET", f"/p/{link}/content", follow=True)
    assert fetched.body == content
    assert (fetched.header("content-disposition") or "").startswith("attachment")
    head = cloud.request("HEAD", f"/p/{link}/content")
    assert (head.status, head.header("content-length")) == (200, "5000")


def test_messages_that_mean_nothing_are_not_kept_coming_back(cloud: LocalCloud) -> None:
    sqs = cloud.aws.client("sqs")
    queue = next(url for url in sqs.list_queues()["QueueUrls"] if "satchel-Storage" in url and "IngestQueue" in url)
    counts = [f"ApproximateNumberOfMessages{state}" for state in ("", "NotVisible", "Delayed")]

    def waiting() -> int:
        found = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=counts)["Attributes"]
        return sum(int(value) for value in found.values())

    before = waiting()  # what other tests have left may be hidden for minutes
    test = sqs.send_message(QueueUrl=queue, MessageBody='{"Event": "s3:TestEvent"}', DelaySeconds=0)["MessageId"]
    cloud.aws.client("s3").put_object(Bucket=cloud.content_bucket, Key="c/nobody/nothing", Body=b"x")

    wait_until(lambda: any(test in line for line in cloud.log("ingest")))
    wait_until(lambda: any('"nothing"' in line and "not-found" in line for line in cloud.log("ingest")))
    wait_until(lambda: waiting() <= before)


def test_what_cannot_be_processed_lands_in_the_dead_letters_and_can_be_replayed(
    cloud: LocalCloud, capsys: pytest.CaptureFixture[str]
) -> None:
    sqs = cloud.aws.client("sqs")
    queues = {
        one.logical_id: one.physical_id for one in stack.resources(cloud.aws, local.STACK) if "SQS::Queue" in one.kind
    }
    ingest, dead = queues["IngestQueue"], queues["IngestDeadLetters"]
    replayed = ["replay", "--local", "--state", str(cloud.state), "--json"]
    upload_id = secrets.token_hex(16)

    def letters() -> int:
        found = sqs.get_queue_attributes(QueueUrl=dead, AttributeNames=["ApproximateNumberOfMessages"])
        return int(found["Attributes"]["ApproximateNumberOfMessages"])

    def said(*more: str) -> list[dict[str, Any]]:
        capsys.readouterr()
        assert main([*replayed, *more]) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    with quick_retries(sqs, ingest), cloud.serving_with("ingest", TABLE="no-such-table"):
        record = {"eventTime": "2026-11-23T12:00:00.000Z", "s3": {"object": {"key": f"c/nobody/{upload_id}"}}}
        sqs.send_message(QueueUrl=ingest, MessageBody=json.dumps({"Records": [record]}), DelaySeconds=0)
        sqs.send_message(QueueUrl=ingest, MessageBody="nonsense", DelaySeconds=0)
        wait_until(lambda: letters() == 2, 60)

    assert {tuple(one["uploads"]) for one in said("--dry-run")} == {(upload_id,), ()}
    assert letters() == 2
    assert [one["replayed"] for one in said()] == [True, True]
    assert letters() == 0
    assert said() == []

    wait_until(lambda: any(upload_id in line and "not-found" in line for line in cloud.log("ingest")))


@contextlib.contextmanager
def quick_retries(sqs: Any, queue: str) -> Iterator[None]:
    """A message that fails comes back at once; the template's six minutes are for real functions."""
    before = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["VisibilityTimeout"])["Attributes"]
    sqs.set_queue_attributes(QueueUrl=queue, Attributes={"VisibilityTimeout": "1"})
    try:
        yield
    finally:
        sqs.set_queue_attributes(QueueUrl=queue, Attributes=before)
