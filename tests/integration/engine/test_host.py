from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from satchel.core.errors import EngineError, NotSignedInError, UsageError
from satchel.core.ports import SystemClock
from satchel.engine import commands, settings
from satchel.engine.engine import Engine
from satchel.engine.home import settings_file
from satchel.engine.host import HostedEngine, connect
from satchel.transfer import Limit

_HOST = """
import sys, time
from pathlib import Path
from satchel.engine.host import connect
engine = connect(Path(sys.argv[1]))
print(type(engine).__name__, flush=True)
time.sleep(60)
"""


def test_an_engine_is_started_once_and_joined_after(tmp_path: Path) -> None:
    with connect(tmp_path / "home") as first, connect(tmp_path / "home") as second:
        assert isinstance(first, HostedEngine)
        assert not isinstance(second, HostedEngine)
        assert second.call("status")["headline"] == "Sign in to start"


def test_of_two_starters_one_wins_and_the_other_joins(tmp_path: Path) -> None:
    made = []
    threads = [threading.Thread(target=lambda: made.append(connect(tmp_path / "home"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sum(isinstance(engine, HostedEngine) for engine in made) == 1
    assert all(engine.call("settings_get")["connections"] == 6 for engine in made)
    for engine in made:
        engine.close()


def test_a_killed_engine_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with subprocess.Popen([sys.executable, "-c", _HOST, str(home)], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "HostedEngine\n"
        os.kill(other.pid, 9)
        other.wait()
    assert (home / "engine.json").exists()

    with connect(home) as engine:
        assert isinstance(engine, HostedEngine)


def test_nobody_is_started_when_only_a_running_one_was_wanted(tmp_path: Path) -> None:
    with pytest.raises(EngineError):
        connect(tmp_path / "home", host=False)


def test_broken_settings_are_told_with_their_line_and_let_go_of_the_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "settings.toml").write_text("# mine\nconnections = 99\n")
    with pytest.raises(UsageError, match="Line 2"):
        connect(home)
    (home / "settings.toml").write_text("# mine\nconnections = 9\n")

    with connect(home) as engine:
        assert engine.call("settings_set", paused=True)["connections"] == 9
    assert "# mine" in (home / "settings.toml").read_text()


def test_the_home_is_closed_to_others(tmp_path: Path) -> None:
    with connect(tmp_path / "home"):
        assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700


def test_unknown_methods_and_parameters_are_refused(tmp_path: Path) -> None:
    with connect(tmp_path / "home") as engine:
        for method, given in (("fly", {}), ("ls", {"nonsense": 1})):
            with pytest.raises(UsageError):
                engine.call(method, **given)
        with pytest.raises(NotSignedInError):
            engine.call("ls", path="/")


@pytest.mark.parametrize("turns", range(6))
def test_an_engine_ends_also_when_something_has_just_changed(tmp_path: Path, turns: int) -> None:
    async def end() -> None:
        engine = Engine(tmp_path)
        await engine.start(resident=False)
        await asyncio.sleep(0.01)
        engine.changed()
        for _ in range(turns):
            await asyncio.sleep(0)
        _, pending = await asyncio.wait({asyncio.create_task(engine.stop())}, timeout=10)
        assert not pending

    asyncio.run(end())


def test_limits_hold_for_what_is_under_way_from_the_moment_they_are_set(tmp_path: Path) -> None:
    async def change() -> None:
        engine = Engine(tmp_path)
        uploader = SimpleNamespace(limit=Limit(SystemClock()))
        engine.parts = SimpleNamespace(uploader=uploader)  # type: ignore[assignment] # all that is asked of it
        await engine.change_settings({"upload_limit": 5000, "download_limit": 6000})
        assert (uploader.limit.rate, engine.download_limit.rate) == (5000, 6000)

    asyncio.run(change())


def test_settings_set_at_the_same_time_are_all_set(tmp_path: Path) -> None:
    wanted = {"upload_limit": 5000, "download_limit": 6000, "connections": 9, "theme": "dark", "autostart": True}

    async def change() -> Engine:
        engine = Engine(tmp_path)
        await asyncio.gather(*(engine.change_settings({name: value}) for name, value in wanted.items()))
        return engine

    for _ in range(10):
        engine = asyncio.run(change())
        assert asdict(engine.settings).items() >= wanted.items()
        assert engine.settings == settings.load(settings_file(tmp_path))
        settings_file(tmp_path).unlink()


def test_a_setting_is_set_whole_though_whoever_asked_hangs_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    change, writing = settings.change, threading.Event()

    def slowly(file: Path, values: dict[str, Any]) -> settings.Settings:
        writing.set()
        time.sleep(0.3)
        return change(file, values)

    async def hang_up() -> Engine:
        engine = Engine(tmp_path)
        monkeypatch.setattr(settings, "change", slowly)
        first = asyncio.create_task(engine.change_settings({"upload_limit": 5000}))
        await asyncio.to_thread(writing.wait, 5)
        first.cancel()
        monkeypatch.setattr(settings, "change", change)
        await engine.change_settings({"theme": "dark"})
        return engine

    engine = asyncio.run(hang_up())
    assert (engine.settings.upload_limit, engine.settings.theme) == (5000, "dark")
    assert engine.settings == settings.load(settings_file(tmp_path))


def test_pause_and_resume_at_the_same_time_leave_the_transfers_as_the_settings_say(tmp_path: Path) -> None:
    done: list[str] = []
    parts = SimpleNamespace(
        uploader=SimpleNamespace(limit=Limit(SystemClock())),
        pause=lambda: done.append("pause"),
        resume=lambda: done.append("resume"),
    )

    async def change() -> None:
        engine = Engine(tmp_path)
        engine.parts = parts  # type: ignore[assignment] # all that is asked of it
        await asyncio.gather(*(commands.settings_set(engine, print, paused=wanted) for wanted in (True, False) * 10))

    asyncio.run(change())
    assert done == ["pause", "resume"] * 10


@pytest.mark.timeout(30)
def test_an_engine_that_cannot_even_be_loaded_is_told_and_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setitem(sys.modules, "satchel.engine.engine", None)
    with pytest.raises(ImportError):
        connect(home)
    monkeypatch.undo()
    with connect(home) as engine:
        assert engine.call("status")
