"""A window to drag files from: `python drag_source.py FILE...`. Says `ready` with its window's id, then `dropped` with
what the target took."""

from __future__ import annotations

import sys

from PySide6.QtCore import QMimeData, Qt, QUrl
from PySide6.QtGui import QDrag, QMouseEvent
from PySide6.QtWidgets import QApplication, QLabel


class Source(QLabel):
    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        data = QMimeData()
        data.setUrls([QUrl.fromLocalFile(path) for path in sys.argv[1:]])
        drag = QDrag(self)
        drag.setMimeData(data)
        taken = drag.exec(Qt.DropAction.CopyAction | Qt.DropAction.MoveAction, Qt.DropAction.CopyAction)
        print("dropped", taken.name, flush=True)


application = QApplication(sys.argv)
window = Source("drag me")
window.setWindowTitle("drag-source")
window.setGeometry(1000, 300, 200, 200)
window.show()
print("ready", int(window.winId()), flush=True)
application.exec()
