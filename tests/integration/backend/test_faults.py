"""Functions that die in the middle, events that come twice, janitors side by side, a table that pushes back."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import ClientError

from satchel_cloud.service.context import context
from soundness import unsound, world

from .conftest import ALICE, Runtime, Service, new_id, new_token
from .test_costs import MIB, multipart

Step = Callable[[], Any]


class Killed(BaseException):
    """As when Lambda takes the function away: nothing of ours may catch it."""


@contextmanager
def hook(on_call: Callable[[str], Any]) -> Iterator[None]:
    """`on_call` sees each request to DynamoDB and S3 before it leaves, and may raise or answer it."""

    def before(model: Any, **_: Any) -> Any:
        return on_call(model.name)

    clients = [(context().table._client, "before-call.dynamodb"), (context().objects._client, "before-call.s3")]
    for client, event in clients:
        client.meta.events.register(event, before)
    try:
        yield
    finally:
        for client, event in clients:
            client.meta.events.unregister(event, before)


def killed_at(number: int, step: Step) -> bool:
    """Run `step` until its call `number`, which does not happen any more; False when it has fewer."""
    calls = itertools.count(1)

    def on_call(_: str) -> None:
        if next(calls) == number:
            raise Killed

    with hook(on_call):
        try:
            step()
        except Killed:
            return True
    return False


def check(service: Service) -> None:
    assert unsound(world(service.dynamodb, service.s3, "satchel", "content")) == []


def live_on(service: Service) -> None:
    """Sixty days with a janitor every day, who counts everybody's use anew."""
    for _ in range(60):
        service.days(1)
        assert "failed" not in service.sweep()
    check(service)


# -- scenes: each gives the step that is to be cut off, and what must be true when it was taken at last --


def opening(service: Service) -> tuple[Step, Step]:
    intents = [service.intent(new_id().encode(), link={"token": new_token()}), service.intent(new_id().encode())]
    large = service.intent(size=16 * MIB)
    del large["sha256"]

    def step() -> None:
        assert [one["outcome"] for one in service.open(*intents, large)] == ["put", "put", "multipart"]

    def after() -> None:
        assert service.call("GET", f"/p/{intents[0]['link']['token']}")[1]["state"] == "arriving"

    return step, after


def arrived(service: Service, **more: Any) -> dict[str, Any]:
    """An upload whose bytes, unlike any others, are in the bucket."""
    content = new_id().encode()
    intent = service.intent(content, **more)
    assert service.open(intent)[0]["outcome"] == "put"
    service.send(intent, content)
    return intent


def completing(service: Service) -> tuple[Step, Step]:
    intents = [arrived(service), arrived(service)]

    def step() -> None:
        results = service.complete(*({"upload_id": one["upload_id"]} for one in intents))
        assert [one["outcome"] for one in results] == ["done", "done"]

    def after() -> None:
        assert {node["name"] for node in listed(service)} >= {one["name"] for one in intents}

    return step, after


def completing_parts(service: Service) -> tuple[Step, Step]:
    intent, multipart_id = multipart(service)
    place = {"Bucket": "content", "Key": f"c/{ALICE}/{intent['upload_id']}", "UploadId": multipart_id}
    for number in (1, 2):
        service.s3.upload_part(**place, PartNumber=number, Body=b"x" * 8 * MIB)

    def step() -> None:
        assert service.complete({"upload_id": intent["upload_id"], "sha256": "0" * 64})[0]["outcome"] == "done"

    return step, lambda: None


def revising(service: Service) -> tuple[Step, Step]:
    node = service.put(b"old", name="file")
    base = node["revision"]["revision_id"]
    newer = arrived(service, name="file", node_id=node["node_id"], base_revision=base)

    def step() -> None:
        item = {"upload_id": newer["upload_id"], "base_revision": base}
        assert service.complete(item)[0]["outcome"] == "done"

    return step, lambda: None


def finishing_for_the_dead(service: Service) -> tuple[Step, Step]:
    intent = arrived(service)

    def step() -> None:
        assert service.tell(f"c/{ALICE}/{intent['upload_id']}") == {"batchItemFailures": []}

    def after() -> None:
        assert intent["name"] in {node["name"] for node in listed(service)}

    return step, after


def renaming(service: Service) -> tuple[Step, Step]:
    folder = service.folder("old")["node"]["node_id"]
    service.put(b"inside", parent_id=folder)

    def step() -> None:
        assert service.call("PATCH", f"/v1/nodes/{folder}", {"name": "new"})[0] == 200

    def after() -> None:
        assert "new" in {node["name"] for node in listed(service)}

    return step, after


def trashing(service: Service) -> tuple[Step, Step]:
    folder = service.folder("doomed")["node"]["node_id"]
    service.put(b"inside", parent_id=folder)

    def step() -> None:
        assert service.call("DELETE", f"/v1/nodes/{folder}")[0] == 204

    def after() -> None:
        assert "doomed" not in {node["name"] for node in listed(service)}

    return step, after


def linking(service: Service) -> tuple[Step, Step]:
    node, token = service.put(b"shared")["node_id"], new_token()

    def step() -> None:
        assert service.call("POST", "/v1/links", {"node_id": node, "link": {"token": token}})[0] in (200, 201)

    def after() -> None:
        assert service.call("GET", f"/p/{token}")[1]["state"] == "ready"

    return step, after


def giving_up(service: Service) -> tuple[Step, Step]:
    intent, _ = multipart(service)

    def step() -> None:
        assert service.call("DELETE", f"/v1/uploads/{intent['upload_id']}")[0] == 204

    return step, lambda: None


def sweeping(service: Service) -> tuple[Step, Step]:
    """All that a janitor can find: trash with a folder in it, an old revision, a link, uploads past their day."""
    _, _ = renaming(service)
    step, _ = trashing(service)
    step()
    step, _ = revising(service)
    step()
    service.put(b"linked", link={"token": new_token(), "expires_ms": service.now_ms + 1000})
    arrived(service)
    service.open(service.intent(new_id().encode()))
    multipart(service)
    service.days(31)

    def sweep() -> None:
        assert "failed" not in service.sweep()

    return sweep, lambda: None


SCENES = [
    opening, completing, completing_parts, revising, finishing_for_the_dead, renaming, trashing, linking, giving_up,
    sweeping,
]  # fmt: skip


def listed(service: Service) -> list[dict[str, Any]]:
    return list(service.call("GET", "/v1/nodes/root/children")[1]["nodes"])


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_a_function_killed_at_any_call_is_made_good_by_the_next_try(service: Service, scene: Any) -> None:
    for number in cuts(service, scene, 5 if scene is sweeping else 12):
        step, after = scene(service)
        assert killed_at(number, step)
        check(service)
        step()
        after()
        check(service)
        reset(service)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.__name__)
def test_what_nobody_tries_again_is_tidied_up_in_the_end(service: Service, scene: Any) -> None:
    for number in cuts(service, scene, 3):
        step, _ = scene(service)
        assert killed_at(number, step)
        live_on(service)
        reset(service)


def cuts(service: Service, scene: Any, most: int) -> list[int]:
    """Numbers of calls, evenly spread where there are many, at which a scene's step can be cut off."""
    service.call("GET", "/v1/account")  # makes the account, once
    step, _ = scene(service)
    calls: list[str] = []
    with hook(calls.append):
        step()
    reset(service)
    made = len(calls)
    assert made > 2
    return sorted({1 + (made - 1) * turn // (most - 1) for turn in range(most)})


def reset(service: Service) -> None:
    """Names are free again for the next round."""
    for node in listed(service):
        service.call("DELETE", f"/v1/nodes/{node['node_id']}")


@pytest.mark.parametrize("before", [None, "complete", "trash", "abort"])
def test_an_event_that_comes_three_times_and_late_counts_once(service: Service, before: str | None) -> None:
    intents = [service.intent(b"%d" % number) for number in range(3)]
    service.open(*intents)
    for number, intent in enumerate(intents):
        service.send(intent, b"%d" % number)
    keys = [f"c/{ALICE}/{intent['upload_id']}" for intent in intents]
    first = intents[0]
    if before in ("complete", "trash"):
        service.complete({"upload_id": first["upload_id"]})
    if before == "trash":
        service.call("DELETE", f"/v1/nodes/{first['node_id']}")
    if before == "abort":
        service.call("DELETE", f"/v1/uploads/{first['upload_id']}")

    for key in [keys[2], keys[0], keys[2], keys[1], keys[0], keys[0], keys[1], keys[2], keys[1]]:
        assert service.tell(key) == {"batchItemFailures": []}

    there = {node["node_id"] for node in listed(service)}
    assert there == {one["node_id"] for one in intents if one is not first or before in (None, "complete")}
    check(service)
    live_on(service)


def test_two_janitors_interleaved_call_by_call_do_everything_once(service: Service) -> None:
    for number in cuts(service, sweeping, 5):
        step, _ = sweeping(service)
        calls, other = itertools.count(1), []

        def on_call(_: str, calls: Any = calls, number: int = number, other: list[Any] = other) -> None:
            if next(calls) == number:
                other.append(service.sweep())

        with hook(on_call):
            step()
        assert other
        check(service)
        reset(service)

    live_on(service)


THROTTLED: list[tuple[str, dict[str, Any]]] = [
    ("ProvisionedThroughputExceededException", {}),
    ("ThrottlingException", {}),
]
REFUSALS = [
    *THROTTLED,
    *(
        ("TransactionCanceledException", {"CancellationReasons": [{"Code": code}]})
        for code in ("TransactionConflict", "ConditionalCheckFailed", "ThrottlingError")
    ),
]


@pytest.mark.parametrize("seed", range(3))
def test_a_table_that_pushes_back_is_asked_again_and_nothing_is_lost_or_doubled(service: Service, seed: int) -> None:
    chance = random.Random(seed)

    def on_call(name: str) -> None:
        if chance.random() < 0.3:
            code, more = chance.choice(REFUSALS if name == "TransactWriteItems" else THROTTLED)
            raise ClientError(
                {"Error": {"Code": code, "Message": ""}, "ResponseMetadata": {"HTTPStatusCode": 400}} | more, name
            )

    steps = [scene(service)[0] for scene in (completing, finishing_for_the_dead, renaming, trashing, linking, opening)]
    refused = 0
    with hook(on_call):
        for step in steps:
            for _ in range(200):
                try:
                    step()
                    break
                except AssertionError:
                    refused += 1
            else:
                pytest.fail("it never got through")

    assert refused > 0
    check(service)
    live_on(service)


def test_a_busy_table_is_said_to_be_busy(service: Service) -> None:
    def on_call(name: str) -> None:
        raise ClientError({"Error": {"Code": "ThrottlingException", "Message": ""}}, name)

    with hook(on_call):
        status, problem = service.call("GET", "/v1/account")

    assert (status, problem["type"]) == (503, "urn:satchel:problem:busy")


# -- time that is up, and use that is wrong --


class Hurried(Runtime):
    """Its time is up after so many looks at the clock."""

    def __init__(self, looks: int) -> None:
        self._looks = looks

    def get_remaining_time_in_millis(self) -> int:  # type: ignore[override] # the base needs no state
        self._looks -= 1
        return 300_000 if self._looks > 0 else 0


def test_a_sweep_that_runs_out_of_time_is_gone_on_with(service: Service) -> None:
    from satchel_cloud.handlers import janitor

    folder = service.folder("large")["node"]["node_id"]
    for number in range(12):
        inner = service.folder(f"{number}", folder)["node"]["node_id"]
        service.put(b"%d" % number, parent_id=inner)
    service.call("DELETE", f"/v1/nodes/{folder}")
    service.days(31)

    runs = 0
    while (done := janitor.handler({}, Hurried(12))).get("out-of-time"):
        runs += 1
        check(service)
        assert runs < 100, done

    assert runs > 1
    live_on(service)
    assert world(service.dynamodb, service.s3, "satchel", "content").objects == {}


def test_endless_work_in_one_shard_keeps_no_other_waiting(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    from satchel_cloud.adapters.rows import SHARDS
    from satchel_cloud.handlers import janitor
    from satchel_cloud.service.tidying import OutOfTimeError

    visited: list[str] = []

    def sweep(shard: str, in_time: Any, *_: Any) -> None:
        visited.append(shard)
        while in_time():
            runtime.left_ms -= 100
        raise OutOfTimeError

    class Slow(Runtime):
        left_ms = 300_000

        def get_remaining_time_in_millis(self) -> int:  # type: ignore[override] # the base needs no state
            return self.left_ms

    runtime = Slow()
    monkeypatch.setattr(janitor, "_sweep", sweep)

    janitor.handler({}, runtime)

    assert visited == list(SHARDS)
    assert runtime.left_ms >= 19_000


def test_use_that_is_wrong_is_corrected_and_measured(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    service.put(b"12345")
    service.dynamodb.update_item(
        TableName="satchel",
        Key={"PK": {"S": f"A#{ALICE}"}, "SK": {"S": "HEAD"}},
        UpdateExpression="SET used_bytes = :wrong",
        ExpressionAttributeValues={":wrong": {"N": "105"}},
    )
    service.days(8)

    assert service.sweep() == {"corrected": 1}

    assert service.call("GET", "/v1/account")[1]["used_bytes"] == 5
    assert '"UsageDriftBytes": 100' in capsys.readouterr().out
    service.days(1)
    assert service.sweep() == {}


def test_use_is_not_corrected_by_a_count_that_somebody_overtook(service: Service) -> None:
    service.put(b"12345")
    service.days(8)
    raced: list[Any] = []

    def on_call(name: str) -> None:
        if name == "UpdateItem" and not raced:
            raced.append(True)
            raced.append(service.put(b"and 9 more"))

    with hook(on_call):
        assert service.sweep() == {"unreconciled": 1}

    check(service)
    service.days(1)
    service.sweep()
    check(service)
