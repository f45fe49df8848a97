from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ordinary_user import as_ordinary_user
from satchel.core.errors import LocalFileError
from satchel.disk import LocalDisk
from satchel.disk.ignore import LARGEST, Ignore
from satchel.disk.local import long_path


def make(root: Path, *paths: str, **ignore_files: str) -> None:
    """Empty files; `ignore_files` by folder, `top` for the watched folder itself."""
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text("")
    for folder, text in ignore_files.items():
        where = root if folder == "top" else root / folder.replace("__", "/")
        where.mkdir(parents=True, exist_ok=True)
        (where / ".satchelignore").write_text(text)


def files(disk: LocalDisk) -> set[str]:
    """All that is listed, from the top down."""
    found, waiting = set(), [""]
    while waiting:
        folder = waiting.pop()
        listing = disk.list(folder)
        assert listing is not None
        for entry in listing.entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            waiting.append(path) if entry.kind == "folder" else found.add(path)
    return found


def held(disk: LocalDisk, folder: str = "") -> list[tuple[str, str]]:
    listing = disk.list(folder)
    assert listing is not None
    return [(one.path, one.reason) for one in listing.held]


_TREE = (
    "a.log", "keep.log", "b.txt", "name with space", "#hash", "!bang", "ä.txt", "foo/bar", "x.LOG",
    "build/x.o", "src/build/y.o", "src/a.log", "src/deep/er/a.log", "src/deep/keep.log", "src/main.c",
    "keep/a.log", "keep/b.txt", "doc/a.txt", "doc/b/a.txt", "doc/frotz/x", "frotz/x", "foo/bar2/baz",
    "node_modules/m/index.js", "src/node_modules/m/index.js", "cache/1", "src/cache/2/3",
)  # fmt: skip


@pytest.mark.skipif(shutil.which("git") is None, reason="git tells what a .gitignore means")
@pytest.mark.parametrize(
    "ignore_files",
    [
        {"top": "*.log\n!keep.log\n"},
        {"top": "/build\nnode_modules/\n# a comment\n\n"},
        {"top": "*.log\n!keep/\n"},
        {"top": "*\n!*/\n!*.txt\n"},
        {"top": "doc/frotz/\n/*.txt\nfoo/*\n!foo/bar\n"},
        {"top": "**/cache/**\nsrc/**/a.log\ndeep/er\n"},
        {"top": "\\#hash\n\\!bang\nname with space   \n[ab].txt\n?.log\n"},
        {"top": "build/\n!build/x.o\n"},
        {"top": "*.o\n*.log\n", "src": "!a.log\n/build\n!*.o\n"},
        {"top": "!*.log\n", "src": "*.log\n", "src__deep": "!keep.log\n"},
        {"top": "src/*\n!src/deep\n", "src": "!main.c\n", "src__deep__er": "*\n"},
        {"top": "ä.txt\r\n*.c\r\n"},
        {"top": "*.log\n", "keep": "!/a.log\n"},
        {"top": "/src/node_modules/m\ndoc/*/a.txt\nfoo/bar*/\n"},
        {"top": "doc/**\n!doc/b\nsrc/deep/**\n"},
        {"top": "**\n!doc\n"},
        {"top": "/**\n!/*.txt\n"},
        {"top": "/*\n!/src\n/src/*\n!/src/deep\n*.log\n"},
        {"top": "**/deep\n!**/*.log\n**/foo/*\n"},
        {"top": "*\n!src/\n!src/**\nsrc/build/\n"},
        {"top": "*.[lo]*\n!a.*\n*/b.txt\n"},
    ],
)
def test_it_means_what_a_gitignore_means(tmp_path, ignore_files):
    root = tmp_path / "root"
    make(root, *_TREE, **ignore_files)
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_DIR": str(tmp_path / "git")}
    subprocess.run(["git", "init", "-q"], check=True, env=environment)
    command = ["git", "--work-tree=.", "ls-files", "-o", "-z", "--exclude-per-directory=.satchelignore"]
    told = subprocess.run(command, check=True, env=environment, cwd=root, capture_output=True).stdout
    disk = LocalDisk(root)

    assert files(disk) == set(os.fsdecode(told).split("\0")) - {""}
    assert {path for path in _TREE if not disk.ignored(path, "file")} == files(disk).intersection(_TREE)


def test_the_ignore_file_is_listed_like_any_other(tmp_path):
    make(tmp_path, "a", top="a\n")
    assert files(LocalDisk(tmp_path)) == {".satchelignore"}


def test_locks_of_version_control_are_left_out_and_nothing_else_named_so(tmp_path):
    locks = {
        ".git/index.lock",
        ".git/refs/heads/main.lock",
        ".git/objects/ab/tmp_obj_x1",
        ".hg/wlock",
        ".hg/store/lock",
    }
    rest = {"package.lock", "lock", "a/index.lock", ".git/index", ".git/refs/heads/lock", ".hg/store/data/lock.i"}
    make(tmp_path, *locks, *rest)
    assert files(LocalDisk(tmp_path)) == rest


def test_what_is_left_out_by_itself_can_be_wanted_but_satchels_own_folder_cannot(tmp_path):
    make(tmp_path, "film.part", "a/film.part", "x.download/y", ".satchel/root.json", top="!*.part\n!.satchel\n")
    assert files(LocalDisk(tmp_path)) == {"film.part", "a/film.part", ".satchelignore"}
    make(tmp_path, top="!*.download/\n!/a/\n")
    # To want a folder is not to want every leaving in it.
    assert files(LocalDisk(tmp_path)) == {"x.download/y", ".satchelignore"}


def test_a_broken_line_is_named_and_the_others_hold(tmp_path):
    make(tmp_path, "a.log", "b.txt", top="*.log\n[z-a]\n!\n# said\n\n/\n")
    disk = LocalDisk(tmp_path)
    assert files(disk) == {"b.txt", ".satchelignore"}
    assert held(disk) == [
        (".satchelignore", "Line 2 is no pattern: [z-a]"),
        (".satchelignore", "Line 3 is no pattern: !"),
        (".satchelignore", "Line 6 matches nothing: /"),
    ]


def test_a_line_that_is_no_text_is_named_and_a_byte_order_mark_is_none(tmp_path):
    make(tmp_path, "a.log", "b.txt")
    (tmp_path / ".satchelignore").write_bytes(b"\xef\xbb\xbf*.log\n\xff\xfe\n")
    disk = LocalDisk(tmp_path)
    assert files(disk) == {"b.txt", ".satchelignore"}
    assert held(disk) == [(".satchelignore", "Line 2 is not text in UTF-8")]


def test_a_file_that_is_no_ignore_file_is_not_read_whole(tmp_path):
    make(tmp_path, "a", top="a\n" * (LARGEST // 2 + 1))
    disk = LocalDisk(tmp_path)
    assert files(disk) == {"a", ".satchelignore"}
    assert "larger than 256 KiB" in held(disk)[0][1]


def test_an_unreadable_ignore_file_is_told_and_what_it_said_before_holds(tmp_path):
    make(tmp_path, "a.log", "sub/b.log", "c", top="*.log\n")
    disk = LocalDisk(tmp_path)
    files(disk)
    ignore_file = tmp_path / ".satchelignore"
    ignore_file.chmod(0)
    os.utime(ignore_file, (1, 1))
    with as_ordinary_user():
        assert files(disk) == {"c", ".satchelignore"}
        assert held(disk)[0][1].startswith("It cannot be read")
    ignore_file.chmod(0o644)
    assert held(disk) == []


def test_a_link_in_its_place_is_held_and_not_followed(tmp_path):
    make(tmp_path, "root/a", "elsewhere")
    (tmp_path / "elsewhere").write_text("a\n")
    (tmp_path / "root" / ".satchelignore").symlink_to(tmp_path / "elsewhere")
    disk = LocalDisk(tmp_path / "root")
    assert not disk.ignored("a", "file")
    assert files(disk) == {"a"}
    assert [path for path, _ in held(disk)] == [".satchelignore"]


def test_a_changed_file_holds_at_once_and_is_told_once(tmp_path):
    make(tmp_path, "a", "sub/a", "sub/b", top="a\n")
    disk = LocalDisk(tmp_path)

    def changed(folder: str = "") -> bool:
        before = disk.rules_changes()
        disk.list(folder)
        return disk.rules_changes() != before

    assert files(disk) == {"sub/b", ".satchelignore"}
    assert not changed()
    make(tmp_path, top="b and more\nb\n")
    assert changed()
    assert not changed()
    assert files(disk) == {"a", "sub/a", ".satchelignore"}
    (tmp_path / ".satchelignore").unlink()
    assert changed()
    assert not disk.ignored("sub/b", "file")
    make(tmp_path, sub="a\n")
    assert changed("sub")
    assert files(disk) == {"a", "sub/b", "sub/.satchelignore"}


def test_touching_the_file_changes_no_rules(tmp_path):
    make(tmp_path, "a", top="a\n")
    disk = LocalDisk(tmp_path)
    disk.list("")
    os.utime(tmp_path / ".satchelignore", (1, 1))
    disk.list("")
    assert disk.rules_changes() == 0


def test_what_lies_in_an_ignored_folder_is_ignored_be_it_there_or_not(tmp_path):
    make(tmp_path, top="build/\n*.tmp\n")
    disk = LocalDisk(tmp_path)
    assert disk.ignored("a/build/b/c.txt", "file")
    assert disk.ignored("a/build", "folder")
    assert not disk.ignored("a/build", "file")
    assert disk.ignored("x.tmp", "folder")
    assert disk.ignored(".git/index.lock", "file")
    assert not disk.ignored("", "folder")


def test_a_tree_deeper_than_python_s_calls_is_no_trouble():
    rules = Ignore(lambda folder: b"*.log\n" if not folder else None)
    deep = "/".join(["d"] * 1100)
    assert rules.ignored(f"{deep}/a.log", False)
    assert not Ignore(lambda _: None).listed(deep, (), None).leave_out("a.log", False)


def test_a_long_path_of_windows_gets_the_form_that_may_be_long():
    long = "\\".join(["folder"] * 60)
    assert long_path(f"C:\\{long}") == f"\\\\?\\C:\\{long}"
    assert long_path(f"\\\\server\\share\\{long}") == f"\\\\?\\UNC\\server\\share\\{long}"
    assert long_path(f"\\\\?\\C:\\{long}") == f"\\\\?\\C:\\{long}"
    assert long_path("C:\\short") == "C:\\short"


@pytest.mark.skipif(os.name != "posix", reason="paths may be longer elsewhere")
def test_a_path_longer_than_the_system_allows_is_told(tmp_path):
    here = os.open(tmp_path, os.O_RDONLY)
    name, path = "d" * 200, ""
    for _ in range(21):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here, path = below, f"{path}/{name}" if path else name
    os.close(here)
    with pytest.raises(LocalFileError, match="longer than this system allows") as error:
        LocalDisk(tmp_path).list(path)
    assert error.value.message


def test_the_file_of_this_computer_is_read_with_the_top_folder_and_its_trouble_is_told(tmp_path):
    make(tmp_path, "a.log", "sub/b.log", "c.txt")
    disk = LocalDisk(tmp_path)
    own = tmp_path / ".satchel" / ".satchelignore"
    own.parent.mkdir()
    assert files(disk) == {"a.log", "sub/b.log", "c.txt"}
    own.write_text("*.log\n[z-a]\n")
    before = disk.rules_changes()
    assert files(disk) == {"c.txt"}
    assert disk.rules_changes() > before
    assert held(disk) == [(".satchel/.satchelignore", "Line 2 is no pattern: [z-a]")]
    assert held(disk, "sub") == []
    own.unlink()
    assert files(disk) == {"a.log", "sub/b.log", "c.txt"}
    assert held(disk) == []


def test_a_link_in_the_place_of_the_file_of_this_computer_is_none_and_is_not_written_through(tmp_path):
    root, elsewhere = tmp_path / "root", tmp_path / "elsewhere"
    (root / ".satchel").mkdir(parents=True)
    elsewhere.write_text("*.log\n")
    make(root, "a.log")
    (root / ".satchel" / ".satchelignore").symlink_to(elsewhere)
    disk = LocalDisk(root)
    assert files(disk) == {"a.log"}
    disk.leave_out("a.log")
    assert files(disk) == set()
    assert elsewhere.read_text() == "*.log\n"
    assert [path.name for path in (root / ".satchel").iterdir()] == [".satchelignore"]


def test_what_this_computer_leaves_out_is_kept_when_it_cannot_be_written_down(tmp_path):
    disk = LocalDisk(tmp_path)
    (tmp_path / ".satchel").mkdir()
    disk.leave_out("a")
    (tmp_path / ".satchel").chmod(0o500)
    with as_ordinary_user(), pytest.raises(LocalFileError, match="cannot be written down"):
        disk.leave_out("b")
    (tmp_path / ".satchel").chmod(0o700)
    assert disk.left_out() == ("a",)
