from __future__ import annotations

import os
import subprocess
import sys

import botocore.exceptions
import pytest

from satchel.hosting import artifacts, deploy, stack
from satchel.hosting.aws import Aws, explained
from satchel.hosting.process import HostingError
from unit.hosting.scripted import Scripted


@pytest.fixture(autouse=True)
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which nobody has set up AWS."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def test_without_credentials_the_way_to_get_them_is_named() -> None:
    with pytest.raises(HostingError, match="aws configure"):
        deploy.deploy("Satchel", region="eu-central-1")


def test_without_a_region_one_is_asked_for() -> None:
    with pytest.raises(HostingError, match="--region"):
        deploy.deploy("Satchel")


def test_a_profile_that_is_not_there_is_named() -> None:
    with pytest.raises(HostingError, match="nobody-has-this"):
        deploy.destroy("Satchel", profile="nobody-has-this")


@pytest.mark.parametrize("name", ["", "9lives", "with space", "x" * 41, "under_score"])
def test_a_name_that_no_stack_can_have_is_refused(name: str) -> None:
    with pytest.raises(HostingError, match="cannot be called"):
        stack.check_name(name)


def test_a_local_cloud_is_not_stopped_by_what_the_user_set_for_aws(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody-has-this")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example.com:3128")

    local = Aws(region="us-east-1", endpoint="http://127.0.0.1:1", key=("key", "secret"))

    assert local.client("s3").meta.endpoint_url == "http://127.0.0.1:1"


def test_artifacts_have_a_bucket_that_is_found_again_and_fits_a_buckets_name() -> None:
    aws = Aws(region="ap-southeast-2", key=("key", "secret"))
    aws.__dict__["account"] = "123456789012"

    name = artifacts.bucket_of(aws, "x" * 40)

    assert name == artifacts.bucket_of(aws, "x" * 40)
    assert name != artifacts.bucket_of(aws, "y" * 40)
    assert len(name) <= 63
    assert artifacts.address(aws, "b") == "https://b.s3.ap-southeast-2.amazonaws.com"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (botocore.exceptions.UnauthorizedSSOTokenError(), "aws sso login"),
        (botocore.exceptions.TokenRetrievalError(provider="sso", error_msg="expired"), "aws sso login"),
        (botocore.exceptions.CredentialRetrievalError(provider="process", error_msg="broken"), "aws configure"),
        (botocore.exceptions.EndpointConnectionError(endpoint_url="https://sts"), "cannot be reached"),
    ],
)
def test_what_boto3_raises_is_said_for_people(error: Exception, said: str) -> None:
    with pytest.raises(HostingError, match=said), explained():
        raise error


def test_the_bucket_of_code_and_templates_is_closed_and_takes_no_plain_http() -> None:
    aws = Scripted()
    aws.says("sts", "get_caller_identity", {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:root"})
    aws.says("s3", "head_bucket", "404")
    for call in ("create_bucket", "put_public_access_block", "put_bucket_policy"):
        aws.says("s3", call, {})

    artifacts.ensure(aws, "artifacts")

    assert all(aws.was_asked("put_public_access_block")[0]["PublicAccessBlockConfiguration"].values())
    assert '"aws:SecureTransport": "false"' in aws.was_asked("put_bucket_policy")[0]["Policy"]


def test_importing_hosting_loads_neither_boto3_nor_ministack() -> None:
    code = (
        "import sys, satchel.hosting.local, satchel.hosting.deploy, satchel.hosting.demo;"
        "print([name for name in ('boto3', 'botocore', 'ministack', 'yaml') if name in sys.modules])"
    )

    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ended.stdout.strip() == "[]"
