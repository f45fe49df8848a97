"""What no template may lack, read from the templates themselves."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
import yaml

from satchel.hosting.package import payload

CONSTRAINTS = {"AllowedPattern", "AllowedValues", "MinLength", "MaxLength", "MinValue", "MaxValue"}


class Loader(yaml.SafeLoader):
    """Reads `!Sub x` as {"Sub": x}."""


def construct(loader: Loader, tag: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return {tag: loader.construct_mapping(node, deep=True)}
    if isinstance(node, yaml.SequenceNode):
        return {tag: loader.construct_sequence(node, deep=True)}
    return {tag: loader.construct_scalar(node)}


Loader.add_multi_constructor("!", construct)
TEMPLATES = {path.name: yaml.load(path.read_text(), Loader) for path in sorted(payload().templates.glob("*.yaml"))}


SERVICE = {name: template for name, template in TEMPLATES.items() if not name.startswith("pipeline-")}
STATEFUL = {
    "AWS::S3::Bucket",
    "AWS::DynamoDB::Table",
    "AWS::Cognito::UserPool",
    "AWS::SQS::Queue",
    "AWS::Logs::LogGroup",
    "AWS::CloudFormation::Stack",
}


def statements(role: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All that a role may do, with what is behind a condition."""
    for policy in role["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            yield statement["If"][1] if "If" in statement else statement


def resources(kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for template in SERVICE.values():
        for name, resource in template["Resources"].items():
            if resource["Type"] == kind:
                yield name, resource


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_parameter_is_described_and_constrained(name: str) -> None:
    for parameter, declared in TEMPLATES[name].get("Parameters", {}).items():
        assert declared.get("Description"), parameter
        assert CONSTRAINTS & declared.keys(), parameter


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_output_is_described(name: str) -> None:
    assert all(output.get("Description") for output in TEMPLATES[name].get("Outputs", {}).values())


def test_what_users_keep_outlives_the_stack() -> None:
    kept = {"AWS::DynamoDB::Table", "AWS::Cognito::UserPool"}
    found = [one for kind in kept for one in resources(kind)]
    found += [one for one in resources("AWS::S3::Bucket") if one[0] == "ContentBucket"]

    assert len(found) == 3
    for name, resource in found:
        assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain", name


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_stateful_resource_says_what_becomes_of_it(name: str) -> None:
    for resource, declared in TEMPLATES[name]["Resources"].items():
        if declared["Type"] in STATEFUL:
            assert {"DeletionPolicy", "UpdateReplacePolicy"} <= declared.keys(), resource


def test_no_bucket_is_public() -> None:
    for name, bucket in resources("AWS::S3::Bucket"):
        assert all(bucket["Properties"]["PublicAccessBlockConfiguration"].values()), name


def test_every_function_has_a_role_and_a_log_of_its_own() -> None:
    functions = dict(resources("AWS::Lambda::Function"))
    roles = [str(function["Properties"]["Role"]) for function in functions.values()]

    assert len(functions) == 7
    assert len(set(roles)) == len(roles)
    for name in functions:
        logs = dict(resources("AWS::Logs::LogGroup"))[name.replace("Function", "Logs")]
        assert logs["Properties"]["RetentionInDays"]


def test_no_role_brings_policies_of_others() -> None:
    for name, role in resources("AWS::IAM::Role"):
        assert "ManagedPolicyArns" not in role["Properties"], name


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_star_for_an_action_or_a_resource_has_its_reason_beside_it(name: str) -> None:
    text = (payload().templates / name).read_text()
    lines = text.splitlines()
    for line in lines_with_a_star(yaml.compose(text)):
        assert "#" in lines[line] or lines[line - 1].strip().startswith("#"), f"{name}:{line + 1}"


def test_a_star_is_found_wherever_it_is_written() -> None:
    text = """
    - {Effect: Allow, Action: ['s3:*'], Resource: x}
    - {Effect: Allow, Action: s3:GetObject, Resource: [x, '*']}
    - {Effect: Deny, Action: '*', Resource: '*'}
    - {Effect: Allow, Action: s3:GetObject, Resource: 'x/*'}
    """

    assert list(lines_with_a_star(yaml.compose(text))) == [1, 2]


def lines_with_a_star(node: yaml.Node | None) -> Iterator[int]:
    """Where a statement that allows something names any action of a service, or any resource at all."""
    if isinstance(node, yaml.MappingNode):
        members = {key.value: value for key, value in node.value}
        if getattr(members.get("Effect"), "value", None) == "Allow":
            for member in ("Action", "Resource"):
                for one in scalars(members.get(member)):
                    if one.value == "*" or (member == "Action" and "*" in one.value):
                        yield one.start_mark.line
        for value in members.values():
            yield from lines_with_a_star(value)
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from lines_with_a_star(value)


def scalars(node: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    if isinstance(node, yaml.ScalarNode):
        yield node
    elif isinstance(node, yaml.SequenceNode):
        for value in node.value:
            yield from scalars(value)


def test_the_public_function_can_neither_list_nor_write_content() -> None:
    role = dict(resources("AWS::IAM::Role"))["PublicRole"]
    actions = {action for one in statements(role) for action in one["Action"]}

    assert {action for action in actions if action.startswith("s3:")} == {"s3:GetObject"}
    assert {action for action in actions if action.startswith("kms:")} == {"kms:Decrypt"}


def test_the_public_function_changes_links_and_nothing_else() -> None:
    reading = {"dynamodb:GetItem", "dynamodb:Query"}
    role = dict(resources("AWS::IAM::Role"))["PublicRole"]
    changing = [one for one in statements(role) if any("dynamodb" in action for action in one["Action"])]
    limited = [one["Condition"] for one in changing if not reading.issuperset(one["Action"])]

    # The local cloud knows no leading keys, so only AWS holds to this.
    assert limited == [{"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["L#*"]}}]


def test_push_reaches_tickets_and_connections_and_nothing_else() -> None:
    roles = dict(resources("AWS::IAM::Role"))
    reached = {"SocketRole": ["K#*", "A#*#W"], "NotifyRole": ["A#*#W"]}
    for name, keys in reached.items():
        rows = {"dynamodb:DeleteItem", "dynamodb:PutItem", "dynamodb:Query"}
        for one in statements(roles[name]):
            if rows.intersection(one["Action"]):
                assert one["Condition"] == {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": keys}}, name
        assert not any("s3:" in action for one in statements(roles[name]) for action in one["Action"])


def test_what_tells_of_changes_sees_their_keys_alone() -> None:
    [(_, table)] = resources("AWS::DynamoDB::Table")

    assert table["Properties"]["StreamSpecification"] == {"StreamViewType": "KEYS_ONLY"}


def test_every_function_has_a_published_version_and_an_alias() -> None:
    aliases = dict(resources("AWS::Lambda::Alias"))
    versions = dict(resources("AWS::Lambda::Version"))
    for name, function in resources("AWS::Lambda::Function"):
        part = name.removesuffix("Function")
        alias = aliases[f"{part}Alias"]["Properties"]
        assert alias["Name"] == "live"
        assert alias["FunctionVersion"] == {"GetAtt": f"{part}VersionUnstamped.Version"}
        assert versions[f"{part}VersionUnstamped"]["Properties"]["FunctionName"] == {"Ref": name}
        # Lambda publishes no version of a function that is the same.
        assert function["Properties"]["Environment"]["Variables"]["BUILD"] == "Unstamped"
        assert function["Properties"]["Environment"]["Variables"]["STACK"] == {"Ref": "Name"}


def test_every_invoker_calls_an_alias() -> None:
    called = [one["Properties"]["IntegrationUri"] for _, one in resources("AWS::ApiGatewayV2::Integration")]
    called += [one["Properties"]["FunctionName"] for _, one in resources("AWS::Lambda::EventSourceMapping")]
    called += [one["Properties"]["FunctionName"] for _, one in resources("AWS::Lambda::Permission")]
    called += [target["Arn"] for _, one in resources("AWS::Events::Rule") for target in one["Properties"]["Targets"]]
    ((_, pool),) = resources("AWS::Cognito::UserPool")
    called += [pool["Properties"]["LambdaConfig"]["If"][1]["PreSignUp"]]

    # A WebSocket API names an alias in the address of its invocation.
    names = [one["Ref"] if "Ref" in one else re.findall(r"functions/\$\{(\w+)\}/", one["Sub"])[0] for one in called]

    assert len(called) == 12
    assert set(names) == {name for name, _ in resources("AWS::Lambda::Alias")}


def test_a_gradual_shift_is_taken_back_by_alarms_that_there_are() -> None:
    alarms = {one["Properties"]["AlarmName"]["Sub"] for _, one in resources("AWS::CloudWatch::Alarm")}
    groups = dict(resources("AWS::CodeDeploy::DeploymentGroup"))

    assert groups.keys() == {"ApiShift", "PublicShift"}
    for group in groups.values():
        watching = {alarm["Name"]["Sub"] for alarm in group["Properties"]["AlarmConfiguration"]["Alarms"]}
        assert watching <= alarms
        assert "DEPLOYMENT_STOP_ON_ALARM" in group["Properties"]["AutoRollbackConfiguration"]["Events"]


def test_what_a_local_cloud_does_not_know_is_behind_a_condition() -> None:
    of_cognito = ("AWS::Cognito::UserPoolIdentityProvider", "AWS::Cognito::UserPoolRiskConfigurationAttachment")
    unknown = ("AWS::CodeDeploy::", "AWS::Budgets::", *of_cognito)
    for template in SERVICE.values():
        for name, resource in template["Resources"].items():
            if resource["Type"].startswith(unknown):
                assert resource.get("Condition"), name


def test_the_alarms_are_no_more_than_cost_nothing() -> None:
    alarms = [one["Properties"] for _, one in resources("AWS::CloudWatch::Alarm")]

    assert 0 < len(alarms) <= 10
    assert all("Metrics" not in alarm for alarm in alarms)  # each metric of a sum would count
    assert all(alarm["AlarmDescription"] for alarm in alarms)


def test_nothing_that_costs_while_idle_is_there_unless_asked_for() -> None:
    defaults = {name: one.get("Default") for name, one in TEMPLATES["satchel.yaml"]["Parameters"].items()}
    free = {
        "WebAclArn": "",
        "KmsKeyArn": "",
        "LogKmsKeyArn": "",
        "AccessLogBucket": "",
        "ThreatProtection": "OFF",
        "ReservedConcurrency": -1,
        "Tracing": "PassThrough",
        "AlarmMail": "",
        "BudgetUsd": 0,
        "Federation": "NONE",
        "TrafficShift": "AllAtOnce",
    }

    assert {name: defaults[name] for name in free} == free
    assert {name for name, default in defaults.items() if default is None} == {
        "TemplateBase",
        "CodeBucket",
        "CodeKey",
        "OriginSecret",
    }


def test_a_part_takes_what_the_root_gives_and_means_the_same_by_it() -> None:
    root = TEMPLATES["satchel.yaml"]
    for _, nested in resources("AWS::CloudFormation::Stack"):
        part = TEMPLATES[nested["Properties"]["TemplateURL"]["Sub"].removeprefix("${TemplateBase}/")]
        given = nested["Properties"]["Parameters"]
        assert given.keys() == part["Parameters"].keys()
        for name, value in given.items():
            declared, own = part["Parameters"][name], root["Parameters"].get(name, {})
            if value == {"Ref": name} and "Default" in own:
                assert declared.get("Default") == own["Default"], name


def test_every_parameter_of_the_root_is_in_a_group() -> None:
    root = TEMPLATES["satchel.yaml"]
    groups = root["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]
    grouped = [name for group in groups for name in group["Parameters"]]

    assert sorted(grouped) == sorted(root["Parameters"])


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_exception_from_a_linters_rule_has_its_reason_beside_it(name: str) -> None:
    for resource, declared in TEMPLATES[name]["Resources"].items():
        for skipped in declared.get("Metadata", {}).get("checkov", {}).get("skip", []):
            assert len(skipped["comment"].split()) > 3, f"{resource} {skipped['id']}"
    lines = (payload().templates / name).read_text().splitlines()
    for before, line in pairwise(lines):
        assert "ignore_checks" not in line or before.strip().startswith("#"), f"{name}: {line}"


def test_the_root_can_be_sent_in_a_request() -> None:
    """Deploying asks CloudFormation for its defaults before it is in a bucket."""
    assert len(payload().template_files["satchel.yaml"]) < 51_200


def test_the_sign_in_is_by_srp_only() -> None:
    ((_, client),) = resources("AWS::Cognito::UserPoolClient")

    assert set(client["Properties"]["ExplicitAuthFlows"]) == {"ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"}
    assert client["Properties"]["AccessTokenValidity"] == 15
    assert client["Properties"]["GenerateSecret"] is False


def test_only_links_are_open_to_all() -> None:
    routes = {
        route["Properties"]["RouteKey"]: route["Properties"] for _, route in resources("AWS::ApiGatewayV2::Route")
    }

    # A socket is let in by a ticket, which its function asks for.
    assert {key for key, route in routes.items() if route["AuthorizationType"] != "JWT"} == {
        "ANY /p/{proxy+}",
        "$connect",
    }
    assert routes["ANY /v1/{proxy+}"]["AuthorizationScopes"] == ["aws.cognito.signin.user.admin"]
