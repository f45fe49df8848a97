"""DynamoDB in memory: what the service's table asks of it, with its conditions and transactions.

Expressions are parsed, not recognised: comparisons, AND, OR, NOT, parentheses, `attribute_exists`,
`attribute_not_exists`; SET with sums and `if_not_exists`, REMOVE. Values are DynamoDB's own typed ones.
"""

# ruff: noqa: N803 - arguments have the names that DynamoDB gives them

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable
from functools import cache
from typing import Any

from botocore.exceptions import ClientError

Raw = dict[str, Any]
"""An item as DynamoDB has it: attribute name to typed value."""
Place = tuple[str, str]
Names = dict[str, str]
Check = Callable[[Raw, Names, Raw], bool]
Change = Callable[[Raw, Names, Raw], None]

PAGE_ITEMS = 1000
"""A query ends a page after so many items, as it would after a megabyte."""


class Dynamo:
    """One table with keys PK and SK and the sparse index `due`, as a botocore client sees it."""

    def __init__(self) -> None:
        self._rows: dict[Place, Raw] = {}
        self._order: dict[str, list[str]] = {}
        """The sort keys of each partition, in order."""

    def rows(self) -> list[Raw]:
        return list(self._rows.values())

    def forget(self, place: Place) -> None:
        """A row's time to live is over."""
        self._drop(place)

    # -- reading ------------------------------------------------------------------------------------------------------

    def get_item(self, *, TableName: str, Key: Raw, ConsistentRead: bool = False) -> dict[str, Any]:
        row = self._rows.get(_place(Key))
        return {} if row is None else {"Item": dict(row)}

    def batch_get_item(self, *, RequestItems: dict[str, Any]) -> dict[str, Any]:
        ((table, asked),) = RequestItems.items()
        places = [_place(key) for key in asked["Keys"]]
        if not 1 <= len(places) <= 100 or len(set(places)) < len(places):
            raise _invalid("BatchGetItem", "1 to 100 keys, each once")
        found = [dict(self._rows[place]) for place in places if place in self._rows]
        return {"Responses": {table: found}, "UnprocessedKeys": {}}

    def query(
        self,
        *,
        TableName: str,
        KeyConditionExpression: str,
        ExpressionAttributeValues: Raw,
        Limit: int,
        IndexName: str | None = None,
        ConsistentRead: bool = False,
        ScanIndexForward: bool = True,
        ExclusiveStartKey: Raw | None = None,
    ) -> dict[str, Any]:
        holds = _condition(KeyConditionExpression)
        if IndexName is not None:
            return self._due(holds, ExpressionAttributeValues, Limit, ExclusiveStartKey)
        partition = ExpressionAttributeValues[":pk"]["S"]
        keys = self._order.get(partition, [])
        after = ExpressionAttributeValues.get(":after", {}).get("S")
        # The parsed condition decides; the order only saves looking at rows that are surely out.
        if after is None:
            start, end = 0, len(keys)
        elif ScanIndexForward:
            start, end = bisect_right(keys, after), len(keys)
        else:
            start, end = 0, bisect_left(keys, after)
        wanted = keys[start:end] if ScanIndexForward else keys[start:end][::-1]
        most = min(Limit, PAGE_ITEMS)
        found = [dict(self._rows[partition, key]) for key in wanted[:most]]
        assert all(holds(row, {}, ExpressionAttributeValues) for row in found)
        reply: dict[str, Any] = {"Items": found}
        if len(found) == most and found:
            reply["LastEvaluatedKey"] = {"PK": found[-1]["PK"], "SK": found[-1]["SK"]}
        return reply

    def _due(self, holds: Check, values: Raw, limit: int, start: Raw | None) -> dict[str, Any]:
        found = [row for row in self._rows.values() if "due_shard" in row and "due_ms" in row]
        found = sorted((row for row in found if holds(row, {}, values)), key=_due_order)
        if start is not None:
            found = [row for row in found if _due_order(row) > _due_order(start)]
        shown = [{name: row[name] for name in ("PK", "SK", "due_shard", "due_ms")} for row in found[:limit]]
        return {"Items": shown} | ({"LastEvaluatedKey": shown[-1]} if len(shown) == limit else {})

    # -- writing ------------------------------------------------------------------------------------------------------

    def put_item(self, **body: Any) -> dict[str, Any]:
        return self._single("PutItem", "Put", body)

    def update_item(self, **body: Any) -> dict[str, Any]:
        return self._single("UpdateItem", "Update", body)

    def delete_item(self, **body: Any) -> dict[str, Any]:
        return self._single("DeleteItem", "Delete", body)

    def transact_write_items(self, *, TransactItems: list[dict[str, Any]]) -> dict[str, Any]:
        actions = [next(iter(item.items())) for item in TransactItems]
        places = [_target(kind, body) for kind, body in actions]
        if not 1 <= len(actions) <= 100 or len(set(places)) < len(places):
            raise _invalid("TransactWriteItems", "1 to 100 actions, on one item each")
        reasons = [{"Code": "None" if self._holds(kind, body) else "ConditionalCheckFailed"} for kind, body in actions]
        if any(reason["Code"] != "None" for reason in reasons):
            raise ClientError(
                {
                    "Error": {"Code": "TransactionCanceledException", "Message": "a condition did not hold"},
                    "CancellationReasons": reasons,
                },  # type: ignore[arg-type]
                "TransactWriteItems",
            )
        after = [self._outcome(kind, body) for kind, body in actions]
        for place, row in zip(places, after, strict=True):
            self._keep(place, row)
        return {}

    def _single(self, operation: str, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        if not self._holds(kind, body):
            code = "ConditionalCheckFailedException"
            raise ClientError({"Error": {"Code": code, "Message": "the condition did not hold"}}, operation)
        self._keep(_target(kind, body), self._outcome(kind, body))
        return {}

    def _holds(self, kind: str, body: dict[str, Any]) -> bool:
        text = body.get("ConditionExpression")
        row = self._rows.get(_target(kind, body), {})
        return text is None or _condition(text)(row, *_given(body))

    def _outcome(self, kind: str, body: dict[str, Any]) -> Raw | None:
        """The row as it is after the action; None when it is gone."""
        if kind == "Delete":
            return None
        if kind == "Put":
            return dict(body["Item"])
        row = dict(self._rows.get(_target(kind, body), body["Key"]))
        _change(body["UpdateExpression"])(row, *_given(body))
        return row

    def _keep(self, place: Place, row: Raw | None) -> None:
        if row is None:
            self._drop(place)
            return
        if place not in self._rows:
            insort(self._order.setdefault(place[0], []), place[1])
        self._rows[place] = row

    def _drop(self, place: Place) -> None:
        if self._rows.pop(place, None) is not None:
            self._order[place[0]].remove(place[1])


def _place(key: Raw) -> Place:
    return key["PK"]["S"], key["SK"]["S"]


def _target(kind: str, body: dict[str, Any]) -> Place:
    return _place(body["Item"] if kind == "Put" else body["Key"])


def _given(body: dict[str, Any]) -> tuple[Names, Raw]:
    return body.get("ExpressionAttributeNames", {}), body.get("ExpressionAttributeValues", {})


def _due_order(row: Raw) -> tuple[int, Place]:
    return int(row["due_ms"]["N"]), _place(row)


def _invalid(operation: str, why: str) -> ClientError:
    return ClientError({"Error": {"Code": "ValidationException", "Message": why}}, operation)


# -- expressions ------------------------------------------------------------------------------------------------------

_WORD = re.compile(r"\s*([#:]?\w+|<>|<=|>=|[=<>(),+-])")

Operand = Callable[[Raw, Names, Raw], Any]
"""The typed value of a name or placeholder, None when the item has no such attribute."""


@cache
def _condition(text: str) -> Check:
    words = _Words(text)
    check = words.either()
    words.end()
    return check


@cache
def _change(text: str) -> Change:
    words = _Words(text)
    changes: list[tuple[str, Operand | None]] = []
    while words.left:
        clause = words.take()
        if clause not in ("SET", "REMOVE"):
            raise ValueError(f"no such clause: {clause}")
        one = words.assignment if clause == "SET" else words.removal
        changes.append(one())
        while words.next == ",":
            words.take()
            changes.append(one())

    def run(row: Raw, names: Names, values: Raw) -> None:
        # Every value is of the item as it was before.
        after = [(names.get(name, name), value and value(row, names, values)) for name, value in changes]
        for name, value in after:
            if value is None:
                row.pop(name, None)
            else:
                row[name] = value

    return run


class _Words:
    """A recursive descent over one expression."""

    def __init__(self, text: str) -> None:
        self.left = _WORD.findall(text)
        if "".join(self.left) != re.sub(r"\s", "", text):
            raise ValueError(f"cannot be read: {text}")

    @property
    def next(self) -> str:
        return self.left[0] if self.left else ""

    def take(self, wanted: str | None = None) -> str:
        if not self.left or wanted not in (None, self.left[0]):
            raise ValueError(f"{wanted or 'more'} is missing before {self.left}")
        return str(self.left.pop(0))

    def end(self) -> None:
        if self.left:
            raise ValueError(f"more than was expected: {self.left}")

    def either(self) -> Check:
        checks = [self.both()]
        while self.next == "OR":
            self.take()
            checks.append(self.both())
        return lambda row, names, values: any(check(row, names, values) for check in checks)

    def both(self) -> Check:
        checks = [self.one()]
        while self.next == "AND":
            self.take()
            checks.append(self.one())
        return lambda row, names, values: all(check(row, names, values) for check in checks)

    def one(self) -> Check:
        if self.next == "NOT":
            self.take()
            inner = self.one()
            return lambda row, names, values: not inner(row, names, values)
        if self.next == "(":
            self.take()
            inside = self.either()
            self.take(")")
            return inside
        if self.next in ("attribute_exists", "attribute_not_exists"):
            wanted = self.take() == "attribute_exists"
            self.take("(")
            name = self.take()
            self.take(")")
            return lambda row, names, values: (names.get(name, name) in row) is wanted
        left, sign, right = self.operand(), self.take(), self.operand()
        return lambda row, names, values: _compare(sign, left(row, names, values), right(row, names, values))

    def operand(self) -> Operand:
        word = self.take()
        if word == "if_not_exists":
            self.take("(")
            name = self.take()
            self.take(",")
            other = self.operand()
            self.take(")")
            return lambda row, names, values: row.get(names.get(name, name), other(row, names, values))
        if word.startswith(":"):
            return lambda row, names, values: values[word]
        return lambda row, names, values: row.get(names.get(word, word))

    def assignment(self) -> tuple[str, Operand]:
        name = self.take()
        self.take("=")
        value = self.operand()
        if self.next not in ("+", "-"):
            return name, value
        sign, second = 1 if self.take() == "+" else -1, self.operand()
        return name, lambda row, names, values: _sum(value(row, names, values), sign, second(row, names, values))

    def removal(self) -> tuple[str, None]:
        return self.take(), None


def _compare(sign: str, left: Raw | None, right: Raw | None) -> bool:
    if left is None or right is None:
        # What is not there equals nothing and is in no order; it differs from everything.
        return sign == "<>"
    if sign in ("=", "<>"):
        return (left == right) is (sign == "=")
    if left.keys() != right.keys():
        return False
    one, other = _plain(left), _plain(right)
    return bool({"<": one < other, "<=": one <= other, ">": one > other, ">=": one >= other}[sign])


def _sum(left: Raw | None, sign: int, right: Raw | None) -> Raw:
    if left is None or right is None or "N" not in left or "N" not in right:
        raise _invalid("UpdateItem", "an operand is no number")
    return {"N": str(int(left["N"]) + sign * int(right["N"]))}


def _plain(value: Raw) -> Any:
    ((kind, inner),) = value.items()
    return int(inner) if kind == "N" else inner
