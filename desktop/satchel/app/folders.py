"""The watched folders, as QML sees them: `satchel.folders`."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Property, QObject, QUrl, Signal, Slot
from PySide6.QtGui import QDesktopServices

from . import wording


class Folders(QObject):
    """Rows of the snapshot with words of the window; commands go by `ask`, which is the bridge's."""

    changed = Signal()

    def __init__(self, ask: Callable[..., None], toast: Callable[[str, str, bool], None], parent: QObject) -> None:
        super().__init__(parent)
        self._ask = ask
        self._toast = toast
        self._roots: list[dict[str, Any]] = []

    def take(self, roots: list[dict[str, Any]]) -> None:
        """What a snapshot says."""
        if roots != self._roots:
            self._roots = roots
            self.changed.emit()

    @Property(list, notify=changed)
    def rows(self) -> list[Any]:
        """`RootRow`s with where they go (`goes`), and how they are and were looked at (`looks`)."""
        now_ms = int(time.time() * 1000)
        return [root | {"goes": wording.goes(root), "looks": wording.looks(root, now_ms)} for root in self._roots]

    @Property(list, notify=changed)
    def held(self) -> list[Any]:
        return [
            {"path": item["path"] or root["path"], "reason": item["reason"], "remedy": item["remedy"]}
            for root in self._roots
            for item in root["held"]
        ]

    @Slot()
    def open(self) -> None:
        if self._roots:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(self._roots[0]["path"])))
        else:
            self._toast("No folder is watched yet", "Add one in the settings.", False)

    @Slot(QUrl, str, str)
    def add(self, folder: QUrl, remote: str, mode: str) -> None:
        """`mode` is `upload-only` or `two-way`; an empty `remote` is the folder's own name."""
        self._ask("root_add", dir=folder.toLocalFile(), to=remote or None, two_way=mode == "two-way")

    @Slot(str)
    def remove(self, root_id: str) -> None:
        self._ask("root_remove", root_id_or_dir=root_id)

    @Slot(str, int)
    def confirmDeletions(self, root_id: str, files: int) -> None:  # noqa: N802 - QML's convention
        """Delete what is gone on the other side: `files`, which is what the person was told."""
        self._ask("root_confirm", root_id_or_dir=root_id, files=files)
