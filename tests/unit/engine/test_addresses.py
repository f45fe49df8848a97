"""Addresses of contents, asked of the service for many at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from satchel.core.errors import OfflineError, RefusedError, SatchelError
from satchel.core.model import ContentSource, FoundContent, FoundContents, Node, Problem
from satchel.engine.addresses import AT_ONCE, FRESH, Addresses
from sync_world import FakeClock

AHEAD = 16
NAMES = [f"{number:03}" for number in range(300)]


def problem(kind: str) -> Problem:
    return Problem(f"urn:satchel:problem:{kind}", "No", 404, "There is none.")


class Cloud:
    """Knows every node but those with a problem; remembers what it was asked. `meanwhile` happens during a batch."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.alone: list[str] = []
        self.problems: dict[str, Problem] = {}
        self.error: SatchelError | None = None
        self.meanwhile: Callable[[], object] = lambda: None
        self._busy = threading.Lock()

    def get_contents(self, node_ids: Sequence[str]) -> FoundContents:
        assert self._busy.acquire(blocking=False), "one request at a time"
        self.asked.append(list(node_ids))
        self.meanwhile()
        self._busy.release()
        if self.error is not None:
            raise self.error
        return FoundContents("common=1", tuple(self._found(node_id) for node_id in node_ids))

    def get_content(self, node_id: str) -> ContentSource:
        self.alone.append(node_id)
        return ContentSource(f"https://alone/{node_id}", self._node(node_id))

    def _found(self, node_id: str) -> FoundContent:
        if node_id in self.problems:
            return FoundContent(node_id, "problem", problem=self.problems[node_id])
        return FoundContent(node_id, "done", self._node(node_id), f"https://s3/{node_id}", f"n={len(self.asked)}")

    @staticmethod
    def _node(node_id: str) -> Node:
        return Node(node_id, "root", node_id, "file", 1)


class Line:
    """Those who come for an address, one after the other."""

    def __init__(self) -> None:
        self.cloud, self.clock = Cloud(), FakeClock()
        self.addresses = Addresses(self.cloud, self.clock, AHEAD)  # type: ignore[arg-type] # as much of it as is asked
        self.coming = list(NAMES)

    def take(self, count: int = 1) -> list[str]:
        """The addresses of the next."""
        return [self.of(self.coming.pop(0)).url for _ in range(count)]

    def of(self, node_id: str) -> ContentSource:
        return self.addresses.of(node_id, lambda: self.coming)


@pytest.fixture
def line() -> Line:
    return Line()


def test_who_comes_alone_is_asked_for_at_once(line: Line) -> None:
    line.coming = ["a"]
    assert line.take() == ["https://s3/a?common=1&n=1"]
    assert line.cloud.asked == [["a"]]


def test_those_who_follow_are_asked_for_along_with_who_comes_first_and_ahead_of_time(line: Line) -> None:
    enough = AT_ONCE - AHEAD
    assert line.take(enough) == [f"https://s3/{name}?common=1&n=1" for name in NAMES[:enough]]
    assert line.cloud.asked == [NAMES[:AT_ONCE]]
    line.take()
    assert line.cloud.asked[1:] == [NAMES[AT_ONCE : 2 * AT_ONCE]], "before the last was taken"
    line.take(len(NAMES) - enough - 1)
    assert [name for asked in line.cloud.asked for name in asked] == NAMES, "everybody once"
    assert len(line.cloud.asked) == 3


def test_those_who_come_while_a_request_is_under_way_are_in_the_next_one_together(line: Line) -> None:
    line.coming = []
    with ThreadPoolExecutor(8) as pool:
        others = []

        def come() -> None:
            line.cloud.meanwhile = lambda: None
            others.extend(pool.submit(line.of, name) for name in NAMES[1:7])
            while len(line.addresses._waiting) < 7:
                threading.Event().wait(0.001)

        line.cloud.meanwhile = come
        line.of(NAMES[0])
        assert {other.result().node.node_id for other in others} == set(NAMES[1:7])
    assert [len(asked) for asked in line.cloud.asked] == [1, 6]


def test_nobody_gets_an_address_twice(line: Line) -> None:
    line.coming = []
    assert line.of("a") != line.of("a")
    assert line.cloud.asked == [["a"], ["a"]]


def test_an_address_that_has_grown_old_is_asked_for_again(line: Line) -> None:
    line.take(2)
    line.clock.sleep(FRESH - 0.1)
    line.take()
    assert len(line.cloud.asked) == 1
    line.clock.sleep(0.2)
    assert line.take() == [f"https://s3/{NAMES[3]}?common=1&n=2"]
    assert line.cloud.asked[1] == NAMES[3 : 3 + AT_ONCE]


def test_a_problem_of_one_is_nobody_elses(line: Line) -> None:
    line.cloud.problems[NAMES[1]] = problem("not-found")
    line.take()
    with pytest.raises(RefusedError) as refused:
        line.take()
    assert (refused.value.kind, refused.value.status, refused.value.message) == ("not-found", 404, "There is none.")
    line.take()
    assert len(line.cloud.asked) == 1


def test_who_found_no_room_in_the_reply_is_asked_for_again(line: Line) -> None:
    line.cloud.problems |= {name: problem("busy") for name in NAMES[50:100]}
    line.take(50 - AHEAD)
    line.cloud.problems = {}
    line.take(50 + AHEAD)
    assert line.cloud.asked[:2] == [NAMES[:100], NAMES[50:150]]


def test_a_request_that_fails_fails_all_who_were_in_it_once(line: Line) -> None:
    line.cloud.error = OfflineError("No network")
    seen = []
    for _ in range(2):
        with pytest.raises(OfflineError) as failed:
            line.take()
        seen.append(failed.value)
    assert seen[0] is not seen[1]
    assert len(line.cloud.asked) == 1
    line.cloud.error = None
    assert line.of(NAMES[0]).node.node_id == NAMES[0]


@pytest.mark.parametrize("kind", ["not-found", "unknown-request"])
def test_a_service_that_is_too_old_is_asked_for_one_at_a_time_and_never_for_many_again(line: Line, kind: str) -> None:
    line.cloud.error = RefusedError(kind, "No such address", status=404)
    assert line.take(3) == [f"https://alone/{name}" for name in NAMES[:3]]
    assert len(line.cloud.asked) == 1
    assert line.cloud.alone == NAMES[:3]
