"""Hints that something changed, from the operating system by way of watchdog.

Events are never trusted for what happened, only for where to look. Three traps of watchdog 7.1.0 are closed here: its
own walk raises opened and closed-no-write events that overflow inotify's queue on a large tree, so those are filtered
out; it swallows a full watch limit for every folder but the top one; and it says nothing when events were lost.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from watchdog.events import (
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileAttribEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

from satchel.core.status import Held

from .ignore import IGNORE_FILE, MARKER_FOLDER
from .local import ignore_of
from .ports import Hints, Watch

if TYPE_CHECKING:
    from watchdog.observers.api import BaseObserver

MANY_FOLDERS = 2000
"""From so many dirty folders on, one full rescan is cheaper than telling them apart."""

_EVENTS: list[type[FileSystemEvent]] = [
    DirCreatedEvent,
    DirDeletedEvent,
    DirMovedEvent,
    FileAttribEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileModifiedEvent,
    FileMovedEvent,
]


def watch(root: Path, wake: Callable[[], None]) -> Watch:
    """Start watching; `wake` is called from another thread when there are hints to take.

    Never raises for a limit of the system: the watch that comes back then has a `problem`, and only rescans see what
    changed.
    """
    collector = _Collector(root, wake)
    try:
        observer = _observer(collector)
        observer.schedule(collector, str(root), recursive=True, event_filter=_EVENTS)
        observer.start()
    except OSError as error:
        return _Running(None, collector, _problem(error))
    return _Running(observer, collector, None)


class _Running:
    def __init__(self, observer: BaseObserver | None, collector: _Collector, problem: Held | None) -> None:
        self._observer = observer
        self._collector = collector
        self._problem = problem

    @property
    def problem(self) -> Held | None:
        return self._problem or self._collector.problem

    def take(self) -> Hints:
        return self._collector.take()

    def close(self) -> None:
        if self._observer is not None:
            self._observer.stop()
            self._observer.join(timeout=5)


class _Collector(FileSystemEventHandler):
    """Gathers hints from watchdog's threads and wakes the taker once per burst."""

    def __init__(self, root: Path, wake: Callable[[], None]) -> None:
        self._root = os.fspath(root)
        self._ignore = ignore_of(root)
        self._own_rules = os.fspath(root / MARKER_FOLDER / IGNORE_FILE)
        self._wake = wake
        self._lock = threading.Lock()
        self._folders: set[str] = set()
        self._closed: set[str] = set()
        self._everything = False
        self.problem: Held | None = None

    def dispatch(self, event: FileSystemEvent) -> None:
        if _changes_rules(event):
            self._ignore.forget()
            if any(os.fsdecode(path) == self._own_rules for path in (event.src_path, event.dest_path)):
                self._add({""}, set())
        paths = [self._relative(path, event.is_directory) for path in (event.src_path, event.dest_path) if path]
        folders = {path.rpartition("/")[0] for path in paths if path}
        if event.is_directory:
            # What was put into a new folder before it was watched raised no events.
            folders.update(path for path in paths if path is not None)
        closed = {path for path in paths if path} if isinstance(event, FileClosedEvent) else set()
        if folders:
            self._add(folders, closed)

    def lost_events(self) -> None:
        with self._lock:
            self._everything = True
        self._wake()

    def reached_limit(self, error: OSError) -> None:
        self.problem = _problem(error)
        self.lost_events()

    def take(self) -> Hints:
        with self._lock:
            hints = Hints(frozenset(self._folders), frozenset(self._closed), self._everything)
            self._folders, self._closed, self._everything = set(), set(), False
        return hints

    def _add(self, folders: set[str], closed: set[str]) -> None:
        with self._lock:
            first = not (self._folders or self._everything)
            if not self._everything:
                self._folders |= folders
                if len(self._folders) > MANY_FOLDERS:
                    self._everything = True
                    self._folders.clear()
            self._closed |= closed
        if first or closed:
            self._wake()

    def _relative(self, path: bytes | str, folder: bool) -> str | None:
        """None for what lies outside or is ignored anyway."""
        text = os.fsdecode(path)
        if text == self._root:
            return ""
        if not text.startswith(self._root + os.sep):
            return None
        relative = text[len(self._root) + 1 :].replace(os.sep, "/")
        above, _, name = relative.rpartition("/")
        # An ignore file that names itself is read all the same.
        left_out = self._ignore.ignored(*((above, True) if name == IGNORE_FILE else (relative, folder)))
        return None if left_out else relative


def _changes_rules(event: FileSystemEvent) -> bool:
    """Whether other names may be ignored from now on: an ignore file, or a folder that may hold some, came or went."""
    if event.is_directory:
        return isinstance(event, DirDeletedEvent | DirMovedEvent)
    return any(os.fsdecode(path).endswith(IGNORE_FILE) for path in (event.src_path, event.dest_path))


def _observer(collector: _Collector) -> BaseObserver:
    if sys.platform != "linux":
        return Observer()
    from watchdog.observers.api import BaseObserver  # noqa: PLC0415 - Linux only
    from watchdog.observers.inotify import InotifyEmitter  # noqa: PLC0415 - Linux only
    from watchdog.observers.inotify_c import InotifyFD  # noqa: PLC0415 - Linux only

    class TellingInotify(InotifyFD):
        """Tells of the two things that watchdog keeps to itself: a full watch limit and lost events."""

        def add_callback(self, *args: Any, **values: Any) -> Any:
            try:
                return super().add_callback(*args, **values)
            except OSError as error:
                if error.errno in (errno.ENOSPC, errno.EMFILE):
                    collector.reached_limit(error)
                raise

        def handle_event(self, event: Any) -> None:
            super().handle_event(event)
            if event.is_queue_overflow:
                collector.lost_events()

    class LinuxObserver(BaseObserver):
        def __init__(self) -> None:
            self._inotify = TellingInotify()
            self._inotify.start()
            super().__init__(InotifyEmitter, inotify_fd=self._inotify)

        def on_thread_stop(self) -> None:
            super().on_thread_stop()
            self._inotify.stop()
            self._inotify.join()

        def start(self) -> None:
            try:
                super().start()
            except BaseException:
                self._inotify.stop()
                raise

    return LinuxObserver()


def _problem(error: OSError) -> Held:
    if error.errno in (errno.ENOSPC, errno.EMFILE):
        return Held(
            "",
            "The system's limit of watched folders is reached, so some changes are only seen by the regular rescan",
            "Raise it: sudo sysctl fs.inotify.max_user_watches=1048576 fs.inotify.max_user_instances=1024",
        )
    return Held(
        "",
        f"The system does not tell when files change ({error.strerror or error}), so only the regular rescan sees it",
        "Nothing needs to be done; changes take some minutes longer to arrive.",
    )
