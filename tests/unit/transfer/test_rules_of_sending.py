from __future__ import annotations

import base64

import pytest

from satchel.core.ports import SystemIds
from satchel.transfer.backoff import Backoff, Gate
from satchel.transfer.digest import PartDigests, crc_text
from satchel.transfer.http1 import Reply
from satchel.transfer.queues import WorkQueue
from satchel.transfer.replies import Verdict, judge, judge_copy, refusal


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def now_ms(self) -> int:
        return int(self.now * 1000)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Halfway(SystemIds):
    def jitter(self) -> float:
        return 0.5


def reply(status: int, code: str = "", **headers: str) -> Reply:
    return Reply(status, headers, f"<Error><Code>{code}</Code></Error>".encode() if code else b"")


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (reply(200, etag="x"), Verdict.ARRIVED),
        (reply(200), Verdict.LATER),
        (reply(412, "PreconditionFailed"), Verdict.ARRIVED),
        (reply(403, "AccessDenied"), Verdict.SIGN_AGAIN),
        (reply(403, "RequestTimeTooSkewed"), Verdict.REFUSED),
        (reply(400, "ExpiredToken"), Verdict.SIGN_AGAIN),
        (reply(400, "BadDigest"), Verdict.DAMAGED),
        (reply(400, "RequestTimeout"), Verdict.LATER),
        (reply(400, "EntityTooLarge"), Verdict.REFUSED),
        (reply(404, "NoSuchUpload"), Verdict.LOST),
        (reply(409, "ConditionalRequestConflict"), Verdict.LATER),
        (reply(500, "InternalError"), Verdict.LATER),
        (reply(503, "SlowDown"), Verdict.LATER),
        (reply(307, "TemporaryRedirect"), Verdict.LATER),
    ],
)
def test_an_answer_of_s3_has_one_meaning(answer: Reply, verdict: Verdict) -> None:
    assert judge(answer) is verdict


def test_a_part_that_s3_counts_otherwise_is_damaged() -> None:
    answer = Reply(200, {"etag": "x", "x-amz-checksum-crc64nvme": "AAAAAAAAAAA="})
    assert judge(answer, "AAAAAAAAAAE=") is Verdict.DAMAGED


@pytest.mark.parametrize(
    ("body", "verdict"),
    [
        ("<CopyPartResult><ETag>x</ETag></CopyPartResult>", Verdict.ARRIVED),
        ("<CopyPartResult><ChecksumCRC64NVME>AAE=</ChecksumCRC64NVME></CopyPartResult>", Verdict.ARRIVED),
        ("<CopyPartResult><ChecksumCRC64NVME>AAA=</ChecksumCRC64NVME></CopyPartResult>", Verdict.DAMAGED),
        ("<Error><Code>InternalError</Code></Error>", Verdict.LATER),
        ("<Error><Code>NoSuchUpload</Code></Error>", Verdict.LOST),
        ("<Error><Code>BadDigest</Code></Error>", Verdict.DAMAGED),
        ("<CopyPartResult><ETag>", Verdict.LATER),
        ("<html>Please sign in to the hotel's network</html>", Verdict.LATER),
        ("", Verdict.LATER),
    ],
)
def test_a_copy_has_ended_well_only_when_its_body_says_so(body: str, verdict: Verdict) -> None:
    assert judge_copy(Reply(200, {"etag": "x"}, body.encode()), "AAE=") is verdict


def test_a_copy_whose_source_is_another_by_now_is_not_tried_again() -> None:
    assert judge_copy(reply(412, "PreconditionFailed"), None) is Verdict.REFUSED
    assert judge_copy(reply(503, "SlowDown"), None) is Verdict.LATER


def test_a_clock_that_is_behind_is_told_by_how_much() -> None:
    answer = Reply(403, {"date": "Mon, 23 Nov 2026 12:00:00 GMT"}, b"<Code>RequestTimeTooSkewed</Code>")
    assert "2.0 hours behind" in str(refusal(answer, 1795428000_000, "f"))


def test_what_s3_refuses_refers_to_its_own_log() -> None:
    answer = Reply(400, {"x-amz-request-id": "ABC"}, b"<Code>InvalidRequest</Code>")
    assert refusal(answer, 0, "f").said.endswith("(Reference: ABC)")


def test_digests_of_parts_and_whole_come_from_one_pass() -> None:
    digests = PartDigests()
    assert digests.part([b"1234", b"56789"]) == crc_text(0xAE8B14860A799888)
    assert base64.b64decode(digests.part([])) == bytes(8)
    assert digests.whole() == "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225"


def test_pauses_grow_to_a_limit() -> None:
    backoff = Backoff(first=1, longest=8)
    assert [backoff.delay(n, Halfway()) for n in (0, 1, 2, 3, 9)] == pytest.approx([0.55, 1.1, 2.2, 4.4, 4.4])


def test_one_outage_seen_by_many_is_counted_once() -> None:
    clock = Clock()
    gate = Gate(Backoff(first=1, longest=8), clock, Halfway())
    tickets = [gate.enter() for _ in range(6)]
    for ticket in tickets:
        assert ticket is not None
        gate.failed(ticket, "Could not connect")
    assert gate.trouble() == ("Could not connect", pytest.approx(0.55))
    gate.passed()
    assert gate.trouble() is None


def test_urgent_work_goes_first_and_delayed_work_when_its_time_has_come() -> None:
    clock = Clock()
    queue: WorkQueue[str] = WorkQueue(clock)
    queue.put("late", 0, delay=5)
    queue.put("folder", 2)
    queue.put("drop", 0)
    assert [queue.take_now(), queue.take_now(), queue.take_now()] == ["drop", "folder", None]
    clock.now += 5
    assert queue.take() == "late"


def test_a_closed_queue_gives_nothing() -> None:
    queue: WorkQueue[str] = WorkQueue(Clock())
    queue.put("x", 0)
    queue.close()
    assert queue.take() is None
