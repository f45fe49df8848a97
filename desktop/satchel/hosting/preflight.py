"""What can be known to go wrong before anything is changed: credentials, region, quotas, certificate, web ACL.

What makes a deployment fail for certain is refused; what may hurt later, or could not be looked at, is a warning.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from satchel.hosting import stack
from satchel.hosting.aws import Aws, error_code
from satchel.hosting.process import HostingError
from satchel.hosting.report import Report

GLOBAL_REGION = "us-east-1"
"""Where certificates and web ACLs for CloudFront live, and its quotas."""

_SERVICES = ("apigatewayv2", "cognito-idp", "dynamodb", "events", "lambda", "logs", "s3", "sqs")
_USUAL_CONCURRENCY = 1000
_FEW = 50
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AuthorizationError"}
_MISTAKEN = {"InvalidClientTokenId", "UnrecognizedClientException", "AuthFailure"}


@dataclass(frozen=True, slots=True)
class Finding:
    """`fatal` means that the deployment cannot succeed."""

    title: str
    remedy: str
    fatal: bool = False


def check(aws: Aws, found: dict[str, Any] | None, template: str, given: Mapping[str, str], report: Report) -> None:
    """Look at all there is to look at, and change nothing.

    `found` is the stack as it stands, None without one; `given` are the parameters of the root `template` that this
    deployment sets. Raises `HostingError` with the first thing that makes it impossible; all others are reported.
    """
    declared = stack.declared(aws, template)
    before = None if found is None else stack.parameters_of(found)
    wanted = {key: value for key, value in declared.items() if value is not None} | (before or {}) | dict(given)
    problems = [*_misspelt(given, set(declared)), *_findings(aws, before, wanted)]
    first = next((one for one in problems if one.fatal), None)
    for one in problems:
        if one is not first:
            report(f"{'problem' if one.fatal else 'warning'}: {one.title}. {one.remedy}")
    if first is not None:
        raise HostingError(first.title, f"{first.remedy} Nothing was changed.")


def identify(aws: Aws, report: Report) -> None:
    """Say where this goes. Raises `HostingError` when AWS does not take the credentials, or there is no such region."""
    import botocore.exceptions  # noqa: PLC0415 - heavy

    known = _known_region(aws)
    try:
        report(f"deploying to account {aws.account} in {aws.where}, as {aws.identity}")
    except botocore.exceptions.EndpointConnectionError as error:
        if known:
            raise
        raise HostingError(f"There is no AWS region called {aws.where}", _nearest(aws)) from error
    except botocore.exceptions.ClientError as error:
        if error_code(error) in _MISTAKEN and aws.where != GLOBAL_REGION and not aws.local and _welcome(aws):
            raise HostingError(
                f"The region {aws.where} is not enabled in this account",
                "Enable it in the AWS console (Account, AWS Regions), which takes some minutes, or choose another.",
            ) from error
        raise


def _findings(aws: Aws, before: Mapping[str, str] | None, wanted: Mapping[str, str]) -> Iterator[Finding]:
    yield from _certificate(aws, wanted)
    yield from _web_acl(aws, wanted)
    yield from _keys(aws, wanted)
    yield from _mail(aws, wanted)
    if aws.local:
        return  # it has no quotas, and its regions are names
    yield from _missing_services(aws)
    yield from _concurrency(aws, before or {}, wanted)
    if before is None:
        yield from _room(aws)


def _misspelt(given: Mapping[str, str], declared: set[str]) -> Iterator[Finding]:
    for name in sorted(given.keys() - declared):
        near = difflib.get_close_matches(name, declared, 1)
        remedy = f"Did you mean {near[0]}?" if near else f"There are: {', '.join(sorted(declared))}."
        yield Finding(f"There is no parameter called {name}", remedy, fatal=True)


def _certificate(aws: Aws, wanted: Mapping[str, str]) -> Iterator[Finding]:
    domain, arn = wanted.get("DomainName", ""), wanted.get("CertificateArn", "")
    if not arn:
        if domain:
            yield Finding(
                f"{domain} needs a certificate",
                f"Request one for it in ACM, in {GLOBAL_REGION}, and pass --parameter CertificateArn=ARN.",
                fatal=True,
            )
        return
    if f":acm:{GLOBAL_REGION}:" not in arn:
        yield Finding(
            "The certificate is in another region", f"CloudFront takes only those of {GLOBAL_REGION}.", fatal=True
        )
        return
    reply, trouble = _ask("the certificate", aws.client("acm", GLOBAL_REGION).describe_certificate, CertificateArn=arn)
    if trouble or reply is None:
        yield trouble or Finding("There is no such certificate", f"Look at {arn} in ACM, {GLOBAL_REGION}.", fatal=True)
        return
    certificate = reply["Certificate"]
    if certificate["Status"] != "ISSUED":
        yield Finding(
            f"The certificate is {certificate['Status'].replace('_', ' ').lower()}",
            "Put the CNAME record that ACM shows into the domain's DNS and wait until it says Issued."
            if certificate["Status"] == "PENDING_VALIDATION"
            else "Request a new one in ACM and pass --parameter CertificateArn=ARN.",
            fatal=True,
        )
    names = {certificate["DomainName"], *certificate.get("SubjectAlternativeNames", [])}
    if domain and not any(_covers(name, domain) for name in names):
        yield Finding(
            f"The certificate is not for {domain}",
            f"It is for {', '.join(sorted(names))}. Request one for {domain} in ACM, {GLOBAL_REGION}.",
            fatal=True,
        )


def _covers(name: str, domain: str) -> bool:
    """`*.example.com` stands for one label, no more and no less."""
    name, domain = name.lower(), domain.lower()
    return name == domain or (name.startswith("*.") and "." in domain and name[2:] == domain.split(".", 1)[1])


def _web_acl(aws: Aws, wanted: Mapping[str, str]) -> Iterator[Finding]:
    arn = wanted.get("WebAclArn", "")
    if not arn:
        return
    *_, name, number = arn.split("/")
    reply, trouble = _ask(
        "the web ACL",
        aws.client("wafv2", GLOBAL_REGION).get_web_acl,
        Name=name,
        Id=number,
        Scope="CLOUDFRONT",
    )
    if trouble or reply is None:
        yield trouble or Finding(
            "There is no such web ACL", f"Look for {name} in WAF, under Global (CloudFront).", fatal=True
        )


def _keys(aws: Aws, wanted: Mapping[str, str]) -> Iterator[Finding]:
    for arn in sorted({wanted.get("KmsKeyArn", ""), wanted.get("LogKmsKeyArn", "")} - {""}):
        reply, trouble = _ask("the KMS key", aws.client("kms").describe_key, KeyId=arn)
        if trouble:
            yield trouble
        elif reply is None:
            yield Finding(f"There is no KMS key {arn}", f"It has to be in {aws.where}.", fatal=True)
        elif not reply["KeyMetadata"]["Enabled"]:
            yield Finding(
                f"The KMS key {arn} is {reply['KeyMetadata'].get('KeyState', 'disabled').lower()}",
                "Enable it, or name another.",
                fatal=True,
            )


def _mail(aws: Aws, wanted: Mapping[str, str]) -> Iterator[Finding]:
    arn = wanted.get("MailIdentityArn", "")
    if not arn:
        return
    *_, region, _account, identity = arn.split(":", 5)
    name = identity.removeprefix("identity/")
    reply, trouble = _ask("the mail identity", aws.client("sesv2", region).get_email_identity, EmailIdentity=name)
    if trouble:
        yield trouble
    elif reply is None or not reply.get("VerifiedForSendingStatus"):
        yield Finding(
            f"SES may not send mail as {name}", f"Verify it in SES, {region}: no invitation would arrive.", fatal=True
        )


def _missing_services(aws: Aws) -> Iterator[Finding]:
    if not _known_region(aws):
        return
    missing = [name for name in _SERVICES if not aws.offers(name)]
    if missing:
        yield Finding(
            f"{', '.join(missing)} may be missing in {aws.where}",
            "Should it fail there, choose another region.",
        )
    if not aws.offers("cloudfront"):
        yield Finding(
            f"There is no CloudFront for {aws.where}", "Choose a region outside AWS GovCloud and China.", fatal=True
        )


def _concurrency(aws: Aws, before: Mapping[str, str], wanted: Mapping[str, str]) -> Iterator[Finding]:
    reply, trouble = _ask("how many functions may run at once", aws.client("lambda").get_account_settings)
    if trouble or reply is None:
        yield trouble or Finding("Lambda tells no limits", "The deployment is tried all the same.")
        return
    limit = int(reply["AccountLimit"]["ConcurrentExecutions"])
    free = int(reply["AccountLimit"]["UnreservedConcurrentExecutions"])
    # AWS keeps 100 for functions that reserve none; an account that has fewer can reserve none at all.
    more = _reserved(wanted) - _reserved(before)
    if more > max(0, free - min(100, limit)):
        yield Finding(
            f"{_reserved(wanted)} reserved executions do not fit in this account, which may run {limit} at once",
            "Reserve fewer, or ask for more: Service Quotas, AWS Lambda, Concurrent executions. It costs nothing.",
            fatal=True,
        )
    elif limit < _FEW:
        yield Finding(
            f"This account may run only {limit} functions at once, as new ones may: enough for a few people",
            f"Ask for {_USUAL_CONCURRENCY}: Service Quotas, AWS Lambda, Concurrent executions. It costs nothing.",
        )


def _reserved(parameters: Mapping[str, str]) -> int:
    """Executions set aside: so many each for api and public, 2 for ingest, 1 for janitor, 5 for identity if there."""
    each = int(parameters.get("ReservedConcurrency") or -1)
    identity = 5 if parameters.get("AllowedDomains") else 0
    return 2 * each + 3 + identity if each >= 0 else 0


@dataclass(frozen=True, slots=True)
class _Kind:
    """Something that an account may have only so many of, unless Service Quotas says otherwise."""

    words: str
    service: str
    listing: str
    member: tuple[str, ...]
    usual: int
    needed: int
    quota_code: str | None = None
    region: str | None = None


_KINDS = (
    _Kind("buckets", "s3", "list_buckets", ("Buckets",), 10_000, 3, "L-DC2B2D3D"),
    _Kind("user pools", "cognito-idp", "list_user_pools", ("UserPools",), 1000, 1),
    _Kind(
        "CloudFront distributions", "cloudfront", "list_distributions", ("DistributionList", "Items"),
        200, 1, "L-24B04930", GLOBAL_REGION,
    ),
)  # fmt: skip


def _room(aws: Aws) -> Iterator[Finding]:
    for kind in _KINDS:
        count, trouble = _ask(f"how many {kind.words} there are", _count, aws=aws, kind=kind)
        if trouble or count is None:
            if trouble:
                yield trouble
            continue
        # Few accounts are near even the usual limit: only those are worth another question.
        if count + kind.needed <= kind.usual:
            continue
        limit = _quota(aws, kind)
        if count + kind.needed > limit:
            yield Finding(
                f"This account has {count} of {limit} {kind.words}, and {kind.needed} more are needed",
                "Delete some, or ask for more in Service Quotas.",
                fatal=True,
            )


def _count(aws: Aws, kind: _Kind) -> int:
    count = 0
    options = {"PaginationConfig": {"PageSize": 60}} if kind.service == "cognito-idp" else {}
    for page in aws.client(kind.service).get_paginator(kind.listing).paginate(**options):
        found: Any = page
        for name in kind.member:
            found = found.get(name, {})
        count += len(found)
    return count


def _quota(aws: Aws, kind: _Kind) -> int:
    if kind.quota_code is None:
        return kind.usual
    quotas = aws.client("service-quotas", kind.region)
    reply, _ = _ask("", quotas.get_service_quota, ServiceCode=kind.service, QuotaCode=kind.quota_code)
    return int(reply["Quota"]["Value"]) if reply else kind.usual


def _ask(what: str, call: Callable[..., Any], **arguments: Any) -> tuple[Any, Finding | None]:
    """The reply, or None when there is no such thing; a missing permission is worth a warning, no more."""
    import botocore.exceptions  # noqa: PLC0415 - heavy

    try:
        return call(**arguments), None
    except botocore.exceptions.ClientError as error:
        code = error_code(error)
        if code in _DENIED:
            return None, Finding(
                f"You may not look at {what}",
                f"So that is not checked ({error.operation_name} was denied).",
            )
        if code.endswith(("NotFoundException", "NonexistentItemException", "NoSuchResourceException")):
            return None, None
        raise


def _known_region(aws: Aws) -> bool:
    return aws.local or aws.where in aws.regions()


def _nearest(aws: Aws) -> str:
    near = difflib.get_close_matches(aws.where, aws.regions(), 3, 0.5)
    return f"Did you mean {' or '.join(near)}?" if near else "They look like eu-central-1."


def _welcome(aws: Aws) -> bool:
    """Whether the same credentials are good elsewhere, so that the region is what is refused."""
    import botocore.exceptions  # noqa: PLC0415 - heavy

    try:
        aws.client("sts", GLOBAL_REGION).get_caller_identity()
    except botocore.exceptions.ClientError:
        return False
    return True
