from __future__ import annotations

import base64
import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from satchel.account import Session, Vault, cognito
from satchel.account.cognito import NewPasswordRequired, Tokens
from satchel.core.errors import BusyError, NotSignedInError, OfflineError, SignInError
from satchel.core.model import Discovery


class Cognito:
    """The JSON endpoint: refresh tokens rotate, each is good once."""

    def __init__(self) -> None:
        self.good = {"first"}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.rotates, self.knows_rotation, self.status, self.delay = True, True, 200, 0.0
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                target = self.headers["x-amz-target"].rpartition(".")[2]
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                fake.asked.append((target, body))
                time.sleep(fake.delay)
                status, answer = fake.answer(target, body)
                content = json.dumps(answer).encode()
                self.send_response_only(status)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, target: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if self.status != 200:
            return self.status, {}
        if target == "RevokeToken":
            self.good.discard(body["Token"])
            return 200, {}
        if target == "GetTokensFromRefreshToken" and not self.knows_rotation:
            return 400, {"__type": "UnknownOperationException"}
        token = body.get("RefreshToken") or body["AuthParameters"]["REFRESH_TOKEN"]
        if token not in self.good:
            return 400, {"__type": "com.amazonaws#NotAuthorizedException", "message": "Refresh Token has been revoked"}
        result: dict[str, Any] = {"AccessToken": jwt(len(self.asked)), "ExpiresIn": 900}
        if self.rotates:
            self.good = {f"after-{token}"}
            result["RefreshToken"] = f"after-{token}"
        return 200, {"AuthenticationResult": result}


class Clock:
    def __init__(self) -> None:
        self.ms = 1_000_000

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000

    def sleep(self, seconds: float) -> None:
        self.ms += int(seconds * 1000)


class Keyring:
    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        return self.kept.get(username)

    def set_password(self, service: str, username: str, password: str) -> None:
        self.kept[username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.kept[username]


class World:
    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.home, self.cognito, self.clock, self.keyring = home, Cognito(), Clock(), Keyring()
        self.discovery = Discovery(1, "0", "https://files.example.com", "r", "r_p", "c", self.cognito.url)
        self.passwords: list[str] = []
        # SRP itself is tested against the local cloud.
        monkeypatch.setattr(cognito, "sign_in", self.srp)

    def srp(self, discovery: Discovery, email: str, password: str, new: str | None, clock: Any) -> Tokens:
        self.passwords.append(password)
        if password == "temporary" and new is None:
            raise NewPasswordRequired
        if password == "wrong":
            raise SignInError("Wrong email or password")
        self.cognito.good = {"first"}
        return Tokens(jwt(0), clock.now_ms() + 900_000, "first")

    def session(self) -> Session:
        return Session(self.home, Vault(self.home, backend=lambda: self.keyring), self.clock)

    def signed_in(self) -> Session:
        made = self.session()
        made.sign_in(self.discovery, "alice@example.com", "pw")
        return made


def jwt(number: int, sub: str = "alice-sub") -> str:
    body = base64.urlsafe_b64encode(json.dumps({"sub": sub, "n": number}).encode()).rstrip(b"=").decode()
    return f"h.{body}.s"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.delenv("SATCHEL_PASSWORD_FILE", raising=False)
    made = World(tmp_path, monkeypatch)
    yield made
    made.cognito.server.shutdown()
    made.cognito.server.server_close()


def test_a_good_token_is_used_until_a_minute_before_its_end(world: World) -> None:
    session = world.signed_in()
    world.clock.ms += 839_000
    assert session.access_token() == jwt(0)
    world.clock.ms += 2_000
    assert session.access_token() == jwt(1)
    assert len(world.cognito.asked) == 1


def test_many_who_ask_at_once_cause_one_refresh(world: World) -> None:
    session = world.signed_in()
    world.clock.ms += 900_000
    world.cognito.delay = 0.1
    with ThreadPoolExecutor(8) as pool:
        tokens = list(pool.map(lambda _: session.access_token(), range(8)))
    assert set(tokens) == {jwt(1)}
    with ThreadPoolExecutor(8) as pool:
        tokens = list(pool.map(lambda _: session.force_refresh(jwt(1)), range(8)))
    assert set(tokens) == {jwt(2)}


def test_a_new_refresh_token_is_stored_before_the_new_access_token_is_handed_out(world: World) -> None:
    session = world.signed_in()
    assert list(world.keyring.kept.values()) == ["first"]
    seen: list[str | None] = []
    original = world.keyring.set_password

    def watched(service: str, username: str, password: str) -> None:
        seen.append(session._tokens.access_token if session._tokens else None)
        original(service, username, password)

    world.keyring.set_password = watched  # type: ignore[method-assign] # only here
    session.force_refresh()
    assert seen == [jwt(0)]
    assert list(world.keyring.kept.values()) == ["after-first"]


def test_a_session_survives_the_process_and_needs_no_network_to(world: World) -> None:
    world.signed_in()
    again = world.session()
    restored = again.restore()
    assert restored is not None
    assert (restored.email, restored.sub, restored.site) == (
        "alice@example.com",
        "alice-sub",
        "https://files.example.com",
    )
    assert world.cognito.asked == []
    again.access_token()
    assert "first" not in (world.home / "account.json").read_text()
    assert (world.home / "account.json").stat().st_mode & 0o077 == 0


def test_without_a_keyring_the_session_ends_with_the_process(world: World) -> None:
    world.signed_in()
    world.keyring.kept.clear()
    assert world.session().restore() is None


def test_a_pool_that_does_not_rotate_is_refreshed_the_old_way(world: World) -> None:
    world.cognito.knows_rotation = world.cognito.rotates = False
    session = world.signed_in()
    session.force_refresh()
    session.force_refresh()
    assert [target for target, _ in world.cognito.asked][:2] == ["GetTokensFromRefreshToken", "InitiateAuth"]
    assert list(world.keyring.kept.values()) == ["first"]


def test_a_refused_refresh_ends_the_session(world: World) -> None:
    session = world.signed_in()
    world.cognito.good.clear()
    with pytest.raises(NotSignedInError):
        session.force_refresh()


def test_a_service_that_is_away_keeps_the_session(world: World) -> None:
    session = world.signed_in()
    world.cognito.status = 503
    with pytest.raises(BusyError):
        session.force_refresh()
    world.cognito.status = 200
    assert session.force_refresh()


def test_no_network_keeps_the_session(world: World) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{free.getsockname()[1]}"
    session = world.session()
    session.sign_in(Discovery(1, "0", "https://x.example.com", "r", "r_p", "c", closed), "alice@example.com", "pw")
    with pytest.raises(OfflineError):
        session.force_refresh()
    assert session.account is not None


def test_signing_out_revokes_and_forgets(world: World) -> None:
    session = world.signed_in()
    session.sign_out()
    assert world.cognito.asked == [("RevokeToken", {"ClientId": "c", "Token": "first"})]
    assert world.keyring.kept == {}
    assert world.session().restore() is None
    with pytest.raises(NotSignedInError, match="Nobody"):
        session.access_token()


def test_signing_out_works_offline(world: World) -> None:
    session = world.signed_in()
    world.cognito.status = 500
    session.sign_out()
    assert session.account is None


def test_a_first_password_must_be_replaced(world: World) -> None:
    session = world.session()
    assert session.sign_in(world.discovery, "alice@example.com", "temporary") == "new_password_required"
    assert session.account is None
    assert session.sign_in(world.discovery, "alice@example.com", "temporary", "better") == "signed_in"


def test_a_wrong_password_leaves_the_session_that_was(world: World) -> None:
    session = world.signed_in()
    with pytest.raises(SignInError):
        session.sign_in(world.discovery, "bob@example.com", "wrong")
    assert session.account is not None
    assert session.account.email == "alice@example.com"


def test_unattended_use_signs_in_again_when_the_session_has_ended(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.signed_in()
    world.keyring.kept.clear()
    (tmp_path / "pw").write_text("from the file\n")
    monkeypatch.setenv("SATCHEL_PASSWORD_FILE", str(tmp_path / "pw"))
    session = world.session()
    assert session.restore() is not None
    assert session.access_token() == jwt(0)
    assert world.passwords[-1] == "from the file"
    (tmp_path / "pw").write_text("wrong")
    world.cognito.good.clear()
    with pytest.raises(NotSignedInError, match="SATCHEL_PASSWORD_FILE"):
        session.force_refresh()


def test_unattended_use_stops_when_the_address_belongs_to_another_account_now(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.signed_in()
    world.keyring.kept.clear()
    (tmp_path / "pw").write_text("from the file\n")
    monkeypatch.setenv("SATCHEL_PASSWORD_FILE", str(tmp_path / "pw"))
    session = world.session()
    session.restore()
    monkeypatch.setattr(cognito, "sign_in", lambda *_: Tokens(jwt(0, "another-sub"), 10**15, "theirs"))
    with pytest.raises(NotSignedInError, match="Another account"):
        session.access_token()


def test_importing_the_room_loads_nothing_slow() -> None:
    code = "import sys, satchel.account, satchel.cloud; print({'boto3', 'pycognito', 'keyring'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "set()"
