"""The watched folders, as QML sees them: `satchel.folders`."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PySide6.QtCore import Property, QObject, QUrl, Signal, Slot
from PySide6.QtGui import QDesktopServices

from satchel.core.errors import SatchelError

from . import wording


class Folders(QObject):
    """Rows of the snapshot with words of the window; commands go by `ask`, which is the bridge's."""

    changed = Signal()

    def __init__(self, ask: Callable[..., None], toast: Callable[[str, str, bool], None], parent: QObject) -> None:
        super().__init__(parent)
        self._ask = ask
        self._toast = toast
        self._roots: list[dict[str, Any]] = []
        self._choices: dict[str, list[str]] = {}
        """Folders that are online, of the roots whose choice is open."""

    def take(self, roots: list[dict[str, Any]]) -> None:
        """What a snapshot says."""
        if roots != self._roots:
            self._roots = roots
            self.changed.emit()

    @Property(list, notify=changed)
    def rows(self) -> list[Any]:
        """`RootRow`s with where they go (`goes`), how they are and were looked at (`looks`), and which folders there
        are to choose from (`choices`), if somebody `chooses`."""
        now_ms = int(time.time() * 1000)
        return [
            root
            | {
                "goes": wording.goes(root),
                "looks": wording.looks(root, now_ms),
                "chooses": root["root_id"] in self._choices,
                "choices": self._choices_of(root),
            }
            for root in self._roots
        ]

    def _choices_of(self, root: dict[str, Any]) -> list[dict[str, Any]]:
        known = {*self._choices.get(root["root_id"], ()), *root["left_out"]}
        return [{"path": path, "here": path not in root["left_out"]} for path in sorted(known, key=str.casefold)]

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

    @Slot(str)
    def choose(self, root_id: str) -> None:
        """Show, or show no longer, which folders may be left out."""
        if self._choices.pop(root_id, None) is not None:
            self.changed.emit()
            return

        def known(names: list[str]) -> None:
            self._choices[root_id] = names
            self.changed.emit()

        self._ask("root_folders", then=known, root_id_or_dir=root_id)

    @Slot(str, str, bool)
    def have(self, root_id: str, path: str, wanted: bool) -> None:
        """Whether this computer has what is online at `path` in the folder."""
        root = next((root for root in self._roots if root["root_id"] == root_id), None)
        if root is None:
            return

        def refused(error: SatchelError) -> None:
            self._toast(error.title, error.message or error.path or "", True)
            self.changed.emit()  # the switch shows what is so

        command = "root_take_in" if wanted else "root_leave_out"
        self._ask(command, turn=f"folder {root_id}", otherwise=refused, path=str(Path(root["path"], path)))

    @Slot(str, int)
    def confirmDeletions(self, root_id: str, files: int) -> None:  # noqa: N802 - QML's convention
        """Delete what is gone on the other side: `files`, which is what the person was told."""
        self._ask("root_confirm", root_id_or_dir=root_id, files=files)
