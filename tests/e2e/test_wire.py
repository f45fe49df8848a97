"""Acceptance on the wire: where bytes go, what S3 refuses, and what a crash or an outage costs."""

from __future__ import annotations

import signal
import subprocess
import threading
import time
from collections import Counter
from pathlib import Path

import pytest

from e2e.client import fetched_sha256, random_file, signed_in
from e2e.cloud_fixture import LocalCloud, wait_until
from e2e.wiretap import Exchange, wiretap

MIB = 1 << 20


def test_no_file_byte_passes_through_the_api(cloud: LocalCloud, tmp_path: Path) -> None:
    file = tmp_path / "large.bin"
    digest = random_file(file, 200 * MIB)

    with wiretap(cloud) as taps, signed_in(cloud, tmp_path, taps.site) as client:
        client.start().call("drop", paths=[str(file)], wait=True)
        link = client.json("link", "list")[0]["url"]

    assert sum(e.sent_bytes for e in taps.s3.puts()) == 200 * MIB
    assert max(e.request_bytes for e in taps.api.exchanges) <= 128 * 1024
    assert max(e.reply_bytes for e in taps.api.exchanges) <= 128 * 1024
    assert fetched_sha256(cloud, link) == digest


@pytest.mark.parametrize("size", [1 * MIB, 20 * MIB], ids=["single-put", "part"])
def test_a_byte_flipped_on_the_wire_is_refused_and_sent_again(cloud: LocalCloud, tmp_path: Path, size: int) -> None:
    file = tmp_path / "flipped.bin"
    digest = random_file(file, size)
    spoiled: list[Exchange] = []

    def flip_once(exchange: Exchange, offset: int, block: bytes) -> bytes:
        if spoiled or exchange.method != "PUT":
            return block
        spoiled.append(exchange)
        return bytes([block[0] ^ 1]) + block[1:]

    with wiretap(cloud) as taps, signed_in(cloud, tmp_path, taps.site) as client:
        taps.s3.spoil = flip_once
        dropped = client.start().call("drop", paths=[str(file)], wait=True)

    assert [e.status for e in spoiled] == [400]
    assert fetched_sha256(cloud, dropped["links"][0]) == digest


def test_a_killed_client_goes_on_where_it_was_and_sends_no_part_twice(cloud: LocalCloud, tmp_path: Path) -> None:
    file = tmp_path / "resumed.bin"
    digest = random_file(file, 120 * MIB)

    with wiretap(cloud) as taps, signed_in(cloud, tmp_path, taps.site) as client:
        slow = threading.Event()

        def dawdle(exchange: Exchange, offset: int, block: bytes) -> bytes:
            if not slow.is_set():
                time.sleep(0.004)
            return block

        taps.s3.spoil = dawdle
        putting = subprocess.Popen(
            client.command("put", "--link", str(file)), env=client.environment, stdout=subprocess.DEVNULL
        )
        wait_until(lambda: len(taps.s3.puts()) >= 3)
        putting.send_signal(signal.SIGKILL)
        putting.wait()
        time.sleep(0.5)  # what was on its way arrives or does not
        slow.set()
        before = len(taps.s3.puts())

        client.cli("sync", "--once")
        link = client.json("link", "list")[0]["url"]

    arrived = Counter(e.part for e in taps.s3.puts())
    assert before < len(arrived), "the upload was over before the kill"
    assert set(arrived.values()) == {1}
    assert sum(e.sent_bytes for e in taps.s3.puts()) == 120 * MIB
    assert fetched_sha256(cloud, link) == digest


def test_an_outage_is_said_and_then_the_upload_finishes(cloud: LocalCloud, tmp_path: Path) -> None:
    file = tmp_path / "outage.bin"
    digest = random_file(file, 60 * MIB)

    with wiretap(cloud) as taps, signed_in(cloud, tmp_path, taps.site) as client:
        engine = client.start()
        taps.s3.spoil = lambda exchange, offset, block: (time.sleep(0.005), block)[1]
        dropped = engine.call("drop", paths=[str(file)])
        wait_until(lambda: len(taps.s3.puts()) >= 1)
        cloud.stop()
        try:
            said = wait_until(lambda: (s := engine.call("status"))["tone"] == "offline" and s, 60)
            assert said["transfers"][0]["message"]
        finally:
            cloud.start()
        taps.s3.spoil = None
        wait_until(lambda: engine.call("status")["transfers"][0]["state"] == "done", 120)

    assert fetched_sha256(cloud, dropped["links"][0]) == digest
