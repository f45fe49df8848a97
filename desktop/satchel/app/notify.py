"""Telling what happened while the window is hidden: the desktop's notifications, else the tray's balloon.

Qt's D-Bus cannot say from Python that a number is unsigned, which `org.freedesktop.Notifications` insists on; hence
`notify-send`.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from typing import Any

from satchel.core.model import TransferState

_LAST = 3
"""More than these at once are told as one."""


def news(before: Sequence[dict[str, Any]], now: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """Title and text for every dropped upload that has ended between two snapshots' `transfers`.

    What a watched folder sends is not news; neither is what the user cancelled.
    """
    was = {row["transfer_id"]: TransferState(row["state"]) for row in before}
    done, failed = [], []
    for row in now:
        state = TransferState(row["state"])
        old = was.get(row["transfer_id"])
        if row["origin"] != "drop" or old is None or old.final:
            continue
        if state is TransferState.DONE:
            done.append(("Uploaded", str(row["name"])))
        elif state is TransferState.FAILED:
            failed.append((f"{row['name']} was not uploaded", str(row["message"])))
    return _summed(done, "files were uploaded") + _summed(failed, "uploads failed")


def tell(title: str, text: str) -> bool:
    """Whether the desktop took it; may block, so away from the UI thread."""
    tool = shutil.which("notify-send")
    if tool is None:
        return False
    try:
        done = subprocess.run(  # noqa: S603 - found on the path; names of files come after the dashes
            [tool, "--app-name=Satchel", "--icon=satchel", "--", title, text], timeout=5, check=False
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _summed(told: list[tuple[str, str]], words: str) -> list[tuple[str, str]]:
    if len(told) <= _LAST:
        return told
    return [(f"{len(told)} {words}", "Open Satchel to see them.")]
