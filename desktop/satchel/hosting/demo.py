"""`satchel demo`: a cloud of one's own on this machine, an account in it, and Satchel at work on both.

Everything lies in one folder of its own and may be run again at any time. The demo account's password is made anew at
every run and kept nowhere.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

from satchel.core.errors import EXIT_DONE, EXIT_FAILED, RefusedError
from satchel.core.ports import has_display
from satchel.hosting import local
from satchel.hosting.aws import explained
from satchel.hosting.process import HostingError
from satchel.hosting.report import Report

EMAIL = "demo@example.com"
_REMOTE = "/Demo folder"
_PATIENCE_SECONDS = 120.0


def default_state() -> Path:
    """The demo's own folder, beside the local cloud's."""
    return local.default_state().parent / "demo"


def run(headless: bool = False, report: Report = print, state: Path | None = None) -> int:
    """Show the main job end to end; returns the exit code. Raises `SatchelError` where something fails.

    With a display, unless `headless`, the app is opened afterwards, signed in, and this returns when it is closed.
    """
    state = (state or default_state()).absolute()
    windowed = not headless and has_display()
    cloud = local.up(state / "cloud", report=_in_short(report))
    try:
        return _show(cloud, state, windowed, report)
    finally:
        local.down(state / "cloud")
        report("")
        report("The local cloud is stopped; what it keeps is there again at the next `satchel demo`.")


def _show(cloud: local.LocalStatus, state: Path, windowed: bool, report: Report) -> int:
    from satchel.engine.host import connect  # noqa: PLC0415 - the whole client

    assert cloud.site is not None  # noqa: S101 - it is up
    report(f"1. A cloud stands on this machine, made from the templates in cfn/: {cloud.site}")
    password = _demo_password(state / "cloud")
    home, watched = state / "home", state / "Watched folder"
    home.mkdir(parents=True, exist_ok=True)
    watched.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(connect(home, host=True)) as engine:
        engine.call("login", site=cloud.site, email=EMAIL, password=password)
        report(f"2. Signed in as {EMAIL}, by SRP: the password itself never left this process.")
        put, link = _put(engine, state, report)
        _fetch(cloud.site, put, link, report)
        _watch(engine, watched, report)
        if windowed:
            report("6. Satchel is opening, signed in. Drop something on it; quit it to end the demo.")
            return _open_app(home)
    report("Everything worked. With a display, `satchel demo` opens Satchel, signed in.")
    return EXIT_DONE


def _demo_password(cloud: Path) -> str:
    """Makes the account at the first run, and gives it a new password at every run."""
    administrator, pool = local.administrator(cloud), local.outputs(cloud)["UserPoolId"]
    password = f"Demo-{secrets.token_urlsafe(16)}-9a"
    with explained():
        cognito = administrator.client("cognito-idp")
        with contextlib.suppress(cognito.exceptions.UsernameExistsException):
            cognito.admin_create_user(
                UserPoolId=pool,
                Username=EMAIL,
                MessageAction="SUPPRESS",
                UserAttributes=[{"Name": "email", "Value": EMAIL}, {"Name": "email_verified", "Value": "true"}],
            )
        cognito.admin_set_user_password(UserPoolId=pool, Username=EMAIL, Password=password, Permanent=True)
    return password


def _put(engine: Any, state: Path, report: Report) -> tuple[Path, str]:
    """Put a new file and get its link."""
    path = state / "A first file.txt"
    path.write_text(f"Dropped by the Satchel demo, {time.ctime()}, {secrets.token_hex(16)}\n" * 2000, "utf-8")
    result = engine.call("drop", paths=[str(path)], link=True, wait=True)
    if not result["links"]:
        why = next((item.get("error") for item in result["items"] if item.get("error")), "no link came back")
        raise HostingError("The file was not put", str(why), path=str(path))
    link = str(result["links"][0])
    report(f"3. Put “{path.name}” ({path.stat().st_size:,} bytes). Its link: {link}")
    return path, link


def _fetch(site: str, put: Path, link: str, report: Report) -> None:
    """Fetch the link's content as a stranger would: plain HTTP, no sign-in."""
    token = link.rstrip("/").rsplit("/", 1)[-1]
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{site}/p/{token}/content", timeout=60) as reply:
        came = hashlib.sha256(reply.read()).hexdigest()
    sent = hashlib.sha256(put.read_bytes()).hexdigest()
    if came != sent:
        raise HostingError("The link gave other bytes than were put", f"SHA-256 {came} instead of {sent}.")
    report(f"4. Fetched the link's content without a sign-in. The same bytes came: SHA-256 {came}")


def _watch(engine: Any, watched: Path, report: Report) -> None:
    """Save a file in the watched folder and wait until it is listed."""
    roots = engine.call("root_list")
    if not any(Path(root["path"]) == watched for root in roots):
        engine.call("root_add", dir=str(watched), to=_REMOTE)
    saved = watched / f"Saved {time.strftime('%Y-%m-%d %H.%M.%S')} {secrets.token_hex(2)}.txt"
    saved.write_text(f"Saved at {time.ctime()}.\n", "utf-8")
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while saved.name not in _listed(engine):
        if time.monotonic() > deadline:
            raise HostingError(
                "The watched folder was not kept in step", f"{saved.name} is not listed.", path=str(saved)
            )
        time.sleep(0.2)
    report(f"5. Saved “{saved.name}” in the watched folder; `satchel ls '{_REMOTE}'` lists it.")


def _listed(engine: Any) -> set[str]:
    try:
        return {node["name"] for node in engine.call("ls", path=_REMOTE)}
    except RefusedError as refused:
        if refused.status == 404 or refused.kind == "not-found":
            return set()
        raise


def _open_app(home: Path) -> int:
    environment = os.environ | {"SATCHEL_HOME": str(home)}
    ended = subprocess.run([sys.executable, "-m", "satchel.app.main"], env=environment, check=False)
    return EXIT_DONE if ended.returncode == 0 else EXIT_FAILED


def _in_short(report: Report) -> Report:
    """Stacks as they come up, not each of their resources."""

    def told(line: str) -> None:
        if "(AWS::" not in line or "(AWS::CloudFormation::Stack)" in line:
            report(f"   {line}")

    return told
