"""The least QML window there can be: says `first-frame` when its first frame is on the screen."""

from __future__ import annotations

import sys

from PySide6.QtCore import QUrl
from PySide6.QtGui import QGuiApplication
from PySide6.QtQml import QQmlApplicationEngine
from PySide6.QtQuick import QQuickWindow

QML = b"""
import QtQuick
Window { width: 760; height: 780; visible: true; Text { anchors.centerIn: parent; text: "Bare" } }
"""

application = QGuiApplication(sys.argv)
engine = QQmlApplicationEngine()
engine.loadData(QML, QUrl())
window = engine.rootObjects()[0]
assert isinstance(window, QQuickWindow)


def seen() -> None:
    print("first-frame", flush=True)
    application.quit()


window.frameSwapped.connect(seen)
sys.exit(application.exec())
