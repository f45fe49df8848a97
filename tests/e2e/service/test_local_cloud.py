"""`satchel local up|down|status`, on a state folder of its own."""

from __future__ import annotations

import os
import signal
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.cloud_fixture import wait_until
from satchel.core.errors import UsageError
from satchel.hosting import local, mends


@dataclass
class Own:
    state: Path
    status: local.LocalStatus

    def put(self, key: str) -> None:
        bucket = local.outputs(self.state)["ContentBucket"]
        local.administrator(self.state).client("s3").put_object(Bucket=bucket, Key=key, Body=key.encode())

    def get(self, key: str) -> bytes:
        bucket = local.outputs(self.state)["ContentBucket"]
        s3 = local.administrator(self.state).client("s3")
        return bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    def users(self) -> list[str]:
        pool = local.outputs(self.state)["UserPoolId"]
        found = local.administrator(self.state).client("cognito-idp").list_users(UserPoolId=pool)["Users"]
        return [
            attribute["Value"] for user in found for attribute in user["Attributes"] if attribute["Name"] == "email"
        ]

    def make_user(self, email: str) -> None:
        pool = local.outputs(self.state)["UserPoolId"]
        local.administrator(self.state).client("cognito-idp").admin_create_user(
            UserPoolId=pool,
            Username=email,
            MessageAction="SUPPRESS",
            UserAttributes=[{"Name": "email", "Value": email}],
        )


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Own]:
    state = tmp_path_factory.mktemp("local")
    try:
        yield Own(state, local.up(state, port=local.free_port()))
    finally:
        local.erase(state)


def test_up_again_is_quick_and_changes_nothing(own: Own) -> None:
    lines: list[str] = []
    began = time.monotonic()

    again = local.up(own.state, report=lines.append)

    assert again == own.status
    assert lines == [f"the site is at {own.status.site}"]
    assert time.monotonic() - began < 5


def test_what_was_kept_survives_down_and_up(own: Own) -> None:
    own.put("c/somebody/something")
    own.make_user("alice@example.com")

    assert local.down(own.state)
    assert not local.status(own.state).running
    assert local.status(own.state).cloud_pid is None
    back = local.up(own.state)

    assert back.running
    assert (back.site, back.user_pool_id) == (own.status.site, own.status.user_pool_id)
    assert own.get("c/somebody/something") == b"c/somebody/something"
    assert own.users() == ["alice@example.com"]


def test_down_twice_is_no_error(own: Own) -> None:
    local.down(own.state)

    assert not local.down(own.state)

    local.up(own.state)


def test_a_hard_end_loses_little(own: Own) -> None:
    """The state is saved as it goes, and not only at a clean end."""
    own.put("c/somebody/before-the-end")
    saved = own.state / "state" / "cognito.json"
    asked = time.time()
    own.make_user("bob@example.com")
    wait_until(lambda: saved.exists() and saved.stat().st_mtime > asked + 1, seconds=3 * mends.SAVE_SECONDS)
    pid = local.status(own.state).cloud_pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: local.status(own.state).cloud_pid is None)
    assert not local.status(own.state).running

    assert local.up(own.state).running

    assert "bob@example.com" in own.users()
    assert own.get("c/somebody/before-the-end") == b"c/somebody/before-the-end"


def test_a_port_that_is_taken_is_said_and_nothing_is_started(tmp_path: Path) -> None:
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", 0))
        squatter.listen()

        with pytest.raises(UsageError, match="taken by another program"):
            local.up(tmp_path, port=squatter.getsockname()[1])

    assert not local.status(tmp_path).running
    assert local.status(tmp_path).cloud_pid is None


def test_nothing_listens_beyond_this_machine(own: Own) -> None:
    assert own.status.endpoint is not None
    port = int(own.status.endpoint.rsplit(":", 1)[1])
    listening = {
        line.split()[1]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[3] == "0A" and line.split()[1].endswith(f":{port:04X}")
    }

    assert listening == {f"0100007F:{port:04X}"}


@pytest.mark.parametrize("key", ["test", "000000000000", "AKIAIOSFODNN7EXAMPLE"])
def test_others_on_this_machine_get_in_only_with_the_key(own: Own, key: str) -> None:
    import boto3
    import botocore.exceptions

    stranger = boto3.client(
        "s3",
        endpoint_url=own.status.endpoint,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key="test",
    )

    with pytest.raises(botocore.exceptions.ClientError):
        stranger.list_buckets()
    assert (own.state / "local.json").stat().st_mode & 0o077 == 0
    assert (own.state / "edge.json").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("path", "host"), [("/_ministack/reset", None), ("/_ministack/config", None), ("/", "rebound.example.com")]
)
def test_a_page_in_a_browser_cannot_reach_the_clouds_own_switches(own: Own, path: str, host: str | None) -> None:
    assert own.status.endpoint is not None
    request = urllib.request.Request(own.status.endpoint + path, data=b"{}", method="POST")
    if host:
        request.add_header("Host", host)

    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)

    assert refused.value.code == 403
    assert local.status(own.state).running
