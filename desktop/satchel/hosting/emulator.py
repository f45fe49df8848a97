"""ministack as a process of its own: AWS's services on this machine's loopback, with authentication on.

`python -m satchel.hosting.emulator --hold LOCK` runs it with the environment that `environment()` makes. Its root key
is random and lies in the state folder: without it, other users of this machine get as far as strangers do.
"""

from __future__ import annotations

import json
import os
import runpy
import shutil
import sys
import urllib.request
from pathlib import Path

from satchel.hosting import mends, process

REGION = "us-east-1"


def service(state: Path) -> process.Service:
    return process.Service(state, "cloud", "satchel.hosting.emulator")


def start(state: Path, port: int, key: tuple[str, str], *, anew: bool = False) -> None:
    """`anew`: without anything that it kept. Raises `HostingError` when it does not come up, or ministack is not
    installed."""
    try:
        import ministack  # noqa: F401, PLC0415 - only asked whether it is there
    except ImportError:
        raise process.HostingError(
            "The local cloud is not installed", "Install it with: pip install 'satchel[local]'"
        ) from None
    shutil.rmtree(state / "tmp", ignore_errors=True)  # Lambda's unpacked code, left there by a hard end
    for folder in ("state", "objects") if anew else ():
        shutil.rmtree(state / folder, ignore_errors=True)
    service(state).start([], environment(state, port, key), lambda: healthy(port))


def healthy(port: int) -> bool:
    """Whether the emulator, and nobody else, answers on `port`."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/_ministack/health", timeout=2) as reply:
            return "services" in json.load(reply)
    except (OSError, ValueError):
        return False


def environment(state: Path, port: int, key: tuple[str, str]) -> dict[str, str]:
    """Nothing of the user's AWS settings goes in: the Lambda workers inherit what the emulator has."""
    for folder in ("state", "objects", "tmp"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "SYSTEMROOT", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH")
    return {name: os.environ[name] for name in kept if name in os.environ} | {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "AUTH": "true",
        "PERSIST_STATE": "1",
        "STATE_DIR": str(state / "state"),
        "S3_PERSIST": "1",
        "S3_DATA_DIR": str(state / "objects"),
        "TMPDIR": str(state / "tmp"),
        "TEMP": str(state / "tmp"),
        "MINISTACK_REGION": REGION,
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "LOG_LEVEL": "WARNING",
        "AWS_ACCESS_KEY_ID": key[0],
        "AWS_SECRET_ACCESS_KEY": key[1],
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "PYTHONUNBUFFERED": "1",
    }


def main() -> None:
    held = process.hold(Path(sys.argv[sys.argv.index("--hold") + 1]))
    mends.apply()
    sys.argv = ["ministack"]
    try:
        runpy.run_module("ministack", run_name="__main__")
    finally:
        held.close()


if __name__ == "__main__":
    main()
