"""Where drops go: the remote folder, found once and remembered, and the new folders made in it."""

from __future__ import annotations

from dataclasses import dataclass

from satchel.core.errors import RefusedError
from satchel.core.model import FolderIntent, LinkIntent
from satchel.journal import Journal

from .browse import Browse

DROPS = "/Drops"

_DROPS_ID = "drops-folder"


@dataclass(frozen=True, slots=True)
class Place:
    """A remote folder. `cached`: nobody has looked for long whether it is there still."""

    node_id: str
    path: str
    cached: bool = False

    def of(self, name: str) -> str:
        """The path of something in it."""
        return f"{self.path.rstrip('/')}/{name}"


class PlaceGoneError(Exception):
    """The remembered folder for drops is not there any more: `forget` it and find it again."""


class Places:
    """Blocking; every method raises what the service raises."""

    def __init__(self, browse: Browse, journal: Journal) -> None:
        self._browse = browse
        self._journal = journal

    def find(self, to: str | None) -> Place:
        """The folder asked for, or the one for drops; made when missing."""
        if to is not None:
            return Place(self._browse.folder(to, make=True).node_id, "/" + to.strip("/"))
        known = self._journal.settings.get(_DROPS_ID)
        if known is not None:
            return Place(known, DROPS, cached=True)
        node = self._browse.folder(DROPS, make=True)
        self._journal.settings.set(_DROPS_ID, node.node_id)
        return Place(node.node_id, DROPS)

    def forget(self) -> None:
        """Look for the folder for drops anew next time."""
        self._journal.settings.set(_DROPS_ID, None)

    def make(self, place: Place, name: str, node_id: str, token: str | None) -> str:
        """A new folder in a place, with a link where there is a token; the name it got. Asking again with the same
        `node_id` makes no second one. Raises `PlaceGoneError` too."""
        intent = FolderIntent(node_id, place.node_id, name, "rename", LinkIntent(token) if token else None)
        [made] = self._browse.make_folders([intent])
        if made.problem is None and made.node is not None:
            return made.node.name
        error = RefusedError.of(made.problem) if made.problem else RefusedError("busy", "The folder was not made")
        if place.cached and error.kind in ("not-found", "not-a-folder"):
            raise PlaceGoneError
        raise error
