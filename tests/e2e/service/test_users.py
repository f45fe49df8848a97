from __future__ import annotations

import io
import json
import secrets
import uuid
from pathlib import Path
from typing import Any

import pytest

from e2e.cloud_fixture import LocalCloud, Reply
from satchel.cli import main
from satchel.hosting import local, users
from satchel.hosting.process import HostingError
from satchel.hosting.users import Directory

PASSWORD = "Lasting-password-1"


@pytest.fixture
def directory(cloud: LocalCloud) -> Directory:
    return Directory.of(local.STACK, cloud.aws, cloud.site)


class Administrator:
    """Types `satchel user ...` at the local cloud."""

    def __init__(self, cloud: LocalCloud, capsys: pytest.CaptureFixture[str]) -> None:
        self.where = ["--local", "--state", str(cloud.state)]
        self._capsys = capsys

    def types(self, *words: str, code: int = 0) -> str:
        action, *rest = words
        assert main(["user", action, *self.where, *rest]) == code
        said = self._capsys.readouterr()
        return said.out if code == 0 else said.err

    def forget(self) -> None:
        """What was printed so far."""
        self._capsys.readouterr()

    def documents(self, *words: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.types(*words, "--json").splitlines()]


@pytest.fixture
def administrator(cloud: LocalCloud, capsys: pytest.CaptureFixture[str]) -> Administrator:
    return Administrator(cloud, capsys)


def test_an_account_is_made_with_a_quota_before_its_first_request(cloud: LocalCloud, directory: Directory) -> None:
    added = users.add(directory, "quota-first@example.com", password=PASSWORD, quota_bytes=1000)

    token = cloud.tokens(added.email, PASSWORD)["AccessToken"]
    account = cloud.request("GET", "/v1/account", token=token)
    assert account.status == 200
    assert account.json() == {
        "account_id": added.account_id, "status": "active", "used_bytes": 0, "sequence": 0, "quota_bytes": 1000,
    }  # fmt: skip


def test_a_row_made_here_is_like_the_services_own(cloud: LocalCloud, directory: Directory) -> None:
    email, password = cloud.new_user()
    cloud.request("GET", "/v1/account", token=cloud.tokens(email, password)["AccessToken"])
    added = users.add(directory, "same-row@example.com", password=PASSWORD, quota_bytes=5)

    theirs, ours = head(cloud, cloud.sub(email)), head(cloud, added.account_id)
    assert {name: list(value) for name, value in theirs.items()} == {
        name: list(value) for name, value in ours.items() if name != "quota_bytes"
    }


def test_a_temporary_password_is_printed_where_no_mail_goes(
    cloud: LocalCloud, administrator: Administrator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [added] = administrator.documents("add", "--email", "invited@example.com")
    assert added["site"] == cloud.site
    assert added["invited_by_mail"] is False
    [before] = [one for one in administrator.documents("list") if one["email"] == "invited@example.com"]
    assert before["status"] == "invited"

    monkeypatch.setenv("SATCHEL_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{added['temporary_password']}\n{PASSWORD}\n"))
    assert main(["login", cloud.site, "--email", "invited@example.com", "--password-stdin"]) == 0
    administrator.forget()

    [after] = [one for one in administrator.documents("list") if one["email"] == "invited@example.com"]
    assert after["status"] == "active"


def test_a_lost_invitation_is_made_again(cloud: LocalCloud, administrator: Administrator) -> None:
    [first] = administrator.documents("add", "--email", "again@example.com")
    assert "--again" in administrator.types("add", "--email", "again@example.com", code=1)

    [second] = administrator.documents("add", "--email", "again@example.com", "--again")

    assert second["account_id"] == first["account_id"]
    assert second["temporary_password"] != first["temporary_password"]
    email, _ = cloud.new_user()
    assert "not signed in yet" in administrator.types("add", "--email", email, "--again", code=1)


def test_the_invitation_says_what_it_is_for(cloud: LocalCloud) -> None:
    pool = cloud.aws.client("cognito-idp").describe_user_pool(UserPoolId=cloud.user_pool_id)["UserPool"]
    invitation = pool["AdminCreateUserConfig"]["InviteMessageTemplate"]

    assert "Satchel" in invitation["EmailSubject"]
    assert {"{username}", "{####}"} <= set(invitation["EmailMessage"].replace(",", "").split())


@pytest.mark.parametrize("address", ["alice", "alice@", "@example.com", "a b@example.com", "alice@example", "é@a.org"])
def test_a_bad_address_is_refused(administrator: Administrator, address: str) -> None:
    assert "is no e-mail address" in administrator.types("add", "--email", address, code=1)


def test_a_password_that_is_too_simple_is_refused(directory: Directory) -> None:
    with pytest.raises(HostingError, match="too simple"):
        users.add(directory, "simple@example.com", password="simple")


def test_a_domain_that_is_not_allowed_is_refused(directory: Directory) -> None:
    narrow = Directory(directory.aws, directory.pool, directory.table, directory.site, ("example.org",))

    with pytest.raises(HostingError, match=r"AllowedDomains=example\.org,example\.com"):
        users.add(narrow, "alice@example.com")


def test_a_disabled_users_valid_token_is_refused_at_once(cloud: LocalCloud, administrator: Administrator) -> None:
    email, password = cloud.new_user()
    tokens = cloud.tokens(email, password)
    token = tokens["AccessToken"]
    token_of_link = secrets.token_urlsafe(16)
    assert make_folder(cloud, token, token_of_link).status == 200
    assert cloud.request("GET", f"/p/{token_of_link}").status == 200

    assert "disabled" in administrator.types("disable", "--email", email)

    refused = make_folder(cloud, token)
    assert (refused.status, refused.json()["type"].rsplit(":", 1)[-1]) == (403, "account-disabled")
    assert cloud.request("GET", f"/p/{token_of_link}").status == 403
    with pytest.raises(Exception, match="disabled"):
        cloud.tokens(email, password)
    with pytest.raises(Exception, match=r"(?i)revoked|invalid|disabled"):
        refresh(cloud, tokens["RefreshToken"])

    assert "active" in administrator.types("enable", "--email", email)
    again = cloud.tokens(email, password)["AccessToken"]
    assert make_folder(cloud, again).status == 200
    assert cloud.request("GET", f"/p/{token_of_link}").status == 200


def test_a_quota_is_given_and_taken_away(cloud: LocalCloud, administrator: Administrator) -> None:
    email, password = cloud.new_user()
    token = cloud.tokens(email, password)["AccessToken"]

    administrator.types("quota", "--email", email, "1kB")
    assert cloud.request("GET", "/v1/account", token=token).json()["quota_bytes"] == 1000
    assert administrator.documents("quota", "--email", email, "none")[0]["quota_bytes"] == 0
    assert administrator.documents("quota", "--email", email, "default")[0]["quota_bytes"] is None
    assert "quota_bytes" not in cloud.request("GET", "/v1/account", token=token).json()


def test_the_list_is_read_page_by_page(
    cloud: LocalCloud, directory: Directory, administrator: Administrator, monkeypatch: pytest.MonkeyPatch
) -> None:
    email, password = cloud.new_user()
    token = cloud.tokens(email, password)["AccessToken"]
    make_folder(cloud, token)
    others = {cloud.new_user()[0] for _ in range(4)}
    monkeypatch.setattr(users, "_PAGE", 2)

    listed = list(users.everyone(directory))

    assert len({one.email for one in listed}) == len(listed)
    assert {email, *others} <= {one.email for one in listed}
    [mine] = [one for one in listed if one.email == email]
    assert mine.last_change_ms is not None
    assert email in administrator.types("list")


def test_somebody_unknown_is_named(administrator: Administrator) -> None:
    assert "nobody@example.com" in administrator.types("disable", "--email", "nobody@example.com", code=1)


def test_a_stack_that_is_not_there_is_named(cloud: LocalCloud) -> None:
    with pytest.raises(HostingError, match="no stack called"):
        Directory.of("Nothing", cloud.aws)


def make_folder(cloud: LocalCloud, token: str, link: str | None = None) -> Reply:
    intent: dict[str, Any] = {"node_id": uuid.uuid4().hex, "parent_id": "root", "name": secrets.token_hex(8)}
    intent |= {"link": {"token": link}} if link else {}
    return cloud.request("POST", "/v1/folders", {"folders": [intent]}, token=token)


def head(cloud: LocalCloud, account: str) -> dict[str, Any]:
    key = {"PK": {"S": f"A#{account}"}, "SK": {"S": "HEAD"}}
    item = cloud.aws.client("dynamodb").get_item(TableName=cloud.table, Key=key)["Item"]
    return dict(sorted(item.items()))


def refresh(cloud: LocalCloud, token: str) -> None:
    client = cloud.aws.client("cognito-idp")
    client.get_tokens_from_refresh_token(ClientId=cloud.client_id, RefreshToken=token)
