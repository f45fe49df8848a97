"""Cognito: sign in by SRP, refresh, sign out. The password itself never leaves this computer."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any

import urllib3

from satchel.core.errors import BusyError, NotSignedInError, OfflineError, SatchelError, SignInError, UsageError
from satchel.core.model import Discovery
from satchel.core.ports import Clock

_TIMEOUT = urllib3.Timeout(connect=10, read=20)
_TARGET = "AWSCognitoIdentityProviderService."
_UNKNOWN_CALL = ("UnknownOperationException", "InvalidAction", "UnsupportedOperationException", "NotImplemented")


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a sign-in or a refresh gave. `refresh_token` is None when the old one stays good."""

    access_token: str = field(repr=False)
    expires_ms: int
    refresh_token: str | None = field(default=None, repr=False)

    @property
    def sub(self) -> str:
        return str(claims(self.access_token).get("sub", ""))


class NewPasswordRequired(Exception):  # noqa: N818 - a question to ask, not an error
    """The account was made by an administrator and wants a password of its own."""


def sign_in(discovery: Discovery, email: str, password: str, new_password: str | None, clock: Clock) -> Tokens:
    """Raises `NewPasswordRequired`, `SignInError`, `OfflineError`, `BusyError`."""
    # Slow to import (half a second), and needed once in weeks.
    import boto3  # noqa: PLC0415
    from botocore import UNSIGNED  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415
    from pycognito.aws_srp import AWSSRP  # noqa: PLC0415
    from pycognito.exceptions import (  # noqa: PLC0415
        ForceChangePasswordException,
        SMSMFAChallengeException,
        SoftwareTokenMFAChallengeException,
    )

    client = boto3.session.Session().client(
        "cognito-idp",
        region_name=discovery.region,
        endpoint_url=discovery.identity_endpoint,
        config=Config(signature_version=UNSIGNED, connect_timeout=10, read_timeout=20, retries={"max_attempts": 2}),
    )
    srp = AWSSRP(email, password, discovery.user_pool_id, discovery.client_id, client=client)
    try:
        reply = srp.set_new_password_challenge(new_password) if new_password else srp.authenticate_user()
    except ForceChangePasswordException:
        raise NewPasswordRequired from None
    except (SMSMFAChallengeException, SoftwareTokenMFAChallengeException, NotImplementedError) as error:
        raise SignInError(
            "This account asks for a second factor", "Satchel cannot do that yet; ask its administrator."
        ) from error
    except ClientError as error:
        found = error.response.get("Error", {})
        raise _sign_in_error(str(found.get("Code", "")), str(found.get("Message", ""))) from error
    except BotoCoreError as error:
        raise _offline() from error
    except KeyError as error:  # pycognito reads a missing challenge so
        raise SignInError("The sign-in was answered in an unknown way", "Update this app.") from error
    finally:
        client.close()
    return _tokens(reply, clock)


def refresh(discovery: Discovery, refresh_token: str, clock: Clock) -> Tokens:
    """New tokens by one plain call. Raises `NotSignedInError` when the session has ended, else `OfflineError`."""
    try:
        return _tokens(
            _call(
                discovery,
                "GetTokensFromRefreshToken",
                {"ClientId": discovery.client_id, "RefreshToken": refresh_token},
            ),
            clock,
        )
    except _Refused as refused:
        if refused.code not in _UNKNOWN_CALL:
            raise _refresh_error(refused) from refused
    try:
        body = {
            "AuthFlow": "REFRESH_TOKEN_AUTH",
            "ClientId": discovery.client_id,
            "AuthParameters": {"REFRESH_TOKEN": refresh_token},
        }
        return _tokens(_call(discovery, "InitiateAuth", body), clock)
    except _Refused as refused:
        raise _refresh_error(refused) from refused


def sign_out(discovery: Discovery, refresh_token: str) -> None:
    """Revoke the session at Cognito. Raises the `SatchelError` family; callers sign out all the same."""
    try:
        _call(discovery, "RevokeToken", {"ClientId": discovery.client_id, "Token": refresh_token})
    except _Refused as refused:
        raise SatchelError("The sign-out was refused", refused.message) from refused


def claims(token: str) -> dict[str, Any]:
    """What a token says; not verified, for it came straight from Cognito. Empty when it is no JWT."""
    try:
        body = token.split(".")[1]
        found = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    except (IndexError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


class _Refused(Exception):  # noqa: N818 - never leaves this module
    def __init__(self, code: str, message: str) -> None:
        super().__init__(code)
        self.code = code
        self.message = message


_pool = urllib3.PoolManager(num_pools=2, maxsize=2)


def _call(discovery: Discovery, operation: str, body: dict[str, Any]) -> dict[str, Any]:
    endpoint = discovery.identity_endpoint or f"https://cognito-idp.{discovery.region}.amazonaws.com"
    try:
        reply = _pool.request(
            "POST",
            endpoint.rstrip("/") + "/",
            body=json.dumps(body).encode(),
            headers={"content-type": "application/x-amz-json-1.1", "x-amz-target": _TARGET + operation},
            timeout=_TIMEOUT,
            retries=urllib3.Retry(connect=1, read=0, redirect=0, status=0, other=0),
        )
        found = json.loads(reply.data) if reply.data.strip() else {}
    except (urllib3.exceptions.HTTPError, ValueError) as error:
        raise _offline() from error
    if not isinstance(found, dict):
        raise _offline()
    if reply.status == 200:
        return found
    code = str(found.get("__type", "")).rpartition("#")[2]
    if reply.status >= 500 or not code:
        raise BusyError("The sign-in service is busy", f"It answered {reply.status}; try again in a moment.")
    if code in ("TooManyRequestsException", "LimitExceededException"):
        raise BusyError("Too many sign-ins", "Wait a minute and try again.")
    raise _Refused(code, str(found.get("message") or found.get("Message") or ""))


def _tokens(reply: dict[str, Any], clock: Clock) -> Tokens:
    result = reply.get("AuthenticationResult")
    if not isinstance(result, dict) or "AccessToken" not in result:
        challenge = reply.get("ChallengeName", "an unknown question")
        raise SignInError(f"The sign-in asks for {challenge}", "Satchel cannot answer that yet.")
    lifetime = int(result.get("ExpiresIn", 300))
    return Tokens(
        access_token=str(result["AccessToken"]),
        expires_ms=clock.now_ms() + lifetime * 1000,
        refresh_token=result.get("RefreshToken"),
    )


def _refresh_error(refused: _Refused) -> SatchelError:
    if refused.code in ("NotAuthorizedException", "RefreshTokenReuseException", "UserNotFoundException"):
        return NotSignedInError("The session has ended", "Sign in again.")
    if refused.code == "ResourceNotFoundException":
        return NotSignedInError("The site's sign-in has changed", "Sign in again with the site's address.")
    return NotSignedInError("The session was refused", f"Sign in again ({refused.code}).")


_SIGN_IN_ERRORS: dict[str, tuple[type[SatchelError], str, str]] = {
    "NotAuthorizedException": (SignInError, "Wrong email or password", "Check both and try again."),
    "UserNotFoundException": (SignInError, "Wrong email or password", "Check both and try again."),
    "PasswordResetRequiredException": (
        SignInError,
        "The password must be reset",
        "Ask the administrator for a new one.",
    ),
    "UserNotConfirmedException": (
        SignInError,
        "The account is not confirmed yet",
        "Follow the link or code in the mail you got.",
    ),
    "ResourceNotFoundException": (
        UsageError,
        "The site's sign-in does not exist",
        "Its deployment has changed; check the address.",
    ),
    "TooManyRequestsException": (BusyError, "Too many sign-ins", "Wait a minute and try again."),
    "LimitExceededException": (BusyError, "Too many sign-ins", "Wait a minute and try again."),
}


def _sign_in_error(code: str, message: str) -> SatchelError:
    if code == "NotAuthorizedException" and "expired" in message.lower():
        return SignInError("The first password has expired", "Ask the administrator for a new invitation.")
    if code == "NotAuthorizedException" and "disabled" in message.lower():
        return SignInError("The account is disabled", "Ask the administrator.")
    if code == "InvalidPasswordException":
        return SignInError("The new password is too weak", message)
    if code in _SIGN_IN_ERRORS:
        kind, title, remedy = _SIGN_IN_ERRORS[code]
        return kind(title, remedy)
    return SignInError("The sign-in was refused", message or code)


def _offline() -> OfflineError:
    return OfflineError("The sign-in service cannot be reached", "Check the internet connection and try again.")
