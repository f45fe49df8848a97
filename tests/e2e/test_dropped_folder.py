"""A dropped folder: one link at once, and every file once, whatever happens to the client meanwhile."""

from __future__ import annotations

from pathlib import Path

from e2e.client import in_step, random_file, remote_tree, signed_in
from e2e.cloud_fixture import LocalCloud, wait_until

FILES = 240


def test_a_client_killed_while_it_fills_a_folder_brings_every_file_once_to_the_same_link(
    cloud: LocalCloud, tmp_path: Path
) -> None:
    folder = tmp_path / "Photos"
    for number in range(FILES):
        path = folder / f"day {number % 4}" / f"roll {number % 3}" / f"{number}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        random_file(path, 3000, number)

    with signed_in(cloud, tmp_path / "client") as client:
        engine = client.start()
        dropped = engine.call("drop", paths=[str(folder)])
        client.kill()
        engine = client.start()
        wait_until(lambda: sum(v is not None for v in remote_tree(engine, "/Drops/Photos").values()) > 10)
        client.kill()
        engine = client.start()
        in_step(engine, folder, "/Drops/Photos")

        wait_until(lambda: engine.call("status")["transfers"][0]["state"] == "done")
        row = engine.call("status")["transfers"][0]
        assert [node["name"] for node in engine.call("ls", path="/Drops")] == ["Photos"]
        assert (row["files"], row["files_done"]) == (FILES, FILES)
        assert row["link_url"] == dropped["links"][0]
        view = cloud.request("GET", f"/p/{dropped['links'][0].rsplit('/', 1)[-1]}").json()
        assert {item["name"] for item in view["items"]} == {f"day {n}" for n in range(4)}


def test_more_than_ten_items_go_into_one_new_folder_with_one_link(cloud: LocalCloud, tmp_path: Path) -> None:
    files = [tmp_path / f"{number}.txt" for number in range(11)]
    for number, file in enumerate(files):
        random_file(file, 100, number)

    with signed_in(cloud, tmp_path / "client") as client:
        engine = client.start()
        dropped = engine.call("drop", paths=[str(file) for file in files], wait=True)

        assert len(dropped["links"]) == 1
        (made,) = engine.call("ls", path="/Drops")
        assert made["kind"] == "folder"
        assert set(remote_tree(engine, f"/Drops/{made['name']}")) == {file.name for file in files}
