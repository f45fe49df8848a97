"""Transfers through a network that fails at random: whatever happens, the bytes arrive, once, and nothing is left over.

`make test` runs some seeds; `make sim` runs SATCHEL_SIM_SCALE times as many.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from integration.transfer.conftest import World
from integration.transfer.fake_s3 import PART
from integration.transfer.faulty_proxy import GET_FAULTS, PUT_FAULTS, FaultyProxy
from satchel.core.errors import SatchelError
from satchel.core.model import ContentSource, Node, Revision
from satchel.core.ports import SystemClock
from satchel.transfer import Ticket, Uploader, download
from satchel.transfer.backoff import Backoff

SEEDS = range(10 * int(os.environ.get("SATCHEL_SIM_SCALE", "1")))
SHARE = 0.25
QUICK = Backoff(first=0.005, longest=0.02)


class Faulty(World):
    def __init__(self, folder: Path, seed: int) -> None:
        super().__init__(folder)
        self.random = random.Random(seed)
        self.retried = 0
        """How often an upload had failed: that cuts off its other parts on the wire, which are sent again."""
        self.proxy = FaultyProxy(self.s3.url, seed, share=SHARE, name_of=self.name_of)
        self.proxy.lose = self.lose
        self.s3.public = self.proxy.url

    def name_of(self, path: str) -> str:
        """Upload and part of an address; the path of a download."""
        mark = parse_qs(urlsplit(path).query).get("sig", [""])[0]
        signed = self.s3.signatures.get(mark)
        return f"{signed.upload_id}/{signed.part}" if signed else urlsplit(path).path

    def lose(self, path: str) -> bool:
        upload_id, _, part = self.name_of(path).partition("/")
        return part not in ("", "0") and self.s3.parts.pop(upload_id, None) is not None

    def close(self) -> None:
        super().close()
        self.proxy.close()

    def upload(self, uploader: Uploader, paths: list[Path]) -> None:
        tickets = uploader.submit_all([self.request(path) for path in paths])
        for ticket in tickets:
            self.until_done(uploader, ticket)

    def until_done(self, uploader: Uploader, ticket: Ticket) -> None:
        """As a patient person would: who is told that it failed presses Retry."""
        for _ in range(100):
            try:
                ticket.done.result(60)
            except SatchelError as error:
                assert error.message, "a failure says what to do"  # noqa: PT017 - and it is retried
                self.retried += 1
                uploader.retry(ticket.upload_id)
            else:
                return
        raise AssertionError("it fails again and again")

    def orphans_in_the_end(self) -> list[str]:
        """What was given up is told to the service in the background."""
        end = time.monotonic() + 20
        while self.orphans() and time.monotonic() < end:
            time.sleep(0.01)
        return self.orphans()

    def fetch(self, content: bytes, dest: Path) -> None:
        path = f"/d/{dest.name}"
        self.s3.downloads[path] = content
        node = Node("n", "root", dest.name, "file", 1, Revision("1" * 32, len(content), 0))
        for _ in range(100):
            try:
                download(
                    lambda: ContentSource(f"{self.proxy.url}{path}", node),
                    dest,
                    clock=SystemClock(),
                    ids=self.ids,
                    backoff=QUICK,
                )
            except SatchelError:
                assert not dest.exists(), "what is not whole has no name yet"
            else:
                return
        raise AssertionError("it fails again and again")


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_the_network_does_the_bytes_arrive_and_nothing_is_left_over(tmp_path: Path, seed: int) -> None:
    world = Faulty(tmp_path, seed)
    try:
        sizes = [0, 1, 3 * PART + 17 + PART // 2, 2_000_000, *(world.random.randrange(1, 90_000) for _ in range(12))]
        paths = [world.file(f"{seed}-{number}", size) for number, size in enumerate(sizes)]
        uploader = world.start(backoff=QUICK, send_timeout=60.0, reply_timeout=60.0)
        world.upload(uploader, paths)
        world.fetch(paths[3].read_bytes(), tmp_path / "fetched")

        assert (tmp_path / "fetched").read_bytes() == paths[3].read_bytes()
        assert world.contents() == Counter(path.read_bytes() for path in paths)
        assert not world.orphans_in_the_end()
        for (upload_id, part), times in Counter(world.s3.wire).items():
            explained = world.proxy.spoiled[f"{upload_id}/{part}"] + (world.retried if part else 0)
            assert times <= 1 + explained, f"part {part} was sent {times} times"
    finally:
        world.close()


def test_every_fault_that_the_proxy_knows_has_its_turn(tmp_path: Path) -> None:
    """Else the seeds above would prove less than they seem to."""
    world = Faulty(tmp_path, 7)
    try:
        world.proxy.lose = lambda _path: True
        for _ in range(2000):
            world.proxy.pick("/any", PUT_FAULTS)
            world.proxy.pick("/any", GET_FAULTS)
        assert set(world.proxy.kinds) == {*PUT_FAULTS, *GET_FAULTS}
    finally:
        world.close()
