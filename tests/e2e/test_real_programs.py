"""Acceptance of two-way folders: real programs at work in the folder of one computer, another computer and the cloud
beside it. Only one of them is written to, so nothing may ever be a conflict, and nothing may be taken away there.

`SATCHEL_SIM_SCALE` (as in `make sim`) makes everything as large as the programs make it.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import random
import shutil
import subprocess
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from e2e.client import local_tree, remote_tree
from e2e.cloud_fixture import LocalCloud
from e2e.test_two_way import Computer, computers

FULL = int(os.environ.get("SATCHEL_SIM_SCALE", "1")) > 1
FILES = 2000 if FULL else 40
PATIENCE = 900 if FULL else 120

Tree = dict[str, tuple[int, str | None] | None]


@pytest.fixture(scope="module")
def pair(cloud: LocalCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Computer]]:
    with computers(cloud, tmp_path_factory.mktemp("programs"), 2) as both:
        yield both


def in_step(pair: list[Computer], name: str, held: frozenset[str] = frozenset()) -> Tree:
    """Have both computers finish, and compare `name` in both folders, byte by byte: the tree. `held` are the paths that
    are held back. Asserts that the first computer kept all that its programs had written."""
    first, second = pair
    deadline = time.monotonic() + PATIENCE
    while True:
        for one in pair:
            one.engine.call("sync_once")
            one.confirm()
        rows = [one.row() for one in pair]
        ended = all(row["state"] in ("in_step", "attention") and not row["waiting"] for row in rows)
        as_expected = ({str(one["path"]) for one in _held(first)}, _held(second)) == (held, [])
        late = time.monotonic() > deadline
        if (ended and as_expected) or late:  # reading all of both takes from what they do
            trees = [_without(local_tree(one.folder / name), held, name) for one in pair]
            if ended and as_expected and trees[0] == trees[1]:
                break
            assert not late, (_differing(trees), rows)
        time.sleep(0.2)
    assert [path for path in trees[0] if "conflicted copy" in path] == []
    assert trashed(first) == []
    return trees[0]


def in_step_at_last(pair: list[Computer], name: str) -> Tree:
    """As `in_step`, and the cloud, too: asking for its tree takes a request for each folder."""
    tree = in_step(pair, name)
    there = remote_tree(pair[0].engine, f"/Work/{name}")
    assert there == tree, _differing([tree, there])
    return tree


def _without(tree: Tree, held: frozenset[str], name: str) -> Tree:
    return {path: found for path, found in tree.items() if f"{name}/{path}" not in held}


def _held(computer: Computer) -> list[dict[str, object]]:
    held = computer.row()["held"]
    assert isinstance(held, list)
    return held


def _differing(trees: list[Tree]) -> dict[str, list[object]]:
    paths = sorted(set().union(*trees))
    found: dict[str, list[object]] = {path: [tree.get(path, "-") for tree in trees] for path in paths}
    return {path: each for path, each in found.items() if any(one != each[0] for one in each)}


def trashed(computer: Computer) -> list[Path]:
    return [path for path in (computer.folder / ".satchel" / "trash").rglob("*") if path.is_file()]


def run(*command: str, at: Path) -> str:
    quiet = {"GIT_OPTIONAL_LOCKS": "0", "GIT_CONFIG_GLOBAL": os.devnull}
    done = subprocess.run(
        command, cwd=at, check=False, capture_output=True, text=True, timeout=240, env=os.environ | quiet
    )
    assert done.returncode == 0, f"{command} ended {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def text(seed: object, size: int = 2000) -> str:
    return hashlib.shake_256(str(seed).encode()).hexdigest(size // 2)


def node_id(computer: Computer, path: str) -> str:
    folder, _, name = path.rpartition("/")
    return next(str(node["node_id"]) for node in computer.engine.call("ls", path=folder) if node["name"] == name)


def revisions(cloud: LocalCloud, computer: Computer, path: str) -> int:
    """How many contents the service was given for a file."""
    reply = cloud.aws.client("dynamodb").query(
        TableName=cloud.table,
        KeyConditionExpression="PK = :node",
        ExpressionAttributeValues={
            ":node": {"S": f"A#{cloud.sub(computer.client.email)}#R#{node_id(computer, path)}"},
        },
        Select="COUNT",
    )
    return 1 + int(reply["Count"])


@contextlib.contextmanager
def seen(path: Path) -> Iterator[set[bytes]]:
    """Every content that a reader of the file gets meanwhile."""
    contents: set[bytes] = set()
    over = threading.Event()

    def look() -> None:
        while not over.wait(0.01):
            with contextlib.suppress(FileNotFoundError):
                contents.add(path.read_bytes())

    reader = threading.Thread(target=look)
    reader.start()
    try:
        yield contents
    finally:
        over.set()
        reader.join()


# -- many files -------------------------------------------------------------------------------------------------------


def test_a_clone_and_branch_switches_are_the_same_repository_elsewhere(pair: list[Computer], tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    origin.mkdir()
    who = ("-c", "user.name=Someone", "-c", "user.email=someone@example.com")
    run("git", "init", "--quiet", "--initial-branch=main", at=origin)
    for number in range(FILES):
        file = origin / f"part {number % 20}" / f"{number}.txt"
        file.parent.mkdir(exist_ok=True)
        file.write_text(text(number))
    run("git", "add", "--all", at=origin)
    run("git", *who, "commit", "--quiet", "--message=All", at=origin)
    run("git", "switch", "--quiet", "--create=other", at=origin)
    for number in range(0, FILES, 4):
        file = origin / f"part {number % 20}" / f"{number}.txt"
        if number % 40:
            file.write_text(text(f"other {number}"))
        else:
            file.rename(origin / f"moved {number}.txt")
    run("git", "add", "--all", at=origin)
    run("git", *who, "commit", "--quiet", "--message=Other", at=origin)

    if not FULL:
        run("git", "gc", "--quiet", at=origin)  # else every object is a file, with a folder for nearly each

    first, second = (one.folder / "repository" for one in pair)
    run("git", "clone", "--quiet", str(origin), "repository", at=pair[0].folder)
    assert len(in_step(pair, "repository")) > FILES
    run("git", "switch", "--quiet", "main", at=first)
    in_step(pair, "repository")
    for branch in ("other", "main", "other"):
        run("git", "switch", "--quiet", branch, at=first)
    in_step_at_last(pair, "repository")

    assert run("git", "status", "--porcelain", "--branch", at=second) == "## other...origin/other\n"
    assert run("git", "rev-parse", "HEAD", "main", at=second) == run("git", "rev-parse", "HEAD", "main", at=first)
    run("git", "fsck", "--strict", at=second)


def test_what_rsync_copies_and_copies_again_is_elsewhere(pair: list[Computer], tmp_path: Path) -> None:
    source = tmp_path / "source"
    for number in range(FILES):
        file = source / f"{number % 7}" / f"{number % 5}" / f"{number}.bin"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text(number))
        os.utime(file, (1_500_000_000 + number, 1_500_000_000 + number))
    run("rsync", "-a", f"{source}/", "copy/", at=pair[0].folder)
    assert in_step(pair, "copy") == local_tree(source)
    for number in range(0, FILES, 9):
        file = source / f"{number % 7}" / f"{number % 5}" / f"{number}.bin"
        file.write_text(text(f"again {number}"))
        # No time tells the two apart but the size, as where a clock stands still.
        os.utime(file, (1_500_000_000 + number, 1_500_000_000 + number))
        with file.open("a") as longer:
            longer.write("longer")
    (source / "0" / "0" / "0.bin").unlink()
    run("rsync", "-a", "--delete", f"{source}/", "copy/", at=pair[0].folder)
    assert in_step_at_last(pair, "copy") == local_tree(source)


def test_what_unzip_unpacks_is_elsewhere(pair: list[Computer], tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "archive.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(FILES):
            archive.writestr(f"unpacked/{number % 11}/Ä {number % 3}/{number}.txt", text(number) * (number % 9))
    run("unzip", "-q", str(tmp_path / "archive.zip"), at=pair[0].folder)
    tree = in_step_at_last(pair, "unpacked")
    assert sum(found is not None for found in tree.values()) == FILES


def npm(project: Path, packages: dict[str, dict[str, str]], at: Path) -> None:
    """The real one, from tarballs: it unpacks beside, and moves whole folders away and back."""
    wanted = {}
    for name, files in packages.items():
        described = {"name": name, "version": text(sorted(files.items()), 8), "bin": {name: "0.js"}}
        described["version"] = f"1.0.{int(str(described['version']), 16)}"
        tarball = at / f"{name}-{described['version']}.tgz"
        with tarfile.open(tarball, "w:gz") as packed:
            for path, content in [*files.items(), ("package.json", json.dumps(described))]:
                info = tarfile.TarInfo(f"package/{path}")
                info.size = len(content)
                packed.addfile(info, io.BytesIO(content.encode()))
        wanted[name] = f"file:{tarball}"
    (project / "package.json").write_text(json.dumps({"name": "project", "version": "1.0.0", "dependencies": wanted}))
    run("npm", "install", "--offline", "--no-audit", "--no-fund", f"--cache={at / 'cache'}", at=project)


def played_npm(project: Path, packages: dict[str, dict[str, str]], at: Path) -> None:
    """What npm does to the disk, for where there is none."""
    modules = project / "node_modules"
    (modules / ".bin").mkdir(parents=True, exist_ok=True)
    for name in packages:
        if (modules / name).exists():
            (modules / name).rename(modules / f".{name}-Ab3dE9x")
    for name, files in packages.items():
        for path, content in files.items():
            (modules / name / path).parent.mkdir(parents=True, exist_ok=True)
            (modules / name / path).write_text(content)
        (modules / ".bin" / name).unlink(missing_ok=True)
        (modules / ".bin" / name).symlink_to(f"../{name}/0.js")
    (modules / ".package-lock.json").write_text(json.dumps(sorted(packages)))
    for name in packages:
        shutil.rmtree(modules / f".{name}-Ab3dE9x", ignore_errors=True)


Install = Callable[[Path, dict[str, dict[str, str]], Path], None]


@pytest.mark.parametrize(
    "install",
    [pytest.param(npm, marks=pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not here")), played_npm],
)
def test_what_npm_installs_and_updates_is_elsewhere(pair: list[Computer], tmp_path: Path, install: Install) -> None:
    count = 50 if FULL else 8
    each = 100 if FULL else 15
    project = pair[0].folder / install.__name__
    project.mkdir()

    def packages(release: int) -> dict[str, dict[str, str]]:
        return {
            f"package-{number}": {
                f"{'lib/deep/' if at % 3 else ''}{at}.js": text((number, at, release * (at % 2)), 400)
                for at in range(each)
            }
            for number in range(count)
        }

    # Links are not followed: held back, and said so. They are the only thing.
    held = frozenset(f"{project.name}/node_modules/.bin/package-{number}" for number in range(count))
    for release in (1, 2):
        install(project, packages(release), tmp_path)
        tree = in_step(pair, project.name, held)
        for name, files in packages(release).items():
            for path, content in files.items():
                digest = hashlib.sha256(content.encode()).hexdigest()
                assert tree[f"node_modules/{name}/{path}"] == (len(content), digest)
    shutil.rmtree(project / "node_modules" / ".bin")
    in_step_at_last(pair, project.name)


# -- one file, saved --------------------------------------------------------------------------------------------------


def vim(file: Path, content: str, options: str) -> None:
    run(
        "vim",
        "-Nu",
        "NONE",
        "-es",
        "-c",
        f"set backupskip= {options}",  # else it keeps no backups below /tmp
        "-c",
        f"%s/.*/{content}/",
        "-c",
        "wq",
        str(file),
        at=file.parent,
    )


def libre_office(file: Path, content: str, _: str) -> None:
    """Played: a lock file, the new content beside it, renamed over."""
    lock = file.with_name(f".~lock.{file.name}#")
    lock.write_text("someone")
    beside = file.with_name(f"lu{random.getrandbits(40):x}.tmp")
    beside.write_text(f"{content}\n")
    beside.rename(file)
    lock.unlink()


def office(file: Path, content: str, _: str) -> None:
    """Played: the new content beside it, the old one moved out of the way, the new one moved in, the old one gone."""
    beside, old = file.with_name("6A3F21C0.tmp"), file.with_name("~WRL0003.tmp")
    beside.write_text(f"{content}\n")
    file.rename(old)
    beside.rename(file)
    old.unlink()


Save = Callable[[Path, str, str], None]


SAVES: dict[str, tuple[Save, str]] = {
    "vim": (vim, "nobackup"),
    "vim, moving backups": (vim, "backup backupcopy=no"),
    "vim, copying backups": (vim, "backup backupcopy=yes"),
    "LibreOffice": (libre_office, ""),
    "Office": (office, ""),
}


def test_a_file_that_is_saved_stays_the_same_file(cloud: LocalCloud, pair: list[Computer]) -> None:
    chance = random.Random("saves")
    files = {program: pair[0].folder / "saved" / program / "report.txt" for program in SAVES}
    for file in files.values():
        file.parent.mkdir(parents=True)
        file.write_text("begun\n")
    in_step(pair, "saved")
    nodes = {program: node_id(pair[0], f"/Work/saved/{program}/report.txt") for program in SAVES}
    texts = ["begun", *(text(number) for number in range(20 if FULL else 4))]
    with contextlib.ExitStack() as readers:
        there = pair[1].folder / "saved"
        contents = {program: readers.enter_context(seen(there / program / "report.txt")) for program in SAVES}
        for content in texts[1:]:
            for program, (save, options) in SAVES.items():
                save(files[program], content, options)
                time.sleep(chance.uniform(0, 0.5))
        tree = in_step_at_last(pair, "saved")
    backups = {f"{program}/report.txt~" for program, (_, options) in SAVES.items() if "backup " in options}
    assert set(tree) == {*SAVES, *(f"{program}/report.txt" for program in SAVES), *backups}
    for program, file in files.items():
        assert file.read_text() == f"{texts[-1]}\n"
        assert contents[program] <= {f"{content}\n".encode() for content in texts}, program
        assert node_id(pair[0], f"/Work/saved/{program}/report.txt") == nodes[program], program
        assert revisions(cloud, pair[0], f"/Work/saved/{program}/report.txt") <= len(texts)


def test_a_log_that_grows_is_sent_whole_and_a_few_times(cloud: LocalCloud, pair: list[Computer]) -> None:
    folder = pair[0].folder / "logs"
    folder.mkdir()
    with (folder / "service.log").open("a", buffering=1) as log:
        for number in range(200 if FULL else 60):
            log.write(f"{number} {text(number, 100)}\n")
            time.sleep(0.1)
    in_step_at_last(pair, "logs")
    assert revisions(cloud, pair[0], "/Work/logs/service.log") <= 4


def test_a_file_that_is_written_slowly_is_seen_whole_or_not_at_all(cloud: LocalCloud, pair: list[Computer]) -> None:
    file = pair[0].folder / "slow" / "film.bin"
    file.parent.mkdir()
    whole = random.Random(2).randbytes(2_000_000)
    with seen(pair[1].folder / "slow" / "film.bin") as contents:
        for version in (whole, whole[::-1]):
            # In place, from the start, as programs do that know no better.
            with file.open("wb", buffering=0) as writing:
                for at in range(0, len(version), 200_000):
                    writing.write(version[at : at + 200_000])
                    time.sleep(0.4)
            in_step_at_last(pair, "slow")
    assert contents == {whole, whole[::-1]}
    assert revisions(cloud, pair[0], "/Work/slow/film.bin") == 2


@pytest.fixture
def both(cloud: LocalCloud, tmp_path: Path) -> Iterator[list[Computer]]:
    """Where both are written to."""
    with computers(cloud, tmp_path, 2) as both:
        yield both


def test_a_save_that_races_with_what_comes_in_loses_neither(both: list[Computer]) -> None:
    """Whatever either saved is in the folder, in a copy of it, or in the trash."""
    chance = random.Random("race")
    first, second = both
    name = "raced"
    (first.folder / name).mkdir()
    (first.folder / name / "note.txt").write_text("begun")
    _equal(both, name)
    here, there = first.folder / name / "note.txt", second.folder / name / "note.txt"
    partials = second.folder / ".satchel" / "partial"
    for number in range(30 if FULL else 4):
        content = chance.randbytes(300_000)
        here.write_bytes(content)
        first.engine.call("sync_once")
        mine = chance.randbytes(1000)
        fetching = threading.Thread(target=lambda: second.engine.call("sync_once"))
        fetching.start()
        # Just when the new content has been gathered, and is about to take the file's place.
        until = time.monotonic() + 5
        while not (partials.exists() and any(partials.iterdir())) and time.monotonic() < until:
            time.sleep(0.0005)
        time.sleep(chance.choice([0, 0, 0.002, 0.01, 0.05]))
        if number % 2:
            there.write_bytes(mine)
        else:
            beside = there.with_name("beside.tmp")
            beside.write_bytes(mine)
            beside.rename(there)
        fetching.join()
        _equal(both, name)
        kept = {path.read_bytes() for one in both for path in one.folder.rglob("*") if path.is_file()}
        assert [saved in kept for saved in (content, mine)] == [True, True]


def _equal(pair: list[Computer], name: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        for one in pair:
            one.engine.call("sync_once")
        trees = [local_tree(one.folder / name) for one in pair] + [remote_tree(pair[0].engine, f"/Work/{name}")]
        if trees[0] == trees[1] == trees[2] and all(one.row()["state"] == "in_step" for one in pair):
            return
        assert time.monotonic() < deadline, (_differing(trees), [one.row() for one in pair])
        time.sleep(0.2)
