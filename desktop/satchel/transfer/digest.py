"""Digests as S3 and the service write them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable

from awscrt import checksums

from .delta import Chunker
from .local import BLOCK


def sha256_hex(blocks: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()


def head_digest(beginning: bytes) -> bytes:
    """What tells in advance that a large file is probably another one than those known: of its first 256 KiB."""
    return hashlib.sha256(memoryview(beginning)[:BLOCK]).digest()


class PartDigests:
    """All digests of a file in one pass: SHA-256 of the whole, CRC64NVME of each part in turn, and its signature."""

    def __init__(self, chunker: Chunker | None = None) -> None:
        self._whole = hashlib.sha256()
        self._chunker = chunker
        self.head = b""

    def part(self, blocks: Iterable[bytes]) -> str:
        """The CRC64NVME of the next part, which `blocks` are; base64 of 8 bytes, big-endian."""
        crc = 0
        for block in blocks:
            self.head = self.head or head_digest(block)
            self._whole.update(block)
            crc = checksums.crc64nvme(block, crc)
            if self._chunker is not None:
                self._chunker.feed(block)
        return crc_text(crc)

    def whole(self) -> str:
        return self._whole.hexdigest()


def crc_text(crc: int) -> str:
    return base64.b64encode(crc.to_bytes(8, "big")).decode()
