"""Counts what the service asks of DynamoDB and S3, and prices it by AWS's published rules.

What emulators say of consumed capacity is made up. DynamoDB's rules, on demand, are in its developer guide
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html, CapacityUnitCalculations):

- a write unit is 1 KiB of an item, rounded up; an update or a put pays for the larger of before and after; a
  transaction pays twice, for a condition check too; an index pays when its entry is made, changed or removed;
- a read unit is 4 KiB, read strongly consistent, half of that otherwise; a batch rounds up every item, a query rounds
  up the sum of all that it reads; what is not there costs one unit;
- an item is its names and values: text in UTF-8, a number a byte for every two digits and one more, a list or map
  three bytes and one for each member.

S3 charges PUT, COPY, POST and LIST requests alike, GET and HEAD less, and nothing for deleting.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

KB = 1024
_INDEX_KEYS = ("due_shard", "due_ms")
_FREE = {"DeleteObject", "AbortMultipartUpload"}
_READS = {"GetObject", "HeadObject"}
Raw = dict[str, Any]


@dataclass
class Meter:
    """Watches two clients of botocore; `dynamodb` is a third one, that nobody watches, to look at items with."""

    dynamodb: Any
    counts: Counter[str] = field(default_factory=Counter)
    _before: dict[int, list[Raw]] = field(default_factory=dict)

    @contextmanager
    def watching(self, table: Any, bucket: Any) -> Iterator[Meter]:
        self.counts.clear()
        hooks = [
            (table, "provide-client-params.dynamodb", self._look),
            (table, "after-call.dynamodb", self._count),
            (bucket, "after-call.s3", self._request),
        ]
        for client, event, hook in hooks:
            client.meta.events.register(event, hook)
        try:
            yield self
        finally:
            for client, event, hook in hooks:
                client.meta.events.unregister(event, hook)

    def reading(self) -> dict[str, float]:
        """In the order of the table in the repository; half units exist only where reads are eventually consistent."""
        units = self.counts["half_read_units"] / 2
        return {
            "dynamodb_requests": self.counts["requests"],
            "items_written": self.counts["items"],
            "dynamodb_write_units": self.counts["write_units"],
            "dynamodb_read_units": int(units) if units.is_integer() else units,
            "s3_put": self.counts["s3_put"],
            "s3_get": self.counts["s3_get"],
        }

    def _look(self, params: Raw, model: Any, **_: Any) -> None:
        """The items as they are before the call."""
        self._asked, self._were = params, [self._item(write) for _, write in _writes(model.name, params)]

    def _count(self, parsed: Raw, model: Any, **_: Any) -> None:
        assert parsed["ResponseMetadata"]["HTTPStatusCode"] == 200, (model.name, parsed)
        self.counts["requests"] += 1
        params = self._asked
        times = 2 if model.name.startswith("Transact") else 1
        for (kind, write), before in zip(_writes(model.name, params), self._were, strict=True):
            after = before if kind == "ConditionCheck" else self._item(write)
            self.counts["items"] += kind != "ConditionCheck"
            self.counts["write_units"] += times * _units(max(item_size(before), item_size(after)), KB)
            self.counts["write_units"] += _index_writes(before, after)
        self.counts["half_read_units"] += _read(model.name, params, parsed)

    def _request(self, model: Any, **_: Any) -> None:
        if model.name not in _FREE:
            self.counts["s3_get" if model.name in _READS else "s3_put"] += 1

    def _item(self, write: Raw) -> Raw:
        key = write.get("Key") or {name: write["Item"][name] for name in ("PK", "SK")}
        found: Raw = self.dynamodb.get_item(TableName=write["TableName"], Key=key, ConsistentRead=True)
        return dict(found.get("Item", {}))


def item_size(item: Raw) -> int:
    """Bytes of an item in DynamoDB's own notation."""
    return sum(len(name.encode()) + _value_size(value) for name, value in item.items())


def _value_size(typed: Raw) -> int:
    ((kind, value),) = typed.items()
    match kind:
        case "S":
            return len(value.encode())
        case "N":
            return math.ceil(len(value.lstrip("-").strip("0") or "0") / 2) + 1
        case "L":
            return 3 + sum(1 + _value_size(one) for one in value)
        case "M":
            return 3 + sum(1 + len(name.encode()) + _value_size(one) for name, one in value.items())
        case "BOOL" | "NULL":
            return 1
    raise ValueError(f"the service keeps no {kind}")


def _writes(operation: str, params: Raw) -> list[tuple[str, Raw]]:
    """Kind and body of each write of a request."""
    match operation:
        case "PutItem" | "UpdateItem" | "DeleteItem":
            return [(operation.removesuffix("Item"), params)]
        case "TransactWriteItems":
            return [next(iter(one.items())) for one in params["TransactItems"]]
    return []


def _index_writes(before: Raw, after: Raw) -> int:
    """The index holds an entry of each item that is due."""
    old, new = ([item.get(name) for name in _INDEX_KEYS] for item in (before, after))
    if old == new:
        return 0
    return (None not in old) + (None not in new)


def _read(operation: str, params: Raw, reply: Raw) -> int:
    """Half read units."""
    match operation:
        case "GetItem":
            return _halves(params) * _units(item_size(reply.get("Item", {})), 4 * KB)
        case "BatchGetItem":
            return sum(
                _halves(asked)
                * (sum(_units(item_size(item), 4 * KB) for item in found) + len(asked["Keys"]) - len(found))
                for name, asked in params["RequestItems"].items()
                for found in [reply["Responses"].get(name, [])]
            )
        case "Query":
            return _halves(params) * _units(sum(map(item_size, reply["Items"])), 4 * KB)
    return 0


def _halves(params: Raw) -> int:
    return 2 if params.get("ConsistentRead") else 1


def _units(size: int, unit: int) -> int:
    return max(1, math.ceil(size / unit))
