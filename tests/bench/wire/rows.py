"""What is measured: the rows of both views, and their goals."""

from __future__ import annotations

from dataclasses import dataclass

MIB = 1024 * 1024
ROUND_TRIP_S = 0.05


@dataclass(frozen=True)
class Row:
    """One kind of work. The goals are parts of s5cmd's figures, or with `best` of the better peer's; MB for memory, a
    part of the file for `sent`, and a number for the `calls` of the service. With an `edit` the file was sent before,
    but for that. What goes into the `sink` is a hole, and goes from Satchel alone."""

    files: int
    size: int
    tls: bool = False
    far: bool = False
    down: bool = False
    edit: str = ""
    sent: float | None = None
    sink: bool = False
    wall: float | None = None
    cpu: float | None = None
    memory: float | None = None
    calls: int | None = None
    best: bool = False


ENGINE: dict[str, Row] = {
    "1-gib": Row(1, 1024 * MIB, wall=0.85, cpu=0.5, memory=100),
    "200-of-2-mib": Row(200, 2 * MIB, wall=0.8, best=True),
    "5000-of-8-kib": Row(5000, 8192, wall=0.7, cpu=0.4, best=True),
    "1-gib-tls": Row(1, 1024 * MIB, tls=True, wall=0.9, best=True),
    "200-of-2-mib-tls": Row(200, 2 * MIB, tls=True, wall=0.9, best=True),
    "5000-of-8-kib-tls": Row(5000, 8192, tls=True, wall=0.9, best=True),
    "500-of-8-kib-far": Row(500, 8192, far=True, wall=1.0, best=True),
    "256-mib-far": Row(1, 256 * MIB, far=True, wall=1.0, best=True),
    "500-of-8-kib-far-tls": Row(500, 8192, tls=True, far=True, wall=1.0, best=True),
    "1-gib-changed": Row(1, 1024 * MIB, edit="1 MiB changed in the middle", sent=0.02),
    "1-gib-inserted": Row(1, 1024 * MIB, edit="1 byte inserted at the start", sent=0.02),
    "1-gib-sink": Row(1, 1024 * MIB, sink=True, memory=100),
    "8-gib-sink": Row(1, 8 * 1024 * MIB, sink=True, memory=100),
    "get-1-gib": Row(1, 1024 * MIB, down=True, wall=0.9),
}

PRODUCT: dict[str, Row] = {
    "1-gib": Row(1, 1024 * MIB, wall=0.9),
    "200-of-2-mib": Row(200, 2 * MIB),
    "5000-of-8-kib": Row(5000, 8192, calls=120),
    "1-gib-tls": Row(1, 1024 * MIB, tls=True),
    "200-of-2-mib-tls": Row(200, 2 * MIB, tls=True),
    "500-of-8-kib-far": Row(500, 8192, far=True),
    "256-mib-far": Row(1, 256 * MIB, far=True),
    "1-gib-changed": Row(1, 1024 * MIB, edit="1 MiB changed in the middle", sent=0.02),
    "1-gib-inserted": Row(1, 1024 * MIB, edit="1 byte inserted at the start", sent=0.02),
    "get-1-gib": Row(1, 1024 * MIB, down=True),
}

VIEWS = {"engine": ENGINE, "product": PRODUCT}
