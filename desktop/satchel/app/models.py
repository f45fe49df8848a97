"""The transfers as QML sees them: rows that change as little as the snapshot did."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PySide6.QtCore import (
    QAbstractListModel,
    QByteArray,
    QModelIndex,
    QObject,
    QPersistentModelIndex,
    QSortFilterProxyModel,
    Qt,
)

from satchel.core.model import TransferState

from . import wording

State = TransferState
Index = QModelIndex | QPersistentModelIndex

_ROLES = (
    "transferId", "name", "localPath", "badge", "tile", "detail", "tone", "progress", "stage",
    "canCancel", "canPause", "canResume", "canRetry", "canCopy", "canMakeLink",
    "link",
)  # fmt: skip
_FIRST = int(Qt.ItemDataRole.UserRole) + 1
_TILES = {
    "video": {"mp4", "mov", "mkv", "avi", "webm"},
    "archive": {"zip", "gz", "tar", "7z", "rar", "xz"},
    "image": {"png", "jpg", "jpeg", "gif", "svg", "webp", "heic"},
    "document": {"pdf", "doc", "docx", "odt", "key", "ppt", "pptx", "xls", "xlsx", "csv"},
    "sound": {"wav", "mp3", "flac", "ogg", "m4a"},
}


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """What one `TransferRow` (as JSON) looks like."""
    state = State(row["state"])
    ends = row["name"].rpartition(".")[2].lower()
    tile = next((kind for kind, known in _TILES.items() if ends in known), "other")
    whole = row["size"]
    moving = not state.final
    gone = state is State.CANCELLED
    return {
        "transferId": row["transfer_id"],
        "name": row["name"],
        "localPath": row["local_path"],
        "badge": wording.badge(row["name"], row["files"]),
        "tile": "folder" if row["files"] > 1 else tile,
        "detail": wording.detail(row),
        "tone": "bad" if state is State.FAILED or (row["message"] and moving) else "quiet" if gone else "plain",
        "progress": (row["sent_bytes"] / whole if whole else 0.0) if moving or state is State.FAILED else -1.0,
        "stage": str(state),
        "canCancel": moving,
        "canPause": state in (State.WAITING, State.HASHING, State.SENDING) and row["direction"] == "up",
        "canResume": state is State.PAUSED,
        "canRetry": state in (State.FAILED, State.CANCELLED) and row["direction"] == "up",
        "canCopy": bool(row["link_url"]) and not gone,
        "canMakeLink": row["origin"] == "root"
        and row["direction"] == "up"
        and state is State.DONE
        and not row["link_url"],
        "link": row["link_url"] or "",
    }


class TransferModel(QAbstractListModel):
    """Rows by `transfer_id`: unchanged rows are not touched, changed ones repaint alone."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._rows: list[dict[str, Any]] = []

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: N802, B008 - Qt's signature
        return 0 if parent.isValid() else len(self._rows)

    def roleNames(self) -> dict[int, QByteArray]:  # noqa: N802 - Qt's name
        return {_FIRST + at: QByteArray(name.encode()) for at, name in enumerate(_ROLES)}

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        if not index.isValid() or not 0 <= role - _FIRST < len(_ROLES):
            return None
        return self._rows[index.row()][_ROLES[role - _FIRST]]

    def update(self, rows: Sequence[dict[str, Any]]) -> None:
        """Take over the snapshot's rows, in its order."""
        new = [shown(row) for row in rows]
        wanted = {row["transferId"] for row in new}
        for at in range(len(self._rows) - 1, -1, -1):
            if self._rows[at]["transferId"] not in wanted:
                self.beginRemoveRows(QModelIndex(), at, at)
                del self._rows[at]
                self.endRemoveRows()
        for at, row in enumerate(new):
            self._place(at, row)

    def _place(self, at: int, row: dict[str, Any]) -> None:
        if at < len(self._rows) and self._rows[at]["transferId"] == row["transferId"]:
            self._change(at, row)
            return
        was = next((n for n in range(at + 1, len(self._rows)) if self._rows[n]["transferId"] == row["transferId"]), -1)
        if was < 0:
            self.beginInsertRows(QModelIndex(), at, at)
            self._rows.insert(at, row)
            self.endInsertRows()
            return
        self.beginMoveRows(QModelIndex(), was, was, QModelIndex(), at)
        self._rows.insert(at, self._rows.pop(was))
        self.endMoveRows()
        self._change(at, row)

    def _change(self, at: int, row: dict[str, Any]) -> None:
        roles = [_FIRST + n for n, name in enumerate(_ROLES) if self._rows[at][name] != row[name]]
        if roles:
            self._rows[at] = row
            self.dataChanged.emit(self.index(at), self.index(at), roles)


class ShownTransfers(QSortFilterProxyModel):
    """All; the active, which is all that is not over or that failed and waits for somebody; or what is done."""

    def __init__(self, source: TransferModel, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._only = "all"
        self.setSourceModel(source)

    def show_only(self, which: str) -> None:
        self.beginFilterChange()
        self._only = which
        self.endFilterChange()

    def filterAcceptsRow(self, row: int, parent: Index) -> bool:  # noqa: N802 - Qt's name
        if self._only == "all":
            return True
        source = self.sourceModel()
        stage = source.data(source.index(row, 0, parent), _FIRST + _ROLES.index("stage"))
        if self._only == "done":
            return State(stage) is State.DONE
        return State(stage) not in (State.DONE, State.CANCELLED)
