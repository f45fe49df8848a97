from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from satchel.transfer import delta
from satchel.transfer.delta import BOUNDS, MIB, Bounds, Chunker, plan
from satchel.transfer.layout import Part

AVERAGE = 512
GIB = 1024 * MIB
SMALL = Bounds(least=4096, sent=8192, copied=32768, most=50)

places = st.integers(0, 1 << 30)
lengths = st.one_of(st.integers(0, 40), st.integers(0, 30_000))
seeds = st.integers(0, 1 << 30)
EDITS = st.one_of(
    st.tuples(st.just("overwrite"), places, lengths, seeds),
    st.tuples(st.just("insert"), places, lengths, seeds),
    st.tuples(st.just("delete"), places, lengths, seeds),
    st.tuples(st.just("append"), places, lengths, seeds),
    st.tuples(st.just("truncate"), places, lengths, seeds),
    st.tuples(st.just("reorder"), places, st.integers(0, 130_000), seeds),
    st.tuples(st.just("repeat"), places, lengths, seeds),
)


def noise(size: int, seed: int) -> bytes:
    return delta.blake3(struct.pack(">Q", seed)).digest(size)


def edited(data: bytes, edit: tuple[str, int, int, int]) -> bytes:
    what, place, length, seed = edit
    at = place % (len(data) + 1)
    before, after = data[:at], data[at:]
    middle = length % (len(after) + 1)
    states = {
        "overwrite": before + noise(length, seed) + after[length:],
        "insert": before + noise(length, seed) + after,
        "delete": before + after[length:],
        "append": data + noise(length, seed),
        "truncate": before,
        "repeat": before + after[:length] + after,
        "reorder": after[middle:] + after[:middle] + before,
    }
    return states[what]


def signature(data: bytes, pieces: int = 1 << 20, average: int = AVERAGE) -> bytes:
    chunker = Chunker(average)
    for at in range(0, len(data), pieces):
        chunker.feed(data[at : at + pieces])
    return chunker.signature()


def put_together(parts: tuple[Part, ...], old: bytes, new: bytes) -> bytes:
    """What S3 makes of the parts: copies out of the old object, the rest of the file."""
    return b"".join(
        new[part.offset : part.offset + part.size]
        if part.copy_from is None
        else old[part.copy_from : part.copy_from + part.size]
        for part in parts
    )


def sent(parts: tuple[Part, ...]) -> int:
    return sum(part.size for part in parts if part.copy_from is None)


@settings(max_examples=1000, deadline=None)
@given(st.integers(10_000, 120_000), seeds, st.lists(EDITS, min_size=1, max_size=4))
def test_whatever_was_edited_the_parts_make_the_file(
    size: int, seed: int, edits: list[tuple[str, int, int, int]]
) -> None:
    old = new = noise(size, seed)
    for edit in edits:
        new = edited(new, edit)
    parts = plan(signature(old), signature(new), SMALL)
    if parts is None:
        return
    assert put_together(parts, old, new) == new
    assert [part.number for part in parts] == list(range(1, len(parts) + 1))
    assert all(part.size >= SMALL.least for part in parts[:-1])
    assert all(0 < part.size <= max(SMALL.copied, len(new) // 10) for part in parts)
    assert all(part.copy_from is None or part.copy_from + part.size <= len(old) for part in parts)
    assert len(parts) <= SMALL.most
    assert len(new) - sent(parts) >= len(new) * SMALL.worth


@given(st.integers(0, 100_000), seeds, st.integers(1, 9000))
@settings(deadline=None)
def test_a_signature_does_not_depend_on_the_pieces_it_was_fed(size: int, seed: int, pieces: int) -> None:
    data = noise(size, seed)
    at_once = delta.FastCDC(AVERAGE, min_size=AVERAGE * 3 // 4, max_size=2 * AVERAGE).cut_buf(data)
    sizes = [length for length, _ in struct.iter_unpack(">I16s", signature(data, pieces)[4:])]
    assert sizes == [chunk.length for chunk in at_once]
    assert signature(data, pieces) == signature(data)


@pytest.mark.parametrize(
    ("edit", "most"),
    [
        (("overwrite", 60_000, 1000, 1), 3 * SMALL.least),
        (("insert", 0, 1, 1), 3 * SMALL.least),
        (("insert", 60_000, 1, 1), 3 * SMALL.least),
        (("delete", 60_000, 1, 1), 3 * SMALL.least),
        (("append", 100_000, 5, 1), SMALL.least),
        (("truncate", 90_001, 0, 1), SMALL.least),
        (("reorder", 30_000, 40_000, 1), 4 * SMALL.least),
    ],
)
def test_little_is_sent_of_what_changed_little(edit: tuple[str, int, int, int], most: int) -> None:
    old = noise(100_000, 7)
    parts = plan(signature(old), signature(edited(old, edit)), SMALL)
    assert parts is not None
    assert sent(parts) <= most


def test_what_is_another_file_altogether_is_sent_as_ever() -> None:
    assert plan(signature(noise(100_000, 1)), signature(noise(100_000, 2)), SMALL) is None


def test_an_empty_file_has_nothing_to_copy() -> None:
    assert plan(signature(noise(100_000, 1)), signature(b""), SMALL) is None
    assert plan(signature(b""), signature(noise(100_000, 1)), SMALL) is None
    assert plan(b"", signature(noise(100_000, 1)), SMALL) is None


def test_a_file_of_one_byte_over_and_over_is_copied_too() -> None:
    old, new = bytes(100_000), bytes(100_000) + b"x"
    parts = plan(signature(old), signature(new), SMALL)
    assert parts is not None
    assert put_together(parts, old, new) == new
    assert sent(parts) <= SMALL.least


def test_the_parts_of_the_largest_file_are_no_more_than_s3_takes() -> None:
    # Signatures as of 5 TiB of which every other stretch of 2,000 MiB changed.
    chunk, count = 500 * MIB, 10_486
    parts = plan(made_up(chunk, count, 0), made_up(chunk, count, 1))
    assert parts is not None
    assert len(parts) <= 10_000
    assert sum(part.size for part in parts) == chunk * count
    assert all(part.size <= 5 * 1024 * MIB for part in parts)


def made_up(chunk: int, count: int, salt: int) -> bytes:
    """A signature of chunks of one size, those of every other four changed by `salt`."""
    digests = (f"{n}-{salt * (n // 4 % 2)}".encode().ljust(16) for n in range(count))
    return struct.pack(">I", AVERAGE) + b"".join(struct.pack(">I16s", chunk, digest) for digest in digests)


@pytest.mark.parametrize(
    ("size", "chunk"),
    [
        (16 * MIB, MIB // 2), (64 * GIB, MIB // 2), (64 * GIB + 1, MIB), (200 * GIB, 2 * MIB),
        (512 * GIB, 4 * MIB), (5120 * GIB, 4 * MIB),
    ],
)  # fmt: skip
def test_a_larger_file_is_cut_into_larger_chunks(size: int, chunk: int) -> None:
    chunker = Chunker.if_fast(size)
    assert chunker is not None
    assert chunker.signature() == struct.pack(">I", chunk)


@pytest.mark.parametrize(
    ("before", "size", "chunk"),
    [(MIB // 2, 65 * GIB, MIB // 2), (MIB // 2, 257 * GIB, 4 * MIB), (4 * MIB, GIB, MIB // 2), (5, GIB, MIB // 2)],
    ids=["grew a little", "grew a lot", "shrank a lot", "not one of ours"],
)
def test_a_file_that_grew_is_cut_as_before_while_that_is_bearable(before: int, size: int, chunk: int) -> None:
    chunker = Chunker.if_fast(size, struct.pack(">I", before))
    assert chunker is not None
    assert chunker.signature() == struct.pack(">I", chunk)


def test_files_that_were_cut_otherwise_are_not_compared() -> None:
    data = noise(200_000, 1)
    assert plan(signature(data), signature(data, average=2 * AVERAGE), SMALL) is None


def test_a_signature_is_small_beside_its_file() -> None:
    assert len(signature(noise(16 * MIB, 1), average=512 * 1024)) < 16 * MIB / 6000


def test_without_compiled_code_files_are_sent_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Chunker.if_fast(16 * MIB) is not None
    monkeypatch.setattr(delta, "FastCDC", None)
    assert Chunker.if_fast(16 * MIB) is None


def test_s3_takes_parts_from_five_mib() -> None:
    assert BOUNDS.least == 5 * MIB
    assert BOUNDS.copied <= 5 * 1024 * MIB
