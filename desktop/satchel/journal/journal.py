"""The journal as its users see it: one object per file, with a room for each kind of memory."""

from __future__ import annotations

import contextlib
from pathlib import Path

from .database import Database
from .links import Links
from .roots import Roots
from .settings import Settings
from .tree import Tree
from .uploads import Uploads


class Journal:
    """Thread-safe. Every method commits before it returns, unless it runs inside `transaction()`.

    `set_aside` is where a torn file was moved when this journal was opened, else None. A journal that was lost or
    rolled back loses nothing: trees are compared afresh with the disk and the service.
    """

    def __init__(self, path: Path) -> None:
        """Raises `JournalError` when another version made the file, or when the disk refuses."""
        self._database = Database(path)
        self.set_aside = self._database.set_aside
        self.uploads = Uploads(self._database)
        self.links = Links(self._database)
        self.roots = Roots(self._database)
        self.settings = Settings(self._database)

    def tree(self, root_id: str) -> Tree:
        """What was last in step of one watched folder."""
        return Tree(self._database, root_id)

    @property
    def writes(self) -> int:
        """A number that grows with every row that is written, of whatever kind."""
        return self._database.writes

    def transaction(self) -> contextlib.AbstractContextManager[None]:
        """Everything written inside is one commit. The other threads wait: keep it short."""
        return self._database.transaction()

    def reach_the_disk(self) -> None:
        """Return when a power cut cannot take back any more what was written until now."""
        self._database.reach_the_disk()

    def close(self) -> None:
        self._database.close()
