"""What people do, what the engine is asked, and what they are told."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PySide6.QtCore import QMimeData, QStandardPaths, QTimer, QUrl
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtWidgets import QApplication, QSystemTrayIcon

from satchel.app import autostart, clipboard, notify
from satchel.app.main import App
from satchel.core.errors import JournalError, RefusedError, SignInError
from unit.app.fake_engine import ACCOUNT, SETTINGS, FakeEngine, link, root, row, snapshot

Open = Callable[..., App]
SIGNED_OUT = snapshot(account=ACCOUNT | {"state": "signed_out", "email": "", "site": ""})


class Toasts(list[tuple[str, str, bool]]):
    def __init__(self, app: App) -> None:
        app.bridge.toast.connect(lambda *said: self.append(said))


def dropped(*links: str, wrong: dict[str, str] | None = None) -> dict[str, Any]:
    good = [{"path": f"/tmp/{n}", "link_url": url, "error": None} for n, url in enumerate(links)]
    bad = [{"path": path, "link_url": None, "error": error} for path, error in (wrong or {}).items()]
    return {"items": good + bad, "links": list(links)}


# -- links and the clipboard


def test_a_drop_puts_all_links_on_the_clipboard_one_a_line(open_app: Open, qtbot: Any) -> None:
    engine = FakeEngine(drop=dropped("https://x/s/1", "https://x/s/2"))
    app = open_app(engine)
    toasts = Toasts(app)
    app.bridge.drop([QUrl.fromLocalFile("/tmp/a b"), QUrl("https://example.com/"), QUrl.fromLocalFile("/tmp/ü")])
    qtbot.waitUntil(lambda: bool(toasts))
    assert engine.asked("drop") == [{"paths": ["/tmp/a b", "/tmp/ü"]}]
    assert QGuiApplication.clipboard().text() == "https://x/s/1\nhttps://x/s/2"
    assert toasts == [("2 links copied", "https://x/s/1\nhttps://x/s/2", False)]


def test_links_that_come_late_are_copied_together_when_all_have_come(open_app: Open, qtbot: Any) -> None:
    late = [{"path": f"/tmp/{n}", "transfer_id": n, "link_url": None, "error": None} for n in ("a", "b")]
    engine = FakeEngine(drop={"items": late, "links": []})
    app = open_app(engine)
    toasts = Toasts(app)
    QGuiApplication.clipboard().setText("mine")
    app.bridge.drop([QUrl.fromLocalFile("/tmp/a"), QUrl.fromLocalFile("/tmp/b")])
    qtbot.waitUntil(lambda: bool(toasts))
    assert toasts == [("Waiting for the service", "Links are copied as soon as it can be reached.", False)]

    engine.push(snapshot(row("a", "sending"), row("b", "waiting", link_url=None)))
    qtbot.waitUntil(lambda: len(app.bridge.snapshot["transfers"]) == 2)
    assert QGuiApplication.clipboard().text() == "mine"
    engine.push(snapshot(row("a", "sending"), row("b", "sending")))
    qtbot.waitUntil(lambda: len(toasts) == 2)
    assert QGuiApplication.clipboard().text() == "https://files.example.com/s/a\nhttps://files.example.com/s/b"

    QGuiApplication.clipboard().setText("mine")
    engine.push(snapshot(row("a"), row("b")))
    qtbot.waitUntil(lambda: app.bridge.snapshot["transfers"][0]["state"] == "done")
    assert QGuiApplication.clipboard().text() == "mine", "once is enough"


def test_a_bad_item_is_told_and_the_others_have_their_links(open_app: Open, qtbot: Any) -> None:
    app = open_app(FakeEngine(drop=dropped("https://x/s/1", wrong={"/tmp/bad": "It cannot be read"})))
    toasts = Toasts(app)
    app.bridge.drop([QUrl.fromLocalFile("/tmp/a"), QUrl.fromLocalFile("/tmp/bad")])
    qtbot.waitUntil(lambda: len(toasts) == 2)
    assert QGuiApplication.clipboard().text() == "https://x/s/1"
    assert toasts[1] == ("bad was left out", "It cannot be read", True)


def test_what_is_no_local_file_is_refused_without_asking(open_app: Open) -> None:
    engine = FakeEngine()
    app = open_app(engine)
    toasts = Toasts(app)
    app.bridge.drop([QUrl("https://example.com/a")])
    assert toasts[0][2]
    assert engine.asked("drop") == []


def test_copied_is_not_said_when_the_clipboard_did_not_take_it(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    app = open_app(FakeEngine())
    toasts = Toasts(app)
    monkeypatch.setattr(clipboard, "copy", lambda _: False)
    app.window.hide()
    app.bridge.copy("https://x/s/1")
    assert [text for _, text, _ in toasts] == ["https://x/s/1"]
    assert "copied" not in toasts[0][0]
    assert app.window.isVisible()


def test_where_qt_may_not_write_the_tool_does_away_from_the_ui(
    open_app: Open, qtbot: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_app(FakeEngine())
    toasts = Toasts(app)
    threads: list[str] = []
    monkeypatch.setattr(clipboard, "within_reach", lambda: False)
    monkeypatch.setattr(
        clipboard, "copy_by_tool", lambda _: bool(threads.append(threading.current_thread().name) or True)
    )
    app.bridge.copy("https://x/s/1")
    qtbot.waitUntil(lambda: bool(toasts))
    assert toasts[0][0] == "Link copied"
    assert threads[0].startswith("command")


def test_wl_copy_gets_the_text_and_its_absence_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    tool = tmp_path / "wl-copy"
    tool.write_text(f"#!/bin/sh\ncat > {tmp_path}/held\n")
    tool.chmod(0o755)
    assert clipboard.copy_by_tool("https://x/s/1")
    assert (tmp_path / "held").read_text() == "https://x/s/1"
    tool.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not clipboard.copy_by_tool("https://x/s/1")


def test_a_watched_file_gets_one_link_however_often_it_is_asked_for(open_app: Open, qtbot: Any) -> None:
    engine = FakeEngine(snapshot(roots=[root("/home/alice/Share")]), link_create={"url": "https://x/s/9"})
    app = open_app(engine)
    toasts = Toasts(app)
    for times in (1, 2):
        app.bridge.copyLinkTo("/home/alice/Share/2026/a.pdf")
        qtbot.waitUntil(lambda times=times: len(toasts) == times)
    assert engine.asked("link_create") == [{"path": "/Share/2026/a.pdf"}]
    assert QGuiApplication.clipboard().text() == "https://x/s/9"


def test_pasting_a_picture_shares_it_as_a_file(
    open_app: Open, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QStandardPaths, "writableLocation", lambda _: str(tmp_path))
    engine = FakeEngine(drop=dropped("https://x/s/1"))
    app = open_app(engine)
    picture = QImage(8, 6, QImage.Format.Format_RGB32)
    picture.fill(0x336699)
    QGuiApplication.clipboard().setImage(picture)
    app.bridge.paste()
    qtbot.waitUntil(lambda: bool(engine.asked("drop")))
    [path] = engine.asked("drop")[0]["paths"]
    assert Path(path).parent == tmp_path / "Satchel"
    assert QImage(path).pixel(1, 1) == picture.pixel(1, 1)


def test_pasting_files_drops_them_and_pasting_text_is_explained(open_app: Open, qtbot: Any) -> None:
    engine = FakeEngine(drop=dropped("https://x/s/1"))
    app = open_app(engine)
    data = QMimeData()
    data.setUrls([QUrl.fromLocalFile("/tmp/a")])
    QGuiApplication.clipboard().setMimeData(data)
    toasts = Toasts(app)
    app.bridge.paste()
    qtbot.waitUntil(lambda: engine.asked("drop") == [{"paths": ["/tmp/a"]}])
    qtbot.waitUntil(lambda: bool(toasts))
    QGuiApplication.clipboard().setText("words")
    app.bridge.paste()
    assert "no file and no picture" in toasts[-1][0]


# -- signing in and settings


def test_signing_in_passes_what_was_typed_and_says_what_is_wrong(open_app: Open, qtbot: Any) -> None:
    engine = FakeEngine(SIGNED_OUT, login=SignInError("Wrong e-mail or password", "Try again."))
    app = open_app(engine)
    answers: list[tuple[str, str]] = []
    app.bridge.signInAnswered.connect(lambda *answer: answers.append(answer))
    app.bridge.signIn("files.example.com", "a@example.com", "pw", "")
    qtbot.waitUntil(lambda: answers == [("error", "Wrong e-mail or password. Try again.")])
    engine.answers["login"] = {"outcome": "new_password_required"}
    app.bridge.signIn("files.example.com", "a@example.com", "pw", "new")
    qtbot.waitUntil(lambda: answers[-1] == ("new_password_required", ""))
    assert [asked["new_password"] for asked in engine.asked("login")] == [None, "new"]


def test_the_theme_follows_the_setting(open_app: Open, qtbot: Any) -> None:
    engine = FakeEngine()
    app = open_app(engine)
    before = app.window.color()
    app.bridge.preferences.chooseTheme("dark")
    qtbot.waitUntil(lambda: app.bridge.preferences.theme == "dark")
    assert engine.asked("settings_set") == [{"theme": "dark"}]
    assert app.window.color().lightness() < before.lightness()


def test_starting_at_login_writes_a_desktop_entry_and_takes_it_away(
    open_app: Open, qtbot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = open_app(FakeEngine())
    file = tmp_path / "config" / "autostart" / "satchel.desktop"
    app.bridge.preferences.startAtLogin(True)
    assert f"Exec={sys.executable} -m satchel.app.main --hidden" in file.read_text()
    app.bridge.preferences.startAtLogin(False)
    assert not file.exists()
    autostart.disable()


def test_autostart_that_cannot_be_written_is_told_and_not_set(
    open_app: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FakeEngine()
    app = open_app(engine)
    (tmp_path / "config").write_text("a file where the folder should be")
    toasts = Toasts(app)
    app.bridge.preferences.startAtLogin(True)
    assert toasts[0][2]
    assert engine.asked("settings_set") == []


def test_an_errors_words_reach_the_person(open_app: Open, qtbot: Any) -> None:
    app = open_app(FakeEngine(root_add=RefusedError("not-found", "This folder is not there", "Choose another.")))
    toasts = Toasts(app)
    app.bridge.folders.add(QUrl.fromLocalFile("/nowhere"), "", "upload-only")
    qtbot.waitUntil(lambda: toasts == [("This folder is not there", "Choose another.", True)])


# -- the engine's line


def test_the_window_is_there_before_the_engine_is(qapp: QApplication, qtbot: Any) -> None:
    reached = threading.Event()
    engine = FakeEngine()

    def connect() -> FakeEngine:
        reached.wait(20)
        return engine

    app = App(qapp, connect)
    try:
        assert app.window.isVisible()
        assert app.bridge.signedIn == "starting"
        app.bridge.togglePause()  # asked too early: it waits
        reached.set()
        qtbot.waitUntil(lambda: app.bridge.signedIn == "signed_in" and engine.asked("pause") == [{}])
    finally:
        reached.set()
        app.close()


def test_a_slow_engine_does_not_hold_up_the_window(open_app: Open, qtbot: Any) -> None:
    release = threading.Event()
    app = open_app(FakeEngine(drop=lambda paths: release.wait(20) and dropped("https://x/s/1")))
    toasts = Toasts(app)
    ticks: list[float] = []
    timer = QTimer(interval=10)
    timer.timeout.connect(lambda: ticks.append(time.monotonic()))
    timer.start()
    app.bridge.drop([QUrl.fromLocalFile("/tmp/a")])
    qtbot.waitUntil(lambda: len(ticks) > 10)
    assert not toasts
    release.set()
    qtbot.waitUntil(lambda: bool(toasts))


def test_what_a_person_sets_is_set_in_that_order_however_long_each_takes(open_app: Open, qtbot: Any) -> None:
    def set_slowly(**values: Any) -> dict[str, Any]:
        engine.answers["settings_get"] = made = engine.answers["settings_get"] | values
        if values.get("upload_limit"):
            time.sleep(0.5)
        return dict(made)

    engine = FakeEngine(settings_set=set_slowly)
    app = open_app(engine)
    preferences = app.bridge.preferences
    shown = {("", ""): None}  # in the order of their coming
    preferences.changed.connect(lambda: shown.setdefault(tuple(preferences.limits.values())))
    preferences.setLimit("upload_limit", "5")
    preferences.setLimit("download_limit", "1")
    preferences.setLimit("download_limit", "2")
    preferences.setLimit("upload_limit", "")  # as it was before all of this
    app.bridge.togglePause()
    qtbot.waitUntil(lambda: engine.asked("pause") == [{}] and len(shown) == 5)
    assert engine.asked("settings_set") == [
        {"upload_limit": 5_000_000}, {"download_limit": 1_000_000}, {"download_limit": 2_000_000},
        {"upload_limit": 0},
    ]  # fmt: skip
    assert list(shown) == [("", ""), ("5", ""), ("5", "1"), ("5", "2"), ("", "2")]


@pytest.mark.parametrize("subject", ["folders", "transfers"])
def test_a_switch_put_back_at_once_ends_as_it_stands(open_app: Open, qtbot: Any, subject: str) -> None:
    done: list[str] = []

    def slow(**_: Any) -> None:
        time.sleep(0.3)
        done.append("first")

    def quick(**_: Any) -> None:
        done.append("second")

    first, second = (
        ("root_leave_out", "root_take_in") if subject == "folders" else ("transfer_pause", "transfer_resume")
    )
    app = open_app(FakeEngine(snapshot(row("a", "sending"), roots=[root()]), **{first: slow, second: quick}))
    if subject == "folders":
        app.bridge.folders.have("r1", "Big", False)
        app.bridge.folders.have("r1", "Big", True)
    else:
        app.bridge.transfer("pause", "a")
        app.bridge.transfer("resume", "a")
    qtbot.waitUntil(lambda: len(done) == 2)
    assert done == ["first", "second"]


def test_what_was_set_is_set_though_the_app_is_quit_at_once(open_app: Open) -> None:
    done: list[str] = []

    def slow(path: str) -> None:
        time.sleep(0.3)
        done.append(path)

    engine = FakeEngine(snapshot(roots=[root()]), root_leave_out=slow)
    app = open_app(engine)
    app.bridge.folders.have("r1", "Big", False)
    app.bridge.folders.have("r1", "Small", False)
    app.bridge.close()
    assert done == [str(Path("/home/alice/Share/Big")), str(Path("/home/alice/Share/Small"))]


def test_what_takes_long_does_not_hold_up_a_setting(open_app: Open, qtbot: Any) -> None:
    release = threading.Event()
    engine = FakeEngine(snapshot(roots=[root()]), root_leave_out=lambda **_: release.wait(20))
    app = open_app(engine)
    app.bridge.folders.have("r1", "Big", False)
    app.bridge.preferences.notify(False)
    try:
        qtbot.waitUntil(lambda: app.bridge.preferences.notifies is False)
    finally:
        release.set()


def test_an_engine_that_ends_is_replaced_and_the_rows_stay(qapp: QApplication, qtbot: Any) -> None:
    first, second = FakeEngine(snapshot(row("a", "sending"))), FakeEngine(snapshot(row("a"), headline="Back"))
    waiting = [first, second]
    app = App(qapp, lambda: waiting.pop(0))
    try:
        qtbot.waitUntil(lambda: app.bridge.signedIn == "signed_in")
        first.end()
        qtbot.waitUntil(lambda: app.bridge.headline == "Back")
        assert first.closed
        app.bridge.clearDone()
        qtbot.waitUntil(lambda: second.asked("clear_done") == [{}])
    finally:
        app.close()


def test_a_second_window_leaves_again(qapp: QApplication, qtbot: Any) -> None:
    engine = FakeEngine(show=True)
    app = App(qapp, lambda: engine)
    assert app.window.isVisible()
    qtbot.waitUntil(lambda: not app.window.isVisible())
    assert engine.asked("show") == [{"ask": True}]
    assert not engine.watched.is_set()
    app.close()


def test_without_an_engine_the_reason_is_said(qapp: QApplication, qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    monkeypatch.setattr("satchel.app.main.QMessageBox.critical", lambda *words: said.append(words[-1]))

    def connect() -> FakeEngine:
        raise JournalError("The journal is of another version", "Update Satchel.")

    app = App(qapp, connect)
    qtbot.waitUntil(lambda: said == ["The journal is of another version. Update Satchel."])
    assert app.exit_code == 1
    app.close()


def test_closing_hides_and_show_brings_it_back(open_app: Open, qtbot: Any) -> None:
    engine = FakeEngine()
    app = open_app(engine)
    app.window.close()
    assert not app.window.isVisible()
    engine.push({"show": True})
    qtbot.waitUntil(app.window.isVisible)


# -- tray and news


def entries(app: App) -> list[str]:
    return [action.text() for action in app.tray.menu.actions() if not action.isSeparator()]


def test_the_tray_says_the_state_and_follows_it(open_app: Open, qtbot: Any) -> None:
    engine = FakeEngine(snapshot(links=[link("a & b.txt"), link("c")]))
    app = open_app(engine)
    assert entries(app) == [
        "Ready", "Copy link: a && b.txt", "Copy link: c", "Pause", "Open window", "Open folder", "Quit",
    ]  # fmt: skip
    app.tray.menu.actions()[3].trigger()
    assert QGuiApplication.clipboard().text() == "https://files.example.com/s/c"
    engine.push(snapshot(headline="Paused", tone="paused", paused=True))
    qtbot.waitUntil(lambda: entries(app) == ["Paused", "No links yet", "Resume", "Open window", "Open folder", "Quit"])


def test_at_most_eight_links_and_long_names_are_shortened(open_app: Open) -> None:
    app = open_app(FakeEngine(snapshot(links=[link("n" * 90), *(link(str(n)) for n in range(19))])))
    links = [text for text in entries(app) if text.startswith("Copy link")]
    assert len(links) == 8
    assert len(links[0]) < 60


def test_without_a_tray_a_hidden_start_shows_the_window(open_app: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QSystemTrayIcon, "isSystemTrayAvailable", lambda: False)
    app = open_app(FakeEngine(), hidden=True)
    assert not app.tray.present
    assert app.window.isVisible()


def test_a_tray_that_comes_later_is_used(open_app: Open, qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("satchel.app.tray._LOOK_AGAIN_MS", 20)
    monkeypatch.setattr(QSystemTrayIcon, "isSystemTrayAvailable", lambda: False)
    app = open_app(FakeEngine())
    assert not app.tray.present
    monkeypatch.setattr(QSystemTrayIcon, "isSystemTrayAvailable", lambda: True)
    qtbot.waitUntil(lambda: app.tray.present)


def test_news_is_told_only_while_nobody_looks(open_app: Open, qtbot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, str]] = []
    monkeypatch.setattr(notify, "tell", lambda title, text: told.append((title, text)) is None)
    engine = FakeEngine(snapshot(row("a", "sending")))
    app = open_app(engine)
    engine.push(snapshot(row("a")))
    qtbot.waitUntil(lambda: app.bridge.anyDone)
    app.window.hide()
    engine.push(snapshot(row("a"), row("b", "sending")))
    engine.push(snapshot(row("a"), row("b")))
    qtbot.waitUntil(lambda: told == [("Uploaded", "b.pdf")])


def test_no_news_where_notifications_are_off(open_app: Open, qtbot: Any) -> None:
    engine = FakeEngine(snapshot(row("a", "sending")), settings_get=SETTINGS | {"notifications": False})
    app = open_app(engine)
    news: list[Any] = []
    app.bridge.news.connect(lambda *said: news.append(said))
    engine.push(snapshot(row("a")))
    qtbot.waitUntil(lambda: app.bridge.anyDone)
    assert news == []


def test_notify_send_gets_title_and_text_and_its_absence_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    tool = tmp_path / "notify-send"
    tool.write_text(f'#!/bin/sh\nfor word; do last2=$last; last=$word; done; echo "$last2|$last" > {tmp_path}/told\n')
    tool.chmod(0o755)
    assert notify.tell("Uploaded", "-a.pdf")
    assert (tmp_path / "told").read_text() == "Uploaded|-a.pdf\n"
    tool.unlink()
    monkeypatch.setenv("PATH", str(tmp_path))
    assert not notify.tell("Uploaded", "a.pdf")
