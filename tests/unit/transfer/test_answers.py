from __future__ import annotations

import http.client
from dataclasses import dataclass

import pytest

from satchel.transfer.backoff import Allowance
from satchel.transfer.http1 import MAX_REPLY, head, parse, split

OK = b'HTTP/1.1 200 OK\r\nETag: "1"\r\nContent-Length: 2\r\n\r\nhi'


def test_an_answer_is_whole_only_when_its_last_byte_is_there() -> None:
    assert all(parse(OK[:end], ended=False) is None for end in range(len(OK)))
    found = parse(OK, ended=False)
    assert found is not None
    reply, keep = found
    assert (reply.status, reply.headers["etag"], reply.body, keep) == (200, '"1"', b"hi", True)


def test_an_answer_that_breaks_off_is_an_error_wherever_it_does() -> None:
    for end in range(len(OK)):
        with pytest.raises(http.client.HTTPException):
            parse(OK[:end], ended=True)


def test_chunks_are_put_together_and_trailers_left_out() -> None:
    text = b"HTTP/1.1 503 Slow\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n1\r\nd\r\n0\r\nx: y\r\n\r\n"
    assert all(parse(text[:end], ended=False) is None for end in range(len(text)))
    found = parse(text, ended=False)
    assert found is not None
    assert (found[0].body, found[1]) == (b"abcd", True)


def test_an_answer_without_a_length_ends_with_its_connection() -> None:
    text = b"HTTP/1.0 200 OK\r\nX: y\r\n\r\nall of it"
    assert parse(text, ended=False) is None
    found = parse(text, ended=True)
    assert found is not None
    assert (found[0].body, found[1]) == (b"all of it", False)


@pytest.mark.parametrize(
    ("text", "keep"),
    [
        (b"HTTP/1.1 204 No\r\nConnection: close\r\n\r\n", False),
        (b"HTTP/1.0 204 No\r\nConnection: keep-alive\r\n\r\n", True),
        (b"HTTP/1.0 204 No\r\n\r\n", False),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n", True),
        (b"HTTP/1.1 204 No\r\n\r\nwhat is this", False),
    ],
)
def test_a_connection_is_kept_only_when_the_next_answer_can_be_told_apart(text: bytes, keep: bool) -> None:
    found = parse(text, ended=False)
    assert found is not None
    assert (found[0].status, found[1]) == (204, keep)


@pytest.mark.parametrize(
    "text",
    [
        b"<html>sign in to the wifi</html>\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"x" * MAX_REPLY * 2,
    ],
)
def test_what_is_no_http_is_an_error(text: bytes) -> None:
    with pytest.raises(http.client.HTTPException):
        parse(text, ended=False)


def test_a_body_beyond_reason_is_cut_and_its_connection_not_kept() -> None:
    found = parse(b"HTTP/1.1 500 X\r\nContent-Length: 999999\r\n\r\n" + b"x" * 999_999, ended=False)
    assert found is not None
    assert (len(found[0].body), found[1]) == (MAX_REPLY, False)


def test_a_head_cannot_be_broken_out_of() -> None:
    assert head("PUT", "https://h:1/a?b=c#d", {"x": "y"}) == b"PUT /a?b=c HTTP/1.1\r\nhost: h:1\r\nx: y\r\n\r\n"
    for url, headers in (("http://h/a\r\nX: y", {}), ("http://h/a", {"x": "y\nz: 1"}), ("http://h/a", {"x\r": "y"})):
        with pytest.raises(ValueError, match="line break"):
            head("PUT", url, headers)


def test_an_address_falls_into_scheme_place_and_target() -> None:
    assert split("HTTP://h") == ("http", "h", "/")
    assert split("https://u:p@h:8/a/b?c=/d") == ("https", "h:8", "/a/b?c=/d")
    assert split("https://h?c") == ("https", "h", "/?c")


@dataclass
class StoppedClock:
    at: float = 0.0

    def now_ms(self) -> int:
        return int(self.at * 1000)

    def monotonic(self) -> float:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.at += seconds


def test_what_may_be_under_way_grows_with_answers_and_halves_once_for_a_wave_of_refusals() -> None:
    clock = StoppedClock()
    allowance = Allowance(clock, most=100)
    began = allowance.limit
    for _ in range(1000):
        allowance.answered(0.1)
    assert began < allowance.limit == 100
    for _ in range(30):
        allowance.pushed_back()
        allowance.answered(0.1)
    assert allowance.limit == 50
    clock.sleep(60)
    allowance.pushed_back()
    assert allowance.limit == 25
    clock.sleep(60)
    allowance.answered(0.1)
    assert allowance.limit == 26


def test_what_is_near_needs_fewer_under_way_than_what_is_far() -> None:
    near, far = (Allowance(StoppedClock(), most=1000) for _ in range(2))
    for _ in range(1000):
        near.answered(0.001)
        far.answered(0.05)
    assert near.limit < far.limit < 1000
