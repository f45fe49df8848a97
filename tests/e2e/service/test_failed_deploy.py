"""A deployment that fails on the way: what is said, what goes on serving, and that the next one succeeds."""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import botocore.exceptions
import pytest

from e2e.cloud_fixture import LocalCloud, Reply
from satchel.hosting import deploy, stack
from satchel.hosting.package import Payload, payload
from satchel.hosting.process import HostingError

PLAIN = {"RequireTls": "false"}


@dataclass(frozen=True)
class Served:
    """A deployment beside the others, with a folder in it that a link leads to."""

    name: str
    cloud: LocalCloud
    secret: dict[str, str]
    token: str

    def link(self) -> Reply:
        return self.cloud.request("GET", f"/p/{self.token}", headers=self.secret)

    def setting(self, name: str) -> str:
        live = self.cloud.aws.client("lambda").get_function(FunctionName=f"{self.name}-api", Qualifier="live")
        return str(live["Configuration"]["Environment"]["Variables"][name])


@pytest.fixture
def served(cloud: LocalCloud) -> Iterator[Served]:
    name = f"Failing-{secrets.token_hex(3)}"
    try:
        made = deploy.deploy(name, aws=cloud.aws, parameters=PLAIN)
        functions = cloud.aws.client("lambda")
        environment = functions.get_function(FunctionName=f"{name}-public")["Configuration"]["Environment"]
        secret = {"x-satchel-origin": environment["Variables"]["ORIGIN_SECRET"]}
        gateway = f"{cloud.endpoint}/_aws/execute-api/{made.outputs['ApiId']}"
        own = replace(cloud, site=gateway, outputs=made.outputs)
        token = secrets.token_urlsafe(16)
        folder = {"node_id": secrets.token_hex(16), "parent_id": "root", "name": "Kept", "link": {"token": token}}
        access = own.tokens(*own.new_user())["AccessToken"]
        assert own.request("POST", "/v1/folders", {"folders": [folder]}, token=access, headers=secret).status == 200
        yield Served(name, own, secret, token)
    finally:
        with contextlib.suppress(HostingError):
            deploy.destroy(name, aws=cloud.aws, erase=name)


def spoilt(folder: Path) -> Payload:
    """Code that serves nobody, and an alarm that cannot be: the last of the parts fails, when all others are done."""
    sent = payload()
    code, templates = folder / "satchel_cloud", folder / "cfn"
    shutil.copytree(sent.code, code, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(sent.templates, templates)
    (code / "handlers" / "public.py").write_text("raise RuntimeError('nobody is served by this')\n")
    watch = templates / "watch.yaml"
    watch.write_text(watch.read_text().replace("Threshold: ", "Threshold: many"))
    return replace(sent, code=code, templates=templates)


def test_a_failed_update_names_what_failed_first_and_the_old_version_keeps_serving(
    served: Served, tmp_path: Path
) -> None:
    lines: list[str] = []
    changed = {"QuotaBytes": "777"}

    with pytest.raises(HostingError, match=r"failed at \w+.*many.*version from before keeps serving") as failed:
        deploy.deploy(served.name, aws=served.cloud.aws, parameters=changed, sent=spoilt(tmp_path), report=lines.append)

    resource = str(failed.value).split("failed at ")[1].split(".")[0]
    assert any(line.startswith(f"update failed: {resource} (AWS::CloudWatch::Alarm)") for line in lines)
    assert any(line.startswith("update complete: PublicFunction") for line in lines)  # it had been the new one
    assert served.link().status == 200
    assert served.setting("QUOTA_BYTES") == "0"

    deploy.deploy(served.name, aws=served.cloud.aws, parameters=changed)
    assert served.link().status == 200
    assert served.setting("QUOTA_BYTES") == "777"


def test_a_session_that_ends_on_the_way_says_so_and_the_next_attempt_goes_on(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(*_: object) -> None:
        error = {"Error": {"Code": "ExpiredToken", "Message": "The security token included in the request is expired"}}
        raise botocore.exceptions.ClientError(error, "DescribeStacks")

    changed = {"QuotaBytes": "888"}
    with monkeypatch.context() as cut:
        cut.setattr(stack, "_wait", ended)
        with pytest.raises(HostingError, match=r"session has ended.*aws sso login.*once more"):
            deploy.deploy(served.name, aws=served.cloud.aws, parameters=changed)

    deploy.deploy(served.name, aws=served.cloud.aws, parameters=changed)
    assert served.link().status == 200
    assert served.setting("QUOTA_BYTES") == "888"
