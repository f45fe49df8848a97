"""Least privilege, from the other side: without any single action of its role, a function fails at its work.

`make iam` runs it and writes docs/least-privilege.md. That the roles are enough is what all of the e2e tests show.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from e2e.cloud_fixture import LocalCloud
from e2e.service.test_janitor import Owner
from iam.probes import NOT_ENFORCED, PROBES, Probe
from satchel.hosting import local, stack

PAGE = Path(__file__).parents[2] / "docs" / "least-privilege.md"


@dataclass(frozen=True)
class Grant:
    """One action on one resource, as the role's policy has it."""

    statement: int
    action: str
    resource: str


@dataclass
class Role:
    cloud: LocalCloud
    name: str
    policy: str
    document: dict[str, Any]

    def grants(self) -> Iterator[Grant]:
        for number, statement in enumerate(self.document["Statement"]):
            for action in many(statement["Action"]):
                for resource in many(statement["Resource"]):
                    yield Grant(number, action, resource)

    def without(self, grant: Grant) -> dict[str, Any]:
        """The policy but for one grant; the statement's other actions keep all its resources."""
        kept: list[dict[str, Any]] = []
        for number, statement in enumerate(self.document["Statement"]):
            if number != grant.statement:
                kept.append(statement)
                continue
            actions = [one for one in many(statement["Action"]) if one != grant.action]
            resources = [one for one in many(statement["Resource"]) if one != grant.resource]
            kept += [statement | {"Action": actions}] if actions else []
            kept += [statement | {"Action": [grant.action], "Resource": resources}] if resources else []
        return self.document | {"Statement": kept or [DENY_NOTHING]}

    def put(self, document: dict[str, Any]) -> None:
        self.cloud.aws.client("iam").put_role_policy(
            RoleName=self.name, PolicyName=self.policy, PolicyDocument=json.dumps(document)
        )


DENY_NOTHING = {"Effect": "Deny", "Action": "none:None", "Resource": "*"}
"""A policy must have a statement."""


def many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def role_of(cloud: LocalCloud, function: str) -> Role | None:
    """What was deployed, and not what a template says. None where the function was not asked for."""
    wanted = f"{function.capitalize()}Role"
    found = [one for one in stack.resources(cloud.aws, local.STACK) if one.logical_id == wanted]
    if not found:
        return None
    iam, name = cloud.aws.client("iam"), found[0].physical_id
    (policy,) = iam.list_role_policies(RoleName=name)["PolicyNames"]
    document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
    return Role(cloud, name, policy, json.loads(document) if isinstance(document, str) else document)


def failing(cloud: LocalCloud, probes: list[Probe]) -> str:
    """The name of the first probe that fails; empty when none does."""
    for probe in probes:
        email, password = cloud.new_user()
        owner = Owner(cloud, cloud.sub(email), cloud.tokens(email, password)["AccessToken"])
        try:
            probe(cloud, owner)
        except Exception:
            return probe.__name__
    return ""


def catch_up(cloud: LocalCloud) -> None:
    """The janitor clears away what a probe that failed has left for it: the next one counts what is done."""
    cloud.aws.client("lambda").invoke(FunctionName=f"{local.STACK}-janitor:live", Payload=b"{}")


ROWS: list[tuple[str, Grant, str]] = []


@pytest.mark.parametrize("function", PROBES)
def test_every_action_of_the_role_is_needed(cloud: LocalCloud, function: str) -> None:
    role = role_of(cloud, function)
    assert role is not None, "it is deployed with a mail domain that is allowed: see PARAMETERS"
    assert failing(cloud, PROBES[function]) == "", "a probe fails with the whole policy"

    superfluous = []
    for grant in role.grants():
        if grant.action in NOT_ENFORCED:
            ROWS.append((function, grant, f"not enforced here: {NOT_ENFORCED[grant.action]}"))
            continue
        role.put(role.without(grant))
        try:
            probe = failing(cloud, PROBES[function])
        finally:
            role.put(role.document)
            catch_up(cloud)
        assert failing(cloud, PROBES[function]) == "", "a probe fails though all is granted again: it proves nothing"
        print(f"{function:9} {grant.action:30} {probe or 'NOT NEEDED'}", flush=True)
        if probe:
            ROWS.append((function, grant, f"`{probe}` fails"))
        else:
            superfluous.append(grant)

    assert superfluous == []


def test_the_page_says_so() -> None:
    assert {function for function, _, _ in ROWS} == set(PROBES), "a function is not proven: see above"
    lines = [
        f"| {function} | `{grant.action}` | {place(grant.resource)} | {verdict} |" for function, grant, verdict in ROWS
    ]
    seen = {grant.action for _, grant, _ in ROWS}
    others = [f"- `{action}`: {reason}" for action, reason in NOT_ENFORCED.items() if action not in seen]
    PAGE.write_text("\n".join([HEAD + "\n".join(lines), "", "Not in the roles unless asked for:", "", *others, ""]))
    print(f"\nwritten to {PAGE}")


def place(resource: str) -> str:
    """What a resource is, without the names and numbers of this deployment."""
    kinds = {
        "/index/due": "the table's index",
        "/stream/": "the table's stream",
        ":table/": "the table",
        "/c/*": "content, `c/*`",
        ":sqs:": "the queue",
    }
    kinds |= {":log-group:": "its own log", "/@connections/": "open connections of the WebSocket API"}
    return next((words for mark, words in kinds.items() if mark in resource), f"`{resource}`")


HEAD = """# Least privilege

Written by `make iam`. With the roles as they are shipped all tests pass; without any single action of a role a probe of
its function fails, on the local cloud, which enforces IAM. What that cannot enforce is listed with the reason. Which
calls each role is refused is in `tests/e2e/service/test_roles.py`. The public role may update rows of links alone, and
push reaches tickets and connections alone: their policies say so by leading keys, a condition that the local cloud does
not look at. The identity function calls nothing.

| function | may | on | without it |
| --- | --- | --- | --- |
"""
