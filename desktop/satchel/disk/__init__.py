"""The local side: what is in a folder, what changed, which file is which.

Only `changing.py` changes a user's folder, and nothing in it is ever overwritten or unlinked.
"""

from .ignore import MARKER_FOLDER
from .local import LocalDisk
from .marker import read_marker, write_marker
from .ports import Disk, Entry, Hints, Listing, Watch
from .selection import check_paths
from .watch import watch

__all__ = [
    "MARKER_FOLDER",
    "Disk",
    "Entry",
    "Hints",
    "Listing",
    "LocalDisk",
    "Watch",
    "check_paths",
    "read_marker",
    "watch",
    "write_marker",
]
