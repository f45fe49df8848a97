"""Rules of links: what a token is known by, and when a link leads nowhere."""

from __future__ import annotations

import hashlib

from .model import Link
from .problems import ProblemError


def token_hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def check_open(link: Link, now_ms: int) -> None:
    """Raises `link-revoked` or `link-expired`."""
    if link.revoked:
        raise ProblemError("link-revoked", "The sender has revoked this link. Ask them for a new one.")
    if link.expires_ms is not None and link.expires_ms <= now_ms:
        raise ProblemError("link-expired", "This link has expired. Ask the sender for a new one.")
