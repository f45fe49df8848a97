"""Cognito asks before somebody signs up: is the mail's domain one of ours? Needs no permissions."""

from __future__ import annotations

import os
from typing import Any

from .log import log


class RefusedError(Exception):
    """Cognito shows the text to whoever signs up."""


def handler(event: dict[str, Any], runtime: Any) -> dict[str, Any]:
    """Gives the event back, or raises `RefusedError`. Whom an administrator adds needs no leave."""
    domains = {part.strip().lower() for part in os.environ.get("ALLOWED_DOMAINS", "").split(",") if part.strip()}
    mail = str(event.get("request", {}).get("userAttributes", {}).get("email", ""))
    added = event.get("triggerSource") == "PreSignUp_AdminCreateUser"
    allowed = added or not domains or mail.rpartition("@")[2].lower() in domains
    log("info", "identity", request_id=runtime.aws_request_id, allowed=allowed)
    if not allowed:
        raise RefusedError("Accounts are for certain mail domains only. Ask whoever runs this service.")
    return event
