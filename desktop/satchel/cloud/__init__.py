"""Talking to the service: one method per route, discovery, public links, push."""

from .client import Cloud, LinkPage, NodePage
from .discovery import discover, site_of
from .public import LinkItem, LinkView, PublicLinks, parse_link
from .push import Push

__all__ = [
    "Cloud",
    "LinkItem",
    "LinkPage",
    "LinkView",
    "NodePage",
    "PublicLinks",
    "Push",
    "discover",
    "parse_link",
    "site_of",
]
