"""What lies on the disk under a dropped path: looked at, never changed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from satchel.core.errors import LocalFileError
from satchel.core.names import name_problem, printable


@dataclass(frozen=True, slots=True)
class Item:
    """One top-level item of a drop that can be sent, as far as one can see."""

    path: str
    name: str
    kind: Literal["file", "folder"]
    size: int


@dataclass(frozen=True, slots=True)
class Inside:
    """One name in a dropped folder, relative to it, `/`-separated; `problem` says why it is left out."""

    path: str
    kind: Literal["file", "folder"]
    size: int = 0
    problem: str | None = None


def look(path: str) -> Item:
    """Raises `LocalFileError` with what to do. A link that is dropped itself is what it points to."""
    where = os.path.abspath(path)  # noqa: PTH100 - keeps bytes that are no text, resolves no links
    name = os.path.basename(where)  # noqa: PTH119 - as above
    try:
        facts = os.stat(where)  # noqa: PTH116 - as above
        if (problem := name_problem(name)) is not None:
            raise LocalFileError(problem.reason, problem.remedy, path=printable(where))
        if stat.S_ISDIR(facts.st_mode):
            with os.scandir(where):
                return Item(where, name, "folder", 0)
        if not stat.S_ISREG(facts.st_mode):
            raise LocalFileError(
                "This is not a file or a folder", "It is a pipe, socket or device.", path=printable(where)
            )
        with Path(where).open("rb"):
            return Item(where, name, "file", facts.st_size)
    except (OSError, ValueError) as error:
        raise LocalFileError(*_why(error), path=printable(path)) from error


def walk(top: str) -> Iterator[Inside]:
    """All that is in a folder, folders before what is in them. Links are not followed, and said so."""
    waiting = [""]
    while waiting:
        folder = waiting.pop(0)
        try:
            with os.scandir(os.path.join(top, folder) if folder else top) as found:  # noqa: PTH118 - as above
                names = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            yield Inside(printable(folder or "."), "folder", problem=_why(error)[0])
            continue
        for entry in names:
            path = f"{folder}/{entry.name}" if folder else entry.name
            inside = _inside(entry, path)
            if inside is None:
                continue
            if inside.kind == "folder" and inside.problem is None:
                waiting.append(path)
            yield inside


def _inside(entry: os.DirEntry[str], path: str) -> Inside | None:
    shown = printable(path)
    if (problem := name_problem(entry.name)) is not None:
        return Inside(shown, "file", problem=problem.reason)
    try:
        facts = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    except OSError as error:
        return Inside(shown, "file", problem=_why(error)[0])
    if stat.S_ISDIR(facts.st_mode):
        return Inside(path, "folder")
    if stat.S_ISREG(facts.st_mode):
        return Inside(path, "file", facts.st_size)
    link = stat.S_ISLNK(facts.st_mode)
    return Inside(shown, "file", problem="a link to another place" if link else "not a file or a folder")


def _why(error: OSError | ValueError) -> tuple[str, str]:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "There is no such file", "It was deleted, moved or renamed; check the path."
    if isinstance(error, PermissionError):
        return "It may not be read", "Give your user permission to read it."
    if isinstance(error, ValueError):
        return "This is not a path", "It contains a null character."
    return "It cannot be read", f"{error.strerror or error}."
