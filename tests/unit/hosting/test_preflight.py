from __future__ import annotations

from typing import Any

import botocore.exceptions
import pytest

from satchel.hosting import preflight
from satchel.hosting.aws import Aws, explained
from satchel.hosting.process import HostingError
from unit.hosting.scripted import Scripted

TEMPLATE = "the root template"
DECLARED = {
    "QuotaBytes": "0", "DomainName": "", "CertificateArn": "", "WebAclArn": "", "KmsKeyArn": "",
    "MailIdentityArn": "", "ReservedConcurrency": "-1", "AllowedDomains": "",
}  # fmt: skip
CERTIFICATE = "arn:aws:acm:us-east-1:123456789012:certificate/one"
KEY = "arn:aws:kms:eu-central-1:123456789012:key/one"
IDENTITY = "arn:aws:ses:eu-west-1:123456789012:identity/example.com"
WEB_ACL = "arn:aws:wafv2:us-east-1:123456789012:global/webacl/mine/5c0c"
NO_DISTRIBUTIONS = {"Marker": "", "MaxItems": 100, "IsTruncated": False, "Quantity": 0}


def account(region: str = "eu-central-1") -> Scripted:
    """An ordinary account, with nothing in it."""
    aws = Scripted(region)
    aws.says("cloudformation", "get_template_summary", {"Parameters": declared()})
    aws.says("lambda", "get_account_settings", limits(1000, 1000))
    aws.says("s3", "list_buckets", {"Buckets": []})
    aws.says("cognito-idp", "list_user_pools", {"UserPools": []})
    aws.says("cloudfront", "list_distributions", {"DistributionList": NO_DISTRIBUTIONS})
    return aws


def checked(aws: Aws, found: dict[str, str] | None = None, **given: str) -> list[str]:
    """What is said of deploying with the parameters `given` over a stack that has those `found`."""
    lines: list[str] = []
    there = None if found is None else {"Parameters": [parameter(*pair) for pair in found.items()]}
    preflight.check(aws, there, TEMPLATE, given, lines.append)
    return lines


def test_an_ordinary_account_gives_no_reason_to_speak() -> None:
    assert checked(account()) == []


def test_a_misspelt_parameter_is_refused_with_what_was_meant() -> None:
    with pytest.raises(HostingError, match=r"QuotaByte\. Did you mean QuotaBytes\?"):
        checked(account(), QuotaByte="5")


def test_a_new_account_with_room_for_ten_functions_is_warned_only() -> None:
    aws = account()
    aws.says("lambda", "get_account_settings", limits(10, 10))

    [line] = checked(aws)

    assert line.startswith("warning: This account may run only 10")


def test_reserved_executions_that_cannot_fit_are_refused() -> None:
    aws = account()
    aws.says("lambda", "get_account_settings", limits(10, 10))

    with pytest.raises(HostingError, match="13 reserved executions do not fit"):
        checked(aws, ReservedConcurrency="5")


def test_what_is_reserved_for_identity_counts_where_there_is_one() -> None:
    aws = account()
    aws.says("lambda", "get_account_settings", limits(10, 10))

    with pytest.raises(HostingError, match="18 reserved executions do not fit"):
        checked(aws, ReservedConcurrency="5", AllowedDomains="example.com")


def test_executions_that_are_reserved_already_are_not_counted_twice() -> None:
    aws = account()
    aws.says("lambda", "get_account_settings", limits(1000, 100))

    assert checked(aws, {"ReservedConcurrency": "400"}) == []


def test_a_missing_permission_is_a_warning() -> None:
    aws = account()
    aws.says("lambda", "get_account_settings", "AccessDeniedException")

    [line] = checked(aws)

    assert "GetAccountSettings was denied" in line


def test_an_account_full_of_buckets_is_refused_unless_its_quota_is_higher() -> None:
    aws = account()
    aws.says("s3", "list_buckets", {"Buckets": [{}] * 9_998})
    aws.says("service-quotas", "get_service_quota", {"Quota": {"Value": 10_000.0}})
    with pytest.raises(HostingError, match="9998 of 10000 buckets, and 3 more"):
        checked(aws)

    aws.says("service-quotas", "get_service_quota", {"Quota": {"Value": 20_000.0}})
    assert checked(aws) == []


def test_an_update_needs_no_more_room() -> None:
    aws = account()
    aws.says("s3", "list_buckets", {"Buckets": [{}] * 9_998})

    assert checked(aws, {}) == []


@pytest.mark.parametrize(
    ("status", "names", "said"),
    [
        ("PENDING_VALIDATION", ["files.example.com"], "pending validation. Put the CNAME"),
        ("EXPIRED", ["files.example.com"], "is expired"),
        ("ISSUED", ["example.com", "*.other.example.com"], r"not for files\.example\.com"),
        ("ISSUED", ["*.a.files.example.com"], r"not for files\.example\.com"),
    ],
)
def test_a_certificate_that_will_not_do_is_refused(status: str, names: list[str], said: str) -> None:
    aws = account()
    aws.says("acm", "describe_certificate", certificate(status, names))

    with pytest.raises(HostingError, match=said):
        checked(aws, DomainName="files.example.com", CertificateArn=CERTIFICATE)


@pytest.mark.parametrize("name", ["files.example.com", "*.example.com", "FILES.example.com"])
def test_a_certificate_for_the_domain_will_do(name: str) -> None:
    aws = account()
    aws.says("acm", "describe_certificate", certificate("ISSUED", ["www.example.com", name]))

    assert checked(aws, DomainName="files.example.com", CertificateArn=CERTIFICATE) == []


def test_a_domain_without_a_certificate_is_refused() -> None:
    with pytest.raises(HostingError, match="needs a certificate"):
        checked(account(), DomainName="files.example.com")


def test_a_certificate_of_another_region_is_refused() -> None:
    with pytest.raises(HostingError, match="us-east-1"):
        checked(account(), CertificateArn=CERTIFICATE.replace("us-east-1", "eu-central-1"))


def test_a_web_acl_that_is_not_there_is_refused() -> None:
    aws = account()
    aws.says("wafv2", "get_web_acl", "WAFNonexistentItemException")

    with pytest.raises(HostingError, match="no such web ACL"):
        checked(aws, WebAclArn=WEB_ACL)


def test_a_key_that_is_disabled_or_not_there_is_refused() -> None:
    aws = account()
    aws.says("kms", "describe_key", {"KeyMetadata": {"KeyId": "k", "Enabled": False, "KeyState": "PendingDeletion"}})
    with pytest.raises(HostingError, match="is pendingdeletion"):
        checked(aws, KmsKeyArn=KEY)

    aws.says("kms", "describe_key", "NotFoundException")
    with pytest.raises(HostingError, match="There is no KMS key"):
        checked(aws, KmsKeyArn=KEY)


def test_mail_from_who_is_not_verified_is_refused() -> None:
    aws = account()
    aws.says("sesv2", "get_email_identity", {"VerifiedForSendingStatus": False})
    with pytest.raises(HostingError, match=r"SES may not send mail as example\.com\. Verify it in SES, eu-west-1"):
        checked(aws, MailIdentityArn=IDENTITY)

    aws.says("sesv2", "get_email_identity", {"VerifiedForSendingStatus": True})
    assert checked(aws, MailIdentityArn=IDENTITY) == []


def test_of_several_problems_one_is_the_error_and_the_others_are_told() -> None:
    aws = account()
    aws.says("wafv2", "get_web_acl", "WAFNonexistentItemException")
    lines: list[str] = []

    with pytest.raises(HostingError, match="needs a certificate"):
        preflight.check(aws, None, TEMPLATE, {"DomainName": "a.example.com", "WebAclArn": WEB_ACL}, lines.append)

    assert [line.split(".")[0] for line in lines] == ["problem: There is no such web ACL"]


def test_a_region_without_cloudfront_is_refused() -> None:
    with pytest.raises(HostingError, match="no CloudFront"):
        checked(account("us-gov-west-1"))


def test_who_deploys_where_is_said() -> None:
    aws, lines = account(), list[str]()
    aws.says("sts", "get_caller_identity", caller())

    preflight.identify(aws, lines.append)

    assert lines == ["deploying to account 123456789012 in eu-central-1, as arn:aws:iam::123456789012:user/admin"]


def test_a_region_that_does_not_exist_is_named_with_the_nearest(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object) -> None:
        raise botocore.exceptions.EndpointConnectionError(endpoint_url="https://sts.eu-centrall-1.amazonaws.com")

    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", unreachable)

    with pytest.raises(HostingError, match=r"no AWS region called eu-centrall-1\. Did you mean eu-central-1"):
        preflight.identify(Aws("eu-centrall-1", key=("a", "b")), print)


def test_a_region_that_the_account_has_not_enabled_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def elsewhere_only(client: Any, operation: str, _: object) -> Any:
        if client.meta.region_name == "us-east-1":
            return caller()
        raise botocore.exceptions.ClientError({"Error": {"Code": "InvalidClientTokenId", "Message": "no"}}, operation)

    monkeypatch.setattr("botocore.client.BaseClient._make_api_call", elsewhere_only)

    with pytest.raises(HostingError, match="af-south-1 is not enabled"):
        preflight.identify(Aws("af-south-1", key=("a", "b")), print)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("ExpiredToken", "session has ended.*run the same command once more"),
        ("ExpiredTokenException", "session has ended"),
        ("InvalidClientTokenId", "does not know this access key"),
        ("SignatureDoesNotMatch", "clock"),
        ("AccessDenied", "AWS refused GetCallerIdentity"),
    ],
)
def test_credentials_that_are_not_taken_say_why(code: str, said: str) -> None:
    aws = account("us-east-1")
    aws.says("sts", "get_caller_identity", code)

    with pytest.raises(HostingError, match=said), explained():
        preflight.identify(aws, print)


def declared() -> list[dict[str, str]]:
    return [{"ParameterKey": key, "DefaultValue": value} for key, value in DECLARED.items()]


def parameter(key: str, value: str) -> dict[str, str]:
    return {"ParameterKey": key, "ParameterValue": value}


def limits(limit: int, free: int) -> dict[str, Any]:
    return {"AccountLimit": {"ConcurrentExecutions": limit, "UnreservedConcurrentExecutions": free}}


def certificate(status: str, names: list[str]) -> dict[str, Any]:
    return {"Certificate": {"Status": status, "DomainName": names[0], "SubjectAlternativeNames": names}}


def caller() -> dict[str, str]:
    return {"Account": "123456789012", "Arn": "arn:aws:iam::123456789012:user/admin", "UserId": "A"}
