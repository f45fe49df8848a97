"""Names that nobody wants in step: leavings of systems and programs, and downloads that are not done."""

from __future__ import annotations

import fnmatch
import re

MARKER_FOLDER = ".satchel"

_PATTERNS = (
    MARKER_FOLDER,
    ".DS_Store",
    ".AppleDouble",
    ".Spotlight-V100",
    ".Trashes",
    ".fseventsd",
    ".Trash-*",
    "Icon\r",
    "Thumbs.db",
    "desktop.ini",
    "$RECYCLE.BIN",
    "~$*",  # Office's owner files
    ".~lock.*#",  # LibreOffice's
    ".*.sw[op]",  # vi's
    ".goutputstream-*",  # GLib's half-written files
    ".fuse_hidden*",
    ".nfs[0-9a-f]*",
    "*.crdownload",
    "*.part",
    "*.partial",
    "*.download",
)

_IGNORED = re.compile("|".join(fnmatch.translate(pattern) for pattern in _PATTERNS), re.IGNORECASE)


def ignored(name: str) -> bool:
    """Whether a file or folder of this name, with all that is in it, is left out."""
    return _IGNORED.match(name) is not None
