"""A client of the tests: a home of its own, its engine in a process of its own, and the CLI."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e.cloud_fixture import LocalCloud, wait_until
from satchel.core.errors import EngineError, RefusedError
from satchel.engine.control import EngineClient


@dataclass
class Client:
    """`site` is where it signs in: the cloud's own address, or a wiretap's.

    Without a keyring every engine signs in by itself from `SATCHEL_PASSWORD_FILE`, so that a test may kill one and
    start the next.
    """

    home: Path
    site: str
    email: str
    password: str
    engine: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | {
            "SATCHEL_HOME": str(self.home),
            "SATCHEL_PASSWORD_FILE": str(self.home.parent / "password"),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring",
            "NO_COLOR": "1",
        }

    def command(self, *args: str) -> list[str]:
        """Without root's power to read what file modes forbid, which no user of a desktop has."""
        plain = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
        return [*plain, sys.executable, "-m", "satchel.cli", *args]

    def cli(self, *args: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            self.command(*args),
            check=False,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=240,
            **options,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"satchel {' '.join(args)} ended {done.returncode}\n{done.stdout}\n{done.stderr}")
        return done

    def json(self, *args: str) -> Any:
        return json.loads(self.cli("--json", *args).stdout)

    def sign_in(self) -> None:
        self.home.parent.mkdir(parents=True, exist_ok=True)
        password = self.home.parent / "password"
        password.touch(mode=0o600)
        password.write_text(self.password)
        self.cli("login", self.site, "--email", self.email, "--password-stdin", input=self.password)

    def start(self) -> EngineClient:
        """An engine that runs until `stop` or `kill`; ready to be called."""
        log = (self.home.parent / "engine.log").open("ab")
        self.engine = subprocess.Popen(
            self.command("sync"), env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )

        def answers() -> EngineClient | None:
            assert self.engine is not None
            assert self.engine.poll() is None, (self.home.parent / "engine.log").read_text()
            with contextlib.suppress(EngineError):
                return EngineClient(self.home)
            return None

        found = wait_until(answers, 20)
        assert isinstance(found, EngineClient)
        return found

    def kill(self) -> None:
        """As a crash would: no goodbye."""
        assert self.engine is not None
        self.engine.send_signal(signal.SIGKILL)
        self.engine.wait()
        self.engine = None

    def stop(self) -> None:
        if self.engine is not None:
            self.engine.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.engine.wait(20)
            self.engine.kill()
            self.engine = None


@contextlib.contextmanager
def signed_in(cloud: LocalCloud, folder: Path, site: str | None = None, quota: int | None = None) -> Iterator[Client]:
    """A client of a new account, signed in, its engine not yet running; stopped at the end."""
    email, password = cloud.new_user(quota=quota)
    client = Client(folder / "home", site or cloud.site, email, password)
    client.sign_in()
    try:
        yield client
    finally:
        client.stop()


def random_file(path: Path, size: int, seed: int = 0) -> str:
    """Content that no two seeds share and that does not compress; its SHA-256, hex."""
    digest = hashlib.sha256()
    block = hashlib.shake_256(f"{path.name}-{seed}".encode()).digest(1 << 20)
    with path.open("wb") as file:
        for number in range(0, size, len(block)):
            stamped = number.to_bytes(8, "big") + block[8:]
            piece = stamped[: size - number]
            file.write(piece)
            digest.update(piece)
    return digest.hexdigest()


def fetched_sha256(cloud: LocalCloud, link: str) -> str:
    """What a stranger with the link gets, by a plain HTTP client."""
    reply = cloud.request("GET", f"/p/{link.rsplit('/', 1)[-1]}/content", follow=True)
    assert reply.status == 200, reply
    return hashlib.sha256(reply.body).hexdigest()


def remote_tree(engine: EngineClient, folder: str) -> dict[str, tuple[int, str | None] | None]:
    """Everything in a remote folder: relative path to (size, SHA-256), or to None for a folder; nothing while the
    folder itself is not there."""
    out: dict[str, tuple[int, str | None] | None] = {}
    pending = [""]
    while pending:
        below = pending.pop()
        try:
            nodes = engine.call("ls", path=f"{folder}/{below}".rstrip("/"))
        except RefusedError as error:
            if error.kind != "not-found":
                raise
            continue
        for node in nodes:
            path = f"{below}/{node['name']}" if below else str(node["name"])
            revision = node.get("revision")
            out[path] = (revision["size"], revision.get("sha256")) if revision else None
            if node["kind"] == "folder":
                pending.append(path)
    return out


def local_tree(folder: Path) -> dict[str, tuple[int, str | None] | None]:
    """As `remote_tree`, of a local folder, leaving out what Satchel keeps in it for itself."""
    out: dict[str, tuple[int, str | None] | None] = {}
    for path in folder.rglob("*"):
        relative = path.relative_to(folder).as_posix()
        if relative.split("/")[0] == ".satchel":
            continue
        if path.is_dir():
            out[relative] = None
        else:
            content = path.read_bytes()
            out[relative] = (len(content), hashlib.sha256(content).hexdigest())
    return out


def in_step(engine: EngineClient, folder: Path, remote: str, seconds: float = 60) -> None:
    """Wait until the remote folder equals the local one; shows the difference otherwise."""
    deadline = time.monotonic() + seconds
    while (there := remote_tree(engine, remote)) != (here := local_tree(folder)):
        if time.monotonic() > deadline:
            missing = {p: v for p, v in here.items() if there.get(p, "-") != v}
            extra = {p: v for p, v in there.items() if p not in here}
            raise AssertionError(f"not in step after {seconds} s; missing or other: {missing}; extra: {extra}")
        time.sleep(0.3)
