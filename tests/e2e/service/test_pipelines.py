"""What the pipelines run, run here: each buildspec in a clean clone, the change set as its action would make it."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import subprocess
import sys
import sysconfig
import tarfile
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import yaml

import satchel
from e2e.cloud_fixture import LocalCloud, wait_until
from satchel.hosting import deploy, stack
from satchel.hosting.package import payload

CHECKOUT = payload().templates.parent
STACK = "piped"
CHOICES = {"Stack": STACK, "TrafficShift": "AllAtOnce", "Settings": "RequireTls=false TrashDays=9"}
"""The parameters of the pipelines' stacks. There is no TLS to require on the local cloud."""


class Loader(yaml.SafeLoader):
    """Reads `!Ref x` as {"Ref": x}."""


def construct(loader: Loader, tag: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return {tag: loader.construct_sequence(node, deep=True)}
    assert isinstance(node, yaml.ScalarNode)
    return {tag: loader.construct_scalar(node)}


Loader.add_multi_constructor("!", construct)


@dataclass(frozen=True)
class Pipeline:
    """One of the templates in the clone, with what its references stand for. None of its conditions is met."""

    clone: Path
    name: str
    known: Mapping[str, str]
    cloud: LocalCloud

    @property
    def resources(self) -> dict[str, Any]:
        text = (self.clone / "cfn" / f"pipeline-{self.name}.yaml").read_text()
        return dict(yaml.load(text, Loader)["Resources"])

    def build(self, project: str, **more: str) -> Path:
        """Run the project's buildspec with the rights of its role; returns the folder of its artifacts."""
        properties = self.meant(self.resources[project]["Properties"])
        given = {one["Name"]: one["Value"] for one in properties["Environment"].get("EnvironmentVariables", [])}
        given |= self.rights(properties["ServiceRole"].removesuffix(".Arn"))
        spec = yaml.safe_load((self.clone / properties["Source"]["BuildSpec"]).read_text())
        for phase in ("install", "pre_build", "build", "post_build"):
            for command in spec["phases"].get(phase, {}).get("commands", []):
                done = subprocess.run(
                    ["bash", "-c", command],
                    cwd=self.clone,
                    env=environment(self.clone) | given | more,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    check=False,
                )
                assert done.returncode == 0, f"{command}\n{done.stdout}"
        return self.clone / spec.get("artifacts", {}).get("base-directory", ".")

    def action(self, stage: str, action: str) -> dict[str, str]:
        """Its configuration."""
        stages = {one["Name"]: one["Actions"] for one in self.resources["Pipeline"]["Properties"]["Stages"]}
        found = next(one for one in stages[stage] if one.get("Name") == action)
        return dict(self.meant(found["Configuration"]))

    def rights(self, role: str) -> dict[str, str]:
        """What a build of that role finds in its environment: the key of a user with the role's policies."""
        iam, user = self.cloud.aws.client("iam"), f"{STACK}-{self.name}-{role}-{secrets.token_hex(4)}"
        iam.create_user(UserName=user)
        for policy in self.meant(self.resources[role]["Properties"]["Policies"]):
            document = json.dumps(policy["PolicyDocument"])
            iam.put_user_policy(UserName=user, PolicyName=policy["PolicyName"], PolicyDocument=document)
        key = iam.create_access_key(UserName=user)["AccessKey"]
        return {
            "AWS_ENDPOINT_URL": self.cloud.endpoint,
            "AWS_REGION": self.cloud.region,
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
            "NO_PROXY": "*",
        }

    def cloudformation(self) -> Any:
        """A client with the rights of the pipeline itself."""
        own = self.rights("PipelineRole")
        key = (own["AWS_ACCESS_KEY_ID"], own["AWS_SECRET_ACCESS_KEY"])
        return replace(self.cloud.aws, key=key).client("cloudformation")

    def meant(self, value: Any) -> Any:
        """`value` with its references followed. One to what is not known here stands for its own name."""
        if isinstance(value, list):
            return [one for one in map(self.meant, value) if one is not None]
        if not isinstance(value, dict):
            return value
        if set(value) == {"If"}:
            return self.meant(value["If"][2])
        if set(value) in ({"Ref"}, {"GetAtt"}):
            (name,) = value.values()
            return None if name == "AWS::NoValue" else self.known.get(name, name)
        if set(value) == {"Sub"}:
            return re.sub(r"\$\{([\w:.]+)\}", lambda found: self.known[found[1]], value["Sub"])
        return {key: self.meant(one) for key, one in value.items()}


def environment(clone: Path) -> dict[str, str]:
    """Nothing of this checkout's, and the clone's own Python first."""
    kept = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV", "MAKEFLAGS")}
    return kept | {"PATH": f"{clone / '.venv' / 'bin'}:{os.environ['PATH']}"}


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clean clone, in which what `make install` and `make bundle` install is there already."""
    if not (CHECKOUT / ".git").exists():
        pytest.skip("not a clone: there is nothing to clone")
    folder = tmp_path_factory.mktemp("pipelines") / "clone"
    subprocess.run(["git", "clone", "--quiet", str(CHECKOUT), str(folder)], check=True)
    venv = folder / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    own = next(venv.glob("lib/python*/site-packages"))
    lines = [folder / "desktop", folder / "backend", sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    (own / "installed.pth").write_text("".join(f"{line}\n" for line in lines))
    for made in (".app", ".bundle"):
        (venv / made).touch()
    return folder


@pytest.fixture(scope="module")
def backend(cloud: LocalCloud, clone: Path) -> Iterator[Pipeline]:
    """The backend's pipeline, with a bucket for code; the stack that it makes is gone afterwards."""
    s3, bucket = cloud.aws.client("s3"), f"{STACK}-code"
    s3.create_bucket(Bucket=bucket)
    known = {"Code": bucket, "DeployRole.Arn": f"arn:aws:iam::{cloud.aws.account}:role/deploy"}
    yield Pipeline(clone, "backend", surroundings(cloud) | known, cloud)
    if stack.describe(cloud.aws, STACK) is not None:
        deploy.destroy(STACK, aws=cloud.aws, erase=STACK)
    for one in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
        s3.delete_object(Bucket=bucket, Key=one["Key"])
    s3.delete_bucket(Bucket=bucket)


def surroundings(cloud: LocalCloud) -> dict[str, str]:
    """What the references of both templates stand for."""
    own = {
        "Partition": "aws", "URLSuffix": "amazonaws.com", "Region": cloud.region, "AccountId": cloud.aws.account,
        "StackName": f"{STACK}-pipeline",
    }  # fmt: skip
    arns = {"Code.Arn": f"arn:aws:s3:::{STACK}-code", "Artifacts.Arn": f"arn:aws:s3:::{STACK}-artifacts"}
    return CHOICES | arns | {f"AWS::{name}": value for name, value in own.items()}


@pytest.fixture(scope="module")
def deployed(cloud: LocalCloud, backend: Pipeline) -> dict[str, str]:
    """The outputs of the stack, once packaged, prepared and executed."""
    execute(cloud, backend, prepare(cloud, backend, backend.build("PackageProject")))
    return stack.outputs(cloud.aws, STACK)


def prepare(cloud: LocalCloud, pipeline: Pipeline, packaged: Path) -> str:
    """CodePipeline's action CHANGE_SET_REPLACE; the kind of change set that it makes."""
    asked = pipeline.action("Deploy", "Prepare")
    assert asked["ActionMode"] == "CHANGE_SET_REPLACE"
    kind = "CREATE" if stack.describe(cloud.aws, asked["StackName"]) is None else "UPDATE"
    given = json.loads(handed_on(packaged, asked["TemplateConfiguration"]))
    client, named = pipeline.cloudformation(), {key: asked[key] for key in ("StackName", "ChangeSetName")}
    with contextlib.suppress(client.exceptions.ClientError):
        client.delete_change_set(**named)
    client.create_change_set(
        **named,
        ChangeSetType=kind,
        TemplateBody=handed_on(packaged, asked["TemplatePath"]),
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in given["Parameters"].items()],
        Tags=[{"Key": key, "Value": value} for key, value in given["Tags"].items()],
        Capabilities=asked["Capabilities"].split(","),
        RoleARN=asked["RoleArn"],
    )
    return kind


def handed_on(folder: Path, file: str) -> str:
    artifact, _, name = file.partition("::")
    assert artifact == "Packaged"
    return (folder / name).read_text()


def execute(cloud: LocalCloud, pipeline: Pipeline, kind: str) -> None:
    """CodePipeline's action CHANGE_SET_EXECUTE."""
    asked, client = pipeline.action("Deploy", "Execute"), pipeline.cloudformation()
    assert asked["ActionMode"] == "CHANGE_SET_EXECUTE"
    named = {"StackName": asked["StackName"], "ChangeSetName": asked["ChangeSetName"]}
    wait_until(lambda: client.describe_change_set(**named)["Status"] == "CREATE_COMPLETE", 60)
    client.execute_change_set(**named)
    assert wait_until(lambda: ended(cloud, kind), 120) == f"{kind}_COMPLETE"


def ended(cloud: LocalCloud, kind: str) -> str | None:
    """The status that the stack has come to; None as long as it is on the way."""
    status = str((stack.describe(cloud.aws, STACK) or {}).get("StackStatus", ""))
    return status if status.startswith((kind, "ROLLBACK")) and not status.endswith("IN_PROGRESS") else None


@pytest.fixture(scope="module")
def bundles(cloud: LocalCloud, clone: Path) -> Path:
    """The folder that the Linux build hands on."""
    return Pipeline(clone, "desktop", surroundings(cloud), cloud).build("LinuxProject")


@pytest.fixture(scope="module")
def desktop(cloud: LocalCloud, clone: Path, deployed: dict[str, str], bundles: Path) -> Pipeline:
    """The desktop's pipeline, once it has published site, app and manifest."""
    told = {name: deployed[name] for name in ("StaticBucket", "DistributionId")}
    pipeline = Pipeline(clone, "desktop", surroundings(cloud) | told, cloud)
    pipeline.build("SiteProject", CODEBUILD_SRC_DIR_Linux=str(bundles))
    return pipeline


@pytest.fixture
def published(desktop: Pipeline, deployed: dict[str, str]) -> dict[str, str]:
    """The outputs of the stack whose site and app are there."""
    return deployed


def fetched(cloud: LocalCloud, made: dict[str, str], path: str) -> tuple[bytes, str]:
    """A file of the published site, and what it says of its keeping."""
    found = cloud.aws.client("s3").get_object(Bucket=made["StaticBucket"], Key=path.removeprefix("/"))
    return found["Body"].read(), found["CacheControl"]


def test_the_deployed_api_lets_nobody_in_without_a_token(cloud: LocalCloud, deployed: dict[str, str]) -> None:
    url = f"{cloud.endpoint}/_aws/execute-api/{deployed['ApiId']}/v1/account"

    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=60)

    assert refused.value.code == 401


def test_the_stack_has_what_the_pipeline_was_set_to(cloud: LocalCloud, deployed: dict[str, str]) -> None:
    parameters = stack.parameters_of(stack.describe(cloud.aws, STACK))

    assert parameters["TrashDays"] == "9"
    assert parameters["TrafficShift"] == "AllAtOnce"
    assert parameters["CodeBucket"] == f"{STACK}-code"


def test_a_second_run_keeps_the_secret_and_what_was_set_before(
    cloud: LocalCloud, backend: Pipeline, deployed: dict[str, str]
) -> None:
    def secret() -> str:
        found = cloud.aws.client("lambda").get_function_configuration(FunctionName=f"{STACK}-api", Qualifier="live")
        return str(found["Environment"]["Variables"]["ORIGIN_SECRET"])

    before = secret()
    again = replace(backend, known={**backend.known, "Settings": "UrlSeconds=61"})
    execute(cloud, again, prepare(cloud, again, again.build("PackageProject")))

    after = stack.parameters_of(stack.describe(cloud.aws, STACK))
    assert secret() == before
    assert (after["TrashDays"], after["UrlSeconds"]) == ("9", "61")
    assert stack.outputs(cloud.aws, STACK) == deployed


def test_the_published_site_says_where_everything_is(cloud: LocalCloud, published: dict[str, str]) -> None:
    found = json.loads(fetched(cloud, published, "/.well-known/satchel.json")[0])

    assert found["site"] == published["Site"]
    assert found["user_pool_id"] == published["UserPoolId"]
    assert b"<html" in fetched(cloud, published, "/index.html")[0]


def test_the_manifest_tells_what_is_there_to_download(
    cloud: LocalCloud, clone: Path, published: dict[str, str]
) -> None:
    told, kept = fetched(cloud, published, "/download/latest.json")
    manifest = json.loads(told)
    ((platform, app),) = manifest["platforms"].items()
    content, app_kept = fetched(cloud, published, app["path"])
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=clone, capture_output=True, text=True, check=True)

    assert kept == "no-cache"
    assert (manifest["version"], manifest["commit"]) == (satchel.__version__, head.stdout.strip())
    assert platform.startswith("linux-")
    assert app["path"].startswith(f"/download/{satchel.__version__}/")
    assert app["path"].endswith(app["name"])
    assert (app["size"], app["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
    assert app_kept == "public, max-age=31536000, immutable"


def test_the_bundled_app_runs(bundles: Path, tmp_path: Path) -> None:
    (packed,) = bundles.glob("Satchel-*.tar.gz")
    with tarfile.open(packed) as tar:
        tar.extractall(tmp_path, filter="data")
    program = str(tmp_path / "satchel" / "satchel")

    for command in ([program, "--version"], [program, "-P", "-m", "satchel.cli", "--version"]):
        said = subprocess.run(command, env={"HOME": str(tmp_path)}, capture_output=True, text=True, check=True)
        assert said.stdout == f"satchel {satchel.__version__}\n"


def test_publishing_again_keeps_earlier_versions_and_nothing_of_an_earlier_build(
    cloud: LocalCloud, desktop: Pipeline, published: dict[str, str], bundles: Path
) -> None:
    s3, bucket = cloud.aws.client("s3"), published["StaticBucket"]
    version, build = (
        "download/0.0.1/000000000000/Satchel.zip",
        f"download/{satchel.__version__}/000000000000/Satchel.zip",
    )
    for key in (version, build, "stale.html"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"earlier")
    before = keys(s3, bucket) - {build, "stale.html"}

    desktop.build("SiteProject", CODEBUILD_SRC_DIR_Linux=str(bundles))

    assert keys(s3, bucket) == before
    assert version in before


def keys(s3: Any, bucket: str) -> set[str]:
    return {one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]}
