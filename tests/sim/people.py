"""What people do to their files, and what befalls their computers, drawn by chance: a scenario is a list of it."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from .disk import SimDisk

PLAIN = ("a", "b", "c.txt", "d.txt", "e", "x", "y", "z")
CLASHING = ("A", "B", "Caf\u00e9", "Cafe\u0301", "caf\u00e9", "X", "C.TXT")


@dataclass(frozen=True)
class Action:
    """`verb` is done by or to computer `who`, `pause` seconds after the one before. `one` and `other` choose among what
    is there, `name` is a new name. With `race`, a person does it at the engine's so-manieth next step on the disk."""

    pause: float
    who: int
    verb: str
    one: int = 0
    other: int = 0
    name: str = ""
    race: int | None = None


def scenario(chance: random.Random) -> tuple[int, list[Action]]:
    """How many computers, and what happens."""
    computers = chance.choice((2, 2, 2, 3, 3, 4))
    names = PLAIN + CLASHING if chance.random() < 0.25 else PLAIN
    troubles = chance.random() < 0.7
    rare = chance.random() < 0.3
    actions = [
        Action(
            0,
            who,
            chance.choice(("new", "new", "mkdir")),
            chance.randrange(99),
            chance.randrange(99),
            chance.choice(names),
        )
        for who in range(computers)
        for _ in range(chance.randrange(8 if who == 0 else 4))
    ]
    if chance.random() < 0.5:
        actions.append(Action(90, 0, "wait"))
    for _ in range(chance.randint(5, 30)):
        kind = chance.random()
        verb = chance.choice(_TROUBLE if troubles and kind < 0.2 else _RARE if rare and kind > 0.8 else _DEEDS)
        actions.append(
            Action(
                round(_pause(chance), 3),
                chance.randrange(computers),
                verb,
                chance.randrange(99),
                chance.randrange(99),
                chance.choice(names),
                chance.randrange(25) if chance.random() < 0.3 and verb in PEOPLES else None,
            )
        )
    return computers, actions


def _pause(chance: random.Random) -> float:
    """Mostly in a hurry, now and then long enough that everybody comes into step."""
    kind = chance.random()
    if kind < 0.6:
        return chance.uniform(0, 0.5)
    return chance.uniform(0.5, 6) if kind < 0.9 else chance.uniform(6, 60)


class Person:
    """Changes one disk, each time with content that was never anywhere."""

    def __init__(self, disk: SimDisk, fresh: Callable[[], bytes]) -> None:
        self._disk = disk
        self._fresh = fresh

    def act(self, action: Action) -> None:
        """Nothing, when there is nothing to do it to."""
        PEOPLES[action.verb](self, action)

    def _files(self) -> list[str]:
        return sorted(self._disk.files())

    def _folders(self) -> list[str]:
        return sorted(path for path, inode in self._disk.nodes.items() if inode.kind == "folder")

    def _file(self, number: int) -> str | None:
        return _among(self._files(), number)

    def _any(self, number: int) -> str | None:
        return _among(sorted(self._disk.nodes), number)

    def _place(self, number: int, name: str) -> str:
        """A path of this name in some folder, or at the top."""
        folder = _among(["", *self._folders()], number) or ""
        return f"{folder}/{name}" if folder else name

    def new(self, action: Action) -> None:
        path = self._place(action.one, action.name)
        if path not in self._disk.nodes:
            self._disk.write(path, self._fresh())

    def same(self, action: Action) -> None:
        """What others may write alike: the same content under the same name."""
        path = self._place(action.one, action.name)
        if path not in self._disk.nodes:
            self._disk.write(path, f"the same for all, {action.name}".encode())

    def overwrite(self, action: Action) -> None:
        if path := self._file(action.one):
            self._disk.write(path, self._fresh())

    def append(self, action: Action) -> None:
        if path := self._file(action.one):
            self._disk.write(path, self._disk.nodes[path].content + b"+" + self._fresh())

    def touch(self, action: Action) -> None:
        if path := self._file(action.one):
            self._disk.write(path, self._disk.nodes[path].content)

    def copy(self, action: Action) -> None:
        path, place = self._file(action.one), self._place(action.other, action.name)
        if path and place not in self._disk.nodes:
            self._disk.write(place, self._disk.nodes[path].content)

    def delete(self, action: Action) -> None:
        if path := self._file(action.one):
            self._disk.delete(path)

    def delete_any(self, action: Action) -> None:
        if path := self._any(action.one):
            self._disk.delete(path)

    def rename(self, action: Action) -> None:
        if path := self._any(action.one):
            self._move(path, _beside(path, action.name))

    def move(self, action: Action) -> None:
        if path := self._any(action.one):
            self._move(path, self._place(action.other, path.rpartition("/")[2]))

    def move_and_rename(self, action: Action) -> None:
        if path := self._any(action.one):
            self._move(path, self._place(action.other, action.name))

    def replace(self, action: Action) -> None:
        """Move a file over another."""
        path, other = self._file(action.one), self._file(action.other)
        if path and other and path != other:
            self._disk.rename(path, other)

    def swap(self, action: Action) -> None:
        one, other = self._any(action.one), self._any(action.other)
        if one and other and not _inside(one, other) and not _inside(other, one):
            self._disk.rename(one, "swap.tmp")
            self._disk.rename(other, one)
            self._disk.rename("swap.tmp", other)

    def save_by_rename(self, action: Action) -> None:
        if path := self._file(action.one):
            self._disk.write(f"{path}.tmp", self._fresh())
            self._disk.rename(f"{path}.tmp", path)

    def save_with_backup(self, action: Action) -> None:
        if path := self._file(action.one):
            self._disk.rename(path, f"{path}~")
            self._disk.write(path, self._fresh())
            self._disk.delete(f"{path}~")

    def save_anew(self, action: Action) -> None:
        if path := self._file(action.one):
            self._disk.delete(path)
            self._disk.write(path, self._fresh())

    def mkdir(self, action: Action) -> None:
        path = self._place(action.one, action.name)
        if path not in self._disk.nodes:
            self._disk.mkdirs(path)

    def change_case(self, action: Action) -> None:
        if path := self._any(action.one):
            name = path.rpartition("/")[2]
            self._move(path, _beside(path, name.swapcase()))

    def respell(self, action: Action) -> None:
        if path := self._any(action.one):
            name = path.rpartition("/")[2]
            form = "NFD" if unicodedata.is_normalized("NFC", name) else "NFC"
            self._move(path, _beside(path, unicodedata.normalize(form, name)))  # type: ignore[arg-type] # one of the forms

    def ignore(self, action: Action) -> None:
        """One ignore file at the top, or in a folder, with what is new in a comment."""
        path = self._place(action.one, ".satchelignore")
        self._disk.write(path, f"{action.name}\n#".encode() + self._fresh())

    def ignore_no_more(self, action: Action) -> None:
        if path := _among([path for path in self._files() if path.endswith(".satchelignore")], action.one):
            self._disk.delete(path)

    def new_many(self, action: Action) -> None:
        path = self._place(action.one, action.name)
        if path not in self._disk.nodes:
            for number in range(12):
                self._disk.write(f"{path}/{number}", self._fresh())

    def delete_all(self, _action: Action) -> None:
        for path in self._files() + list(reversed(self._folders())):
            self._disk.delete(path)

    def _move(self, old: str, new: str) -> None:
        nodes = self._disk.nodes
        if _inside(nodes.key(new), nodes.key(old)) and nodes.key(new) != nodes.key(old):
            return
        if new in nodes and nodes[new] is not nodes[old]:
            return
        self._disk.rename(old, new)


PEOPLES: dict[str, Callable[[Person, Action], None]] = {
    verb: getattr(Person, verb)
    for verb in (
        "new", "same", "overwrite", "append", "touch", "copy", "delete", "delete_any", "rename", "move",
        "move_and_rename", "replace", "swap", "save_by_rename", "save_with_backup", "save_anew", "mkdir", "change_case",
        "respell", "ignore", "ignore_no_more", "new_many", "delete_all",
    )
}  # fmt: skip
_DEEDS = (
    *["new", "overwrite", "rename", "move", "move", "delete_any", "mkdir"] * 3,
    *(verb for verb in PEOPLES if verb not in ("ignore", "ignore_no_more", "new_many", "delete_all")),
    "wait", "browser_move", "browser_rename", "browser_trash",
)  # fmt: skip
# They would have a say in nearly all scenarios, were they drawn like any other.
_RARE = ("leave_out", "leave_out", "take_in", "ignore", "ignore_no_more", "new_many", "delete_all")
_TROUBLE = (
    *["offline", "online", "crash"] * 3,
    "power_cut", "lose_journal", "cut_log", "unmount", "mount", "full", "roomy", "lock", "unlock", "night",
)  # fmt: skip


def _among(paths: list[str], number: int) -> str | None:
    return paths[number % len(paths)] if paths else None


def _beside(path: str, name: str) -> str:
    folder = path.rpartition("/")[0]
    return f"{folder}/{name}" if folder else name


def _inside(path: str, folder: str) -> bool:
    return f"{path}/".startswith(f"{folder}/")
