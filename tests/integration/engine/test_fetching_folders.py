from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

import pytest

from integration.transfer.conftest import World
from satchel.core.errors import LocalFileError
from satchel.core.model import FoundContent, FoundContents, Node, Problem, Revision
from satchel.core.ports import SystemClock, SystemIds
from satchel.engine.fetch import fetch
from satchel.transfer import Limit

NO_ROOM = Problem("urn:satchel:problem:busy", "Busy", 503, "The reply grew too large.")
FILES = {"a": b"a" * 1000, "b": b"b" * 2000, "c": b""}


class Killed(BaseException):
    """As nothing that is caught."""


class Account:
    """A folder `photos` with some files and one below."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.dies_at = ""
        self.asked: list[list[str]] = []
        world.s3.downloads.update({f"/{name}": content for name, content in FILES.items()})

    def find(self, path: str) -> Node:
        return Node("top", None, "photos", "folder", 1)

    def children(self, node_id: str) -> list[Node]:
        if node_id == "top":
            return [self.file("a"), Node("below", "top", "below", "folder", 1), self.file("c")]
        return [self.file("b")]

    def file(self, name: str) -> Node:
        content = FILES[name]
        revision = Revision(name * 32, len(content), 0, hashlib.sha256(content).hexdigest(), True)
        return Node(name, "top", name, "file", 1, revision)

    def get_contents(self, node_ids: Sequence[str]) -> FoundContents:
        self.asked.append(list(node_ids))
        if node_ids[0] == self.dies_at:
            raise Killed
        fits = list(takewhile(lambda node_id: node_id != self.dies_at, node_ids))
        found = [FoundContent(name, "done", self.file(name), f"{self.world.s3.url}/{name}", "signed") for name in fits]
        late = [FoundContent(name, "problem", problem=NO_ROOM) for name in node_ids[len(fits) :]]
        return FoundContents("common", (*found, *late))


@pytest.fixture
def account(tmp_path: Path) -> Iterator[Account]:
    world = World(tmp_path)
    yield Account(world)
    world.close()


def get(account: Any, into: Path, **changes: Any) -> str:
    options: dict[str, Any] = {
        "account": (account, account),
        "clock": SystemClock(),
        "ids": SystemIds(),
        "force": False,
        "limit": Limit(SystemClock()),
        "show": lambda _row: None,
        "stopped": lambda: False,
    }
    return fetch("/photos", str(into), **{**options, **changes})


def cut_off(account: Account, into: Path, at: str) -> None:
    account.dies_at = at
    with pytest.raises(Killed):
        get(account, into)
    account.dies_at = ""
    account.world.s3.asked.clear()


def whole(into: Path) -> bool:
    found = {path.relative_to(into / "photos").as_posix(): path for path in (into / "photos").rglob("*")}
    return (
        sorted(found) == ["a", "below", "below/b", "c"]
        and [found[name].read_bytes() for name in ("a", "below/b", "c")] == list(FILES.values())
        and [path.name for path in into.iterdir()] == ["photos"]
    )


def test_a_folder_is_asked_for_together_and_comes_over_one_connection(account: Account, tmp_path: Path) -> None:
    (into := tmp_path / "into").mkdir()
    get(account, into)
    assert whole(into)
    assert account.asked == [["a", "b", "c"]]
    assert account.world.s3.connections == 1


@pytest.mark.parametrize(("at", "left"), [("a", ["/a", "/b"]), ("b", ["/b"]), ("c", [])])
def test_a_folder_goes_on_where_it_was_cut_off(account: Account, tmp_path: Path, at: str, left: list[str]) -> None:
    (into := tmp_path / "into").mkdir()
    cut_off(account, into, at)
    get(account, into)
    assert whole(into)
    assert [path for path, _ in account.world.s3.asked] == left
    with pytest.raises(LocalFileError):
        get(account, into)


def test_a_file_that_somebody_else_put_there_stays(account: Account, tmp_path: Path) -> None:
    (into := tmp_path / "into").mkdir()
    cut_off(account, into, "b")
    (into / "photos" / "c").write_text("mine")
    with pytest.raises(LocalFileError):
        get(account, into)
    assert (into / "photos" / "c").read_text() == "mine"


def test_what_replaces_takes_nothing_for_granted(account: Account, tmp_path: Path) -> None:
    (into := tmp_path / "into").mkdir()
    cut_off(account, into, "b")
    (into / "photos" / "a").write_bytes(b"?" * 1000)
    get(account, into, force=True)
    assert whole(into)


def test_a_folder_that_was_there_before_is_left_alone(account: Account, tmp_path: Path) -> None:
    (into := tmp_path / "into").mkdir()
    (into / "photos").mkdir()
    with pytest.raises(LocalFileError):
        get(account, into)
    assert not list((into / "photos").iterdir())
