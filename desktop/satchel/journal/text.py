"""Values as JSON text. ASCII only: paths of Linux may hold bytes that are not UTF-8, which SQLite's text refuses."""

from __future__ import annotations

import json
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


def to_text(value: Any) -> str:
    return json.dumps(msgspec.to_builtins(value), separators=(",", ":"))


def from_text(text: str, kind: type[T]) -> T:
    return msgspec.convert(json.loads(text), kind)
