"""Digests as S3 and the service write them."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable

from awscrt import checksums


def sha256_hex(blocks: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()


class PartDigests:
    """Both digests of a file in one pass: SHA-256 of the whole, CRC64NVME of each part in turn."""

    def __init__(self) -> None:
        self._whole = hashlib.sha256()

    def part(self, blocks: Iterable[bytes]) -> str:
        """The CRC64NVME of the next part, which `blocks` are; base64 of 8 bytes, big-endian."""
        crc = 0
        for block in blocks:
            self._whole.update(block)
            crc = checksums.crc64nvme(block, crc)
        return crc_text(crc)

    def whole(self) -> str:
        return self._whole.hexdigest()


def crc_text(crc: int) -> str:
    return base64.b64encode(crc.to_bytes(8, "big")).decode()
