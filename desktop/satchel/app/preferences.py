"""What a person chooses for the app and this computer, as QML sees it: `satchel.preferences`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Property, QObject, Signal, Slot

from satchel.core.errors import SatchelError

from . import autostart, limits
from .theme import Theme


class Preferences(QObject):
    """The engine's settings; commands go by `ask`, which is the bridge's and does them in the order of their asking."""

    changed = Signal()

    def __init__(
        self, ask: Callable[..., None], toast: Callable[[str, str, bool], None], theme: Theme, parent: QObject
    ) -> None:
        super().__init__(parent)
        self._ask = ask
        self._toast = toast
        self._theme = theme
        self._settings: dict[str, Any] = {}

    @Slot()
    def read(self) -> None:
        """Somebody may have set some: the command line, or whoever edits the file."""
        self._ask("settings_get", then=self._take)

    @Property(str, notify=changed)
    def theme(self) -> str:
        return str(self._settings.get("theme", "system"))

    @Property(bool, notify=changed)
    def startsAtLogin(self) -> bool:  # noqa: N802 - QML's convention
        return bool(self._settings.get("autostart", False))

    @Property(bool, notify=changed)
    def notifies(self) -> bool:
        return bool(self._settings.get("notifications", True))

    @Property(dict, notify=changed)
    def limits(self) -> dict[str, str]:
        """By the setting's name, in MB/s, nothing for no limit."""
        return {name: limits.shown(self._settings.get(name, 0)) for name in ("upload_limit", "download_limit")}

    @Slot(str)
    def chooseTheme(self, choice: str) -> None:  # noqa: N802 - QML's convention
        self._ask("settings_set", then=self._take, theme=choice)

    @Slot(bool)
    def notify(self, wanted: bool) -> None:
        self._ask("settings_set", then=self._take, notifications=wanted)

    @Slot(bool)
    def startAtLogin(self, wanted: bool) -> None:  # noqa: N802 - QML's convention
        try:
            autostart.enable() if wanted else autostart.disable()
        except OSError as error:
            self._toast("That could not be changed", str(error), True)
            self.changed.emit()
            return
        self._ask("settings_set", then=self._take, autostart=wanted)

    @Slot(str, str, result=bool)
    def setLimit(self, setting: str, text: str) -> bool:  # noqa: N802 - QML's convention
        """`upload_limit` or `download_limit`, as typed; False, and why is told, when that is no limit."""
        try:
            rate = limits.read(text)
        except ValueError as error:
            self._toast(f"“{text.strip()}” is no limit", str(error), True)
            return False

        def refused(error: SatchelError) -> None:
            self._toast(error.title, error.message or error.path or "", True)
            self.changed.emit()

        values: dict[str, Any] = {setting: rate}
        self._ask("settings_set", then=self._take, otherwise=refused, **values)
        return True

    def _take(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._theme.choose(str(settings.get("theme", "system")))
        self.changed.emit()
