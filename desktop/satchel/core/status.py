"""What the engine tells its faces: one `Snapshot`, cheap to compare and to send, and the commands' answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .model import TransferState

Tone = Literal["ok", "busy", "paused", "offline", "attention"]


@dataclass(frozen=True, slots=True)
class AccountStatus:
    """Who is signed in. `remembered` is False when no keyring keeps the session beyond the running engine."""

    state: Literal["signed_out", "signed_in"] = "signed_out"
    site: str = ""
    email: str = ""
    used_bytes: int = 0
    quota_bytes: int | None = None
    remembered: bool = True


@dataclass(frozen=True, slots=True)
class TransferRow:
    """One row of the window: a dropped file, a dropped folder with all its files, or a watched folder's file.

    `sent_bytes` counts bytes that S3 has acknowledged or that are on the wire; `rate` is bytes per second;
    `message` is for people and is set when something went wrong or is being waited for.
    """

    transfer_id: str
    direction: Literal["up", "down"]
    origin: Literal["drop", "root", "get"]
    name: str
    local_path: str
    state: TransferState
    size: int
    sent_bytes: int
    files: int = 1
    files_done: int = 0
    rate: float = 0.0
    seconds_left: float | None = None
    message: str = ""
    link_url: str | None = None
    created_ms: int = 0


@dataclass(frozen=True, slots=True)
class RecentLink:
    link_id: str
    name: str
    url: str
    created_ms: int


@dataclass(frozen=True, slots=True)
class Held:
    """Something that is not in step and why, with what a person can do about it."""

    path: str
    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What a look at every byte of a root found: `files` are on both sides, `size` bytes were read of them, `equal` of
    them are the same. All else counts files and folders; `held` could not be compared. `ok` says that nothing differs
    which this kind of root keeps in step."""

    at_ms: int
    seconds: float
    files: int = 0
    size: int = 0
    equal: int = 0
    differing: int = 0
    only_here: int = 0
    only_there: int = 0
    held: int = 0
    ok: bool = True


@dataclass(frozen=True, slots=True)
class Verifying:
    """How far a look at every byte is; `path` is the root's, `expected` how many files it is thought to have."""

    path: str
    files: int
    expected: int
    size: int


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that is not equal on both sides, with its path in the root; a folder's ends with a slash."""

    root: str
    path: str
    what: Literal["differing", "only_here", "only_there", "held"]
    reason: str
    remedy: str


@dataclass(frozen=True, slots=True)
class RootRow:
    """`deletions` are files that would be deleted but wait for a person's word, because they are so many; `verified`
    is the last look at every byte. `left_out` are paths in it that this computer does not want."""

    root_id: str
    path: str
    remote_path: str
    mode: Literal["upload-only", "two-way"]
    state: Literal["scanning", "syncing", "in_step", "paused", "offline", "attention"]
    waiting: int = 0
    held: tuple[Held, ...] = ()
    last_full_scan_ms: int | None = None
    deletions: int = 0
    verified: Verified | None = None
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that the user should know and that stays until it is no longer so."""

    code: str
    title: str
    detail: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything a face shows. Active transfers come first, then newest first; at most 200 rows.

    `settings_set` grows whenever settings were set, by whatever face: they are to be asked for again.
    """

    headline: str
    tone: Tone
    account: AccountStatus
    paused: bool = False
    transfers: tuple[TransferRow, ...] = ()
    transfers_active: int = 0
    links: tuple[RecentLink, ...] = ()
    roots: tuple[RootRow, ...] = ()
    notices: tuple[Notice, ...] = ()
    settings_set: int = 0


@dataclass(frozen=True, slots=True)
class DroppedItem:
    """The answer for one top-level item of a drop: its link, or why it was left out."""

    path: str
    transfer_id: str | None = None
    link_url: str | None = None
    remote_path: str | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class DropResult:
    """`links` is what belongs on the clipboard, one a line; more than ten items give one link for all."""

    items: tuple[DroppedItem, ...]
    links: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SignInResult:
    outcome: Literal["signed_in", "new_password_required"]
    account: AccountStatus
