"""The bundle for whoever helps: useful, and without anything that is nobody's business."""

from __future__ import annotations

import zipfile
from pathlib import Path

import satchel
from e2e.client import in_step, random_file, signed_in
from e2e.cloud_fixture import LocalCloud


def test_a_bundle_holds_no_name_no_address_no_link_and_no_secret(cloud: LocalCloud, tmp_path: Path) -> None:
    folder, bundle = tmp_path / "Confidential plans", tmp_path / "bundle.zip"
    folder.mkdir()
    random_file(folder / "merger with nobody.txt", 1000)
    (folder / "held back").symlink_to(tmp_path)

    with signed_in(cloud, tmp_path / "client") as client:
        engine = client.start()
        engine.call("root_add", dir=str(folder), to="/Confidential plans")
        dropped = engine.call("drop", paths=[str(folder / "merger with nobody.txt")], wait=True)
        (folder / "held back").unlink()
        in_step(engine, folder, "/Confidential plans")
        client.cli("diagnose", "-o", str(bundle))

    with zipfile.ZipFile(bundle) as found:
        everything = b"\n".join(found.read(name) for name in found.namelist())
    assert satchel.__version__.encode() in everything
    token = dropped["links"][0].rsplit("/", 1)[-1]
    for secret in ("merger", "Confidential", client.email, client.password, token, "eyJ"):
        assert secret.encode() not in everything, secret
