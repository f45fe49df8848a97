"""Limits as the window says and takes them: MB a second, nothing for no limit; the settings hold bytes a second."""

from __future__ import annotations

import re
from math import ceil

from satchel.engine.settings import SLOWEST

_MB = 1_000_000
_NUMBER = re.compile(r"[0-9]{1,7}(?:\.[0-9]{1,6}|,[0-9]{1,2})?")
"""A comma with three digits after it may be meant for thousands: it is asked about rather than guessed."""


def shown(rate: int) -> str:
    """`2.5` for 2,500,000; exact to the byte, for it is read back. Nothing for no limit."""
    return f"{rate / _MB:.6f}".rstrip("0").rstrip(".") if rate else ""


def read(text: str) -> int:
    """Bytes a second. Raises `ValueError` with words for the person."""
    text = text.strip()
    if not text:
        return 0
    if not _NUMBER.fullmatch(text):
        raise ValueError("Type a number such as 2.5, or nothing for no limit.")
    rate = round(float(text.replace(",", ".")) * _MB)
    if 0 < rate < SLOWEST:
        raise ValueError(f"The least is {ceil(SLOWEST / 1000) / 1000} MB/s; nothing is no limit.")
    return rate
