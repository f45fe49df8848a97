"""Deploy Satchel into an AWS account, or take it away again. The same code serves AWS and the local cloud."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from satchel.hosting import artifacts, emulated, preflight, stack
from satchel.hosting.aws import Aws, explained
from satchel.hosting.destroy import clear, destroy
from satchel.hosting.package import Payload, payload, stamped
from satchel.hosting.report import Report, resources_of, silent
from satchel.hosting.site import publish

__all__ = ["Deployment", "deploy", "destroy"]


@dataclass(frozen=True, slots=True)
class Deployment:
    """What stands after a deploy. `changed` is False when everything was there before."""

    stack: str
    site: str
    region: str
    changed: bool
    outputs: dict[str, str]


def deploy(
    name: str,
    *,
    aws: Aws | None = None,
    region: str | None = None,
    profile: str | None = None,
    parameters: Mapping[str, str] | None = None,
    site: str | None = None,
    report: Report = silent,
    sent: Payload | None = None,
) -> Deployment:
    """Create or update the stack `name` with its site; idempotent.

    `parameters` are the root template's; what is not given keeps its value. `site` is the address that the discovery
    document names, where it is not CloudFront's. Raises `HostingError`.
    """
    stack.check_name(name)
    aws = aws or Aws(region, profile)
    sent = sent or payload()
    with explained():
        preflight.identify(aws, report)
        bucket = artifacts.bucket_of(aws, name)
        given = {"CodeBucket": bucket, "CodeKey": sent.code_key} | dict(parameters or {})
        template = sent.template_files["satchel.yaml"].decode()
        preflight.check(aws, stack.describe(aws, name), template, given, report)
        artifacts.ensure(aws, bucket)
        found = stack.settled(aws, name, report)
        if found is not None and found["StackStatus"] in stack.DEAD:
            report(f"removing what an earlier, failed deployment left of {name}")
            clear(aws, name, report)
            found = None
        sent = stamped(sent, stack.in_force(aws, found, template, given))
        artifacts.upload_once(aws, bucket, sent.code_key, sent.zip)
        for file, content in sent.template_files.items():
            artifacts.upload_once(aws, bucket, f"{sent.template_prefix}/{file}", content)
        given["TemplateBase"] = base = f"{artifacts.address(aws, bucket)}/{sent.template_prefix}"
        if found is None:
            given["OriginSecret"] = secrets.token_urlsafe(32)
        resources = resources_of(sent.template_files, "satchel.yaml") if found is None else None
        changed = stack.bring_up(aws, name, f"{base}/satchel.yaml", given, report, resources=resources)
        made = stack.outputs(aws, name)
        if aws.local:
            emulated.restore(aws, name, sent)
        site = site or made["Site"]
        changed |= publish(aws, sent, made, site, report)
    return Deployment(name, site, aws.where, changed, made)
