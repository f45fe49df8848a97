from __future__ import annotations

import os
from pathlib import Path

import pytest

from satchel.core.errors import LocalFileError
from satchel.engine.items import look, walk


def test_links_are_not_followed_and_are_reported(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a").write_text("abc")
    (tmp_path / "sub" / "out").symlink_to("/etc")

    found = {inside.path: inside for inside in walk(str(tmp_path))}

    assert sorted(found) == ["sub", "sub/a", "sub/out"]
    assert (found["sub/a"].size, found["sub/a"].problem) == (3, None)
    assert found["sub/out"].problem == "a link to another place"


def test_names_that_are_no_text_and_pipes_are_left_out_with_a_reason(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff")).write_text("x")
    os.mkfifo(tmp_path / "pipe")

    problems = [inside.problem for inside in walk(str(tmp_path))]

    assert len(problems) == 2
    assert all(problems)


def test_what_cannot_be_dropped_says_why(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "missing", tmp_path / "pipe", Path("/")):
        with pytest.raises(LocalFileError) as caught:
            look(str(path))
        assert caught.value.message
