"""Fifty clients at once on the deployed API: nothing that was acknowledged is lost, nothing happens twice."""

from __future__ import annotations

import hashlib
import http.client
import random
import secrets
import statistics
import time
import urllib.parse
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from e2e.cloud_fixture import LocalCloud
from soundness import unsound, world

ACCOUNTS, CLIENTS_EACH, ROUNDS = 10, 5, 1
PUSHED_BACK = {429, 503}
"""What the contract foresees for too much at once."""


@dataclass
class Person:
    """One client of an account. `names` are those of its files that were acknowledged, by node."""

    cloud: LocalCloud
    account: str
    token: str
    chance: random.Random
    names: dict[str, str] = field(default_factory=dict)
    took: list[tuple[str, float, int]] = field(default_factory=list)

    def ask(self, what: str, method: str, path: str, body: Any = None, token: str | None = "") -> Any:
        """The answer once there is one: who is pushed back comes again, as a client does."""
        for _ in range(20):
            began = time.monotonic()
            reply = self.cloud.request(method, path, body, token=self.token if token == "" else token)
            self.took.append((what, time.monotonic() - began, reply.status))
            if reply.status not in PUSHED_BACK:
                assert reply.status < 400, (what, reply)
                return reply.json() if reply.body else None
            time.sleep(self.chance.uniform(0.05, 0.3))
        pytest.fail(f"{what} was pushed back twenty times")

    def work(self) -> None:
        folder = secrets.token_hex(16)
        intent = {"node_id": folder, "parent_id": "root", "name": folder}
        (made,) = self.ask("make a folder", "POST", "/v1/folders", {"folders": [intent]})["folders"]
        assert made["outcome"] == "done", made
        for _ in range(ROUNDS):
            node, token = self.upload()
            self.ask("list", "GET", "/v1/nodes/root/children")
            self.ask("view a link", "GET", f"/p/{token}", token=None)
            self.change(node, "rename", {"name": f"renamed {node}"})
            self.change(node, "move", {"parent_id": folder})
            self.ask("read changes", "GET", "/v1/changes?after=0")
        doomed = self.chance.choice(list(self.names))
        self.ask("delete", "DELETE", f"/v1/nodes/{doomed}")
        del self.names[doomed]

    def upload(self) -> tuple[str, str]:
        content, token = secrets.token_bytes(100), secrets.token_urlsafe(17)[:22]
        upload_id, node = secrets.token_hex(16), secrets.token_hex(16)
        intent = {
            "upload_id": upload_id, "node_id": node, "parent_id": "root", "name": f"file {node}", "size": len(content),
            "modified_ms": 1_700_000_000_000, "sha256": hashlib.sha256(content).hexdigest(), "link": {"token": token},
        }  # fmt: skip
        opened = self.ask("open", "POST", "/v1/uploads", {"intents": [intent]})
        put = opened["uploads"][0]["put"]
        address = urllib.parse.urlsplit(put["url"])
        line = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
        line.request("PUT", f"{address.path}?{opened['signing_query']}&{put['query']}", content, put["headers"])
        assert line.getresponse().status == 200
        line.close()
        while self.complete(upload_id) == "pending":
            time.sleep(0.2)
        self.names[node] = intent["name"]
        return node, token

    def complete(self, upload_id: str) -> str:
        reply = self.ask("complete", "POST", "/v1/uploads/complete", {"uploads": [{"upload_id": upload_id}]})
        outcome = str(reply["results"][0]["outcome"])
        assert outcome in ("done", "pending"), reply
        return outcome

    def change(self, node: str, what: str, change: dict[str, str]) -> None:
        told = self.ask(what, "PATCH", f"/v1/nodes/{node}", change)
        self.names[node] = told["name"]


def test_fifty_clients_at_once_lose_nothing_and_double_nothing(
    cloud: LocalCloud, capsys: pytest.CaptureFixture[str]
) -> None:
    people: list[Person] = []
    for _ in range(ACCOUNTS):
        email, password = cloud.new_user()
        token, account = cloud.tokens(email, password)["AccessToken"], cloud.sub(email)
        people += [Person(cloud, account, token, random.Random(len(people) + one)) for one in range(CLIENTS_EACH)]

    began = time.monotonic()
    with ThreadPoolExecutor(len(people)) as pool:
        for working in [pool.submit(person.work) for person in people]:
            working.result()
    seconds = time.monotonic() - began

    found = world(cloud.aws.client("dynamodb"), cloud.aws.client("s3"), cloud.table, cloud.content_bucket)
    mine = found.of_accounts({person.account for person in people})
    assert unsound(mine) == []
    there = {row["node_id"]: row["name"] for row in mine.rows if "#F#" in row["PK"] and row["kind"] == "file"}
    assert there == {node: name for person in people for node, name in person.names.items()}
    with capsys.disabled():
        print(f"\n{report([one for person in people for one in person.took], seconds)}")


def report(took: list[tuple[str, float, int]], seconds: float) -> str:
    """p50, p99 and how often each kind of request was pushed back."""
    refused = Counter(what for what, _, status in took if status in PUSHED_BACK)
    lines = [f"{len(took)} requests of {ACCOUNTS * CLIENTS_EACH} clients in {seconds:.1f} s"]
    for what in ["", *sorted({what for what, _, _ in took})]:
        times = [1000 * one for kind, one, _ in took if what in ("", kind)]
        p50, p99 = statistics.median(times), statistics.quantiles(times, n=100, method="inclusive")[98]
        share = (refused[what] if what else refused.total()) / len(times)
        lines.append(f"{what or 'all':14}{len(times):5}  p50 {p50:5.0f} ms  p99 {p99:5.0f} ms  pushed back {share:.1%}")
    return "\n".join(lines)
