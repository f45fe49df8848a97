"""`satchel-app`: the window and the tray of the engine of this home."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QTimer, QUrl
from PySide6.QtGui import QFontDatabase, QIcon
from PySide6.QtQml import QQmlApplicationEngine
from PySide6.QtQuick import QQuickWindow
from PySide6.QtQuickControls2 import QQuickStyle
from PySide6.QtWidgets import QApplication, QMessageBox

from satchel import __version__
from satchel.core.errors import SatchelError
from satchel.engine.control import EngineClient
from satchel.engine.home import home_folder
from satchel.engine.host import connect

from .bridge import Bridge
from .theme import Theme
from .tray import Tray

_HERE = Path(__file__).parent


class App:
    """Window, tray and bridge over one engine's line."""

    def __init__(self, application: QApplication, client: EngineClient, hidden: bool = False) -> None:
        self._application = application
        self._client = client
        self._theme = Theme()
        self.bridge = Bridge(client, self._theme)
        self._qml = QQmlApplicationEngine()
        self._qml.addImportPath(str(_HERE / "qml"))
        context = self._qml.rootContext()
        context.setContextProperty("satchel", self.bridge)
        context.setContextProperty("scheme", self._theme)
        context.setContextProperty("startHidden", hidden)
        self._qml.load(QUrl.fromLocalFile(str(_HERE / "qml" / "Main.qml")))
        found = self._qml.rootObjects()
        if not found or not isinstance(found[0], QQuickWindow):
            raise RuntimeError("the window's QML cannot be loaded")
        self.window = found[0]
        self.tray = Tray(self.bridge, icon(), self.show, self.leave)
        self.bridge.showAsked.connect(self.show)
        self.bridge.engineLost.connect(self._lost)
        application.setQuitOnLastWindowClosed(False)
        if hidden and not self.tray.present:
            self.show()

    def show(self) -> None:
        self.window.show()
        self.window.raise_()
        self.window.requestActivate()

    def leave(self) -> None:
        self.bridge.close()
        self._application.quit()

    def close(self) -> None:
        """After the event loop has ended."""
        self.bridge.close()
        self._client.close()

    def _lost(self, message: str) -> None:
        QMessageBox.warning(None, "Satchel", f"{message}")
        self.leave()


def main() -> None:
    """Open the app for this home, or bring up the one that runs."""
    parser = argparse.ArgumentParser(prog="satchel-app", description="The Satchel window and tray.")
    parser.add_argument("--hidden", action="store_true", help="start in the tray")
    parser.add_argument("--version", action="version", version=__version__)
    options = parser.parse_args()
    home = home_folder()
    application = start(sys.argv[:1])
    try:
        client = connect(home)
        if not options.hidden and client.call("show"):
            return
        app = App(application, client, hidden=options.hidden)
    except SatchelError as error:
        QMessageBox.critical(None, "Satchel", str(error))
        sys.exit(error.exit_code)
    _report_first_frame(app.window)
    _leave_on_signal(app)
    code = application.exec()
    app.close()
    sys.exit(code)


def start(arguments: list[str]) -> QApplication:
    """The application object, with its name, fonts and style."""
    QCoreApplication.setApplicationName("Satchel")
    QCoreApplication.setOrganizationName("satchel")
    if sys.platform.startswith("linux") and not Path("/dev/dri").exists():
        os.environ.setdefault("QT_QUICK_BACKEND", "software")
    QQuickStyle.setStyle("Basic")
    application = QApplication(arguments)
    application.setDesktopFileName("satchel")
    application.setWindowIcon(icon())
    for font in sorted((_HERE / "fonts").glob("*.otf")):
        QFontDatabase.addApplicationFont(str(font))
    family = application.font()
    family.setFamilies(["Inter", family.family()])
    family.setPixelSize(15)
    application.setFont(family)
    return application


def icon() -> QIcon:
    return QIcon(str(_HERE / "icons" / "satchel.svg"))


def _report_first_frame(window: QQuickWindow) -> None:
    """For the benchmark: says when the first frame has been swapped."""
    if os.environ.get("SATCHEL_REPORT_FIRST_FRAME") != "1":
        return
    told: list[bool] = []

    def swapped() -> None:
        if not told:
            told.append(True)
            print("first-frame", flush=True)  # noqa: T201 - the benchmark reads it

    window.frameSwapped.connect(swapped)


def _leave_on_signal(app: App) -> None:
    """Ctrl-C and a session's end leave cleanly; Python sees signals only while it runs, hence the slow timer."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: app.leave())
    timer = QTimer(app.bridge, interval=500)
    timer.timeout.connect(lambda: None)
    timer.start()


if __name__ == "__main__":
    main()
