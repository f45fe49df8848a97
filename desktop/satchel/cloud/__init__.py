"""Talking to the service: one method per route, discovery, public links."""

from .client import Cloud, LinkPage, NodePage
from .discovery import discover, site_of
from .public import LinkItem, LinkView, PublicLinks, parse_link

__all__ = [
    "Cloud",
    "LinkItem",
    "LinkPage",
    "LinkView",
    "NodePage",
    "PublicLinks",
    "discover",
    "parse_link",
    "site_of",
]
