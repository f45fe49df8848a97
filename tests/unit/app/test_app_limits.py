from __future__ import annotations

import pytest

from satchel.app import limits


@pytest.mark.parametrize(("rate", "text"), [(0, ""), (2_500_000, "2.5"), (10_000_000, "10"), (4097, "0.004097")])
def test_a_limit_is_shown_so_that_it_reads_back_to_the_byte(rate: int, text: str) -> None:
    assert limits.shown(rate) == text
    assert limits.read(text) == rate


@pytest.mark.parametrize(("text", "rate"), [("0", 0), (" 3 ", 3_000_000), ("2,5", 2_500_000), ("0.0041", 4100)])
def test_a_limit_is_read_as_people_type_it(text: str, rate: int) -> None:
    assert limits.read(text) == rate


@pytest.mark.parametrize("text", ["fast", "-1", "1,000", "1e9", "5 MB", ".", "99999999"])
def test_what_is_no_number_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"such as 2\.5"):
        limits.read(text)


def test_below_the_least_the_least_is_told_and_may_be_typed() -> None:
    with pytest.raises(ValueError, match=r"The least is 0\.005 MB/s"):
        limits.read("0.004")
    assert limits.read("0.005") == 5000
