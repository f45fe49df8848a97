"""Who counts as a window, asked of a real engine over its socket."""

from __future__ import annotations

import threading
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from satchel.app.line import Line
from satchel.engine.control import EngineClient
from satchel.engine.host import connect


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "run").mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    return tmp_path / "home"


def line(home: Path, events: SimpleQueue[Any], hidden: bool = False) -> Line:
    made = Line(
        lambda: connect(home),
        event=events.put,
        second=lambda: events.put("second"),
        lost=lambda: events.put("lost"),
        failed=events.put,
        hidden=hidden,
    )
    made.start()
    return made


def test_only_windows_can_be_shown(home: Path) -> None:
    with connect(home) as engine:
        watching = engine.stream("watch")
        next(watching)
        assert engine.call("show") is False

        window = engine.stream("watch", window=True)
        next(window)
        assert engine.call("show", ask=False) is True
        assert engine.call("show") is True
        assert next(window) == ("event", {"show": True})
        watching.close()  # type: ignore[attr-defined] # a generator
        window.close()  # type: ignore[attr-defined] # a generator


def test_a_second_window_asks_the_first_to_show_and_leaves(home: Path) -> None:
    first: SimpleQueue[Any] = SimpleQueue()
    second: SimpleQueue[Any] = SimpleQueue()
    one = line(home, first)
    assert first.get(timeout=20)["headline"]
    two = line(home, second)
    assert second.get(timeout=20) == "second"
    assert first.get(timeout=20) == {"show": True}
    two.close()
    one.close()


def test_a_line_hosts_the_engine_when_its_host_ends(home: Path) -> None:
    other = connect(home)
    events: SimpleQueue[Any] = SimpleQueue()
    mine = line(home, events)
    assert events.get(timeout=20)["headline"]
    threading.Thread(target=other.close).start()
    assert events.get(timeout=20) == "lost"
    assert events.get(timeout=20)["headline"]
    assert EngineClient(home).call("show", ask=False) is True
    mine.close()
