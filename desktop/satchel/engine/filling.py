"""Filling a dropped folder: its folders in batches, then the files in them, as they are found.

Ids follow from the drop and the path, so that filling it again after a crash asks for the same things and not for
second ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from satchel.core.model import FolderIntent, TransferState, UploadRequest
from satchel.journal import Journal
from satchel.transfer import Uploader

from .items import Inside, walk
from .transfers import Record, Transfers

_FOLDERS_AT_ONCE = 50
_FILES_AT_ONCE = 200


class StoppedError(Exception):
    """Cancelled, or the engine ends."""


class Filling:
    """One folder on its way: folders in batches, then the files in them, as they are found."""

    def __init__(
        self,
        record: Record,
        uploader: Uploader,
        journal: Journal,
        transfers: Transfers,
        make: Callable[[Record, list[FolderIntent]], set[str]],
    ) -> None:
        self._record = record
        self._uploader = uploader
        self._journal = journal
        self._transfers = transfers
        self._make = make
        self._folders: list[tuple[str, FolderIntent]] = []
        self._files: list[Inside] = []
        self._missing: set[str] = set()
        self._skipped: list[str] = []
        self._count = self._size = 0

    def run(self) -> None:
        for inside in walk(self._record.path):
            if inside.problem is not None:
                self._skipped.append(f"{inside.path} ({inside.problem})")
            elif inside.kind == "folder":
                parent, _, name = inside.path.rpartition("/")
                intent = FolderIntent(self._node(inside.path), self._node(parent), name, "rename")
                self._folders.append((inside.path, intent))
            else:
                self._files.append(inside)
            if len(self._folders) >= _FOLDERS_AT_ONCE or len(self._files) >= _FILES_AT_ONCE:
                self._flush()
        self._flush()
        self._transfers.change(
            self._record.transfer_id, listed=True, files=self._count, size=self._size, skipped=tuple(self._skipped)
        )

    def _flush(self) -> None:
        if self._folders:
            refused = self._make(self._record, [intent for _, intent in self._folders])
            for path, intent in self._folders:
                if intent.node_id in refused:
                    self._missing.add(intent.node_id)
                    if intent.parent_id not in self._missing:
                        self._skipped.append(f"{path} (the folder could not be made)")
            self._folders.clear()
        requests = []
        for file in self._files:
            parent, _, name = file.path.rpartition("/")
            if self._node(parent) in self._missing:
                self._skipped.append(f"{file.path} (its folder could not be made)")
                continue
            self._count, self._size = self._count + 1, self._size + file.size
            upload_id = self._id("u", file.path)
            known = self._journal.uploads.get(upload_id)
            if known is not None and known.state is TransferState.DONE:
                self._transfers.counted(self._record.transfer_id, 1, file.size)
                continue
            requests.append((self._upload(upload_id, file, parent, name), file.size))
        if self._transfers.cancelled(self._record.transfer_id):
            raise StoppedError
        tickets = self._uploader.submit_all([request for request, _ in requests])
        sizes = [size for _, size in requests]
        self._transfers.follow(self._record.transfer_id, list(zip(tickets, sizes, strict=True)))
        self._files.clear()

    def _upload(self, upload_id: str, file: Inside, parent: str, name: str) -> UploadRequest:
        return UploadRequest(
            upload_id=upload_id,
            path=f"{self._record.path}/{file.path}",
            node_id=self._id("n", file.path),
            parent_id=self._node(parent),
            name=name,
            origin="drop",
            group=self._record.transfer_id,
            if_taken="rename",
        )

    def _node(self, folder: str) -> str:
        return self._id("n", folder) if folder else self._record.node_id

    def _id(self, kind: str, path: str) -> str:
        told = f"{self._record.transfer_id}\0{kind}\0{path}".encode(errors="surrogateescape")
        return hashlib.sha256(told).hexdigest()[:32]
