from __future__ import annotations

import json
import re
import tomllib
from datetime import date
from pathlib import Path

import satchel

CHECKOUT = Path(__file__).parents[2]
RELEASES = json.loads((CHECKOUT / "releases.json").read_text())


def test_each_release_has_a_version_a_commit_and_a_date_in_their_order() -> None:
    for one in RELEASES:
        assert one.keys() == {"version", "commit", "date"}
        assert re.fullmatch(r"\d+\.\d+\.\d+", one["version"])
        assert re.fullmatch("[0-9a-f]{40}", one["commit"])
    assert [one["date"] for one in RELEASES] == sorted(date.fromisoformat(one["date"]).isoformat() for one in RELEASES)
    assert number(RELEASES[-1]["version"]) == max(number(one["version"]) for one in RELEASES)


def test_the_changelog_tells_of_each_release() -> None:
    changelog = (CHECKOUT / "CHANGELOG.md").read_text()

    for one in RELEASES:
        assert f"## [{one['version']}] - {one['date']}" in changelog


def test_this_version_is_the_same_everywhere_and_follows_the_last_release() -> None:
    declared = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["version"]

    assert declared == satchel.__version__
    assert number(declared) > number(RELEASES[-1]["version"])


def number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3])
