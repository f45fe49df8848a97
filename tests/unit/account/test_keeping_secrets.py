from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from keyring.errors import NoKeyringError

from satchel.account import Vault

SITE = "https://files.example.com"


class Keyring:
    """A dictionary that refuses what Windows' store refuses."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if len(password.encode("utf-16")) > 2500 and len(password) > 2000:
            raise ValueError("too long")
        self.kept[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[service, username]


class Blocking(Keyring):
    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def get_password(self, service: str, username: str) -> str | None:
        self.calls += 1
        threading.Event().wait(30)
        return None


class Missing(Keyring):
    def get_password(self, service: str, username: str) -> str | None:
        raise NoKeyringError


class Forgetful(Keyring):
    def get_password(self, service: str, username: str) -> str | None:
        return None


@pytest.mark.parametrize("length", [10, 2000, 2001, 5000])
def test_a_secret_of_any_length_survives_the_process(tmp_path: Path, length: int) -> None:
    keyring, secret = Keyring(), "s" * (length - 1) + "e"
    assert Vault(tmp_path, backend=lambda: keyring).store(SITE, "sub", secret)
    assert Vault(tmp_path, backend=lambda: keyring).read(SITE, "sub") == secret


def test_a_long_secret_is_split_and_leaves_nothing_behind(tmp_path: Path) -> None:
    keyring = Keyring()
    vault = Vault(tmp_path, backend=lambda: keyring)
    vault.store(SITE, "sub", "x" * 5000)
    assert all(len(value) <= 1000 for value in keyring.kept.values())
    vault.store(SITE, "sub", "short")
    assert list(keyring.kept.values()) == ["short"]
    vault.store(SITE, "sub", "x" * 5000)
    vault.forget(SITE, "sub")
    assert keyring.kept == {}


def test_a_torn_secret_reads_as_none(tmp_path: Path) -> None:
    keyring = Keyring()
    Vault(tmp_path, backend=lambda: keyring).store(SITE, "sub", "x" * 5000)
    piece = next(key for key in keyring.kept if key[1].endswith("#2"))
    keyring.kept[piece] = "y"
    assert Vault(tmp_path, backend=lambda: keyring).read(SITE, "sub") is None


def test_two_homes_two_accounts_two_sites_have_their_own(tmp_path: Path) -> None:
    keyring = Keyring()
    (tmp_path / "other").mkdir()
    one, other = Vault(tmp_path, backend=lambda: keyring), Vault(tmp_path / "other", backend=lambda: keyring)
    one.store(SITE, "sub", "1")
    one.store(SITE, "sub2", "2")
    one.store("https://b.example.com", "sub", "3")
    assert other.read(SITE, "sub") is None
    assert len(keyring.kept) == 3


def test_a_locked_keyring_that_blocks_is_given_up_once(tmp_path: Path) -> None:
    keyring = Blocking()
    vault = Vault(tmp_path, backend=lambda: keyring, timeout=0.1)
    began = time.monotonic()
    assert vault.store(SITE, "sub", "secret") is False
    assert vault.read(SITE, "sub") == "secret", "memory has it"
    vault.store(SITE, "sub", "newer")
    assert time.monotonic() - began < 1
    assert vault.remembered is False
    assert keyring.calls == 1


@pytest.mark.parametrize("keyring", [Missing(), Forgetful()])
def test_without_a_keyring_the_secret_lives_in_memory_and_it_says_so(tmp_path: Path, keyring: Keyring) -> None:
    vault = Vault(tmp_path, backend=lambda: keyring)
    assert vault.store(SITE, "sub", "secret") is False
    assert vault.remembered is False
    assert vault.read(SITE, "sub") == "secret"
    assert Vault(tmp_path, backend=lambda: keyring).read(SITE, "sub") is None


def test_a_backend_that_cannot_even_be_found_is_survived(tmp_path: Path) -> None:
    def broken() -> Keyring:
        raise RuntimeError("InitError")

    assert Vault(tmp_path, backend=broken).store(SITE, "sub", "s") is False


def test_an_unlocked_keyring_is_used_again(tmp_path: Path) -> None:
    backends: list[Keyring] = [Missing()]
    vault = Vault(tmp_path, backend=lambda: backends[-1])
    vault.store(SITE, "sub", "s")
    backends.append(Keyring())
    vault.try_again()
    assert vault.store(SITE, "sub", "s")
    assert vault.remembered
