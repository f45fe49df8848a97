"""How the window says sizes, rates and what a transfer is doing. Decimal units, as disks are sold."""

from __future__ import annotations

from typing import Any

from satchel.core.model import TransferState
from satchel.engine.status import verified, when

State = TransferState
_WORDS = {
    State.WAITING: "Waiting",
    State.HASHING: "Reading",
    State.FINISHING: "Finishing",
    State.CANCELLED: "Cancelled",
    State.FAILED: "Failed",
}
_UNITS = ("bytes", "kB", "MB", "GB", "TB", "PB")


def size(count: float) -> str:
    """`999 bytes`, `1.4 MB`, `86 MB`, `42.6 GB`: as the share page says them."""
    value, unit = float(count), 0
    while unit < len(_UNITS) - 1 and float(_rounded(value, unit)) >= 1000:
        value, unit = value / 1000, unit + 1
    if unit == 0:
        return "1 byte" if int(value) == 1 else f"{int(value)} bytes"
    return f"{_rounded(value, unit)} {_UNITS[unit]}"


def _rounded(value: float, unit: int) -> str:
    fine = unit > 0 and (value < 9.95 or (unit >= 3 and value < 99.95))
    return f"{value:.1f}".removesuffix(".0") if fine else f"{value:.0f}"


def size_of(part: float, whole: float) -> str:
    """`12 of 40 MB`, `412 MB of 1.2 GB`."""
    a, b = size(part), size(whole)
    number, _, unit = a.partition(" ")
    return f"{number} of {b}" if b.endswith(f" {unit}") else f"{a} of {b}"


def time_left(seconds: float) -> str:
    if seconds < 60:
        return f"{max(1, round(seconds))} s left"
    if seconds < 3600:
        return f"{round(seconds / 60)} min left"
    return f"{round(seconds / 3600)} h left"


def usage(used: int, quota: int | None) -> str:
    return f"{size(used)} of {size(quota)} used" if quota else f"{size(used)} used"


def initials(email: str) -> str:
    """`MK` of `mira.kovac@example.com`."""
    words = [w for w in email.partition("@")[0].replace("-", ".").replace("_", ".").split(".") if w]
    return "".join(word[0] for word in words[:2]).upper() or "?"


def goes(root: dict[str, Any]) -> str:
    """Where a watched folder goes. That it is in step is said only when it is so."""
    if root["mode"] == "upload-only":
        return f"Uploads to {root['remote_path']}"
    return f"{'In' if root['state'] == 'in_step' else 'Kept in'} step with {root['remote_path']}"


def looks(root: dict[str, Any], now_ms: int) -> str:
    """What waits, and when all was looked at last, and every byte."""
    scan, found = root["last_full_scan_ms"], root["verified"]
    parts = [f"{root['waiting']:,} waiting"] if root["waiting"] else []
    parts.append(f"Looked through whole {when(scan, now_ms)}" if scan is not None else "Not looked through whole yet")
    if found is not None:
        parts.append(verified(found, now_ms))
    return " · ".join(parts)


def detail(row: dict[str, Any]) -> str:
    """The second line of a transfer's row."""
    state, whole, sent = State(row["state"]), row["size"], row["sent_bytes"]
    if row["message"] and state is not State.DONE:
        return str(row["message"])
    files = f"{row['files_done']} of {row['files']} files · " if row["files"] > 1 and state is not State.DONE else ""
    if state is State.DONE:
        verb = "Uploaded" if row["direction"] == "up" else "Downloaded"
        return f"{verb} · {size(whole)}" + (f" · {row['files']} files" if row["files"] > 1 else "")
    if state is State.PAUSED:
        return f"{files}Paused · {size_of(sent, whole)}"
    if state is not State.SENDING:
        return f"{files}{_WORDS[state]} · {size(whole)}"
    parts = [size_of(sent, whole)] if row["direction"] == "up" else ["Downloading", size_of(sent, whole)]
    if row["rate"] > 0:
        parts.append(f"{size(row['rate'])}/s")
    if row["seconds_left"] is not None:
        parts.append(time_left(row["seconds_left"]))
    return files + " · ".join(parts)


def badge(name: str, files: int) -> str:
    """What stands on a row's tile: the extension, or that it is a folder or plain file."""
    if files > 1:
        return "DIR"
    extension = name.rpartition(".")[2] if "." in name.strip(".") else ""
    return extension.upper() if 0 < len(extension) <= 4 and extension.isalnum() else "FILE"
