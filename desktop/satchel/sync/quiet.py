"""Waiting until a file is quiet, so that one written slowly is sent once, whole."""

from __future__ import annotations

from dataclasses import dataclass, replace

CLOSED = 0.3
"""Seconds to wait after the writer has closed the file: what is saved goes within a second. A writer that comes back
sooner, or changes the file while it is sent, is given more time from then on."""

OPEN = 2.0
"""Seconds to wait when nobody said so, or when it was written to before."""

MISSING = 1.0
"""Seconds that a name must be gone: programs save by deleting and writing anew."""

LONGEST = 15.0

Stamp = tuple[int, int]
"""Size and mtime in nanoseconds."""


@dataclass(frozen=True, slots=True)
class _Seen:
    stamp: Stamp | None
    since: float
    wait: float
    again: bool = False


class Quiet:
    """Tracks names that changed lately. Times are `Clock.monotonic` seconds and come in with every call."""

    def __init__(self) -> None:
        self._seen: dict[str, _Seen] = {}

    def closed(self, path: str, now: float) -> None:
        """The writer closed the file: it need not wait as long, unless it was opened again and again."""
        known = self._seen.get(path)
        if known is None:
            self._seen[path] = _Seen((-1, -1), now, CLOSED)
        elif not known.again:
            self._seen[path] = replace(known, wait=CLOSED)

    def restless(self, path: str, now: float) -> None:
        """The file changed while it was being sent."""
        known = self._seen.get(path)
        self._seen[path] = _Seen((-1, -1), now, min(LONGEST, 2 * known.wait if known else 2 * OPEN), again=True)

    def left(self, path: str, stamp: Stamp | None, age: float, now: float) -> float:
        """Seconds to wait before `path` may be acted on; 0 when it is quiet.

        `stamp` is what is on disk now, None when the name is gone. `age` is how long ago, by the wall clock, it was
        written: what has not changed for long needs no waiting when it is first seen.
        """
        known = self._seen.get(path)
        if known is None:
            if stamp is not None and age > OPEN:
                return 0.0
            known = self._seen[path] = _Seen(stamp, now, MISSING if stamp is None else OPEN)
        elif known.stamp == (-1, -1):
            known = self._seen[path] = replace(known, stamp=stamp)
        elif known.stamp != stamp:
            # Slow writers are given twice the longest pause they were seen to make.
            wait = max(OPEN, known.wait, 2 * (now - known.since))
            known = self._seen[path] = _Seen(
                stamp, now, min(LONGEST, wait) if stamp is not None else MISSING, again=True
            )
        return max(0.0, known.since + known.wait - now)

    def clear(self) -> None:
        self._seen.clear()

    def forget(self, path: str) -> None:
        self._seen.pop(path, None)
