"""Restarts and outages, against the local cloud."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from e2e.cloud_fixture import LocalCloud, wait_until
from satchel.core.errors import OfflineError
from satchel.engine.host import connect


@pytest.fixture
def home(cloud: LocalCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Signed in, by a password file in place of a keyring."""
    email, password = cloud.new_user()
    (tmp_path / "password").write_text(password)
    monkeypatch.setenv("SATCHEL_PASSWORD_FILE", str(tmp_path / "password"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    with connect(tmp_path / "home") as engine:
        engine.call("login", site=cloud.site, email=email, password=password)
    return tmp_path / "home"


def test_the_engine_comes_up_offline_and_recovers(cloud: LocalCloud, home: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    cloud.stop()
    try:
        with connect(home) as engine:
            wait_until(lambda: engine.call("status")["tone"] == "offline")
            with pytest.raises(OfflineError):
                engine.call("drop", paths=[str(tmp_path / "a.txt")], patient=False)

            cloud.start()

            wait_until(lambda: engine.call("status")["tone"] == "ok", 60)
            assert engine.call("drop", paths=[str(tmp_path / "a.txt")], wait=True)["links"]
    finally:
        cloud.start()


def test_what_is_dropped_before_the_service_was_ever_reached_gets_its_links_when_it_is(
    cloud: LocalCloud, home: Path, tmp_path: Path
) -> None:
    (tmp_path / "Folder").mkdir()
    for number in range(10):
        (tmp_path / f"{number}.txt").write_text(str(number))
        (tmp_path / "Folder" / f"{number}.txt").write_text(str(number))
    one, several = [str(tmp_path / "0.txt")], [str(tmp_path / f"{number}.txt") for number in range(10)]
    cloud.stop()
    try:
        with connect(home) as engine:
            for paths in (one, [*several, str(tmp_path / "Folder")]):
                dropped = engine.call("drop", paths=paths)
                assert [item["error"] for item in dropped["items"]] == [None] * len(paths)
                assert dropped["links"] == []
            wait_until(lambda: engine.call("status")["tone"] == "offline")
            assert {row["state"] for row in engine.call("status")["transfers"]} == {"waiting"}
        with connect(home) as engine:
            cloud.start()
            wait_until(lambda: {row["state"] for row in engine.call("status")["transfers"]} == {"done"}, 90)
            links = {row["link_url"] for row in engine.call("status")["transfers"]}
            assert len(links) == len(engine.call("ls", path="/Drops")) == 2
        for link in links:
            assert cloud.request("GET", f"/p/{link.rsplit('/', 1)[-1]}").json()["state"] == "ready"
    finally:
        cloud.start()


def test_an_unfinished_drop_shows_again_and_finishes_after_a_restart(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "Folder"
    folder.mkdir()
    for number in range(5):
        (folder / f"{number}.bin").write_bytes(os.urandom(1000))
    with connect(home) as engine:
        engine.call("pause")
        [item] = engine.call("drop", paths=[str(folder)])["items"]
        assert item["link_url"]
    with connect(home) as engine:
        [row] = engine.call("status")["transfers"]
        assert (row["transfer_id"], row["link_url"]) == (item["transfer_id"], item["link_url"])
        engine.call("resume")
        wait_until(lambda: _row(engine)["state"] == "done")
        assert _row(engine)["files_done"] == 5
        assert len(engine.call("ls", path="/Drops/Folder")) == 5


def test_more_than_ten_items_share_one_link_and_a_taken_name_becomes_name_2(home: Path, tmp_path: Path) -> None:
    paths = []
    for number in range(11):
        paths.append(str(tmp_path / f"{number}.txt"))
        Path(paths[-1]).write_text(str(number))
    with connect(home) as engine:
        assert len(engine.call("drop", paths=paths, wait=True)["links"]) == 1
        first = engine.call("drop", paths=paths[:1], wait=True)
        second = engine.call("drop", paths=paths[:1], wait=True)
        names = [node["name"] for node in engine.call("ls", path="/Drops") if node["kind"] == "file"]
    assert sorted(names) == ["0 (2).txt", "0.txt"]
    assert first["links"] != second["links"]


def test_drops_go_on_after_their_folder_went_to_the_trash(home: Path, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a")
    with connect(home) as engine:
        engine.call("drop", paths=[str(tmp_path / "a.txt")], wait=True)
        engine.call("rm", path="/Drops")

        again = engine.call("drop", paths=[str(tmp_path / "a.txt")], wait=True)

        assert again["items"][0]["error"] is None
        assert [node["name"] for node in engine.call("ls", path="/Drops")] == ["a.txt"]


def _row(engine: Any) -> dict[str, Any]:
    rows = engine.call("status")["transfers"]
    assert len(rows) == 1
    return dict(rows[0])
