"""Acceptance of the watched folder: the whole client on the real local cloud."""

from __future__ import annotations

import os
import random
import shutil
import time
from pathlib import Path

from e2e.client import in_step, random_file, signed_in
from e2e.cloud_fixture import LocalCloud, wait_until
from e2e.wiretap import wiretap


def test_a_hundred_files_made_edited_renamed_and_deleted_in_5_s_end_as_an_identical_tree(
    cloud: LocalCloud, tmp_path: Path
) -> None:
    folder = tmp_path / "Share"
    folder.mkdir()
    chance = random.Random(7)

    with signed_in(cloud, tmp_path) as client:
        engine = client.start()
        engine.call("root_add", dir=str(folder), to="/Share")
        began = time.monotonic()
        files = [folder / f"a{n % 5}" / f"b{n % 3}" / f"file {n}.txt" for n in range(100)]
        for number, file in enumerate(files):
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(f"first {number}".encode() * chance.randint(1, 2000))
            time.sleep(0.02)
        for number, file in enumerate(files):
            match number % 4:
                case 0:
                    file.write_bytes(f"edited {number}".encode() * chance.randint(1, 2000))
                case 1:
                    file.rename(file.with_name(f"renamed {number}.txt"))
                case 2:
                    file.unlink()
            time.sleep(0.01)
        (folder / "a0").rename(folder / "moved")
        shutil.rmtree(folder / "a1")
        assert time.monotonic() - began < 5

        in_step(engine, folder, "/Share")


def test_a_rename_sends_no_bytes(cloud: LocalCloud, tmp_path: Path) -> None:
    folder = tmp_path / "Share"
    (folder / "old").mkdir(parents=True)
    for number in range(10):
        random_file(folder / "old" / f"{number}.bin", 100_000, number)

    with wiretap(cloud) as taps, signed_in(cloud, tmp_path, taps.site) as client:
        engine = client.start()
        engine.call("root_add", dir=str(folder), to="/Share")
        in_step(engine, folder, "/Share")
        before = len(taps.s3.exchanges)

        (folder / "old" / "3.bin").rename(folder / "old" / "three.bin")
        (folder / "old").rename(folder / "new")
        in_step(engine, folder, "/Share")

        assert len(taps.s3.exchanges) == before


def test_a_file_written_slowly_over_5_s_is_uploaded_once_and_whole(cloud: LocalCloud, tmp_path: Path) -> None:
    folder = tmp_path / "Share"
    folder.mkdir()

    with wiretap(cloud) as taps, signed_in(cloud, tmp_path, taps.site) as client:
        engine = client.start()
        engine.call("root_add", dir=str(folder), to="/Share")
        with (folder / "slow.log").open("wb") as file:
            for number in range(25):
                file.write(f"line {number}\n".encode() * 1000)
                file.flush()
                time.sleep(0.2)
        in_step(engine, folder, "/Share")

        assert len(taps.s3.puts()) == 1


def test_verify_finds_the_one_byte_that_no_scan_can_see(cloud: LocalCloud, tmp_path: Path) -> None:
    folder = tmp_path / "Share"
    (folder / "sub").mkdir(parents=True)
    for number in range(30):
        random_file(folder / "sub" / f"{number}.bin", 10_000, number)
    random_file(folder / "large.bin", 20 << 20)

    with signed_in(cloud, tmp_path) as client:
        engine = client.start()
        engine.call("root_add", dir=str(folder), to="/Share")
        in_step(engine, folder, "/Share")
        assert ": 31 files equal\n" in client.cli("verify").stdout

        file = folder / "large.bin"
        before = file.stat()
        with file.open("r+b") as changed:
            changed.seek(12_345_678)
            byte = changed.read(1)
            changed.seek(12_345_678)
            changed.write(bytes([byte[0] ^ 1]))
        os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
        rows = engine.call("verify", root_id_or_dir=str(folder))
    assert (rows[0]["verified"]["equal"], rows[0]["verified"]["differing"]) == (30, 1)


def test_of_a_large_file_that_changed_only_the_change_is_sent(cloud: LocalCloud, tmp_path: Path) -> None:
    folder = tmp_path / "Share"
    folder.mkdir()
    file, mib = folder / "disk.img", 1024 * 1024

    with wiretap(cloud) as taps, signed_in(cloud, tmp_path, taps.site) as client:
        engine = client.start()
        first = random.Random(7).randbytes(40 * mib)
        file.write_bytes(first)
        engine.call("root_add", dir=str(folder), to="/Share")
        in_step(engine, folder, "/Share")
        before = len(taps.s3.exchanges)
        file.write_bytes(first[: 20 * mib] + b"more" + first[20 * mib :])
        in_step(engine, folder, "/Share", seconds=60)

        new = taps.s3.exchanges[before:]
        assert 0 < sum(one.request_bytes for one in new) <= 6 * mib
        client.cli("get", "/Share/disk.img", "-o", str(tmp_path / "back.img"))
        assert (tmp_path / "back.img").read_bytes() == file.read_bytes()


def test_what_changed_while_no_engine_ran_is_caught_up(cloud: LocalCloud, tmp_path: Path) -> None:
    folder = tmp_path / "Share"
    folder.mkdir()
    (folder / "kept.txt").write_text("kept")
    (folder / "gone.txt").write_text("gone")

    with signed_in(cloud, tmp_path) as client:
        engine = client.start()
        engine.call("root_add", dir=str(folder), to="/Share")
        in_step(engine, folder, "/Share")
        client.kill()
        (folder / "gone.txt").unlink()
        (folder / "new").mkdir()
        (folder / "kept.txt").rename(folder / "new" / "kept.txt")
        (folder / "new.txt").write_text("new")

        client.cli("sync", "--once")
        in_step(client.start(), folder, "/Share", seconds=5)


def test_a_mass_delete_waits_for_a_word_and_what_is_ignored_stays_where_it_is(
    cloud: LocalCloud, tmp_path: Path
) -> None:
    folder = tmp_path / "Share"
    folder.mkdir()
    for number in range(20):
        (folder / f"{number}.txt").write_text(f"{number}")

    def remote() -> set[str]:
        return {node["name"] for node in engine.call("ls", path="/Share")}

    with signed_in(cloud, tmp_path) as client:
        engine = client.start()
        engine.call("root_add", dir=str(folder), to="/Share")
        in_step(engine, folder, "/Share")
        for number in range(15):
            (folder / f"{number}.txt").unlink()
        wait_until(lambda: engine.call("root_list")[0]["deletions"] == 15, 20)
        assert len(remote()) == 20

        client.cli("root", "confirm", str(folder), "--files", "15")
        in_step(engine, folder, "/Share")

        (folder / ".satchelignore").write_text("1[5-9].txt\n")
        wait_until(lambda: ".satchelignore" in remote(), 20)
        for number in range(15, 20):
            (folder / f"{number}.txt").unlink()
        wait_until(lambda: engine.call("root_list")[0]["state"] == "in_step", 20)
        client.cli("sync", "--once")
        assert remote() == {".satchelignore", *(f"{number}.txt" for number in range(15, 20))}


def test_a_folder_named_from_where_one_stands_is_watched_and_no_longer(cloud: LocalCloud, tmp_path: Path) -> None:
    (tmp_path / "Share").mkdir()

    with signed_in(cloud, tmp_path / "client") as client:
        engine = client.start()
        client.cli("root", "add", "Share", cwd=tmp_path)
        assert [root["path"] for root in engine.call("root_list")] == [str(tmp_path / "Share")]
        client.cli("root", "remove", "Share", cwd=tmp_path)
        assert engine.call("root_list") == []
