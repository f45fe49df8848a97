"""What must hold of the table and the bucket at any time, whoever died in the middle of what."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from satchel_cloud.adapters.table import from_dynamo

Row = dict[str, Any]


@dataclass(frozen=True)
class World:
    """Everything there is: the table's rows, and the size of every object in the bucket."""

    rows: list[Row]
    objects: dict[str, int]

    def of_accounts(self, accounts: set[str]) -> World:
        """What belongs to some accounts only."""
        rows = [row for row in self.rows if {row.get("account"), *row["PK"].split("#")} & accounts]
        return World(rows, {key: size for key, size in self.objects.items() if key.split("/")[1] in accounts})

    def of(self, account: str, kind: str) -> list[Row]:
        """Rows by the part of their partition key that follows the account's id."""
        return [row for row in self.rows if row["PK"].split("#")[:3] == ["A", account, kind]]


def world(dynamodb: Any, s3: Any, table: str, bucket: str) -> World:
    pages = dynamodb.get_paginator("scan").paginate(TableName=table, ConsistentRead=True)
    raw = [item for page in pages for item in page["Items"]]
    listed = [
        one for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket) for one in page.get("Contents", [])
    ]
    rows = [{name: from_dynamo(value) for name, value in item.items()} for item in raw]
    return World(rows, {one["Key"]: one["Size"] for one in listed})


def unsound(found: World) -> list[str]:
    """What does not hold, in words; empty when all does."""
    accounts = [row["PK"].removeprefix("A#") for row in found.rows if row["SK"] == "HEAD"]
    return [*_links(found), *_strays(found), *(f"{one[:8]}: {why}" for one in accounts for why in _account(found, one))]


def _account(found: World, account: str) -> Iterator[str]:
    (head,) = [row for row in found.rows if (row["PK"], row["SK"]) == (f"A#{account}", "HEAD")]
    contents = {row["SK"]: row for row in found.of(account, "H")}
    entries, trashed, revisions = found.of(account, "F"), found.of(account, "T"), found.of(account, "R")
    locators = {row["node_id"]: row for row in found.of(account, "N")}

    if head["used_bytes"] != sum(row["size"] for row in contents.values()):
        yield f"uses {sum(row['size'] for row in contents.values())} bytes and says {head['used_bytes']}"
    sequences = sorted(row["sequence"] for row in found.of(account, "C"))
    if sequences != list(range(1, head["sequence"] + 1)):
        yield f"the log has {sequences} and the head {head['sequence']}"

    references = Counter(row["revision"]["content"] for row in (*entries, *trashed, *revisions) if row.get("revision"))
    for name in contents.keys() | references.keys():
        counted = contents.get(name, {}).get("refs")
        if counted != references[name]:
            yield f"content {name[:12]} has {references[name]} references and says {counted}"
    for name, row in contents.items():
        if not row.get("deleting") and found.objects.get(row["key"]) != row["size"]:
            yield f"content {name[:12]} of {row['size']} bytes is {found.objects.get(row['key'])} in the bucket"

    for row in entries:
        where = locators.get(row["node_id"], {})
        if (where.get("parent_id"), where.get("name")) != (row["parent_id"], row["name"]):
            yield f"{row['name']} is in {row['parent_id'][:8]}, and its locator says {where}"
    there = {row["node_id"] for row in entries} | {row["node_id"] for row in trashed}
    if lost := locators.keys() - there:
        yield f"located and nowhere: {sorted(lost)}"
    if twice := [node for node, times in Counter(row["node_id"] for row in (*entries, *trashed)).items() if times > 1]:
        yield f"in two places: {twice}"


def _links(found: World) -> Iterator[str]:
    links = {row["PK"].removeprefix("L#") for row in found.rows if row["PK"].startswith("L#")}
    listed = {row["link_id"] for row in found.rows if row["PK"].endswith("#L") and row["PK"].startswith("A#")}
    if links != listed:
        yield f"links and their owners' lists differ: {sorted(links ^ listed)}"


def _strays(found: World) -> Iterator[str]:
    """An object that nothing refers to and nobody will come back to."""
    known = {row["key"] for row in found.rows if "#H" in row["PK"]}
    coming = {row["key"] for row in found.rows if row["PK"].startswith("U#") and "due_ms" in row}
    if strays := found.objects.keys() - known - coming:
        yield f"nobody's objects: {sorted(strays)}"
