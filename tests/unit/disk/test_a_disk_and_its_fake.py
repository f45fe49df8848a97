"""What a disk promises about being changed, asked of a real one and of the one that tests of syncing use."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import satchel.disk.folder
from satchel.core.errors import FileChangedError, LocalFileError, PlaceTakenError
from satchel.disk import LocalDisk, write_marker
from satchel.disk.renaming import rename_free
from sync_world import Crash, FakeClock, FakeDisk

LONG_AGO = 978_307_200 * 1_000_000_000


class Real:
    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.before_rename: list[Callable[[], None]] = []
        write_marker(root, "r" * 32)
        self.disk = LocalDisk(root)

        def hooked(*renaming):
            if self.before_rename:
                self.before_rename.pop(0)()
            rename_free(*renaming)

        monkeypatch.setattr(satchel.disk.folder, "rename_free", hooked)

    def write(self, path: str, content: str) -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(content)

    def mkdirs(self, path: str) -> None:
        (self.root / path).mkdir(parents=True)

    def delete(self, path: str) -> None:
        (self.root / path).unlink()

    def delete_folder(self, path: str) -> None:
        shutil.rmtree(self.root / path)

    def fill(self, partial: str, content: str, mtime_ns: int) -> None:
        Path(partial).write_text(content)
        os.utime(partial, ns=(mtime_ns, mtime_ns))

    def tree(self) -> dict[str, str | None]:
        found = {file.relative_to(self.root): file for file in self.root.rglob("*")}
        return {
            path.as_posix(): file.read_text() if file.is_file() else None
            for path, file in found.items()
            if path.parts[0] != ".satchel"
        }

    def trashed(self) -> list[str]:
        return sorted(file.read_text() for file in (self.root / ".satchel/trash").rglob("*") if file.is_file())

    def unmount(self) -> None:
        shutil.rmtree(self.root / ".satchel")

    def now_ns(self) -> int:
        return time.time_ns()


class Fake:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.disk = FakeDisk(self.clock)
        self.before_rename: list[Callable[[], None]] = []
        self.disk.before_rename = lambda old, new: self.before_rename and self.before_rename.pop(0)()
        self.write, self.mkdirs, self.delete, self.fill = (
            self.disk.write,
            self.disk.mkdirs,
            self.disk.delete,
            self.disk.fill,
        )
        self.delete_folder = self.disk.delete

    def tree(self) -> dict[str, str | None]:
        return {path: node.content.decode() if node.kind == "file" else None for path, node in self.disk.nodes.items()}

    def trashed(self) -> list[str]:
        return [content.decode() for content in self.disk.trashed()]

    def unmount(self) -> None:
        self.disk.marker = None

    def now_ns(self) -> int:
        return self.clock.now_ms() * 1_000_000


World = Real | Fake


@pytest.fixture(params=["real", "fake"])
def world(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    return Real(tmp_path, monkeypatch) if request.param == "real" else Fake()


def fetched(world: World, content: str = "new", name: str = "f" * 32) -> str:
    partial = world.disk.partial(name)
    world.fill(partial, content, LONG_AGO)
    return partial


def there(world: World, path: str):
    entry = world.disk.stat(path)
    assert entry is not None
    return entry


def crash() -> None:
    raise Crash


def test_a_folder_is_made_in_a_free_place_only(world: World) -> None:
    entry = world.disk.make_folder("a")
    assert entry == there(world, "a")
    assert entry.kind == "folder"
    world.write("a/b", "mine")
    for taken in ("a", "a/b"):
        with pytest.raises(PlaceTakenError):
            world.disk.make_folder(taken)
    assert world.tree() == {"a": None, "a/b": "mine"}


def test_a_folder_is_not_made_in_one_that_is_not_there(world: World) -> None:
    world.write("f", "mine")
    for path in ("a/b", "f/b"):
        with pytest.raises(LocalFileError):
            world.disk.make_folder(path)
    assert world.tree() == {"f": "mine"}


def test_a_file_moves_and_stays_the_same_file(world: World) -> None:
    world.write("a/f", "mine")
    world.mkdirs("b")
    before = there(world, "a/f")
    entry = world.disk.move("a/f", "b/g")
    assert entry == there(world, "b/g") == before._replace(name="g")
    assert world.tree() == {"a": None, "b": None, "b/g": "mine"}


def test_a_folder_moves_with_all_that_is_in_it(world: World) -> None:
    world.write("a/b/f", "mine")
    file_id = there(world, "a").file_id
    assert world.disk.move("a", "c").file_id == file_id
    assert world.tree() == {"c": None, "c/b": None, "c/b/f": "mine"}


@pytest.mark.parametrize("taken", ["file", "folder", "empty", "self"])
def test_nothing_moves_to_where_something_is(world: World, taken: str) -> None:
    world.write("a", "mine")
    world.write("file", "yours")
    world.write("folder/f", "yours")
    world.mkdirs("empty")
    before = world.tree()
    with pytest.raises(PlaceTakenError):
        world.disk.move("a", "a" if taken == "self" else taken)
    if taken != "self":
        with pytest.raises(PlaceTakenError):
            world.disk.move("folder" if taken != "folder" else "empty", taken)
    assert world.tree() == before


def test_a_folder_never_moves_into_itself(world: World) -> None:
    world.write("a/b/f", "mine")
    for inside in ("a/c", "a/b/c"):
        with pytest.raises(LocalFileError):
            world.disk.move("a", inside)
    assert world.tree() == {"a": None, "a/b": None, "a/b/f": "mine"}


def test_what_is_gone_is_told(world: World) -> None:
    gone = fetched(world)
    world.write("f", "mine")
    planned = there(world, "f")
    world.delete("f")
    for change in (
        lambda: world.disk.move("f", "g"),
        lambda: world.disk.trash("f", planned),
        lambda: world.disk.trash_folder("f"),
        lambda: world.disk.trash_all("f", lambda: None),
        lambda: world.disk.set_aside("f", "k"),
        lambda: world.disk.bring_back("k", "f"),
        lambda: world.disk.place(gone, "f", planned),
        lambda: world.disk.place(world.disk.partial("never"), "f", None),
    ):
        with pytest.raises(LocalFileError):
            change()
    assert world.tree() == {}
    world.write("f", "yours")
    with pytest.raises(LocalFileError):
        world.disk.bring_back("k", "f")
    assert world.tree() == {"f": "yours"}


def test_a_trashed_file_is_in_the_trash(world: World) -> None:
    world.write("a/f", "mine")
    world.disk.trash("a/f", there(world, "a/f"))
    world.write("a/f", "again")
    world.disk.trash("a/f", there(world, "a/f")._replace(file_id=0))
    assert world.tree() == {"a": None}
    assert world.trashed() == ["again", "mine"]


def test_a_file_that_is_not_what_was_planned_stays(world: World) -> None:
    world.write("f", "mine")
    entry = there(world, "f")
    world.before_rename = [crash]  # it does not even go for a moment
    for planned in (
        entry._replace(size=5),
        entry._replace(mtime_ns=entry.mtime_ns + 1),
        entry._replace(file_id=entry.file_id + 1),
        entry._replace(kind="folder"),
    ):
        with pytest.raises(FileChangedError):
            world.disk.trash("f", planned)
        with pytest.raises(FileChangedError):
            world.disk.place(fetched(world), "f", planned)
    assert world.tree() == {"f": "mine"}
    assert world.trashed() == []
    assert there(world, "f") == entry


def test_a_file_written_just_before_it_moves_to_the_trash_is_put_back(world: World) -> None:
    world.write("f", "mine")
    planned = there(world, "f")
    world.before_rename = [lambda: world.write("f", "saved just now")]
    with pytest.raises(FileChangedError):
        world.disk.trash("f", planned)
    assert world.tree() == {"f": "saved just now"}
    assert world.trashed() == []


def test_it_is_put_beside_its_name_when_that_was_taken_meanwhile(world: World) -> None:
    world.write("a/f.txt", "mine")
    world.write("a/f (2).txt", "another")
    planned = there(world, "a/f.txt")
    world.before_rename = [
        lambda: world.write("a/f.txt", "saved just now"),
        lambda: world.write("a/f.txt", "and once more"),
    ]
    with pytest.raises(FileChangedError):
        world.disk.trash("a/f.txt", planned)
    assert world.tree() == {
        "a": None,
        "a/f.txt": "and once more",
        "a/f (2).txt": "another",
        "a/f (3).txt": "saved just now",
    }


def test_a_crash_leaves_a_file_at_its_place_or_in_the_trash(world: World) -> None:
    world.write("f", "mine")
    planned = there(world, "f")
    world.before_rename = [crash]
    with pytest.raises(Crash):
        world.disk.trash("f", planned)
    assert world.tree() == {"f": "mine"}
    world.before_rename = [lambda: world.write("f", "saved just now"), crash]
    with pytest.raises(Crash):
        world.disk.trash("f", planned)
    assert world.tree() == {}
    assert world.trashed() == ["saved just now"]


def test_a_folder_goes_to_the_trash_when_only_what_is_ignored_is_left(world: World) -> None:
    world.write("a/b/.DS_Store", "litter")
    assert not world.disk.trash_folder("a")
    assert world.disk.trash_folder("a/b")
    assert world.disk.trash_folder("a")
    assert world.tree() == {}
    assert world.trashed() == ["litter"]


def test_an_ignored_folder_goes_to_the_trash_with_all_that_is_in_it(world: World) -> None:
    world.write(".satchelignore", "a\n")
    world.write("a/f", "mine")
    world.disk.list("")
    assert world.disk.trash_folder("a")
    assert world.trashed() == ["mine"]


def gone_by(how: str, world: World) -> None:
    """The folder `a`, in which there is nothing but what is ignored."""
    match how:
        case "trashed":
            assert world.disk.trash_folder("a")
        case "trashed with all in it":
            world.disk.trash_all("a", lambda: None)
        case "moved":
            world.disk.move("a", "b")
        case "set aside":
            world.disk.set_aside("a", "key")
        case _:
            world.delete_folder("a")
            world.disk.list("")


@pytest.mark.parametrize("how", ["trashed", "trashed with all in it", "moved", "set aside", "by somebody"])
def test_rules_go_with_the_folder_that_they_are_in(world: World, how: str) -> None:
    world.write("a/.satchelignore", ".satchelignore\n*.log\n")
    world.write("a/in/b.log", "mine")
    world.write("c/.satchelignore", "*.log\n")
    for folder in ("", "a", "a/in", "c"):
        world.disk.list(folder)
    if how == "trashed":
        world.delete("a/in/b.log")
        world.disk.trash_folder("a/in")
    before = world.disk.rules_changes()
    assert world.disk.ignored("a/b.log", "file")
    gone_by(how, world)
    assert not world.disk.ignored("a/b.log", "file")
    assert not world.disk.ignored("a/in/b.log", "file")
    assert world.disk.ignored("c/b.log", "file")
    assert world.disk.rules_changes() > before


def test_rules_that_were_read_before_their_folder_was_listed_go_with_their_file(world: World) -> None:
    world.write("a/.satchelignore", "*.log\n")
    world.disk.list("")
    assert world.disk.ignored("a/b.log", "file")
    world.delete("a/.satchelignore")
    before = world.disk.rules_changes()
    world.disk.list("a")
    assert not world.disk.ignored("a/b.log", "file")
    assert world.disk.rules_changes() > before


@pytest.mark.parametrize("left", ["a/f", "a/b/f"])
def test_a_folder_with_more_in_it_stays(world: World, left: str) -> None:
    world.write(left, "mine")
    before = world.tree()
    assert not world.disk.trash_folder("a")
    assert world.tree() == before


def test_a_whole_folder_is_in_the_trash_and_comes_back_by_hand(world: World) -> None:
    world.write("a/b/f", "mine")
    world.write("a/g", "another")
    world.disk.trash_all("a", lambda: None)
    assert world.tree() == {}
    assert world.trashed() == ["another", "mine"]


def test_a_whole_folder_in_which_something_changes_meanwhile_is_put_back(world: World) -> None:
    world.write("a/b/f", "mine")
    for change in (
        lambda: world.write("a/b/g", "new"),
        lambda: world.write("a/b/f", "saved just now"),
        lambda: world.mkdirs("a/b/c"),
        lambda: world.delete("a/b/g"),
    ):
        world.before_rename = [change]
        with pytest.raises(FileChangedError):
            world.disk.trash_all("a", lambda: None)
    assert world.tree() == {"a": None, "a/b": None, "a/b/c": None, "a/b/f": "saved just now"}
    assert world.trashed() == []


def test_a_whole_folder_stays_when_that_is_the_verdict(world: World) -> None:
    world.write("a/f", "mine")
    with pytest.raises(Crash):
        world.disk.trash_all("a", crash)
    assert world.tree() == {"a": None, "a/f": "mine"}


def test_what_this_computer_leaves_out_is_ignored_from_the_next_look_on(world: World) -> None:
    world.write("a/b/f", "mine")
    world.write("a/g", "another")
    world.write("c/b/f", "third")
    world.disk.list("")
    before = world.disk.rules_changes()
    for path in ("a/b", "c"):
        world.disk.leave_out(path)
    world.disk.list("")
    assert world.disk.left_out() == ("a/b", "c")
    assert world.disk.ignored("a/b", "folder")
    assert world.disk.ignored("a/b/f", "file")
    assert [entry.name for entry in world.disk.list("a").entries] == ["g"]  # type: ignore[union-attr]
    assert [entry.name for entry in world.disk.list("").entries] == ["a"]  # type: ignore[union-attr]
    world.disk.take_in("a/b")
    world.disk.list("")
    assert world.disk.left_out() == ("c",)
    assert not world.disk.ignored("a/b", "folder")
    assert world.disk.rules_changes() > before + 1
    assert set(world.tree()) == {"a", "a/b", "a/b/f", "a/g", "c", "c/b", "c/b/f"}


def test_an_ignore_file_in_the_folder_has_the_last_word(world: World) -> None:
    world.write("a/f", "mine")
    world.write("b/f", "mine")
    world.write(".satchelignore", "!/a\n")
    world.disk.leave_out("a")
    world.disk.leave_out("b")
    world.disk.list("")
    assert not world.disk.ignored("a", "folder")
    assert world.disk.ignored("b", "folder")


def test_a_file_is_no_folder_to_trash(world: World) -> None:
    world.write("f", "mine")
    with pytest.raises(LocalFileError):
        world.disk.trash_folder("f")
    with pytest.raises(LocalFileError):
        world.disk.trash_all("f", lambda: None)
    assert world.tree() == {"f": "mine"}


def test_a_folder_in_which_something_appears_just_before_is_put_back(world: World) -> None:
    world.mkdirs("a")
    world.before_rename = [lambda: world.write("a/f", "saved just now")]
    assert not world.disk.trash_folder("a")
    assert world.tree() == {"a": None, "a/f": "saved just now"}
    world.delete("a/f")
    world.before_rename = [lambda: world.write("a/f", "saved just now"), lambda: world.write("a/g", "in a new folder")]
    assert not world.disk.trash_folder("a")
    assert world.tree() == {"a": None, "a/g": "in a new folder", "a (2)": None, "a (2)/f": "saved just now"}


def test_a_whole_file_gets_its_name_with_its_own_time(world: World) -> None:
    world.mkdirs("a")
    partial = fetched(world)
    assert partial == world.disk.partial("f" * 32)
    entry = world.disk.place(partial, "a/f", None)
    assert entry == there(world, "a/f")
    assert (entry.name, entry.kind, entry.size, entry.mtime_ns) == ("f", "file", 3, LONG_AGO)
    assert world.tree() == {"a": None, "a/f": "new"}
    with pytest.raises(LocalFileError):
        world.disk.place(partial, "a/g", None)


def test_a_new_revision_sends_the_old_one_to_the_trash(world: World) -> None:
    world.write("f", "old")
    entry = world.disk.place(fetched(world), "f", there(world, "f"))
    assert entry == there(world, "f")
    assert world.tree() == {"f": "new"}
    assert world.trashed() == ["old"]


def test_nothing_is_placed_where_something_is(world: World) -> None:
    world.write("f", "mine")
    world.mkdirs("a")
    partial = fetched(world)
    for path in ("f", "a"):
        with pytest.raises(PlaceTakenError):
            world.disk.place(partial, path, None)
    world.before_rename = [lambda: world.write("g", "just now")]
    with pytest.raises(PlaceTakenError):
        world.disk.place(partial, "g", None)
    assert world.tree() == {"f": "mine", "a": None, "g": "just now"}
    world.disk.place(partial, "h", None)
    assert world.tree()["h"] == "new"


def test_a_save_that_races_with_a_new_revision_wins(world: World) -> None:
    world.write("f", "old")
    partial = fetched(world)
    planned = there(world, "f")
    world.before_rename = [lambda: world.write("f", "saved just now")]
    with pytest.raises(FileChangedError):
        world.disk.place(partial, "f", planned)
    assert world.tree() == {"f": "saved just now"}
    planned = there(world, "f")
    world.before_rename = [lambda: None, lambda: world.write("f", "and once more")]
    with pytest.raises(PlaceTakenError):
        world.disk.place(partial, "f", planned)
    assert world.tree() == {"f": "and once more"}
    assert world.trashed() == ["saved just now"]
    world.disk.place(partial, "f", there(world, "f"))
    assert world.tree() == {"f": "new"}


@pytest.mark.parametrize("after", [0, 1])
def test_a_crash_while_a_file_is_replaced_loses_neither(world: World, after: int) -> None:
    world.write("f", "old")
    partial = fetched(world)
    planned = there(world, "f")
    world.before_rename = [lambda: None] * after + [crash]
    with pytest.raises(Crash):
        world.disk.place(partial, "f", planned)
    assert list(world.tree().values()) + world.trashed() == ["old"]
    world.disk.place(partial, "f", planned if after == 0 else None)
    assert world.tree() == {"f": "new"}
    assert world.trashed() == ["old"]


def test_what_is_set_aside_frees_its_place_and_comes_back(world: World) -> None:
    world.write("a/f", "one")
    world.write("b", "two")
    assert world.disk.aside() == {}
    entries = {"1": there(world, "a"), "2": there(world, "b")}
    world.disk.set_aside("a", "1")
    world.disk.set_aside("b", "2")
    assert world.tree() == {}
    assert world.disk.aside() == entries
    assert world.disk.bring_back("1", "b") == entries["1"]._replace(name="b")
    assert world.disk.bring_back("2", "b/g").name == "g"
    assert world.tree() == {"b": None, "b/f": "one", "b/g": "two"}
    assert world.disk.aside() == {}


def test_a_key_and_a_place_are_given_once(world: World) -> None:
    world.write("a", "one")
    world.write("b", "two")
    world.disk.set_aside("a", "1")
    with pytest.raises(PlaceTakenError):
        world.disk.set_aside("b", "1")
    with pytest.raises(PlaceTakenError):
        world.disk.bring_back("1", "b")
    assert world.tree() == {"b": "two"}
    world.before_rename = [lambda: world.write("c", "just now")]
    with pytest.raises(PlaceTakenError):
        world.disk.bring_back("1", "c")
    world.disk.bring_back("1", "a")
    assert world.tree() == {"a": "one", "b": "two", "c": "just now"}


def test_a_crash_before_setting_aside_leaves_nothing_aside(world: World) -> None:
    world.write("a", "one")
    world.before_rename = [crash]
    with pytest.raises(Crash):
        world.disk.set_aside("a", "1")
    assert world.disk.aside() == {}
    with pytest.raises(LocalFileError):
        world.disk.bring_back("1", "b")
    world.disk.set_aside("a", "1")
    assert list(world.disk.aside()) == ["1"]


def test_tidying_deletes_what_is_old_and_nothing_else(world: World) -> None:
    world.disk.tidy(world.now_ns())
    world.write("f", "old")
    world.write("g", "mine")
    world.write("h", "aside")
    world.mkdirs("a")
    world.disk.trash("f", there(world, "f"))
    world.disk.trash_folder("a")
    world.disk.set_aside("h", "1")
    partial = fetched(world)
    two_days = 2 * 86_400 * 1_000_000_000
    for not_yet in (two_days, 1_000_000_000):
        world.disk.tidy(world.now_ns() - not_yet)
        assert world.trashed() == ["old"]
    world.disk.tidy(world.now_ns() + two_days)
    assert world.trashed() == []
    assert world.tree() == {"g": "mine"}
    assert list(world.disk.aside()) == ["1"]
    with pytest.raises(LocalFileError):
        world.disk.place(partial, "i", None)


def test_a_partial_file_that_waits_for_its_place_is_not_old_because_its_content_is(world: World) -> None:
    partial = fetched(world)
    world.disk.tidy(world.now_ns() - 3_600 * 1_000_000_000)
    world.disk.place(partial, "f", None)
    assert world.tree() == {"f": "new"}


OUTSIDE = ["", ".", "..", "../x", "a/../../x", "a/..", "/etc/x", "a//x", "a/", "x\0", "a/x\0y", "\udcff", "n" * 256]


@pytest.mark.parametrize("path", [*OUTSIDE, ".satchel", ".Satchel", ".satchel/trash", ".SATCHEL/root.json"])
def test_no_path_leads_out_of_the_folder_or_into_the_marker(world: World, path: str) -> None:
    world.write("a/f", "mine")
    world.write("g", "aside")
    world.disk.set_aside("g", "1")
    entry = there(world, "a/f")
    before = world.tree()
    partial = fetched(world)
    for change in (
        lambda: world.disk.make_folder(path),
        lambda: world.disk.move("a/f", path),
        lambda: world.disk.move(path, "b"),
        lambda: world.disk.trash(path, entry),
        lambda: world.disk.trash_folder(path),
        lambda: world.disk.trash_all(path, lambda: None),
        lambda: world.disk.place(partial, path, None),
        lambda: world.disk.place(partial, path, entry),
        lambda: world.disk.set_aside(path, "2"),
        lambda: world.disk.bring_back("1", path),
    ):
        with pytest.raises(LocalFileError) as told:
            change()
        assert not isinstance(told.value, PlaceTakenError | FileChangedError)
    assert world.tree() == before
    assert list(world.disk.aside()) == ["1"]
    assert world.disk.place(partial, "c", None).size == 3


@pytest.mark.parametrize("key", ["", ".", "..", "a/b", "../x", "x\0", "\udcff", "n" * 256])
def test_a_key_or_an_id_is_one_name(world: World, key: str) -> None:
    world.write("f", "mine")
    for change in (
        lambda: world.disk.partial(key),
        lambda: world.disk.set_aside("f", key),
        lambda: world.disk.bring_back(key, "g"),
    ):
        with pytest.raises(LocalFileError):
            change()
    assert world.tree() == {"f": "mine"}


def test_only_what_was_gathered_in_the_marker_is_placed(world: World) -> None:
    world.write("f", "mine")
    with pytest.raises(LocalFileError):
        world.disk.place(world.disk.absolute("f"), "g", None)
    assert world.tree() == {"f": "mine"}


def test_nothing_is_changed_where_the_marker_is_gone(world: World) -> None:
    world.write("f", "mine")
    world.mkdirs("a")
    partial = fetched(world)
    planned = there(world, "f")
    world.unmount()
    for change in (
        lambda: world.disk.make_folder("b"),
        lambda: world.disk.move("f", "g"),
        lambda: world.disk.trash("f", planned),
        lambda: world.disk.trash_folder("a"),
        lambda: world.disk.place(partial, "g", None),
        lambda: world.disk.set_aside("f", "1"),
    ):
        with pytest.raises(LocalFileError):
            change()
    assert world.tree() == {"f": "mine", "a": None}
