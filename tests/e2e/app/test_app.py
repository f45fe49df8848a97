"""The real app on a real desktop, against the local cloud."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.app.desktop import HERE, Desktop, Process, desktop
from e2e.client import Client, fetched_sha256, random_file, signed_in
from e2e.cloud_fixture import LocalCloud, wait_until
from satchel.core.errors import EngineError
from satchel.engine.control import EngineClient

FILES = ("Übersicht für Zoë.pdf", "año nuevo – photo 1.jpg")


@pytest.fixture
def screen(tmp_path: Path) -> Iterator[Desktop]:
    with desktop(tmp_path / "run") as made:
        yield made


@pytest.fixture
def client(cloud: LocalCloud, tmp_path: Path) -> Iterator[Client]:
    with signed_in(cloud, tmp_path / "alice") as made:
        yield made


def opened(screen: Desktop, client: Client, *options: str) -> Process:
    own = {key: client.environment[key] for key in ("SATCHEL_HOME", "SATCHEL_PASSWORD_FILE", "PYTHON_KEYRING_BACKEND")}
    return screen.python("-m", "satchel.app.main", *options, **own)


def engine_of(screen: Desktop, client: Client, monkeypatch: pytest.MonkeyPatch) -> EngineClient:
    """A line to the engine that the app hosts; its socket is in the desktop's runtime folder."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", screen.environment["XDG_RUNTIME_DIR"])

    def answers() -> EngineClient | None:
        with contextlib.suppress(EngineError):
            found = EngineClient(client.home)
            if found.call("show", ask=False) and found.call("status")["account"]["state"] == "signed_in":
                return found
        return None

    found = wait_until(answers, 30)
    assert isinstance(found, EngineClient)
    return found


def window_of(screen: Desktop) -> str:
    return screen.xdotool("search", "--sync", "--onlyvisible", "--name", "^Satchel$").splitlines()[0]


def drag(screen: Desktop, *files: Path) -> str:
    """Drag from a window of another process onto the app's; what the target said."""
    window = window_of(screen)
    source = screen.python(str(HERE / "drag_source.py"), *map(str, files))
    from_window = source.hear("ready").split()[1]
    screen.xdotool("search", "--sync", "--onlyvisible", "--name", "^drag-source$")
    x, y, width, height = screen.geometry(from_window)
    to_x, to_y, to_width, _ = screen.geometry(window)
    screen.xdotool("windowactivate", "--sync", from_window)
    middle = (x + width // 2, y + height // 2)
    screen.xdotool("mousemove", *middle, "mousedown", 1, "sleep", 0.1, "mousemove", middle[0] + 20, middle[1] + 20)
    for step in range(1, 6):  # as a hand does: a target that appears under the pointer at once may miss it
        goal = (to_x + to_width // 2, to_y + 200)
        at = [round(a + (b - a) * step / 5) for a, b in zip(middle, goal, strict=True)]
        screen.xdotool("mousemove", *at, "sleep", 0.1)
    screen.xdotool("sleep", 0.2, "mouseup", 1)
    return source.hear("dropped", seconds=20)


def rows(engine: EngineClient) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in engine.call("status")["transfers"]}


def test_files_dragged_from_another_program_are_links_on_the_clipboard_and_then_there(
    cloud: LocalCloud, screen: Desktop, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digests = {name: random_file(tmp_path / name, 3_000_000, seed) for seed, name in enumerate(FILES)}
    opened(screen, client)
    engine = engine_of(screen, client, monkeypatch)

    assert drag(screen, *(tmp_path / name for name in FILES)) == "dropped CopyAction"

    links = wait_until(lambda: found if len(found := screen.clipboard().splitlines()) == 2 else None, 30)
    wait_until(lambda: {row["state"] for row in rows(engine).values()} == {"done"}, 60)
    assert [rows(engine)[name]["link_url"] for name in FILES] == links
    assert [fetched_sha256(cloud, link) for link in links] == [digests[name] for name in FILES]
    shown = [["list item", name, "Uploaded · 3 MB"] for name in FILES]
    wait_until(lambda: all(one in screen.read_aloud() for one in shown), 20)


def test_a_clicked_tray_entry_puts_its_link_on_the_clipboard(
    screen: Desktop, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert screen.tray is not None
    app = opened(screen, client, "--hidden")
    engine = engine_of(screen, client, monkeypatch)
    names = ("first file.txt", "second file.txt")
    for name in names:
        random_file(tmp_path / name, 1000)
        engine.call("drop", paths=[str(tmp_path / name)], wait=True)
    url = rows(engine)[names[0]]["link_url"]

    def clicked(label: str) -> bool:
        assert screen.tray is not None
        screen.tray.say(label)
        return screen.tray.hear("clicked", "missing") == f"clicked {label}"

    wait_until(lambda: clicked("Copy link: first file.txt"), 30)
    wait_until(lambda: screen.clipboard() == url, 30)

    wait_until(lambda: clicked("Pause"), 30)
    wait_until(lambda: engine.call("status")["paused"], 30)
    wait_until(lambda: clicked("Resume"), 30)
    wait_until(lambda: clicked("Open window"), 30)
    assert window_of(screen)
    wait_until(lambda: clicked("Quit"), 30)
    assert app.popen.wait(20) == 0, app.log


def test_closing_hides_and_starting_again_shows(
    client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with desktop(tmp_path / "run", tray=False) as screen:
        first = opened(screen, client)
        engine_of(screen, client, monkeypatch)
        window = window_of(screen)

        screen.xdotool("windowactivate", "--sync", window, "key", "alt+F4")
        wait_until(lambda: not _visible(screen), 20)
        assert first.popen.poll() is None
        second = opened(screen, client)

        assert second.popen.wait(20) == 0, second.log
        assert window_of(screen)


def test_the_app_goes_on_when_the_process_that_ran_the_engine_ends(
    screen: Desktop, client: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", screen.environment["XDG_RUNTIME_DIR"])
    client.start()
    app = opened(screen, client)
    engine = engine_of(screen, client, monkeypatch)
    (tmp_path / "note.txt").write_text("still here")

    client.kill()

    engine = engine_of(screen, client, monkeypatch)
    found = engine.call("drop", paths=[str(tmp_path / "note.txt")], wait=True)
    assert found["links"]

    before, seconds = _cpu_seconds(app), 3
    screen.run("sleep", str(seconds))
    assert _cpu_seconds(app) - before < seconds * 0.1, "it is busy with nothing to do"
    app.popen.terminate()
    assert app.popen.wait(20) == 0, app.log


def test_the_documentations_pictures_can_be_taken(tmp_path: Path) -> None:
    own = {"QT_QPA_PLATFORM": "offscreen", "SATCHEL_SCREENSHOTS": str(tmp_path), "PYTHONPATH": str(HERE.parents[1])}
    done = subprocess.run(
        [sys.executable, "-m", "e2e.app.screenshots"],
        env=os.environ | own,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    kinds = ("window-light", "window-dark", "settings-light", "settings-dark", "sign-in-light", "sign-in-dark")
    assert {f"{kind}.png" for kind in (*kinds, "tray-light")} == {file.name for file in tmp_path.iterdir()}


def _cpu_seconds(process: Process) -> float:
    stat = Path(f"/proc/{process.popen.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")


def _visible(screen: Desktop) -> bool:
    return "Satchel" in [
        screen.xdotool("getwindowname", window)
        for window in screen.run("sh", "-c", "xdotool search --onlyvisible --name '^Satchel$' || true").splitlines()
    ]
