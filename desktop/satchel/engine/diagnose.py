"""A bundle for whoever helps: versions, settings, log tails, states. No file names, addresses, tokens or e-mail."""

from __future__ import annotations

import json
import os
import platform
import re
import sys
import zipfile
from collections import Counter
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from satchel import __version__
from satchel.core.errors import LocalFileError, UsageError
from satchel.core.status import Snapshot

from .home import logs_folder
from .logs import redacted
from .settings import Settings

_TAIL = 200_000
_PACKAGES = ("PySide6-Essentials", "boto3", "pycognito", "keyring", "watchdog", "urllib3", "awscrt")


def diagnose(home: Path, dest: Path, snapshot: Snapshot, settings: Settings) -> str:
    """Write the bundle to `dest` (a folder, or the name of a zip that is not there yet); returns its path."""
    if dest.is_dir():
        dest = dest / "satchel-diagnose.zip"
    if dest.exists():
        raise UsageError("There is a file of this name already", "Give another name.", path=str(dest))
    report = {
        "versions": _versions(),
        "settings": asdict(settings),
        "status": _status(snapshot),
        "journals": [file.stat().st_size for file in sorted((home / "journals").glob("*.sqlite3"))],
    }
    try:
        handle = os.open(dest, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        with os.fdopen(handle, "wb") as out, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as bundle:
            bundle.writestr("report.json", json.dumps(report, indent=2))
            for file in sorted(logs_folder(home).glob("*.log*")):
                tail = file.read_bytes()[-_TAIL:].decode(errors="replace")
                bundle.writestr(f"logs/{file.name}", _without_paths(redacted(tail)))
    except OSError as error:
        raise LocalFileError("The bundle cannot be written", f"{error.strerror}.", path=str(dest)) from error
    return str(dest)


def _versions() -> dict[str, str]:
    # Its own from the code itself: an update in a checkout leaves the installer's record as it was.
    found = {"satchel": __version__, "python": sys.version.split()[0], "system": platform.platform()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not there"
    return found


def _status(snapshot: Snapshot) -> dict[str, Any]:
    return {
        "tone": snapshot.tone,
        "signed_in": snapshot.account.state,
        "remembered": snapshot.account.remembered,
        "paused": snapshot.paused,
        "transfers": Counter(row.state.value for row in snapshot.transfers),
        "files": sum(row.files for row in snapshot.transfers),
        "bytes": sum(row.size for row in snapshot.transfers),
        "links": len(snapshot.links),
        "roots": [
            {
                "mode": root.mode,
                "state": root.state,
                "waiting": root.waiting,
                "held": Counter(re.sub("“.*”", "“…”", held.reason) for held in root.held),
            }
            for root in snapshot.roots
        ],
        "notices": [notice.code for notice in snapshot.notices],
    }


def _without_paths(text: str) -> str:
    # Paths of the installation stay: they are in tracebacks, and tell where.
    return re.sub(r"(?<![\w/])/(?!\S*(?:satchel/|site-packages|lib/python))[^\s:'\",]+", "<path>", text)
