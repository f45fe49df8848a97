"""What each deployed function is there for, asked of it from outside. A probe fails by raising."""

from __future__ import annotations

import json
import secrets
import urllib.request
from collections.abc import Callable

from websockets.sync.client import ClientConnection, connect

from e2e import test_janitor
from e2e.cloud_fixture import LocalCloud, wait_until
from e2e.service.test_janitor import LARGE, Owner, send
from satchel.hosting import local

Probe = Callable[[LocalCloud, Owner], None]


def make_an_account(cloud: LocalCloud, owner: Owner) -> None:
    email, password = cloud.new_user()
    reply = cloud.request("GET", "/v1/account", token=cloud.tokens(email, password)["AccessToken"])
    assert reply.json()["used_bytes"] == 0
    del owner


def send_and_fetch_a_file(cloud: LocalCloud, owner: Owner) -> None:
    content = secrets.token_bytes(100)
    node = owner.put(content)
    assert fetched(owner.ask("GET", f"/v1/nodes/{node}/content")["url"]) == content
    del cloud


def rename_and_list(cloud: LocalCloud, owner: Owner) -> None:
    node, name = owner.put(secrets.token_bytes(100)), secrets.token_hex(8)
    owner.ask("PATCH", f"/v1/nodes/{node}", {"name": name})
    assert name in {one["name"] for one in owner.ask("GET", "/v1/nodes/root/children")["nodes"]}
    del cloud


def send_parts_and_give_up(cloud: LocalCloud, owner: Owner) -> None:
    content = secrets.token_bytes(LARGE)
    opened = owner.open(content)
    owner.send_parts(opened, content, 1)
    listed = owner.ask("POST", f"/v1/uploads/{opened['upload_id']}/parts", {"list": True})
    assert [one["part"] for one in listed["present"]] == [1]
    owner.ask("DELETE", f"/v1/uploads/{opened['upload_id']}")
    assert owner.multiparts() == []
    del cloud


def send_parts_and_complete(cloud: LocalCloud, owner: Owner) -> None:
    content = secrets.token_bytes(LARGE)
    opened = owner.open(content)
    owner.send_parts(opened, content, 2)
    done = owner.ask("POST", "/v1/uploads/complete", {"uploads": [{"upload_id": opened["upload_id"]}]})
    assert done["results"][0]["outcome"] == "done"
    del cloud


def copy_what_did_not_change(cloud: LocalCloud, owner: Owner) -> None:
    content, more = secrets.token_bytes(LARGE), secrets.token_bytes(5 * test_janitor.MIB)
    opened = owner.open(content)
    owner.send_parts(opened, content, 2)
    done = owner.ask("POST", "/v1/uploads/complete", {"uploads": [{"upload_id": opened["upload_id"]}]})
    base = done["results"][0]["node"]["revision"]["revision_id"]
    sizes = [len(content), len(more)]
    opened = owner.open(content + more, node_id=opened["intent"]["node_id"], base_revision=base, part_sizes=sizes)
    assert opened["part_sizes"] == sizes
    signed = owner.ask("POST", f"/v1/uploads/{opened['upload_id']}/parts", {"sign": [{"part": 1, "copy_from": 0}]})
    send(signed["signed"][0], signed["signing_query"], b"")
    del cloud


def open_a_link(cloud: LocalCloud, owner: Owner) -> None:
    content, token = secrets.token_bytes(100), secrets.token_hex(16)
    owner.put(content, link={"token": token})
    assert cloud.request("GET", f"/p/{token}").json()["state"] == "ready"
    assert fetched(str(cloud.request("GET", f"/p/{token}/content").header("location"))) == content


def open_a_folders_link(cloud: LocalCloud, owner: Owner) -> None:
    folder, token = secrets.token_hex(16), secrets.token_hex(16)
    intent = {"node_id": folder, "parent_id": "root", "name": folder, "link": {"token": token}}
    owner.ask("POST", "/v1/folders", {"folders": [intent]})
    owner.put(secrets.token_bytes(100), parent_id=folder, name="inside")
    assert [one["name"] for one in cloud.request("GET", f"/p/{token}").json()["items"]] == ["inside"]


def count_a_view(cloud: LocalCloud, owner: Owner) -> None:
    token = secrets.token_hex(16)
    owner.put(secrets.token_bytes(100), link={"token": token})
    assert cloud.request("POST", f"/p/{token}/views").status == 204
    assert next(one for one in owner.ask("GET", "/v1/links")["links"] if one["views"] == 1)


def finish_for_a_client_that_went_away(cloud: LocalCloud, owner: Owner) -> None:
    content = secrets.token_bytes(100)
    opened = owner.open(content)
    send(opened["put"], opened["signing_query"], content)
    deliver(cloud, owner.account, opened["upload_id"])
    assert owner.ask("GET", f"/v1/uploads/{opened['upload_id']}")["state"] == "done"


def deliver(cloud: LocalCloud, account: str, upload_id: str) -> None:
    """S3's word, as the queue would hand it over."""
    record = {"eventTime": "2026-11-23T12:00:00.000Z", "s3": {"object": {"key": f"c/{account}/{upload_id}"}}}
    body = json.dumps({"Records": [record]})
    event = {"Records": [{"messageId": secrets.token_hex(16), "body": body, "eventSource": "aws:sqs"}]}
    name = f"{local.STACK}-ingest:live"
    reply = cloud.aws.client("lambda").invoke(FunctionName=name, Payload=json.dumps(event).encode())
    assert json.loads(reply["Payload"].read()) == {"batchItemFailures": []}


def fetched(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=30) as reply:
        return bytes(reply.read())


def count_use_anew(cloud: LocalCloud, owner: Owner) -> None:
    owner.put(secrets.token_bytes(100))
    owner.make_due((f"A#{owner.account}", "HEAD"), used_bytes=7)
    assert test_janitor.sweep(cloud)["corrected"] == 1
    assert owner.ask("GET", "/v1/account")["used_bytes"] == 100


def come_in_with_a_ticket(cloud: LocalCloud, owner: Owner) -> None:
    with listening(owner):
        pass
    del cloud


def tell_a_client_of_a_change(cloud: LocalCloud, owner: Owner) -> None:
    with listening(owner) as socket:
        owner.put(secrets.token_bytes(100))
        assert json.loads(socket.recv(timeout=5)) == {"sequence": 1}
    del cloud


def forget_a_client_that_is_gone(cloud: LocalCloud, owner: Owner) -> None:
    with listening(owner):
        pass
    asked = {"KeyConditionExpression": "PK = :pk", "ExpressionAttributeValues": {":pk": {"S": f"A#{owner.account}#W"}}}
    table = cloud.aws.client("dynamodb")

    def forgotten() -> bool:
        owner.put(secrets.token_bytes(100))  # the gateway itself may need a moment to see it
        return bool(table.query(TableName=cloud.table, **asked)["Count"] == 0)

    wait_until(forgotten, 10, 0.5)


def listening(owner: Owner) -> ClientConnection:
    given = owner.ask("POST", "/v1/push", {"client_id": secrets.token_hex(16)})
    return connect(given["url"], additional_headers={"x-satchel-ticket": given["ticket"]}, proxy=None)


PROBES: dict[str, list[Probe]] = {
    "api": [
        make_an_account, send_and_fetch_a_file, rename_and_list, send_parts_and_give_up, send_parts_and_complete,
        copy_what_did_not_change,
    ],
    "public": [open_a_link, open_a_folders_link, count_a_view],
    "ingest": [finish_for_a_client_that_went_away],
    "janitor": [
        test_janitor.test_a_put_that_arrived_unheard_is_finished_and_one_given_up_is_removed,
        test_janitor.test_a_link_that_is_long_over_is_forgotten,
        test_janitor.test_abandoned_uploads_are_finished_or_given_up,
        test_janitor.test_old_trash_goes_with_its_content_once_though_two_sweep_at_once,
        count_use_anew,
    ],
    "identity": [],
    "socket": [come_in_with_a_ticket],
    "notify": [tell_a_client_of_a_change, forget_a_client_that_is_gone],
}  # fmt: skip

NOT_ENFORCED = {
    "logs:CreateLogStream": "the emulator writes the functions' logs itself",
    "logs:PutLogEvents": "the emulator writes the functions' logs itself",
    "sqs:ReceiveMessage": "asked by Lambda's poller with the function's role; the emulator's poller asks nobody",
    "sqs:DeleteMessage": "asked by Lambda's poller with the function's role; the emulator's poller asks nobody",
    "sqs:GetQueueAttributes": "asked by Lambda's poller with the function's role; the emulator's poller asks nobody",
    "dynamodb:DescribeStream": "asked by Lambda's poller with the function's role; the emulator's poller asks nobody",
    "dynamodb:GetRecords": "asked by Lambda's poller with the function's role; the emulator's poller asks nobody",
    "dynamodb:GetShardIterator": "asked by Lambda's poller with the function's role; the emulator's poller asks nobody",
    "dynamodb:ListStreams": "asked by Lambda's poller with the function's role; the emulator's poller asks nobody",
    "kms:Decrypt": "granted only with a key of one's own (KmsKeyArn), which the emulator does not ask for",
    "kms:GenerateDataKey": "granted only with a key of one's own (KmsKeyArn), which the emulator does not ask for",
    "xray:PutTraceSegments": "granted only with Tracing; the emulator has no X-Ray",
    "xray:PutTelemetryRecords": "granted only with Tracing; the emulator has no X-Ray",
}
"""Actions that no probe can miss here, each with the reason."""
