"""What only a real disk can show: links, permissions, other file systems, systems that know fewer calls."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import sys
from datetime import date, timedelta
from pathlib import Path

import pytest

import satchel.disk.changing
import satchel.disk.folder
from ordinary_user import as_ordinary_user
from satchel.core.errors import FileChangedError, LocalFileError, PlaceTakenError
from satchel.core.names import name_key
from satchel.disk import LocalDisk, renaming, write_marker
from satchel.disk.folder import Folder, unlimited

DAY_NS = 86_400 * 1_000_000_000


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "Work").mkdir()
    write_marker(tmp_path / "Work", "r" * 32)
    return tmp_path / "Work"


@pytest.fixture
def disk(root: Path) -> LocalDisk:
    return LocalDisk(root)


def fetched(disk: LocalDisk, content: str = "new", name: str = "f" * 32) -> str:
    partial = Path(disk.partial(name))
    partial.write_text(content)
    return str(partial)


def there(disk: LocalDisk, path: str):
    entry = disk.stat(path)
    assert entry is not None
    return entry


def trashed(root: Path) -> list[str]:
    return sorted(file.name for file in (root / ".satchel/trash").glob("*/*/*"))


def contents(root: Path) -> list[str]:
    """Of all files anywhere under the folder, the marker's own left out."""
    return sorted(file.read_text() for file in root.rglob("*") if file.is_file() and file.name != "root.json")


def every_change(disk: LocalDisk, path: str, entry):
    """Every method with this path in every place; `x` is a file, and `k` a key under which something is aside."""
    partial = fetched(disk)
    return [
        lambda: disk.make_folder(f"{path}-new"),
        lambda: disk.move(path, "y"),
        lambda: disk.move("x", f"{path}-new"),
        lambda: disk.trash(path, entry),
        lambda: disk.trash_folder(path),
        lambda: disk.place(partial, path, entry),
        lambda: disk.place(partial, f"{path}-new", None),
        lambda: disk.set_aside(path, "k2"),
        lambda: disk.bring_back("k", f"{path}-new"),
    ]


def refusing(code: int):
    def call(old, new, *_, **__):
        raise OSError(code, os.strerror(code), old, None, new)

    return call


# links


def test_a_folder_that_became_a_link_leads_no_change_out(root, disk):
    outside = root.parent / "outside"
    (outside / "b/f").mkdir(parents=True)
    (outside / "g").write_text("theirs")
    (root / "x").write_text("mine")
    (root / "z").write_text("aside")
    disk.set_aside("z", "k")
    entry = there(disk, "x")
    (root / "a").symlink_to(outside)
    (root / "c").mkdir()
    (root / "c/a").symlink_to(outside)
    outer = (outside / "g").stat()
    as_planned = entry._replace(size=6, mtime_ns=outer.st_mtime_ns, file_id=outer.st_ino)
    before = sorted(outside.rglob("*"))
    for path in ("a/g", "a/b/f", "c/a/g", "c/a/b/f"):
        for change in every_change(disk, path, as_planned):
            with pytest.raises(LocalFileError):
                change()
    assert sorted(outside.rglob("*")) == before
    assert (outside / "g").read_text() == "theirs"
    assert contents(root) == ["aside", "mine", "new"]


def test_a_folder_swapped_for_a_link_after_it_was_opened_leads_nowhere(root, disk, monkeypatch):
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "f").write_text("theirs")
    (root / "a").mkdir()
    (root / "a/f").write_text("mine")

    def swap(*renaming_):
        monkeypatch.undo()
        (root / "a").rename(root / "b")
        (root / "a").symlink_to(outside)
        renaming.rename_free(*renaming_)

    monkeypatch.setattr(satchel.disk.folder, "rename_free", swap)
    disk.trash("a/f", there(disk, "a/f"))
    assert (outside / "f").read_text() == "theirs"
    assert trashed(root) == ["f"]
    assert not (root / "b/f").exists()


def test_a_link_in_the_place_of_a_file_is_left_alone(root, disk):
    outside = root.parent / "theirs"
    outside.write_text("theirs")
    (root / "x").write_text("mine")
    entry = there(disk, "x")
    (root / "f").symlink_to(outside)
    partial = fetched(disk)
    for change in (
        lambda: disk.move("f", "g"),
        lambda: disk.trash("f", entry),
        lambda: disk.trash_folder("f"),
        lambda: disk.set_aside("f", "k"),
        lambda: disk.place(partial, "f", entry),
        lambda: disk.place(partial, "f", None),
        lambda: disk.make_folder("f"),
    ):
        with pytest.raises(LocalFileError):
            change()
    assert (root / "f").is_symlink()
    assert outside.read_text() == "theirs"


def test_a_link_that_takes_a_files_place_just_before_is_put_back(root, disk, monkeypatch):
    (root / "f").write_text("mine")
    planned = there(disk, "f")

    def swap(*renaming_):
        monkeypatch.undo()
        (root / "f").rename(root / "g")
        (root / "f").symlink_to("g")
        renaming.rename_free(*renaming_)

    monkeypatch.setattr(satchel.disk.folder, "rename_free", swap)
    with pytest.raises(FileChangedError):
        disk.trash("f", planned)
    assert (root / "f").is_symlink()
    assert (root / "g").read_text() == "mine"


@pytest.mark.parametrize("room", ["trash", "partial", "aside"])
def test_a_link_in_the_place_of_a_room_of_the_marker_is_told_and_not_followed(root, disk, room):
    outside = root.parent / "outside"
    (outside / "2001-01-01").mkdir(parents=True)
    (outside / "2001-01-01/f").write_text("theirs")
    (root / ".satchel" / room).symlink_to(outside)
    (root / "f").write_text("mine")
    change = {
        "trash": lambda: disk.trash("f", there(disk, "f")),
        "partial": lambda: disk.partial("k"),
        "aside": lambda: disk.set_aside("f", "k"),
    }[room]
    with pytest.raises(LocalFileError) as told:
        change()
    assert told.value.path == str(root / ".satchel")
    with pytest.raises(LocalFileError):
        disk.aside() if room == "aside" else disk.tidy(2**60)
    assert (outside / "2001-01-01/f").read_text() == "theirs"
    assert (root / "f").read_text() == "mine"


def test_the_watched_folder_itself_may_be_a_link(root):
    link = root.parent / "link"
    link.symlink_to(root)
    disk = LocalDisk(link)
    assert disk.place(fetched(disk), "f", None).size == 3
    assert (root / "f").read_text() == "new"


def test_a_partial_that_is_a_link_is_not_placed(root, disk):
    (root.parent / "theirs").write_text("theirs")
    partial = disk.partial("k")
    Path(partial).symlink_to(root.parent / "theirs")
    with pytest.raises(LocalFileError):
        disk.place(partial, "f", None)
    assert not (root / "f").is_symlink()


# the trash


def test_a_person_finds_in_the_trash_what_went_today_under_its_name(root, disk):
    (root / "report.pdf").write_text("mine")
    days = {date.today()}
    disk.trash("report.pdf", there(disk, "report.pdf"))
    days.add(date.today())
    (found,) = (root / ".satchel/trash").glob("*/*/report.pdf")
    assert date.fromisoformat(found.parts[-3]) in days
    assert found.read_text() == "mine"


def test_what_is_kept_is_for_this_user_alone(root, disk):
    (root / "f").write_text("mine")
    (root / "g").write_text("mine")
    disk.trash("f", there(disk, "f"))
    disk.set_aside("g", "k")
    disk.partial("k")
    made = [folder for folder in (root / ".satchel").rglob("*") if folder.is_dir()]
    assert len(made) == 6
    assert {stat.S_IMODE(folder.stat().st_mode) for folder in made} == {0o700}


def test_a_refused_change_leaves_no_empty_folder_in_the_trash(root, disk, monkeypatch):
    (root / "f").write_text("mine")
    planned = there(disk, "f")
    monkeypatch.setattr(satchel.disk.folder, "rename_free", refusing(errno.EACCES))
    with pytest.raises(LocalFileError):
        disk.trash("f", planned)
    assert not list((root / ".satchel/trash").glob("*/*"))


def test_what_cannot_be_put_back_stays_in_the_trash_and_is_told_where(root, disk, monkeypatch):
    (root / "a").mkdir()
    (root / "a/f").write_text("mine")
    planned = there(disk, "a/f")
    renames = []

    def rename(*renaming_):
        renames.append(renaming_)
        if len(renames) > 1:
            raise OSError(errno.EACCES, "no")
        (root / "a/f").write_text("saved just now")
        renaming.rename_free(*renaming_)

    monkeypatch.setattr(satchel.disk.folder, "rename_free", rename)
    with pytest.raises(FileChangedError) as told:
        disk.trash("a/f", planned)
    (kept,) = (root / ".satchel/trash").glob("*/*/f")
    assert str(kept.parent) in told.value.message
    assert kept.read_text() == "saved just now"


def test_an_old_day_is_deleted_with_read_only_folders_and_never_through_a_link(root, disk):
    outside = root.parent / "outside"
    outside.mkdir()
    (outside / "f").write_text("theirs")
    trash = root / ".satchel/trash"
    old, young = date.today() - timedelta(days=40), date.today() - timedelta(days=20)
    for day in (old, young):
        (trash / day.isoformat() / "1/folder/deep").mkdir(parents=True)
        (trash / day.isoformat() / "1/folder/deep/f").write_text("old")
        (trash / day.isoformat() / "1/folder/link").symlink_to(outside)
        (trash / day.isoformat() / "1/folder/deep").chmod(0o500)
    (trash / "not a day").mkdir()
    (trash / "2001-01-01").symlink_to(outside)
    before = int((date.today() - timedelta(days=30)).strftime("%s")) * 1_000_000_000
    with as_ordinary_user():
        disk.tidy(before)
    assert sorted(found.name for found in trash.iterdir()) == sorted([young.isoformat(), "not a day"])
    assert (outside / "f").read_text() == "theirs"


def test_what_cannot_be_deleted_is_told_and_keeps_nothing_else(root, disk, monkeypatch):
    for day in ("2001-01-01", "2001-01-02", "2001-01-03"):
        (root / ".satchel/trash" / day / "1").mkdir(parents=True)
    unlink = Folder.remove

    def remove(folder, name):
        if name == "2001-01-02":
            raise OSError(errno.EACCES, "no")
        unlink(folder, name)

    monkeypatch.setattr(Folder, "remove", remove)
    with pytest.raises(LocalFileError):
        disk.tidy(2**60)
    assert [found.name for found in (root / ".satchel/trash").iterdir()] == ["2001-01-02"]


# what the system refuses


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.ENOSPC, "full"),
        (errno.EDQUOT, "full"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "may not be changed"),
        (errno.EPERM, "may not be changed"),
        (errno.EBUSY, "open"),
        (errno.ETXTBSY, "open"),
        (errno.EXDEV, "another disk"),
        (errno.ENOENT, "gone"),
        (errno.ENAMETOOLONG, "too long"),
        (errno.EIO, "cannot be changed"),
    ],
)
def test_what_the_system_refuses_is_said_and_loses_nothing(root, disk, monkeypatch, code, said):
    (root / "x").write_text("mine")
    (root / "f").write_text("mine too")
    (root / "e").mkdir()
    (root / "z").write_text("aside")
    disk.set_aside("z", "k")
    partial = fetched(disk)
    entry = there(disk, "f")
    monkeypatch.setattr(satchel.disk.folder, "rename_free", refusing(code))
    for change in (
        lambda: disk.move("x", "y"),
        lambda: disk.trash("f", entry),
        lambda: disk.trash_folder("e"),
        lambda: disk.place(partial, "f", entry),
        lambda: disk.place(partial, "g", None),
        lambda: disk.set_aside("f", "k2"),
        lambda: disk.bring_back("k", "g"),
    ):
        with pytest.raises(LocalFileError) as told:
            change()
        assert said in told.value.title
        assert told.value.message
        assert told.value.path.startswith(str(root))
        assert type(told.value) is LocalFileError
    assert contents(root) == ["aside", "mine", "mine too", "new"]
    assert there(disk, "f") == entry
    assert (root / "e").is_dir()


def test_a_file_that_windows_says_is_open_elsewhere_is_told_so():
    error = PermissionError(errno.EACCES, "The process cannot access the file")
    error.winerror = 32  # type: ignore[attr-defined] # Windows alone has it
    assert "open" in satchel.disk.changing.refusal(error, "C:\\f").title


def test_a_new_file_that_gets_no_name_leaves_the_old_one_in_its_place(root, disk, monkeypatch):
    (root / "f").write_text("old")
    partial = fetched(disk)
    planned = there(disk, "f")

    def rename(old, new, *folders):
        if old == "f" * 32:
            raise OSError(errno.ENOSPC, "full")
        renaming.rename_free(old, new, *folders)

    monkeypatch.setattr(satchel.disk.folder, "rename_free", rename)
    with pytest.raises(LocalFileError) as told:
        disk.place(partial, "f", planned)
    assert "full" in told.value.title
    assert there(disk, "f") == planned
    assert trashed(root) == []
    assert Path(partial).read_text() == "new"


def test_a_folder_that_may_not_be_written_to_holds_back_only_itself(root, disk):
    (root / "a").mkdir()
    (root / "a/f").write_text("mine")
    (root / "x").write_text("mine")
    entry = there(disk, "a/f")
    partial = fetched(disk)
    (root / "a").chmod(0o500)
    try:
        with as_ordinary_user():
            for change in (
                lambda: disk.make_folder("a/b"),
                lambda: disk.move("a/f", "g"),
                lambda: disk.move("x", "a/x"),
                lambda: disk.trash("a/f", entry),
                lambda: disk.place(partial, "a/f", entry),
                lambda: disk.place(partial, "a/g", None),
                lambda: disk.set_aside("a/f", "k"),
            ):
                with pytest.raises(LocalFileError) as told:
                    change()
                assert "may not be changed" in told.value.title
            disk.place(partial, "g", None)
    finally:
        (root / "a").chmod(0o700)
    assert contents(root) == ["mine", "mine", "new"]


def test_nothing_is_copied_to_another_disk_or_lost_on_the_way(root):
    other = Path("/dev/shm")
    if not other.is_dir() or other.stat().st_dev == root.stat().st_dev:
        pytest.skip("needs a second file system")
    (root / "f").write_text("mine")
    across = pytest.raises(OSError, match=os.strerror(errno.EXDEV))
    with Folder.top(str(root)) as here, Folder.top(str(other)) as elsewhere, across:
        here.rename("f", elsewhere, f"satchel-{os.getpid()}")
    assert (root / "f").read_text() == "mine"
    assert not (other / f"satchel-{os.getpid()}").exists()


def test_a_path_longer_than_the_system_allows_is_refused_before_anything_is_made(root, disk):
    deep = "/".join(["n" * 200] * 25)
    with pytest.raises(LocalFileError) as told:
        disk.make_folder(deep)
    assert "too long" in told.value.title


def test_names_that_windows_cannot_have_are_refused_there(root, disk, monkeypatch):
    (root / "x").write_text("mine")
    partial = fetched(disk)
    rule = satchel.disk.changing.here_problem
    monkeypatch.setattr(satchel.disk.changing, "here_problem", lambda name: rule(name, "win32"))
    for name in ("a:b", "nul.txt", "dot.", "space ", "a\\b"):
        for change in (
            lambda name=name: disk.make_folder(name),
            lambda name=name: disk.move("x", name),
            lambda name=name: disk.place(partial, name, None),
        ):
            with pytest.raises(LocalFileError) as told:
                change()
            assert told.value.message
    assert contents(root) == ["mine", "new"]


def test_long_paths_of_windows_are_asked_for_in_their_long_form():
    assert unlimited("C:\\Users\\me") == "\\\\?\\C:\\Users\\me"
    assert unlimited("\\\\server\\share") == "\\\\?\\UNC\\server\\share"
    assert unlimited(unlimited("C:\\Users\\me")) == "\\\\?\\C:\\Users\\me"


# whole files


def test_the_bytes_are_on_the_disk_before_their_name_and_the_name_before_it_is_told(root, disk, monkeypatch):
    partial = fetched(disk)
    order = []
    fsync = os.fsync

    def synced(descriptor):
        order.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        fsync(descriptor)

    def rename(*renaming_):
        order.append("name")
        renaming.rename_free(*renaming_)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(satchel.disk.folder, "rename_free", rename)
    disk.place(partial, "f", None)
    assert order == ["file", "name", "folder"]


def test_a_new_revision_of_a_script_can_still_be_run(root, disk):
    (root / "run.sh").write_text("old")
    (root / "run.sh").chmod(0o750)
    disk.place(fetched(disk), "run.sh", there(disk, "run.sh"))
    assert (root / "run.sh").read_text() == "new"
    assert stat.S_IMODE((root / "run.sh").stat().st_mode) == 0o750


# two spellings of one name


def test_names_that_differ_in_case_or_accents_are_two_places_here(root, disk):
    (root / "Readme").write_text("mine")
    assert disk.move("Readme", "README").name == "README"
    (root / "Readme").write_text("yours")
    with pytest.raises(PlaceTakenError):
        disk.move("Readme", "README")
    assert (root / "README").read_text() == "mine"


def test_two_names_of_one_file_are_not_taken_for_two_spellings(root, disk):
    (root / "Readme").write_text("mine")
    os.link(root / "Readme", root / "README")
    with pytest.raises(PlaceTakenError):
        disk.move("Readme", "README")
    assert sorted(found.name for found in root.iterdir()) == [".satchel", "README", "Readme"]


@pytest.fixture
def caseless(root, monkeypatch):
    """The calls of a disk for which names that differ in case or accents are one name, and which refuses, as macOS
    does, to rename a file to another spelling of itself without replacing. Gives the renames."""
    look, rename = Folder.look, renaming.rename_free
    renames = []

    def spelled(folder, name):
        return next((known for known in folder.names() if name_key(known) == name_key(name)), name)

    def rename_one(folder, name, target, new):
        renames.append((name, new))
        if target.look(new) is not None:
            raise FileExistsError(errno.EEXIST, "taken")
        rename(spelled(folder, name), new, folder._descriptor, target._descriptor)

    monkeypatch.setattr(Folder, "look", lambda folder, name: look(folder, spelled(folder, name)))
    monkeypatch.setattr(Folder, "rename", rename_one)
    return renames


@pytest.mark.parametrize(("old", "new"), [("Readme", "README"), ("café.txt", "cafe\u0301.TXT"), ("Work", "work")])
def test_a_name_is_spelled_anew_where_the_system_takes_both_for_one(root, disk, caseless, old, new):
    if old == "Work":
        (root / old).mkdir()
        (root / old / "f").write_text("mine")
    else:
        (root / old).write_text("mine")
    before = there(disk, old)
    assert disk.move(old, new) == before._replace(name=new)
    assert sorted(found.name for found in root.iterdir()) == [".satchel", new]
    assert contents(root) == ["mine"]


def test_another_file_is_in_the_way_there_under_any_spelling(root, disk, caseless):
    (root / "a").write_text("mine")
    (root / "Readme").write_text("yours")
    (root / "b").mkdir()
    (root / "b/A").write_text("theirs")
    for new in ("README", "b/a"):
        with pytest.raises(PlaceTakenError):
            disk.move("a", new)
    with pytest.raises(PlaceTakenError):
        disk.place(fetched(disk), "readme", None)
    assert contents(root) == ["mine", "new", "theirs", "yours"]


def test_a_spelling_that_is_refused_half_way_is_taken_back(root, disk, caseless, monkeypatch):
    (root / "Readme").write_text("mine")
    rename = Folder.rename

    def refuse(folder, name, target, new):
        if name == "README (2)" and new == "README":
            raise OSError(errno.EACCES, "no")
        rename(folder, name, target, new)

    monkeypatch.setattr(Folder, "rename", refuse)
    with pytest.raises(LocalFileError):
        disk.move("Readme", "README")
    assert sorted(found.name for found in root.iterdir()) == [".satchel", "Readme"]


# systems that know fewer calls


@pytest.fixture(params=["no call", "no flag", "no hard links"])
def fewer_calls(request, monkeypatch):
    call = None if request.param == "no call" else lambda *_: _failing_with(errno.EINVAL)
    monkeypatch.setattr(renaming, "_EXCLUSIVELY", call)
    if request.param == "no hard links":
        monkeypatch.setattr(os, "link", refusing(errno.EPERM))


def _failing_with(code: int) -> int:
    ctypes.set_errno(code)
    return -1


def test_without_the_call_a_file_still_moves_to_a_free_place_only(root, disk, fewer_calls):
    (root / "f").write_text("mine")
    (root / "g").write_text("yours")
    (root / "e").mkdir()
    for taken in ("g", "e", "f"):
        with pytest.raises(PlaceTakenError):
            disk.move("f", taken)
    before = there(disk, "f")
    assert disk.move("f", "h") == before._replace(name="h")
    assert sorted(found.name for found in root.iterdir()) == [".satchel", "e", "g", "h"]
    assert (root / "h").stat().st_nlink == 1


def test_without_the_call_a_folder_still_moves_to_a_free_place_only(root, disk, fewer_calls):
    (root / "d").mkdir()
    (root / "d/f").write_text("mine")
    (root / "e").mkdir()
    (root / "g").write_text("yours")
    for taken in ("e", "g"):
        with pytest.raises(PlaceTakenError):
            disk.move("d", taken)
    with pytest.raises(LocalFileError):
        disk.move("d", "d/inside")
    disk.move("d", "h")
    assert (root / "h/f").read_text() == "mine"


def test_without_the_call_a_link_is_renamed_and_not_what_it_leads_to(root, fewer_calls):
    (root / "f").write_text("mine")
    (root / "link").symlink_to("f")
    with Folder.top(str(root)) as folder:
        folder.rename("link", folder, "other")
    assert (root / "other").is_symlink()
    assert (root / "f").read_text() == "mine"
    assert not (root / "link").is_symlink()


def test_what_is_renamed_over_a_file_between_link_and_unlink_stays(root, disk, monkeypatch):
    monkeypatch.setattr(renaming, "_EXCLUSIVELY", None)
    (root / "f").write_text("mine")
    planned = there(disk, "f")
    link = os.link

    def then_saved(*args, **names):
        link(*args, **names)
        (root / "saving").write_text("saved just now")
        (root / "saving").rename(root / "f")

    monkeypatch.setattr(os, "link", then_saved)
    disk.trash("f", planned)
    assert (root / "f").read_text() == "saved just now"
    assert contents(root) == ["mine", "saved just now"]


def test_a_crash_between_link_and_unlink_leaves_the_file_at_its_place(root, disk, monkeypatch):
    monkeypatch.setattr(renaming, "_EXCLUSIVELY", None)
    (root / "f").write_text("mine")
    planned = there(disk, "f")
    unlink = os.unlink

    def crash(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "unlink", crash)
    with pytest.raises(KeyboardInterrupt):
        disk.trash("f", planned)
    monkeypatch.setattr(os, "unlink", unlink)
    assert there(disk, "f") == planned


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks for the call of Linux")
def test_linux_has_the_call_and_it_never_replaces(root):
    assert renaming._EXCLUSIVELY is not None
    (root / "f").write_text("mine")
    (root / "g").write_text("yours")
    with Folder.top(str(root)) as folder, pytest.raises(FileExistsError):
        folder.rename("f", folder, "g")
    assert (root / "g").read_text() == "yours"


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="asks Linux what is open")
def test_no_descriptor_is_left_open(root, disk):
    (root / "a/b/c").mkdir(parents=True)
    (root / "a/b/c/f").write_text("mine")
    before = open_files()
    for _ in range(3):
        disk.move("a/b/c/f", "a/g")
        disk.move("a/g", "a/b/c/f")
        for gone in ("a/none/c/f", "a/b/c/f/f"):
            with pytest.raises(LocalFileError):
                disk.make_folder(gone)
        disk.aside()
        disk.tidy(0)
    assert open_files() == before
