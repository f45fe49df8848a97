"""Whose request it is."""

from __future__ import annotations

from satchel_cloud.domain.model import Head
from satchel_cloud.service.accounts import check_active, head_of
from satchel_cloud.service.context import context

from .http import Request


def known(request: Request) -> Head:
    """The caller's account, made at the first request: enough to read."""
    return head_of(context(), request.account)


def active(request: Request) -> Head:
    """As `known`, and not disabled: asked before anything is written or signed."""
    head = known(request)
    check_active(head)
    return head
