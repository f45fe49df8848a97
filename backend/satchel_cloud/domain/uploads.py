"""Rules of uploads: by which way bytes go, in which parts, and what the quota says."""

from __future__ import annotations

from collections.abc import Mapping

from .model import Head, UploadIntent
from .names import check_name
from .problems import ProblemError

MIB = 1024 * 1024
MULTIPART_FROM = 16 * MIB
MIN_PART = 8 * MIB
MAX_PARTS = 10_000
MAX_SIZE = 5 * 1024 * 1024 * MIB


def part_size_for(size: int) -> int:
    """8 MiB, or as many whole MiB as keep the parts within 10,000."""
    needed = -(-size // MAX_PARTS)
    return max(MIN_PART, -(-needed // MIB) * MIB)


def part_count(size: int, part_size: int) -> int:
    return -(-size // part_size)


def part_length(part: int, size: int, part_size: int) -> int:
    """Bytes of the part with this number, from 1. Raises `bad-request` for a part that there is none of."""
    if not 1 <= part <= part_count(size, part_size):
        raise ProblemError("bad-request", f"This upload has no part {part}.")
    return min(part_size, size - (part - 1) * part_size)


def missing_parts(present: Mapping[int, int], size: int, part_size: int) -> list[int]:
    """Numbers of the parts that are not there or have the wrong length. `present` is number to bytes."""
    wanted = range(1, part_count(size, part_size) + 1)
    return [part for part in wanted if present.get(part) != part_length(part, size, part_size)]


def check_intent(intent: UploadIntent) -> None:
    """Raises what is wrong with an intent in itself."""
    check_name(intent.name)
    if intent.size > MAX_SIZE:
        raise ProblemError("too-large", "S3 keeps files of at most 5 TiB. Split the file.")
    if intent.size < MULTIPART_FROM and intent.sha256 is None:
        raise ProblemError("digest-needed", "A file below 16 MiB must bring its SHA-256 when it is opened.")


def quota_of(head: Head, everybodys: int) -> int:
    """How many bytes an account may keep: its own quota, or everybody's; 0 is no limit."""
    return everybodys if head.quota_bytes is None else head.quota_bytes


def check_quota(head: Head, more: int, everybodys: int) -> None:
    """Raises `quota-exceeded` when `more` bytes do not fit."""
    quota_bytes = quota_of(head, everybodys)
    if quota_bytes and head.used_bytes + more > quota_bytes:
        free = max(0, quota_bytes - head.used_bytes)
        raise ProblemError(
            "quota-exceeded", f"{free} bytes are free and {more} are needed. Delete something or ask for more room."
        )
