from __future__ import annotations

import pytest

from satchel.cloud import parse_link, site_of
from satchel.core.errors import UsageError


@pytest.mark.parametrize(
    ("typed", "site"),
    [
        ("files.example.com", "https://files.example.com"),
        (" https://Files.Example.com/s/abc ", "https://files.example.com"),
        ("files.example.com:8443/x", "https://files.example.com:8443"),
        ("127.0.0.1:8080", "http://127.0.0.1:8080"),
        ("http://localhost:8080", "http://localhost:8080"),
        ("http://[::1]:9", "http://[::1]:9"),
    ],
)
def test_what_a_person_types_becomes_a_site(typed: str, site: str) -> None:
    assert site_of(typed) == site


@pytest.mark.parametrize(
    "typed",
    ["", "  ", "files", "ftp://files.example.com", "http://files.example.com", "https://u:p@files.example.com",
     "https://files.example.com:x", "two words.com", "http://127.0.0.1.evil.com"],
)  # fmt: skip
def test_what_is_no_safe_address_is_refused(typed: str) -> None:
    with pytest.raises(UsageError):
        site_of(typed)


def test_a_link_is_taken_apart() -> None:
    assert parse_link("https://files.example.com/s/" + "a" * 22) == ("https://files.example.com", "a" * 22)


@pytest.mark.parametrize("url", ["https://files.example.com/", "https://files.example.com/s/short", "x", ""])
def test_what_is_no_link_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        parse_link(url)
