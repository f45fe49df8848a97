"""DynamoDB, spoken to in plain Python values: strings, integers, booleans, None, lists and dicts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from botocore.exceptions import ClientError

Item = dict[str, Any]
Key = tuple[str, str]
Action = dict[str, Any]

_BATCH = 100


class ConflictError(Exception):
    """A condition did not hold, or another writer was at the same item: read again and decide again."""


class Table:
    """One table with keys PK and SK. Reads are strongly consistent unless said otherwise."""

    def __init__(self, client: Any, name: str) -> None:
        self._client = client
        self._name = name

    def get(self, key: Key) -> Item | None:
        reply = self._client.get_item(TableName=self._name, Key=_key(key), ConsistentRead=True)
        return _item(reply["Item"]) if "Item" in reply else None

    def get_many(self, keys: Iterable[Key]) -> dict[Key, Item]:
        """The items that exist, by key."""
        wanted = list(dict.fromkeys(keys))
        found: dict[Key, Item] = {}
        for start in range(0, len(wanted), _BATCH):
            ask: dict[str, Any] = {
                self._name: {"Keys": [_key(key) for key in wanted[start : start + _BATCH]], "ConsistentRead": True}
            }
            while ask:
                reply = self._client.batch_get_item(RequestItems=ask)
                for raw in reply["Responses"].get(self._name, []):
                    item = _item(raw)
                    found[item["PK"], item["SK"]] = item
                ask = reply.get("UnprocessedKeys") or {}
        return found

    def query(self, pk: str, *, after: str | None = None, limit: int, newest_first: bool = False) -> list[Item]:
        """Up to `limit` items of one partition beyond the sort key `after`, in its order or backwards."""
        items: list[Item] = []
        while len(items) < limit:
            ask: dict[str, Any] = {
                "TableName": self._name,
                "ConsistentRead": True,
                "KeyConditionExpression": "PK = :pk",
                "ExpressionAttributeValues": {":pk": {"S": pk}},
                "ScanIndexForward": not newest_first,
                "Limit": limit - len(items),
            }
            if after is not None:
                ask["KeyConditionExpression"] += " AND SK " + ("< :after" if newest_first else "> :after")
                ask["ExpressionAttributeValues"][":after"] = {"S": after}
            reply = self._client.query(**ask)
            items += map(_item, reply["Items"])
            if "LastEvaluatedKey" not in reply:
                break
            after = reply["LastEvaluatedKey"]["SK"]["S"]
        return items

    def due(self, shard: str, now_ms: int, start: Any = None) -> tuple[list[Key], Any]:
        """A page of the keys of what is due in a shard, oldest first, and where to go on (None at the end)."""
        ask: dict[str, Any] = {"ExclusiveStartKey": start} if start else {}
        reply = self._client.query(
            TableName=self._name,
            IndexName="due",
            KeyConditionExpression="due_shard = :shard AND due_ms <= :now",
            ExpressionAttributeValues={":shard": {"S": shard}, ":now": {"N": str(now_ms)}},
            Limit=_BATCH,
            **ask,
        )
        keys = [(item["PK"]["S"], item["SK"]["S"]) for item in reply["Items"]]
        return keys, reply.get("LastEvaluatedKey")

    def take(self, key: Key) -> Item | None:
        """Remove an item: of many who try at once, one gets it."""
        reply = self._client.delete_item(TableName=self._name, Key=_key(key), ReturnValues="ALL_OLD")
        return _item(reply["Attributes"]) if "Attributes" in reply else None

    def write(self, actions: Sequence[Action]) -> None:
        """All of up to 100 actions, or none. Raises `ConflictError`."""
        try:
            if len(actions) == 1:
                self._single(actions[0])
            else:
                named = [{kind: {"TableName": self._name, **body}} for a in actions for kind, body in a.items()]
                self._client.transact_write_items(TransactItems=named)
        except ClientError as error:
            if error.response["Error"]["Code"] in _CONFLICTS and not _invalid(error):
                raise ConflictError from error
            raise

    def _single(self, action: Action) -> None:
        ((kind, body),) = action.items()
        call = {"Put": "put_item", "Update": "update_item", "Delete": "delete_item"}[kind]
        getattr(self._client, call)(TableName=self._name, **body)


_CONFLICTS = {"ConditionalCheckFailedException", "TransactionCanceledException", "TransactionConflictException"}


def _invalid(error: ClientError) -> bool:
    """A transaction that can never succeed is no conflict: trying again would hide the mistake."""
    return any(reason.get("Code") == "ValidationError" for reason in error.response.get("CancellationReasons", []))


def put(item: Item, condition: str = "", **values: Any) -> Action:
    """Write a whole item; None attributes are left out."""
    raw = {name: to_dynamo(value) for name, value in item.items() if value is not None}
    return {"Put": {"Item": raw, **_expressions(condition, values)}}


def update(key: Key, change: str, condition: str = "", **values: Any) -> Action:
    """Change an item. In expressions `#name` is the attribute `name`, and `:name` the value given as `name`."""
    body = _expressions(f"{condition} {change}", values)
    body.pop("ConditionExpression", None)
    if condition:
        body["ConditionExpression"] = condition
    return {"Update": {"Key": _key(key), "UpdateExpression": change, **body}}


def delete(key: Key, condition: str = "", **values: Any) -> Action:
    return {"Delete": {"Key": _key(key), **_expressions(condition, values)}}


def to_dynamo(value: Any) -> dict[str, Any]:
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case int():
            return {"N": str(value)}
        case str():
            return {"S": value}
        case list() | tuple():
            return {"L": [to_dynamo(entry) for entry in value]}
        case dict():
            return {"M": {name: to_dynamo(entry) for name, entry in value.items()}}
    raise TypeError(f"{type(value).__name__} is not kept in the table")


def from_dynamo(raw: dict[str, Any]) -> Any:
    ((kind, value),) = raw.items()
    match kind:
        case "N":
            return int(value)
        case "NULL":
            return None
        case "L":
            return [from_dynamo(entry) for entry in value]
        case "M":
            return {name: from_dynamo(entry) for name, entry in value.items()}
    return value


def _item(raw: dict[str, Any]) -> Item:
    return {name: from_dynamo(value) for name, value in raw.items()}


def _key(key: Key) -> dict[str, Any]:
    return {"PK": {"S": key[0]}, "SK": {"S": key[1]}}


def _expressions(text: str, values: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if text.strip():
        out["ConditionExpression"] = text
    words = text.replace("(", " ").replace(")", " ").replace(",", " ").split()
    if names := {word: word[1:] for word in words if word.startswith("#")}:
        out["ExpressionAttributeNames"] = names
    if values:
        out["ExpressionAttributeValues"] = {f":{name}": to_dynamo(value) for name, value in values.items()}
    return out
