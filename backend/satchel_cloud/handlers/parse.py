"""Reading requests strictly: what the contract does not allow is refused, and the reason names the field."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from satchel_cloud.domain.model import CompleteItem, FolderIntent, LinkIntent, PartToSign, UploadIntent
from satchel_cloud.domain.problems import ProblemError
from satchel_cloud.domain.uploads import LARGEST_PART, MAX_PARTS, MAX_SIZE

T = TypeVar("T")
ID = re.compile(r"[0-9a-f]{32}")
FOLDER_ID = re.compile(r"root|[0-9a-f]{32}")
TOKEN = re.compile(r"[A-Za-z0-9_-]{22,64}")
SHA256 = re.compile(r"[0-9a-f]{64}")
CRC64NVME = re.compile(r"[A-Za-z0-9+/]{11}=")
MAX_MS = 2**53 - 1
_DAYS_MS = 8_640_000_000_000_000


class Fields:
    """An object of the request. Take every field that may be there, then `end`: what is left is not known."""

    def __init__(self, value: Any, where: str) -> None:
        if not isinstance(value, dict):
            raise _bad(where or "the body", "must be an object")
        self._left: dict[str, Any] = dict(value)
        self._where = where

    def text(self, name: str, pattern: re.Pattern[str] | None = None) -> str:
        value = self.maybe_text(name, pattern)
        if value is None:
            raise _bad(self._at(name), "is missing")
        return value

    def maybe_text(self, name: str, pattern: re.Pattern[str] | None = None) -> str | None:
        if name not in self._left:
            return None
        return _text(self._left.pop(name), self._at(name), pattern)

    def number(self, name: str, low: int, high: int) -> int:
        value = self.maybe_number(name, low, high)
        if value is None:
            raise _bad(self._at(name), "is missing")
        return value

    def maybe_number(self, name: str, low: int, high: int) -> int | None:
        if name not in self._left:
            return None
        return _number(self._left.pop(name), self._at(name), low, high)

    def flag(self, name: str) -> bool:
        value = self._left.pop(name, False)
        if not isinstance(value, bool):
            raise _bad(self._at(name), "must be true or false")
        return value

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        value = self._left.pop(name, choices[0])
        if value not in choices:
            raise _bad(self._at(name), f"must be one of {', '.join(choices)}")
        return str(value)

    def many(self, name: str, read: Callable[[Any, str], T], low: int, high: int) -> list[T]:
        values = self._left.pop(name, [])
        if not isinstance(values, list) or not low <= len(values) <= high:
            raise _bad(self._at(name), f"must be a list of {low} to {high}")
        return [read(value, f"{self._at(name)}[{place}]") for place, value in enumerate(values)]

    def maybe(self, name: str, read: Callable[[Any, str], T]) -> T | None:
        return read(self._left.pop(name), self._at(name)) if name in self._left else None

    def end(self) -> None:
        for name in self._left:
            # A name of the caller's choosing: told back short, and as text that can be sent.
            raise _bad(self._at(ascii(name)[1:65]), "is not known here")

    def _at(self, name: str) -> str:
        return f"{self._where}.{name}" if self._where else name


def link_intent(value: Any, where: str) -> LinkIntent:
    fields = Fields(value, where)
    intent = LinkIntent(fields.text("token", TOKEN), fields.maybe_number("expires_ms", 1, MAX_MS))
    fields.end()
    return intent


def folder_intent(value: Any, where: str) -> FolderIntent:
    fields = Fields(value, where)
    intent = FolderIntent(
        node_id=fields.text("node_id", ID),
        parent_id=fields.text("parent_id", FOLDER_ID),
        name=fields.text("name"),
        if_taken=fields.choice("if_taken", ("fail", "rename")),
        link=fields.maybe("link", link_intent),
    )
    fields.end()
    return intent


def upload_intent(value: Any, where: str) -> UploadIntent:
    """Names and sizes are looked at later, one by one, so that a bad one does not stop the others."""
    fields = Fields(value, where)
    intent = UploadIntent(
        upload_id=fields.text("upload_id", ID),
        node_id=fields.text("node_id", ID),
        parent_id=fields.text("parent_id", FOLDER_ID),
        name=fields.text("name"),
        size=fields.number("size", 0, MAX_MS),
        modified_ms=fields.number("modified_ms", -_DAYS_MS, _DAYS_MS),
        sha256=fields.maybe_text("sha256", SHA256),
        base_revision=fields.maybe_text("base_revision", ID),
        if_taken=fields.choice("if_taken", ("fail", "rename")),
        link=fields.maybe("link", link_intent),
        part_sizes=tuple(fields.many("part_sizes", _part_size, 0, MAX_PARTS)),
    )
    fields.end()
    return intent


def _part_size(value: Any, where: str) -> int:
    return _number(value, where, 1, LARGEST_PART)


def complete_item(value: Any, where: str) -> CompleteItem:
    fields = Fields(value, where)
    item = CompleteItem(
        fields.text("upload_id", ID), fields.maybe_text("sha256", SHA256), fields.maybe_text("base_revision", ID)
    )
    fields.end()
    return item


def part_to_sign(value: Any, where: str) -> PartToSign:
    fields = Fields(value, where)
    part = PartToSign(
        fields.number("part", 1, MAX_PARTS),
        fields.maybe_text("crc64nvme", CRC64NVME),
        fields.maybe_number("copy_from", 0, MAX_SIZE),
    )
    fields.end()
    if (part.crc64nvme is None) is (part.copy_from is None):
        raise _bad(where, "must have one of crc64nvme and copy_from")
    return part


def batch(body: Any, name: str, read: Callable[[Any, str], T], most: int) -> list[T]:
    """The one list that a batch request is; an id may come only once."""
    fields = Fields(body, "")
    items = fields.many(name, read, 1, most)
    fields.end()
    ids = [getattr(item, "upload_id", None) or getattr(item, "node_id", None) for item in items]
    if len(set(ids)) < len(ids):
        raise _bad(name, "names one id twice")
    return items


def node_ids(body: Any) -> list[str]:
    """Up to 100 ids; one may come more than once."""
    fields = Fields(body, "")
    ids = fields.many("node_ids", _node_id, 1, 100)
    fields.end()
    return ids


def path_id(value: str, pattern: re.Pattern[str] = ID) -> str:
    """An id out of the path: one that cannot be is one that is not there."""
    if not pattern.fullmatch(value):
        raise ProblemError("not-found", "There is nothing at this address.")
    return value


def query_number(query: dict[str, str], name: str, low: int, high: int, default: int | None = None) -> int:
    raw = query.get(name)
    if raw is None and default is not None:
        return default
    if raw is None or not re.fullmatch(r"[0-9]{1,16}", raw) or not low <= int(raw) <= high:
        raise _bad(name, f"must be a whole number from {low} to {high}")
    return int(raw)


def _node_id(value: Any, where: str) -> str:
    return _text(value, where, FOLDER_ID)


def _text(value: Any, where: str, pattern: re.Pattern[str] | None) -> str:
    if not isinstance(value, str) or (pattern and not pattern.fullmatch(value)):
        raise _bad(where, "must be text" + (f" like {pattern.pattern}" if pattern else ""))
    return value


def _number(value: Any, where: str, low: int, high: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise _bad(where, f"must be a whole number from {low} to {high}")
    return value


def _bad(where: str, why: str) -> ProblemError:
    return ProblemError("bad-request", f"`{where}` {why}.")
