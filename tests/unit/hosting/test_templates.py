"""What no template may lack, read from the templates themselves."""

from __future__ import annotations

from collections.abc import Iterator
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
TEMPLATES = {name: yaml.load(content, Loader) for name, content in payload().template_files.items()}


def resources(kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for template in TEMPLATES.values():
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


def test_no_bucket_is_public() -> None:
    for name, bucket in resources("AWS::S3::Bucket"):
        assert all(bucket["Properties"]["PublicAccessBlockConfiguration"].values()), name


def test_every_function_has_a_role_and_a_log_of_its_own() -> None:
    functions = dict(resources("AWS::Lambda::Function"))
    roles = [str(function["Properties"]["Role"]) for function in functions.values()]

    assert len(functions) == 5
    assert len(set(roles)) == len(roles)
    for name in functions:
        logs = dict(resources("AWS::Logs::LogGroup"))[name.replace("Function", "Logs")]
        assert logs["Properties"]["RetentionInDays"]


def test_no_role_may_do_everything_or_to_everything() -> None:
    for name, role in resources("AWS::IAM::Role"):
        assert "ManagedPolicyArns" not in role["Properties"], name
        for policy in role["Properties"]["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                assert "*" not in str(statement["Action"]), name
                assert statement["Resource"] != "*", name


def test_the_public_function_can_neither_list_nor_write_content() -> None:
    role = dict(resources("AWS::IAM::Role"))["PublicRole"]
    actions = {
        action
        for policy in role["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
        for action in statement["Action"]
        if action.startswith("s3:")
    }

    assert actions == {"s3:GetObject"}


def test_the_public_function_changes_links_and_nothing_else() -> None:
    statements = [
        statement
        for policy in dict(resources("AWS::IAM::Role"))["PublicRole"]["Properties"]["Policies"]
        for statement in policy["PolicyDocument"]["Statement"]
    ]
    reading = {"dynamodb:GetItem", "dynamodb:Query"}
    changing = [one for one in statements if any("dynamodb" in action for action in one["Action"])]
    limited = [one["Condition"] for one in changing if not reading.issuperset(one["Action"])]

    # The local cloud knows no leading keys, so only AWS holds to this.
    assert limited == [{"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["L#*"]}}]


def test_the_sign_in_is_by_srp_only() -> None:
    ((_, client),) = resources("AWS::Cognito::UserPoolClient")

    assert set(client["Properties"]["ExplicitAuthFlows"]) == {"ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"}
    assert client["Properties"]["AccessTokenValidity"] == 15
    assert client["Properties"]["GenerateSecret"] is False


def test_only_links_are_open_to_all() -> None:
    routes = {
        route["Properties"]["RouteKey"]: route["Properties"] for _, route in resources("AWS::ApiGatewayV2::Route")
    }

    assert {key for key, route in routes.items() if route["AuthorizationType"] != "JWT"} == {"ANY /p/{proxy+}"}
    assert routes["ANY /v1/{proxy+}"]["AuthorizationScopes"] == ["aws.cognito.signin.user.admin"]
