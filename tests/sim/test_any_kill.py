"""A client that is killed again and again, at any instant: it ends its work, goes on rather than begins again, and
leaves nothing over.

`make test` kills it some times; `make sim` more often, up to fifty times.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import pytest

from integration.transfer.conftest import World, sha256
from integration.transfer.fake_s3 import PART
from satchel.core.model import TransferState
from satchel.journal import Journal
from satchel.transfer.ranges import RANGE
from satchel.transfer.send import WRITTEN_DOWN
from sim import client_to_kill
from sim.client_to_kill import CONNECTIONS
from sim.remote_service import Served

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="nobody is killed like that there")

LONG = int(os.environ.get("SATCHEL_SIM_SCALE", "1")) > 1
KILLS, POWER_CUTS = (50, 20) if LONG else (8, 3)
LIFE_S = 1.0
"""A life ends at any instant of so many seconds, if its work has not ended before."""
MIB = 1024 * 1024
SMALL_IN_FLIGHT = CONNECTIONS * 20 * 64 * 1024
"""As many small files as there may be on the wire."""


class Round:
    """Some files to send and to fetch, and a client that is killed on the way."""

    def __init__(self, folder: Path, seed: int, *, edits: bool) -> None:
        folder.mkdir()
        self.random = random.Random(seed)
        self.world = World(folder)
        self.served = Served(self.world.service, seed)
        self.journal = folder / "journal" / "j.sqlite"
        self.into = folder / "into"
        self.into.mkdir()
        sizes = {"large": 6 * PART + 12345, "edited": 4 * PART, **{f"middle-{n}": 600_000 * (n + 1) for n in range(6)}}
        sizes |= {f"small-{n}": self.random.randrange(64 * 1024) for n in range(60)}
        self.drops = {name: self.world.request(self._file(name, size)) for name, size in sizes.items()}
        self.edits = edits
        self.edited = 0
        self.fetched = {"/ranges": 5 * RANGE - 321, "/stream": 9_000_000}
        for path, size in self.fetched.items():
            self.world.s3.downloads[path] = self.random.randbytes(size)
        self._watch()
        self.kills = 0
        self.unwritten: Counter[str] = Counter()
        """By upload: how often a client died that had sent it by one PUT and not written so down."""
        self.unheard_of: set[str] = set()
        """Uploads of which a journal that lost its last commits had nothing left."""
        self.expected: Callable[[], None] = lambda: None
        """What the next life's downloads must be like, as the last one left them."""

    def _file(self, name: str, size: int) -> Path:
        return self.world.file(name, size, seed=self.random.randrange(10**9))

    def _watch(self) -> None:
        """A large file of a watched folder, sent and then changed in its middle."""
        path = self._file("watched", 24 * MIB)
        self.journal.parent.mkdir()
        journal = Journal(self.journal)
        self.world.store = journal.uploads  # type: ignore[assignment] # the real one
        first = self.world.request(path, origin="root")
        node = self.world.start().submit(first).done.result(60)
        self.world.uploaders.pop().close()
        journal.close()
        content = path.read_bytes()
        path.write_bytes(content[: 12 * MIB] + self.random.randbytes(MIB) + content[13 * MIB :])
        assert node.revision is not None
        self.watched = self.world.request(
            path, origin="root", node_id=first.node_id, base_revision=node.revision.revision_id
        )
        self.world.s3.wire.clear()

    # -- lives -----------------------------------------------------------------------------------------------------

    def live(self, seconds: float | None) -> bool:
        """A life of so many seconds from when it can be told to; whether its work was done by then."""
        told = {
            "service": self.served.port,
            "s3": self.world.s3.url,
            "journal": str(self.journal),
            "into": str(self.into),
            "drops": [asdict(one) for one in self.drops.values()],
            "watched": asdict(self.watched),
            "fetch": [
                {"name": path[1:], "size": size, "sha256": hashlib.sha256(self.world.s3.downloads[path]).hexdigest()}
                for path, size in self.fetched.items()
            ],
        }
        (self.world.folder / "told").write_text(json.dumps(told))
        self.world.s3.asked.clear()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        command = [sys.executable, client_to_kill.__file__, str(self.world.folder / "told")]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
            assert child.stdout is not None
            assert child.stderr is not None
            child.stdout.readline()
            try:
                code = child.wait(120 if seconds is None else seconds)
            except subprocess.TimeoutExpired:
                assert seconds is not None, "it does not come to its end"
                os.kill(child.pid, signal.SIGKILL)
                code = child.wait()
            said = child.stderr.read().decode()
        assert "Error" not in said, said
        assert code in (0, -signal.SIGKILL)
        self.kills += code != 0
        self._settle()
        self.expected()
        self._look(killed=code != 0)
        return code == 0

    def _settle(self) -> None:
        """What a dead client sent is still worked on for a moment."""
        end = time.monotonic() + 20
        while self.world.s3.taking:
            assert time.monotonic() < end
            time.sleep(0.005)

    def _look(self, *, killed: bool) -> None:
        """Note what the client has left, as far as the next one must go on with it."""
        journal = Journal(self.journal)
        large = 0
        for upload_id, upload in self.world.service.uploads.items():
            if upload.outcome != "put" or upload_id not in self.world.s3.objects:
                continue
            stored = journal.uploads.get(upload_id)
            if killed and (stored is None or stored.state not in (TransferState.FINISHING, TransferState.DONE)):
                self.unwritten[upload_id] += 1
                large += upload.intent.size > WRITTEN_DOWN
        assert large <= CONNECTIONS, "what is not small is written down as it arrives"
        unfinished = {stored.request.node_id for stored in journal.uploads.unfinished()}
        journal.close()
        if killed and self.edits and self.drops["edited"].node_id in unfinished and self.random.random() < 0.3:
            self.edited += 1
            self._file("edited", 4 * PART + self.edited)
        self.expected = self._expectations()

    def _expectations(self) -> Callable[[], None]:
        whole: set[str] = set()
        for listed in self.into.glob("*.list"):
            numbers = listed.read_text().split("\n")[1:-1]
            whole = {f"bytes={int(number) * RANGE}-" for number in numbers}
        parts = list(self.into.glob("*.part"))
        got = parts[0].stat().st_size if parts else 0
        named = {path.name for path in self.into.iterdir()}

        def check() -> None:
            asked = self.world.s3.asked
            for path, wanted in asked:
                assert path[1:] not in named, "what has its name is not fetched again"
                if path == "/ranges" and wanted is not None:
                    assert f"{wanted.partition('-')[0]}-" not in whole, "a whole range is not fetched again"
            streamed = [wanted for path, wanted in asked if path == "/stream"]
            assert streamed[:1] in ([], [f"bytes={got}-" if got else None]), "it goes on where it was"

        return check

    @contextlib.contextmanager
    def cut_power(self) -> Iterator[None]:
        """Around a life: the journal afterwards is as it was before."""
        kept = self.world.folder / "kept"
        shutil.copytree(self.journal.parent, kept)
        yield
        shutil.rmtree(self.journal.parent)
        kept.rename(self.journal.parent)
        journal = Journal(self.journal)
        self.unheard_of |= {one for one in self.world.service.uploads if journal.uploads.get(one) is None}
        journal.close()

    def submitted(self) -> bool:
        journal = Journal(self.journal)
        found = journal.settings.get("submitted")
        journal.close()
        return found is not None

    # -- in the end ------------------------------------------------------------------------------------------------

    def check(self) -> None:
        service, s3 = self.world.service, self.world.s3
        done = {upload_id: one for upload_id, one in service.uploads.items() if one.state == "done"}
        revisions = Counter(one.intent.node_id for one in done.values())
        for name, request in self.drops.items():
            latest = s3.objects[service.latest[request.node_id]]
            assert latest == (self.world.folder / name).read_bytes(), name
            assert 1 <= revisions[request.node_id] <= 1 + (self.edited if name == "edited" else 0), name
        watched = self.watched.node_id
        assert sha256(Path(self.watched.path)) == hashlib.sha256(s3.objects[service.latest[watched]]).hexdigest()
        assert revisions[watched] == 2
        assert set(revisions) == {watched, *(request.node_id for request in self.drops.values())}
        assert Counter(one.state for one in service.uploads.values()).keys() <= {"done", "aborted"}
        assert not self.world.orphans()
        for path, size in self.fetched.items():
            assert (self.into / path[1:]).read_bytes() == s3.downloads[path]
            assert size
        assert {path.name for path in self.into.iterdir()} == {"ranges", "stream"}

    def check_what_was_sent(self) -> None:
        """Nothing twice but what was under way when a client died."""
        service, s3 = self.world.service, self.world.s3
        again = 0
        for (upload_id, part), times in Counter(s3.wire).items():
            size = service.uploads[upload_id].intent.size
            if part:
                assert times == 1, "S3 has this part, and tells so"
            else:
                assert times <= 1 + self.unwritten[upload_id]
                again += (times - 1) * size
        assert all(times == 1 for times in Counter(s3.copied).values())
        sizes = sum(Path(request.path).stat().st_size for request in self.drops.values())
        begun_anew = self.edited * 4 * PART
        changed = 6 * MIB
        in_flight = sum(s3.broken) + again
        assert in_flight <= self.kills * (CONNECTIONS * PART + SMALL_IN_FLIGHT + CONNECTIONS * 4 * MIB)
        assert s3.received + sum(s3.broken) <= 24 * MIB + sizes + begun_anew + changed + in_flight

    def close(self) -> None:
        self.served.close()
        self.world.close()


def test_whenever_it_is_killed_the_next_life_goes_on_to_the_end(tmp_path: Path) -> None:
    kills, number = 0, 0
    while kills < KILLS:
        number += 1
        one = Round(tmp_path / f"{number}", number, edits=number % 2 == 0 or not LONG)
        with contextlib.closing(one):
            ended = False
            while not ended and kills + one.kills < KILLS:
                ended = one.live(one.random.uniform(0, LIFE_S))
            assert ended or one.live(None)
            one.check()
            one.check_what_was_sent()
            kills += one.kills
        shutil.rmtree(tmp_path / f"{number}")
    assert kills == KILLS


def test_a_journal_that_lost_its_last_commits_costs_no_file_and_leaves_nothing_over(tmp_path: Path) -> None:
    """As a power cut does: the bytes are at S3, and the journal has not heard of them."""
    one = Round(tmp_path / "1", 99, edits=False)
    with contextlib.closing(one):
        while not one.submitted():
            one.live(0.1)
        for _ in range(POWER_CUTS):
            with one.cut_power():
                one.live(one.random.uniform(0.2, LIFE_S))
        assert one.live(None)
        one.check()
        assert one.drops["large"].upload_id not in one.unheard_of
        for (upload_id, part), times in Counter(one.world.s3.wire).items():
            assert not part or times == 1 or upload_id in one.unheard_of, "S3 has this part, and tells so"
