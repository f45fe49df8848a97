from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QObject
from PySide6.QtQuick import QQuickItem
from PySide6.QtWidgets import QApplication

from satchel.app.main import App, start
from unit.app.fake_engine import FakeEngine


@pytest.fixture(scope="session")
def qapp() -> QApplication:
    """The app's own application object."""
    return start(["satchel"])


@pytest.fixture
def open_app(
    qapp: QApplication, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., App]]:
    """Opens the real app over a fake engine, and waits for its first snapshot."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    apps: list[App] = []

    def make(engine: FakeEngine, hidden: bool = False, wait: bool = True) -> App:
        app = App(qapp, lambda: engine, hidden=hidden)
        apps.append(app)
        if wait:
            qtbot.waitUntil(lambda: app.bridge.signedIn != "starting" and app.bridge.preferences.theme == "light")
        return app

    yield make
    for app in apps:
        app.window.hide()
        app.close()


def items(parent: QQuickItem) -> Iterator[QQuickItem]:
    """All visible items, in depth-first order."""
    for child in parent.childItems():
        if child.isVisible():
            yield child
            yield from items(child)


def accessible(item: QObject, name: str) -> Any:
    """The attached property `Accessible.NAME` of an item."""
    from PySide6.QtQml import QQmlProperty, qmlContext

    return QQmlProperty(item, f"Accessible.{name}", qmlContext(item)).read()
