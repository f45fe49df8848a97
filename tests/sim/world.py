"""Two to four computers and the service, what happens to them, and what must hold when all is quiet again."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import random
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from satchel.core.errors import SatchelError
from satchel.core.status import Held
from satchel.disk.ignore import IGNORE_FILE
from satchel_cloud.domain.problems import ProblemError

from .computer import BACK, TOP, Computer
from .disk import Kind
from .loop import EPOCH_S, SimLoop, StuckError
from .network import Crash
from .people import PEOPLES, Action, Person
from .service import Service

DAY_S = 86_400.0
PATIENCE_S = 900.0
"""Within this time of peace everybody has to be in step."""
CALM_S = 40.0
"""How long nothing may move before it counts as quiet: longer than what was sent late is on its way."""

_FORGETTING = {"power_cut", "lose_journal", "cut_log"}
_TAKEN = ("The name is the same as", "Something of this name is online, and is left out here")

Content = bytes


@dataclass
class Ledger:
    """What people have written, and what people have overwritten or deleted."""

    made: Counter[Content] = field(default_factory=Counter)
    """How often each content was put under a name."""
    gone: set[Content] = field(default_factory=set)
    thinned: set[Content] = field(default_factory=set)
    """Of what people have removed a copy somewhere; the others may be removed elsewhere."""

    @contextlib.contextmanager
    def watching(self, contents: Callable[[], Counter[Content]]) -> Iterator[None]:
        """Compares what is there before and after."""
        before = contents()
        yield
        after = contents()
        self.made += after - before
        self.gone |= before.keys() - after.keys()
        self.thinned |= (before - after).keys()
        self.gone -= after.keys() - before.keys()

    @property
    def wanted(self) -> set[Content]:
        """What nobody has overwritten or deleted, on any computer."""
        return self.made.keys() - self.gone

    @property
    def visible(self) -> set[Content]:
        """What must be under a name in the end: of several copies, one may go here and the other there."""
        return self.wanted - self.thinned


class World:
    """The same seed and actions always take the same course (given one `PYTHONHASHSEED`)."""

    def __init__(self, seed: int, computers: int, actions: list[Action]) -> None:
        self._actions = actions
        self._chance = random.Random(seed)
        self._verbs = {action.verb for action in actions}
        self.loop = SimLoop()
        self.loop.set_exception_handler(self._unforeseen)
        self.service = Service(self.loop.now_ms)
        self.ledger = Ledger()
        self.wrongs: list[str] = []
        self.story: list[str] = []
        """What happened, in words."""
        self._contents = 0
        self._choosing: set[asyncio.Task[None]] = set()
        faults = self._chance.choice((0.0, 0.05, 0.2))
        self.computers = [self._computer(number, faults) for number in range(1, computers + 1)]
        self._people = [Person(computer.disk, self._fresh) for computer in self.computers]

    def _computer(self, number: int, faults: float) -> Computer:
        kind: Kind = self._chance.choice(("cased", "cased", "caseless", "decomposing"))
        return Computer(
            number,
            self.loop,
            self.service,
            random.Random(self._chance.random()),
            kind=kind,
            watched=self._chance.random() < 0.6,
            faults=faults,
            power_cuts="power_cut" in self._verbs,
        )

    def run(self) -> list[str]:
        """What does not hold, in words; empty when all does."""
        with _bugs(self.wrongs):
            try:
                self.loop.run_until_complete(self._run())
            except StuckError:
                self.wrongs.append("everybody waits for ever")
            finally:
                self.loop.close()
        return list(dict.fromkeys([*self.wrongs, *(wrong for computer in self.computers for wrong in computer.wrongs)]))

    async def _run(self) -> None:
        for computer in self.computers:
            computer.start()
        push = self.loop.create_task(self._push())
        try:
            for action in self._actions:
                await asyncio.sleep(action.pause)
                self._do(action)
            await asyncio.sleep(5)
            self._tell("peace")
            self._make_peace()
            if await self._settle_without_rules():
                self._tell("quiet")
                self._check_trees()
                self._check_contents()
                self._check_histories()
                await self._check_no_echo()
        finally:
            push.cancel()
            for computer in self.computers:
                await computer.stop()

    # -- what happens -------------------------------------------------------------------------------------------------

    def _do(self, action: Action) -> None:
        who = action.who % len(self.computers)
        computer, person = self.computers[who], self._people[who]
        if action.verb not in PEOPLES:
            self._tell(f"{action.verb} ({computer.number}, {action.one}, {action.other})")
        if action.verb in PEOPLES:
            act = lambda: self._act(computer, person, action)  # noqa: E731
            if action.race is None:
                act()
            else:
                computer.armed.append((action.race, act))
        elif action.verb.startswith("browser"):
            self._browse(action)
        else:
            self._befall(computer, action)

    def _act(self, computer: Computer, person: Person, action: Action) -> None:
        if computer.disk.marker is None:
            return
        before = computer.disk.tree()
        with self.ledger.watching(lambda: Counter(computer.disk.files().values())):
            person.act(action)
        self._tell(f"{action.verb} on {computer.number}: {_difference(before, computer.disk.tree())}")

    def _tell(self, words: str) -> None:
        self.story.append(f"{self.loop.time():9.2f} {words}")

    def _browse(self, action: Action) -> None:
        found = sorted(self.service.nodes(TOP), key=lambda pair: pair[0])
        folders = [node for _, node in found if node["kind"] == "folder"]
        if not found:
            return
        node = found[action.one % len(found)][1]
        before = self.service.tree(TOP)
        with contextlib.suppress(ProblemError), self.ledger.watching(self._online):
            match action.verb:
                case "browser_rename":
                    self.service.move(node["node_id"], name=action.name)
                case "browser_move" if folders:
                    self.service.move(node["node_id"], parent_id=folders[action.other % len(folders)]["node_id"])
                case "browser_trash":
                    self.service.trash(node["node_id"])
        self._tell(f"online: {_difference(before, self.service.tree(TOP))}")

    def _online(self) -> Counter[Content]:
        return Counter(content for content in self.service.tree(TOP).values() if content is not None)

    def _befall(self, computer: Computer, action: Action) -> None:  # noqa: PLR0912 - one case for each verb
        disk = computer.disk
        match action.verb:
            case "wait":
                pass
            case "offline" | "online":
                computer.network.online = action.verb == "online"
            case "crash":
                computer.crash(action.one)
            case "power_cut":
                computer.crash(action.one, 1 + action.other % BACK)
            case "lose_journal":
                computer.lose_journal()
            case "cut_log":
                self.service.cut_log()
            case "unmount":
                disk.unmount()
            case "mount":
                disk.mount(computer.root_id)
            case "full" | "roomy":
                disk.full = action.verb == "full"
            case "lock":
                folders = sorted(path for path, inode in disk.nodes.items() if inode.kind == "folder")
                disk.unreadable = {folders[action.one % len(folders)]} if folders else set()
            case "unlock":
                disk.unreadable = set()
            case "leave_out" | "take_in":
                self._choose(computer, action)
            case "night":
                self.loop.seconds += DAY_S
                self.service.sweep()
            case _:
                raise ValueError(action.verb)

    def _choose(self, computer: Computer, action: Action) -> None:
        """What this computer has, from now on."""
        leaves = action.verb == "leave_out"
        paths = [*self.service.tree(TOP)] if leaves else [*computer.disk.left_out()]
        if not (paths and computer.up):
            return
        path = sorted(paths)[action.one % len(paths)]

        async def choose() -> None:
            with contextlib.suppress(SatchelError, Crash):
                await (computer.sync.leave_out(path) if leaves else computer.sync.take_in(path))
                self._tell(f"{action.verb} {path} on {computer.number}")

        self._choosing.add(task := self.loop.create_task(choose()))
        task.add_done_callback(self._choosing.discard)

    def _fresh(self) -> Content:
        self._contents += 1
        return f"content {self._contents:04d}".encode()

    async def _push(self) -> None:
        """The service tells whoever listens that the log has grown."""
        told = 0
        while True:
            await asyncio.sleep(1)
            if (sequence := self.service.sequence) != told:
                told = sequence
                for computer in self.computers:
                    if computer.network.online and self._chance.random() < 0.8:
                        computer.sync.remote_changed()

    # -- quiet --------------------------------------------------------------------------------------------------------

    def _make_peace(self) -> None:
        for computer in self.computers:
            computer.network.online, computer.network.faults = True, 0.0
            computer.safe()
            while computer.disk.marker is None:
                computer.disk.mount(computer.root_id)
            computer.disk.full, computer.disk.unreadable = False, set()
            armed, computer.armed = computer.armed, []
            for _, act in armed:
                act()

    async def _settle_without_rules(self) -> bool:
        """An ignore file that somebody had changed when it was deleted comes back once."""
        settled = await self._settle()
        for _ in range(5):
            if not settled or not any(computer.disk.selection or _rules(computer) for computer in self.computers):
                break
            for computer, person in zip(self.computers, self._people, strict=True):
                computer.disk.selection = b""
                computer.sync.rescan()
                for _ in _rules(computer):
                    self._act(computer, person, Action(0, 0, "ignore_no_more"))
            settled = await self._settle()
        return settled

    async def _settle(self) -> bool:
        """Wait until everybody says to be in step and nothing moves any more."""
        end = self.loop.time() + PATIENCE_S
        for computer in self.computers:
            computer.sync.retry()
        quiet_since, last, asked = self.loop.time(), self._moved(), False
        while self.loop.time() < end:
            await asyncio.sleep(4)
            for computer in self.computers:
                if computer.sync.status().deletions:
                    computer.sync.confirm_deletions()
            if (moved := self._moved()) != last or not all(_in_step(computer) for computer in self.computers):
                quiet_since, last = self.loop.time(), moved
            elif self.loop.time() - quiet_since >= CALM_S:
                if asked:
                    return True
                # What was pushed may have been lost: whoever is not at work looks for himself after minutes only.
                for computer in self.computers:
                    computer.sync.remote_changed()
                quiet_since, asked = self.loop.time(), True
        for computer in self.computers:
            if not _in_step(computer):
                self.wrongs.append(f"not in step: computer {computer.number} says {computer.sync.status()}")
        if not self.wrongs:
            self.wrongs.append(f"never quiet: the log goes on to {self.service.sequence}")
        self._check_trees()
        return False

    def _moved(self) -> tuple[int, ...]:
        return self.service.sequence, *(computer.disk.engine_changes for computer in self.computers)

    # -- what must hold -----------------------------------------------------------------------------------------------

    def _check_trees(self) -> None:
        """All are equal, but for names that are held back and said so; nothing is left under a temporary name."""
        online = self.service.tree(TOP)
        if temporary := [path for path in online if ".satchel-" in path]:
            self.wrongs.append(f"left on a detour: {temporary}")
        for computer in self.computers:
            held = [one.path for one in computer.sync.status().held]
            here, there = _without(computer.disk.tree(), held), _without(online, held)
            if here != there:
                self.wrongs.append(f"computer {computer.number} is not as online: {_difference(here, there)}")

    def _check_contents(self) -> None:
        online = {content for _, content in self.service.everything()}
        everywhere = online.union(*(computer.disk.kept() for computer in self.computers))
        seen = self._online()
        held = Counter(
            content for computer in self.computers for path, content in computer.disk.files().items()
            if any(f"{path}/".startswith(f"{one.path}/") for one in computer.sync.status().held if one.path)
        )  # fmt: skip
        if lost := self.ledger.wanted - everywhere:
            self.wrongs.append(f"lost: {sorted(lost)}")
        ignored = set().union(*(computer.disk.went_along for computer in self.computers))
        if hidden := self.ledger.visible - seen.keys() - held.keys() - ignored - lost:
            places = {content.decode(): self._places(content) for content in sorted(hidden)}
            self.wrongs.append(f"hidden, though nobody deleted it: {places}")
        # What was renamed while it was ignored comes back, too, and what the janitor found half sent.
        if not self._verbs & (_FORGETTING | {"ignore", "leave_out", "night"}):
            # A file that one moves over another, and somebody else elsewhere, is in both places then.
            most = len(self.computers) if self._verbs & {"replace", "swap"} else 1
            many = {content for content, times in seen.items() if times > most * self.ledger.made[content]}
            if many:
                self.wrongs.append(f"multiplied: {sorted(many)}")

    def _places(self, content: Content) -> list[str]:
        """Where it is, in words."""
        found = [
            f"the trash of computer {computer.number} since {when_ns / 1e9 - EPOCH_S:.2f} as {path}"
            for computer in self.computers
            for when_ns, path, inode in computer.disk.trashed
            if inode.content == content
        ]
        return found + [f"online in {place}" for place, one in self.service.everything() if one == content]

    def _check_histories(self) -> None:
        """Nobody's revision replaced what they had never seen: that would be another file's link and history."""
        for node_id, history in self.service.histories().items():
            for (_, before), (revision_id, after) in itertools.pairwise(history):
                computer = self.computers[int(revision_id[:2], 16) - 1]
                if before != after and before not in computer.disk.seen:
                    self.wrongs.append(
                        f"computer {computer.number} put {after!r} over {before!r} unseen (node {node_id})"
                    )

    async def _check_no_echo(self) -> None:
        before = self._moved()
        for computer in self.computers:
            computer.network.calls.clear()
            computer.sync.rescan()
            computer.sync.remote_changed()
        await asyncio.sleep(CALM_S)
        if self._moved() != before:
            self.wrongs.append("moved again with nobody's doing")
        for computer in self.computers:
            if echo := set(computer.network.calls) - {"changes"}:
                self.wrongs.append(f"computer {computer.number} asked for {sorted(echo)} with nothing to do")
            if not _in_step(computer):
                self.wrongs.append(f"computer {computer.number} fell out of step: {computer.sync.status()}")

    def _unforeseen(self, _loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        if not isinstance(context.get("exception"), Crash):
            self.wrongs.append(f"unforeseen: {context.get('message')}: {context.get('exception')!r}")


def _difference(before: dict[str, bytes | None], after: dict[str, bytes | None]) -> str:
    """Paths with their content, `-` those that are not there after, `+` those that were not there before."""
    gone = [("-", *one) for one in before.items() if one not in after.items()]
    come = [("+", *one) for one in after.items() if one not in before.items()]
    return ", ".join(
        f"{sign}{path}" + (f" ({content.decode()})" if content is not None else "/")
        for sign, path, content in sorted(gone + come, key=str)
    )  # fmt: skip


def _in_step(computer: Computer) -> bool:
    status = computer.sync.status()
    return computer.up and (
        status.state == "in_step" or (status.state == "attention" and all(map(_may_be_held, status.held)))
    )


def _rules(computer: Computer) -> list[str]:
    return [path for path in computer.disk.files() if path.rpartition("/")[2] == IGNORE_FILE]


def _may_be_held(held: Held) -> bool:
    return held.reason.startswith(_TAKEN)


def _without(tree: dict[str, bytes | None], held: list[str]) -> dict[str, bytes | None]:
    """However they are spelled: one spelling may be held back because of the other."""
    spelled = {unicodedata.normalize("NFC", path): content for path, content in tree.items()}
    out = [unicodedata.normalize("NFC", one) for one in held]
    return {path: what for path, what in spelled.items() if not any(f"{path}/".startswith(f"{one}/") for one in out)}


@contextlib.contextmanager
def _bugs(wrongs: list[str]) -> Iterator[None]:
    """What the engine logs as an error is one, and so is what its journal refuses."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            text = logging.Formatter().format(record)
            wrongs.append(f"a bug of the engine: {text}")

    watched = [(logging.getLogger("satchel.sync"), Handler(logging.ERROR))]
    watched.append((logging.getLogger("satchel.journal"), Handler(logging.WARNING)))
    for logger, handler in watched:
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, handler in watched:
            logger.removeHandler(handler)
            logger.propagate = True
