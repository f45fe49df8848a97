"""The tray: state, recent links, pause, window, folder, quit. Where there is no tray, nothing is lost."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer
from PySide6.QtGui import QAction, QColor, QIcon, QPainter, QPixmap
from PySide6.QtWidgets import QMenu, QSystemTrayIcon

from .bridge import Bridge

RECENT = 8
_LOOK_AGAIN_MS = 5000
_TONES = {"ok": "#17936a", "busy": "#5a55e0", "paused": "#6b7184", "offline": "#d98a04", "attention": "#d33a4a"}


class Tray(QObject):
    """Appears when the desktop has a tray, also when that comes later."""

    def __init__(self, bridge: Bridge, icon: QIcon, show_window: Callable[[], None], leave: Callable[[], None]) -> None:
        super().__init__(bridge)
        self._bridge = bridge
        self._base = icon
        self.menu = QMenu()
        self._state = self.menu.addAction("")
        self._state.setEnabled(False)
        self.menu.addSeparator()
        self._before_links = self.menu.addSeparator()
        self._links: list[QAction] = []
        self._pause = self.menu.addAction("Pause")
        self._pause.triggered.connect(bridge.togglePause)
        self.menu.addAction("Open window").triggered.connect(show_window)
        self.menu.addAction("Open folder").triggered.connect(bridge.property("folders").open)
        self.menu.addSeparator()
        self.menu.addAction("Quit").triggered.connect(leave)
        self.icon = QSystemTrayIcon(icon, self)
        self.icon.setContextMenu(self.menu)
        self.icon.activated.connect(
            lambda reason: show_window() if reason == QSystemTrayIcon.ActivationReason.Trigger else None
        )
        self._tone = ""
        bridge.changed.connect(self._say_state)
        bridge.linksChanged.connect(self._list_links)
        self._say_state()
        self._list_links()
        self._look = QTimer(self, interval=_LOOK_AGAIN_MS)
        self._look.timeout.connect(self._appear)
        self._appear()

    @property
    def present(self) -> bool:
        return self.icon.isVisible()

    def say(self, title: str, text: str) -> None:
        if self.present:
            self.icon.showMessage(title, text, self.icon.icon())

    def _appear(self) -> None:
        if QSystemTrayIcon.isSystemTrayAvailable():
            self.icon.show()
            self._look.stop()
        else:
            self._look.start()

    def _say_state(self) -> None:
        now = self._bridge.snapshot
        self._state.setText(now["headline"])
        self.icon.setToolTip(f"Satchel · {now['headline']}")
        self._pause.setText("Resume" if now["paused"] else "Pause")
        if now["tone"] != self._tone:
            self._tone = now["tone"]
            self.icon.setIcon(_with_dot(self._base, _TONES.get(self._tone, _TONES["busy"])))

    def _list_links(self) -> None:
        for action in self._links:
            self.menu.removeAction(action)
        self._links = []
        for link in self._bridge.snapshot["links"][:RECENT]:
            name, url = str(link["name"]), str(link["url"])
            action = QAction(f"Copy link: {_short(name)}", self.menu)
            action.triggered.connect(lambda _=False, url=url: self._bridge.copy(url))
            self.menu.insertAction(self._before_links, action)
            self._links.append(action)
        if not self._links:
            action = QAction("No links yet", self.menu)
            action.setEnabled(False)
            self.menu.insertAction(self._before_links, action)
            self._links.append(action)


def _short(name: str) -> str:
    """One line, and no letter of the name taken for a mnemonic."""
    name = " ".join(name.split()).replace("&", "&&")
    return name if len(name) <= 40 else f"{name[:24]}…{name[-14:]}"


def _with_dot(icon: QIcon, colour: str) -> QIcon:
    pixmap = QPixmap(icon.pixmap(64, 64))
    painter = QPainter(pixmap)
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.setPen(QColor("white"))
    painter.setBrush(QColor(colour))
    painter.drawEllipse(40, 40, 22, 22)
    painter.end()
    return QIcon(pixmap)
