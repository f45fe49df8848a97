"""`python -m tests.bench.app.probe FOLDER`: the app as `satchel-app` opens it, which drops FOLDER on itself.

A timer beside the app's own notes how late the event loop comes to it, first while nothing is done and then until all
of the folder is online. It prints both as JSON, in milliseconds, and quits.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from PySide6.QtCore import QObject, Qt, QTimer, QUrl
from PySide6.QtWidgets import QApplication

from satchel.app.main import App, start
from satchel.engine.home import home_folder
from satchel.engine.host import connect

EVERY_MS = 5
SETTLE_S, IDLE_S = 2.0, 3.0
"""From the sign-in on: until the window is drawn and the account looked at, and how long nothing is done."""


class Probe(QObject):
    def __init__(self, application: QApplication, app: App, folder: str) -> None:
        super().__init__()
        self._application, self._app, self._folder = application, app, folder
        self._said: dict[str, Any] = {}
        self._late: list[float] = []
        self._phase, self._began = "sign-in", time.perf_counter()
        self._last = self._began
        self._timer = QTimer(self)
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self._timer.start(EVERY_MS)

    def _tick(self) -> None:
        now = time.perf_counter()
        self._late.append(max(0.0, (now - self._last) * 1000 - EVERY_MS))
        self._last = now
        if self._phase == "sign-in" and self._app.bridge.signedIn == "signed_in":
            self._enter("settle", now)
        elif self._phase == "settle" and now - self._began > SETTLE_S:
            self._enter("idle", now)
        elif self._phase == "idle" and now - self._began > IDLE_S:
            self._enter("busy", now)
            self._app.bridge.drop([QUrl.fromLocalFile(self._folder)])
        elif self._phase == "busy":
            self._look(now)

    def _look(self, now: float) -> None:
        """End when the folder has come to its end."""
        rows = self._app.bridge.snapshot["transfers"]
        if rows and rows[0]["state"] in ("done", "failed", "cancelled"):
            self._said["row"] = {key: rows[0][key] for key in ("state", "files", "files_done", "message")}
            self._enter("over", now)
            print(json.dumps(self._said), flush=True)
            self._application.quit()

    def _enter(self, phase: str, now: float) -> None:
        self._said[self._phase] = {"seconds": now - self._began, "late_ms": [round(one, 2) for one in self._late]}
        self._phase, self._began, self._late = phase, now, []


def main() -> None:
    home = home_folder()
    application = start(sys.argv[:1])
    app = App(application, lambda: connect(home))
    probe = Probe(application, app, sys.argv[1])
    code = application.exec()
    del probe
    app.close()
    sys.exit(code or app.exit_code)


if __name__ == "__main__":
    main()
