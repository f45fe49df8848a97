"""What an answer of S3 to a PUT means: a rule, no I/O."""

from __future__ import annotations

import re
from datetime import timezone
from email.utils import parsedate_to_datetime
from enum import Enum, auto

from satchel.core.errors import BusyError, SatchelError

from .http1 import Reply


class Verdict(Enum):
    ARRIVED = auto()
    SIGN_AGAIN = auto()
    DAMAGED = auto()
    """Other bytes arrived than were signed."""
    LATER = auto()
    LOST = auto()
    """S3 does not know the multipart upload any more."""
    REFUSED = auto()


_BY_CODE = {
    "NoSuchUpload": Verdict.LOST,
    "RequestTimeTooSkewed": Verdict.REFUSED,
    **dict.fromkeys(("ExpiredToken", "InvalidToken", "TokenRefreshRequired"), Verdict.SIGN_AGAIN),
    **dict.fromkeys(
        (
            "BadDigest",
            "InvalidDigest",
            "IncompleteBody",
            "XAmzContentSHA256Mismatch",
            "XAmzContentChecksumMismatch",
        ),
        Verdict.DAMAGED,
    ),
    **dict.fromkeys(
        ("RequestTimeout", "SlowDown", "OperationAborted", "ConditionalRequestConflict", "TemporaryRedirect"),
        Verdict.LATER,
    ),
}


def judge(reply: Reply, crc64nvme: str | None = None) -> Verdict:
    """`crc64nvme` is what was sent, to be compared with what S3 says it got."""
    status, code = reply.status, s3_code(reply)
    if status < 300:
        got = reply.headers.get("x-amz-checksum-crc64nvme")
        damaged = crc64nvme and got and got != crc64nvme
        # Without an ETag it was something in between that answered.
        return Verdict.LATER if "etag" not in reply.headers else Verdict.DAMAGED if damaged else Verdict.ARRIVED
    if code in _BY_CODE:
        return _BY_CODE[code]
    if status == 412:
        return Verdict.ARRIVED  # the key is this upload's alone: an earlier try got through
    if status in (401, 403):
        return Verdict.SIGN_AGAIN
    if status == 400 and b"checksum" in reply.body.lower():
        return Verdict.DAMAGED
    return Verdict.LATER if status >= 500 or status == 429 or status < 400 else Verdict.REFUSED


def judge_copy(reply: Reply, crc64nvme: str | None) -> Verdict:
    """Of a PUT that has S3 copy a part itself: its status comes before the copy, and its end in the body.

    Whatever another try will not mend is `REFUSED` or `DAMAGED`: the part can be sent instead.
    """
    if reply.status != 200:
        return Verdict.REFUSED if reply.status == 412 else judge(reply)
    if b"</CopyPartResult>" in reply.body:
        got = re.search(rb"<ChecksumCRC64NVME>([^<]+)</ChecksumCRC64NVME>", reply.body)
        return Verdict.DAMAGED if got and got[1].decode("ascii", "replace") != crc64nvme else Verdict.ARRIVED
    return _BY_CODE.get(s3_code(reply), Verdict.LATER)


def refusal(reply: Reply, now_ms: int, path: str) -> SatchelError:
    """The error for a reply that no repeat will mend."""
    error = _refusal(reply, s3_code(reply), now_ms, path)
    error.reference = reply.headers.get("x-amz-request-id")
    return error


def _refusal(reply: Reply, code: str, now_ms: int, path: str) -> SatchelError:
    if code == "RequestTimeTooSkewed":
        return SatchelError("This computer's clock is wrong", _offset(reply, now_ms), path=path)
    if reply.status >= 500 or reply.status == 429:
        return BusyError("The storage keeps answering with a fault", f"It said {reply.status} {code}.", path=path)
    return SatchelError(
        "The storage refused the file", f"It said {reply.status} {code or 'without a reason'}; try again.", path=path
    )


def skewed(reply: Reply, now_ms: int, path: str) -> SatchelError | None:
    """The error for an answer that blames this computer's clock, else None."""
    return refusal(reply, now_ms, path) if s3_code(reply) == "RequestTimeTooSkewed" else None


def s3_code(reply: Reply) -> str:
    found = re.search(rb"<Code>([A-Za-z0-9.]{1,64})</Code>", reply.body)
    return found[1].decode() if found else ""


def _offset(reply: Reply, now_ms: int) -> str:
    try:
        server = parsedate_to_datetime(reply.headers["date"])
    except (KeyError, ValueError, TypeError):
        return "Set this computer's date and time, then try again."
    if server.tzinfo is None:
        server = server.replace(tzinfo=timezone.utc)  # noqa: UP017 - `-0000` is parsed without a zone
    seconds = now_ms / 1000 - server.timestamp()
    amount = f"{abs(seconds) / 3600:.1f} hours" if abs(seconds) >= 5400 else f"{abs(seconds) / 60:.0f} minutes"
    return f"It is {amount} {'ahead' if seconds > 0 else 'behind'}. Set the date and time, then try again."
