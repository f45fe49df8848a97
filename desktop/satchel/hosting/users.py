"""The administrator's side of accounts: add, list, disable, enable, and what each may keep.

An account has two halves: a user of the Cognito pool, and the account's row in the table (`A#sub`, `HEAD`), which the
service makes at the first request. What is set here before that is set on a row made just like the service's.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from satchel.hosting import stack
from satchel.hosting.aws import Aws, error_code, explained
from satchel.hosting.process import HostingError

_PAGE = 60
_LETTERS = "abcdefghijkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # nothing that looks like something else
_NO_MAIL = {"CodeDeliveryFailureException", "LimitExceededException", "InvalidEmailRoleAccessPolicyException"}


@dataclass(frozen=True, slots=True)
class User:
    """`status` is active, invited (no sign-in yet) or disabled; `quota_bytes` None is everybody's, 0 is no limit.

    `last_change_ms` is None without a change in the last 90 days: the log goes back no further.
    """

    email: str
    account_id: str
    status: str
    used_bytes: int
    quota_bytes: int | None
    last_change_ms: int | None


@dataclass(frozen=True, slots=True)
class Added:
    """`temporary_password` is set where no mail tells it; the first sign-in asks for one of their own."""

    email: str
    account_id: str
    site: str
    invited_by_mail: bool
    temporary_password: str | None


@dataclass(frozen=True)
class Directory:
    """Where the accounts of one deployment are. `domains` is empty where any mail domain may have one."""

    aws: Aws
    pool: str
    table: str
    site: str
    domains: tuple[str, ...] = ()

    @classmethod
    def of(cls, name: str, aws: Aws, site: str | None = None) -> Directory:
        """Raises `HostingError` when there is no such stack, or it is only half made."""
        stack.check_name(name)
        with explained():
            made = stack.outputs(aws, name)
            parameters = stack.parameters_of(stack.describe(aws, name))
        if not {"UserPoolId", "TableName", "Site"} <= made.keys():
            raise HostingError(f"The stack {name} is not complete", f"Finish it with `satchel deploy --stack {name}`.")
        domains = tuple(
            part.strip().lower() for part in parameters.get("AllowedDomains", "").split(",") if part.strip()
        )
        return cls(aws, made["UserPoolId"], made["TableName"], site or made["Site"], domains)


def add(
    directory: Directory,
    email: str,
    *,
    mail: bool = True,
    again: bool = False,
    password: str | None = None,
    quota_bytes: int | None = None,
) -> Added:
    """Make an account. With `mail`, Cognito sends a temporary password; with `password`, that one is theirs for good.

    `again` gives one who has not signed in yet a new invitation. Raises `HostingError`.
    """
    _check_address(directory, email)
    mail = mail and password is None and not directory.aws.local  # a local cloud's mail reaches nobody
    first = None if mail else password or _new_password()
    with explained():
        account = _invite_again(directory, email, first) if again else _create(directory, email, first)
        if password is not None:
            _cognito(directory, "admin_set_user_password", Username=email, Password=password, Permanent=True)
        if quota_bytes is not None:
            _set_head(directory, account, "quota_bytes", {"N": str(quota_bytes)})
    return Added(email, account, directory.site, mail, None if password is not None else first)


def everyone(directory: Directory) -> Iterator[User]:
    """All accounts, read a page at a time."""
    with explained():
        pages = directory.aws.client("cognito-idp").get_paginator("list_users")
        for page in pages.paginate(UserPoolId=directory.pool, PaginationConfig={"PageSize": _PAGE}):
            users = [(_attributes(one["Attributes"]), one) for one in page["Users"]]
            heads = _heads(directory, [attributes["sub"] for attributes, _ in users])
            for attributes, one in users:
                yield _user(directory, attributes, one, heads.get(attributes["sub"], {}))


def find(directory: Directory, email: str) -> User:
    """Raises `HostingError` when nobody has an account by that address."""
    with explained():
        one = _lookup(directory, email)
        attributes = _attributes(one["Attributes"])
        return _user(directory, attributes, one, _heads(directory, [attributes["sub"]]).get(attributes["sub"], {}))


def disable(directory: Directory, email: str) -> User:
    """Refuse everything from now on; what the account keeps stays, and its links lead nowhere meanwhile."""
    with explained():
        one = _lookup(directory, email)
        # The row first: tokens that are out already would be good for minutes more.
        _set_head(directory, _attributes(one["Attributes"])["sub"], "status", {"S": "disabled"})
        _cognito(directory, "admin_disable_user", Username=one["Username"])
        _cognito(directory, "admin_user_global_sign_out", Username=one["Username"])
    return find(directory, email)


def enable(directory: Directory, email: str) -> User:
    """Undo `disable`: a new sign-in is needed, and links lead where they did."""
    with explained():
        one = _lookup(directory, email)
        _cognito(directory, "admin_enable_user", Username=one["Username"])
        _set_head(directory, _attributes(one["Attributes"])["sub"], "status", {"S": "active"})
    return find(directory, email)


def set_quota(directory: Directory, email: str, quota_bytes: int | None) -> User:
    """0 is no limit; None takes the account's own quota away, so that everybody's holds. Nothing is ever deleted."""
    found = find(directory, email)
    with explained():
        _set_head(directory, found.account_id, "quota_bytes", None if quota_bytes is None else {"N": str(quota_bytes)})
    return find(directory, email)


def _check_address(directory: Directory, email: str) -> None:
    domain = email.rpartition("@")[2].lower()
    if len(email) > 254 or not re.fullmatch(r"[!-?A-~]+@([A-Za-z0-9-]+\.)+[A-Za-z0-9-]{2,}", email):
        raise HostingError(f"{email!r} is no e-mail address", "It looks like alice@example.com.")
    if directory.domains and domain not in directory.domains:
        raise HostingError(
            f"Accounts of this deployment are for {', '.join(directory.domains)} only",
            f"To let {domain} in, deploy with --parameter AllowedDomains={','.join((*directory.domains, domain))}.",
        )


def _create(directory: Directory, email: str, first: str | None) -> str:
    """The new account's id. Cognito makes the first password and mails it when `first` is None."""
    made = _cognito(
        directory,
        "admin_create_user",
        Username=email,
        UserAttributes=[{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": "true"}],
        **_delivery(first),
    )
    return _attributes(made["User"]["Attributes"])["sub"]


def _invite_again(directory: Directory, email: str, first: str | None) -> str:
    found = find(directory, email)
    if found.status != "invited":
        raise HostingError(f"{email} is {found.status} already", "Only who has not signed in yet is invited again.")
    if first is None:
        _cognito(directory, "admin_create_user", Username=email, **_delivery(None), MessageAction="RESEND")
    else:
        _cognito(directory, "admin_set_user_password", Username=email, Password=first, Permanent=False)
    return found.account_id


def _lookup(directory: Directory, email: str) -> dict[str, Any]:
    """The user as `list_users` tells it: Username, Attributes, Enabled, UserStatus."""
    client = directory.aws.client("cognito-idp")
    try:
        one: dict[str, Any] = client.admin_get_user(UserPoolId=directory.pool, Username=email)
        return one | {"Attributes": one["UserAttributes"]}
    except client.exceptions.UserNotFoundException:
        # Who signs in elsewhere (SAML, OIDC) has another name here, and the address as an attribute only.
        quoted = email.replace("\\", "\\\\").replace('"', '\\"')
        found = client.list_users(UserPoolId=directory.pool, Filter=f'email = "{quoted}"')["Users"]
        if not found:
            raise HostingError(f"Nobody has an account as {email}", "`satchel user list` shows who has one.") from None
        return dict(found[0])


def _delivery(first: str | None) -> dict[str, Any]:
    if first is None:
        return {"DesiredDeliveryMediums": ["EMAIL"]}
    return {"TemporaryPassword": first, "MessageAction": "SUPPRESS"}


def _cognito(directory: Directory, call: str, **arguments: Any) -> dict[str, Any]:
    """One call about one user, with what it refuses said in words."""
    import botocore.exceptions  # noqa: PLC0415 - heavy

    email = arguments["Username"]
    try:
        reply: dict[str, Any] = getattr(directory.aws.client("cognito-idp"), call)(
            UserPoolId=directory.pool, **arguments
        )
    except botocore.exceptions.ClientError as error:
        code, message = error_code(error), str(error.response["Error"].get("Message", ""))
        if code == "UsernameExistsException":
            raise HostingError(
                f"{email} has an account already",
                "For a new invitation add --again; `satchel user list` shows how it stands.",
            ) from error
        if code == "InvalidPasswordException":
            raise HostingError("This password is too simple for the user pool", message) from error
        if code in _NO_MAIL:
            raise HostingError(
                f"The invitation to {email} could not be mailed",
                f"Use --no-mail and pass the temporary password on yourself. ({code}: {message})",
            ) from error
        raise
    return reply


def _set_head(directory: Directory, account: str, name: str, value: dict[str, str] | None) -> None:
    """Set one attribute of the account's row, making the row as the service would when it is not there yet."""
    fresh = {
        "sequence": {"N": "0"},
        "used_bytes": {"N": "0"},
        "status": {"S": "active"},
        "created_ms": {"N": str(time.time_ns() // 1_000_000)},
    }
    fresh.pop(name, None)
    sets = [f"#{key} = if_not_exists(#{key}, :{key})" for key in fresh]
    values = {f":{key}": default for key, default in fresh.items()}
    if value is not None:
        sets.append(f"#{name} = :{name}")
        values[f":{name}"] = value
    directory.aws.client("dynamodb").update_item(
        TableName=directory.table,
        Key=_head_key(account),
        UpdateExpression=f"SET {', '.join(sets)}" + ("" if value is not None else f" REMOVE #{name}"),
        ExpressionAttributeNames={f"#{key}": key for key in (*fresh, name)},
        ExpressionAttributeValues=values,
    )


def _heads(directory: Directory, accounts: list[str]) -> dict[str, dict[str, Any]]:
    """The rows of those accounts that have one, by their id."""
    client, table = directory.aws.client("dynamodb"), directory.table
    wanted: dict[str, Any] = {table: {"Keys": [_head_key(account) for account in accounts], "ConsistentRead": True}}
    found: dict[str, dict[str, Any]] = {}
    while wanted and accounts:
        reply = client.batch_get_item(RequestItems=wanted)
        found |= {item["PK"]["S"].removeprefix("A#"): item for item in reply["Responses"].get(table, [])}
        wanted = reply.get("UnprocessedKeys", {})
    return found


def _user(directory: Directory, attributes: dict[str, str], one: dict[str, Any], head: dict[str, Any]) -> User:
    account = attributes["sub"]
    status = "invited" if one["UserStatus"] == "FORCE_CHANGE_PASSWORD" else "active"
    if not one["Enabled"] or head.get("status", {}).get("S", "active") != "active":
        status = "disabled"
    return User(
        attributes.get("email", account),
        account,
        status,
        int(head.get("used_bytes", {}).get("N", 0)),
        int(head["quota_bytes"]["N"]) if "quota_bytes" in head else None,
        _last_change_ms(directory, account) if head else None,
    )


def _last_change_ms(directory: Directory, account: str) -> int | None:
    reply = directory.aws.client("dynamodb").query(
        TableName=directory.table,
        KeyConditionExpression="PK = :pk",
        ExpressionAttributeValues={":pk": {"S": f"A#{account}#C"}},
        ProjectionExpression="at_ms",
        ScanIndexForward=False,
        Limit=1,
    )
    return next((int(item["at_ms"]["N"]) for item in reply["Items"]), None)


def _head_key(account: str) -> dict[str, dict[str, str]]:
    return {"PK": {"S": f"A#{account}"}, "SK": {"S": "HEAD"}}


def _attributes(listed: list[dict[str, str]]) -> dict[str, str]:
    return {one["Name"]: one["Value"] for one in listed}


def _new_password() -> str:
    """Four groups that can be read out, with what the pool's policy asks for."""
    while True:
        made = "-".join("".join(secrets.choice(_LETTERS) for _ in range(4)) for _ in range(4))
        if all(re.search(kind, made) for kind in ("[a-z]", "[A-Z]", "[0-9]")):
            return made
