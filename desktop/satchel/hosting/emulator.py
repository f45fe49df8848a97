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
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any

from satchel.hosting import process

REGION = "us-east-1"
SAVE_SECONDS = 20.0


def service(state: Path) -> process.Service:
    return process.Service(state, "cloud", "satchel.hosting.emulator")


def start(state: Path, port: int, key: tuple[str, str]) -> None:
    """Raises `HostingError` when it does not come up, or ministack is not installed."""
    try:
        import ministack  # noqa: F401, PLC0415 - only asked whether it is there
    except ImportError:
        raise process.HostingError(
            "The local cloud is not installed", "Install it with: pip install 'satchel[local]'"
        ) from None
    shutil.rmtree(state / "tmp", ignore_errors=True)  # Lambda's unpacked code, left there by a hard end
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
    _know_one_root_key()
    _mend_nested_updates()
    threading.Thread(target=_save_now_and_then, daemon=True, name="save").start()
    sys.argv = ["ministack"]
    try:
        runpy.run_module("ministack", run_name="__main__")
    finally:
        held.close()


def _know_one_root_key() -> None:
    """ministack lets `test` and every account's number in as root, whatever the signature; here a random key alone is.

    No key at all stays what it is there: nobody, who may only do what AWS serves unsigned.
    """
    from ministack.core import iam_evaluator  # noqa: PLC0415 - heavy
    from ministack.services import sts  # noqa: PLC0415

    key = os.environ["AWS_ACCESS_KEY_ID"]

    def is_root(access_key_id: str) -> bool:
        return not access_key_id or access_key_id == key

    iam_evaluator.is_root_access_key = sts.is_root_access_key = is_root


def _mend_nested_updates() -> None:
    """When a nested stack is updated, ministack 1.5.33 forgets the attributes of what did not change in it.

    The next `Fn::GetAtt` on one of them fails the update ("Requested attribute Arn does not exist"). Remember them.
    """
    from ministack.services import cloudformation  # noqa: PLC0415 - heavy
    from ministack.services.cloudformation import provisioners  # noqa: PLC0415

    update = provisioners._update_resource

    def mended(  # noqa: PLR0917 - stands in for a function of just this shape
        kind: str, physical: str, old: Any, new: Any, stack: str, logical: str | None = None, known: Any = None
    ) -> Any:
        record = (cloudformation._stacks.get(stack) or {}).get("_resources", {}).get(logical) or {}
        known = known or record.get("Attributes") or {}
        now, attributes = update(kind, physical, old, new, stack, logical, known)
        return now, ({**known, **attributes} if now == physical else attributes)

    provisioners._update_resource = mended


def _save_now_and_then() -> None:
    """ministack saves its state at a clean end only; this keeps the loss small when the machine goes down hard."""
    from ministack import app  # noqa: PLC0415 - its import takes a second

    save_all, one_at_a_time, pause = app.save_all, threading.Lock(), SAVE_SECONDS

    def save(services: dict[str, Any]) -> None:
        with one_at_a_time:
            save_all(services)

    app.save_all = save  # the one at its end waits for ours
    while True:
        time.sleep(pause)
        began = time.monotonic()
        save(app._build_persistence_save_dict())
        # A cloud that holds much takes long to save: never more than a fiftieth of the time.
        pause = max(SAVE_SECONDS, 50 * (time.monotonic() - began))


if __name__ == "__main__":
    main()
