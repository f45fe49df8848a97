from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satchel.core.names import MAX_NAME_BYTES, free_name, name_key, name_problem, numbered


def test_names_that_differ_in_case_or_composition_are_one():
    assert name_key("Café.TXT") == name_key(unicodedata.normalize("NFD", "café.txt"))
    assert name_key("STRASSE") == name_key("straße")
    assert name_key("a") != name_key("b")


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0b", "\udcff.txt", "é" * 128])
def test_what_the_service_would_refuse_comes_with_a_reason_and_a_remedy(name):
    problem = name_problem(name)
    assert problem is not None
    assert problem.reason
    assert problem.remedy


@pytest.mark.parametrize("name", ["a", ".hidden", "new\nline", "x" * 255, "😀 smile", "con", "trailing "])
def test_everything_else_may_travel(name):
    assert name_problem(name) is None


def test_a_taken_name_becomes_name_2_and_keeps_its_extension():
    taken = {name_key("report.pdf"), name_key("REPORT (2).pdf")}
    assert free_name("report.pdf", set()) == "report.pdf"
    assert free_name("report.pdf", taken) == "report (3).pdf"
    assert numbered(".bashrc", 2) == ".bashrc (2)"


@given(st.text(min_size=1, max_size=300).filter(lambda name: name_problem(name) is None), st.integers(2, 9999))
def test_a_numbered_name_may_always_travel(name, number):
    result = numbered(name, number)
    assert len(result.encode()) <= MAX_NAME_BYTES
    assert name_problem(result) is None
    assert f"({number})" in result
