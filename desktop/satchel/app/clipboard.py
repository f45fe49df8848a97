"""Putting links on the clipboard, and knowing whether they are there.

On Wayland a program without the focus may not write, and its write is dropped without a word: `wl-copy` can, where it
is installed. "Copied" is said only when it is known.
"""

from __future__ import annotations

import shutil
import subprocess

from PySide6.QtGui import QGuiApplication


def copy(text: str) -> bool:
    """True when the clipboard is known to hold `text`."""
    if QGuiApplication.platformName().startswith("wayland") and QGuiApplication.focusWindow() is None:
        return _by_wl_copy(text)
    clipboard = QGuiApplication.clipboard()
    clipboard.setText(text)
    return bool(clipboard.text() == text)


def _by_wl_copy(text: str) -> bool:
    tool = shutil.which("wl-copy")
    if tool is None:
        return False
    try:
        done = subprocess.run([tool], input=text.encode(), timeout=2, check=False)  # noqa: S603 - found on the path
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
