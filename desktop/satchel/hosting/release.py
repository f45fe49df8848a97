"""What the pipelines run: `python -m satchel.hosting.release package|site|manifest`. How, is in `cfn/buildspecs`.

AWS_ENDPOINT_URL names a local cloud, as it does for AWS's own tools.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import secrets
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import satchel
from satchel.core.errors import SatchelError
from satchel.hosting import artifacts, preflight, stack
from satchel.hosting.aws import Aws, error_code, explained
from satchel.hosting.package import payload, stamped
from satchel.hosting.process import HostingError
from satchel.hosting.report import Report
from satchel.hosting.site import DOWNLOADS, MANIFEST, forget, headers, publish

TEMPLATE = "satchel.yaml"
PARAMETERS = "parameters.json"
_BUNDLE = re.compile(
    r"Satchel-(?P<version>[0-9A-Za-z.]+)-(?P<platform>(linux|windows|macos)-[0-9a-z_]+)\.(tar\.gz|zip|dmg|exe|msi)"
)
_FOLDER = re.compile(rf"{DOWNLOADS}[^/]+/[0-9a-f]{{12}}/")


@dataclass(frozen=True, slots=True)
class Bundle:
    """The app for one platform, such as linux-x86_64, as a file to download."""

    path: Path
    platform: str
    size: int
    sha256: str

    @property
    def key(self) -> str:
        """Names the content: the same version may be built again."""
        return f"{DOWNLOADS}{satchel.__version__}/{self.sha256[:12]}/{self.path.name}"


def package(
    aws: Aws, name: str, *, bucket: str, out: Path, given: Mapping[str, str], oidc_secret: str, report: Report
) -> None:
    """Upload code and templates; leave the root template and all its parameters in `out`.

    `given` are parameters of the stack `name` that change; what is not among them stays as it is. Raises
    `HostingError`.
    """
    stack.check_name(name)
    sent = payload()
    found = stack.describe(aws, name)
    if found is not None and found["StackStatus"] in stack.DEAD - {"REVIEW_IN_PROGRESS"}:
        raise HostingError(
            f"The stack {name} is what a failed creation left",
            f"Run `satchel destroy --stack {name}`, then start the pipeline again.",
        )
    if found is not None and found["StackStatus"] == "REVIEW_IN_PROGRESS":
        found = None  # a first change set that nobody executed: there is nothing yet
    template = sent.template_files[TEMPLATE].decode()
    given = {"CodeBucket": bucket, "CodeKey": sent.code_key} | dict(given)
    preflight.check(aws, found, template, given, report)
    parameters = stack.in_force(aws, found, template, given)
    sent = stamped(sent, parameters)
    artifacts.upload_once(aws, bucket, sent.code_key, sent.zip)
    for file, content in sent.template_files.items():
        artifacts.upload_once(aws, bucket, f"{sent.template_prefix}/{file}", content)
    parameters["TemplateBase"] = f"{artifacts.address(aws, bucket)}/{sent.template_prefix}"
    parameters |= _secrets(aws, name, parameters, oidc_secret, fresh=found is None)
    out.mkdir(parents=True, exist_ok=True)
    (out / TEMPLATE).write_bytes(sent.template_files[TEMPLATE])
    whole = {"Parameters": parameters, "Tags": {"app": "satchel"}}
    (out / PARAMETERS).write_text(json.dumps(whole, indent=2) + "\n")
    report(f"packaged {sent.code_key} and {sent.template_prefix}")


def copy_site(aws: Aws, name: str, report: Report) -> None:
    """Publish the site of the stack `name`, as `satchel deploy` does."""
    made = stack.outputs(aws, name)
    if not publish(aws, payload(), made, made["Site"], report):
        report("the site is as it should be")


def manifest(aws: Aws, name: str, folders: Sequence[Path], *, commit: str, date: str, report: Report) -> None:
    """Publish the bundles in `folders`, then the manifest that tells of them; nothing of an earlier build stays.

    Earlier versions stay. Raises `HostingError` when there is no bundle, or one of another version.
    """
    bundles = sorted(found_bundles(folders), key=lambda bundle: bundle.platform)
    if not bundles:
        raise HostingError("There is nothing to download", f"No bundle is in {', '.join(map(str, folders))}.")
    made = stack.outputs(aws, name)
    s3, bucket = aws.client("s3"), made["StaticBucket"]
    for bundle in bundles:
        if not _is_there(s3, bucket, bundle.key):
            with bundle.path.open("rb") as file:
                s3.upload_fileobj(file, bucket, bundle.key, ExtraArgs=headers(bundle.key))
            report(f"published {bundle.key} ({bundle.size} bytes)")
    told = json.dumps(described(bundles, commit, date), indent=2).encode()
    s3.put_object(Bucket=bucket, Key=MANIFEST, Body=told, **headers(MANIFEST))
    forget(aws, made, [MANIFEST])
    for key in _earlier_builds(s3, bucket, {bundle.key for bundle in bundles}):
        s3.delete_object(Bucket=bucket, Key=key)
        report(f"removed {key}, an earlier build")


def described(bundles: Sequence[Bundle], commit: str, date: str) -> dict[str, Any]:
    """The release manifest. A `path` is the site's; sizes are in bytes."""
    return {
        "version": satchel.__version__,
        "commit": commit,
        "date": date,
        "platforms": {
            bundle.platform: {
                "name": bundle.path.name,
                "path": f"/{bundle.key}",
                "size": bundle.size,
                "sha256": bundle.sha256,
            }
            for bundle in bundles
        },
    }


def found_bundles(folders: Sequence[Path]) -> Iterator[Bundle]:
    """The bundles right in `folders`. Raises `HostingError` for one of another version, and for two of a platform."""
    platforms: dict[str, Path] = {}
    for path in sorted(path for folder in folders for path in folder.iterdir()):
        name = _BUNDLE.fullmatch(path.name)
        if name is None:
            continue
        platform, version = name["platform"], name["version"]
        if version != satchel.__version__:
            raise HostingError(
                f"{path.name} is not of this version", f"This is {satchel.__version__}: build it from the same commit."
            )
        if platform in platforms:
            raise HostingError(
                f"There are two bundles for {platform}", f"Keep one of {platforms[platform].name} and {path.name}."
            )
        platforms[platform] = path
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        yield Bundle(path, platform, path.stat().st_size, sha256)


def _secrets(
    aws: Aws, name: str, parameters: Mapping[str, str], oidc_secret: str, *, fresh: bool
) -> Iterator[tuple[str, str]]:
    """What CloudFormation hides and a template configuration must name all the same."""
    yield "OriginSecret", secrets.token_urlsafe(32) if fresh else _origin_secret(aws, name)
    if parameters.get("Federation") == "OIDC" and not oidc_secret:
        raise HostingError(
            f"People sign in to {name} by OIDC, and its secret is not here",
            "Put it into the Parameter Store and name it by the pipeline's parameter OidcSecretName.",
        )
    yield "OidcClientSecret", oidc_secret


def _origin_secret(aws: Aws, name: str) -> str:
    """The one in force: another would have CloudFront turned away until it is known everywhere."""
    found = aws.client("lambda").get_function_configuration(FunctionName=f"{name}-api")
    settings = found["Environment"]
    if "Variables" not in settings:  # encrypted with a key of the user's own
        why = settings.get("Error", {}).get("Message", "Lambda does not say why.")
        raise HostingError(
            f"The settings of {name}-api cannot be read",
            f"Allow kms:Decrypt in the policy of the key KmsKeyArn. ({why})",
        )
    return str(settings["Variables"]["ORIGIN_SECRET"])


def _earlier_builds(s3: Any, bucket: str, current: set[str]) -> list[str]:
    prefix = f"{DOWNLOADS}{satchel.__version__}/"
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    there = [str(one["Key"]) for page in pages for one in page.get("Contents", [])]
    return [key for key in there if key not in current and _FOLDER.match(key)]


def _is_there(s3: Any, bucket: str, key: str) -> bool:
    import botocore.exceptions  # noqa: PLC0415 - heavy

    try:
        s3.head_object(Bucket=bucket, Key=key)
    except botocore.exceptions.ClientError as error:
        if error_code(error) not in ("404", "NoSuchKey"):
            raise
        return False
    return True


def _settings(text: str) -> dict[str, str]:
    pairs = [word.partition("=") for word in text.split()]
    wrong = [key for key, equals, _ in pairs if not key or not equals]
    if wrong:
        raise argparse.ArgumentTypeError(f"{wrong[0]!r} is not NAME=VALUE")
    return {key: value for key, _, value in pairs}


def _aws() -> Aws:
    endpoint = os.environ.get("AWS_ENDPOINT_URL")
    if not endpoint:
        return Aws()
    key = (os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"])
    return Aws(region=os.environ.get("AWS_REGION"), endpoint=endpoint, key=key)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m satchel.hosting.release")
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("package", help="upload code and templates, write template and parameters")
    packing.add_argument("--code-bucket", required=True)
    packing.add_argument("--set", type=_settings, default={}, metavar="'NAME=VALUE ...'")
    packing.add_argument("--out", type=Path, required=True)
    site = commands.add_parser("site", help="publish the site")
    telling = commands.add_parser("manifest", help="publish the bundles and tell of them")
    telling.add_argument("--commit", required=True)
    telling.add_argument("--date", required=True)
    telling.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    for command in (packing, site, telling):
        command.add_argument("--stack", required=True)
    return parser


def main() -> int:
    """Returns the exit code."""
    asked = _parser().parse_args()

    def report(line: object) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    try:
        with explained():
            aws = _aws()
            if asked.command == "package":
                package(
                    aws,
                    asked.stack,
                    bucket=asked.code_bucket,
                    out=asked.out,
                    given=asked.set,
                    oidc_secret=os.environ.get("OIDC_CLIENT_SECRET", ""),
                    report=report,
                )
            elif asked.command == "site":
                copy_site(aws, asked.stack, report)
            else:
                manifest(aws, asked.stack, asked.folders, commit=asked.commit, date=asked.date, report=report)
    except SatchelError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
