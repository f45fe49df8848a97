from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import satchel
from satchel.hosting import release, site
from satchel.hosting.package import Payload, payload
from satchel.hosting.process import HostingError
from satchel.hosting.report import silent
from unit.hosting.scripted import Scripted

VERSION = satchel.__version__
MADE = {
    "StaticBucket": "static",
    "DistributionId": "E1",
    "Site": "https://files.example.com",
    "UserPoolId": "p",
    "ClientId": "c",
}


def bundle(folder: Path, name: str, content: bytes = b"app") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def aws() -> Scripted:
    """A static bucket in which nothing is, and its distribution."""
    scripted = Scripted()
    scripted.says("s3", "list_objects_v2", {"IsTruncated": False})
    scripted.says("s3", "put_object", {})
    scripted.says("s3", "delete_object", {})
    scripted.says("s3", "head_object", "404")
    scripted.says("cloudfront", "create_invalidation", {})
    return scripted


def invalidated(aws: Scripted) -> list[str]:
    (asked,) = aws.was_asked("create_invalidation")
    assert asked["DistributionId"] == "E1"
    return list(asked["InvalidationBatch"]["Paths"]["Items"])


def test_a_bundle_is_known_by_its_name_and_kept_under_its_content(tmp_path: Path) -> None:
    linux = bundle(tmp_path / "linux", f"Satchel-{VERSION}-linux-x86_64.tar.gz")
    mac = bundle(tmp_path / "mac", f"Satchel-{VERSION}-macos-arm64.dmg")
    bundle(tmp_path / "mac", "notes.txt")

    found = {one.platform: one for one in release.found_bundles([linux, mac])}

    sha256 = hashlib.sha256(b"app").hexdigest()
    assert set(found) == {"linux-x86_64", "macos-arm64"}
    assert found["linux-x86_64"].sha256 == sha256
    assert found["linux-x86_64"].key == f"download/{VERSION}/{sha256[:12]}/Satchel-{VERSION}-linux-x86_64.tar.gz"


def test_a_bundle_of_another_version_is_refused(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "mac", "Satchel-0.0.1-macos-arm64.dmg")

    with pytest.raises(HostingError, match=r"not of this version.*build it from the same commit"):
        list(release.found_bundles([folder]))


def test_two_bundles_for_one_platform_are_refused(tmp_path: Path) -> None:
    folder = bundle(tmp_path / "mac", f"Satchel-{VERSION}-macos-arm64.dmg")
    bundle(folder, f"Satchel-{VERSION}-macos-arm64.zip")

    with pytest.raises(HostingError, match="two bundles for macos-arm64"):
        list(release.found_bundles([folder]))


def test_nothing_to_download_is_an_error(tmp_path: Path, aws: Scripted) -> None:
    with pytest.raises(HostingError, match="nothing to download"):
        release.manifest(aws, "satchel", [tmp_path], commit="c", date="2026-11-23", report=silent)

    assert not aws.was_asked("put_object")


def test_the_manifest_comes_after_what_it_tells_of_and_is_asked_for_anew(tmp_path: Path, aws: Scripted) -> None:
    outputs = [{"OutputKey": key, "OutputValue": value} for key, value in MADE.items()]
    standing = {"StackName": "satchel", "CreationTime": 0, "StackStatus": "CREATE_COMPLETE", "Outputs": outputs}
    aws.says("cloudformation", "describe_stacks", {"Stacks": [standing]})
    folder = bundle(tmp_path / "linux", f"Satchel-{VERSION}-linux-x86_64.tar.gz")

    release.manifest(aws, "satchel", [folder], commit="c", date="2026-11-23", report=silent)

    app, told = aws.was_asked("put_object")
    assert app["Key"].endswith("linux-x86_64.tar.gz")
    assert told["Key"] == "download/latest.json"
    assert (app["CacheControl"], told["CacheControl"]) == ("public, max-age=31536000, immutable", "no-cache")
    assert invalidated(aws) == ["/download/latest.json"]


def test_cloudfront_forgets_only_what_does_not_name_its_content(aws: Scripted) -> None:
    site.publish(aws, payload(), MADE, MADE["Site"], silent)

    assert invalidated(aws) == ["/", "/.well-known/satchel.json", "/index.html", "/s/*"]


def test_publishing_the_site_removes_what_is_not_of_it_and_keeps_downloads(tmp_path: Path, aws: Scripted) -> None:
    keys = ["download/0.0.1/000000000000/Satchel.zip", "download/latest.json", "assets/old/main.js", "old.html"]
    there = [{"Key": key, "ETag": '"0"', "Size": 1} for key in keys]
    aws.says("s3", "list_objects_v2", {"IsTruncated": False, "Contents": there})

    site.publish(aws, Payload(tmp_path, tmp_path, tmp_path), MADE, MADE["Site"], silent)

    assert [asked["Key"] for asked in aws.was_asked("delete_object")] == ["assets/old/main.js", "old.html"]
    assert invalidated(aws) == ["/.well-known/satchel.json", "/old.html"]


def test_settings_are_names_and_values() -> None:
    asked = ["package", "--stack", "satchel", "--code-bucket", "code", "--out", "out"]

    given = release._parser().parse_args([*asked, "--set", "TrafficShift=AllAtOnce  TrashDays=7 JanitorTag=a=b"]).set

    assert given == {"TrafficShift": "AllAtOnce", "TrashDays": "7", "JanitorTag": "a=b"}


def test_a_setting_without_a_value_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        release._parser().parse_args(["package", "--stack", "s", "--code-bucket", "c", "--out", "o", "--set", "Oops"])

    assert "'Oops' is not NAME=VALUE" in capsys.readouterr().err


def test_sign_in_by_oidc_needs_its_secret(aws: Scripted) -> None:
    parameters = {"Federation": "OIDC", "OidcClientSecret": "****"}

    with pytest.raises(HostingError, match="OidcSecretName"):
        dict(release._secrets(aws, "satchel", parameters, "", fresh=True))

    assert dict(release._secrets(aws, "satchel", parameters, "told", fresh=True))["OidcClientSecret"] == "told"


def test_the_origin_secret_in_force_is_kept(aws: Scripted) -> None:
    aws.says("lambda", "get_function_configuration", {"Environment": {"Variables": {"ORIGIN_SECRET": "before"}}})

    assert dict(release._secrets(aws, "satchel", {}, "", fresh=False))["OriginSecret"] == "before"


def test_settings_that_may_not_be_decrypted_are_told_of(aws: Scripted) -> None:
    refused = {"ErrorCode": "AccessDeniedException", "Message": "Lambda was unable to decrypt."}
    aws.says("lambda", "get_function_configuration", {"Environment": {"Error": refused}})

    with pytest.raises(HostingError, match="kms:Decrypt"):
        dict(release._secrets(aws, "satchel", {}, "", fresh=False))


def test_what_a_failed_creation_left_has_to_go_first(tmp_path: Path, aws: Scripted) -> None:
    dead = {"StackName": "satchel", "CreationTime": 0, "StackStatus": "ROLLBACK_COMPLETE"}
    aws.says("cloudformation", "describe_stacks", {"Stacks": [dead]})

    with pytest.raises(HostingError, match="satchel destroy --stack satchel"):
        release.package(aws, "satchel", bucket="code", out=tmp_path, given={}, oidc_secret="", report=silent)

    assert not aws.was_asked("put_object")
