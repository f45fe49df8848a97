"""The service's rules: names, parts, quotas, links, how content is served. And: requests are read strictly."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from botocore.credentials import Credentials

from satchel_cloud.adapters.signing import Signed, Signer, split
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
    parts = uploads.equal_parts(size, part_size)
    assert len(parts) <= 10_000
    assert sum(parts) == size


def test_a_part_of_the_wrong_length_is_missing() -> None:
    parts = uploads.equal_parts(18, 8)
    assert uploads.missing_parts({1: 8, 2: 7}, parts) == [2, 3]
    assert uploads.missing_parts({1: 8, 2: 8, 3: 2}, parts) == []


def test_a_quota_of_zero_is_none() -> None:
    uploads.check_quota(Head("a", used_bytes=10), 10**12, 0)
    uploads.check_quota(Head("a", used_bytes=10), 90, 100)
    with pytest.raises(ProblemError, match="quota-exceeded"):
        uploads.check_quota(Head("a", used_bytes=10), 91, 100)


def test_an_accounts_own_quota_goes_before_everybodys() -> None:
    uploads.check_quota(Head("a", used_bytes=10, quota_bytes=200), 91, 100)
    uploads.check_quota(Head("a", used_bytes=10, quota_bytes=0), 10**12, 100)
    with pytest.raises(ProblemError, match="quota-exceeded"):
        uploads.check_quota(Head("a", used_bytes=10, quota_bytes=50), 41, 100)


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


@pytest.mark.parametrize(
    "name",
    ['a"\n.txt', "a\r\nSet-Cookie: b=c", "résumé 文.pdf", "\u202egpj.exe", 'x"; filename="y', "a%22;b\\c", "ÿ" * 127],
)
def test_no_name_breaks_out_of_the_header_it_is_told_in(name: str) -> None:
    header = serving.disposition(name)

    assert header.isascii()
    assert header.isprintable()
    shown = re.fullmatch(r"attachment; filename=\"([^\"\\\\%;]*)\"; filename\*=UTF-8''([A-Za-z0-9._~%-]+)", header)
    assert shown
    assert unquote(shown[2]) == name
    assert serving.content_type(name) in ("text/plain", "application/pdf", "application/octet-stream")


def test_a_signed_address_is_refused_by_its_own_words_when_it_is_late() -> None:
    signer = Signer(lambda: Credentials("id", "secret"), "us-east-1", "https://bucket.example.com", 7, bucket="bucket")
    requests = [
        signer.get("c/a/u", disposition="attachment", content_type="text/plain"),
        signer.put("c/a/u", 5, "0" * 64),
        signer.part("c/a/u", "m", 1, 5, "AAAAAAAAAAA="),
    ]
    queries = [parse_qs(urlsplit(request.address).query) for request in requests]
    assert [query["X-Amz-Expires"] for query in queries] == [["7"]] * 3


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


@pytest.mark.parametrize("handler", ["api", "public", "ingest", "janitor", "identity"])
def test_a_function_starts_without_what_it_does_not_need(handler: str) -> None:
    code = f"import sys, satchel_cloud.handlers.{handler}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"boto3", "s3transfer"} | ({"botocore"} if handler == "identity" else set())
    assert heavy & set(loaded) == set()
