"""How a large file is cut into the parts of a multipart upload."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Part:
    """`size` bytes from `offset` on, as part `number`, from 1. With `copy_from` S3 has them already: they are what the
    revision before holds from that offset on."""

    number: int
    offset: int
    size: int
    copy_from: int | None = None


def equal_parts(size: int, part_size: int) -> tuple[Part, ...]:
    """All of one size but the last."""
    return parts_of(min(part_size, size - at) for at in range(0, size, part_size))


def parts_of(sizes: Iterable[int], copies: Mapping[int, int] | None = None) -> tuple[Part, ...]:
    """Parts of these sizes in turn; `copies` says, by number, from where some of them are copied."""
    made: list[Part] = []
    at = 0
    for number, size in enumerate(sizes, 1):
        made.append(Part(number, at, size, (copies or {}).get(number)))
        at += size
    return tuple(made)
