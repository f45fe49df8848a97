"""One CloudFormation stack, nested ones and all: bring it to a state, tell what happens on the way, take it away."""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from satchel.hosting.aws import Aws, error_code
from satchel.hosting.process import HostingError
from satchel.hosting.report import Line, Progress, Report

_NESTED = "AWS::CloudFormation::Stack"
_AFTER = {
    "UPDATE_ROLLBACK_COMPLETE": "The version from before keeps serving.",
    "UPDATE_ROLLBACK_FAILED": "Taking the update back failed too: deploy once more, which tries that again first.",
    "ROLLBACK_COMPLETE": "Deploy once more when that is mended: what is left of this attempt is removed first.",
}
DEAD = {"ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "REVIEW_IN_PROGRESS"}


@dataclass(frozen=True, slots=True)
class Resource:
    """A resource of the stack or of one nested in it."""

    kind: str
    logical_id: str
    physical_id: str


def check_name(name: str) -> None:
    """Raises `HostingError` when a stack cannot be called so."""
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]{0,39}", name):
        raise HostingError(
            f"A stack cannot be called {name!r}", "Use a letter, then up to 39 letters, digits and dashes."
        )


def describe(aws: Aws, name: str) -> dict[str, Any] | None:
    """The stack as CloudFormation tells it; None when there is none."""
    import botocore.exceptions  # noqa: PLC0415 - heavy

    try:
        stacks = aws.client("cloudformation").describe_stacks(StackName=name)["Stacks"]
    except botocore.exceptions.ClientError as error:
        if error_code(error) == "ValidationError" and "does not exist" in str(error):
            return None
        raise
    found: dict[str, Any] | None = next((s for s in stacks if s["StackStatus"] != "DELETE_COMPLETE"), None)
    return found


def outputs(aws: Aws, name: str) -> dict[str, str]:
    """Raises `HostingError` when there is no such stack."""
    found = describe(aws, name)
    if found is None:
        raise HostingError(f"There is no stack called {name}", f"Nothing of that name in {aws.where}.")
    return {output["OutputKey"]: output["OutputValue"] for output in found.get("Outputs", [])}


def in_force(aws: Aws, found: dict[str, Any] | None, template: str, given: Mapping[str, str]) -> dict[str, str]:
    """The parameters that a root `template` will have: those `given`, else those of the stack `found`, else defaults.

    A hidden one that is not given is told as CloudFormation tells it, or not at all before the stack is there.
    """
    before = parameters_of(found)
    values = {key: given.get(key, before.get(key, default)) for key, default in declared(aws, template).items()}
    return {key: value for key, value in values.items() if value is not None}


def declared(aws: Aws, template: str) -> dict[str, str | None]:
    """The parameters of a template, with their defaults; None for one that must be given."""
    summary = aws.client("cloudformation").get_template_summary(TemplateBody=template)
    return {one["ParameterKey"]: one.get("DefaultValue") for one in summary["Parameters"]}


def parameters_of(found: dict[str, Any] | None) -> dict[str, str]:
    """What a stack was deployed with; secrets are masked."""
    return {one["ParameterKey"]: one.get("ParameterValue", "") for one in (found or {}).get("Parameters", [])}


def bring_up(
    aws: Aws, name: str, template_url: str, given: Mapping[str, str], report: Report, *, resources: int | None = None
) -> bool:
    """Create or update the stack and wait; False when nothing had to change.

    Parameters that are not `given` keep their value on an update. `resources` is about how many a new stack has. Raises
    `HostingError` naming the first resource that failed, and why.
    """
    import botocore.exceptions  # noqa: PLC0415 - heavy

    cloudformation = aws.client("cloudformation")
    found = describe(aws, name)
    request = {
        "StackName": name,
        "TemplateURL": template_url,
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM"],
    }
    if found is None:
        report(f"creating the stack {name}")
        made = cloudformation.create_stack(
            **request, Parameters=_parameters(given), Tags=[{"Key": "app", "Value": "satchel"}]
        )
        since = _Seen(aws, made["StackId"], fresh=True, total=resources)
    else:
        since = _Seen(aws, found["StackId"])
        kept = {p["ParameterKey"] for p in found.get("Parameters", [])} & _declared(aws, template_url) - given.keys()
        try:
            cloudformation.update_stack(**request, Parameters=_parameters(given, kept))
        except botocore.exceptions.ClientError as error:
            if "No updates are to be performed" in str(error):
                report(f"the stack {name} is as it should be")
                return False
            raise
        report(f"updating the stack {name}")
    _wait(aws, name, since, {"CREATE_COMPLETE", "UPDATE_COMPLETE"}, report)
    return True


def settled(aws: Aws, name: str, report: Report) -> dict[str, Any] | None:
    """The stack once whatever is under way has ended, and an update that failed has been taken back; None without one.

    Its status may be one of `DEAD`: its creation failed.
    """
    found = describe(aws, name)
    if found is not None and found["StackStatus"].endswith("IN_PROGRESS") and found["StackStatus"] not in DEAD:
        report(f"waiting for what is under way on {name}")
    deadline = time.monotonic() + (60 if aws.local else 3600)
    while found is not None and found["StackStatus"].endswith("IN_PROGRESS") and found["StackStatus"] not in DEAD:
        if time.monotonic() > deadline:
            # A local cloud that lost its power in the middle may say so for ever.
            raise HostingError(
                f"The stack {name} is {found['StackStatus']} and does not come to an end",
                "Look at it in the AWS console; a local cloud's folder can be moved away, to start afresh.",
            )
        time.sleep(aws.poll_seconds)
        found = describe(aws, name)
    if found is not None and found["StackStatus"] == "UPDATE_ROLLBACK_FAILED":
        report(f"taking back an earlier update of {name} that failed")
        since = _Seen(aws, found["StackId"])
        aws.client("cloudformation").continue_update_rollback(StackName=name)
        _wait(aws, name, since, {"UPDATE_ROLLBACK_COMPLETE"}, report)
        found = describe(aws, name)
    return found


def take_down(aws: Aws, name: str, report: Report) -> None:
    """Delete the stack and wait. What is retained stays."""
    found = describe(aws, name)
    if found is None:
        return
    since = _Seen(aws, found["StackId"], total=sum(1 for _ in resources(aws, name)))
    aws.client("cloudformation").delete_stack(StackName=name)
    _wait(aws, found["StackId"], since, {"DELETE_COMPLETE"}, report)


def resources(aws: Aws, name: str, deleted: bool = False) -> Iterator[Resource]:
    """Everything in the stack and in those nested in it; of a `deleted` one, what was retained."""
    pages = aws.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=name)
    for page in pages:
        for one in page["StackResourceSummaries"]:
            physical = one.get("PhysicalResourceId")
            gone = one["ResourceStatus"] == "DELETE_COMPLETE"
            if physical and one["ResourceType"] == _NESTED:
                # A nested stack that was deleted still tells what it left behind.
                yield from resources(aws, physical, gone)
            elif physical and not gone and (not deleted or one["ResourceStatus"] == "DELETE_SKIPPED"):
                yield Resource(one["ResourceType"], one["LogicalResourceId"], physical)


@dataclass(slots=True)
class _Failure:
    at: Any
    nested: bool
    logical_id: str
    reason: str


class _Seen:
    """The events that were there before, so that only new ones are told."""

    def __init__(self, aws: Aws, stack: str, *, fresh: bool = False, total: int | None = None) -> None:
        self._aws = aws
        self._stacks = [stack]
        self._seen: set[str] = set()
        self.failures: list[_Failure] = []
        self._done: set[tuple[str, str]] = set()
        self._total = total
        if not fresh:
            for _ in self._new():
                pass

    def tell(self, report: Report) -> None:
        for event in self._new():
            status, reason = event["ResourceStatus"], event.get("ResourceStatusReason", "")
            logical, kind = event["LogicalResourceId"], event["ResourceType"]
            if not status.endswith("IN_PROGRESS"):
                report(Line(f"{status.lower().replace('_', ' ')}: {logical} ({kind})", self._progress(event)))
            if status.endswith("FAILED") and "cancelled" not in reason:
                self.failures.append(_Failure(event["Timestamp"], kind == _NESTED, logical, reason))

    def _progress(self, event: dict[str, Any]) -> Progress:
        """Stacks do not count, the deleting of what an update replaced neither."""
        if event["ResourceType"] != _NESTED and event["ResourceStatus"].endswith(("_COMPLETE", "_SKIPPED")):
            self._done.add((event["StackId"], event["LogicalResourceId"]))
        done = len(self._done)
        return Progress(done, None if self._total is None else max(done, self._total))

    def first_failure(self) -> _Failure | None:
        """The innermost and oldest one: a nested stack only repeats what happened in it."""
        return min(self.failures, key=lambda failure: (failure.nested, failure.at), default=None)

    def look_inside(self, report: Report) -> None:
        """On a local cloud no event names a nested stack that failed: find it by what its name begins with."""
        nested = [failure.logical_id for failure in self.failures if failure.nested]
        if not nested or any(not failure.nested for failure in self.failures):
            return
        root = self._stacks[0].split("/")[1] if "/" in self._stacks[0] else self._stacks[0]
        pages = self._aws.client("cloudformation").get_paginator("describe_stacks").paginate()
        there = sorted((one for page in pages for one in page["Stacks"]), key=lambda one: one["CreationTime"])
        for logical_id in nested:
            mine = [one["StackId"] for one in there if one["StackName"].startswith(f"{root}-{logical_id}-")]
            self._stacks += [stack for stack in mine[-1:] if stack not in self._stacks]
        self.tell(report)

    def _new(self) -> Iterator[dict[str, Any]]:
        import botocore.exceptions  # noqa: PLC0415 - heavy

        client = self._aws.client("cloudformation")
        for stack in self._stacks:  # grows while nested stacks turn up
            fresh: list[dict[str, Any]] = []
            try:
                for page in client.get_paginator("describe_stack_events").paginate(StackName=stack):
                    unseen = [event for event in page["StackEvents"] if event["EventId"] not in self._seen]
                    fresh += unseen
                    if len(unseen) < len(page["StackEvents"]):
                        break
            except botocore.exceptions.ClientError as error:
                if error_code(error) != "ValidationError":
                    raise
            for event in reversed(fresh):
                self._seen.add(event["EventId"])
                physical = event.get("PhysicalResourceId")
                if event["ResourceType"] == _NESTED and physical and physical not in self._stacks:
                    self._stacks.append(physical)
                yield event


def _wait(aws: Aws, name: str, seen: _Seen, good: set[str], report: Report) -> None:
    while True:
        found = describe(aws, name)
        status = "DELETE_COMPLETE" if found is None else found["StackStatus"]
        seen.tell(report)
        if status in good:
            return
        if not status.endswith("IN_PROGRESS"):
            seen.look_inside(report)
            first = seen.first_failure()
            reason = (found or {}).get("StackStatusReason") or f"It ended as {status}"
            at = f" at {first.logical_id}" if first else ""
            why = (first.reason if first else "") or reason
            raise HostingError(f"The stack {name} failed{at}", f"{why.rstrip('. ')}. {_AFTER.get(status, '')}".rstrip())
        time.sleep(aws.poll_seconds)


def _declared(aws: Aws, template_url: str) -> set[str]:
    summary = aws.client("cloudformation").get_template_summary(TemplateURL=template_url)
    return {parameter["ParameterKey"] for parameter in summary.get("Parameters", [])}


def _parameters(given: Mapping[str, str], kept: Collection[str] = ()) -> list[dict[str, Any]]:
    return [{"ParameterKey": key, "ParameterValue": value} for key, value in sorted(given.items())] + [
        {"ParameterKey": key, "UsePreviousValue": True} for key in sorted(kept)
    ]
