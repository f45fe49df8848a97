"""Whom Satchel is measured beside: rclone, which compares with what S3 lists, and Syncthing, which watches as we do."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench.measure import BenchError
from tests.bench.wire import contenders
from tests.bench.wire.contenders import S5CMD, Run
from tests.bench.wire.servers import Server

from .subject import until

PREFIX = "in-step"


class Rclone:
    """A folder and its copies, on this disk and on S3; each is made when it is first asked for."""

    def __init__(self, server: Server, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self._copy = folder.with_name(f"{folder.name} copied")
        self._sent = False

    def to_disk(self) -> Run:
        """One `rclone sync --size-only`."""
        if not self._copy.exists():
            shutil.copytree(self._folder, self._copy)
        return self._sync(str(self._copy))

    def to_s3(self) -> Run:
        if not self._sent:
            contenders.make_bucket(self._server, S5CMD)
            contenders.timed(contenders.send(S5CMD, self._server.plain, self._folder, PREFIX), self._server)
            self._sent = True
        return self._sync(f"bench:{S5CMD}/{PREFIX}")

    def _sync(self, to: str) -> Run:
        command = [*contenders.rclone("sync", self._server.plain), "--size-only", "--fast-list", str(self._folder), to]
        return contenders.timed(command, self._server)


class Syncthing:
    """A running Syncthing that talks to nobody."""

    def __init__(self, pid: int, address: str, key: str) -> None:
        self.pid = pid
        self._address = address
        self._key = key

    def add(self, folder: Path, files: int) -> None:
        """Watch it; returns when its first scan has found so many files."""

        def over() -> bool:
            status = self._ask("GET", "/rest/db/status?folder=bench")
            return bool(status["state"] == "idle" and status["localFiles"] >= files)

        self._ask("PUT", "/rest/config/folders/bench", {"id": "bench", "path": str(folder), "fsWatcherEnabled": True})
        until(over, "Syncthing's first scan does not end", every=0.2)

    def rescan(self) -> None:
        self._ask("POST", "/rest/db/scan?folder=bench")

    def ready(self) -> bool:
        with contextlib.suppress(OSError):
            self._ask("GET", "/rest/system/ping")
            return True
        return False

    def _ask(self, method: str, path: str, body: Any = None) -> Any:
        sent = None if body is None else json.dumps(body).encode()
        headers = {"X-API-Key": self._key, "Content-Type": "application/json"}
        request = urllib.request.Request(self._address + path, sent, headers, method=method)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=300) as reply:
            said = reply.read()
        return json.loads(said) if said.strip() else None


@contextlib.contextmanager
def syncthing(at: Path) -> Iterator[Syncthing]:
    """With a home of its own at `at` and no folder yet. Raises `BenchError` when it is not installed."""
    program = shutil.which("syncthing")
    if program is None:
        raise BenchError("Syncthing is not installed (`.ci/system-packages bench` installs it)")
    # Monitored: by ourselves, so that its work is done in the process that we look at and not in a child of it.
    environment = os.environ | {"HOME": str(at), "STNOUPGRADE": "1", "STMONITORED": "yes"}
    words = [program, "generate", f"--home={at}", "--no-default-folder", "--skip-port-probing"]
    subprocess.run(words, env=environment, capture_output=True, check=True, timeout=60)
    config = at / "config.xml"
    config.write_text(_alone(config.read_text()))
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    words = [program, "serve", f"--home={at}", "--no-browser", "--no-restart", f"--gui-address=127.0.0.1:{port}"]
    with (at / "log").open("wb") as log:
        process = subprocess.Popen([*words, "--gui-apikey=bench"], env=environment, stdout=log, stderr=log)
    try:
        found = Syncthing(process.pid, f"http://127.0.0.1:{port}", "bench")
        until(found.ready, lambda: f"Syncthing did not start: {(at / 'log').read_text()[-600:]}")
        yield found
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _alone(config: str) -> str:
    """Nobody is looked for, told of or listened to; and it does not step back for others, which would cost it time."""
    for name in ("globalAnnounceEnabled", "localAnnounceEnabled", "relaysEnabled", "natEnabled", "startBrowser",
                 "crashReportingEnabled", "setLowPriority"):  # fmt: skip
        config = re.sub(rf"<{name}>true</{name}>", f"<{name}>false</{name}>", config)
    config = re.sub(r"<urAccepted>0</urAccepted>", "<urAccepted>-1</urAccepted>", config)
    return re.sub(r"<listenAddress>.*?</listenAddress>", "<listenAddress>tcp://127.0.0.1:0</listenAddress>", config)
