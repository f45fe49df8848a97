"""Hearing of changes at once, on the local cloud: the real gateway, stream, functions and socket."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import secrets
import statistics
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from e2e.client import signed_in
from e2e.cloud_fixture import LocalCloud, wait_until
from e2e.wiretap import wiretap
from satchel.cloud.push import Push, connection
from satchel.core.errors import OfflineError
from satchel.core.model import PushTicket
from satchel.core.ports import SystemIds


@dataclass
class Person:
    cloud: LocalCloud
    token: str

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        reply = self.cloud.request(method, path, body, token=self.token)
        assert reply.status == 200, reply.body
        return reply.json()

    def ticket(self) -> PushTicket:
        given = self.ask("POST", "/v1/push", {"client_id": secrets.token_hex(16)})
        return PushTicket(given["url"], given["ticket"])

    def commit(self) -> None:
        name = secrets.token_hex(16)
        made = self.ask("POST", "/v1/folders", {"folders": [{"node_id": name, "parent_id": "root", "name": name}]})
        assert made["folders"][0]["outcome"] == "done"


@dataclass
class Listener:
    """A client's `Push` in a thread of its own; `heard` has the time of every change that it was told of."""

    person: Person
    heard: list[float] = field(default_factory=list)
    push: Push | None = None

    def live(self) -> bool:
        return self.push is not None and self.push.live

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()

        async def make() -> asyncio.Task[None]:
            async def ticket(_: str) -> PushTicket:
                return await asyncio.to_thread(self.person.ticket)

            self.push = Push(ticket, lambda: self.heard.append(time.monotonic()), ids=SystemIds())
            return asyncio.create_task(self.push.run())

        async def end(task: asyncio.Task[None]) -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        task = asyncio.run_coroutine_threadsafe(make(), loop).result()
        try:
            wait_until(self.live, 10, 0.01)
            wait_until(lambda: self.heard)
            yield
        finally:
            asyncio.run_coroutine_threadsafe(end(task), loop).result(10)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()


@pytest.fixture(scope="module")
def alice(cloud: LocalCloud) -> Person:
    return Person(cloud, cloud.tokens(*cloud.new_user())["AccessToken"])


@pytest.fixture(scope="module")
def bob(cloud: LocalCloud) -> Person:
    return Person(cloud, cloud.tokens(*cloud.new_user())["AccessToken"])


def test_a_commit_is_heard_of_by_every_client_of_the_account_and_by_nobody_else(alice: Person, bob: Person) -> None:
    laptop, desktop, stranger = Listener(alice), Listener(alice), Listener(bob)
    with laptop.listening(), desktop.listening(), stranger.listening():
        delays = []
        for _ in range(5):
            time.sleep(1.1)  # a burst would be passed on as one
            laptop.heard.clear()
            desktop.heard.clear()
            began = time.monotonic()
            alice.commit()
            wait_until(lambda: laptop.heard and desktop.heard, 10, 0.005)
            delays.append(laptop.heard[0] - began)
        print(f"\nfrom the commit's request to its hint: median {statistics.median(delays):.3f} s, {max(delays):.3f} s")

        assert len(stranger.heard) == 1  # its own connection


def test_a_ticket_lets_in_once_and_nobody_without(alice: Person) -> None:
    async def connects(ticket: PushTicket) -> bool:
        try:
            async with connection(ticket):
                return True
        except OfflineError:
            return False

    def connected(ticket: PushTicket) -> bool:
        # In a thread of its own: a browser's tests leave a loop running in this one.
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(lambda: asyncio.run(connects(ticket))).result()

    ticket = alice.ticket()
    assert connected(ticket)
    assert not connected(ticket)
    assert not connected(PushTicket(ticket.url, "guessed"))


def test_a_client_that_went_away_without_a_word_is_forgotten_at_the_next_change(cloud: LocalCloud) -> None:
    person = Person(cloud, cloud.tokens(*cloud.new_user())["AccessToken"])
    account = person.ask("GET", "/v1/account")["account_id"]

    def found() -> list[tuple[int, int]]:
        lines = [json.loads(line) for line in cloud.log("notify") if line.startswith("{")]
        return [(line["told"], line["gone"]) for line in lines if line["account"] == account]

    with Listener(person).listening():
        pass

    def forgotten() -> bool:
        person.commit()
        return any(gone for _, gone in found())

    wait_until(forgotten, every=0.5)  # the gateway itself may need a moment to see it
    person.commit()
    wait_until(lambda: found()[-1:] == [(0, 0)])
    assert sum(gone for _, gone in found()) == 1


def test_an_engine_looks_at_the_change_log_when_another_client_changes_something(
    cloud: LocalCloud, tmp_path: Path
) -> None:
    folder = tmp_path / "Share"
    folder.mkdir()
    with wiretap(cloud) as taps, signed_in(cloud, tmp_path / "client", taps.site) as client:
        elsewhere = Person(cloud, cloud.tokens(client.email, client.password)["AccessToken"])

        def asked(path: str) -> bool:
            return any(one.path == path and one.status == 200 for one in taps.api.exchanges)

        def quiet() -> bool:
            """Whether it has not looked for two seconds."""
            taps.api.exchanges.clear()
            time.sleep(2)
            return not asked("/v1/changes")

        engine = client.start()
        engine.call("root_add", dir=str(folder), to="/Share")
        wait_until(lambda: asked("/v1/push"))
        wait_until(quiet)

        delays = []
        for _ in range(5):
            began = time.monotonic()
            elsewhere.commit()
            wait_until(lambda: asked("/v1/changes"), 10, 0.005)
            delays.append(time.monotonic() - began)
            wait_until(quiet)
        print(f"\nfrom another's commit to the look: median {statistics.median(delays):.3f} s, {max(delays):.3f} s")

        # Nobody was told by the clock: the looks by and by are further apart.
        assert sum(delays) < 15


def test_a_page_in_a_browser_gets_no_socket_by_another_name(alice: Person) -> None:
    parts = urlsplit(alice.ticket().url)
    line = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
    headers = {
        "Host": f"evil.example.com:{parts.port}", "Upgrade": "websocket", "Connection": "Upgrade",
        "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
        "x-satchel-ticket": alice.ticket().ticket,
    }  # fmt: skip
    line.request("GET", parts.path, headers=headers)

    assert line.getresponse().status == 403
    line.close()
