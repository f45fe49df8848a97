"""What a disk is to the rest of the client, so that a simulator can own one.

Paths are relative to the watched folder, `/`-separated; the empty path is the watched folder itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

from satchel.core.status import Held


class Entry(NamedTuple):
    """One name in a folder. `file_id` is the inode or file id, 0 when it is not known; sizes of folders are 0."""

    name: str
    kind: Literal["file", "folder"]
    size: int
    mtime_ns: int
    file_id: int


@dataclass(frozen=True, slots=True)
class Listing:
    """What is in one folder and not ignored. `held` are names that are there but cannot travel, and what is wrong with
    the folder's ignore file: `Held.path` is the bare name."""

    entries: tuple[Entry, ...]
    held: tuple[Held, ...] = ()


@dataclass(frozen=True, slots=True)
class Hints:
    """Where something may have changed. `closed` are files whose writer has closed them; `everything` asks for a full
    rescan, because events were lost."""

    folders: frozenset[str] = frozenset()
    closed: frozenset[str] = frozenset()
    everything: bool = False


class Disk(Protocol):
    """One watched folder. Methods block and raise `LocalFileError` unless they say otherwise."""

    def absolute(self, path: str) -> str:
        """The path as the operating system wants it."""

    def list(self, folder: str) -> Listing | None:
        """None when there is no such folder, or when a link stands in its place."""

    def ignored(self, path: str, kind: Literal["file", "folder"]) -> bool:
        """Whether this would be left out of a listing, be it there or not, because of its name or that of a folder
        above it. Never raises."""

    def rules_changes(self) -> int:
        """A number that grows when a listing shows that other names may be ignored than before."""

    def left_out(self) -> tuple[str, ...]:
        """Paths that this computer alone leaves out, because `leave_out` was told so."""

    def leave_out(self, path: str) -> None:
        """From now on a listing leaves it out, unless an ignore file in the folder itself speaks for it. What is there
        stays there. `UsageError` for a path that cannot be written down."""

    def take_in(self, path: str) -> None:
        """What `leave_out` said of this path is taken back."""

    def stat(self, path: str) -> Entry | None:
        """The entry of a file or folder; None when it is gone or has become something else."""

    def reaches(self, folder: str) -> bool:
        """Whether every part of the path is a real folder: a link in it would lead out of the watched folder."""

    def sha256(self, path: str, read: Callable[[int], None] = ...) -> str:
        """Hex. `read` hears of every few bytes, and what it raises ends it. `FileChangedError` when the file changed
        meanwhile."""

    def root_id(self) -> str | None:
        """The id in the watched folder's marker; None when it is not there, e.g. because a disk is not mounted."""

    # Changing, for two-way folders. Nothing of the user's is ever overwritten or unlinked.

    def make_folder(self, path: str) -> Entry:
        """`PlaceTakenError` when the name is taken."""

    def move(self, old: str, new: str) -> Entry:
        """Rename a file or folder, with all that is in it, to where nothing is; the entry as it is there. Names that
        differ only in capitals are two places also where the system takes them for one. `PlaceTakenError`."""

    def trash(self, path: str, planned: Entry) -> None:
        """Move a file to the watched folder's own trash. When it is not `planned` (size, time, file id) any more it
        is put back, beside its name if that was taken meanwhile, and `FileChangedError` is raised."""

    def trash_folder(self, path: str) -> bool:
        """Move a folder to the trash that is ignored, or in which nothing is left but what is; False when there is
        more."""

    def trash_all(self, path: str, judge: Callable[[], None]) -> None:
        """Move a folder to the trash with all that is in it, unless `judge` raises, which may look at it before. When
        something in it has changed meanwhile it is put back, and `FileChangedError` is raised."""

    def partial(self, name: str) -> str:
        """Where bytes of a file may gather that is not whole yet: an absolute path in the marker folder, which is
        made. `name` is any id; the same id gives the same path."""

    def place(self, partial: str, path: str, planned: Entry | None) -> Entry:
        """Give a whole file its name. What is there now is moved to the trash first, as by `trash`, if it is
        `planned`; with None nothing may be there. `PlaceTakenError`, `FileChangedError`: then `partial` stays."""

    def set_aside(self, path: str, key: str) -> None:
        """Move a file or folder into the marker folder, under a key, to free its place for a moment."""

    def bring_back(self, key: str, path: str) -> Entry:
        """Move what was set aside to where nothing is. `PlaceTakenError`."""

    def aside(self) -> dict[str, Entry]:
        """What is set aside, by key; the entries have the names that they came with."""

    def tidy(self, before_ns: int) -> None:
        """Delete what came into the trash, and partial files last written, before this time."""


class Watch(Protocol):
    """Collects hints until they are taken."""

    @property
    def problem(self) -> Held | None:
        """Why changes may be seen late, if so."""

    def take(self) -> Hints:
        """What came in since the last call."""

    def close(self) -> None: ...
