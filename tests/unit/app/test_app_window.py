"""The window itself: every control has a name, a role and a way by keyboard; what is shown is so."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest
from PySide6.QtCore import QMetaObject, QObject, QPoint, Qt
from PySide6.QtGui import QAccessible, QAccessibleInterface, QGuiApplication
from PySide6.QtQuick import QQuickItem
from PySide6.QtTest import QTest

from satchel.app.main import App
from satchel.core.errors import SignInError, UsageError
from unit.app.conftest import items
from unit.app.fake_engine import ACCOUNT, SETTINGS, FakeEngine, root, row, snapshot

Open = Callable[..., App]
STATES = ("waiting", "sending", "paused", "failed", "done", "cancelled")
FULL = snapshot(*(row(state, state) for state in STATES), roots=[root()], headline="Watching ~/Share · up to date")
SIGNED_OUT = snapshot(account=ACCOUNT | {"state": "signed_out", "email": "", "site": ""})
ACTIONABLE = {
    QAccessible.Role.Button,
    QAccessible.Role.RadioButton,
    QAccessible.Role.CheckBox,
    QAccessible.Role.EditableText,
}


def prepared(open_app: Open, qtbot: Any, engine: FakeEngine, width: int = 950, height: int = 1300) -> App:
    app = open_app(engine)
    app.window.resize(width, height)
    app.window.requestActivate()
    qtbot.waitUntil(lambda: app.window.isActive() and app.window.contentItem().width() == width)
    return app


def interfaces(app: App) -> list[QAccessibleInterface]:
    """What a screen reader finds."""
    found: list[QAccessibleInterface] = []
    pending = [QAccessible.queryAccessibleInterface(app.window)]
    while pending:
        one = pending.pop()
        if one is None or not one.isValid() or one.state().invisible:
            continue
        found.append(one)
        pending += [one.child(n) for n in range(one.childCount())]
    return found


def focusable(app: App) -> set[QQuickItem]:
    """All items that Tab should come to."""
    return {item for item in items(app.window.contentItem()) if item.activeFocusOnTab() and item.isEnabled()}


def tabbed(app: App) -> list[QQuickItem]:
    """The items that Tab comes to, until it comes round."""
    seen: list[QQuickItem] = []
    for _ in range(80):
        QTest.keyClick(app.window, Qt.Key.Key_Tab)
        now = app.window.activeFocusItem()
        if now in seen:
            break
        seen.append(now)
    return seen


@pytest.mark.parametrize("page", ["window", "settings", "sign-in"])
def test_every_control_has_a_name_and_tab_comes_to_it(open_app: Open, qtbot: Any, page: str) -> None:
    app = prepared(open_app, qtbot, FakeEngine(SIGNED_OUT if page == "sign-in" else FULL))
    app.window.setProperty("inSettings", page == "settings")
    qtbot.waitUntil(lambda: len(focusable(app)) >= 4)

    controls = [one for one in interfaces(app) if one.role() in ACTIONABLE]
    assert len(controls) >= 4
    assert [one.object() for one in controls if not one.text(QAccessible.Text.Name)] == []
    reached = tabbed(app)
    assert [one.text(QAccessible.Text.Name) for one in controls if one.object() not in reached] == []
    assert focusable(app) <= set(reached)


def test_rows_say_their_name_and_state_to_a_screen_reader(open_app: Open, qtbot: Any) -> None:
    app = prepared(open_app, qtbot, FakeEngine(FULL))
    rows = [one for one in interfaces(app) if one.role() == QAccessible.Role.ListItem]
    said = {one.text(QAccessible.Text.Name): one.text(QAccessible.Text.Description) for one in rows}
    assert said["waiting.pdf"] == "Waiting · 1 kB"
    assert said["done.pdf"] == "Uploaded · 1 kB"
    assert len(said) == len(STATES)


def control(app: App, name: str) -> QQuickItem:
    found = [one.object() for one in interfaces(app) if one.text(QAccessible.Text.Name) == name]
    assert found, f"no control is called {name}"
    item = found[0]
    assert isinstance(item, QQuickItem)
    return item


@pytest.mark.parametrize("key", [Qt.Key.Key_Return, Qt.Key.Key_Enter, Qt.Key.Key_Space])
@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("Cancel sending.pdf", "transfer_cancel"),
        ("Pause sending.pdf", "transfer_pause"),
        ("Resume paused.pdf", "transfer_resume"),
        ("Retry failed.pdf", "transfer_retry"),
    ],
)
def test_enter_and_space_press_a_rows_buttons(open_app: Open, qtbot: Any, key: Qt.Key, name: str, method: str) -> None:
    engine = FakeEngine(FULL)
    app = prepared(open_app, qtbot, engine)
    control(app, name).forceActiveFocus(Qt.FocusReason.TabFocusReason)
    QTest.keyClick(app.window, key)
    qtbot.waitUntil(lambda: engine.asked(method) == [{"transfer_id": name.split()[1].removesuffix(".pdf")}])


def test_keys_on_a_row_copy_its_link_and_cancel_it(open_app: Open, qtbot: Any) -> None:
    engine = FakeEngine(FULL)
    app = prepared(open_app, qtbot, engine)
    control(app, "sending.pdf").forceActiveFocus(Qt.FocusReason.TabFocusReason)
    QTest.keyClick(app.window, Qt.Key.Key_C, Qt.KeyboardModifier.ControlModifier)
    assert QGuiApplication.clipboard().text() == "https://files.example.com/s/sending"
    QTest.keyClick(app.window, Qt.Key.Key_Delete)
    qtbot.waitUntil(lambda: engine.asked("transfer_cancel") == [{"transfer_id": "sending"}])


def test_the_list_stays_where_it_was_scrolled_to_while_rows_move(open_app: Open, qtbot: Any) -> None:
    many = [row(f"t{n:02}", "sending") for n in range(40)]
    engine = FakeEngine(snapshot(*many))
    app = prepared(open_app, qtbot, engine, height=800)
    view = control(app, "Transfers list")
    view.setProperty("contentY", 900)
    engine.push(snapshot(*[one | {"sent_bytes": 500} for one in many]))
    qtbot.waitUntil(lambda: app.bridge.snapshot["transfers"][0]["sent_bytes"] == 500)
    assert view.property("contentY") == 900


def test_tab_brings_what_it_comes_to_into_sight(open_app: Open, qtbot: Any) -> None:
    app = prepared(open_app, qtbot, FakeEngine(snapshot(*(row(f"t{n}") for n in range(30)))), height=620)
    view = control(app, "Transfers list")
    for _ in range(24):
        QTest.keyClick(app.window, Qt.Key.Key_Tab)
        focus = app.window.activeFocusItem()
        top = focus.mapToScene(QPoint(0, 0)).y()
        assert 0 <= top <= app.window.height() - focus.height(), focus
    assert view.property("contentY") > 0


def test_a_wrong_password_is_said_and_a_temporary_one_asks_for_a_new(open_app: Open, qtbot: Any) -> None:
    engine = FakeEngine(SIGNED_OUT, login=SignInError("Wrong e-mail or password", "Try again."))
    app = prepared(open_app, qtbot, engine)

    control(app, "Address").forceActiveFocus()
    for text in ("files.example.com", "alice@example.com", "pw"):
        _typed(app, text)
        QTest.keyClick(app.window, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: any("Wrong e-mail" in one.text(QAccessible.Text.Name) for one in interfaces(app)))

    engine.answers["login"] = {"outcome": "new_password_required"}
    control(app, "Password").forceActiveFocus()
    QTest.keyClick(app.window, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: any(one.text(QAccessible.Text.Name) == "New password" for one in interfaces(app)))
    assert app.window.activeFocusItem() is control(app, "New password")
    engine.answers["login"] = {"outcome": "signed_in"}
    _typed(app, "renewed")
    QTest.keyClick(app.window, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: len(engine.asked("login")) == 3)
    assert engine.asked("login")[-1] == {
        "site": "files.example.com", "email": "alice@example.com", "password": "pw", "new_password": "renewed",
    }  # fmt: skip


def _typed(app: App, text: str) -> None:
    for letter in text:
        QTest.keyClick(app.window, letter)


def test_an_empty_form_is_not_sent(open_app: Open, qtbot: Any) -> None:
    engine = FakeEngine(SIGNED_OUT)
    app = prepared(open_app, qtbot, engine)
    control(app, "Sign in").forceActiveFocus(Qt.FocusReason.TabFocusReason)
    QTest.keyClick(app.window, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: any("Fill in" in one.text(QAccessible.Text.Name) for one in interfaces(app)))
    assert engine.asked("login") == []


def test_clear_done_is_there_only_when_something_is_done(open_app: Open, qtbot: Any) -> None:
    engine = FakeEngine(snapshot(row("a", "sending")))
    app = prepared(open_app, qtbot, engine)
    assert not _shown(app, "Clear done")
    engine.push(snapshot(row("a")))
    qtbot.waitUntil(lambda: _shown(app, "Clear done"))


def test_settings_switches_say_what_is_so(open_app: Open, qtbot: Any) -> None:
    engine = FakeEngine(FULL)
    app = prepared(open_app, qtbot, engine)
    QTest.keyClick(app.window, Qt.Key.Key_Comma, Qt.KeyboardModifier.ControlModifier)
    toggle = control(app, "Tell when an upload ends and the window is closed")
    assert toggle.property("on") is True
    toggle.forceActiveFocus(Qt.FocusReason.TabFocusReason)
    QTest.keyClick(app.window, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: toggle.property("on") is False)
    qtbot.waitUntil(lambda: engine.asked("settings_set") == [{"notifications": False}])


def test_a_mass_delete_is_asked_for_on_its_folders_card_with_the_number_of_files(open_app: Open, qtbot: Any) -> None:
    asked = snapshot(roots=[root(deletions=55, state="attention"), root("/home/alice/Other", root_id="r2")])
    engine = FakeEngine(asked, root_confirm={"files": 55})
    app = prepared(open_app, qtbot, engine)
    app.window.setProperty("inSettings", True)
    qtbot.waitUntil(lambda: len(focusable(app)) >= 4)
    assert any("55 files are gone at once" in str(item.property("text")) for item in items(app.window.contentItem()))

    button = control(app, "Delete 55 files of /home/alice/Share")
    button.forceActiveFocus(Qt.FocusReason.TabFocusReason)
    QTest.keyClick(app.window, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: engine.asked("root_confirm") == [{"root_id_or_dir": "r1", "files": 55}])

    engine.push(snapshot(roots=[root()]))
    qtbot.waitUntil(lambda: not any(one.text(QAccessible.Text.Name).startswith("Delete ") for one in interfaces(app)))


def test_which_folders_this_computer_has_is_chosen_on_the_card_of_a_two_way_folder(open_app: Open, qtbot: Any) -> None:
    two_way = root(mode="two-way", left_out=["Films"])
    shown = snapshot(roots=[two_way, root("/home/alice/Other", root_id="r2")])
    refusal = UsageError("Not all of it is online", "Wait until it is in step.")
    engine = FakeEngine(shown, root_folders=["Films", "notes"], root_take_in=two_way, root_leave_out=refusal)
    app = prepared(open_app, qtbot, engine)
    app.window.setProperty("inSettings", True)
    named = "Choose which folders of {} this computer has"
    qtbot.waitUntil(
        lambda: any(one.text(QAccessible.Text.Name) == named.format("/home/alice/Share") for one in interfaces(app))
    )
    assert not any(one.text(QAccessible.Text.Name) == named.format("/home/alice/Other") for one in interfaces(app))

    control(app, named.format("/home/alice/Share")).forceActiveFocus(Qt.FocusReason.TabFocusReason)
    QTest.keyClick(app.window, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: switches(app) >= {"Films": False, "notes": True}.items())
    assert engine.asked("root_folders") == [{"root_id_or_dir": "r1"}]

    control(app, "Films").forceActiveFocus(Qt.FocusReason.TabFocusReason)
    QTest.keyClick(app.window, Qt.Key.Key_Space)
    qtbot.waitUntil(lambda: engine.asked("root_take_in") == [{"path": "/home/alice/Share/Films"}])
    engine.push(snapshot(roots=[two_way | {"left_out": []}]))
    qtbot.waitUntil(lambda: switches(app) >= {"Films": True, "notes": True}.items())

    control(app, "notes").forceActiveFocus(Qt.FocusReason.TabFocusReason)
    QTest.keyClick(app.window, Qt.Key.Key_Space)
    qtbot.waitUntil(
        lambda: any("Not all of it is online" in one.text(QAccessible.Text.Name) for one in interfaces(app))
    )
    assert engine.asked("root_leave_out") == [{"path": "/home/alice/Share/notes"}]
    assert switches(app) >= {"Films": True, "notes": True}.items()


def switches(app: Any) -> Any:
    """What is on, by its words."""
    return {
        one.text(QAccessible.Text.Name): bool(one.state().checked)
        for one in interfaces(app)
        if one.role() == QAccessible.Role.CheckBox
    }.items()


def test_limits_are_shown_and_set_in_megabytes_a_second(open_app: Open, qtbot: Any) -> None:
    engine = FakeEngine(FULL, settings_get=SETTINGS | {"upload_limit": 2_500_000})
    app = prepared(open_app, qtbot, engine)
    app.window.setProperty("inSettings", True)
    qtbot.waitUntil(lambda: limits(app) == ("2.5", ""))

    control(app, "Upload limit in MB/s").forceActiveFocus(Qt.FocusReason.TabFocusReason)
    retyped(app, "0")
    QTest.keyClick(app.window, Qt.Key.Key_Tab)
    assert app.window.activeFocusItem() is control(app, "Download limit in MB/s")
    retyped(app, "1,2")
    QTest.keyClick(app.window, Qt.Key.Key_Return)

    qtbot.waitUntil(lambda: limits(app) == ("", "1.2"))
    assert engine.asked("settings_set") == [{"upload_limit": 0}, {"download_limit": 1_200_000}]


def test_what_is_no_limit_is_told_and_sets_nothing(open_app: Open, qtbot: Any) -> None:
    engine = FakeEngine(FULL)
    app = prepared(open_app, qtbot, engine)
    app.window.setProperty("inSettings", True)
    field = control(app, "Upload limit in MB/s")
    field.forceActiveFocus(Qt.FocusReason.TabFocusReason)

    retyped(app, "fast")
    QTest.keyClick(app.window, Qt.Key.Key_Return)

    said = "“fast” is no limit. Type a number such as 2.5, or nothing for no limit."
    qtbot.waitUntil(lambda: any(one.text(QAccessible.Text.Name) == said for one in interfaces(app)))
    assert field.parentItem().property("bad") is True
    retyped(app, "3")
    assert field.parentItem().property("bad") is False
    assert engine.asked("settings_set") == []


def test_a_limit_set_by_the_command_line_is_shown_when_the_settings_open(open_app: Open, qtbot: Any) -> None:
    engine = FakeEngine(FULL)
    app = prepared(open_app, qtbot, engine)
    engine.answers["settings_get"] = SETTINGS | {"download_limit": 500_000}
    app.window.setProperty("inSettings", True)
    qtbot.waitUntil(lambda: limits(app) == ("", "0.5"))


def test_a_limit_set_by_the_command_line_is_shown_while_the_settings_are_open(open_app: Open, qtbot: Any) -> None:
    engine = FakeEngine(FULL)
    app = prepared(open_app, qtbot, engine)
    app.window.setProperty("inSettings", True)
    qtbot.waitUntil(lambda: len(focusable(app)) >= 4 and len(engine.asked("settings_get")) >= 2)
    QTest.qWait(50)
    engine.answers["settings_get"] = SETTINGS | {"download_limit": 500_000}
    engine.push(FULL | {"settings_set": 1})
    qtbot.waitUntil(lambda: limits(app) == ("", "0.5"))


def test_a_new_folder_is_upload_only_unless_two_way_is_chosen(open_app: Open, qtbot: Any) -> None:
    engine = FakeEngine(FULL)
    app = prepared(open_app, qtbot, engine)
    app.window.setProperty("inSettings", True)
    picker = app.window.findChild(QObject, "folderPicker")
    for mode, means in (("Upload only", "nothing in the folder is ever changed"), ("Two-way", "on both sides")):
        control(app, mode).forceActiveFocus(Qt.FocusReason.TabFocusReason)
        QTest.keyClick(app.window, Qt.Key.Key_Return)
        qtbot.waitUntil(
            lambda means=means: any(means in str(one.property("text")) for one in items(app.window.contentItem()))
        )
        picker.accepted.emit()
    qtbot.waitUntil(lambda: len(engine.asked("root_add")) == 2)
    assert sorted(asked["two_way"] for asked in engine.asked("root_add")) == [False, True]


def test_a_folders_card_says_where_it_goes_and_when_it_was_looked_at(open_app: Open, qtbot: Any) -> None:
    now = int(time.time() * 1000)
    found = {"at_ms": now - 3 * 86_400_000, "equal": 1204, "differing": 0, "only_here": 1, "only_there": 0, "held": 0}
    first = root("/home/alice/Work", remote_path="/Work", mode="two-way", verified=found, last_full_scan_ms=now)
    second = root("/home/alice/Busy", remote_path="/Busy", mode="two-way", root_id="r2", state="syncing", waiting=1500)
    app = prepared(open_app, qtbot, FakeEngine(snapshot(roots=[first, second, root(root_id="r3")])))
    app.window.setProperty("inSettings", True)
    qtbot.waitUntil(lambda: len(focusable(app)) >= 4)
    texts = [str(item.property("text")) for item in items(app.window.contentItem())]
    assert {"In step with /Work", "Kept in step with /Busy", "Uploads to /Share"} <= set(texts)
    assert any(
        text.startswith("Looked through whole at ")
        and text.endswith(" · Verified 3 days ago: 1,204 files equal, 1 only here")
        for text in texts
    )
    assert "1,500 waiting · Not looked through whole yet" in texts


def test_what_is_typed_stays_when_another_setting_comes_back(open_app: Open, qtbot: Any) -> None:
    app = prepared(open_app, qtbot, FakeEngine(FULL))
    app.window.setProperty("inSettings", True)
    control(app, "Upload limit in MB/s").forceActiveFocus(Qt.FocusReason.TabFocusReason)
    _typed(app, "1")
    app.bridge.preferences.notify(False)
    qtbot.waitUntil(lambda: app.bridge.preferences.notifies is False)
    assert limits(app) == ("1", "")


def test_a_limit_that_could_not_be_written_is_not_shown(open_app: Open, qtbot: Any) -> None:
    refusal = UsageError("The settings cannot be written", "No space left.")
    app = prepared(open_app, qtbot, FakeEngine(FULL, settings_set=refusal))
    app.window.setProperty("inSettings", True)
    control(app, "Upload limit in MB/s").forceActiveFocus(Qt.FocusReason.TabFocusReason)
    _typed(app, "1")
    QTest.keyClick(app.window, Qt.Key.Key_Return)
    qtbot.waitUntil(lambda: any("cannot be written" in one.text(QAccessible.Text.Name) for one in interfaces(app)))
    assert limits(app) == ("", "")


def limits(app: App) -> tuple[str, str]:
    """What stands in the fields."""
    up, down = control(app, "Upload limit in MB/s"), control(app, "Download limit in MB/s")
    return str(up.property("text")), str(down.property("text"))


def retyped(app: App, text: str) -> None:
    QTest.keyClick(app.window, Qt.Key.Key_A, Qt.KeyboardModifier.ControlModifier)
    _typed(app, text)


@pytest.mark.parametrize("size", [(420, 520), (950, 975)])
@pytest.mark.parametrize("page", ["window", "settings", "sign-in"])
def test_nothing_sticks_out_of_the_window(open_app: Open, qtbot: Any, size: tuple[int, int], page: str) -> None:
    long = row("long", "paused", name="a very long name " * 20 + ".tar.gz", message="many words " * 30)
    told = snapshot(
        long, row("f", "failed"), roots=[root("/home/alice/" + "deep/" * 40, deletions=200)], headline="words " * 40
    )
    app = prepared(open_app, qtbot, FakeEngine(SIGNED_OUT if page == "sign-in" else told), *size)
    app.window.setProperty("inSettings", page == "settings")
    qtbot.waitUntil(lambda: len(focusable(app)) >= 4)
    QTest.qWait(50)
    for item in focusable(app):
        left = item.mapToScene(QPoint(0, 0)).x()
        assert left >= 0, item
        assert left + item.width() <= size[0], item


def _shown(app: App, text: str) -> bool:
    return any(item.property("text") == text for item in items(app.window.contentItem()))


def test_the_qml_has_nothing_to_complain_about(open_app: Open, qtbot: Any, capfd: Any) -> None:
    app = prepared(open_app, qtbot, FakeEngine(FULL))
    app.window.setProperty("inSettings", True)
    held = app.window.findChild(QObject, "heldList")
    QMetaObject.invokeMethod(held, "open")
    QTest.qWait(50)
    app.window.hide()
    assert "qml" not in capfd.readouterr().err
