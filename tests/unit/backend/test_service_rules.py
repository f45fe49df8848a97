"""The service's rules: names, parts, quotas, links, how content is served. And: requests are read strictly."""

from __future__ import annotations

from typing import Any

import pytest

from satchel_cloud.adapters.signing import Signed, split
from satchel_cloud.domain import links, names, serving, uploads
from satchel_cloud.domain.model import Head, Link
from satchel_cloud.domain.problems import ProblemError
from satchel_cloud.handlers import parse

TIB = 1024**4


def test_names_that_look_alike_are_one() -> None:
    assert names.name_key("Cafe\u0301") == names.name_key("CAFÉ")
    assert names.name_key("STRASSE") == names.name_key("straße")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0b", "ü" * 128, "\ud800"])
def test_a_name_that_cannot_travel_is_refused(name: str) -> None:
    with pytest.raises(ProblemError) as caught:
        names.check_name(name)
    assert caught.value.kind == "name-invalid"


def test_a_taken_name_becomes_name_2() -> None:
    assert names.numbered("report.tar.gz", 2) == "report.tar (2).gz"
    assert names.numbered(".profile", 3) == ".profile (3)"
    assert len(names.numbered("ü" * 125 + ".text", 2).encode()) <= 255


@pytest.mark.parametrize("size", [16 * uploads.MIB, 80_000 * uploads.MIB, 80_000 * uploads.MIB + 1, 5 * TIB])
def test_there_are_never_more_than_ten_thousand_parts(size: int) -> None:
    part_size = uploads.part_size_for(size)
    assert part_size >= 8 * uploads.MIB
    count = uploads.part_count(size, part_size)
    assert count <= 10_000
    assert sum(uploads.part_length(part, size, part_size) for part in range(1, count + 1)) == size


def test_a_part_of_the_wrong_length_is_missing() -> None:
    assert uploads.missing_parts({1: 8, 2: 7}, 18, 8) == [2, 3]
    assert uploads.missing_parts({1: 8, 2: 8, 3: 2}, 18, 8) == []


def test_a_quota_of_zero_is_none() -> None:
    uploads.check_quota(Head("a", used_bytes=10), 10**12, 0)
    uploads.check_quota(Head("a", used_bytes=10), 90, 100)
    with pytest.raises(ProblemError, match="quota-exceeded"):
        uploads.check_quota(Head("a", used_bytes=10), 91, 100)


def test_a_link_ends_when_it_says() -> None:
    link = Link("0" * 64, "a", "n", "name", 0, expires_ms=10)
    links.check_open(link, 9)
    with pytest.raises(ProblemError, match="link-expired"):
        links.check_open(link, 10)


def test_what_could_run_as_a_page_is_served_as_bytes() -> None:
    plain = "application/octet-stream"
    assert [serving.content_type(name) for name in ("a.png", "a.html", "a.svg", "a.js", "a.txt.gz")] == [
        "image/png", plain, plain, plain, plain,
    ]  # fmt: skip
    assert serving.disposition('a"\n.txt') == "attachment; filename=\"a__.txt\"; filename*=UTF-8''a%22%0A.txt"


def test_what_signed_requests_share_is_given_once() -> None:
    common, own = split([Signed("u", ("a=1", "b=2", "X-Amz-Signature=s")), Signed("v", ("a=1", "b=3", "c=4"))])
    assert common == "a=1"
    assert [request["query"] for request in own] == ["b=2&X-Amz-Signature=s", "b=3&c=4"]


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ([], "the body"),
        ({}, "uploads"),
        ({"uploads": [{"upload_id": "A" * 32}]}, "uploads[0].upload_id"),
        ({"uploads": [{"upload_id": "a" * 32, "more": 1}]}, "uploads[0].more"),
        ({"uploads": [{"upload_id": "a" * 32}] * 2}, "twice"),
        ({"uploads": [{"upload_id": "a" * 32 + "\n"}]}, "upload_id"),
    ],
)
def test_a_bad_request_is_told_what_is_wrong(body: Any, word: str) -> None:
    with pytest.raises(ProblemError) as caught:
        parse.batch(body, "uploads", parse.complete_item, 100)
    assert word in caught.value.detail
