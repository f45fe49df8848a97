"""The table in memory answers as DynamoDB does: the same random actions on it and on moto."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from satchel_cloud.adapters.table import Action, ConflictError, Table, delete, put, update

from .dynamo import Dynamo

PARTITIONS, KEYS = ("A#1", "A#2#F#root"), ("a", "b", "ß", "\uffff", "𝄞", "c", "d")


@pytest.fixture
def tables() -> Iterator[list[Table]]:
    with mock_aws():
        client = boto3.client(
            "dynamodb", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"
        )
        text = [("PK", "S"), ("SK", "S"), ("due_shard", "S"), ("due_ms", "N")]
        keys = [{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}]
        due = [{"AttributeName": "due_shard", "KeyType": "HASH"}, {"AttributeName": "due_ms", "KeyType": "RANGE"}]
        client.create_table(
            TableName="table",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": kind} for name, kind in text],
            KeySchema=keys,
            GlobalSecondaryIndexes=[
                {"IndexName": "due", "KeySchema": due, "Projection": {"ProjectionType": "KEYS_ONLY"}}
            ],
        )
        yield [Table(client, "table"), Table(Dynamo(), "table")]


def test_any_actions_have_the_same_outcome(tables: list[Table]) -> None:
    chance = random.Random(5)
    outcomes = set()
    for _ in range(150):
        places = [(pk, sk) for pk in PARTITIONS for sk in KEYS]
        some = chance.sample(places, chance.choice((1, 1, 2, 3)))
        actions = [_action(chance, place) for place in some]
        found = [_outcome(table, actions) for table in tables]
        assert found[0] == found[1], actions
        outcomes.add(found[0])
        asked = chance.sample(places, 5)
        assert tables[0].get_many(asked) == tables[1].get_many(asked)
        assert tables[0].get(asked[0]) == tables[1].get(asked[0])
        how: dict[str, Any] = {
            "after": chance.choice((None, *KEYS)), "limit": chance.randint(1, 8), "newest_first": chance.random() < 0.5,
        }  # fmt: skip
        assert tables[0].query(some[0][0], **how) == tables[1].query(some[0][0], **how), how
        now = chance.randrange(12)
        # Rows that are due at the same time come in no order that one could rely on.
        assert sorted(tables[0].due("DUE#0", now)[0]) == sorted(tables[1].due("DUE#0", now)[0])
    assert outcomes == {"done", "conflict"}


@pytest.mark.parametrize(
    "ask",
    [
        lambda client: client.transact_write_items(
            TransactItems=[_named(put(_item("a", {}))), _named(delete(_key("a")))]
        ),
        lambda client: client.batch_get_item(RequestItems={"table": {"Keys": []}}),
        lambda client: client.batch_get_item(RequestItems={"table": {"Keys": [_raw("a"), _raw("a")]}}),
    ],
    ids=["one item twice in a transaction", "no keys", "one key twice"],
)
def test_what_is_not_allowed_is_refused(ask: Any) -> None:
    with pytest.raises(ClientError, match="ValidationException"):
        ask(Dynamo())


@pytest.mark.parametrize(
    "expressions",
    [
        {"ConditionExpression": "#a = :b extra"},
        {"ConditionExpression": "#a == :b"},
        {"ConditionExpression": "size(#a) > :b"},
        {"UpdateExpression": "SET #a"},
        {"UpdateExpression": "DELETE #a :b"},
    ],
    ids=str,
)
def test_what_is_not_understood_is_not_passed_over(expressions: dict[str, str]) -> None:
    given = {"ExpressionAttributeNames": {"#a": "a"}, "ExpressionAttributeValues": {":b": {"N": "1"}}}
    with pytest.raises(ValueError, match=r"missing|more than|no such"):
        Dynamo().update_item(
            TableName="table", Key=_raw("a"), **({"UpdateExpression": "SET #a = :b"} | given | expressions)
        )


def _action(chance: random.Random, place: tuple[str, str]) -> Action:
    name, text, number = chance.choice(("x", "y")), chance.choice(("one", "two")), chance.randrange(4)
    condition, values = chance.choice(
        [
            ("", {}),
            ("attribute_not_exists(PK)", {}),
            ("attribute_exists(PK) AND attribute_not_exists(#deleting)", {}),
            ("#text = :text", {"text": text}),
            ("#text <> :text", {"text": text}),
            ("attribute_not_exists(PK) OR #text = :text", {"text": text}),
            ("#number > :number AND (#text = :text OR NOT #number >= :number)", {"number": number, "text": text}),
            ("#number <= :number", {"number": number}),
        ]
    )
    kind = chance.randrange(3)
    if kind == 0:
        due = {"due_shard": "DUE#0", "due_ms": chance.randrange(12)} if chance.random() < 0.5 else {}
        flag = {"deleting": True} if chance.random() < 0.2 else {}
        values_of_item = {"PK": place[0], "SK": place[1], "text": text, "number": number, "deep": {"l": [1, name]}}
        return put(values_of_item | due | flag, condition, **values)
    if kind == 1:
        return delete(place, condition, **values)
    change, more = chance.choice(
        [
            ("SET #number = :next", {"next": number}),
            ("SET #due_shard = if_not_exists(#due_shard, :shard), #due_ms = :at", {"shard": "DUE#0", "at": number}),
            ("SET #text = :new REMOVE #due_shard, #due_ms", {"new": name}),
            ("REMOVE #deleting", {}),
        ]
    )
    if condition.startswith("#number") and chance.random() < 0.7:
        # Only where there surely is a number to add to.
        change, more = "SET #number = #number + :more, #before = #number", {"more": 1}
    return update(place, change, condition, **(values | more))


def _outcome(table: Table, actions: list[Action]) -> str:
    try:
        table.write(actions)
    except ConflictError:
        return "conflict"
    return "done"


def _key(name: str) -> tuple[str, str]:
    return "A#1", name


def _raw(name: str) -> dict[str, Any]:
    return {"PK": {"S": "A#1"}, "SK": {"S": name}}


def _item(name: str, more: dict[str, Any]) -> dict[str, Any]:
    return {"PK": "A#1", "SK": name, **more}


def _named(action: Action) -> Action:
    return {kind: {"TableName": "table", **body} for kind, body in action.items()}
