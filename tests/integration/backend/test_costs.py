"""What each operation asks of DynamoDB and S3, held to the table in `backend/operation-costs.json`.

`make costs` writes the table anew: what an operation costs then shows in the change that made it so.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest

from satchel_cloud.service.context import context

from .conftest import ALICE, CONTRACT, Service, new_token
from .meter import Meter, item_size

TABLE = Path(__file__).parents[3] / "backend" / "operation-costs.json"
MIB = 1024 * 1024
NAME = "a name as people give it.pdf"
Step = Callable[[], Any]
COSTS: dict[str, Callable[[Service], Step]] = {}


def cost(name: str) -> Callable[[Callable[[Service], Step]], Callable[[Service], Step]]:
    """What is decorated sets the scene and returns what is to be measured; names are operationIds, then the case."""

    def keep(scene: Callable[[Service], Step]) -> Callable[[Service], Step]:
        COSTS[name] = scene
        return scene

    return keep


def call(service: Service, method: str, path: str, body: Any = None, *, fine: int = 200, **options: Any) -> Step:
    def step() -> None:
        status, reply = service.call(method, path, body, **options)
        assert status == fine, reply

    return step


@cost("getAccount")
def _(service: Service) -> Step:
    return call(service, "GET", "/v1/account")


@cost("openUploads")
def _(service: Service) -> Step:
    return lambda: service.open(service.intent(name=NAME))


@cost("openUploads with a link")
def _(service: Service) -> Step:
    return lambda: service.open(service.intent(name=NAME, link={"token": new_token()}))


@cost("openUploads of 100")
def _(service: Service) -> Step:
    intents = [service.intent(b"%d" % number, name=f"{number} {NAME}") for number in range(100)]
    return lambda: service.open(*intents)


def large(service: Service) -> dict[str, Any]:
    """The intent of an upload in two parts, whose digest is not known yet."""
    intent = service.intent(name=NAME, size=16 * MIB)
    del intent["sha256"]
    return intent


@cost("openUploads in parts")
def _(service: Service) -> Step:
    return lambda: service.open(large(service))


@cost("openUploads of what is there")
def _(service: Service) -> Step:
    service.put(name=NAME)
    return lambda: service.open(service.intent(name="again " + NAME))


def opened(service: Service, count: int) -> list[dict[str, str]]:
    intents = [service.intent(b"%d" % number, name=f"{number} {NAME}") for number in range(count)]
    service.open(*intents)
    for number, intent in enumerate(intents):
        service.send(intent, b"%d" % number)
    return [{"upload_id": intent["upload_id"]} for intent in intents]


@cost("completeUploads")
def _(service: Service) -> Step:
    items = opened(service, 1)
    return lambda: service.complete(*items)


@cost("completeUploads of 100")
def _(service: Service) -> Step:
    items = opened(service, 100)
    return lambda: service.complete(*items)


@cost("completeUploads of a new revision")
def _(service: Service) -> Step:
    node = service.put(name=NAME)
    base = node["revision"]["revision_id"]
    newer = service.intent(b"newer", name=NAME, node_id=node["node_id"], base_revision=base)
    service.open(newer)
    service.send(newer, b"newer")
    return lambda: service.complete({"upload_id": newer["upload_id"], "base_revision": base})


def multipart(service: Service) -> tuple[dict[str, Any], str]:
    """An upload of two parts, open, and its id at S3."""
    intent = large(service)
    service.open(intent)
    return intent, service.s3.list_multipart_uploads(Bucket="content")["Uploads"][0]["UploadId"]


@cost("completeUploads in parts")
def _(service: Service) -> Step:
    intent, multipart_id = multipart(service)
    place = {"Bucket": "content", "Key": f"c/{ALICE}/{intent['upload_id']}", "UploadId": multipart_id}
    for number in (1, 2):
        service.s3.upload_part(**place, PartNumber=number, Body=b"x" * 8 * MIB)
    return lambda: service.complete({"upload_id": intent["upload_id"], "sha256": "0" * 64})


@cost("uploadParts")
def _(service: Service) -> Step:
    intent, _ = multipart(service)
    crc = base64.b64encode(b"12345678").decode()
    asked = {"sign": [{"part": number, "crc64nvme": crc} for number in (1, 2)], "sent_bytes": 8 * MIB}
    return call(service, "POST", f"/v1/uploads/{intent['upload_id']}/parts", asked)


@cost("uploadParts, listing")
def _(service: Service) -> Step:
    intent, _ = multipart(service)
    return call(service, "POST", f"/v1/uploads/{intent['upload_id']}/parts", {"list": True})


def changed(service: Service, parts: int = 2) -> dict[str, Any]:
    """The intent of a new revision that would come in so many parts of its own; the one before is large."""
    service.s3.put_bucket_versioning(Bucket="content", VersioningConfiguration={"Status": "Enabled"})
    intent, multipart_id = multipart(service)
    place = {"Bucket": "content", "Key": f"c/{ALICE}/{intent['upload_id']}", "UploadId": multipart_id}
    for number in (1, 2):
        service.s3.upload_part(**place, PartNumber=number, Body=b"x" * 8 * MIB)
    (done,) = service.complete({"upload_id": intent["upload_id"], "sha256": "0" * 64})
    newer = large(service) | {"node_id": intent["node_id"], "base_revision": done["node"]["revision"]["revision_id"]}
    # As a client cuts them: alike, but not the same.
    sizes = [8 * MIB + 1000 + number % 2 for number in range(parts)]
    return newer | {"size": sum(sizes), "part_sizes": sizes}


@cost("openUploads of a changed file")
def _(service: Service) -> Step:
    intent = changed(service)
    return lambda: service.open(intent)


@cost("uploadParts, copying")
def _(service: Service) -> Step:
    return parts_signed(service, changed(service))


@cost("uploadParts, copying, of a file in 1,000 parts")
def _(service: Service) -> Step:
    return parts_signed(service, changed(service, 1000))


def parts_signed(service: Service, intent: dict[str, Any]) -> Step:
    service.open(intent)
    asked = {"sign": [{"part": number, "copy_from": 0} for number in (1, 2)], "sent_bytes": 8 * MIB}
    return call(service, "POST", f"/v1/uploads/{intent['upload_id']}/parts", asked)


@cost("getUpload")
def _(service: Service) -> Step:
    (item,) = opened(service, 1)
    return call(service, "GET", f"/v1/uploads/{item['upload_id']}")


@cost("abortUpload")
def _(service: Service) -> Step:
    (item,) = opened(service, 1)
    return call(service, "DELETE", f"/v1/uploads/{item['upload_id']}", fine=204)


@cost("makeFolders")
def _(service: Service) -> Step:
    return lambda: service.folder(NAME)


@cost("findNode")
def _(service: Service) -> Step:
    folder = service.folder("folder")["node"]["node_id"]
    service.put(name=NAME, parent_id=folder)
    return call(service, "GET", "/v1/nodes", query={"path": f"/folder/{NAME}"})


@cost("getNode")
def _(service: Service) -> Step:
    return call(service, "GET", f"/v1/nodes/{service.put(name=NAME)['node_id']}")


@cost("moveNode, renaming a file")
def _(service: Service) -> Step:
    node = service.put(name=NAME)["node_id"]
    return call(service, "PATCH", f"/v1/nodes/{node}", {"name": f"new {NAME}"})


@cost("moveNode, of a folder")
def _(service: Service) -> Step:
    node, into = (service.folder(name)["node"]["node_id"] for name in ("one", "other"))
    return call(service, "PATCH", f"/v1/nodes/{node}", {"parent_id": into})


@cost("trashNode")
def _(service: Service) -> Step:
    return call(service, "DELETE", f"/v1/nodes/{service.put(name=NAME)['node_id']}", fine=204)


@cost("trashNode, after a change elsewhere")
def _(service: Service) -> Step:
    node = service.put(name=NAME)
    seen = node["sequence"]
    service.folder("elsewhere")
    return call(service, "DELETE", f"/v1/nodes/{node['node_id']}", query={"seen": str(seen)}, fine=204)


@cost("listChildren of 100")
def _(service: Service) -> Step:
    service.complete(*opened(service, 100))
    return call(service, "GET", "/v1/nodes/root/children")


@cost("getContent")
def _(service: Service) -> Step:
    return call(service, "GET", f"/v1/nodes/{service.put(name=NAME)['node_id']}/content")


@cost("getContents of 100")
def _(service: Service) -> Step:
    nodes = [result["node"]["node_id"] for result in service.complete(*opened(service, 100))]
    return call(service, "POST", "/v1/contents", {"node_ids": nodes})


@cost("listChanges, with nothing new")
def _(service: Service) -> Step:
    service.put(name=NAME)
    return call(service, "GET", "/v1/changes", query={"after": 1})


@cost("listChanges, with a file")
def _(service: Service) -> Step:
    service.put(name=NAME)
    return call(service, "GET", "/v1/changes", query={"after": 0})


def linked(service: Service) -> tuple[str, str]:
    """Token and id of a file's link."""
    token = new_token()
    made = {"node_id": service.put(name=NAME)["node_id"], "link": {"token": token}}
    return token, service.call("POST", "/v1/links", made)[1]["link_id"]


@cost("createLink")
def _(service: Service) -> Step:
    made = {"node_id": service.put(name=NAME)["node_id"], "link": {"token": new_token()}}
    return call(service, "POST", "/v1/links", made, fine=201)


@cost("listLinks of 100")
def _(service: Service) -> Step:
    node = service.put(name=NAME)["node_id"]
    for _ in range(100):
        service.call("POST", "/v1/links", {"node_id": node, "link": {"token": new_token()}})
    return call(service, "GET", "/v1/links")


@cost("revokeLink")
def _(service: Service) -> Step:
    return call(service, "DELETE", f"/v1/links/{linked(service)[1]}", fine=204)


@cost("viewLink")
def _(service: Service) -> Step:
    return call(service, "GET", f"/p/{linked(service)[0]}")


@cost("countView")
def _(service: Service) -> Step:
    return call(service, "POST", f"/p/{linked(service)[0]}/views", fine=204)


@cost("downloadLink")
def _(service: Service) -> Step:
    return call(service, "GET", f"/p/{linked(service)[0]}/content", fine=302)


@cost("peekDownload")
def _(service: Service) -> Step:
    return call(service, "HEAD", f"/p/{linked(service)[0]}/content")


@cost("ingest, of what its client completed")
def _(service: Service) -> Step:
    (item,) = opened(service, 1)
    service.complete(item)
    return lambda: service.tell(f"c/{ALICE}/{item['upload_id']}")


@cost("ingest, of what nobody completed")
def _(service: Service) -> Step:
    (item,) = opened(service, 1)
    return lambda: service.tell(f"c/{ALICE}/{item['upload_id']}")


@cost("openPush")
def _(service: Service) -> Step:
    return service.push


@cost("socket, of a client that comes")
def _(service: Service) -> Step:
    service.listen("another")
    ticket = service.push()["ticket"]
    return lambda: service.knock(ticket)


@cost("notify, of a change")
def _(service: Service) -> Step:
    service.listen("one")
    service.listen("another")
    return lambda: service.stream((ALICE, 2))


@cost("janitor, with nothing due")
def _(service: Service) -> Step:
    return service.sweep


@cost("janitor, counting an account's use")
def _(service: Service) -> Step:
    service.put(name=NAME)
    service.days(8)
    return service.sweep


@cost("janitor, of a file in the trash")
def _(service: Service) -> Step:
    node = service.put(name=NAME)["node_id"]
    service.days(2)
    service.sweep()
    service.call("DELETE", f"/v1/nodes/{node}")
    service.days(31)
    return service.sweep


@cost("janitor, of content that nothing refers to")
def _(service: Service) -> Step:
    node = service.put(name=NAME)["node_id"]
    service.days(2)
    service.sweep()
    service.call("DELETE", f"/v1/nodes/{node}")
    service.days(31)
    service.sweep()
    service.days(2)
    return service.sweep


@pytest.mark.parametrize("name", COSTS)
def test_an_operation_costs_what_the_table_says(service: Service, name: str) -> None:
    service.folder("An account that is in use")
    step = COSTS[name](service)
    ctx = context()
    with Meter(boto3.client("dynamodb", region_name="us-east-1")).watching(
        ctx.table._client, ctx.objects._client
    ) as meter:
        step()

    table = json.loads(TABLE.read_text())
    if os.environ.get("SATCHEL_WRITE_COSTS"):
        table[name] = meter.reading()
        lines = [f"  {json.dumps(one)}: {json.dumps(table[one])}" for one in COSTS if one in table]
        TABLE.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    assert name in table, "it is not in backend/operation-costs.json: `make costs` writes it"
    assert meter.reading() == table[name], "it costs something else now: if that is meant, `make costs` writes it down"


def test_every_operation_of_the_api_has_its_cost() -> None:
    operations = {
        one["operationId"] for path in CONTRACT["paths"].values() for one in path.values() if "operationId" in one
    }
    assert {name.split(",")[0].split()[0] for name in COSTS} - {"ingest", "janitor", "notify", "socket"} == operations
    assert set(json.loads(TABLE.read_text())) == set(COSTS)


def test_an_item_is_as_large_as_aws_says() -> None:
    item = {"PK": {"S": "é"}, "size": {"N": "-12300"}, "on": {"BOOL": True}, "all": {"L": [{"S": "ab"}, {"M": {}}]}}
    assert item_size(item) == (2 + 2) + (4 + 3) + (2 + 1) + (3 + 3 + 1 + 2 + 1 + 3)
