from __future__ import annotations

import hashlib
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from integration.transfer.fake_s3 import FakeS3, FakeService, MemoryStore
from satchel.core.model import UploadRequest
from satchel.core.ports import SystemClock, SystemIds
from satchel.transfer import Uploader
from satchel.transfer.backoff import Backoff


class World:
    """One computer, one service, one S3; uploaders come and go."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.s3 = FakeS3()
        self.service = FakeService(self.s3)
        self.store = MemoryStore()
        self.ids = SystemIds()
        self.uploaders: list[Uploader] = []
        self.changes = 0

    def start(self, **options: Any) -> Uploader:
        def changed() -> None:
            self.changes += 1

        made = Uploader(
            self.service,
            self.store,
            clock=SystemClock(),
            ids=self.ids,
            on_change=changed,
            **{"backoff": Backoff(first=0.05, longest=0.2), "send_timeout": 2.0, "reply_timeout": 2.0, **options},
        )
        self.uploaders.append(made)
        return made

    def file(self, name: str, size: int, seed: int = 0) -> Path:
        path = self.folder / name
        path.write_bytes(random.Random(f"{seed}{name}").randbytes(size))
        return path

    def request(self, path: Path, **changes: Any) -> UploadRequest:
        given: dict[str, Any] = {
            "upload_id": self.ids.new_id(),
            "path": str(path),
            "node_id": self.ids.new_id(),
            "parent_id": "root",
            "name": path.name,
            "origin": "drop",
            "group": "g",
        }
        return UploadRequest(**{**given, **changes})

    def has(self, upload_id: str, path: Path) -> bool:
        return self.s3.objects[upload_id] == path.read_bytes()

    def contents(self) -> Counter[bytes]:
        """What the nodes of the account are, with how many of each."""
        done = [upload_id for upload_id, upload in self.service.uploads.items() if upload.state == "done"]
        return Counter(self.s3.objects[upload_id] for upload_id in done)

    def orphans(self) -> list[str]:
        """Multipart uploads that nobody will finish and nobody has given up."""
        return [upload_id for upload_id in self.s3.parts if self.service.uploads[upload_id].state == "open"]

    def close(self) -> None:
        for uploader in self.uploaders:
            uploader.close()
        self.s3.close()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.close()


@pytest.fixture
def until() -> Callable[[Callable[[], Any]], None]:
    def wait(condition: Callable[[], Any], seconds: float = 10) -> None:
        end = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < end, "it did not come to be"
            time.sleep(0.01)

    return wait


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
