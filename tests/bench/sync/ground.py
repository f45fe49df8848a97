"""What rows are measured on, made when first asked for and gone at the end."""

from __future__ import annotations

from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from tests.bench.measure import BenchError
from tests.bench.wire import contenders
from tests.bench.wire.deployed import deployed
from tests.bench.wire.servers import Server, seaweed
from tests.e2e.cloud_fixture import LocalCloud

from . import folder
from .peers import Rclone, Syncthing, syncthing
from .subject import Home, Mode, Subject

MODES: tuple[Mode, ...] = ("upload-only", "two-way")


@dataclass
class Ground:
    """`at` is a folder for all of it, `idle` the seconds of doing nothing."""

    at: Path
    files: int
    runs: int
    idle: float
    stack: ExitStack

    @cached_property
    def subjects(self) -> dict[Mode, Subject]:
        """Each with files of its own."""
        return {mode: Subject(self.cloud, self.at / mode, mode, self.files) for mode in MODES}

    @cached_property
    def peers_folder(self) -> Path:
        """The same files for the peers."""
        made = self.at / "peers"
        folder.fill(made, self.files)
        return made

    @cached_property
    def rclone(self) -> Rclone:
        return Rclone(self._server, self.peers_folder)

    @cached_property
    def syncthing(self) -> Syncthing | BenchError:
        """Watching them; or why it is not there."""
        try:
            found = self.stack.enter_context(self.fresh_syncthing("syncthing"))
        except BenchError as error:
            return error
        found.add(self.peers_folder, self.files)
        return found

    def fresh_syncthing(self, name: str) -> AbstractContextManager[Syncthing]:
        at = self.at / name
        at.mkdir()
        return syncthing(at)

    def fresh_home(self, name: str) -> Home:
        return Home(self.cloud, self.at / name)

    @cached_property
    def cloud(self) -> LocalCloud:
        return self.stack.enter_context(deployed()).cloud

    @cached_property
    def _server(self) -> Server:
        return self.stack.enter_context(seaweed(contenders.binary("weed")))
