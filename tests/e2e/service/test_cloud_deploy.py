from __future__ import annotations

import contextlib
import json
import re
import secrets
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from e2e.cloud_fixture import LocalCloud
from satchel.hosting import deploy, destroy, local, stack, users
from satchel.hosting.aws import Aws
from satchel.hosting.package import payload
from satchel.hosting.process import HostingError


def test_the_site_carries_the_pages(cloud: LocalCloud) -> None:
    front, share = cloud.request("GET", "/"), cloud.request("GET", "/s/abcdefghijklmnopqrstuv")

    assert front.status == share.status == 200
    assert front.header("content-type") == "text/html; charset=utf-8"
    assert front.body == share.body
    assert front.header("referrer-policy") == "no-referrer"
    assert "default-src 'none'" in (front.header("content-security-policy") or "")


def test_what_a_page_loads_may_be_kept_for_ever_and_the_page_itself_is_asked_for_anew(cloud: LocalCloud) -> None:
    page = cloud.request("GET", "/")
    loaded = re.findall(r'"(/assets/[^"]+)"', page.body.decode())

    assert page.header("cache-control") == "no-cache"
    assert loaded
    for path in loaded:
        asset = cloud.request("GET", path)
        assert asset.status == 200, path
        assert asset.header("cache-control") == "public, max-age=31536000, immutable"


def test_the_site_says_where_everything_is(cloud: LocalCloud) -> None:
    found = cloud.request("GET", "/.well-known/satchel.json").json()

    assert found["satchel"] == 1
    assert found["site"] == cloud.site
    assert found["user_pool_id"] == cloud.user_pool_id
    assert found["client_id"] == cloud.client_id
    assert found["identity_endpoint"] == cloud.endpoint


def test_a_page_that_is_not_there_is_a_404(cloud: LocalCloud) -> None:
    assert cloud.request("GET", "/nothing/here.js").status == 404


def test_a_name_that_is_not_the_sites_is_sent_away(cloud: LocalCloud) -> None:
    assert cloud.request("GET", "/", headers={"Host": "rebound.example.com"}).status == 421


def test_deploying_again_changes_nothing(cloud: LocalCloud) -> None:
    lines: list[str] = []

    again = deploy.deploy(local.STACK, aws=cloud.aws, site=cloud.site, report=lines.append)

    assert not again.changed
    assert again.outputs == cloud.outputs


@pytest.mark.parametrize("name", ["", "9lives", "with space", "x" * 41])
def test_a_stack_name_that_cannot_be_is_refused(cloud: LocalCloud, name: str) -> None:
    with pytest.raises(HostingError, match="cannot be called"):
        deploy.deploy(name, aws=cloud.aws)


def test_what_cannot_succeed_is_refused_before_anything_is_made(cloud: LocalCloud) -> None:
    before = set(all_names(cloud))
    certificate = cloud.aws.client("acm").request_certificate(DomainName="www.example.com")["CertificateArn"]
    given = {"DomainName": "files.example.com", "CertificateArn": certificate}

    with pytest.raises(HostingError, match=r"not for files\.example\.com.*Nothing was changed"):
        deploy.deploy("Refused", aws=cloud.aws, parameters=given)
    with pytest.raises(HostingError, match="Did you mean TrashDays"):
        deploy.deploy("Refused", aws=cloud.aws, parameters={"TrashDay": "3"})

    assert set(all_names(cloud)) == before


@pytest.fixture
def before(cloud: LocalCloud) -> set[tuple[str, str]]:
    """What was there before the test; ask for it first."""
    return set(all_names(cloud))


@pytest.fixture
def second(cloud: LocalCloud) -> Iterator[str]:
    """The name of another stack on the same cloud, deployed and taken away again."""
    with another(cloud) as name:
        yield name


@pytest.fixture(scope="module")
def shared(cloud: LocalCloud) -> Iterator[str]:
    """As `second`, for tests that change what no other test here asks for."""
    with another(cloud) as name:
        yield name


@contextlib.contextmanager
def another(cloud: LocalCloud) -> Iterator[str]:
    name = f"Second-{secrets.token_hex(3)}"
    deploy.deploy(name, aws=cloud.aws, parameters={"RequireTls": "false"})
    yield name
    with contextlib.suppress(HostingError):
        deploy.destroy(name, aws=cloud.aws, erase=name)


def test_an_update_keeps_what_was_chosen_before(cloud: LocalCloud, shared: str) -> None:
    deploy.deploy(shared, aws=cloud.aws, parameters={"QuotaBytes": "1234"})

    deploy.deploy(shared, aws=cloud.aws, parameters={"TrashDays": "3"})

    environment = cloud.aws.client("lambda").get_function(FunctionName=f"{shared}-api")["Configuration"]["Environment"]
    assert environment["Variables"]["QUOTA_BYTES"] == "1234"
    assert environment["Variables"]["TRASH_DAYS"] == "3"


def test_every_invoker_calls_the_version_that_the_alias_points_to(cloud: LocalCloud, shared: str) -> None:
    functions, gateway = cloud.aws.client("lambda"), cloud.aws.client("apigatewayv2")
    api = stack.outputs(cloud.aws, shared)["ApiId"]
    before = functions.get_alias(FunctionName=f"{shared}-api", Name="live")["FunctionVersion"]

    deploy.deploy(shared, aws=cloud.aws, parameters={"UrlSeconds": "61"})

    live = functions.get_alias(FunctionName=f"{shared}-api", Name="live")
    served = functions.get_function(FunctionName=f"{shared}-api", Qualifier="live")["Configuration"]
    called = {one["IntegrationUri"] for one in gateway.get_integrations(ApiId=api)["Items"]}
    assert live["FunctionVersion"] != before
    assert served["Environment"]["Variables"]["URL_SECONDS"] == "61"
    assert live["AliasArn"] in called
    assert all(uri.endswith(":live") for uri in called)


def test_parameters_that_do_not_go_together_are_refused_before_anything_changes(cloud: LocalCloud, shared: str) -> None:
    apart = [
        ({"TrafficShift": "Canary10Percent5Minutes", "Alarms": "false"}, "needs Alarms"),
        ({"BudgetUsd": "10"}, "needs AlarmMail"),
        ({"MailFrom": "satchel@example.com"}, "needs MailIdentityArn"),
        ({"Federation": "SAML"}, "needs SamlMetadataUrl"),
        ({"Federation": "OIDC", "OidcIssuer": "https://example.com"}, "needs OidcClientId"),
    ]
    before = stack.describe(cloud.aws, shared)

    for parameters, reason in apart:
        with pytest.raises(HostingError, match=reason):
            deploy.deploy(shared, aws=cloud.aws, parameters=parameters)

    assert stack.describe(cloud.aws, shared) == before


def test_what_costs_is_off_until_it_is_asked_for(cloud: LocalCloud, second: str) -> None:
    key = cloud.aws.client("kms").create_key()["KeyMetadata"]["Arn"]
    asked = {
        "KmsKeyArn": key,
        "LogKmsKeyArn": key,
        "Tracing": "Active",
        "Mfa": "OPTIONAL",
        "ThreatProtection": "AUDIT",
        "AlarmMail": "alice@example.com",
    }
    functions, identity = cloud.aws.client("lambda"), cloud.aws.client("cognito-idp")
    name, pool = f"{second}-api", stack.outputs(cloud.aws, second)["UserPoolId"]
    before = functions.get_function(FunctionName=name)
    assert before["Configuration"]["TracingConfig"]["Mode"] == "PassThrough"
    assert identity.describe_user_pool(UserPoolId=pool)["UserPool"]["UserPoolTier"] == "ESSENTIALS"
    assert not alarms(cloud, second)[0]["AlarmActions"]

    deploy.deploy(second, aws=cloud.aws, parameters=asked)

    after = functions.get_function(FunctionName=name)
    users = identity.describe_user_pool(UserPoolId=pool)["UserPool"]
    role = after["Configuration"]["Role"].rsplit("/")[-1]
    policy = cloud.aws.client("iam").get_role_policy(RoleName=role, PolicyName="api")["PolicyDocument"]
    granted = (json.loads(policy) if isinstance(policy, str) else policy)["Statement"]
    assert after["Configuration"]["TracingConfig"]["Mode"] == "Active"
    assert {"Effect": "Allow", "Action": ["kms:Decrypt", "kms:GenerateDataKey"], "Resource": key} in granted
    assert (users["UserPoolTier"], users["MfaConfiguration"]) == ("PLUS", "OPTIONAL")
    assert len(alarms(cloud, second)) == 10
    assert all(alarm["AlarmActions"] for alarm in alarms(cloud, second))


def alarms(cloud: LocalCloud, name: str) -> list[dict[str, Any]]:
    return list(cloud.aws.client("cloudwatch").describe_alarms(AlarmNamePrefix=f"{name}-")["MetricAlarms"])


def test_accounts_can_be_for_some_mail_domains_only(cloud: LocalCloud, shared: str) -> None:
    made = deploy.deploy(shared, aws=cloud.aws, parameters={"AllowedDomains": "example.com,example.org"})

    pool = cloud.aws.client("cognito-idp").describe_user_pool(UserPoolId=made.outputs["UserPoolId"])["UserPool"]
    asked = cloud.aws.client("lambda").get_function(FunctionName=pool["LambdaConfig"]["PreSignUp"])["Configuration"]
    assert asked["FunctionName"] == f"{shared}-identity"
    assert asked["Environment"]["Variables"]["ALLOWED_DOMAINS"] == "example.com,example.org"
    with pytest.raises(HostingError, match=r"for example\.com, example\.org only"):
        users.add(users.Directory.of(shared, cloud.aws), "alice@example.net")


def test_destroy_leaves_nothing_behind(cloud: LocalCloud, before: set[tuple[str, str]], second: str) -> None:
    deploy.deploy(second, aws=cloud.aws, parameters={"AlarmMail": "alice@example.com"})
    made = set(all_names(cloud)) - before

    deploy.destroy(second, aws=cloud.aws)

    assert {kind for kind, _ in made} == {kind for kind, _ in all_names(cloud)} | {"topic"}
    assert set(all_names(cloud)) == before
    assert not [name for _, name in all_names(cloud) if second.lower() in name.lower()]


def test_destroy_refuses_while_users_keep_files(cloud: LocalCloud, second: str) -> None:
    bucket = stack.outputs(cloud.aws, second)["ContentBucket"]
    s3 = cloud.aws.client("s3")
    s3.put_object(Bucket=bucket, Key="c/a/b", Body=b"kept")
    s3.put_object(Bucket=bucket, Key="c/a/b", Body=b"kept too")
    s3.delete_object(Bucket=bucket, Key="c/a/b")
    s3.create_multipart_upload(Bucket=bucket, Key="c/a/c")

    with pytest.raises(HostingError, match="still holds"):
        deploy.destroy(second, aws=cloud.aws)
    assert stack.describe(cloud.aws, second) is not None

    deploy.destroy(second, aws=cloud.aws, erase=second)
    assert bucket not in {name for _, name in all_names(cloud)}


def test_a_destroy_that_was_cut_off_goes_on(cloud: LocalCloud, second: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = stack.outputs(cloud.aws, second)["UserPoolId"]
    with monkeypatch.context() as cut:
        cut.setattr(destroy, "_remove_bucket", raise_cut_off)
        with pytest.raises(RuntimeError):
            deploy.destroy(second, aws=cloud.aws)
    assert stack.describe(cloud.aws, second) is None

    deploy.destroy(second, aws=cloud.aws)

    assert pool not in {name for _, name in all_names(cloud)}


def test_a_deployment_that_fails_names_the_resource_and_the_reason(cloud: LocalCloud, tmp_path: Path) -> None:
    pools = len([name for kind, name in all_names(cloud) if kind == "pool"])
    broken = replace(payload(), templates=tmp_path)
    for name, template in payload().template_files.items():
        (tmp_path / name).write_bytes(template.replace(b"maxReceiveCount: 5", b"maxReceiveCount: 5000"))

    with pytest.raises(HostingError, match="IngestQueue"):
        deploy.deploy("Broken", aws=cloud.aws, parameters={"RequireTls": "false"}, sent=broken)

    deploy.deploy("Broken", aws=cloud.aws, parameters={"RequireTls": "false"})
    deploy.destroy("Broken", aws=cloud.aws)
    # The local cloud's own rollback forgets a queue.
    assert not [name for kind, name in all_names(cloud) if "broken" in name.lower() and kind != "queue"]
    assert len([name for kind, name in all_names(cloud) if kind == "pool"]) == pools


def test_destroying_what_is_not_there_says_so(cloud: LocalCloud) -> None:
    with pytest.raises(HostingError, match="no stack called"):
        deploy.destroy("Nothing", aws=cloud.aws)


def raise_cut_off(*_: object) -> None:
    raise RuntimeError("cut off")


def all_names(cloud: LocalCloud) -> list[tuple[str, str]]:
    """Everything on this cloud that costs or keeps something."""
    aws = cloud.aws
    distributions = aws.client("cloudfront").list_distributions()["DistributionList"].get("Items", [])
    return [
        *(("bucket", one["Name"]) for one in aws.client("s3").list_buckets()["Buckets"]),
        *(("table", name) for name in aws.client("dynamodb").list_tables()["TableNames"]),
        *(("pool", one["Id"]) for one in aws.client("cognito-idp").list_user_pools(MaxResults=60)["UserPools"]),
        *(("function", one["FunctionName"]) for one in aws.client("lambda").list_functions()["Functions"]),
        *(("log", one["logGroupName"]) for one in aws.client("logs").describe_log_groups()["logGroups"]),
        *(("alarm", one["AlarmName"]) for one in aws.client("cloudwatch").describe_alarms()["MetricAlarms"]),
        *(("dashboard", one["DashboardName"]) for one in listed(aws, "cloudwatch", "list_dashboards")),
        *(("topic", one["TopicArn"]) for one in listed(aws, "sns", "list_topics")),
        *(("queue", url) for url in aws.client("sqs").list_queues().get("QueueUrls", [])),
        *(("rule", one["Name"]) for one in aws.client("events").list_rules()["Rules"]),
        *(("api", one["ApiId"]) for one in aws.client("apigatewayv2").get_apis()["Items"]),
        *(("role", one["RoleName"]) for one in aws.client("iam").list_roles()["Roles"]),
        *(("distribution", one["Id"]) for one in distributions),
    ]


def listed(aws: Aws, service: str, call: str) -> list[dict[str, str]]:
    """All that a service lists, however many pages that takes."""
    pages = aws.client(service).get_paginator(call).paginate()
    return [one for page in pages for kind in ("DashboardEntries", "Topics") for one in page.get(kind, [])]


def test_what_the_local_cloudformation_drops_is_set_again(cloud: LocalCloud) -> None:
    s3, dynamodb = cloud.aws.client("s3"), cloud.aws.client("dynamodb")
    rules = s3.get_bucket_lifecycle_configuration(Bucket=cloud.content_bucket)["Rules"]
    backups = dynamodb.describe_continuous_backups(TableName=cloud.table)["ContinuousBackupsDescription"]

    assert any(rule.get("AbortIncompleteMultipartUpload") == {"DaysAfterInitiation": 14} for rule in rules)
    assert dynamodb.describe_time_to_live(TableName=cloud.table)["TimeToLiveDescription"]["AttributeName"] == "ttl"
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"
