"""Printing: JSON for programs, a bar for a terminal, plain lines for everything else."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, is_dataclass
from typing import Any

from satchel.core.errors import SatchelError


class Output:
    def __init__(self, *, json: bool) -> None:
        self.json = json

    def line(self, text: str, *, err: bool = False) -> None:
        """For people, without control characters; nothing on standard output under `--json`."""
        if err or not self.json:
            stream = sys.stderr if err else sys.stdout
            print(_shown(clean(text), stream), file=stream, flush=True)

    def document(self, value: Any) -> None:
        """One JSON document on a line; nothing without `--json`."""
        if self.json:
            print(json.dumps(_plain(value)), flush=True)  # noqa: T201 - as above

    def error(self, error: SatchelError) -> None:
        if self.json:
            print(json.dumps({"error": error.to_dict()}), file=sys.stderr, flush=True)  # noqa: T201 - as above
            return
        self.line(f"satchel: {error}", err=True)
        if error.reference:
            self.line(f"Reference: {error.reference}", err=True)

    def bar(self) -> Progress:
        """Progress of long work on standard error."""
        return Bar() if sys.stderr.isatty() and not self.json else Lines(self)

    def steps(self) -> Steps:
        """What long work says on the way, on standard error."""
        return StepBar(self) if sys.stderr.isatty() and not self.json else Steps(self)


class Steps:
    """One plain line after the other; with `--json`, documents."""

    def __init__(self, out: Output) -> None:
        self._out = out

    def __enter__(self) -> Steps:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def say(self, line: str) -> None:
        """`line` may know how far the whole is, as `hosting.report.Line` does."""
        progress = getattr(line, "progress", None)
        self._out.document({"step": line} | ({"progress": _plain(progress)} if progress else {}))
        if not self._out.json:
            self._out.line(line, err=True)

    def far(self, doing: str, done: int, total: int) -> None:
        """How far it is, for a bar; nothing where there is none."""


class StepBar(Steps):
    """One bar below the lines that matter; what only tells of progress comes and goes beside it."""

    def __init__(self, out: Output) -> None:
        super().__init__(out)
        from rich.console import Console  # noqa: PLC0415 - only where a terminal watches
        from rich.markup import escape  # noqa: PLC0415
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415
        from rich.table import Column  # noqa: PLC0415

        self._escape = escape
        self._progress = Progress(
            BarColumn(bar_width=24),
            TextColumn("{task.fields[count]}", table_column=Column(no_wrap=True)),
            TimeElapsedColumn(),
            TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1)),
            console=Console(stderr=True),
            transient=True,
            expand=True,
            redirect_stdout=sys.stdout.isatty(),  # else rich prints to standard error what goes into a pipe
        )
        self._task = self._progress.add_task("", total=None, count="")

    def __enter__(self) -> StepBar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def say(self, line: str) -> None:
        text = self._escape(clean(line))
        progress = getattr(line, "progress", None)
        if progress is None or " failed: " in line:
            self._progress.console.print(text, highlight=False)
        if progress is None:
            self._progress.update(self._task, total=None, completed=0, count="", description="")
        else:
            count = f"{progress.done}" if progress.total is None else f"{progress.done} of {progress.total}"
            self._progress.update(
                self._task,
                total=progress.total,
                completed=progress.done,
                count=count,
                description=text.rpartition(" (")[0] or text,
            )

    def far(self, doing: str, done: int, total: int) -> None:
        text = self._escape(clean(doing))
        self._progress.update(self._task, total=total, completed=done, count=f"{done:,} of {total:,}", description=text)


class Progress:
    """Takes rows of transfers, as the engine tells them."""

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def row(self, row: dict[str, Any]) -> None:
        raise NotImplementedError


class Lines(Progress):
    """A line when something begins, waits or ends; with `--json`, every row."""

    def __init__(self, out: Output) -> None:
        self._out = out
        self._said: dict[str, str] = {}

    def row(self, row: dict[str, Any]) -> None:
        self._out.document({"transfer": row})
        if self._out.json:
            return
        text = f"{row['name']}: {_doing(row)}"
        if self._said.get(row["transfer_id"]) != text:
            self._said[row["transfer_id"]] = text
            self._out.line(text, err=True)


class Bar(Progress):
    """One bar a transfer, with rate and time left."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - only where a terminal watches
        from rich.markup import escape  # noqa: PLC0415
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn  # noqa: PLC0415

        self._escape = escape
        self._tasks: dict[str, Any] = {}
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TextColumn("{task.fields[note]}"),
            console=Console(stderr=True),
            redirect_stdout=sys.stdout.isatty(),  # else rich prints to standard error what goes into a pipe
        )

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def row(self, row: dict[str, Any]) -> None:
        at = row["transfer_id"]
        if at not in self._tasks:
            self._tasks[at] = self._progress.add_task(self._escape(clean(row["name"])), total=row["size"], note="")
        self._progress.update(
            self._tasks[at], total=row["size"], completed=row["sent_bytes"], note=self._escape(clean(_note(row)))
        )


def clean(text: str) -> str:
    """`text` without control characters: a name must not move a terminal's cursor."""
    return "".join(mark if mark.isprintable() else "�" for mark in text)


def size_text(size: int) -> str:
    """`412 MB`, in steps of 1,000."""
    value, unit = float(size), "B"
    for larger in ("kB", "MB", "GB", "TB"):
        if value < 999.5:
            break
        value, unit = value / 1000, larger
    return f"{value:.0f} {unit}" if unit == "B" or value >= 99.5 else f"{value:.1f} {unit}"


def _doing(row: dict[str, Any]) -> str:
    state = row["state"]
    if state == "done":
        return f"done, {size_text(row['size'])}" + (f" · {row['message']}" if row["message"] else "")
    return str(row["message"] or state)


def _note(row: dict[str, Any]) -> str:
    if row["state"] != "sending" or row["message"]:
        return str(row["message"] or row["state"])
    left = row.get("seconds_left")
    ahead = "" if left is None else f" · {round(left)} s left" if left < 60 else f" · {round(left / 60)} min left"
    return f"{size_text(int(row['rate']))}/s{ahead}"


def _shown(text: str, stream: Any) -> str:
    """What the stream can take; the rest as question marks."""
    encoding = getattr(stream, "encoding", None) or "utf-8"
    return text.encode(encoding, errors="replace").decode(encoding)


def _plain(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
