"""The deployed janitor, under its own role: what is due is tidied up, once, whoever runs beside it."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import botocore.exceptions
import pytest
from awscrt import checksums

from e2e.cloud_fixture import LocalCloud
from satchel.hosting import local

MIB = 1024 * 1024
LARGE = 16 * MIB
DAY_MS = 86_400_000


@dataclass
class Owner:
    """An account, and the hands of time on its rows."""

    cloud: LocalCloud
    account: str
    token: str

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        reply = self.cloud.request(method, path, body, token=self.token)
        assert reply.status < 300, (method, path, reply)
        return reply.json() if reply.body else None

    def open(self, content: bytes, **more: Any) -> dict[str, Any]:
        """An open upload; `ids` of it are in the answer's `intent`."""
        intent = {
            "upload_id": secrets.token_hex(16),
            "node_id": secrets.token_hex(16),
            "parent_id": "root",
            "name": secrets.token_hex(8),
            "size": len(content),
            "modified_ms": 1_700_000_000_000,
            "sha256": hashlib.sha256(content).hexdigest(),
        } | more
        reply = self.ask("POST", "/v1/uploads", {"intents": [intent]})
        return {**reply["uploads"][0], "intent": intent, "signing_query": reply["signing_query"]}

    def put(self, content: bytes, **more: Any) -> str:
        """A whole file; its node's id."""
        opened = self.open(content, **more)
        if opened["outcome"] == "put":  # and not here already
            send(opened["put"], opened["signing_query"], content)
        self.ask("POST", "/v1/uploads/complete", {"uploads": [{"upload_id": opened["upload_id"]}]})
        return str(opened["intent"]["node_id"])

    def send_parts(self, opened: dict[str, Any], content: bytes, parts: int) -> None:
        size = opened["part_size"]
        for number in range(1, parts + 1):
            piece = content[(number - 1) * size : number * size]
            crc = base64.b64encode(checksums.crc64nvme(piece).to_bytes(8, "big")).decode()
            asked = {"sign": [{"part": number, "crc64nvme": crc}]}
            reply = self.ask("POST", f"/v1/uploads/{opened['upload_id']}/parts", asked)
            send(reply["signed"][0], reply["signing_query"], piece)

    def make_due(self, *keys: tuple[str, str], **values: int) -> None:
        """Let the time of these rows have come; `values` are set too."""
        table = self.cloud.aws.client("dynamodb")
        for pk, sk in keys:
            changed = {"due_ms": 1, **values}
            table.update_item(
                TableName=self.cloud.table,
                Key={"PK": {"S": pk}, "SK": {"S": sk}},
                UpdateExpression="SET " + ", ".join(f"{name} = :{name}" for name in changed),
                ConditionExpression="attribute_exists(due_shard)",
                ExpressionAttributeValues={f":{name}": {"N": str(value)} for name, value in changed.items()},
            )

    def rows(self, partition: str) -> list[dict[str, Any]]:
        """The rows below `A#<account>#`, such as T (trash) or H (content)."""
        found = self.cloud.aws.client("dynamodb").query(
            TableName=self.cloud.table,
            KeyConditionExpression="PK = :pk",
            ExpressionAttributeValues={":pk": {"S": f"A#{self.account}#{partition}"}},
        )
        return list(found["Items"])

    def row(self, pk: str, sk: str) -> Any:
        key = {"PK": {"S": pk}, "SK": {"S": sk}}
        return self.cloud.aws.client("dynamodb").get_item(TableName=self.cloud.table, Key=key).get("Item")

    def due_rows(self, partition: str) -> list[tuple[str, str]]:
        return [(row["PK"]["S"], row["SK"]["S"]) for row in self.rows(partition)]

    def there(self, upload_id: str) -> bool:
        """Whether an upload's object is in S3."""
        try:
            key = f"c/{self.account}/{upload_id}"
            self.cloud.aws.client("s3").head_object(Bucket=self.cloud.content_bucket, Key=key)
        except botocore.exceptions.ClientError:
            return False
        return True

    def multiparts(self) -> list[str]:
        found = self.cloud.aws.client("s3").list_multipart_uploads(Bucket=self.cloud.content_bucket)
        return [one["Key"] for one in found.get("Uploads", []) if f"/{self.account}/" in one["Key"]]


def send(signed: dict[str, Any], signing_query: str, body: bytes) -> None:
    url = f"{signed['url']}?{signing_query}&{signed['query']}"
    # Without a type urllib calls it a form, and the local cloud reads through all of it.
    headers = signed["headers"] | {"content-type": "application/octet-stream"}
    request = urllib.request.Request(url, data=body, method="PUT", headers=headers)
    with urllib.request.urlopen(request, timeout=60) as reply:
        assert reply.status == 200


@pytest.fixture
def owner(cloud: LocalCloud) -> Owner:
    email, password = cloud.new_user()
    return Owner(cloud, cloud.sub(email), cloud.tokens(email, password)["AccessToken"])


def sweep(cloud: LocalCloud) -> dict[str, int]:
    """One run, as the schedule makes it; how often each thing was done."""
    ran = cloud.aws.client("lambda").invoke(FunctionName=f"{local.STACK}-janitor", Payload=b"{}")
    done = json.loads(ran["Payload"].read())
    assert "FunctionError" not in ran, done
    assert "failed" not in done, cloud.log("janitor")[-30:]
    return dict(done)


def test_a_link_that_is_long_over_is_forgotten(cloud: LocalCloud, owner: Owner) -> None:
    token = secrets.token_hex(16)
    expired = {"token": token, "expires_ms": time.time_ns() // 1_000_000 - 1000}
    owner.put(b"shared", link=expired)
    link_id = hashlib.sha256(token.encode()).hexdigest()[:32]
    assert sweep(cloud) is not None
    assert owner.ask("GET", "/v1/links")["links"][0]["state"] == "expired"  # its page still says why

    owner.make_due((f"L#{link_id}", "L"))
    assert sweep(cloud)["link"] == 1

    assert owner.ask("GET", "/v1/links")["links"] == []
    assert cloud.request("GET", f"/p/{token}").status == 404


def test_abandoned_uploads_are_finished_or_given_up(cloud: LocalCloud, owner: Owner) -> None:
    content = secrets.token_bytes(LARGE)
    whole, part, nothing = owner.open(content), owner.open(content), owner.open(b"never sent")
    owner.send_parts(whole, content, 2)
    owner.send_parts(part, content, 1)
    keys = [(f"U#{opened['upload_id']}", "U") for opened in (whole, part, nothing)]

    owner.make_due(*keys)  # the first look: what is whole is finished, the rest has time
    assert sweep(cloud)["completed"] == 1
    assert owner.ask("GET", f"/v1/nodes/{whole['intent']['node_id']}")["revision"]["size"] == LARGE
    owner.make_due(*keys[1:], created_ms=1)  # the last day
    assert sweep(cloud)["aborted"] == 2
    states = [owner.ask("GET", f"/v1/uploads/{opened['upload_id']}")["state"] for opened in (whole, part, nothing)]
    assert states == ["done", "aborted", "aborted"]
    owner.make_due(*keys[1:])
    assert sweep(cloud)["swept"] == 2

    assert owner.multiparts() == []
    assert all(int(owner.row(*key)["ttl"]["N"]) > time.time() for key in keys)


def test_a_put_that_arrived_unheard_is_finished_and_one_given_up_is_removed(cloud: LocalCloud, owner: Owner) -> None:
    stopped, content = owner.open(b"sent, then given up"), b"sent, and nobody said so"
    send(stopped["put"], stopped["signing_query"], b"sent, then given up")
    owner.ask("DELETE", f"/v1/uploads/{stopped['upload_id']}")
    unheard = owner.open(content)
    send(unheard["put"], unheard["signing_query"], content)

    owner.make_due((f"U#{stopped['upload_id']}", "U"), (f"U#{unheard['upload_id']}", "U"))
    done = sweep(cloud)

    assert (done["completed"], done["swept"]) == (1, 1)
    assert owner.there(unheard["upload_id"])
    assert not owner.there(stopped["upload_id"])


def test_old_trash_goes_with_its_content_once_though_two_sweep_at_once(cloud: LocalCloud, owner: Owner) -> None:
    folder = secrets.token_hex(16)
    owner.ask("POST", "/v1/folders", {"folders": [{"node_id": folder, "parent_id": "root", "name": "old"}]})
    nodes = [owner.put(b"content %d" % n, parent_id=folder) for n in range(6)] + [owner.put(b"alone")]
    kept = owner.put(b"content 0")  # shares its content with one of them
    uploads = [owner.ask("GET", f"/v1/nodes/{node}")["revision"]["revision_id"] for node in nodes]
    for node in (folder, nodes[-1]):
        owner.ask("DELETE", f"/v1/nodes/{node}")

    owner.make_due(*owner.due_rows("T"))
    with ThreadPoolExecutor(2) as both:
        list(both.map(sweep, [cloud, cloud]))
    assert owner.rows("T") == []
    assert owner.ask("GET", "/v1/account")["used_bytes"] == 6 * 9 + 5  # the content has a day of grace
    unused = [(row["PK"]["S"], row["SK"]["S"]) for row in owner.rows("H") if row["refs"]["N"] == "0"]
    assert len(unused) == 6
    owner.make_due(*unused)
    with ThreadPoolExecutor(2) as both:
        list(both.map(sweep, [cloud, cloud]))

    assert owner.ask("GET", "/v1/account")["used_bytes"] == 9
    assert [owner.there(upload) for upload in uploads] == [True] + [False] * 6
    content = owner.ask("GET", f"/v1/nodes/{kept}/content")["url"]
    with urllib.request.urlopen(content, timeout=10) as reply:
        assert reply.read() == b"content 0"
    assert [row["refs"]["N"] for row in owner.rows("H")] == ["1"]


def test_its_role_does_no_more_than_it_needs(cloud: LocalCloud) -> None:
    table, s3 = cloud.acting_as("janitor", "dynamodb"), cloud.acting_as("janitor", "s3")
    for ask in (
        lambda: table.scan(TableName=cloud.table),
        lambda: table.delete_table(TableName=cloud.table),
        lambda: s3.list_objects_v2(Bucket=cloud.content_bucket),
        lambda: s3.delete_object(Bucket=cloud.outputs["StaticBucket"], Key="index.html"),
    ):
        with pytest.raises(botocore.exceptions.ClientError, match="AccessDenied"):
            ask()
