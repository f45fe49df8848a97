"""Acceptance on files as people really have them: each ends as expected, and none stops the others."""

from __future__ import annotations

import hashlib
import os
import threading
import time
import unicodedata
from pathlib import Path
from typing import Any

import pytest

from e2e.client import fetched_sha256, random_file, remote_tree, signed_in
from e2e.cloud_fixture import LocalCloud, wait_until
from e2e.wiretap import Exchange, wiretap

NAMES = {
    "spaces and accents": "naïve plan für später.txt",
    "emoji": "🎒 packing 👩‍👩‍👧.txt",
    "nfc": unicodedata.normalize("NFC", "Zoë café.txt"),
    "nfd": unicodedata.normalize("NFD", "Ångström résumé.txt"),
    "leading dot": ".profile",
    "255 bytes": "é" * 125 + "x.txt",
    "newline": "two\nlines.txt",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_a_name_arrives_as_it_is(cloud: LocalCloud, tmp_path: Path, name: str) -> None:
    assert len(name.encode()) <= 255
    file = tmp_path / name
    digest = random_file(file, 1000)

    with signed_in(cloud, tmp_path / "client") as client:
        engine = client.start()
        dropped = engine.call("drop", paths=[str(file)], wait=True)

        assert fetched_sha256(cloud, dropped["links"][0]) == digest
        assert [node["name"] for node in engine.call("ls", path="/Drops")] == [name]


def test_an_empty_file_has_a_link_too(cloud: LocalCloud, tmp_path: Path) -> None:
    file = tmp_path / "empty.txt"
    digest = random_file(file, 0)

    with signed_in(cloud, tmp_path / "client") as client:
        dropped = client.start().call("drop", paths=[str(file)], wait=True)

    assert fetched_sha256(cloud, dropped["links"][0]) == digest


def test_bad_items_of_a_drop_say_why_and_do_not_stop_the_others(cloud: LocalCloud, tmp_path: Path) -> None:
    good, pipe, missing = tmp_path / "good.txt", tmp_path / "pipe", tmp_path / "missing.txt"
    digest = random_file(good, 5000)
    os.mkfifo(pipe)

    with signed_in(cloud, tmp_path / "client") as client:
        dropped = client.start().call("drop", paths=[str(missing), str(pipe), str(good)], wait=True)

    items = {Path(item["path"]).name: item for item in dropped["items"]}
    assert items["missing.txt"]["error"]
    assert items["pipe"]["error"]
    assert fetched_sha256(cloud, items["good.txt"]["link_url"]) == digest


def test_an_unreadable_file_is_held_with_a_remedy_and_the_others_go(cloud: LocalCloud, tmp_path: Path) -> None:
    folder = tmp_path / "Share"
    folder.mkdir()
    (folder / "open.txt").write_text("open")
    (folder / "secret.txt").write_text("secret")
    (folder / "secret.txt").chmod(0)

    with signed_in(cloud, tmp_path / "client") as client:
        engine = client.start()
        engine.call("root_add", dir=str(folder), to="/Share")
        wait_until(lambda: "open.txt" in remote_tree(engine, "/Share"))
        held = wait_until(lambda: engine.call("status")["roots"][0]["held"])
        dropped = engine.call("drop", paths=[str(folder / "secret.txt")], wait=True)

    assert [item["path"] for item in held] == ["secret.txt"]
    assert held[0]["reason"]
    assert held[0]["remedy"]
    assert dropped["items"][0]["error"]


def test_a_link_out_of_the_watched_folder_is_not_followed(cloud: LocalCloud, tmp_path: Path) -> None:
    folder, outside = tmp_path / "Share", tmp_path / "outside"
    folder.mkdir()
    outside.mkdir()
    (outside / "private.txt").write_text("private")
    (folder / "way out").symlink_to(outside, target_is_directory=True)
    (folder / "file out").symlink_to(outside / "private.txt")
    (folder / "inside.txt").write_text("inside")

    with signed_in(cloud, tmp_path / "client") as client:
        engine = client.start()
        engine.call("root_add", dir=str(folder), to="/Share")
        wait_until(lambda: "inside.txt" in remote_tree(engine, "/Share"))
        held = wait_until(lambda: engine.call("status")["roots"][0]["held"])

        assert set(remote_tree(engine, "/Share")) == {"inside.txt"}
        assert {item["path"] for item in held} == {"way out", "file out"}
        assert all(item["reason"] and item["remedy"] for item in held)


def test_a_file_that_grows_while_it_is_sent_ends_whole(cloud: LocalCloud, tmp_path: Path) -> None:
    file = tmp_path / "growing.bin"
    random_file(file, 40 << 20)

    with wiretap(cloud) as taps, signed_in(cloud, tmp_path / "client", taps.site) as client:
        taps.s3.spoil = lambda exchange, offset, block: (time.sleep(0.003), block)[1]

        def grow() -> None:
            wait_until(lambda: taps.s3.exchanges)
            with file.open("ab") as more:
                more.write(b"and more" * 1000)

        growing = threading.Thread(target=grow)
        growing.start()
        dropped = client.start().call("drop", paths=[str(file)], wait=True)
        growing.join()

    assert fetched_sha256(cloud, dropped["links"][0]) == hashlib.sha256(file.read_bytes()).hexdigest()


def test_a_file_deleted_while_it_is_sent_fails_alone(cloud: LocalCloud, tmp_path: Path) -> None:
    doomed, other = tmp_path / "doomed.bin", tmp_path / "other.bin"
    random_file(doomed, 120 << 20)
    digest = random_file(other, 1000)

    with wiretap(cloud) as taps, signed_in(cloud, tmp_path / "client", taps.site) as client:
        gone = threading.Event()

        def held(exchange: Exchange, _offset: int, block: bytes) -> bytes:
            # S3 takes nothing until the file is gone: the parts after the first few can only be read afterwards.
            if exchange.method == "PUT":
                gone.wait(60)
            return block

        taps.s3.spoil = held
        engine = client.start()
        dropped = engine.call("drop", paths=[str(doomed), str(other)])
        wait_until(lambda: any(e.part for e in taps.s3.exchanges))
        doomed.unlink()
        gone.set()

        def rows() -> dict[str, Any]:
            return {row["name"]: row for row in engine.call("status")["transfers"]}

        wait_until(lambda: rows()["other.bin"]["state"] == "done" and rows()["doomed.bin"]["state"] == "failed", 60)
        assert rows()["doomed.bin"]["message"]

    link = next(item["link_url"] for item in dropped["items"] if item["path"] == str(other))
    assert fetched_sha256(cloud, link) == digest


def test_a_full_quota_is_said_with_what_to_do_and_smaller_files_still_go(cloud: LocalCloud, tmp_path: Path) -> None:
    large, small = tmp_path / "large.bin", tmp_path / "small.bin"
    random_file(large, 2 << 20)
    digest = random_file(small, 1000)

    with signed_in(cloud, tmp_path / "client", quota=1 << 20) as client:
        dropped = client.start().call("drop", paths=[str(large), str(small)], wait=True)

    items = {Path(item["path"]).name: item for item in dropped["items"]}
    assert items["large.bin"]["error"].startswith("No room left")
    assert fetched_sha256(cloud, items["small.bin"]["link_url"]) == digest
