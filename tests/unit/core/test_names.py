from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satchel.core.names import MAX_NAME_BYTES, free_name, here_problem, name_key, name_problem, numbered


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


@pytest.mark.parametrize(
    "name",
    [
        'say "hi"', "a:b", "a<b", "a>b", "a|b", "why?", "a*", "back\\slash", "new\nline", "\x1f",
        "ends with a dot.", "ends with a space ", "...",
        "con", "CON", "Aux.txt", "nul.tar.gz", "prn .txt", "com1", "LPT9.log", "COM¹", "lpt³.txt", "CONIN$", "conout$",
    ],
)  # fmt: skip
def test_what_windows_cannot_have_is_told_there_and_nowhere_else(name):
    problem = here_problem(name, "win32")
    assert problem is not None
    assert problem.reason
    assert problem.remedy
    assert here_problem(name, "linux") is None
    assert here_problem(name, "darwin") is None


@pytest.mark.parametrize(
    "name",
    ["console", "com", "com10", "com0", "a.con", "null", "lpt", " leading", ".hidden", "a.b", "ä", "[x] {y} 'z'"],
)
def test_what_only_looks_forbidden_may_be_had_on_windows(name):
    assert here_problem(name, "win32") is None


@pytest.mark.parametrize("platform", ["win32", "darwin", "linux"])
@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0b", "\udcff.txt", "x" * 256, "é" * 128, "😀" * 64])
def test_what_cannot_travel_can_be_had_nowhere(platform, name):
    assert here_problem(name, platform) == name_problem(name) is not None


@given(st.text(max_size=300), st.sampled_from(["win32", "darwin", "linux"]))
def test_what_a_computer_can_have_fits_its_limits(name, platform):
    if here_problem(name, platform) is None:
        assert 0 < len(name.encode("utf-16-le")) // 2 <= 255
        assert len(name.encode()) <= 255


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
