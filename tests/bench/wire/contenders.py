"""Who takes part: Satchel, and its peers s5cmd and rclone as commands that send a folder or fetch one file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from tests.bench.measure import BenchError

from .servers import Server
from .signing import ACCESS_KEY, REGION, SECRET_KEY

SATCHEL, S5CMD, RCLONE = "satchel", "s5cmd", "rclone"
LIMIT_S = 600
_WATCH = Path(__file__).with_name("watch.py")


@dataclass(frozen=True)
class Run:
    """What one run took: `peak_mb` is the largest resident set of the process. The rest is what Satchel tells of
    itself: the bytes it `sent`, and of the service what `product.Edges.figures` says."""

    seconds: float
    cpu_s: float
    peak_mb: float
    sent: int | None = None
    calls: int | None = None
    calls_s: float | None = None
    service_s: float | None = None
    waited_s: float | None = None


def binary(name: str) -> Path:
    """A program that the extra `bench` installs. Raises `BenchError` when it is not there."""
    package = find_spec(name)
    inside = Path(package.origin).parent / "bin" / name if package is not None and package.origin else None
    for place in (inside, Path(sys.executable).with_name(name)):
        if place is not None and place.is_file():
            return place
    raise BenchError(f"{name} is not installed; `make bench` installs it")


def send(peer: str, endpoint: str, folder: Path, prefix: str) -> list[str]:
    """`prefix` is where in the peer's bucket: nobody finds there what an earlier run sent."""
    if peer == S5CMD:
        return [*_s5cmd(endpoint), "cp", f"{folder}/", f"s3://{S5CMD}/{prefix}/"]
    return [*rclone("copy", endpoint), str(folder), f"bench:{RCLONE}/{prefix}", "--no-traverse", "--no-check-dest"]


def fetch(peer: str, endpoint: str, bucket: str, key: str, dest: Path) -> list[str]:
    if peer == S5CMD:
        return [*_s5cmd(endpoint), "cp", f"s3://{bucket}/{key}", str(dest)]
    return [*rclone("copyto", endpoint), f"bench:{bucket}/{key}", str(dest), "--multi-thread-streams", "8"]


def make_bucket(server: Server, name: str, *, versions: bool = False) -> None:
    _do([*_s5cmd(server.plain), "mb", f"s3://{name}"], server)
    if versions:
        _do([*_s5cmd(server.plain), "bucket-version", "--set", "Enabled", f"s3://{name}"], server)


def empty_bucket(server: Server, name: str, *, versions: bool = False) -> None:
    which = ["--all-versions"] if versions else []
    _do([*_s5cmd(server.plain), "rm", *which, f"s3://{name}/*"], server)
    server.reclaim()


def timed(command: list[str], server: Server) -> Run:
    """Raises `BenchError` when it does not end well."""
    run, words = watched(command, environment(server))
    told = json.loads(words) if command[0] == sys.executable else {}
    own = {name: told[name] for name in ("sent", "calls", "calls_s", "service_s", "waited_s") if name in told}
    return replace(run, **own)


def watched(command: list[str], environment: Mapping[str, str]) -> tuple[Run, str]:
    """What a command took, and what it said. Raises `BenchError` when it does not end well."""
    watch = [sys.executable, "-I", "-S", str(_WATCH), *command]
    done = subprocess.run(watch, env=environment, capture_output=True, timeout=LIMIT_S, check=False)
    said = json.loads(done.stdout or b'{"code": 1}')
    if said["code"]:
        raise BenchError(f"{Path(command[0]).name} ended {said['code']}: {done.stderr.decode(errors='replace')[-600:]}")
    return Run(said["seconds"], said["cpu_s"], said["peak_mb"]), str(said["said"])


def _do(command: list[str], server: Server) -> None:
    done = subprocess.run(command, env=environment(server), capture_output=True, timeout=LIMIT_S, check=False)
    if done.returncode and b"no object found" not in done.stderr:
        raise BenchError(done.stderr.decode(errors="replace")[-600:])


def _s5cmd(endpoint: str) -> list[str]:
    # It knows no way to name an authority of one's own; not checking the certificate costs it nothing.
    return [str(binary(S5CMD)), "--no-verify-ssl", "--endpoint-url", endpoint]


def rclone(verb: str, endpoint: str) -> list[str]:
    """How its command begins. Tuned: as many transfers as its manual asks for with many small files."""
    return [
        str(binary(RCLONE)), verb, "--config", os.devnull, "--s3-provider", "Other", "--s3-endpoint", endpoint,
        "--s3-access-key-id", ACCESS_KEY, "--s3-secret-access-key", SECRET_KEY, "--s3-region", REGION,
        "--s3-force-path-style", "--s3-no-check-bucket", "--transfers", "32", "--s3-upload-concurrency", "8",
        "--s3-chunk-size", "8Mi", "--ignore-checksum",
    ]  # fmt: skip


def environment(server: Server) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")},
        "AWS_ACCESS_KEY_ID": ACCESS_KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
        "AWS_REGION": REGION,
        "SSL_CERT_FILE": str(server.certificate),
        "RCLONE_CONFIG_BENCH_TYPE": "s3",
        "PATH": os.environ.get("PATH", ""),
    }
