"""Changing a real disk, for two-way folders: nothing of the user's is overwritten or unlinked.

Everything is a rename to where nothing is, within one file system, so a crash leaves a file at its old place or at its
new one. What has to go is renamed into the marker folder and looked at there, where nobody else writes; if it is not
what was planned it is renamed back. In the marker folder:

    trash/<day>/<time>-<number>/<name>      what was deleted or replaced, where a person finds it
    partial/<id>                            files that are not whole yet
    aside/<key>/<name>                      what makes room for a moment
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import secrets
import stat as modes
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from datetime import date, datetime

from satchel.core.errors import FileChangedError, LocalFileError, PlaceTakenError
from satchel.core.names import here_problem, name_key, numbered

from .folder import Folder
from .ignore import MARKER_FOLDER, Ignore
from .ports import Entry, Listing
from .refusals import GONE, NO_FOLDER, refusal, told

_LONGEST_PATH = {"win32": 32_767, "darwin": 1024}.get(sys.platform, 4096)
"""Open folders would let longer paths be made than anybody could open by their path."""


class Changing(ABC):
    """The half of `LocalDisk` that changes the folder `_root`; `_ignore` is what is known of the ignore files in it."""

    _root: str
    _ignore: Ignore

    @abstractmethod
    def absolute(self, path: str) -> str: ...

    @abstractmethod
    def list(self, folder: str) -> Listing | None: ...

    def make_folder(self, path: str) -> Entry:
        with self._spot(path) as (folder, name):
            try:
                folder.make(name)
            except FileExistsError:
                raise self._taken(path) from None
            return self._found(folder, name, path)

    def move(self, old: str, new: str) -> Entry:
        if new.startswith(f"{old}/"):
            raise LocalFileError("A folder cannot go into itself", "It is looked at again.", path=self.absolute(old))
        with self._spot(old) as (source, name), self._spot(new) as (target, new_name):
            self._found(source, name, old)
            try:
                source.rename(name, target, new_name)
            except FileExistsError:
                if not _is_one_name(source, name, target, new_name):
                    raise self._taken(new) from None
                _respell(source, name, new_name)
            self._ignore.gone(old)
            return self._found(target, new_name, new)

    def trash(self, path: str, planned: Entry) -> None:
        with self._spot(path) as (folder, name), self._trashed(folder, name, planned, path):
            pass

    def trash_folder(self, path: str) -> bool:
        with self._spot(path) as (folder, name), self._fresh_trash() as kept:
            # The names are read before they are judged: what comes in between is judged too, what comes later is one
            # more than these.
            before = self._names_in(folder, name, path)
            listing = self.list(path)
            if listing is None or ((listing.entries or listing.held) and not self._ignore.ignored(path, folder=True)):
                return False
            folder.rename(name, kept, name)
            self._ignore.gone(path)
            if self._names_in(kept, name, path) == before:
                return True
            self._put_back(kept, folder, name, path)
            return False

    def trash_all(self, path: str, judge: Callable[[], None]) -> None:
        with self._spot(path) as (folder, name), self._fresh_trash() as kept:
            before = self._all_in(folder, name, path)
            judge()
            folder.rename(name, kept, name)
            self._ignore.gone(path)
            if self._all_in(kept, name, path) != before:
                raise self._changed(path, beside=self._put_back(kept, folder, name, path))

    def partial(self, name: str) -> str:
        where = self._kept_at("partial", name)
        with told(where), self._own("partial", make=True):
            return where

    def place(self, partial: str, path: str, planned: Entry | None) -> Entry:
        gathered = os.path.basename(partial)  # noqa: PTH119 - a plain string
        if partial != self._kept_at("partial", gathered):
            raise LocalFileError("This is not a file that Satchel has fetched", "It is fetched again.", path=partial)
        with self._spot(path) as (folder, name), self._own("partial", make=True) as partials:
            old = folder.look(name)
            if planned is None and old is not None:
                raise self._taken(path)
            if planned is not None and not _is(folder.entry(name), planned):
                raise self._changed(path)
            if partials.look(gathered) is None:
                raise LocalFileError("What was fetched is gone", "It is fetched again.", path=partial)
            # A script stays one that can be run.
            partials.settle(gathered, modes.S_IMODE(old.st_mode) & 0o777 if old is not None else None)
            with self._trashed(folder, name, planned, path) if planned is not None else contextlib.nullcontext():
                try:
                    partials.rename(gathered, folder, name)
                except FileExistsError:
                    raise self._taken(path) from None
            folder.settle_names()
            return self._found(folder, name, path)

    def set_aside(self, path: str, key: str) -> None:
        self._kept_at("aside", key)
        with self._spot(path) as (folder, name), self._own("aside", key, make=True) as kept:
            self._found(folder, name, path)
            if kept.names():
                raise PlaceTakenError(
                    "Something is set aside under this key already", "It is looked at again.", path=self.absolute(path)
                )
            folder.rename(name, kept, name)
            self._ignore.gone(path)

    def bring_back(self, key: str, path: str) -> Entry:
        self._kept_at("aside", key)
        with self._spot(path) as (folder, name), self._own("aside", make=True) as asides:
            with asides.within([key]) as kept:
                known = min(kept.names(), default=None)
                if known is None:
                    raise LocalFileError(*GONE, path=self.absolute(path))
                try:
                    kept.rename(known, folder, name)
                except FileExistsError:
                    raise self._taken(path) from None
            with contextlib.suppress(OSError):
                asides.remove_empty(key)
            return self._found(folder, name, path)

    def aside(self) -> dict[str, Entry]:
        found: dict[str, Entry] = {}
        with told(self._root), contextlib.suppress(FileNotFoundError), self._own("aside") as asides:
            for key in sorted(asides.names()):
                with contextlib.suppress(NotADirectoryError), asides.within([key]) as kept:
                    name = min(kept.names(), default=None)
                    entry = kept.entry(name) if name is not None else None
                    if entry is not None:
                        found[key] = entry
        return found

    def tidy(self, before_ns: int) -> None:
        """One thing that cannot be deleted does not keep the others; then the first trouble is raised."""
        first_day = datetime.fromtimestamp(before_ns / 1e9).date()
        trouble: list[OSError] = []
        with told(self._root):
            with contextlib.suppress(FileNotFoundError), self._own("trash") as trash:
                for name in trash.names():
                    day = _day(name)
                    if day is not None and day < first_day:
                        _try_to_remove(trash, name, trouble)
            with contextlib.suppress(FileNotFoundError), self._own("partial") as partials:
                for name in partials.names():
                    found = partials.look(name)
                    # A whole file has its own modified time already; when that was set the other one tells.
                    if found is not None and max(found.st_mtime_ns, found.st_ctime_ns) < before_ns:
                        _try_to_remove(partials, name, trouble)
            for error in trouble[:1]:
                raise error

    @contextlib.contextmanager
    def _spot(self, path: str) -> Iterator[tuple[Folder, str]]:
        """The open folder that `path` lies in, and its bare name. Refuses paths that lead out of the root or into the
        marker folder and names that this system cannot have, and tells all that goes wrong meanwhile."""
        where = self.absolute(path)
        *above, name = path.split("/")
        for each in (*above, name):
            if (problem := here_problem(each)) is not None:
                raise LocalFileError(problem.reason, problem.remedy, path=path)
        if name_key(path.partition("/")[0]) == MARKER_FOLDER:
            raise LocalFileError("This name is Satchel's own", "Rename it.", path=where)
        if len(os.fsencode(where)) >= _LONGEST_PATH:
            raise refusal(OSError(errno.ENAMETOOLONG, ""), where)
        with told(where), Folder.top(self._root) as top, contextlib.ExitStack() as opened:
            if top.look(MARKER_FOLDER) is None:
                raise LocalFileError(
                    "The watched folder is not there, or its marker is gone", "Connect its disk.", path=self._root
                )
            try:
                folder = opened.enter_context(top.within(above))
            except OSError as error:
                if error.errno not in NO_FOLDER:
                    raise
                raise LocalFileError(
                    "Its folder is gone, or a link is in its place", "It is looked at again.", path=where
                ) from error
            yield folder, name

    @contextlib.contextmanager
    def _own(self, *names: str, make: bool = False) -> Iterator[Folder]:
        """A folder in the marker folder. That one is never made here: where it is missing the disk is not mounted."""
        with Folder.top(self._root) as top, top.within([MARKER_FOLDER]) as marker, contextlib.ExitStack() as opened:
            try:
                folder = opened.enter_context(marker.within(names, make=make))
            except OSError as error:
                if error.errno not in NO_FOLDER - {errno.ENOENT}:
                    raise
                raise LocalFileError(
                    "Something else is in the place of a folder of Satchel's own", "Delete it.", path=marker.path
                ) from error
            yield folder

    def _kept_at(self, room: str, name: str) -> str:
        """Where in the marker folder."""
        if (problem := here_problem(name)) is not None:
            raise LocalFileError(problem.reason, "It is looked at again.", path=name)
        return self.absolute(f"{MARKER_FOLDER}/{room}/{name}")

    @contextlib.contextmanager
    def _fresh_trash(self) -> Iterator[Folder]:
        """A new folder in the trash of today, which goes again when it stays empty."""
        now = datetime.fromtimestamp(time.time())
        with self._own("trash", now.date().isoformat(), make=True) as today:
            name = f"{now:%H%M%S}-{secrets.token_hex(6)}"
            today.make(name, 0o700)
            try:
                with today.within([name]) as kept:
                    yield kept
            finally:
                with contextlib.suppress(OSError):
                    today.remove_empty(name)

    @contextlib.contextmanager
    def _trashed(self, folder: Folder, name: str, planned: Entry, path: str) -> Iterator[None]:
        """Meanwhile, and from then on, the file is in the trash; but where the system refuses what comes next it is
        brought back."""
        if not _is(folder.entry(name), planned):
            raise self._changed(path)
        with self._fresh_trash() as kept:
            folder.rename(name, kept, name)
            if not _is(kept.entry(name), planned):
                raise self._changed(path, beside=self._put_back(kept, folder, name, path))
            try:
                yield
            except OSError:
                with contextlib.suppress(OSError):
                    _rename_numbered(kept, name, folder, name)
                raise

    def _put_back(self, kept: Folder, folder: Folder, name: str, path: str) -> str:
        try:
            return _rename_numbered(kept, name, folder, name)
        except OSError as error:
            raise FileChangedError(
                "It has changed meanwhile, and could not be put back",
                f"It is in {kept.path}.",
                path=self.absolute(path),
            ) from error

    def _names_in(self, folder: Folder, name: str, path: str) -> frozenset[str]:
        found = folder.look(name)
        if found is None or not modes.S_ISDIR(found.st_mode):
            raise LocalFileError("The folder is gone", "Nothing needs to be done.", path=self.absolute(path))
        with folder.within([name]) as inner:
            return inner.names()

    def _all_in(self, folder: Folder, name: str, path: str) -> dict[str, tuple[int, ...]]:
        """What is in a folder, by path, as far as it tells that something was changed, made or removed."""
        self._names_in(folder, name, path)
        found: dict[str, tuple[int, ...]] = {}
        waiting = [name]
        while waiting:
            at = waiting.pop()
            with folder.within(at.split("/")) as here:
                for inner in here.names():
                    facts = here.look(inner)
                    if facts is None:
                        continue
                    content = (facts.st_size, facts.st_mtime_ns) if modes.S_ISREG(facts.st_mode) else ()
                    found[f"{at}/{inner}"] = (facts.st_mode, facts.st_ino, *content)
                    if modes.S_ISDIR(facts.st_mode):
                        waiting.append(f"{at}/{inner}")
        return found

    def _found(self, folder: Folder, name: str, path: str) -> Entry:
        entry = folder.entry(name)
        if entry is None:
            raise LocalFileError(*GONE, path=self.absolute(path))
        return entry

    def _taken(self, path: str) -> PlaceTakenError:
        return PlaceTakenError(
            "There is something else of this name", "It is looked at again.", path=self.absolute(path)
        )

    def _changed(self, path: str, beside: str | None = None) -> FileChangedError:
        is_moved = beside is not None and beside != path.rpartition("/")[2]
        told = f"It is there as {beside} now." if is_moved else "It is looked at again when it is quiet."
        return FileChangedError("The file has changed meanwhile", told, path=self.absolute(path))


def _is(found: Entry | None, planned: Entry) -> bool:
    """An id of 0 is not known, so it agrees with any."""
    if found is None or found.kind != "file" or planned.kind != "file":
        return False
    same_file = found.file_id == planned.file_id or 0 in (found.file_id, planned.file_id)
    return same_file and (found.size, found.mtime_ns) == (planned.size, planned.mtime_ns)


def _is_one_name(source: Folder, name: str, target: Folder, new: str) -> bool:
    """Whether the system takes these two spellings for one name: two names of one file (hard links) are listed both."""
    if not source.is_same(target) or name == new or name_key(name) != name_key(new):
        return False
    old, other = source.look(name), source.look(new)
    return old is not None and other is not None and os.path.samestat(old, other) and not {name, new} <= source.names()


def _respell(folder: Folder, name: str, new: str) -> None:
    """By a free name between, for systems that refuse to rename a file to itself, or see nothing to do."""
    between = _rename_numbered(folder, name, folder, new, 2)
    try:
        folder.rename(between, folder, new)
    except OSError:
        _rename_numbered(folder, between, folder, name)
        raise


def _rename_numbered(source: Folder, name: str, target: Folder, wanted: str, first: int = 1) -> str:
    """Rename to the name that is wanted, or to the first free one beside it; the name it got."""
    for number in itertools.count(first):
        free = wanted if number == 1 else numbered(wanted, number)
        with contextlib.suppress(FileExistsError):
            source.rename(name, target, free)
            return free
    raise AssertionError


def _day(name: str) -> date | None:
    try:
        return date.fromisoformat(name)
    except ValueError:
        return None


def _try_to_remove(folder: Folder, name: str, trouble: list[OSError]) -> None:
    try:
        folder.remove(name)
    except OSError as error:
        trouble.append(error)
