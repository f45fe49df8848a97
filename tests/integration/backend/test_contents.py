"""Where many files' contents can be fetched, asked for at once."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from satchel_cloud.service.context import context

from .conftest import ALICE, BOB, Service, new_id


def ask(service: Service, *node_ids: str, who: str = ALICE) -> list[dict[str, Any]]:
    """The answers, each with its whole `address` if it has one."""
    status, reply = service.call("POST", "/v1/contents", {"node_ids": list(node_ids)}, who=who)
    assert status == 200, reply
    assert [one["node_id"] for one in reply["contents"]] == list(node_ids)
    for one in reply["contents"]:
        if one["outcome"] == "done":
            one["address"] = f"{one['url']}?{reply['signing_query']}&{one['query']}"
    return list(reply["contents"])


def alone(service: Service, node_id: str, who: str = ALICE) -> Any:
    """What the route for one file says."""
    return service.call("GET", f"/v1/nodes/{node_id}/content", who=who)[1]


def told(address: str) -> tuple[str, dict[str, list[str]]]:
    """What an address says, but for the signature and its second."""
    parts = urlsplit(address)
    query = parse_qs(parts.query)
    assert len(query.pop("X-Amz-Signature")) == len(query.pop("X-Amz-Date")) == 1
    return f"{parts.scheme}://{parts.netloc}{parts.path}", query


def kind(answer: dict[str, Any]) -> str:
    assert not {"node", "url", "query"} & answer.keys()
    return str(answer["problem"]["type"]).rsplit(":", 1)[-1]


def test_each_is_answered_as_it_would_be_alone(service: Service) -> None:
    deep = service.folder("deep", service.folder("f")["node"]["node_id"])["node"]["node_id"]
    files = [service.put(name="Été.txt", parent_id=deep), service.put(b"other", name="a.bin"), service.put(b"")]
    answers = ask(service, *(file["node_id"] for file in files))
    for file, answer in zip(files, answers, strict=True):
        single = alone(service, file["node_id"])
        assert (answer["outcome"], answer["node"]) == ("done", single["node"])
        assert told(answer["address"]) == told(single["url"])
    assert len({answer["address"] for answer in answers}) == 3
    assert "attachment" in parse_qs(answers[0]["address"])["response-content-disposition"][0]


def test_an_id_that_comes_twice_is_answered_twice(service: Service) -> None:
    one, other = service.put()["node_id"], service.put(b"other")["node_id"]
    first, _, again = ask(service, one, other, one)
    assert first == again


def test_a_problem_of_one_is_no_problem_of_the_others(service: Service) -> None:
    folder = service.folder("f")["node"]["node_id"]
    inside, gone, file = service.put(parent_id=folder), service.put(b"gone"), service.put(b"there")
    below = service.folder("g")["node"]["node_id"]
    foreign = service.put(b"his", who=BOB)["node_id"]
    service.call("DELETE", f"/v1/nodes/{gone['node_id']}")
    service.call("DELETE", f"/v1/nodes/{folder}")
    refused = [gone["node_id"], inside["node_id"], folder, foreign, new_id(), below, "root"]
    answers = ask(service, *refused, file["node_id"])
    assert [kind(answer) for answer in answers[:-1]] == ["not-found"] * 5 + ["not-a-file"] * 2
    assert answers[-1]["node"] == file
    for node_id, answer in zip(refused, answers, strict=False):
        single = alone(service, node_id)
        assert answer["problem"].pop("instance") != single.pop("instance")
        assert answer["problem"] == single
    assert kind(ask(service, file["node_id"], who=BOB)[0]) == "not-found"


@pytest.mark.parametrize(
    "body",
    [{}, {"node_ids": []}, {"node_ids": ["a" * 32] * 101}, {"node_ids": ["A"]}, {"node_ids": [1]},
     {"node_ids": ["a" * 32], "more": 1}, [], {"node_ids": "a" * 32}],
)  # fmt: skip
def test_what_is_no_list_of_ids_is_refused(service: Service, body: Any) -> None:
    status, reply = service.call("POST", "/v1/contents", body)
    assert (status, reply["type"]) == (400, "urn:satchel:problem:bad-request")


def test_a_disabled_account_gets_no_addresses(service: Service) -> None:
    file = service.put()["node_id"]
    service.disable()
    status, reply = service.call("POST", "/v1/contents", {"node_ids": [file]})
    assert (status, reply["type"]) == (403, "urn:satchel:problem:account-disabled")


def test_a_hundred_are_read_a_level_at_a_time(service: Service) -> None:
    """Whatever the number of files and folders: not one by one."""
    folders = [service.folder(f"f{number}")["node"]["node_id"] for number in range(5)]
    files = [service.put(b"%d" % number, parent_id=folders[number % 5])["node_id"] for number in range(10)]
    asked: list[str] = []
    events = context().table._client.meta.events
    events.register("provide-client-params.dynamodb", lambda model, **_: asked.append(model.name))
    assert {answer["outcome"] for answer in ask(service, *(files * 10))} == {"done"}
    assert asked == ["GetItem", "BatchGetItem", "BatchGetItem", "BatchGetItem"]


def test_what_finds_no_room_in_the_reply_is_to_be_asked_for_again(service: Service) -> None:
    """`Service.call` holds every reply to 128 KiB."""
    files = [service.put(name=f"{number:02}" + "ä" * 126)["node_id"] for number in range(60)]
    answers = ask(service, *files)
    came = [answer["node_id"] for answer in answers if answer["outcome"] == "done"]
    assert 20 < len(came) < 60
    assert came == files[: len(came)]
    assert {kind(answer) for answer in answers[len(came) :]} == {"busy"}
    again = ask(service, *files[len(came) :])
    assert again[0]["outcome"] == "done"
