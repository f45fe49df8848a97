"""Putting links on the clipboard, and knowing whether they are there.

On Wayland a program without the focus may not write, and its write is dropped without a word: `wl-copy` can, where it
is installed. "Copied" is said only when it is known.
"""

from __future__ import annotations

import shutil
import subprocess

from PySide6.QtGui import QGuiApplication


def within_reach() -> bool:
    """Whether Qt may write it; otherwise `copy_by_tool` may."""
    return not QGuiApplication.platformName().startswith("wayland") or QGuiApplication.focusWindow() is not None


def copy(text: str) -> bool:
    """True when the clipboard is known to hold `text`. On the UI thread."""
    clipboard = QGuiApplication.clipboard()
    clipboard.setText(text)
    return bool(clipboard.text() == text)


def copy_by_tool(text: str) -> bool:
    """As `copy`, by `wl-copy`; may take 2 s, so away from the UI thread."""
    tool = shutil.which("wl-copy")
    if tool is None:
        return False
    try:
        done = subprocess.run([tool], input=text.encode(), timeout=2, check=False)  # noqa: S603 - found on the path
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
