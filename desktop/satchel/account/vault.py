"""Secrets in the OS keyring, or in memory when there is none.

A locked keyring may block its caller for as long as it asks its user, so that every call runs in a thread of its own
and is given up after a time; from then on this process keeps the secret in memory and says so.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, TypeVar

log = logging.getLogger(__name__)

T = TypeVar("T")

SERVICE = "Satchel"
_CHUNK = 1000
"""Windows' store takes 2,500 bytes of UTF-16; values over 2,000 characters are split well below that."""
_SPLIT_FROM = 2000
_SPLIT = "satchel-split:"


class Backend(Protocol):
    """The part of `keyring`'s backends that is used here."""

    def get_password(self, service: str, username: str) -> str | None: ...

    def set_password(self, service: str, username: str, password: str) -> None: ...

    def delete_password(self, service: str, username: str) -> None: ...


class Vault:
    """The secrets of one home. Thread-safe; nothing here raises because of the keyring.

    `remembered` tells whether the keyring keeps what was stored last; when not, it is gone with this process.
    """

    def __init__(self, home: Path, *, backend: Callable[[], Backend] | None = None, timeout: float = 5.0) -> None:
        """`backend` is called in the worker, for finding the keyring may block too."""
        self._home = hashlib.sha256(str(home.resolve()).encode(errors="surrogateescape")).hexdigest()[:12]
        self._backend = backend or _system_keyring
        self._timeout = timeout
        self._memory: dict[str, str] = {}
        self._lock = threading.Lock()
        self._usable = True
        self.remembered = True

    def store(self, site: str, account: str, secret: str) -> bool:
        """Keep `secret`; True when the keyring has it."""
        key = self._key(site, account)
        with self._lock:
            self._memory[key] = secret
            done = self._ask(lambda backend: _write(backend, key, secret))
            self.remembered = done is True
            return self.remembered

    def read(self, site: str, account: str) -> str | None:
        key = self._key(site, account)
        with self._lock:
            if key in self._memory:
                return self._memory[key]
            found = self._ask(lambda backend: _read(backend, key))
            if found is not None:
                self._memory[key] = found
            self.remembered = self._usable
            return found

    def forget(self, site: str, account: str) -> None:
        key = self._key(site, account)
        with self._lock:
            self._memory.pop(key, None)
            self._ask(lambda backend: _delete(backend, key))

    @property
    def usable(self) -> bool:
        """False once the keyring was missing, locked or silent."""
        return self._usable

    def try_again(self) -> None:
        """Ask the keyring again the next time: its user may have unlocked it."""
        with self._lock:
            self._usable = True

    def _key(self, site: str, account: str) -> str:
        return f"{site}|{account}|{self._home}"

    def _ask(self, work: Callable[[Backend], T]) -> T | None:
        """The result of `work`, or None when the keyring failed or kept silent; then it is not asked again."""
        if not self._usable:
            return None
        results: list[T] = []

        def run() -> None:
            try:
                results.append(work(self._backend()))
            except Exception as error:
                # The text may quote the secret's name; the kind says enough.
                log.warning("the keyring is of no use: %s", type(error).__name__)

        worker = threading.Thread(target=run, name="keyring", daemon=True)
        worker.start()
        worker.join(self._timeout)
        if not results:
            if worker.is_alive():
                log.warning("the keyring did not answer within %.0f s", self._timeout)
            self._usable = False
            return None
        return results[0]


def _system_keyring() -> Backend:
    import keyring  # noqa: PLC0415 - its backends' discovery is slow

    backend: Backend = keyring.get_keyring()
    return backend


def _write(backend: Backend, key: str, secret: str) -> bool:
    old = _pieces(backend.get_password(SERVICE, key))
    new = 0
    if len(secret) > _SPLIT_FROM:
        chunks = [secret[at : at + _CHUNK] for at in range(0, len(secret), _CHUNK)]
        new = len(chunks)
        for number, chunk in enumerate(chunks):
            backend.set_password(SERVICE, f"{key}#{number}", chunk)
        # Last, with a digest: a write torn between two pieces reads as nothing rather than as a wrong secret.
        backend.set_password(SERVICE, key, f"{_SPLIT}{new}:{_digest(secret)}")
    else:
        backend.set_password(SERVICE, key, secret)
    for number in range(new, old):
        backend.delete_password(SERVICE, f"{key}#{number}")
    return _read(backend, key) == secret


def _read(backend: Backend, key: str) -> str | None:
    found = backend.get_password(SERVICE, key)
    count = _pieces(found)
    if not count or found is None:
        return found
    secret = "".join(backend.get_password(SERVICE, f"{key}#{number}") or "" for number in range(count))
    return secret if found.endswith(":" + _digest(secret)) else None


def _delete(backend: Backend, key: str) -> bool:
    found = backend.get_password(SERVICE, key)
    if found is not None:
        backend.delete_password(SERVICE, key)
        for number in range(_pieces(found)):
            backend.delete_password(SERVICE, f"{key}#{number}")
    return True


def _pieces(found: str | None) -> int:
    if found is None or not found.startswith(_SPLIT):
        return 0
    count = found[len(_SPLIT) :].partition(":")[0]
    return int(count) if count.isdigit() else 0


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()[:16]
