"""Where each thing lies in the table, and what its row looks like.

    head      A#sub            HEAD            change  A#sub#C      padded sequence
    entry     A#sub#F#parent   folded name     locator A#sub#N      node_id
    revision  A#sub#R#node     revision        content A#sub#H      sha256#size[#upload], or #upload
    trash     A#sub#T          time#node       upload  U#id         U
    link      L#link_id        L               links   A#sub#L      time#link_id
    ticket    K#hash           K               connection A#sub#W   client_id

A row that wants the janitor carries `due_shard` and `due_ms`; a row that may simply vanish carries `ttl` (seconds).
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from satchel_cloud.domain.model import Head, Link, Node, Revision, Source, Upload
from satchel_cloud.domain.names import name_key

from .table import Item, Key

DAY_MS = 86_400_000
SHARDS = ("DUE#0", "DUE#1", "DUE#2", "DUE#3")


def head_key(account: str) -> Key:
    return f"A#{account}", "HEAD"


def change_key(account: str, sequence: int) -> Key:
    return f"A#{account}#C", f"{sequence:016d}"


def read_change_key(pk: str, sk: str) -> tuple[str, int]:
    """The account and the sequence of a change."""
    return pk.removeprefix("A#").removesuffix("#C"), int(sk)


def folder_pk(account: str, parent_id: str) -> str:
    return f"A#{account}#F#{parent_id}"


def entry_key(account: str, parent_id: str, name: str) -> Key:
    return folder_pk(account, parent_id), name_key(name)


def locator_key(account: str, node_id: str) -> Key:
    return f"A#{account}#N", node_id


def revision_key(account: str, node_id: str, revision_id: str) -> Key:
    return f"A#{account}#R#{node_id}", revision_id


def contents_pk(account: str) -> str:
    return f"A#{account}#H"


def content_key(account: str, content: str) -> Key:
    return contents_pk(account), content


def trash_key(account: str, at_ms: int, node_id: str) -> Key:
    return f"A#{account}#T", f"{at_ms:016d}#{node_id}"


def upload_key(upload_id: str) -> Key:
    return f"U#{upload_id}", "U"


def link_key(link_id: str) -> Key:
    return f"L#{link_id}", "L"


def links_pk(account: str) -> str:
    return f"A#{account}#L"


def ticket_key(ticket_hash: str) -> Key:
    return f"K#{ticket_hash}", "K"


def connections_pk(account: str) -> str:
    return f"A#{account}#W"


def connection_key(account: str, client_id: str) -> Key:
    return connections_pk(account), client_id


def object_key(account: str, upload_id: str) -> str:
    return f"c/{account}/{upload_id}"


def keyed(key: Key, values: dict[str, Any]) -> Item:
    return {"PK": key[0], "SK": key[1], **values}


def due(key: Key, at_ms: int) -> dict[str, Any]:
    """What makes a row come up in the sparse index from `at_ms` on."""
    return {"due_shard": SHARDS[zlib.crc32("|".join(key).encode()) % len(SHARDS)], "due_ms": at_ms}


def entry_row(account: str, node: Node) -> Item:
    assert node.parent_id is not None  # noqa: S101 - the root has no entry
    return keyed(entry_key(account, node.parent_id, node.name), node_values(node))


def node_values(node: Node) -> dict[str, Any]:
    values = asdict(node)
    if node.revision is None:
        values.pop("revision")
    return values


def read_node(item: Item) -> Node:
    revision = item.get("revision")
    return Node(
        item["node_id"], item["parent_id"], item["name"], item["kind"], item["sequence"],
        Revision(**revision) if revision else None,
    )  # fmt: skip


def read_head(account: str, item: Item) -> Head:
    return Head(account, item["sequence"], item["used_bytes"], item["status"], item.get("quota_bytes"))


def upload_row(upload: Upload) -> Item:
    values = asdict(upload)
    sizes = values.pop("part_sizes")
    if upload.source is not None:
        values["part_sizes"] = _packed(sizes)
    return keyed(upload_key(upload.upload_id), values)


def read_upload(item: Item) -> Upload:
    values = {f.name: item[f.name] for f in fields(Upload) if f.name in item}
    if "source" in values:
        values |= {"source": Source(**values["source"]), "part_sizes": _unpacked(values["part_sizes"])}
    return Upload(**values)


def _packed(sizes: Sequence[int]) -> str:
    """Up to 10,000 numbers that are much alike, in few bytes: whatever is written to a row is paid for all of it."""
    return base64.b64encode(zlib.compress(struct.pack(f">{len(sizes)}Q", *sizes))).decode()


def _unpacked(text: str) -> tuple[int, ...]:
    return tuple(size for (size,) in struct.iter_unpack(">Q", zlib.decompress(base64.b64decode(text))))


def link_row(link: Link) -> Item:
    return keyed(link_key(link.link_id), asdict(link))


def read_link(item: Item) -> Link:
    return Link(**{f.name: item[f.name] for f in fields(Link) if f.name in item})
