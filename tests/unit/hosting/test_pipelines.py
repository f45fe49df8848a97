"""The pipelines' templates: what is handed on arrives, what is named is there, and roles reach no further than told."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from satchel.hosting.package import payload
from satchel.hosting.release import PARAMETERS, TEMPLATE
from unit.hosting.test_templates import TEMPLATES, statements

CHECKOUT = payload().templates.parent
PIPELINES = {name: template for name, template in TEMPLATES.items() if name.startswith("pipeline-")}
CHOICES = {"Approved", "WithMac", "WithWindows"}
"""The conditions that make a pipeline longer."""

SERVICES = {
    "ApiGatewayV2": "apigateway",
    "CloudFormation": "cloudformation",
    "Cognito": "cognito-idp",
}
"""Whose actions are not called as their resources are."""


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def chosen(value: Any, true: set[str]) -> Any:
    """`value` with each `If` decided; what there is none of is left out."""
    if isinstance(value, dict):
        if set(value) == {"If"}:
            condition, then, otherwise = value["If"]
            return chosen(then if condition in true else otherwise, true)
        return {key: chosen(one, true) for key, one in value.items()}
    if isinstance(value, list):
        made = [chosen(one, true) for one in value]
        return [one for one in made if one != {"Ref": "AWS::NoValue"}]
    return value


def pipelines() -> Iterator[Any]:
    """Each pipeline in each of its forms."""
    for name, template in PIPELINES.items():
        own = sorted(CHOICES & template["Conditions"].keys())
        for switched in itertools.product([False, True], repeat=len(own)):
            true = {condition for condition, on in zip(own, switched, strict=True) if on}
            properties = chosen(template["Resources"]["Pipeline"]["Properties"], true)
            yield pytest.param(properties, id="-".join([name, *sorted(true)]))


each_form = pytest.mark.parametrize("pipeline", list(pipelines()))


def projects() -> Iterator[tuple[str, dict[str, Any], Any]]:
    """Each build: its logical id, its properties, its buildspec."""
    for template in PIPELINES.values():
        for name, resource in template["Resources"].items():
            if resource["Type"] == "AWS::CodeBuild::Project":
                properties = resource["Properties"]
                yield name, properties, yaml.safe_load((CHECKOUT / properties["Source"]["BuildSpec"]).read_text())


@each_form
def test_every_artifact_is_made_before_it_is_used(pipeline: dict[str, Any]) -> None:
    there: set[str] = set()
    for stage in pipeline["Stages"]:
        for _, group in itertools.groupby(stage["Actions"], key=lambda action: action.get("RunOrder", 1)):
            made: list[str] = []
            for action in group:
                assert {one["Name"] for one in action.get("InputArtifacts", [])} <= there, action["Name"]
                made += [one["Name"] for one in action.get("OutputArtifacts", [])]
            assert len(made) == len(set(made))
            assert there.isdisjoint(made)
            there |= set(made)


@each_form
def test_every_artifact_is_used(pipeline: dict[str, Any]) -> None:
    actions = [action for stage in pipeline["Stages"] for action in stage["Actions"]]

    made = {one["Name"] for action in actions for one in action.get("OutputArtifacts", [])}
    used = {one["Name"] for action in actions for one in action.get("InputArtifacts", [])}

    assert made == used


@each_form
def test_every_path_that_starts_a_pipeline_is_there(pipeline: dict[str, Any]) -> None:
    (push,) = pipeline["Triggers"][0]["GitConfiguration"]["Push"]
    paths = push["FilePaths"]["Includes"] + push["FilePaths"].get("Excludes", [])

    assert pipeline["Triggers"][0]["GitConfiguration"]["SourceActionName"] == "Source"
    assert len(push["FilePaths"]["Includes"]) <= 8  # CodePipeline takes no more
    for path in paths:
        assert (CHECKOUT / path.removesuffix("/**")).exists(), path


@each_form
def test_every_build_of_a_pipeline_is_a_project_of_its_template(pipeline: dict[str, Any]) -> None:
    names = {name for name, _, _ in projects()}
    for stage in pipeline["Stages"]:
        for action in stage["Actions"]:
            if action["ActionTypeId"]["Provider"] == "CodeBuild":
                assert action["Configuration"]["ProjectName"]["Ref"] in names


def test_every_buildspec_is_used_and_there() -> None:
    used = {CHECKOUT / properties["Source"]["BuildSpec"] for _, properties, _ in projects()}

    assert used == set((CHECKOUT / "cfn" / "buildspecs").iterdir())


def test_what_cloudformation_is_given_is_what_the_packaging_leaves() -> None:
    specs = {name: spec for name, _, spec in projects()}
    pipeline = chosen(PIPELINES["pipeline-backend.yaml"]["Resources"]["Pipeline"]["Properties"], {"Approved"})
    prepare, approve, execute = pipeline["Stages"][-1]["Actions"]

    assert specs["PackageProject"]["artifacts"]["files"] == [TEMPLATE, PARAMETERS]
    assert prepare["Configuration"]["TemplatePath"] == f"Packaged::{TEMPLATE}"
    assert prepare["Configuration"]["TemplateConfiguration"] == f"Packaged::{PARAMETERS}"
    assert prepare["RunOrder"] < approve["RunOrder"] < execute["RunOrder"]
    for key in ("StackName", "ChangeSetName"):
        assert execute["Configuration"][key] == prepare["Configuration"][key]


def test_every_variable_of_a_buildspec_is_set_by_its_project() -> None:
    for name, properties, spec in projects():
        script = "\n".join(line for phase in spec["phases"].values() for line in phase["commands"])
        asked = set(re.findall(r"\$\{?([A-Z][A-Za-z_]+)", script)) - {"ErrorActionPreference"}
        variables = chosen(properties["Environment"].get("EnvironmentVariables", []), {"WithOidc"})
        given = {one["Name"] for one in variables} | spec.get("env", {}).get("variables", {}).keys()
        folders = {f"CODEBUILD_SRC_DIR_{artifact}" for artifact in ("Linux", "Windows", "Mac")}

        assert asked - folders <= given, name


def test_the_publishing_build_takes_the_bundles_from_the_artifacts_of_its_action() -> None:
    pipeline = chosen(PIPELINES["pipeline-desktop.yaml"]["Resources"]["Pipeline"]["Properties"], CHOICES)
    (publishing,) = pipeline["Stages"][-1]["Actions"]
    (commands,) = [spec["phases"]["build"]["commands"] for name, _, spec in projects() if name == "SiteProject"]

    wanted = set(re.findall(r"\$CODEBUILD_SRC_DIR_(\w+)", commands[-1]))

    assert publishing["Configuration"]["PrimarySource"] == "Source"
    assert wanted == {one["Name"] for one in publishing["InputArtifacts"]} - {"Source"}


def test_the_tests_of_the_pipeline_are_those_of_everybody() -> None:
    (spec,) = [spec for name, _, spec in projects() if name == "TestProject"]

    assert spec["phases"] == {"build": {"commands": [".ci/run"]}}


def test_the_windows_build_is_in_the_form_that_codebuild_runs() -> None:
    ((properties, spec),) = [(properties, spec) for name, properties, spec in projects() if name == "WindowsProject"]

    assert properties["Environment"]["Type"] == "WINDOWS_SERVER_2022_CONTAINER"
    assert spec["env"]["shell"] == "powershell.exe"
    assert spec["phases"]["build"]["commands"] == [r".venv\Scripts\python.exe desktop\bundle"]
    assert spec["artifacts"] == {"base-directory": "dist", "files": ["Satchel-*.zip"]}


def test_the_deploy_role_may_do_something_about_every_kind_of_resource() -> None:
    role = PIPELINES["pipeline-backend.yaml"]["Resources"]["DeployRole"]
    services = {action.split(":")[0] for statement in statements(role) for action in listed(statement["Action"])}
    kinds = {
        resource["Type"].split("::")[1]
        for name, template in TEMPLATES.items()
        if name not in PIPELINES
        for resource in template["Resources"].values()
    }

    assert {SERVICES.get(kind, kind.lower()) for kind in kinds} <= services


def test_no_role_may_do_everything_of_a_service_or_touch_roles_that_are_not_the_stacks() -> None:
    for template in PIPELINES.values():
        for name, role in template["Resources"].items():
            if role["Type"] != "AWS::IAM::Role":
                continue
            for statement in statements(role):
                if statement["Effect"] == "Deny":
                    continue
                actions, reached = listed(statement["Action"]), listed(statement["Resource"])
                assert not [action for action in actions if action.endswith(":*")], name
                if any(action.startswith("iam:") for action in actions):
                    assert "*" not in reached
                if "iam:PassRole" in actions:
                    assert "iam:PassedToService" in str(statement["Condition"]), name


def test_the_deploy_role_may_not_widen_itself() -> None:
    role = PIPELINES["pipeline-backend.yaml"]["Resources"]["DeployRole"]

    (denied,) = [statement for statement in statements(role) if statement["Effect"] == "Deny"]

    assert "iam:*" in denied["Action"]
    assert "role/${AWS::StackName}-*" in denied["Resource"][0]["Sub"]


def test_the_build_that_runs_untried_code_may_change_nothing() -> None:
    role = PIPELINES["pipeline-backend.yaml"]["Resources"]["TestRole"]

    actions = {action for statement in statements(role) for action in listed(statement["Action"])}

    assert actions == {
        "codeconnections:UseConnection",
        "codestar-connections:UseConnection",
        "s3:GetObject",
        "s3:GetObjectVersion",
        "logs:CreateLogStream",
        "logs:PutLogEvents",
    }


def test_the_stack_is_not_made_of_the_pipelines() -> None:
    assert not [name for name in payload().template_files if name in PIPELINES]


def test_a_policy_of_the_deploy_role_fits_into_what_iam_takes() -> None:
    role = PIPELINES["pipeline-backend.yaml"]["Resources"]["DeployRole"]
    longest = {
        "AWS::Partition": "aws-us-gov",
        "AWS::Region": "ap-southeast-2",
        "AWS::AccountId": "1" * 12,
        "AWS::StackName": "s" * 40,
    }
    text = str(list(statements(role))).replace(" ", "")
    for name, value in {**longest, "AWS::URLSuffix": "amazonaws.com", "Stack": "s" * 24}.items():
        text = text.replace(f"${{{name}}}", value)

    assert len(text) < 10_240


@pytest.mark.parametrize("name", PIPELINES)
def test_the_page_about_pipelines_gives_what_a_template_asks_for(name: str) -> None:
    page = (CHECKOUT / "docs" / "pipelines.md").read_text()
    (command,) = [block for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL) if name in block]
    given = set(re.findall(r"(\w+)=", command.split("--parameter-overrides")[1]))
    declared = PIPELINES[name]["Parameters"]

    assert given <= declared.keys()
    assert {parameter for parameter, one in declared.items() if "Default" not in one} <= given


@pytest.mark.parametrize("name", PIPELINES)
def test_a_pipeline_can_be_created_without_a_bucket(name: str) -> None:
    assert (payload().templates / name).stat().st_size < 51_200
