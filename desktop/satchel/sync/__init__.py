"""Deciding what brings a watched folder and its remote folder in step, and doing it."""

from .adding import add_root
from .ports import Blocking, Downloads, Remote, Uploads
from .roots import RootSync
from .rules import check_root
from .verify import Tally, verify

__all__ = [
    "Blocking",
    "Downloads",
    "Remote",
    "RootSync",
    "Tally",
    "Uploads",
    "add_root",
    "check_root",
    "verify",
]
