"""Telling clients of changes: who is let in, who is told, and that nothing depends on it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from satchel_cloud.adapters.rows import read_change_key
from satchel_cloud.domain.push import MOST

from .conftest import ALICE, BOB, Service, new_id

MINUTE, HOUR = 60_000, 3_600_000


def told(service: Service) -> list[tuple[str, int]]:
    """Connection and sequence of every message since the last look."""
    found = [(connection, json.loads(text)["sequence"]) for connection, text in service.gateway.sent]
    service.gateway.sent.clear()
    return found


def rows_of(service: Service, pk: str) -> list[Any]:
    return list(
        service.dynamodb.query(
            TableName="satchel", KeyConditionExpression="PK = :pk", ExpressionAttributeValues={":pk": {"S": pk}}
        )["Items"]
    )


def test_who_has_a_ticket_is_told_of_the_accounts_changes_and_of_no_others(service: Service) -> None:
    service.listen("alices laptop")
    service.listen("alices desktop")
    service.listen("bobs", BOB)

    service.stream((ALICE, 7))

    assert sorted(told(service)) == [("alices desktop", 7), ("alices laptop", 7)]


def test_a_commit_writes_the_row_that_the_stream_tells_of(service: Service) -> None:
    service.folder("Trip")

    [row] = rows_of(service, f"A#{ALICE}#C")
    assert row["PK"]["S"].endswith("#C")  # by which push.yaml filters
    assert read_change_key(row["PK"]["S"], row["SK"]["S"]) == (ALICE, 1)


def test_many_commits_at_once_are_one_message_for_each_account(service: Service) -> None:
    service.listen("alices")
    service.listen("bobs", BOB)

    service.stream((ALICE, 4), (BOB, 9), (ALICE, 6), (ALICE, 5))

    assert sorted(told(service)) == [("alices", 6), ("bobs", 9)]


def test_a_ticket_lets_in_once(service: Service) -> None:
    ticket = service.push()["ticket"]

    assert service.knock(ticket) == 200
    assert service.knock(ticket, "c2") == 401


def test_a_ticket_is_good_for_a_minute(service: Service) -> None:
    first, second = service.push()["ticket"], service.push()["ticket"]

    service.now_ms += MINUTE - 1
    assert service.knock(first) == 200
    service.now_ms += 1
    assert service.knock(second) == 401


@pytest.mark.parametrize("ticket", [None, "", "guessed", "x" * 5000])
def test_nobody_comes_in_without_a_ticket(service: Service, ticket: str | None) -> None:
    assert service.knock(ticket) == 401

    service.stream((ALICE, 1))
    assert told(service) == []


def test_the_table_holds_no_ticket(service: Service) -> None:
    ticket = service.push()["ticket"]

    found = service.dynamodb.scan(TableName="satchel")["Items"]
    assert any(item["PK"]["S"].startswith("K#") for item in found)
    assert ticket not in json.dumps(found)


def test_a_disabled_account_gets_no_ticket(service: Service) -> None:
    service.call("GET", "/v1/account")
    service.disable()

    status, problem = service.call("POST", "/v1/push", {"client_id": new_id()})

    assert (status, problem["type"]) == (403, "urn:satchel:problem:account-disabled")


def test_a_client_that_comes_back_is_told_once(service: Service) -> None:
    client = new_id()
    service.listen("before", client_id=client)
    service.listen("after", client_id=client)

    service.stream((ALICE, 3))

    assert told(service) == [("after", 3)]


def test_a_connection_that_is_gone_is_forgotten_and_the_others_are_told(service: Service) -> None:
    service.listen("gone")
    service.listen("here")
    service.gateway.gone = {"gone"}

    service.stream((ALICE, 3))
    service.gateway.gone = set()
    service.stream((ALICE, 4))

    assert told(service) == [("here", 3), ("here", 4)]


def test_a_client_that_came_back_while_its_old_connection_was_found_gone_stays(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = new_id()
    service.listen("before", client_id=client)

    def come_back(_connection: str, _text: str) -> bool:
        service.listen("after", client_id=client)
        return False

    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(service.gateway, "send", come_back)
        service.stream((ALICE, 3))
    service.stream((ALICE, 4))

    assert told(service) == [("after", 4)]


def test_after_two_hours_a_connection_is_over(service: Service) -> None:
    service.listen("old")
    service.now_ms += 2 * HOUR

    service.stream((ALICE, 3))

    assert told(service) == []
    assert rows_of(service, f"A#{ALICE}#W") == []


def test_an_account_has_a_few_connections_and_the_newest_are_told(service: Service) -> None:
    for number in range(MOST + 2):
        service.now_ms += 1
        service.listen(f"c{number:02d}")

    service.stream((ALICE, 3))

    assert sorted(connection for connection, _ in told(service)) == [f"c{number:02d}" for number in range(2, MOST + 2)]


def test_a_gateway_that_does_not_answer_fails_nothing_but_the_hint(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    service.listen("alices")
    service.gateway.broken = True

    service.stream((ALICE, 3))

    line = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (line["level"], line["route"], line["error"]) == ("error", "notify", "TimeoutError")


def test_what_is_written_to_be_told_vanishes_by_itself(service: Service) -> None:
    service.push()
    service.listen("alices")

    rows = [item for item in service.dynamodb.scan(TableName="satchel")["Items"] if "ttl" in item]
    [ticket] = [item for item in rows if item["PK"]["S"].startswith("K#")]
    [connection] = [item for item in rows if item["PK"]["S"].endswith("#W")]
    assert 60 <= int(ticket["ttl"]["N"]) - service.now_ms // 1000 <= 62
    assert 7200 <= int(connection["ttl"]["N"]) - service.now_ms // 1000 <= 7202
