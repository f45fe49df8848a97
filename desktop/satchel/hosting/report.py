"""How long work tells what it is doing: one plain line at a time."""

from __future__ import annotations

from collections.abc import Callable

Report = Callable[[str], None]


def silent(line: str) -> None:
    """For those who do not want to know."""
    del line
