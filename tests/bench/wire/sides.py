"""How Satchel takes part in each view; the peers do the same in both."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from . import contenders
from .contenders import RCLONE, S5CMD, SATCHEL
from .deployed import Deployed, command, deployed, satchel
from .rows import ROUND_TRIP_S, Row
from .servers import Server, seaweed


@dataclass(frozen=True)
class Work:
    """One run: `files` to be sent to `endpoint`, or the one file fetched to `dest` that s5cmd stored there under `key`.
    `home` is a folder in one of its own, empty when the run begins."""

    files: Path
    key: str
    dest: Path
    home: Path
    endpoint: str


class Side(Protocol):
    server: Server

    def bucket(self, who: str) -> str:
        """Where somebody's bytes go."""

    def empty(self, who: str) -> None:
        """Throw away what somebody sent."""

    def serving(self, row: Row, endpoint: str) -> AbstractContextManager[None]:
        """Around the runs of a row, which send to `endpoint`."""

    def begin(self, row: Row, files: Path, home: Path) -> None:
        """All that comes before and is not timed: for a row with an edit, `files` are sent as they were."""

    def command(self, row: Row, work: Work) -> list[str]:
        """What is timed."""


class Engine:
    """The engine's transfers alone, with addresses signed in its own process."""

    def __init__(self, server: Server) -> None:
        self.server = server

    def bucket(self, who: str) -> str:
        return who

    def empty(self, who: str) -> None:
        contenders.empty_bucket(self.server, who)

    @contextlib.contextmanager
    def serving(self, row: Row, endpoint: str) -> Iterator[None]:
        yield

    def begin(self, row: Row, files: Path, home: Path) -> None:
        if row.edit:
            contenders.timed(_subject("upload", self.server.plain, SATCHEL, str(files), str(home)), self.server)

    def command(self, row: Row, work: Work) -> list[str]:
        if row.down:
            return _subject("download", work.endpoint, S5CMD, work.key, str(work.dest))
        return _subject("upload", work.endpoint, SATCHEL, str(work.files), str(work.home))


class Product:
    """The command line of a signed-in home, and the deployed service. Each run has an account of its own: what an
    account holds already would not be sent. Every bucket has versions, as the service's must."""

    def __init__(self, server: Server, service: Deployed) -> None:
        self.server = server
        self._service = service

    def bucket(self, who: str) -> str:
        return self._service.bucket if who == SATCHEL else who

    def empty(self, who: str) -> None:
        contenders.empty_bucket(self.server, self.bucket(who), versions=True)

    def serving(self, row: Row, endpoint: str) -> AbstractContextManager[None]:
        return self._service.keeping_at(endpoint, self.server)

    def begin(self, row: Row, files: Path, home: Path) -> None:
        self._service.sign_in(home)
        if row.edit:
            # A drop is always a file of its own: new revisions come from a folder that is kept in step.
            self._into_root(files, home)
            satchel(home, "root", "add", str(_root(home)))
            satchel(home, "sync", "--once")
        elif row.down:
            satchel(home, "put", *_one_or_all(files))

    def command(self, row: Row, work: Work) -> list[str]:
        # Whoever is far from S3 is as far from the service.
        late = ROUND_TRIP_S if row.far else 0.0
        if row.down:
            name = work.key.rpartition("/")[2]
            return command(work.home, "get", f"/Drops/{name}", "--output", str(work.dest), late=late)
        if row.edit:
            self._into_root(work.files, work.home)
            return command(work.home, "sync", "--once", late=late)
        return command(work.home, "put", *_one_or_all(work.files), late=late)

    def _into_root(self, files: Path, home: Path) -> None:
        """Into the watched folder, in place of what is there; they cost no copy."""
        root = _root(home)
        root.mkdir(exist_ok=True)
        for file in files.iterdir():
            (root / file.name).unlink(missing_ok=True)
            os.link(file, root / file.name)


@contextlib.contextmanager
def engine() -> Iterator[Side]:
    with seaweed(contenders.binary("weed")) as server:
        side = Engine(server)
        for who in (SATCHEL, S5CMD, RCLONE):
            contenders.make_bucket(server, side.bucket(who))
        yield side


@contextlib.contextmanager
def product() -> Iterator[Side]:
    with deployed() as service, seaweed(contenders.binary("weed"), dict([service.key])) as server:
        side = Product(server, service)
        for who in (SATCHEL, S5CMD, RCLONE):
            contenders.make_bucket(server, side.bucket(who), versions=True)
        yield side


SIDES = {"engine": engine, "product": product}


def _subject(*words: str) -> list[str]:
    return [sys.executable, "-m", "tests.bench.wire.subject", *words]


def _root(home: Path) -> Path:
    return home.with_name("root")


def _one_or_all(files: Path) -> list[str]:
    """One file by itself, more of them as their folder."""
    there = list(files.iterdir())
    return [str(there[0] if len(there) == 1 else files)]
