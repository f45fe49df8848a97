"""The lines that say what one computer leaves out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from satchel.core.errors import UsageError
from satchel.disk.ignore import MARKER_FOLDER, Ignore
from satchel.disk.selection import left_out, with_path, without_path

NAMES = st.text(
    st.one_of(st.sampled_from("ab*?[]!# \\.-~Ä"), st.characters(exclude_categories=["C", "Z"], exclude_characters="/")),
    min_size=1,
    max_size=8,
).filter(lambda name: name not in (".", ".."))
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)


def rules(text):
    return Ignore(lambda folder: text if folder == MARKER_FOLDER else None)


@given(PATHS, PATHS)
def test_a_line_says_its_path_and_what_is_in_it_and_nothing_else(path, other):
    ignore = rules(with_path(b"", path))
    assert ignore.ignored(path, folder=True)
    assert ignore.ignored(path, folder=False)
    assert ignore.ignored(f"{path}/inside", folder=False)
    if not f"{other}/".startswith(f"{path}/") and not rules(b"").ignored(other, folder=True):
        assert not ignore.ignored(other, folder=True)


@given(st.lists(PATHS, unique=True, max_size=4), st.data())
def test_paths_come_out_as_they_went_in_and_lines_of_a_person_stay(paths, data):
    text = b"# mine\n*.iso\nfilms/"
    for path in paths:
        text = with_path(text, path)
    assert left_out(text) == tuple(paths)
    assert with_path(text, paths[0]) == text if paths else True
    for path in data.draw(st.permutations(paths)):
        text = without_path(text, path)
    assert left_out(text) == ()
    assert text.split(b"\n")[:3] == [b"# mine", b"*.iso", b"films/"]


@pytest.mark.parametrize("path", ["", "a//b", "/a", "a/", "../a", "a/.", "a\nb", "a\rb", "a\u2028b"])
def test_what_no_line_can_say_is_refused(path):
    with pytest.raises(UsageError):
        with_path(b"", path)


def test_bytes_that_are_no_text_stay_as_they_are():
    text = b"\xff\xfe\n/films\n"
    assert without_path(text, "films") == b"\xff\xfe\n"
