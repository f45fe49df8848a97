from __future__ import annotations

from pathlib import Path

import pytest

from satchel.core.errors import UsageError
from satchel.engine.settings import change, load


def test_what_is_not_set_has_its_default(tmp_path: Path) -> None:
    assert load(tmp_path / "none.toml").connections == 6


def test_comments_and_unknown_keys_are_kept(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text('# hello\nfuture = [1, 2]\ntheme = "light"\n')

    assert change(file, {"theme": "dark"}).theme == "dark"

    assert file.read_text() == '# hello\nfuture = [1, 2]\ntheme = "dark"\n'


@pytest.mark.parametrize(
    "line",
    [
        "connections = 0",
        "connections = true",
        "upload_limit = 100",
        "upload_limit = -1",
        'theme = "pink"',
        "paused = 1",
        "paused =",
    ],
)
def test_a_bad_value_names_its_line(tmp_path: Path, line: str) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(f"# one\n\n{line}\n")

    with pytest.raises(UsageError, match="Line 3"):
        load(file)


def test_a_bad_change_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    for values in ({"theme": "pink"}, {"nonsense": 1}, {"upload_limit": 100}):
        with pytest.raises(UsageError):
            change(file, values)
    assert not file.exists()


def test_a_bad_change_is_told_without_a_line_for_it_is_not_in_the_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"^upload_limit must be bytes a second, 4096 or more"):
        change(tmp_path / "settings.toml", {"upload_limit": 100})


def test_limits_are_written_and_read_again(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text("upload_limit = 5000 # the line at home\n")

    change(file, {"upload_limit": 2_500_000, "download_limit": 6000})

    assert file.read_text() == "upload_limit = 2500000 # the line at home\ndownload_limit = 6000\n"
    assert (load(file).upload_limit, load(file).download_limit) == (2_500_000, 6000)
