"""One real local cloud for the e2e tests: the emulator, the real templates deployed into it, and the edge in front."""

from __future__ import annotations

import contextlib
import json
import secrets
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from satchel.hosting import local
from satchel.hosting.aws import Aws


@dataclass
class LocalCloud:
    """A running local cloud.

    `site` is the address to sign in to, `endpoint` the emulator's (S3, Cognito, everything of AWS), `aws` its root
    access: `cloud.aws.client("s3")` is a boto3 client. `outputs` are the root stack's: Site, StaticBucket,
    ContentBucket, TableName, ApiId, UserPoolId, ClientId, DistributionId, HeadersPolicyId.
    """

    state: Path
    site: str
    endpoint: str
    region: str
    outputs: dict[str, str]
    aws: Aws = field(repr=False)

    @property
    def user_pool_id(self) -> str:
        return self.outputs["UserPoolId"]

    @property
    def client_id(self) -> str:
        return self.outputs["ClientId"]

    @property
    def content_bucket(self) -> str:
        return self.outputs["ContentBucket"]

    @property
    def table(self) -> str:
        return self.outputs["TableName"]

    def new_user(self, email: str | None = None, quota: int | None = None) -> tuple[str, str]:
        """An account with a permanent password: (email, password). `quota` is how many bytes it may keep."""
        email = email or f"user-{secrets.token_hex(6)}@example.com"
        password = f"Pass-{secrets.token_urlsafe(12)}-9a"
        cognito = self.aws.client("cognito-idp")
        cognito.admin_create_user(
            UserPoolId=self.user_pool_id,
            Username=email,
            UserAttributes=[{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": "true"}],
            MessageAction="SUPPRESS",
        )
        cognito.admin_set_user_password(UserPoolId=self.user_pool_id, Username=email, Password=password, Permanent=True)
        if quota is not None:
            self.give_quota(email, password, quota)
        return email, password

    def give_quota(self, email: str, password: str, quota: int) -> None:
        """As an administrator gives one account a quota of its own, in bytes."""
        self.request("GET", "/v1/account", token=self.tokens(email, password)["AccessToken"])  # makes its row
        self.aws.client("dynamodb").update_item(
            TableName=self.table,
            Key={"PK": {"S": f"A#{self.sub(email)}"}, "SK": {"S": "HEAD"}},
            UpdateExpression="SET quota_bytes = :quota",
            ConditionExpression="attribute_exists(PK)",
            ExpressionAttributeValues={":quota": {"N": str(quota)}},
        )

    def new_user_with_temporary_password(self, email: str | None = None) -> tuple[str, str]:
        """An account as an administrator makes it: its first sign-in asks for a new password."""
        email = email or f"user-{secrets.token_hex(6)}@example.com"
        password = f"Temp-{secrets.token_urlsafe(12)}-9a"
        self.aws.client("cognito-idp").admin_create_user(
            UserPoolId=self.user_pool_id,
            Username=email,
            TemporaryPassword=password,
            UserAttributes=[{"Name": "email", "Value": email}, {"Name": "email_verified", "Value": "true"}],
            MessageAction="SUPPRESS",
        )
        return email, password

    def sub(self, email: str) -> str:
        """The account's id."""
        user = self.aws.client("cognito-idp").admin_get_user(UserPoolId=self.user_pool_id, Username=email)
        return next(a["Value"] for a in user["UserAttributes"] if a["Name"] == "sub")

    def tokens(self, email: str, password: str, client_id: str | None = None) -> dict[str, str]:
        """A real SRP sign-in: AccessToken, IdToken, RefreshToken."""
        from pycognito.aws_srp import AWSSRP

        signing_in = AWSSRP(
            username=email,
            password=password,
            pool_id=self.user_pool_id,
            client_id=client_id or self.client_id,
            client=self.aws.client("cognito-idp"),
        )
        return dict(signing_in.authenticate_user()["AuthenticationResult"])

    def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
        follow: bool = False,
    ) -> Reply:
        """A plain HTTP request to the site, with no client of ours in between; redirects only when told to `follow`."""
        sent = None if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.site + path, data=sent, method=method, headers=headers or {})
        if token is not None:
            request.add_header("Authorization", f"Bearer {token}")
        if sent is not None and not request.has_header("Content-type"):
            request.add_header("Content-Type", "application/json")
        handlers: list[Any] = [urllib.request.ProxyHandler({})]
        if not follow:
            handlers.append(_NoRedirect())
        try:
            with urllib.request.build_opener(*handlers).open(request, timeout=60) as reply:
                return Reply(reply.status, dict(reply.headers.items()), reply.read())
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.code, dict(error.headers.items()), error.read())

    def stop(self) -> None:
        """Stop emulator and edge; what was kept stays. `start` brings them back on the same ports."""
        local.down(self.state)

    def start(self) -> None:
        local.up(self.state, parameters=PARAMETERS)

    def invocations(self, function: str) -> int:
        """How many times a function (`api`, `public`, `ingest`, `janitor`) has been invoked, by its log."""
        return sum(message.startswith("START RequestId") for message in self.log(function))

    def log(self, function: str) -> list[str]:
        """All lines in the log of a function, oldest first."""
        logs = self.aws.client("logs")
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=f"/aws/lambda/{local.STACK}-{function}")
        events = [event for page in pages for event in page["events"]]
        return [str(event["message"]) for event in sorted(events, key=lambda event: event["timestamp"])]

    @contextlib.contextmanager
    def serving_with(self, function: str, **settings: str) -> Iterator[None]:
        """A version of a deployed function with other settings in its environment serves meanwhile."""
        functions, name = self.aws.client("lambda"), f"{local.STACK}-{function}"
        alias = functions.get_alias(FunctionName=name, Name="live")
        before = functions.get_function_configuration(FunctionName=name)["Environment"]["Variables"]
        functions.update_function_configuration(FunctionName=name, Environment={"Variables": before | settings})
        version = functions.publish_version(FunctionName=name)["Version"]
        functions.update_alias(FunctionName=name, Name="live", FunctionVersion=version)
        try:
            yield
        finally:
            functions.update_alias(FunctionName=name, Name="live", FunctionVersion=alias["FunctionVersion"])
            functions.update_function_configuration(FunctionName=name, Environment={"Variables": before})

    def acting_as(self, function: str, service: str) -> Any:
        """A boto3 client of a service with the credentials of a deployed function's role."""
        import boto3

        found = self.aws.client("lambda").get_function(FunctionName=f"{local.STACK}-{function}")
        role = found["Configuration"]["Role"]
        key = self.aws.client("sts").assume_role(RoleArn=role, RoleSessionName="test")["Credentials"]
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=key["AccessKeyId"],
            aws_secret_access_key=key["SecretAccessKey"],
            aws_session_token=key["SessionToken"],
        )


@dataclass(frozen=True)
class Reply:
    """`headers` as they came; `header()` looks them up whatever their case."""

    status: int
    headers: dict[str, str]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers.items() if key.lower() == name.lower()), None)

    def json(self) -> Any:
        return json.loads(self.body)


PARAMETERS = {"IngestDelaySeconds": "2"}
"""What differs from `satchel local up`: no quarter of a minute to wait for a message."""


def bring_up(state: Path, parameters: dict[str, str] = PARAMETERS) -> LocalCloud:
    status = local.up(state, port=local.free_port(), parameters=parameters)
    assert status.running
    assert status.site is not None
    assert status.endpoint is not None
    return LocalCloud(
        state, status.site, status.endpoint, status.region, local.outputs(state), local.administrator(state)
    )


def wait_until(condition: Any, seconds: float = 30.0, every: float = 0.1) -> Any:
    """The first true value of `condition()`; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(every)
    raise AssertionError(f"not within {seconds} s")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None
