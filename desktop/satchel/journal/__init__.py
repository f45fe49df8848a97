"""What the client remembers: trees in step, uploads under way, links made here. The only room that knows SQLite."""

from .journal import Journal
from .links import Links
from .roots import Roots, WatchedRoot
from .settings import Settings
from .tree import Item, Stamp, Tree
from .uploads import Uploads

__all__ = ["Item", "Journal", "Links", "Roots", "Settings", "Stamp", "Tree", "Uploads", "WatchedRoot"]
