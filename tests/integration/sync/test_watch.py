"""Real events of the real system."""

from __future__ import annotations

import errno
import sys
import threading
import time

import pytest

from satchel.disk import watch


class Bell:
    def __init__(self):
        self.rung = threading.Event()
        self.folders, self.closed, self.everything = set(), set(), False

    def gather(self, watching, until, seconds=5.0):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.rung.wait(0.05)
            self.rung.clear()
            hints = watching.take()
            self.folders |= hints.folders
            self.closed |= hints.closed
            self.everything |= hints.everything
            if until(self):
                return
        raise AssertionError((self.folders, self.closed, self.everything))


@pytest.fixture
def watching(tmp_path):
    bell = Bell()
    (tmp_path / "old").mkdir()
    running = watch(tmp_path, bell.rung.set)
    yield running, bell, tmp_path
    running.close()


def test_changes_arrive_as_dirty_folders(watching):
    running, bell, root = watching
    (root / "old" / "a.txt").write_text("x")
    (root / "new").mkdir()
    (root / "new" / "b.txt").write_text("x")
    bell.gather(running, lambda b: {"", "old", "new"} <= b.folders and "old/a.txt" in b.closed)
    assert running.problem is None


def test_ignored_names_raise_no_hints(watching):
    running, bell, root = watching
    (root / "old" / "a.crdownload").write_text("x")
    (root / "seen.txt").write_text("x")
    bell.gather(running, lambda b: "seen.txt" in b.closed)
    assert bell.folders == {""}


def test_what_an_ignore_file_names_raises_no_hints_until_it_is_changed(watching):
    running, bell, root = watching
    (root / ".satchelignore").write_text("old/\n.satchelignore\n")
    bell.gather(running, lambda b: ".satchelignore" in b.closed)  # though it names itself
    (root / "old" / "a.txt").write_text("x")
    (root / "seen.txt").write_text("x")
    bell.gather(running, lambda b: "seen.txt" in b.closed)
    assert bell.folders == {""}
    (root / ".satchelignore").write_text("")
    bell.gather(running, lambda b: ".satchelignore" in b.closed)
    (root / "old" / "b.txt").write_text("x")
    bell.gather(running, lambda b: "old/b.txt" in b.closed)


def test_what_this_computer_alone_leaves_out_raises_no_hints_until_that_is_changed(watching):
    running, bell, root = watching
    own = root / ".satchel" / ".satchelignore"
    own.parent.mkdir(exist_ok=True)
    (root / "seen.txt").write_text("x")
    bell.gather(running, lambda b: "seen.txt" in b.closed)
    own.write_text("/old\n")
    (root / "old" / "a.txt").write_text("x")
    (root / "seen too.txt").write_text("x")
    bell.gather(running, lambda b: "seen too.txt" in b.closed)
    assert "old/a.txt" not in bell.closed
    running.take()
    bell.folders.clear()
    own.write_text("")
    bell.gather(running, lambda b: b.folders == {""})  # the rules are read with the top folder
    (root / "old" / "b.txt").write_text("x")
    bell.gather(running, lambda b: "old/b.txt" in b.closed)


@pytest.mark.skipif(sys.platform != "linux", reason="inotify")
def test_a_full_watch_limit_is_told_even_when_only_a_subfolder_hits_it(tmp_path, monkeypatch):
    from watchdog.observers.inotify_c import InotifyFD

    real = InotifyFD.add_callback

    def limited(self, path, *rest):
        if path.endswith(b"one-too-many"):
            raise OSError(errno.ENOSPC, "inotify watch limit reached")
        return real(self, path, *rest)

    monkeypatch.setattr(InotifyFD, "add_callback", limited)
    (tmp_path / "one-too-many").mkdir()
    bell = Bell()
    running = watch(tmp_path, bell.rung.set)
    bell.gather(running, lambda b: b.everything)
    assert "limit" in running.problem.reason
    assert "sysctl" in running.problem.remedy
    running.close()


@pytest.mark.skipif(sys.platform != "linux", reason="inotify")
def test_a_watch_that_cannot_start_at_all_says_so(tmp_path, monkeypatch):
    from watchdog.observers.inotify_c import InotifyFD

    def refuse(self):
        raise OSError(errno.EMFILE, "inotify instance limit reached")

    monkeypatch.setattr(InotifyFD, "__init__", refuse)
    running = watch(tmp_path, lambda: None)
    assert "limit" in running.problem.reason
    running.close()


def test_a_tree_of_ten_thousand_folders_starts_in_seconds(tmp_path):
    for outer in range(100):
        for inner in range(100):
            (tmp_path / f"{outer}" / f"{inner}").mkdir(parents=True)
    bell = Bell()
    begun = time.monotonic()
    running = watch(tmp_path, bell.rung.set)

    # Watching begins in watchdog's own thread: keep touching until it is seen.
    def touched(b):
        (tmp_path / "99" / "99" / "a.txt").write_text("x")
        return "99/99" in b.folders

    bell.gather(running, touched, seconds=20)
    running.close()
    assert time.monotonic() - begun < 20
