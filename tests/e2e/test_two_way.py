"""Acceptance of two-way folders: several whole clients, each a process with a home of its own, on the local cloud.

`SATCHEL_SIM_SCALE` (as in `make sim`) makes the random part last longer.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.client import Client, local_tree, remote_tree
from e2e.cloud_fixture import LocalCloud, wait_until
from satchel.core.errors import UsageError
from satchel.core.names import name_key

SECONDS = 60 if int(os.environ.get("SATCHEL_SIM_SCALE", "1")) > 1 else 12
NAMES = ["a", "b", "c.txt", "d.txt", "deep", "Ä ö.txt"]


class Computer:
    def __init__(self, cloud: LocalCloud, at: Path, email: str, password: str) -> None:
        self.folder = at / "Work"
        self.folder.mkdir(parents=True)
        self.client = Client(at / "home", cloud.site, email, password)
        self.client.sign_in()
        self.engine = self.client.start()
        self.engine.call("root_add", dir=str(self.folder), to="/Work", two_way=True)

    def restart(self) -> None:
        self.client.kill()
        self.engine = self.client.start()

    def row(self) -> dict[str, object]:
        row: dict[str, object] = self.engine.call("root_list")[0]
        return row

    def confirm(self) -> None:
        """Where so much is deleted at once that the folder asks: that was meant."""
        row = self.row()
        if row["deletions"]:
            with contextlib.suppress(UsageError):  # more are gone by now
                self.engine.call("root_confirm", root_id_or_dir=row["root_id"], files=row["deletions"])


@contextlib.contextmanager
def computers(cloud: LocalCloud, at: Path, count: int) -> Iterator[list[Computer]]:
    """Of one account, each with the same remote folder in step."""
    email, password = cloud.new_user()
    with contextlib.ExitStack() as running:
        made = [Computer(cloud, at / f"pc{number}", email, password) for number in range(count)]
        for computer in made:
            running.callback(computer.client.stop)
        try:
            yield made
        except BaseException:
            for number in range(count):
                print(f"pc{number}:", (at / f"pc{number}" / "engine.log").read_text()[-2000:])
            raise


def equal(all_of_them: list[Computer], seconds: float = 120) -> dict[str, tuple[int, str | None] | None]:
    """Wait until every folder and the cloud are equal, byte by byte, and say so; the tree they agree on."""

    def agreed() -> bool:
        for one in all_of_them:
            one.confirm()
        trees = [local_tree(one.folder) for one in all_of_them]
        return (
            all(tree == trees[0] for tree in trees)
            and remote_tree(all_of_them[0].engine, "/Work") == trees[0]
            and all(one.row()["state"] == "in_step" for one in all_of_them)
        )

    try:
        wait_until(agreed, seconds)
    except AssertionError:
        trees = [local_tree(one.folder) for one in all_of_them] + [remote_tree(all_of_them[0].engine, "/Work")]
        everything = set().union(*trees)
        differing = {path: [tree.get(path, "-") for tree in trees] for path in sorted(everything)}
        differing = {path: found for path, found in differing.items() if any(one != found[0] for one in found)}
        rows = [(one.row()["state"], one.row()["waiting"], one.row()["held"]) for one in all_of_them]
        raise AssertionError(f"differing: {differing}; {rows}") from None
    return local_tree(all_of_them[0].folder)


def act(chance: random.Random, folder: Path) -> None:
    """One thing that a person does."""
    known = [path for path in folder.rglob("*") if ".satchel" not in path.parts]
    some = chance.choice(known) if known else folder / "a"
    fresh = chance.choice([folder, *(path for path in known if path.is_dir())]) / chance.choice(NAMES)
    content = chance.randbytes(chance.choice([0, 10, 1000, 100_000]))
    with contextlib.suppress(OSError, shutil.Error):  # others act on the folder, too
        match chance.randrange(8):
            case 0 | 1 | 2:
                if not _clashes(fresh):
                    fresh.write_bytes(content)
            case 3:
                if some.is_file():
                    some.write_bytes(content)
            case 4:
                if not _clashes(fresh):
                    fresh.mkdir()
            case 5 | 6:
                if fresh != some and some not in fresh.parents and not _clashes(fresh):
                    some.rename(fresh)
            case 7 if chance.random() < 0.4:
                shutil.rmtree(some) if some.is_dir() else some.unlink()


def _clashes(path: Path) -> bool:
    """Names that are one to the service are held back by design."""
    return any(
        name_key(other.name) == name_key(path.name) and other.name != path.name for other in path.parent.iterdir()
    )


@pytest.mark.parametrize("count", [2, 3])
def test_random_edits_and_kills_end_in_equal_folders(cloud: LocalCloud, tmp_path: Path, count: int) -> None:
    chance = random.Random(f"two-way {count}")
    kept: set[bytes] = set()
    with computers(cloud, tmp_path, count) as all_of_them:
        until = time.monotonic() + SECONDS
        kills = [time.monotonic() + SECONDS * share for share in (0.2, 0.45, 0.7, 0.9)]
        while time.monotonic() < until:
            computer = chance.choice(all_of_them)
            act(chance, computer.folder)
            if kills and time.monotonic() > kills[0]:
                kills.pop(0)
                chance.choice(all_of_them).restart()
            time.sleep(chance.choice([0.0, 0.02, 0.1, 0.4]))
        for number, computer in enumerate(all_of_them):
            # The newest of each computer must be somewhere in the end.
            last = f"the last of {number}".encode()
            (computer.folder / f"last {number}.txt").write_bytes(last)
            kept.add(last)
        tree = equal(all_of_them)
        assert {f"last {number}.txt" for number in range(count)} <= set(tree)
        for computer in all_of_them:
            computer.restart()
        assert equal(all_of_them) == tree


def test_a_new_computer_gets_everything_and_a_deletion_there_reaches_the_first(
    cloud: LocalCloud, tmp_path: Path
) -> None:
    with computers(cloud, tmp_path, 1) as [first]:
        (first.folder / "sub").mkdir()
        big = random.Random(1).randbytes(20 * 1024 * 1024)
        (first.folder / "sub" / "big.bin").write_bytes(big)
        (first.folder / "small.txt").write_text("small")
        equal([first])
        second = Computer(cloud, tmp_path / "new", first.client.email, first.client.password)
        try:
            equal([first, second])
            assert (second.folder / "sub" / "big.bin").read_bytes() == big
            (second.folder / "small.txt").unlink()
            wait_until(lambda: not (first.folder / "small.txt").exists(), 60)
            trash = list((first.folder / ".satchel" / "trash").rglob("small.txt"))
            assert [file.read_text() for file in trash] == ["small"]
            assert set(equal([first, second])) == {"sub", "sub/big.bin"}
        finally:
            second.client.stop()


def test_what_one_computer_leaves_out_stays_online_and_comes_back_when_it_is_wanted(
    cloud: LocalCloud, tmp_path: Path
) -> None:
    with computers(cloud, tmp_path, 2) as [first, second]:
        for name in ("films/old/a.bin", "films/b.bin", "note.txt"):
            (first.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (first.folder / name).write_text(name)
        equal([first, second])

        row = second.engine.call("root_leave_out", path=str(second.folder / "films"))
        assert row["root_id"] == second.row()["root_id"]
        wait_until(lambda: second.row()["left_out"] == ["films"] and second.row()["state"] == "in_step", 60)
        assert set(local_tree(second.folder)) == {"note.txt"}
        kept = list((second.folder / ".satchel" / "trash").rglob("a.bin"))
        assert [file.read_text() for file in kept] == ["films/old/a.bin"]

        (first.folder / "films" / "new.bin").write_text("new")
        (first.folder / "more.txt").write_text("more")
        wait_until((second.folder / "more.txt").exists, 60)
        second.restart()
        wait_until(lambda: second.row()["state"] == "in_step", 60)
        assert set(local_tree(second.folder)) == {"more.txt", "note.txt"}
        assert set(remote_tree(first.engine, "/Work")) == {
            "films", "films/b.bin", "films/new.bin", "films/old", "films/old/a.bin", "more.txt", "note.txt",
        }  # fmt: skip

        second.engine.call("root_take_in", path=str(second.folder / "films"))
        assert "films/new.bin" in equal([first, second])
