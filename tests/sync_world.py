"""A disk, a service and a clock that a test owns, for everything about keeping a folder in step."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from satchel.core.errors import FileChangedError, LocalFileError, PlaceTakenError, RefusedError
from satchel.core.model import Change, ChangeEntry, ChangePage, FolderMade, Node, Problem, Revision
from satchel.core.names import name_key, name_problem, numbered
from satchel.core.status import Held
from satchel.disk import MARKER_FOLDER, Entry, Listing
from satchel.disk.ignore import IGNORE_FILE, Ignore
from satchel.disk.selection import left_out, with_path, without_path
from satchel.journal import Journal, WatchedRoot
from satchel.sync import RootSync
from satchel.sync.dirt import join


class Crash(BaseException):
    """The process is gone: nothing after it runs, nothing handles it."""


class FakeClock:
    def __init__(self) -> None:
        self.time = 1000.0

    def now_ms(self) -> int:
        return int((self.time + 1_700_000_000) * 1000)

    def monotonic(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.time += seconds

    async def asleep(self, seconds: float) -> None:
        self.time += seconds
        await asyncio.sleep(0)


class FakeIds:
    def __init__(self) -> None:
        self._count = itertools.count(1)

    def new_id(self) -> str:
        return f"{next(self._count):032x}"

    def new_token(self) -> str:
        return f"{next(self._count):022}"

    def jitter(self) -> float:
        return 0.5


@dataclass
class Inode:
    kind: str
    number: int
    content: bytes = b""
    mtime_ns: int = 0
    written_ns: int = 0


class FakeDisk:
    """A folder in memory that gives inodes out again at once, like a real one."""

    def __init__(self, clock: FakeClock, root_id: str = "r" * 32) -> None:
        self.clock = clock
        self.marker: str | None = root_id
        self.nodes: dict[str, Inode] = {}
        self.kept: dict[str, Inode] = {}
        """What is in the marker folder, by its whole path."""
        self.before_rename: Callable[[str, str], None] = lambda old, new: None
        """Called with both paths before anything is renamed: where others act, or the process is gone."""
        self.unreadable: set[str] = set()
        self.links: set[str] = set()
        """Paths in whose place a link stands."""
        self.lists = 0
        self.selection = b""
        """The ignore file in the marker folder."""
        self._ignore = Ignore(
            lambda folder: self.selection if folder == MARKER_FOLDER else self.files().get(join(folder, IGNORE_FILE))
        )

    # what a person does

    def write(self, path: str, content: bytes | str, mtime_ns: int | None = None) -> None:
        self.mkdirs(path.rpartition("/")[0])
        node = self.nodes.get(path) or Inode("file", self._free_number())
        node.content = content.encode() if isinstance(content, str) else content
        node.mtime_ns = mtime_ns if mtime_ns is not None else self.clock.now_ms() * 1_000_000 + 123
        self.nodes[path] = node

    def mkdirs(self, path: str) -> None:
        if path and path not in self.nodes:
            self.mkdirs(path.rpartition("/")[0])
            self.nodes[path] = Inode("folder", self._free_number())

    def rename(self, old: str, new: str) -> None:
        self.mkdirs(new.rpartition("/")[0])
        if new in self.nodes:
            self.delete(new)
        for path in sorted(self.nodes):
            if path == old or path.startswith(old + "/"):
                self.nodes[new + path[len(old) :]] = self.nodes.pop(path)

    def delete(self, path: str) -> None:
        for found in [one for one in self.nodes if one == path or one.startswith(path + "/")]:
            del self.nodes[found]

    def files(self) -> dict[str, bytes]:
        return {path: node.content for path, node in self.nodes.items() if node.kind == "file"}

    def folders(self) -> set[str]:
        return {path for path, node in self.nodes.items() if node.kind == "folder"}

    def trashed(self) -> list[bytes]:
        trash = f"{MARKER_FOLDER}/trash/"
        return sorted(
            node.content for path, node in self.kept.items() if path.startswith(trash) and node.kind == "file"
        )

    def _free_number(self) -> int:
        used = {node.number for node in (*self.nodes.values(), *self.kept.values())}
        return next(number for number in itertools.count(1) if number not in used)

    # what Disk promises

    def absolute(self, path: str) -> str:
        return f"/disk/{path}"

    def left_out(self) -> tuple[str, ...]:
        return left_out(self.selection)

    def leave_out(self, path: str) -> None:
        self.selection = with_path(self.selection, path)

    def take_in(self, path: str) -> None:
        self.selection = without_path(self.selection, path)

    def list(self, folder: str) -> Listing | None:
        self.lists += 1
        if folder in self.unreadable:
            raise LocalFileError("The folder may not be read", "Give your user permission.", path=folder)
        if folder and (folder not in self.nodes or self.nodes[folder].kind != "folder"):
            return None
        inside = [self._entry(path) for path in self.nodes if path.rpartition("/")[0] == folder]
        stamps = [(entry.size, entry.mtime_ns, entry.file_id) for entry in inside if entry.name == IGNORE_FILE]
        rules = self._ignore.listed(folder, {entry.name for entry in inside}, stamps[0] if stamps else None)
        inside = [entry for entry in inside if not rules.leave_out(entry.name, entry.kind == "folder")]
        links = [entry.name for entry in inside if join(folder, entry.name) in self.links]
        return Listing(
            tuple(entry for entry in inside if entry.name not in links),
            (*(Held(name, "This is a link", "Move the file itself here.") for name in links), *rules.held),
        )

    def ignored(self, path: str, kind: Literal["file", "folder"]) -> bool:
        return self._ignore.ignored(path, kind == "folder")

    def rules_changes(self) -> int:
        return self._ignore.changes

    def stat(self, path: str) -> Entry | None:
        return self._entry(path) if path in self.nodes else None

    def reaches(self, folder: str) -> bool:
        return not folder or (folder in self.nodes and self.nodes[folder].kind == "folder")

    def sha256(self, path: str, read: Callable[[int], None] = lambda _: None) -> str:
        if path not in self.nodes:
            raise LocalFileError("The file is gone", "Nothing needs to be done.", path=path)
        read(len(self.nodes[path].content))
        return hashlib.sha256(self.nodes[path].content).hexdigest()

    def root_id(self) -> str | None:
        return self.marker

    # what Disk promises about changing

    def make_folder(self, path: str) -> Entry:
        self._check_free(path)
        self.nodes[path] = Inode("folder", self._free_number())
        return self._entry(path)

    def move(self, old: str, new: str) -> Entry:
        if new.startswith(f"{old}/"):
            raise LocalFileError("A folder cannot go into itself", path=old)
        self._check_there(old)
        self._check_free(new)
        self._rename(old, new)
        return self._entry(new)

    def trash(self, path: str, planned: Entry) -> None:
        self._check_path(path)
        name = path.rpartition("/")[2]
        self._check_planned(path, planned)
        kept = self._fresh_trash(name)
        self._rename(path, kept)
        try:
            self._check_planned(kept, planned)
        except FileChangedError:
            self._put_back(kept, path)
            raise

    def trash_folder(self, path: str) -> bool:
        self._check_there(path)
        if self.nodes[path].kind != "folder":
            raise LocalFileError("The folder is gone", path=path)
        before = set(_inside(self.nodes, path))
        listing = self.list(path)
        if listing is None or ((listing.entries or listing.held) and not self.ignored(path, "folder")):
            return False
        kept = self._fresh_trash(path.rpartition("/")[2])
        self._rename(path, kept)
        if {path + found[len(kept) :] for found in _inside(self.kept, kept)} == before:
            return True
        self._put_back(kept, path)
        return False

    def trash_all(self, path: str, judge: Callable[[], None]) -> None:
        self._check_there(path)
        if self.nodes[path].kind != "folder":
            raise LocalFileError("The folder is gone", path=path)
        before = self._all_in(self.nodes, path)
        judge()
        kept = self._fresh_trash(path.rpartition("/")[2])
        self._rename(path, kept)
        if self._all_in(self.kept, kept) != before:
            self._put_back(kept, path)
            raise FileChangedError("The folder has changed meanwhile", path=path)

    def _all_in(self, tree: dict[str, Inode], folder: str) -> dict[str, tuple[int, bytes, int]]:
        inside = {path[len(folder) :]: tree[path] for path in _inside(tree, folder)}
        return {path: (node.number, node.content, node.mtime_ns) for path, node in inside.items()}

    def partial(self, name: str) -> str:
        self._check_name(name)
        return f"/disk/{MARKER_FOLDER}/partial/{name}"

    def fill(self, partial: str, content: bytes | str, mtime_ns: int) -> None:
        """What a download does."""
        path = partial.removeprefix("/disk/")
        assert path.startswith(f"{MARKER_FOLDER}/partial/")
        data = content.encode() if isinstance(content, str) else content
        number = self.kept[path].number if path in self.kept else self._free_number()
        self.kept[path] = Inode("file", number, data, mtime_ns, self.clock.now_ms() * 1_000_000)

    def place(self, partial: str, path: str, planned: Entry | None) -> Entry:
        gathered = partial.removeprefix("/disk/")
        self._check_path(path)
        if planned is None:
            self._check_free(path)
        else:
            self._check_planned(path, planned)
        if not gathered.startswith(f"{MARKER_FOLDER}/partial/") or gathered not in self.kept:
            raise LocalFileError("What was fetched is gone", path=partial)
        if planned is not None:
            self.trash(path, planned)
        self._rename(gathered, path)
        return self._entry(path)

    def set_aside(self, path: str, key: str) -> None:
        self._check_name(key)
        self._check_there(path)
        if key in self.aside():
            raise PlaceTakenError("Something is set aside under this key already", path=path)
        self._rename(path, f"{MARKER_FOLDER}/aside/{key}/{path.rpartition('/')[2]}")

    def bring_back(self, key: str, path: str) -> Entry:
        self._check_name(key)
        self._check_path(path)
        if key not in self.aside():
            raise LocalFileError("It is gone", path=path)
        self._check_free(path)
        self._rename(f"{MARKER_FOLDER}/aside/{key}/{self.aside()[key].name}", path)
        return self._entry(path)

    def aside(self) -> dict[str, Entry]:
        parts = {path: path.split("/") for path in self.kept if path.startswith(f"{MARKER_FOLDER}/aside/")}
        return {names[2]: self._entry(path) for path, names in parts.items() if len(names) == 4}

    def tidy(self, before_ns: int) -> None:
        for path, node in list(self.kept.items()):
            _, room, name, *_ = path.split("/")
            old_trash = room == "trash" and int(name.partition("-")[0]) < before_ns
            if old_trash or (room == "partial" and node.written_ns < before_ns):
                del self.kept[path]

    def _check_path(self, path: str) -> None:
        for name in path.split("/"):
            self._check_name(name)
        if name_key(path.partition("/")[0]) == MARKER_FOLDER:
            raise LocalFileError("This name is Satchel's own", path=path)
        if self.marker is None:
            raise LocalFileError("The watched folder is not there", path=path)
        if not self.reaches(path.rpartition("/")[0]):
            raise LocalFileError("Its folder is gone", path=path)

    def _check_name(self, name: str) -> None:
        if (problem := name_problem(name)) is not None:
            raise LocalFileError(problem.reason, problem.remedy, path=name)

    def _check_there(self, path: str) -> None:
        self._check_path(path)
        if path not in self.nodes:
            raise LocalFileError("It is gone", path=path)

    def _check_free(self, path: str) -> None:
        self._check_path(path)
        if path in self.nodes:
            raise PlaceTakenError("There is something else of this name", path=path)

    def _check_planned(self, path: str, planned: Entry) -> None:
        entry = self._entry(path) if path in self._tree(path) else None
        same_file = entry is not None and (entry.file_id == planned.file_id or 0 in (entry.file_id, planned.file_id))
        if entry is None or not same_file or entry[1:4] != planned[1:4] or entry.kind != "file":
            raise FileChangedError("The file has changed meanwhile", path=path)

    def _rename(self, old: str, new: str) -> None:
        self.before_rename(old, new)
        source, target = self._tree(old), self._tree(new)
        if old not in source:
            raise LocalFileError("It is gone", path=old)
        if new in target:
            raise PlaceTakenError("There is something else of this name", path=new)
        for path in _inside(source, old):
            target[new + path[len(old) :]] = source.pop(path)
        self._ignore.gone(old)

    def _put_back(self, kept: str, path: str) -> None:
        above, _, name = path.rpartition("/")
        for number in itertools.count(1):
            free = path if number == 1 else "/".join(filter(None, (above, numbered(name, number))))
            with contextlib.suppress(PlaceTakenError):
                self._rename(kept, free)
                return

    def _fresh_trash(self, name: str) -> str:
        now_ns = self.clock.now_ms() * 1_000_000
        taken = {path.split("/")[2] for path in self.kept}
        fresh = next(one for number in itertools.count() if (one := f"{now_ns}-{number}") not in taken)
        return f"{MARKER_FOLDER}/trash/{fresh}/{name}"

    def _tree(self, path: str) -> dict[str, Inode]:
        return self.kept if path.startswith(f"{MARKER_FOLDER}/") else self.nodes

    def _entry(self, path: str) -> Entry:
        node = self._tree(path)[path]
        name = path.rpartition("/")[2]
        return Entry(name, node.kind, len(node.content), node.mtime_ns, node.number)  # type: ignore[arg-type]


def _inside(tree: dict[str, Inode], folder: str) -> list[str]:
    """The path itself and all below it."""
    return [path for path in tree if path == folder or path.startswith(f"{folder}/")]


class FakeRemote:
    """The service's tree and change log, with its refusals; counts what it is asked."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.nodes: dict[str, Node] = {"root": Node("root", None, "", "folder", 0)}
        self.content: dict[str, bytes] = {}
        self.log: list[Change] = []
        self.log_starts_at = 0
        self.calls: list[tuple[Any, ...]] = []
        self.sent_bytes = 0
        self.uploads = 0
        self.offline: Exception | None = None
        self.crash_in: int | None = None
        self.crashed = False

    # what Remote promises

    async def sequence(self) -> int:
        self._arrive("sequence")
        return len(self.log)

    async def make_folders(self, folders: list[Any]) -> list[FolderMade]:
        self._arrive("make_folders", len(folders))
        assert 1 <= len(folders) <= 50
        answers = []
        for intent in folders:
            try:
                made = self.nodes.get(intent.node_id)
                if made is None:
                    made = self.put(Node(intent.node_id, intent.parent_id, intent.name, "folder", 0))
                answers.append(FolderMade("done", made))
            except RefusedError as error:
                problem = Problem(f"urn:satchel:problem:{error.kind}", error.title, 409, "", current=error.current)
                answers.append(FolderMade("problem", problem=problem))
        self._leave()
        return answers

    async def move(self, node_id: str, *, parent_id: str | None = None, name: str | None = None) -> Node:
        self._arrive("move", node_id, parent_id, name)
        node = self._existing(node_id)
        above: str | None = parent_id
        while above is not None and above in self.nodes:
            if above == node_id:
                raise RefusedError("into-itself", "A folder cannot go into itself")
            above = self.nodes[above].parent_id
        moved = self.put(replace(node, parent_id=parent_id or node.parent_id, name=name or node.name))
        self._leave()
        return moved

    async def trash(self, node_id: str, seen: int | None) -> None:
        self._arrive("trash", node_id)
        for change in self.log[seen:] if seen is not None and node_id in self.nodes else ():
            if any(self._is_in(node_id, entry.node) for entry in change.entries):
                raise RefusedError("changed-since", "Something in it has changed", current=self.nodes[node_id])
        self.drop(node_id)
        self._leave()

    async def changes(self, after: int) -> ChangePage:
        self._arrive("changes")
        if after < self.log_starts_at:
            raise RefusedError("cursor-too-old", "List afresh")
        page = self.log[after : after + 7]
        return ChangePage(tuple(page), after + len(page), after + len(page) < len(self.log))

    async def children(self, node_id: str) -> list[Node]:
        self._arrive("children", node_id)
        self._existing(node_id)
        return [node for node in self.nodes.values() if node.parent_id == node_id]

    async def find(self, path: str) -> Node | None:
        self._arrive("find", path)
        return self.at(path)

    # what Uploads promises, given the bytes

    def receive(self, request: Any, content: bytes, mtime_ns: int) -> Node:
        self._arrive("upload", request.path)
        digest = hashlib.sha256(content).hexdigest()
        old = self.nodes.get(request.node_id)
        if request.base_revision is None and old is not None:
            raise RefusedError("id-taken", "There is a node with this id")
        if request.base_revision is not None:
            old = self._existing(request.node_id)
            assert old.revision is not None
            if old.revision.revision_id != request.base_revision:
                raise RefusedError("revision-conflict", "There is a newer revision", current=old)
        if digest not in {hashlib.sha256(kept).hexdigest() for kept in self.content.values()}:
            self.sent_bytes += len(content)
        revision = Revision(f"{len(self.log):032x}", len(content), mtime_ns // 1_000_000, digest, True)
        parent, name = (old.parent_id, old.name) if old else (request.parent_id, request.name)
        node = self.put(Node(request.node_id, parent, name, "file", 0, revision))
        self.content[revision.revision_id] = content
        self.uploads += 1
        self._leave()
        return node

    # what other clients do, and what a test wants to know

    def put(self, node: Node) -> Node:
        assert node.parent_id is not None
        self._existing(node.parent_id)
        for other in self.nodes.values():
            same_place = other.parent_id == node.parent_id and name_key(other.name) == name_key(node.name)
            if same_place and other.node_id != node.node_id:
                raise RefusedError("name-taken", "The name is taken", current=other)
        node = replace(node, sequence=len(self.log) + 1)
        self.nodes[node.node_id] = node
        self._log("put", node)
        return node

    def drop(self, node_id: str) -> None:
        node = self._existing(node_id)
        self._log("trash", replace(node, sequence=len(self.log) + 1))
        waiting = [node_id]
        while waiting:
            gone = waiting.pop()
            waiting += [other.node_id for other in self.nodes.values() if other.parent_id == gone]
            del self.nodes[gone]

    def at(self, path: str) -> Node | None:
        node: Node | None = self.nodes["root"]
        for name in path.strip("/").split("/") if path.strip("/") else ():
            found = [n for n in self.nodes.values() if node and n.parent_id == node.node_id and n.name == name]
            node = found[0] if found else None
        return node

    def tree(self, top: str = "/Work") -> dict[str, bytes | None]:
        """Paths below `top`: content of files, None for folders."""
        out: dict[str, bytes | None] = {}
        start = self.at(top)
        waiting = [(start.node_id, "")] if start else []
        while waiting:
            node_id, path = waiting.pop()
            for node in [n for n in self.nodes.values() if n.parent_id == node_id]:
                where = f"{path}/{node.name}" if path else node.name
                out[where] = self.content[node.revision.revision_id] if node.revision else None
                waiting.append((node.node_id, where))
        return out

    def count(self, call: str) -> int:
        return sum(1 for one in self.calls if one[0] == call)

    def _is_in(self, folder: str, node: Node | None) -> bool:
        while node is not None:
            if node.node_id == folder:
                return True
            node = self.nodes.get(node.parent_id or "")
        return False

    def _existing(self, node_id: str) -> Node:
        if node_id not in self.nodes:
            raise RefusedError("not-found", "There is no such node")
        return self.nodes[node_id]

    def _log(self, op: Any, node: Node) -> None:
        self.log.append(Change(len(self.log) + 1, self.clock.now_ms(), (ChangeEntry(op, node),)))

    def _arrive(self, *call: Any) -> None:
        if self.crashed:
            raise Crash
        if self.offline is not None:
            raise self.offline
        self.calls.append(call)
        self._tick()

    def _leave(self) -> None:
        """Crashing here, the effect is there and the answer is lost."""
        self._tick()

    def _tick(self) -> None:
        if self.crash_in is not None:
            self.crash_in -= 1
            if self.crash_in < 0:
                self.crashed = True
                raise Crash


class FakeUploads:
    def __init__(self, disk: FakeDisk, remote: FakeRemote) -> None:
        self.disk = disk
        self.remote = remote
        self.refuse: dict[str, Exception] = {}
        self.during: dict[str, Any] = {}
        self.given_up: list[str] = []

    async def give_up_left(self, group: str) -> None:
        self.given_up.append(group)

    async def upload(self, request: Any) -> Node:
        path = request.path.removeprefix("/disk/")
        await asyncio.sleep(0)
        if path in self.refuse:
            raise self.refuse[path]
        if path not in self.disk.nodes:
            raise LocalFileError("The file is gone", path=path)
        node = self.disk.nodes[path]
        before = (node.content, node.mtime_ns)
        if path in self.during:
            self.during.pop(path)()
            await asyncio.sleep(0)
        if path in self.disk.nodes and (self.disk.nodes[path].content, self.disk.nodes[path].mtime_ns) != before:
            raise FileChangedError("The file changed", path=path)
        return self.remote.receive(request, *before)


class World:
    """One root with everything fake but the journal."""

    def __init__(self, journal: Journal | None = None) -> None:
        self.clock = FakeClock()
        self.ids = FakeIds()
        self.disk = FakeDisk(self.clock)
        self.remote = FakeRemote(self.clock)
        self.uploads = FakeUploads(self.disk, self.remote)
        self.journal = journal or Journal(Path(":memory:"))
        self.journal.roots.add(WatchedRoot("r" * 32, "/disk", "/Work", 1))
        self.start()

    def start(self) -> None:
        """A new process on the same journal."""
        self.remote.crashed, self.remote.crash_in = False, None
        root = self.journal.roots.get("r" * 32)
        assert root is not None

        async def blocking(function: Any) -> Any:
            return function()

        self.sync = RootSync(
            root,
            self.journal,
            self.remote,
            self.uploads,
            blocking=blocking,
            disk=self.disk,
            watcher=None,
            clock=self.clock,
            ids=self.ids,
            sleep=self.clock.asleep,
        )

    def lose_journal(self) -> None:
        self.journal.close()
        self.journal = Journal(Path(":memory:"))
        self.journal.roots.add(WatchedRoot("r" * 32, "/disk", "/Work", 1))
        self.start()

    def run(self) -> Any:
        """Everything in step, from files that are old enough to be quiet."""
        self.clock.time += 60
        return asyncio.run(self.sync.sync_once())

    def local(self) -> dict[str, bytes | None]:
        return {path: node.content if node.kind == "file" else None for path, node in self.disk.nodes.items()}
