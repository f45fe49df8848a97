"""A file sent anew under the link it has; requests that mean harm or nonsense; an account's own quota; late URLs."""

from __future__ import annotations

import base64
import threading
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from satchel_cloud.service.context import context

from .conftest import ALICE, new_id, new_token


def state(service: Any, token: str) -> str:
    return str(service.call("GET", f"/p/{token}")[1]["state"])


def kind(answer: Any) -> str:
    return str(answer["problem"]["type"]).rsplit(":", 1)[-1]


def give_up(service: Any, intent: dict[str, Any]) -> None:
    assert service.call("DELETE", f"/v1/uploads/{intent['upload_id']}")[0] == 204


def test_a_link_follows_the_upload_that_its_file_is_sent_by_anew(service: Any) -> None:
    token = new_token()
    first = service.intent(b"hello", name="note.txt", link={"token": token})
    service.open(first)
    give_up(service, first)
    assert state(service, token) == "stopped"

    second = first | service.intent(b"hello, again", node_id=first["node_id"], name="note.txt", link={"token": token})
    (opened,) = service.open(second)

    assert (opened["outcome"], opened["link"]["path"]) == ("put", f"/s/{token}")
    view = service.call("GET", f"/p/{token}")[1]
    assert (view["state"], view["size"]) == ("arriving", 12)
    service.send(second, b"hello, again")
    assert service.complete({"upload_id": second["upload_id"]})[0]["outcome"] == "done"
    assert state(service, token) == "ready"
    assert len(service.call("GET", "/v1/links")[1]["links"]) == 1


def test_a_link_follows_the_new_upload_though_the_old_one_is_given_up_later(service: Any) -> None:
    token = new_token()
    first = service.intent(link={"token": token})
    second = service.intent(b"changed", node_id=first["node_id"], link={"token": token})
    service.open(first)
    service.open(second)
    give_up(service, first)

    assert state(service, token) == "arriving"
    before = service.items["written"]
    service.open(second)
    assert service.items["written"] == before  # asking again writes nothing


def test_a_revoked_link_stays_revoked_when_its_file_is_sent_anew(service: Any) -> None:
    token = new_token()
    first = service.intent(link={"token": token})
    link_id = service.open(first)[0]["link"]["link_id"]
    service.call("DELETE", f"/v1/links/{link_id}")
    service.open(service.intent(b"changed", node_id=first["node_id"], link={"token": token}))

    assert service.call("GET", f"/p/{token}")[0] == 410


def test_one_token_may_come_once_in_a_request(service: Any) -> None:
    link = {"token": new_token()}
    first, second = service.open(service.intent(link=link), service.intent(b"other", link=link))
    assert (first["outcome"], kind(second)) == ("put", "id-taken")

    folders = [{"node_id": new_id(), "parent_id": "root", "name": new_id(), "link": {"token": "t" * 22}} for _ in "12"]
    made, refused = service.call("POST", "/v1/folders", {"folders": folders})[1]["folders"]
    assert (made["outcome"], kind(refused)) == ("done", "id-taken")
    assert service.call("GET", f"/v1/nodes/{folders[1]['node_id']}")[0] == 404


def test_a_name_that_no_table_could_hold_does_not_stop_the_others(service: Any) -> None:
    names = ["\ud800", "x" * 5000, "", "fine"]
    answers = service.open(*(service.intent(name.encode("utf-8", "replace"), name=name) for name in names))

    assert [answer["outcome"] for answer in answers] == ["problem", "problem", "problem", "put"]
    assert {kind(answer) for answer in answers[:3]} == {"name-invalid"}


@pytest.mark.parametrize("path", ["/" + "x" * 8000, "/" + "é" * 2000, "/./a", "/a\0b"])
def test_a_path_that_cannot_be_is_not_found(service: Any, path: str) -> None:
    assert service.call("GET", "/v1/nodes", query={"path": path})[0] == 404


def test_a_page_that_was_never_given_out_is_refused(service: Any) -> None:
    page = base64.urlsafe_b64encode(b"x" * 1100).decode()
    assert service.call("GET", "/v1/nodes/root/children", query={"page": page})[0] == 400
    assert service.call("GET", "/v1/links", query={"page": "é"})[0] == 400


@pytest.mark.parametrize("name", ["\ud800", "x" * 100_000])
def test_an_unknown_field_is_told_back_short_and_as_text(service: Any, name: str) -> None:
    status, problem = service.call("POST", "/v1/uploads", {"intents": [{**service.intent(), name: 1}]})
    assert status == 400
    assert len(problem["detail"].encode()) < 200


def test_a_file_has_no_children(service: Any) -> None:
    assert service.call("GET", f"/v1/nodes/{service.put()['node_id']}/children")[0] == 409


def test_an_administrator_gives_one_account_a_quota_of_its_own(service: Any) -> None:
    object.__setattr__(context().settings, "quota_bytes", 3)
    assert service.call("GET", "/v1/account")[1]["quota_bytes"] == 3
    assert kind(service.open(service.intent())[0]) == "quota-exceeded"

    def own(quota: int) -> None:
        service.dynamodb.update_item(
            TableName="satchel",
            Key={"PK": {"S": f"A#{ALICE}"}, "SK": {"S": "HEAD"}},
            UpdateExpression="SET quota_bytes = :quota",
            ExpressionAttributeValues={":quota": {"N": str(quota)}},
        )

    own(8)
    service.put(b"hello")
    assert service.call("GET", "/v1/account")[1]["quota_bytes"] == 8  # a commit leaves it alone
    assert kind(service.open(service.intent(b"more"))[0]) == "quota-exceeded"
    own(0)
    assert "quota_bytes" not in service.call("GET", "/v1/account")[1]
    assert service.open(service.intent(b"more"))[0]["outcome"] == "put"


def test_signed_addresses_live_as_long_as_the_stack_says(service: Any) -> None:
    token = new_token()
    service.put(link={"token": token})
    location = service.raw("GET", f"/p/{token}/content")["headers"]["location"]
    signing_query = service.call("POST", "/v1/uploads", {"intents": [service.intent(b"x")]})[1]["signing_query"]

    assert parse_qs(urlsplit(location).query)["X-Amz-Expires"] == ["900"]
    assert parse_qs(signing_query)["X-Amz-Expires"] == ["900"]


def test_two_janitors_at_once_do_everything_once(service: Any) -> None:
    first, second = service.put(b"one"), service.put(b"two")
    for node in (first, second):
        service.call("DELETE", f"/v1/nodes/{node['node_id']}")
    service.days(31)
    table, raced = context().table, []
    write = table.write

    def write_late(actions: Any) -> None:
        if not raced:
            raced.append(True)
            other = threading.Thread(target=lambda: raced.append(service.sweep()))
            other.start()
            other.join()
        write(actions)

    table.write = write_late
    assert "failed" not in service.sweep()
    assert raced[1] == {"trash": 2}
    service.days(2)
    assert service.sweep() == {"content": 2}
    assert service.call("GET", "/v1/account")[1]["used_bytes"] == 0
