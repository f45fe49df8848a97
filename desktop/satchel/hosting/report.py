"""How long work tells what it is doing: one plain line at a time."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """How many resources are as they should be, of about how many; None where nobody can know."""

    done: int
    total: int | None


class Line(str):
    """A line that also says how far the whole is. Whoever wants text only takes it for that."""

    __slots__ = ("progress",)
    progress: Progress

    def __new__(cls, text: str, progress: Progress) -> Line:
        made = super().__new__(cls, text)
        made.progress = progress
        return made


Report = Callable[[str], None]


def silent(line: str) -> None:
    """For those who do not want to know."""
    del line


def resources_of(templates: Mapping[str, bytes], root: str) -> int:
    """How many resources are always made by the templates that `root` nests: those with a condition may stay away."""
    count = 0
    for name in re.findall(r"TemplateBase\}/([\w-]+\.yaml)", templates[root].decode()):
        section = re.search(r"^Resources:\n((?:[ #].*\n|\n)*)", templates[name].decode() + "\n", re.MULTILINE)
        for resource in re.split(r"^  (?=\w+:\s*$)", section[1] if section else "", flags=re.MULTILINE)[1:]:
            count += not re.search(r"^    Condition:", resource, re.MULTILINE)
    return count
