"""The service as it is deployed: the real templates on the local cloud, its content in the S3 server of all."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.measure import BenchError
from tests.e2e.cloud_fixture import LocalCloud, bring_up

from satchel.hosting import local

from .servers import Server

LIMIT_S = 300
_START = Path(__file__).with_name("function")


@dataclass(frozen=True)
class Deployed:
    """A running deployment."""

    cloud: LocalCloud

    @property
    def key(self) -> tuple[str, str]:
        """The access key and secret that the service shows to S3."""
        assert self.cloud.aws.key is not None
        return self.cloud.aws.key

    @property
    def bucket(self) -> str:
        return self.cloud.content_bucket

    @contextlib.contextmanager
    def keeping_at(self, endpoint: str, server: Server) -> Iterator[None]:
        """Meanwhile content lies at `endpoint`, an address of `server`, near or far for the client."""
        access, secret = self.key
        near = server.tls if endpoint.startswith("https:") else server.plain
        with self.cloud.serving_with(
            "api",
            AWS_ENDPOINT_URL_S3=endpoint,
            AWS_CA_BUNDLE=str(server.certificate),
            BENCH_ACCESS_KEY=access,
            BENCH_SECRET_KEY=secret,
            BENCH_FAR_PORT=endpoint.rpartition(":")[2],
            BENCH_NEAR_PORT=near.rpartition(":")[2],
            PYTHONPATH=str(_START),
        ):
            yield

    def sign_in(self, home: Path) -> None:
        """`home` belongs to an account of its own from now on, which has nothing yet."""
        email, password = self.cloud.new_user(quota=1 << 50)
        satchel(home, "login", self.cloud.site, "--email", email, "--password-stdin", said=password)


@contextlib.contextmanager
def deployed() -> Iterator[Deployed]:
    """A fresh deployment, gone at the end."""
    with tempfile.TemporaryDirectory(prefix="satchel-bench-") as folder:
        state = Path(folder) / "cloud"
        try:
            yield Deployed(bring_up(state))
        finally:
            local.erase(state)


def command(home: Path, *words: str, late: float = 0.0) -> list[str]:
    """`satchel WORDS`, its answers from the service coming `late` seconds later than they do."""
    return [sys.executable, "-m", "tests.bench.wire.product", str(home), str(late), *words]


def satchel(home: Path, *words: str, said: str = "") -> None:
    """Run one command that is not measured. Raises `BenchError`."""
    done = subprocess.run(
        command(home, *words), input=said.encode(), capture_output=True, timeout=LIMIT_S, check=False, env=os.environ
    )
    if done.returncode:
        raise BenchError(f"satchel {words[0]} ended {done.returncode}: {done.stderr.decode(errors='replace')[-600:]}")
