"""Between the engine's line and QML: snapshots in, commands out, nothing that blocks on the UI thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from PySide6.QtCore import Property, QDateTime, QObject, QStandardPaths, QUrl, Signal, Slot
from PySide6.QtGui import QDesktopServices, QGuiApplication

from satchel.core.errors import EngineError, SatchelError
from satchel.engine.control import EngineClient

from . import autostart, clipboard, wording
from .models import ShownTransfers, TransferModel
from .theme import Theme

log = logging.getLogger(__name__)

Snapshot = dict[str, Any]
EMPTY: Snapshot = {
    "headline": "Starting…",
    "tone": "busy",
    "account": {"state": "starting", "site": "", "email": "", "used_bytes": 0, "quota_bytes": None, "remembered": True},
    "paused": False,
    "transfers": [],
    "links": [],
    "roots": [],
    "notices": [],
}


class Bridge(QObject):
    """What QML binds to. Everything here runs on the UI thread but the two threads that talk to the engine."""

    changed = Signal()
    linksChanged = Signal()  # noqa: N815 - QML's convention
    rootsChanged = Signal()  # noqa: N815
    settingsChanged = Signal()  # noqa: N815
    filterChanged = Signal()  # noqa: N815
    toast = Signal(str, str, bool)
    """Title, text, and whether something went wrong."""
    signInAnswered = Signal(str, str)  # noqa: N815
    """`signed_in`, `new_password_required` or `error`, and the words of an error."""
    showAsked = Signal()  # noqa: N815
    engineLost = Signal(str)  # noqa: N815
    _arrived = Signal(object)
    _answered = Signal(object, object)

    def __init__(self, client: EngineClient, theme: Theme, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self._client = client
        self._theme = theme
        self._snapshot = EMPTY
        self._settings: dict[str, Any] = {}
        self._model = TransferModel(self)
        self._shown = ShownTransfers(self._model, self)
        self._filter = "all"
        self._workers = ThreadPoolExecutor(4, "command")
        self._closing = threading.Event()
        self._arrived.connect(self._take)
        self._answered.connect(lambda then, answer: then(answer))
        threading.Thread(target=self._watch, name="watch", daemon=True).start()
        self._ask("settings_get", then=self._take_settings)

    def close(self) -> None:
        self._closing.set()
        self._workers.shutdown(wait=False, cancel_futures=True)

    # -- what QML shows ------------------------------------------------------------------------------------------------

    @Property(QObject, constant=True)
    def transfers(self) -> QObject:
        return self._shown

    @Property(str, notify=filterChanged)
    def filter(self) -> str:
        return self._filter

    @Property(str, notify=changed)
    def headline(self) -> str:
        return str(self._snapshot["headline"])

    @Property(str, notify=changed)
    def tone(self) -> str:
        return str(self._snapshot["tone"])

    @Property(str, notify=changed)
    def signedIn(self) -> str:  # noqa: N802 - QML's convention
        return str(self._snapshot["account"]["state"])

    @Property(str, notify=changed)
    def email(self) -> str:
        return str(self._snapshot["account"]["email"])

    @Property(str, notify=changed)
    def site(self) -> str:
        return str(self._snapshot["account"]["site"])

    @Property(str, notify=changed)
    def initials(self) -> str:
        return wording.initials(str(self._snapshot["account"]["email"]))

    @Property(str, notify=changed)
    def usage(self) -> str:
        account = self._snapshot["account"]
        return wording.usage(account["used_bytes"], account.get("quota_bytes"))

    @Property(bool, notify=changed)
    def remembered(self) -> bool:
        return bool(self._snapshot["account"]["remembered"])

    @Property(bool, notify=changed)
    def paused(self) -> bool:
        return bool(self._snapshot["paused"])

    @Property(list, notify=changed)
    def notices(self) -> list[Any]:
        return list(self._snapshot["notices"])

    @Property(list, notify=linksChanged)
    def links(self) -> list[Any]:
        return list(self._snapshot["links"])

    @Property(list, notify=rootsChanged)
    def roots(self) -> list[Any]:
        return list(self._snapshot["roots"])

    @Property(list, notify=rootsChanged)
    def held(self) -> list[Any]:
        return [
            {"path": item["path"] or root["path"], "reason": item["reason"], "remedy": item["remedy"]}
            for root in self._snapshot["roots"]
            for item in root["held"]
        ]

    @Property(str, notify=settingsChanged)
    def themeChoice(self) -> str:  # noqa: N802 - QML's convention
        return str(self._settings.get("theme", "system"))

    @Property(bool, notify=settingsChanged)
    def startsAtLogin(self) -> bool:  # noqa: N802 - QML's convention
        return bool(self._settings.get("autostart", False))

    @property
    def snapshot(self) -> Snapshot:
        """The newest snapshot, as JSON values; for Python, where QML has the properties above."""
        return self._snapshot

    # -- what a person does --------------------------------------------------------------------------------------------

    @Slot(list)
    def drop(self, urls: list[Any]) -> None:
        """Local files and folders: their links go onto the clipboard as soon as they exist."""
        found = [QUrl(url) for url in urls]
        paths = [url.toLocalFile() for url in found if url.isLocalFile()]
        if not paths:
            self.toast.emit("Nothing to share", "Drop files or folders from this computer.", True)
            return
        self._ask("drop", then=self._dropped, paths=paths)

    def _dropped(self, result: dict[str, Any]) -> None:
        wrong = [item for item in result["items"] if item.get("error")]
        if result["links"]:
            self.copy("\n".join(result["links"]))
        for item in wrong[:3]:
            self.toast.emit(f"{Path(item['path']).name} was left out", str(item["error"]), True)

    @Slot()
    def paste(self) -> None:
        """Files from the clipboard, or a picture as a file of its own."""
        mime = QGuiApplication.clipboard().mimeData()
        if mime.hasUrls():
            self.drop(list(mime.urls()))
        elif mime.hasImage():
            picture = QGuiApplication.clipboard().image()
            name = f"Screenshot {QDateTime.currentDateTime().toString('yyyy-MM-dd HH.mm.ss')}.png"
            folder = Path(QStandardPaths.writableLocation(QStandardPaths.StandardLocation.PicturesLocation)) / "Satchel"
            folder.mkdir(parents=True, exist_ok=True)
            if picture.save(str(folder / name)):
                self.drop([QUrl.fromLocalFile(str(folder / name))])
            else:
                self.toast.emit("The picture could not be kept", str(folder), True)
        else:
            self.toast.emit("The clipboard holds no file and no picture", "Copy one, then paste again.", True)

    @Slot(str)
    def copy(self, text: str) -> None:
        count = text.count("\n") + 1
        if clipboard.copy(text):
            self.toast.emit("Link copied" if count == 1 else f"{count} links copied", text, False)
        else:
            self.toast.emit("Copy this link yourself: the clipboard is out of reach", text, True)

    @Slot(str)
    def showOnly(self, which: str) -> None:  # noqa: N802 - QML's convention
        self._filter = which
        self._shown.show_only(which)
        self.filterChanged.emit()

    @Slot(str, str)
    def transfer(self, command: str, transfer_id: str) -> None:
        """`cancel`, `pause`, `resume` or `retry`."""
        self._ask(f"transfer_{command}", transfer_id=transfer_id)

    @Slot()
    def clearDone(self) -> None:  # noqa: N802 - QML's convention
        self._ask("clear_done")

    @Slot()
    def togglePause(self) -> None:  # noqa: N802 - QML's convention
        self._ask("resume" if self._snapshot["paused"] else "pause")

    @Slot()
    def openFolder(self) -> None:  # noqa: N802 - QML's convention
        roots = self._snapshot["roots"]
        if roots:
            QDesktopServices.openUrl(QUrl.fromLocalFile(str(roots[0]["path"])))
        else:
            self.toast.emit("No folder is watched yet", "Add one in the settings.", False)

    @Slot(str, str, str, str)
    def signIn(self, site: str, email: str, password: str, new_password: str) -> None:  # noqa: N802 - QML's convention
        def refused(error: SatchelError) -> None:
            self.signInAnswered.emit("error", f"{error.title}. {error.message}".strip())

        self._ask(
            "login",
            then=lambda result: self.signInAnswered.emit(str(result["outcome"]), ""),
            otherwise=refused,
            site=site,
            email=email,
            password=password,
            new_password=new_password or None,
        )

    @Slot()
    def signOut(self) -> None:  # noqa: N802 - QML's convention
        self._ask("logout")

    @Slot(QUrl, str)
    def addRoot(self, folder: QUrl, remote: str) -> None:  # noqa: N802 - QML's convention
        self._ask("root_add", dir=folder.toLocalFile(), to=remote or None)

    @Slot(str)
    def removeRoot(self, root_id: str) -> None:  # noqa: N802 - QML's convention
        self._ask("root_remove", root_id_or_dir=root_id)

    @Slot(str)
    def chooseTheme(self, choice: str) -> None:  # noqa: N802 - QML's convention
        self._ask("settings_set", then=self._take_settings, theme=choice)

    @Slot(bool)
    def startAtLogin(self, wanted: bool) -> None:  # noqa: N802 - QML's convention
        try:
            autostart.enable() if wanted else autostart.disable()
        except OSError as error:
            self.toast.emit("That could not be changed", str(error), True)
            self.settingsChanged.emit()
            return
        self._ask("settings_set", then=self._take_settings, autostart=wanted)

    # -- talking to the engine -----------------------------------------------------------------------------------------

    def _ask(
        self,
        method: str,
        *,
        then: Callable[[Any], None] = lambda _: None,
        otherwise: Callable[[SatchelError], None] | None = None,
        **params: Any,
    ) -> None:
        """Run a command away from the UI thread; `then` or `otherwise` gets its answer on it."""
        wrong = otherwise or self._complain

        def work() -> None:
            try:
                answer = self._client.call(method, **params)
            except SatchelError as error:
                self._answered.emit(wrong, error)
            else:
                self._answered.emit(then, answer)

        if not self._closing.is_set():
            self._workers.submit(work)

    def _complain(self, error: SatchelError) -> None:
        self.toast.emit(error.title, error.message or (error.path or ""), True)

    def _watch(self) -> None:
        try:
            for kind, value in self._client.stream("watch"):
                if self._closing.is_set():
                    return
                if kind == "event":
                    self._arrived.emit(value)
        except EngineError as error:
            if not self._closing.is_set():
                self.engineLost.emit(str(error))

    def _take(self, event: Snapshot) -> None:
        if event.get("show"):
            self.showAsked.emit()
            return
        old, self._snapshot = self._snapshot, event
        self._model.update(event["transfers"])
        if old["links"] != event["links"]:
            self.linksChanged.emit()
        if old["roots"] != event["roots"]:
            self.rootsChanged.emit()
        if any(old[key] != event[key] for key in ("headline", "tone", "account", "paused", "notices")):
            self.changed.emit()

    def _take_settings(self, settings: dict[str, Any]) -> None:
        self._settings = settings
        self._theme.choose(str(settings.get("theme", "system")))
        self.settingsChanged.emit()
