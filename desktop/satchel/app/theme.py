"""Light or dark: the system's choice, or the user's."""

from __future__ import annotations

from PySide6.QtCore import Property, QObject, Qt, Signal
from PySide6.QtGui import QGuiApplication


class Theme(QObject):
    """`dark` is what the QML tokens follow."""

    changed = Signal()

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._choice = "system"
        QGuiApplication.styleHints().colorSchemeChanged.connect(lambda _: self.changed.emit())

    def choose(self, choice: str) -> None:
        """`system`, `light` or `dark`."""
        if choice != self._choice:
            self._choice = choice
            self.changed.emit()

    @Property(bool, notify=changed)
    def dark(self) -> bool:
        if self._choice != "system":
            return self._choice == "dark"
        return bool(QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Dark)
