"""Who is signed in, and a good access token whenever one is asked for."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from satchel.core.errors import NotSignedInError, SatchelError, SignInError
from satchel.core.model import Discovery
from satchel.core.ports import Clock, SystemClock

from . import cognito
from .cognito import NewPasswordRequired, Tokens
from .vault import Vault

log = logging.getLogger(__name__)

PASSWORD_FILE = "SATCHEL_PASSWORD_FILE"  # noqa: S105 - the name of a variable
_SPARE_MS = 60_000
"""A token with less than this left is refreshed first."""
_FILE = "account.json"


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Which account is signed in: no secrets, kept in a small file of the home."""

    email: str
    sub: str
    discovery: Discovery

    @property
    def site(self) -> str:
        return self.discovery.site


class Session:
    """The one session of a home. Thread-safe; only the engine holds one.

    At most one refresh is under way at a time: whoever asks meanwhile waits for its result.
    """

    def __init__(self, home: Path, vault: Vault | None = None, clock: Clock | None = None) -> None:
        self._file = home / _FILE
        self._vault = vault or Vault(home)
        self._clock = clock or SystemClock()
        self._lock = threading.RLock()
        self._account: SignedIn | None = None
        self._tokens: Tokens | None = None

    @property
    def account(self) -> SignedIn | None:
        return self._account

    @property
    def remembered(self) -> bool:
        """False when no keyring keeps the session beyond this process."""
        return self._vault.remembered

    def sign_in(
        self, discovery: Discovery, email: str, password: str, new_password: str | None = None
    ) -> Literal["signed_in", "new_password_required"]:
        """Raises `SignInError`, `OfflineError`, `BusyError`; the session there was before stays then."""
        email = email.strip()
        if not email or not password:
            raise SignInError("Email and password are needed", "Type both.")
        try:
            tokens = cognito.sign_in(discovery, email, password, new_password, self._clock)
        except NewPasswordRequired:
            return "new_password_required"
        with self._lock:
            previous = self._account
            account = SignedIn(email=email, sub=tokens.sub, discovery=discovery)
            self._vault.try_again()
            if tokens.refresh_token is not None:
                self._vault.store(account.site, account.sub, tokens.refresh_token)
            _write(self._file, account)
            self._account, self._tokens = account, tokens
            if previous is not None and (previous.site, previous.sub) != (account.site, account.sub):
                self._vault.forget(previous.site, previous.sub)
        return "signed_in"

    def restore(self) -> SignedIn | None:
        """The account of the last run, from this computer alone; its tokens are fetched when first asked for.

        None when nobody was signed in or nothing that could renew the session is left (a keyring that is gone or
        locked, and no `SATCHEL_PASSWORD_FILE`).
        """
        with self._lock:
            account = _read(self._file)
            if account is None:
                return None
            if self._vault.read(account.site, account.sub) is None and not os.environ.get(PASSWORD_FILE):
                return None
            self._account, self._tokens = account, None
            return account

    def access_token(self) -> str:
        """Good for a minute at least. Raises `NotSignedInError`; `OfflineError` keeps the session."""
        with self._lock:
            if self._account is None:
                raise NotSignedInError("Nobody is signed in", "Sign in first: satchel login SITE --email YOU")
            if self._tokens is not None and self._tokens.expires_ms - self._clock.now_ms() >= _SPARE_MS:
                return self._tokens.access_token
            return self._renewed(self._account)

    def force_refresh(self, used: str | None = None) -> str:
        """Another token than `used`, which the gateway has refused; without `used`, a new one in any case."""
        with self._lock:
            if self._account is None:
                raise NotSignedInError("Nobody is signed in", "Sign in first: satchel login SITE --email YOU")
            if used is not None and self._tokens is not None and self._tokens.access_token != used:
                return self._tokens.access_token  # somebody else was first
            return self._renewed(self._account)

    def sign_out(self) -> None:
        """Forget the account here, and revoke its session at the service if that can be reached."""
        with self._lock:
            account, self._account, self._tokens = self._account or _read(self._file), None, None
            if account is None:
                return
            secret = self._vault.read(account.site, account.sub)
            self._vault.forget(account.site, account.sub)
            self._file.unlink(missing_ok=True)
        if secret is not None:
            try:
                cognito.sign_out(account.discovery, secret)
            except SatchelError as error:
                log.info("signed out here only: %s", error.title)

    def _renewed(self, account: SignedIn) -> str:
        secret = self._vault.read(account.site, account.sub)
        try:
            tokens = self._refreshed(account, secret)
        except NotSignedInError:
            password = _unattended_password()
            if password is None:
                self._tokens = None
                raise
            tokens = self._signed_in_again(account, password)
        if tokens.refresh_token is not None and tokens.refresh_token != secret:
            # Stored before it is used: the old one is good for a minute at most from now.
            self._vault.store(account.site, account.sub, tokens.refresh_token)
        self._tokens = tokens
        return tokens.access_token

    def _refreshed(self, account: SignedIn, secret: str | None) -> Tokens:
        if secret is None:
            raise NotSignedInError(
                "The session could not be read from the keyring", "Unlock the keyring, or sign in again."
            )
        return cognito.refresh(account.discovery, secret, self._clock)

    def _signed_in_again(self, account: SignedIn, password: str) -> Tokens:
        try:
            tokens = cognito.sign_in(account.discovery, account.email, password, None, self._clock)
        except NewPasswordRequired:
            raise NotSignedInError("The account wants a new password", "Sign in by hand once.") from None
        except SignInError as error:
            raise NotSignedInError(f"The password in {PASSWORD_FILE} was refused", error.message) from error
        if tokens.sub != account.sub:
            # What waits here was meant for the tree of the account that was.
            raise NotSignedInError("Another account has this email address now", "Sign in by hand once.")
        return tokens


def _unattended_password() -> str | None:
    where = os.environ.get(PASSWORD_FILE)
    if not where:
        return None
    try:
        return Path(where).read_text(encoding="utf-8").rstrip("\r\n") or None
    except (OSError, UnicodeDecodeError) as error:
        raise NotSignedInError(
            f"The file named by {PASSWORD_FILE} cannot be read", "Check that it is there and readable.", path=where
        ) from error


def _read(file: Path) -> SignedIn | None:
    try:
        return msgspec.json.decode(file.read_bytes(), type=SignedIn)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        log.warning("the account file cannot be read: %s", error)
        return None


def _write(file: Path, account: SignedIn) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f"{file.name}.new")
    with contextlib.suppress(FileNotFoundError):
        draft.unlink()
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as out:
        out.write(msgspec.json.encode(account))
        out.flush()
        os.fsync(out.fileno())
    draft.replace(file)
