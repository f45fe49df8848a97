"""The service in process: its real handlers and boto3, over moto; every reply is held against the contract."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import boto3
import pytest
import yaml
from jsonschema import Draft202012Validator
from moto import mock_aws

from satchel_cloud.adapters import clock
from satchel_cloud.handlers import api, ingest, janitor, notify, public, socket
from satchel_cloud.service.context import context

CONTRACT = yaml.safe_load((Path(__file__).parents[3] / "backend" / "openapi.yaml").read_text())
SECRET = "behind-the-edge-" * 3
ALICE, BOB = "aaaaaaaa-0000-4000-8000-000000000001", "bbbbbbbb-0000-4000-8000-000000000002"


class Runtime:
    aws_request_id = "11111111-2222-4333-8444-555555555555"

    @staticmethod
    def get_remaining_time_in_millis() -> int:
        return 300_000


class Gateway:
    """Where open sockets are: `sent` is what came to each of them."""

    url = "wss://push.example.com/live"

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.gone: set[str] = set()
        self.broken = False

    def send(self, connection_id: str, text: str) -> bool:
        if self.broken:
            raise TimeoutError
        if connection_id not in self.gone:
            self.sent.append((connection_id, text))
        return connection_id not in self.gone


class Service:
    def __init__(self) -> None:
        self.gateway = Gateway()
        self.s3 = boto3.client("s3", region_name="us-east-1")
        self.dynamodb = boto3.client("dynamodb", region_name="us-east-1")
        self.items: Counter[str] = Counter()
        self.now_ms = 1_700_000_000_000
        self.answered: set[tuple[str, str]] = set()

    def call(self, method: str, path: str, body: Any = None, *, who: str | None = ALICE, **options: Any) -> Any:
        """Status and body of a reply that holds to the contract and stays under 128 KiB."""
        reply = self.raw(method, path, body, who=who, **options)
        text = reply.get("body") or ""
        assert len(text.encode()) < 128 * 1024
        data = json.loads(text) if text else None
        _hold(method, path, reply, data)
        return reply["statusCode"], data

    def raw(self, method: str, path: str, body: Any = None, *, who: str | None = ALICE, secret: str = SECRET,
            query: dict[str, Any] | None = None) -> Any:  # fmt: skip
        context_part: dict[str, Any] = {"requestId": uuid.uuid4().hex, "http": {"method": method, "path": path}}
        if who and path.startswith("/v1"):
            context_part["authorizer"] = {"jwt": {"claims": {"sub": who}, "scopes": ["aws.cognito.signin.user.admin"]}}
        event = {
            "version": "2.0", "routeKey": "ANY", "rawPath": path, "rawQueryString": urlencode(query or {}),
            "headers": {"x-satchel-origin": secret}, "requestContext": context_part, "isBase64Encoded": False,
        }  # fmt: skip
        if body is not None:
            event["body"] = body if isinstance(body, str) else json.dumps(body)
        return (api if path.startswith("/v1") else public).handler(event, Runtime())

    def intent(self, data: bytes = b"hello", **more: Any) -> dict[str, Any]:
        return {
            "upload_id": new_id(), "node_id": new_id(), "parent_id": "root", "name": f"{new_id()}.txt",
            "size": len(data), "modified_ms": 5, "sha256": hashlib.sha256(data).hexdigest(), **more,
        }  # fmt: skip

    def open(self, *intents: dict[str, Any], who: str = ALICE) -> list[dict[str, Any]]:
        status, reply = self.call("POST", "/v1/uploads", {"intents": list(intents)}, who=who)
        assert status == 200, reply
        return list(reply["uploads"])

    def send(self, intent: dict[str, Any], data: bytes = b"hello", who: str = ALICE) -> None:
        self.s3.put_object(Bucket="content", Key=f"c/{who}/{intent['upload_id']}", Body=data)

    def complete(self, *items: dict[str, Any], who: str = ALICE) -> list[dict[str, Any]]:
        status, reply = self.call("POST", "/v1/uploads/complete", {"uploads": list(items)}, who=who)
        assert status in (200, 202), reply
        return list(reply["results"])

    def put(self, data: bytes = b"hello", who: str = ALICE, **more: Any) -> dict[str, Any]:
        """A file, all the way; its node."""
        intent = self.intent(data, **more)
        opened = self.open(intent, who=who)[0]
        assert opened["outcome"] in ("put", "present"), opened
        if opened["outcome"] == "put":
            self.send(intent, data, who)
        result = self.complete({"upload_id": intent["upload_id"]}, who=who)[0]
        assert result["outcome"] == "done", result
        return dict(result["node"])

    def folder(self, name: str, parent_id: str = "root", who: str = ALICE, **more: Any) -> dict[str, Any]:
        intent = {"node_id": new_id(), "parent_id": parent_id, "name": name, **more}
        status, reply = self.call("POST", "/v1/folders", {"folders": [intent]}, who=who)
        assert status == 200
        return dict(reply["folders"][0])

    def disable(self, who: str = ALICE) -> None:
        """As the administrator does it."""
        self.dynamodb.update_item(
            TableName="satchel",
            Key={"PK": {"S": f"A#{who}"}, "SK": {"S": "HEAD"}},
            UpdateExpression="SET #status = :disabled",
            ExpressionAttributeNames={"#status": "status"},
            ExpressionAttributeValues={":disabled": {"S": "disabled"}},
        )

    def sweep(self) -> dict[str, int]:
        """What the janitor did, beside counting the use of accounts anew."""
        done = janitor.handler({}, Runtime())
        done.pop("reconciled", None)
        return done

    def tell(self, *keys: str) -> Any:
        """S3's event through the queue."""
        return self.ingest(self.event(*keys))

    def event(self, *keys: str) -> dict[str, Any]:
        """What S3 says of objects that have arrived just now."""
        at = datetime.fromtimestamp(self.now_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return {"Records": [{"eventTime": at, "s3": {"object": {"key": key}}} for key in keys]}

    def ingest(self, body: dict[str, Any]) -> Any:
        """The queue delivers S3's word."""
        return ingest.handler({"Records": [{"messageId": "m", "body": json.dumps(body)}]}, Runtime())

    def push(self, who: str = ALICE, client_id: str | None = None) -> dict[str, str]:
        """A ticket, and where it leads."""
        status, reply = self.call("POST", "/v1/push", {"client_id": client_id or new_id()}, who=who)
        assert status == 200, reply
        return dict(reply)

    def knock(self, ticket: str | None, connection_id: str = "c1") -> int:
        """A WebSocket handshake at the gateway; the status that it is answered with."""
        headers = {} if ticket is None else {"X-Satchel-Ticket": ticket}
        event = {"headers": headers, "requestContext": {"routeKey": "$connect", "connectionId": connection_id}}
        return socket.handler(event, Runtime())["statusCode"]

    def listen(self, connection_id: str, who: str = ALICE, client_id: str | None = None) -> None:
        assert self.knock(self.push(who, client_id)["ticket"], connection_id) == 200

    def stream(self, *changes: tuple[str, int]) -> None:
        """The table's stream tells of new changes, by account and sequence, as far as the filter lets it."""
        keys = [{"PK": {"S": f"A#{who}#C"}, "SK": {"S": f"{sequence:016d}"}} for who, sequence in changes]
        notify.handler({"Records": [{"eventName": "INSERT", "dynamodb": {"Keys": key}} for key in keys]}, Runtime())

    def days(self, days: float) -> None:
        self.now_ms += int(days * 86_400_000)

    def objects(self) -> list[str]:
        return [found["Key"] for found in self.s3.list_objects_v2(Bucket="content").get("Contents", [])]

    def count(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self.items[model.name] += 1
        if model.name in ("PutItem", "UpdateItem", "DeleteItem"):
            self.items["written"] += 1
        self.items["written"] += len(params.get("TransactItems", []))


def new_id() -> str:
    return uuid.uuid4().hex


def new_token() -> str:
    return uuid.uuid4().hex


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    for name, value in {
        "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_SESSION_TOKEN": "t" * 900,
        "AWS_DEFAULT_REGION": "us-east-1", "TABLE": "satchel", "CONTENT_BUCKET": "content", "ORIGIN_SECRET": SECRET,
        "QUOTA_BYTES": "0", "TRASH_DAYS": "30", "UPLOAD_DAYS": "7",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        made = Service()
        made.s3.create_bucket(Bucket="content")
        text = [("PK", "S"), ("SK", "S"), ("due_shard", "S"), ("due_ms", "N")]
        made.dynamodb.create_table(
            TableName="satchel",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in text],
            KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "due",
                    "KeySchema": [
                        {"AttributeName": "due_shard", "KeyType": "HASH"},
                        {"AttributeName": "due_ms", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            ],
        )
        monkeypatch.setattr(clock, "now_ms", lambda: made.now_ms)
        context.cache_clear()
        ctx = context()
        monkeypatch.setattr("satchel_cloud.service.context.clock.now_ms", lambda: made.now_ms)
        object.__setattr__(ctx, "now_ms", lambda: made.now_ms)
        object.__setattr__(ctx, "sockets", made.gateway)
        object.__setattr__(ctx, "pause", lambda _attempt: None)
        ctx.table._client.meta.events.register("provide-client-params.dynamodb", made.count)
        yield made
        context.cache_clear()


def _hold(method: str, path: str, reply: dict[str, Any], data: Any) -> None:
    """The contract's word on a reply: its status is foreseen and its body has the shape."""
    operation = _operation(method, path)
    status = str(reply["statusCode"])
    kind = reply["headers"].get("content-type")
    if kind == "application/problem+json":
        _check({"$ref": "#/components/schemas/Problem"}, data)
        assert operation is None or status in operation["responses"] or status == "503", (path, status)
        return
    assert operation is not None, path
    answer = operation["responses"][status]
    if "$ref" in answer:
        answer = CONTRACT["components"]["responses"][answer["$ref"].rsplit("/", 1)[-1]]
    if "content" in answer:
        _check(answer["content"][kind]["schema"], data)
    else:
        assert data is None


def _operation(method: str, path: str) -> Any:
    parts = path.split("/")
    best = None
    for pattern, operations in CONTRACT["paths"].items():
        wanted = pattern.split("/")
        if len(wanted) == len(parts) and all(
            w in (p,) or w.startswith("{") for w, p in zip(wanted, parts, strict=True)
        ):
            found = operations.get(method.lower())
            if found and (best is None or "{" not in pattern):
                best = found
    return best


def _check(schema: Any, data: Any) -> None:
    Draft202012Validator({**schema, "components": CONTRACT["components"]}).validate(data)
