"""What changed in a large file since its last revision: rules over bytes, no I/O.

A file is cut where its content says so (FastCDC), so that an insertion moves cuts rather than making all of them anew.
The size and the digest of every chunk are the revision's signature. What a new state of the file shares with it is
copied inside S3, the rest is sent.

Xia et al., "FastCDC: a Fast and Efficient Content-Defined Chunking Approach for Data Deduplication", ATC 2016.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from blake3 import blake3

from .layout import Part, parts_of

try:
    from pyfastcdc.cy import FastCDC
except ImportError:  # what the library falls back to takes a minute for a GiB
    FastCDC = None

MIB = 1024 * 1024
_DIGEST = 16
_CHUNK = struct.Struct(f">I{_DIGEST}s")
_HEAD = struct.Struct(">I")
_CHUNKS = 128 * 1024
_AVERAGES = tuple(512 * 1024 << doubled for doubled in range(4))
"""Bytes of a chunk, about: the least that makes at most so many of a file. Then what is kept of a large one is a few MB
and is compared within a second."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What S3 and we ask of parts, in bytes: `least` for all but the last, about `sent` for what is sent, at most
    `copied` for what is copied, `most` parts in all; `worth` is the share of the file that copying must save."""

    least: int = 5 * MIB
    sent: int = 8 * MIB
    copied: int = 512 * MIB
    most: int = 9000
    worth: float = 0.25


BOUNDS = Bounds()


class Chunker:
    """Makes a signature of the bytes it is fed, in any pieces."""

    @classmethod
    def if_fast(cls, size: int, before: bytes | None = None) -> Chunker | None:
        """For a file of `size` that is to be compared with the signature `before`. None where there is no compiled code
        to cut with: then files are sent whole."""
        return cls(_average(size, before)) if FastCDC is not None else None

    def __init__(self, average: int) -> None:
        """`average` bytes to a chunk; three quarters of that (or the MiB that the library knows) at least and twice
        that at most. Nothing below the least
        is looked at for a cut, so a high one makes it cheap, and a file's parts are far longer anyhow."""
        self._longest = 2 * average
        self._cutter = FastCDC(average, min_size=min(average * 3 // 4, MIB), max_size=self._longest)
        # One place for all bytes that wait to be cut: making a new one each time cost more than cutting.
        self._waiting = memoryview(bytearray(8 * self._longest))
        self._size = 0
        self._found = [_HEAD.pack(average)]

    def feed(self, block: bytes) -> None:
        at = 0
        while at < len(block):
            taken = min(len(block) - at, len(self._waiting) - self._size)
            self._waiting[self._size : self._size + taken] = block[at : at + taken]
            at += taken
            self._size += taken
            if self._size == len(self._waiting):
                self._cut(whole=False)

    def signature(self) -> bytes:
        """Of all that was fed: 4 bytes of the average, then 4 of size and 16 of BLAKE3 for each chunk in turn."""
        self._cut(whole=True)
        return b"".join(self._found)

    def _cut(self, *, whole: bool) -> None:
        data, done = self._waiting[: self._size], 0
        for chunk in self._cutter.cut_buf(data):
            # Where a chunk ends is decided within the longest one: with fewer bytes the end may move yet.
            if not whole and chunk.offset + self._longest > len(data):
                break
            done = chunk.offset + chunk.length
            self._found.append(_CHUNK.pack(chunk.length, blake3(data[chunk.offset : done]).digest(_DIGEST)))
        self._size = len(data) - done
        self._waiting[: self._size] = data[done:]


def _average(size: int, before: bytes | None) -> int:
    """Files that are cut alike can be compared: what grew or shrank is cut as before, as long as that is bearable."""
    fit = next((average for average in _AVERAGES if size <= average * _CHUNKS), _AVERAGES[-1])
    kept = _HEAD.unpack_from(before)[0] if before else fit
    return kept if kept in _AVERAGES and fit // 4 <= kept <= fit * 4 else fit


def plan(old: bytes, new: bytes, bounds: Bounds = BOUNDS) -> tuple[Part, ...] | None:
    """The parts that make the file of signature `new`, as many as possible copied from the one of signature `old`.

    None when too little would be saved: then the file goes as if there was nothing to copy from.
    """
    if old[: _HEAD.size] != new[: _HEAD.size]:
        return None  # cut otherwise: no chunk of the one is one of the other
    size = sum(length for length, _ in _chunks(new))
    bounds = replace(bounds, least=max(bounds.least, -(-size // bounds.most)))
    runs = _grown(_without_crumbs(_runs(old, new), bounds.least), bounds.least)
    if sum(run.size for run in runs if run.source is not None) < max(1, size * bounds.worth):
        return None
    pieces = [piece for run in runs for piece in _pieces(run, bounds)]
    copies = {number: piece.source for number, piece in enumerate(pieces, 1) if piece.source is not None}
    return parts_of([piece.size for piece in pieces], copies)


@dataclass(frozen=True, slots=True)
class _Run:
    """Bytes that follow one another: in the old file from `source` on, or new ones."""

    size: int
    source: int | None = None


def _runs(old: bytes, new: bytes) -> list[_Run]:
    """What is shared and what is new, in turn, as long as possible."""
    chunks = list(_chunks(old))
    starts, places, at = list[int](), dict[tuple[int, bytes], int](), 0
    for number, chunk in enumerate(chunks):
        starts.append(at)
        places.setdefault(chunk, number)
        at += chunk[0]
    runs: list[_Run] = []
    following = 0
    for chunk in _chunks(new):
        # The same content may be there many times over: what goes on where the last copy ended keeps the run whole.
        goes_on = following < len(chunks) and chunks[following] == chunk
        found = following if goes_on else places.get(chunk)
        if found is not None:
            following = found + 1
        _add(runs, _Run(chunk[0], None if found is None else starts[found]))
    return runs


def _chunks(signature: bytes) -> Iterator[tuple[int, bytes]]:
    """Size and digest of each chunk in turn."""
    return _CHUNK.iter_unpack(memoryview(signature)[_HEAD.size :])


def _add(runs: list[_Run], run: _Run) -> None:
    """Put a run behind the others, as one with the last if it goes on from there."""
    if runs and run.source == _end(runs[-1]):
        runs[-1] = replace(runs[-1], size=runs[-1].size + run.size)
    else:
        runs.append(run)


def _end(run: _Run) -> int | None:
    """Where its copy ends; None for one of new bytes."""
    return None if run.source is None else run.source + run.size


def _without_crumbs(runs: Sequence[_Run], least: int) -> list[_Run]:
    """Copies that are too short for a part are sent along."""
    made: list[_Run] = []
    for run in runs:
        _add(made, run if run.size >= least else _Run(run.size))
    return made


def _grown(runs: Sequence[_Run], least: int) -> list[_Run]:
    """Runs of new bytes that are too short for a part take from the copies beside them, or swallow one."""
    made: list[_Run] = []
    left = list(reversed(runs))
    while left:
        run = left.pop()
        short = least - run.size
        if run.source is not None or short <= 0 or not left:
            _add(made, run)
            continue
        right = left.pop()
        assert right.source is not None  # noqa: S101 - new bytes that touch are one run
        if right.size - short >= least or not left:
            left.append(_Run(right.size - short, right.source + short))
            _add(made, _Run(least))
        elif made and made[-1].source is not None and made[-1].size - short >= least:
            made[-1] = replace(made[-1], size=made[-1].size - short)
            made.append(_Run(least))
            left.append(right)
        else:
            more = left.pop().size if left[-1].source is None else 0
            left.append(_Run(run.size + right.size + more))
    return made


def _pieces(run: _Run, bounds: Bounds) -> Iterator[_Run]:
    """The parts of a run: alike in size, none too short, none too long."""
    if run.source is None:
        count = max(1, run.size // max(bounds.sent, bounds.least))
    else:
        count = -(-run.size // max(bounds.copied, 2 * bounds.least))
    at = 0
    for number in range(1, count + 1):
        end = run.size * number // count
        yield _Run(end - at, None if run.source is None else run.source + at)
        at = end
