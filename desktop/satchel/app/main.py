"""`satchel-app`: the window and the tray of the engine of this home."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path

from PySide6.QtCore import QCoreApplication, QEvent, QObject, QSocketNotifier, QUrl
from PySide6.QtGui import QFontDatabase, QIcon
from PySide6.QtQml import QQmlApplicationEngine
from PySide6.QtQuick import QQuickWindow
from PySide6.QtQuickControls2 import QQuickStyle
from PySide6.QtWidgets import QApplication, QMessageBox

from satchel import __version__
from satchel.core.errors import EXIT_DONE, EXIT_FAILED, SatchelError
from satchel.engine.control import EngineClient
from satchel.engine.home import home_folder

from .bridge import Bridge
from .line import Engine
from .theme import Theme
from .tray import Tray

_HERE = Path(__file__).parent


class App:
    """Window and tray over one line to the engine, which `connect` makes away from the UI thread."""

    def __init__(self, application: QApplication, connect: Callable[[], Engine], hidden: bool = False) -> None:
        self._application = application
        self.exit_code = EXIT_DONE
        self._theme = Theme()
        self.bridge = Bridge(connect, self._theme, hidden=hidden)
        self.bridge.showAsked.connect(self.show)
        self.bridge.news.connect(self._tell)
        self.bridge.second.connect(self.leave)
        self.bridge.failed.connect(self._give_up)
        self.bridge.start()  # what it says waits for the event loop
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
        application.setQuitOnLastWindowClosed(False)
        if hidden and not self.tray.present:
            self.show()

    def show(self) -> None:
        self.window.show()
        self.window.raise_()
        self.window.requestActivate()

    def leave(self) -> None:
        self.window.hide()
        self._application.quit()

    def close(self) -> None:
        """After the event loop has ended; what others have asked the engine for is finished first."""
        self.tray.icon.hide()
        self.bridge.close()
        self._qml.deleteLater()  # before what it binds to
        QCoreApplication.sendPostedEvents(self._qml, QEvent.Type.DeferredDelete.value)

    def _tell(self, title: str, text: str) -> None:
        if not self.window.isVisible():
            self.bridge.tell(title, text, self.tray.say)

    def _give_up(self, message: str) -> None:
        QMessageBox.critical(None, "Satchel", message)
        self.exit_code = EXIT_FAILED
        self.leave()


def main() -> None:
    """Open the app for this home, or bring up the one that runs."""
    parser = argparse.ArgumentParser(prog="satchel-app", description="The Satchel window and tray.")
    parser.add_argument("--hidden", action="store_true", help="start in the tray")
    parser.add_argument("--version", action="version", version=__version__)
    options = parser.parse_args()
    home = home_folder()
    with contextlib.suppress(SatchelError):  # no engine yet: then there is no window either
        if EngineClient(home).call("show", ask=not options.hidden):
            return
    application = start(sys.argv[:1])
    app = App(application, lambda: _connect(home), hidden=options.hidden)
    _report_first_frame(app.window)
    signals = _Signals(app.leave)
    code = application.exec()
    app.close()
    signals.close()
    sys.exit(code or app.exit_code)


def _connect(home: Path) -> EngineClient:
    from satchel.engine.host import connect  # noqa: PLC0415 - the window need not wait for the engine's modules

    return connect(home)


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


class _Signals(QObject):
    """Ctrl-C and a session's end leave cleanly. Python's handlers run when Python does: the socket wakes it."""

    def __init__(self, leave: Callable[[], None]) -> None:
        super().__init__()
        self._wakes, self._woken = socket.socketpair()
        self._wakes.setblocking(False)
        self._woken.setblocking(False)
        self._notifier = QSocketNotifier(self._woken.fileno(), QSocketNotifier.Type.Read, self)
        self._notifier.activated.connect(self._drain)
        signal.set_wakeup_fd(self._wakes.fileno(), warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: leave())

    def close(self) -> None:
        signal.set_wakeup_fd(-1)
        self._wakes.close()
        self._woken.close()

    def _drain(self) -> None:
        with contextlib.suppress(BlockingIOError):
            self._woken.recv(64)


if __name__ == "__main__":
    main()
