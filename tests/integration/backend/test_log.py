"""What the functions write into their logs: lines that can be searched, metrics in them, nobody's business left out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import ALICE, Service


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_every_reply_carries_the_id_that_its_line_in_the_log_has(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    fine = service.raw("GET", "/v1/account")
    refused = service.raw("GET", "/v1/nodes/" + "0" * 32)

    first, second = lines(capsys)
    assert fine["headers"]["x-request-id"] == first["request_id"]
    assert refused["headers"]["x-request-id"] == second["request_id"]
    assert json.loads(refused["body"])["instance"] == f"urn:satchel:request:{second['request_id']}"
    assert (first["level"], first["route"], first["status"], first["account"]) == (
        "info",
        "GET /v1/account",
        200,
        ALICE,
    )


def test_a_fault_is_told_by_kind_and_place_and_never_by_its_words(
    service: Service, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("private.txt of alice@example.com")

    monkeypatch.setattr("satchel_cloud.handlers.tree_routes.known", broken)

    reply = service.raw("GET", "/v1/nodes/" + "0" * 32)

    (line,) = lines(capsys)
    assert (reply["statusCode"], line["level"], line["error"]) == (503, "error", "RuntimeError")
    assert line["trace"][-1].endswith(" broken")
    assert "private" not in json.dumps(line) + reply["body"]


def test_aws_errors_are_told_by_their_code_and_operation(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    service.dynamodb.delete_table(TableName="satchel")

    service.raw("GET", "/v1/account")

    (line,) = lines(capsys)
    assert (line["code"], line["operation"]) == ("ResourceNotFoundException", "GetItem")


def test_what_was_done_is_measured_once_in_the_line_of_its_request(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    service.put(b"hello")
    service.call("GET", "/v1/account")

    opened, completed, looked = lines(capsys)
    assert measured(opened) == {"UploadsOpened": 1}
    assert measured(completed) == {"UploadsFinished": 1, "BytesFinished": 5}
    assert measured(looked) == {}


def test_ingest_measures_how_late_it_was_for_what_it_finished_itself(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    intent = service.intent()
    service.open(intent)
    service.send(intent)
    key = f"c/{ALICE}/{intent['upload_id']}"
    told = service.event(key)
    service.now_ms += 61_000
    capsys.readouterr()

    service.ingest(told)
    service.ingest(told)

    first, second = lines(capsys)
    assert measured(first) == {"UploadsFinished": 1, "BytesFinished": 5, "IngestLagMs": 61_000}
    assert first["uploads"] == [intent["upload_id"]]
    assert (second["outcomes"], measured(second)) == (["done"], {})


def measured(line: dict[str, Any]) -> dict[str, int]:
    """The metrics of a line, as CloudWatch finds them by the directive in it."""
    if "_aws" not in line:
        return {}
    assert isinstance(line["_aws"]["Timestamp"], int)
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert (directive["Namespace"], directive["Dimensions"]) == ("Satchel", [["Stack"]])
    assert isinstance(line["Stack"], str)
    assert {one["Unit"] for one in directive["Metrics"]} <= {"Count", "Bytes", "Milliseconds"}
    return {one["Name"]: line[one["Name"]] for one in directive["Metrics"]}


def test_a_row_that_makes_trouble_is_named_by_its_partition(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    node = service.put(b"doomed")
    service.call("DELETE", f"/v1/nodes/{node['node_id']}")
    service.dynamodb.delete_item(
        TableName="satchel", Key={"PK": {"S": f"A#{ALICE}#H"}, "SK": {"S": node["revision"]["sha256"] + "#6"}}
    )
    service.days(31)
    capsys.readouterr()

    assert service.sweep()["failed"] == 1

    trouble, summary = lines(capsys)
    assert (trouble["level"], trouble["partition"]) == ("error", f"A#{ALICE}#T")
    assert measured(summary)["JanitorFailed"] == 1
