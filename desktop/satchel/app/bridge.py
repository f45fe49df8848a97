"""Between the engine's line and QML: snapshots in, commands out, nothing that blocks on the UI thread."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from PySide6.QtCore import Property, QDateTime, QObject, QStandardPaths, QUrl, Signal, Slot
from PySide6.QtGui import QGuiApplication, QImage

from satchel.core.errors import SatchelError

from . import clipboard, notify, wording
from .folders import Folders
from .line import Engine, Line
from .models import ShownTransfers, TransferModel
from .preferences import Preferences
from .promises import Promises
from .theme import Theme

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
    """What QML binds to. All of it runs on the UI thread; what may block is the line's."""

    changed = Signal()
    linksChanged = Signal()  # noqa: N815 - QML's convention
    filterChanged = Signal()  # noqa: N815
    doneChanged = Signal()  # noqa: N815
    toast = Signal(str, str, bool)
    """Title, text, and whether something went wrong."""
    signInAnswered = Signal(str, str)  # noqa: N815
    """`signed_in`, `new_password_required` or `error`, and the words of an error."""
    showAsked = Signal()  # noqa: N815
    news = Signal(str, str)
    """Title and text of what ended; for when nobody looks."""
    second = Signal()
    """Another window has this home."""
    failed = Signal(str)
    """There can be no engine: why."""
    _arrived = Signal(object)
    _answered = Signal(object, object)

    def __init__(
        self, connect: Callable[[], Engine], theme: Theme, parent: QObject | None = None, *, hidden: bool = False
    ) -> None:
        super().__init__(parent)
        self._snapshot = EMPTY
        self._folders = Folders(self._ask, self.toast.emit, self)
        self._preferences = Preferences(partial(self._ask, turn="settings"), self.toast.emit, theme, self)
        self._model = TransferModel(self)
        self._shown = ShownTransfers(self._model, self)
        self._filter = "all"
        self._any_done = False
        self._made: dict[str, str] = {}
        self._promises = Promises()
        self._arrived.connect(self._take)
        self._answered.connect(self._run)
        self._line = Line(
            connect,
            event=self._arrived.emit,
            second=lambda: self._answered.emit(lambda _: self.second.emit(), None),
            lost=lambda: self._answered.emit(lambda _: self._begin_again(), None),
            failed=lambda error: self._answered.emit(lambda _: self.failed.emit(str(error)), None),
            hidden=hidden,
        )

    def start(self) -> None:
        """Look for the engine; what it says comes by signals, so connect them first."""
        self._line.start()
        self._preferences.read()

    def close(self) -> None:
        """Hang up, and end the engine when it runs in this process. May be called again."""
        self._line.close()

    # -- what QML shows ------------------------------------------------------------------------------------------------

    @Property(QObject, constant=True)
    def transfers(self) -> QObject:
        return self._shown

    @Property(QObject, constant=True)
    def folders(self) -> Folders:
        return self._folders

    @Property(QObject, constant=True)
    def preferences(self) -> Preferences:
        return self._preferences

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

    @Property(bool, notify=doneChanged)
    def anyDone(self) -> bool:  # noqa: N802 - QML's convention
        return self._any_done

    @property
    def snapshot(self) -> Snapshot:
        """The newest snapshot, as JSON values; for Python, where QML has the properties above."""
        return self._snapshot

    # -- what a person does --------------------------------------------------------------------------------------------

    @Slot(list)
    def drop(self, urls: list[Any]) -> None:
        """Local files and folders: their links go onto the clipboard as soon as they exist, be it when the service is
        back."""
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
        if self._promises.add(result["items"]) and not self._keep_promises(self._snapshot):
            self.toast.emit("Waiting for the service", "Links are copied as soon as it can be reached.", False)
        for item in wrong[:3]:
            self.toast.emit(f"{Path(item['path']).name} was left out", str(item["error"]), True)

    def _keep_promises(self, snapshot: Snapshot) -> bool:
        kept = self._promises.kept(snapshot["transfers"])
        for text in kept:
            self.copy(text)
        return bool(kept)

    @Slot()
    def paste(self) -> None:
        """Files from the clipboard, or a picture as a file of its own."""
        mime = QGuiApplication.clipboard().mimeData()
        if mime.hasUrls():
            self.drop(list(mime.urls()))
        elif mime.hasImage():
            self._keep(QGuiApplication.clipboard().image())
        else:
            self.toast.emit("The clipboard holds no file and no picture", "Copy one, then paste again.", True)

    def _keep(self, picture: QImage) -> None:
        name = f"Screenshot {QDateTime.currentDateTime().toString('yyyy-MM-dd HH.mm.ss.zzz')}.png"
        folder = Path(QStandardPaths.writableLocation(QStandardPaths.StandardLocation.PicturesLocation)) / "Satchel"

        def kept(done: bool) -> None:
            if done:
                self.drop([QUrl.fromLocalFile(str(folder / name))])
            else:
                self.toast.emit("The picture could not be kept", f"Look whether {folder} can be written.", True)

        self._aside(lambda: _saved(picture, folder / name), kept)

    @Slot(str)
    def copy(self, text: str) -> None:
        if clipboard.within_reach():
            self._copied(text, clipboard.copy(text))
        else:
            self._aside(lambda: clipboard.copy_by_tool(text), lambda done: self._copied(text, done), turn="clipboard")

    def _copied(self, text: str, done: bool) -> None:
        count = text.count("\n") + 1
        if done:
            self.toast.emit("Link copied" if count == 1 else f"{count} links copied", text, False)
        else:
            self.showAsked.emit()
            self.toast.emit("Copy this link yourself: the clipboard is out of reach", text, True)

    @Slot(str)
    def copyLinkTo(self, local_path: str) -> None:  # noqa: N802 - QML's convention
        """A link to a file of a watched folder; made when it is first asked for."""
        if local_path in self._made:
            self.copy(self._made[local_path])
            return
        for root in self._snapshot["roots"]:
            if Path(local_path).is_relative_to(root["path"]):
                below = Path(local_path).relative_to(root["path"]).as_posix()
                self._ask(
                    "link_create",
                    then=lambda made: self._take_link(local_path, str(made["url"])),
                    path=str(PurePosixPath(root["remote_path"]) / below),
                )
                return
        self.toast.emit("This folder is no longer watched", "Drop the file to get a link.", True)

    def _take_link(self, local_path: str, url: str) -> None:
        self._made[local_path] = url
        self.copy(url)

    @Slot(str)
    def showOnly(self, which: str) -> None:  # noqa: N802 - QML's convention
        self._filter = which
        self._shown.show_only(which)
        self.filterChanged.emit()

    @Slot(str, str)
    def transfer(self, command: str, transfer_id: str) -> None:
        """`cancel`, `pause`, `resume` or `retry`."""
        self._ask(f"transfer_{command}", turn="transfers", transfer_id=transfer_id)

    @Slot()
    def clearDone(self) -> None:  # noqa: N802 - QML's convention
        self._ask("clear_done", turn="transfers")

    @Slot()
    def togglePause(self) -> None:  # noqa: N802 - QML's convention
        self._ask("resume" if self._snapshot["paused"] else "pause", turn="settings")

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

    # -- talking to the engine -----------------------------------------------------------------------------------------

    def _ask(
        self,
        method: str,
        *,
        then: Callable[[Any], None] = lambda _: None,
        otherwise: Callable[[SatchelError], None] | None = None,
        turn: str = "",
        **params: Any,
    ) -> None:
        """Run a command away from the UI thread; `then` or `otherwise` gets its answer on it. `turn` as in
        `Line.ask`."""
        wrong = otherwise or self._complain
        self._line.ask(
            method,
            params,
            lambda answer: self._answered.emit(then, answer),
            lambda error: self._answered.emit(wrong, error),
            turn=turn,
        )

    def _aside(self, work: Callable[[], bool], then: Callable[[bool], None], turn: str = "") -> None:
        """Work that may block; `then` gets its result on the UI thread."""
        self._line.run(lambda: self._answered.emit(then, work()), turn)

    def _run(self, then: Callable[[Any], None], answer: Any) -> None:
        then(answer)

    def _complain(self, error: SatchelError) -> None:
        reference = f"Reference: {error.reference}" if error.reference else ""
        self.toast.emit(error.title, " · ".join(filter(None, (error.message or error.path, reference))), True)

    def _take(self, event: Snapshot) -> None:
        if event.get("show"):
            self.showAsked.emit()
            return
        old, self._snapshot = self._snapshot, event
        self._model.update(event["transfers"])
        self._keep_promises(event)
        any_done = any(row["state"] in ("done", "cancelled") for row in event["transfers"])
        if any_done != self._any_done:
            self._any_done = any_done
            self.doneChanged.emit()
        if old["links"] != event["links"]:
            self.linksChanged.emit()
        self._folders.take(event["roots"])
        if old.get("settings_set") != event["settings_set"]:
            self._preferences.read()
        if any(old[key] != event[key] for key in ("headline", "tone", "account", "paused", "notices")):
            self.changed.emit()
        if self._preferences.notifies:
            for title, text in notify.news(old["transfers"], event["transfers"]):
                self.news.emit(title, text)

    def _begin_again(self) -> None:
        """The engine ended with its process: what was shown stays, and the line looks for the next one."""
        self._snapshot = {**self._snapshot, "headline": "Starting…", "tone": "busy"}
        self.changed.emit()
        self._preferences.read()

    def tell(self, title: str, text: str, otherwise: Callable[[str, str], None]) -> None:
        """By the desktop's notifications; `otherwise` where it has none."""
        self._aside(lambda: notify.tell(title, text), lambda done: None if done else otherwise(title, text))


def _saved(picture: QImage, file: Path) -> bool:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return bool(picture.save(str(file)))
