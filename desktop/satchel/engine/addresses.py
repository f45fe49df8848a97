"""Where files' contents can be fetched, asked of the service for many at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence

from satchel.cloud import Cloud
from satchel.core.errors import RefusedError, SatchelError, twin
from satchel.core.model import ContentSource, FoundContent
from satchel.core.ports import Clock

AT_ONCE = 100
"""Files in one request: what the service takes."""

FRESH = 30.0
"""Seconds for which an address is handed out: half of the least for which a deployment may sign it (`UrlSeconds`)."""


class Addresses:
    """One request at a time: those who come meanwhile are in the next one together. Blocking and thread-safe."""

    def __init__(self, cloud: Cloud, clock: Clock, ahead: int = 0) -> None:
        """When fewer than `ahead` are left, whoever has got one asks for more, so that the others need not wait."""
        self._cloud = cloud
        self._clock = clock
        self._ahead = ahead
        self._batches = True
        """False once the service has turned out to be too old for them."""
        self._asking = threading.Lock()
        self._lock = threading.Lock()
        self._waiting: dict[str, None] = {}
        self._told: dict[str, tuple[float, ContentSource | SatchelError]] = {}
        """What the service said of whom, and when by `Clock.monotonic`."""

    def of(self, node_id: str, following: Callable[[], Iterable[str]]) -> ContentSource:
        """A fresh address, another one each time. `following()` are those who will ask next, in their order: theirs are
        asked for with it. Raises what `Cloud.get_content` raises."""
        found = self._take(node_id)
        if found is None:
            with self._lock:
                self._waiting[node_id] = None
            with self._asking:
                found = self._take(node_id)
                if found is None:
                    self._ask(following)
                    found = self._take(node_id)
                with self._lock:
                    self._waiting.pop(node_id, None)
        elif len(self._told) < self._ahead and self._asking.acquire(blocking=False):
            try:
                self._ask(following)
            finally:
                self._asking.release()
        if found is None:
            return self._cloud.get_content(node_id)
        if isinstance(found, SatchelError):
            raise twin(found)
        return found

    def _take(self, node_id: str) -> ContentSource | SatchelError | None:
        """What is known and not too old; nobody gets it twice."""
        with self._lock:
            at, found = self._told.pop(node_id, (0.0, None))
            return found if self._clock.monotonic() - at < FRESH else None

    def _ask(self, following: Callable[[], Iterable[str]]) -> None:
        """Ask for those who wait, and for who follows, as far as nothing is known of them."""
        if not self._batches:
            return
        with self._lock:
            now = self._clock.monotonic()
            self._told = {one: told for one, told in self._told.items() if now - told[0] < FRESH}
            wanted = self._waiting | dict.fromkeys(following())
            asked = [one for one in wanted if one not in self._told][:AT_ONCE]
        if not asked:
            return
        told = self._answers(asked)
        with self._lock:
            now = self._clock.monotonic()
            self._told |= {one: (now, found) for one, found in told.items()}

    def _answers(self, node_ids: Sequence[str]) -> dict[str, ContentSource | SatchelError]:
        """One for each, but for those of whom the service has said nothing that helps."""
        try:
            reply = self._cloud.get_contents(node_ids)
        except SatchelError as error:
            if isinstance(error, RefusedError) and error.status == 404:
                self._batches = False
                return {}
            return dict.fromkeys(node_ids, error)
        told = {one.node_id: _answer(one, reply.signing_query) for one in reply.contents}
        return {node_id: answer for node_id, answer in told.items() if answer is not None}


def _answer(found: FoundContent, signing_query: str) -> ContentSource | SatchelError | None:
    if found.problem is not None and found.problem.kind != "busy":
        return RefusedError.of(found.problem)
    if found.node is None:
        return None  # there was no room for it in the reply: it is asked for again
    return ContentSource(f"{found.url}?{signing_query}&{found.query}", found.node)
