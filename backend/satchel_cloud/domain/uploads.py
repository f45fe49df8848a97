"""Rules of uploads: by which way bytes go, in which parts, and what the quota says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from .model import Head, Upload, UploadIntent
from .names import check_name
from .problems import ProblemError

MIB = 1024 * 1024
MULTIPART_FROM = 16 * MIB
MIN_PART = 8 * MIB
MAX_PARTS = 10_000
MAX_SIZE = 5 * 1024 * 1024 * MIB
LEAST_PART, LARGEST_PART = 5 * MIB, 5 * 1024 * MIB
"""S3's own bounds of a part; only the last may be smaller."""


def part_size_for(size: int) -> int:
    """8 MiB, or as many whole MiB as keep the parts within 10,000."""
    needed = -(-size // MAX_PARTS)
    return max(MIN_PART, -(-needed // MIB) * MIB)


def equal_parts(size: int, part_size: int) -> list[int]:
    """The ordinary plan: the bytes of every part in turn, all of one size but the last."""
    return [min(part_size, size - start) for start in range(0, size, part_size)]


def parts_of(upload: Upload) -> Sequence[int]:
    """The bytes of every part in turn; none for an upload without parts."""
    return upload.part_sizes or (equal_parts(upload.size, upload.part_size) if upload.part_size else ())


def part_length(part: int, parts: Sequence[int]) -> int:
    """Bytes of the part with this number, from 1. Raises `bad-request` for a part that there is none of."""
    if not 1 <= part <= len(parts):
        raise ProblemError("bad-request", f"This upload has no part {part}.")
    return parts[part - 1]


def missing_parts(present: Mapping[int, int], parts: Sequence[int]) -> list[int]:
    """Numbers of the parts that are not there or have the wrong length. `present` is number to bytes."""
    return [part for part, length in enumerate(parts, 1) if present.get(part) != length]


def check_intent(intent: UploadIntent) -> None:
    """Raises what is wrong with an intent in itself."""
    check_name(intent.name)
    if intent.size > MAX_SIZE:
        raise ProblemError("too-large", "S3 keeps files of at most 5 TiB. Split the file.")
    if intent.size < MULTIPART_FROM and intent.sha256 is None:
        raise ProblemError("digest-needed", "A file below 16 MiB must bring its SHA-256 when it is opened.")
    if intent.part_sizes:
        _check_layout(intent)


def _check_layout(intent: UploadIntent) -> None:
    if intent.base_revision is None:
        raise ProblemError("bad-request", "`part_sizes` are for a new revision: there is nothing to copy from.")
    if intent.size < MULTIPART_FROM:
        raise ProblemError("bad-request", "A file below 16 MiB has no parts: leave `part_sizes` out.")
    if sum(intent.part_sizes) != intent.size:
        raise ProblemError("bad-request", "`part_sizes` must add up to `size`.")
    if min(intent.part_sizes[:-1], default=LEAST_PART) < LEAST_PART:
        raise ProblemError("bad-request", "Only the last of `part_sizes` may be below 5 MiB.")


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
