"""The last release, deployed by its own code and used by its own client, becomes this one: with all that it kept."""

from __future__ import annotations

import base64
import io
import json
import os
import secrets
import subprocess
import sys
import tarfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from awscrt import checksums

import satchel
from e2e.client import Client, fetched_sha256, random_file
from e2e.cloud_fixture import PARAMETERS, LocalCloud
from satchel.hosting import local, stack, users

CHECKOUT = Path(__file__).parents[3]
LASTING = {
    "AWS::S3::Bucket",
    "AWS::DynamoDB::Table",
    "AWS::Cognito::UserPool",
    "AWS::Cognito::UserPoolClient",
    "AWS::CloudFront::Distribution",
}
"""What keeps something, or is in links and sign-ins that are out there: never to be replaced."""

DEPLOY = """
import sys
from pathlib import Path
import satchel
from satchel.hosting import local
assert Path(satchel.__file__).is_relative_to(sys.argv[1]), satchel.__file__
local._renew = lambda *_: None  # the emulated cloud belongs to no release: it runs already
local.up(Path(sys.argv[2]), parameters={parameters!r})
"""


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkout of the last release, out of the history of this one."""
    last = last_release()
    if not (CHECKOUT / ".git").exists():
        pytest.skip("without a git history there is no earlier release")
    archive = ["git", "-C", str(CHECKOUT), "archive", last["commit"], "desktop", "backend", "cfn"]
    packed = subprocess.run(archive, capture_output=True, check=False)
    if packed.returncode != 0:
        pytest.fail(f"the commit of release {last['version']} is missing: run `git fetch --unshallow`", pytrace=False)
    folder = tmp_path_factory.mktemp("release")
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as tar:
        tar.extractall(folder, filter="data")
    return folder


def last_release() -> dict[str, str]:
    """Its version, commit and date."""
    return dict(json.loads((CHECKOUT / "releases.json").read_text())[-1])


class OldClient(Client):
    """A client of that release: its code lies beside its home."""

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {"PYTHONPATH": str(self.home.parent / "release")}


@dataclass(frozen=True)
class Kept:
    """What people had when the upgrade came."""

    cloud: LocalCloud
    client: Client
    digests: dict[str, str]
    links: dict[str, str]
    opened: dict[str, Any]
    content: bytes
    lasting: dict[tuple[str, str], str]
    version: str


@pytest.fixture(scope="module")
def kept(release: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    """A cloud of its own, on which the last release was deployed and used, and then this one was deployed."""
    state, people = tmp_path_factory.mktemp("cloud"), tmp_path_factory.mktemp("people")
    try:
        local._started(state, local.free_port(), print)
        script = DEPLOY.format(parameters=local._LOCAL_PARAMETERS | PARAMETERS)
        subprocess.run(
            [sys.executable, "-c", script, str(release), str(state)],
            env=os.environ | {"PYTHONPATH": str(release / "desktop")},
            check=True,
        )
        cloud = standing(state)
        (people / "release").symlink_to(release / "desktop")
        before = use(cloud, people)
        with pytest.MonkeyPatch.context() as patch:
            renew = local._renew
            patch.setattr(local, "_renew", lambda one, *more: None if one.name == "cloud" else renew(one, *more))
            local.up(state, parameters=PARAMETERS)
        yield before
    finally:
        local.erase(state)


def standing(state: Path) -> LocalCloud:
    status = local.status(state)
    assert status.site is not None
    assert status.endpoint is not None
    return LocalCloud(
        state, status.site, status.endpoint, status.region, local.outputs(state), local.administrator(state)
    )


def use(cloud: LocalCloud, people: Path) -> Kept:
    """Files and links by the old client, an upload of which one part was sent."""
    email, password = cloud.new_user(quota=10**9)
    old = OldClient(people / "home", cloud.site, email, password)
    old.sign_in()
    digests = {name: random_file(people / name, size) for name, size in (("small.bin", 70_000), ("big.bin", 20 << 20))}
    links = {name: old.cli("put", str(people / name), "--link").stdout.strip() for name in digests}
    token = cloud.tokens(email, password)["AccessToken"]
    content = secrets.token_bytes(20 << 20)
    intent = {"upload_id": secrets.token_hex(16), "node_id": secrets.token_hex(16), "parent_id": "root"}
    intent |= {"name": "open.bin", "size": len(content), "modified_ms": 1_700_000_000_000}
    opened = ask(cloud, token, "/v1/uploads", {"intents": [intent]})["uploads"][0]
    send_part(cloud, token, opened, content, 1)
    client = Client(old.home, cloud.site, email, password)
    return Kept(cloud, client, digests, links, opened, content, lasting(cloud), version(cloud))


def ask(cloud: LocalCloud, token: str, path: str, body: dict[str, Any]) -> Any:
    reply = cloud.request("POST", path, body, token=token)
    assert reply.status < 300, (path, reply)
    return reply.json()


def send_part(cloud: LocalCloud, token: str, opened: dict[str, Any], content: bytes, number: int) -> None:
    piece = content[(number - 1) * opened["part_size"] : number * opened["part_size"]]
    crc = base64.b64encode(checksums.crc64nvme(piece).to_bytes(8, "big")).decode()
    asked = {"sign": [{"part": number, "crc64nvme": crc}]}
    reply = ask(cloud, token, f"/v1/uploads/{opened['upload_id']}/parts", asked)
    signed = reply["signed"][0]
    url = f"{signed['url']}?{reply['signing_query']}&{signed['query']}"
    headers = signed["headers"] | {"content-type": "application/octet-stream"}
    with urllib.request.urlopen(urllib.request.Request(url, piece, headers, method="PUT"), timeout=60) as sent:
        assert sent.status == 200


def lasting(cloud: LocalCloud) -> dict[tuple[str, str], str]:
    found = stack.resources(cloud.aws, local.STACK)
    return {(one.kind, one.logical_id): one.physical_id for one in found if one.kind in LASTING}


def version(cloud: LocalCloud) -> str:
    """What the site says that it is."""
    return str(cloud.request("GET", "/.well-known/satchel.json").json()["version"])


def test_the_release_became_this_version(kept: Kept) -> None:
    assert kept.version == last_release()["version"]
    assert version(kept.cloud) == satchel.__version__ != kept.version


def test_what_keeps_something_is_the_same_as_before(kept: Kept) -> None:
    assert {kind for kind, _ in kept.lasting} == LASTING
    assert lasting(kept.cloud) == kept.lasting


def test_links_that_were_out_lead_to_the_same_bytes(kept: Kept) -> None:
    for name, link in kept.links.items():
        assert fetched_sha256(kept.cloud, link) == kept.digests[name]


def test_the_new_client_goes_on_in_the_old_ones_home(kept: Kept, tmp_path: Path) -> None:
    assert kept.client.json("whoami")["email"] == kept.client.email
    assert {one["name"] for one in kept.client.json("ls", "/Drops")} == set(kept.digests)
    assert {one["url"] for one in kept.client.json("status")["links"]} == set(kept.links.values())

    digest = random_file(tmp_path / "new.bin", 300_000)
    link = kept.client.cli("put", str(tmp_path / "new.bin"), "--link").stdout.strip()

    assert fetched_sha256(kept.cloud, link) == digest


def test_an_upload_that_was_open_is_finished(kept: Kept, tmp_path: Path) -> None:
    token = kept.cloud.tokens(kept.client.email, kept.client.password)["AccessToken"]
    parts = -(-len(kept.content) // kept.opened["part_size"])
    assert parts > 1

    for number in range(2, parts + 1):
        send_part(kept.cloud, token, kept.opened, kept.content, number)
    ask(kept.cloud, token, "/v1/uploads/complete", {"uploads": [{"upload_id": kept.opened["upload_id"]}]})

    kept.client.cli("get", "/open.bin", "-o", str(tmp_path / "open.bin"))
    assert (tmp_path / "open.bin").read_bytes() == kept.content


def test_accounts_keep_their_use_and_quota(kept: Kept) -> None:
    directory = users.Directory.of(local.STACK, kept.cloud.aws)

    found = users.find(directory, kept.client.email)

    assert (found.status, found.quota_bytes) == ("active", 10**9)
    assert found.used_bytes >= 70_000 + (20 << 20)
