"""SRP for real, against the local cloud's own user pool."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from satchel.account import Session, Vault
from satchel.core.errors import NotSignedInError, SignInError
from satchel.core.model import Discovery

EMAIL, PASSWORD = "alice@example.com", "Correct horse 7!"


class Keyring(dict[str, str]):
    def get_password(self, service: str, username: str) -> str | None:
        return self.get(username)

    def set_password(self, service: str, username: str, password: str) -> None:
        self[username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self[username]


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("cloud")
    (folder / "tmp").mkdir()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        **os.environ,
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "TMPDIR": str(folder / "tmp"),
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
    }
    with (folder / "log").open("wb") as log:
        cloud = subprocess.Popen(
            [sys.executable, "-m", "ministack"], env=environment, cwd=folder, stdout=log, stderr=log
        )
    try:
        url = f"http://127.0.0.1:{port}"
        for _ in range(200):
            try:
                urllib.request.urlopen(f"{url}/_ministack/health", timeout=1).close()
                break
            except OSError:
                time.sleep(0.1)
        else:
            pytest.fail((folder / "log").read_text()[-2000:])
        yield url
    finally:
        cloud.terminate()
        cloud.wait(10)


@pytest.fixture
def admin(endpoint: str) -> Any:
    return boto3.client(
        "cognito-idp",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


@pytest.fixture(params=[True, False], ids=["rotating", "not rotating"])
def site(request: pytest.FixtureRequest, endpoint: str, admin: Any) -> Discovery:
    pool = admin.create_user_pool(PoolName="satchel", UsernameAttributes=["email"])["UserPool"]["Id"]
    rotation = {"RefreshTokenRotation": {"Feature": "ENABLED", "RetryGracePeriodSeconds": 30}} if request.param else {}
    flows = ["ALLOW_USER_SRP_AUTH"] + ([] if request.param else ["ALLOW_REFRESH_TOKEN_AUTH"])
    client = admin.create_user_pool_client(UserPoolId=pool, ClientName="app", ExplicitAuthFlows=flows, **rotation)
    admin.admin_create_user(
        UserPoolId=pool,
        Username=EMAIL,
        TemporaryPassword="Temporary 1!",
        MessageAction="SUPPRESS",
        UserAttributes=[{"Name": "email", "Value": EMAIL}, {"Name": "email_verified", "Value": "true"}],
    )
    client_id = client["UserPoolClient"]["ClientId"]
    return Discovery(1, "0", "https://files.example.com", "us-east-1", pool, client_id, endpoint)


@pytest.fixture
def keyring() -> Keyring:
    return Keyring()


@pytest.fixture
def session(tmp_path: Path, keyring: Keyring) -> Session:
    return Session(tmp_path, Vault(tmp_path, backend=lambda: keyring))


@pytest.fixture
def settled(site: Discovery, admin: Any) -> Discovery:
    admin.admin_set_user_password(UserPoolId=site.user_pool_id, Username=EMAIL, Password=PASSWORD, Permanent=True)
    return site


def test_an_invited_person_sets_a_password_and_is_signed_in(site: Discovery, session: Session) -> None:
    assert session.sign_in(site, EMAIL, "Temporary 1!") == "new_password_required"
    assert session.sign_in(site, EMAIL, "Temporary 1!", PASSWORD) == "signed_in"
    assert session.account is not None
    assert session.account.sub
    session.sign_out()
    assert session.sign_in(site, EMAIL, PASSWORD) == "signed_in"


def test_a_wrong_password_and_an_unknown_person_look_alike(settled: Discovery, session: Session) -> None:
    for email, password in ((EMAIL, "Wrong 1!"), ("nobody@example.com", PASSWORD)):
        with pytest.raises(SignInError, match="Wrong email or password"):
            session.sign_in(settled, email, password)


def test_a_session_is_renewed_again_and_again_and_after_a_restart(
    settled: Discovery, session: Session, tmp_path: Path, keyring: Keyring
) -> None:
    session.sign_in(settled, EMAIL, PASSWORD)
    first = session.access_token()
    second = session.force_refresh(first)
    third = session.force_refresh(second)
    assert len({first, second, third}) == 3
    again = Session(tmp_path, Vault(tmp_path, backend=lambda: keyring))
    assert again.restore() is not None
    assert again.access_token()


def test_the_session_of_an_account_that_was_deleted_has_ended(settled: Discovery, session: Session, admin: Any) -> None:
    session.sign_in(settled, EMAIL, PASSWORD)
    admin.admin_delete_user(UserPoolId=settled.user_pool_id, Username=EMAIL)
    with pytest.raises(NotSignedInError):
        session.force_refresh()


def test_signing_out_revokes_the_refresh_token(settled: Discovery, session: Session, keyring: Keyring) -> None:
    session.sign_in(settled, EMAIL, PASSWORD)
    (secret,) = keyring.values()
    session.sign_out()
    assert not keyring
    keyring["stolen"] = secret
    from satchel.account import cognito
    from satchel.core.ports import SystemClock

    with pytest.raises(NotSignedInError):
        cognito.refresh(settled, secret, SystemClock())
