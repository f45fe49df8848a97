"""What stands for the system's keyring in benches: a home stays signed in, and no keyring is asked."""

from __future__ import annotations

import json
import os
from pathlib import Path

from keyring.backend import KeyringBackend

VARIABLE = "BENCH_KEYRING"


class FileKeyring(KeyringBackend):
    """Keeps its secrets in `file`, else in the one that `BENCH_KEYRING` names."""

    priority = 1.0

    def __init__(self, file: Path | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # keyring's own
        self._file = file or Path(os.environ[VARIABLE])

    def get_password(self, service: str, username: str) -> str | None:
        return self._read().get(f"{service} {username}")

    def set_password(self, service: str, username: str, password: str) -> None:
        self._file.write_text(json.dumps(self._read() | {f"{service} {username}": password}))

    def delete_password(self, service: str, username: str) -> None:
        kept = self._read()
        kept.pop(f"{service} {username}", None)
        self._file.write_text(json.dumps(kept))

    def _read(self) -> dict[str, str]:
        return dict(json.loads(self._file.read_text())) if self._file.exists() else {}
