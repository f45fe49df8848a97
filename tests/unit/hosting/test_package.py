from __future__ import annotations

import io
import os
import re
import zipfile
from pathlib import Path

import pytest

from satchel.hosting.package import Payload, payload, stamped, zip_package
from satchel.hosting.site import cache_control


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "satchel_cloud"
    (folder / "handlers" / "__pycache__").mkdir(parents=True)
    (folder / "__init__.py").write_text("")
    (folder / "handlers" / "api.py").write_text("def handler(): ...\n")
    (folder / "handlers" / "__pycache__" / "api.cpython-311.pyc").write_bytes(b"old")
    return folder


def test_the_same_code_gives_the_same_bytes_whenever_it_was_saved(package: Path) -> None:
    before = zip_package(package)
    os.utime(package / "handlers" / "api.py", (1, 1))
    (package / "handlers" / "api.py").chmod(0o700)

    assert zip_package(package) == before


def test_two_checkouts_give_the_same_bytes(tmp_path: Path) -> None:
    """Made by others, at another time, in another order, with other modes and with what their tools left behind."""
    files = sorted(path for path in payload().code.rglob("*.py"))
    checkouts = [tmp_path / "one", tmp_path / "a longer way" / "two"]
    for number, checkout in enumerate(checkouts):
        before = os.umask((0o077, 0o002)[number])
        try:
            for file in files[:: (1, -1)[number]]:
                copy = checkout / "satchel_cloud" / file.relative_to(payload().code)
                copy.parent.mkdir(parents=True, exist_ok=True)
                copy.write_bytes(file.read_bytes())
                os.utime(copy, (number * 1e9, number * 1e9))
        finally:
            os.umask(before)
    (checkouts[1] / "satchel_cloud" / "__pycache__").mkdir()
    (checkouts[1] / "satchel_cloud" / "__pycache__" / "x.pyc").write_bytes(b"x")

    one, two = (zip_package(checkout / "satchel_cloud") for checkout in checkouts)

    assert one == two == payload().zip


def test_other_code_gives_other_bytes_and_another_key(package: Path) -> None:
    before = Payload(package, package, package)
    key = before.code_key
    (package / "handlers" / "api.py").write_text("def handler(): return 1\n")

    assert Payload(package, package, package).code_key != key


def test_the_zip_holds_the_package_and_nothing_compiled(package: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(zip_package(package))) as archive:
        assert archive.namelist() == ["satchel_cloud/__init__.py", "satchel_cloud/handlers/api.py"]
        assert {entry.external_attr >> 16 for entry in archive.infolist()} == {0o100644}


def test_a_checkout_can_deploy() -> None:
    found = payload()

    assert {"satchel.yaml", "storage.yaml", "identity.yaml", "api.yaml", "edge.yaml"} <= found.template_files.keys()
    assert "index.html" in found.site_files
    assert found.fingerprint == payload().fingerprint


def test_a_changed_template_changes_the_address_of_all(package: Path, tmp_path: Path) -> None:
    templates = tmp_path / "cfn"
    templates.mkdir()
    (templates / "satchel.yaml").write_text("one")
    before = Payload(package, templates, package).template_prefix
    (templates / "satchel.yaml").write_text("two")

    assert Payload(package, templates, package).template_prefix != before


def test_the_same_input_gets_the_same_stamp() -> None:
    sent, parameters = payload(), {"QuotaBytes": "1", "TrashDays": "30"}

    one, two = stamped(sent, parameters), stamped(payload(), dict(reversed(parameters.items())))

    assert one.template_files == two.template_files
    assert stamped(one, parameters).template_files == one.template_files


def test_changed_code_or_a_changed_parameter_gives_the_functions_versions_another_id(package: Path) -> None:
    cfn = payload().templates
    before = stamped(Payload(package, cfn, package), {"QuotaBytes": "1"})
    other_parameter = stamped(before, {"QuotaBytes": "2"})
    (package / "handlers" / "api.py").write_text("def handler(): return 1\n")
    other_code = stamped(Payload(package, cfn, package), {"QuotaBytes": "1"})

    ids = [version_ids(one.template_files["api.yaml"]) for one in (before, other_parameter, other_code)]

    assert len({frozenset(one) for one in ids}) == 3
    assert all(len(one) == 4 for one in ids)


def test_a_changed_template_gives_the_versions_another_id(package: Path, tmp_path: Path) -> None:
    templates = tmp_path / "cfn"
    templates.mkdir()
    (templates / "api.yaml").write_text("A: Unstamped")
    before = stamped(Payload(package, templates, package), {})
    (templates / "api.yaml").write_text("B: Unstamped")

    assert stamped(Payload(package, templates, package), {}).stamp != before.stamp


def test_what_says_nothing_of_the_functions_leaves_the_stamp_alone() -> None:
    """The address of the templates follows from the stamp; a hidden value is told as stars; empty is not there."""
    plain = stamped(payload(), {"QuotaBytes": "1"})

    told = {"QuotaBytes": "1", "TemplateBase": "https://example.com/x", "OriginSecret": "****", "DomainName": ""}

    assert stamped(payload(), told).stamp == plain.stamp


def version_ids(template: bytes) -> set[str]:
    return set(re.findall(r"^  (\w+):\n    Type: AWS::Lambda::Version$", template.decode(), re.MULTILINE))


def test_the_path_of_an_asset_names_its_content_and_the_page_knows_it(tmp_path: Path) -> None:
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "main.js").write_text("one")
    (tmp_path / "index.html").write_text('<script src="/assets/main.js">')
    before = Payload(tmp_path, tmp_path, tmp_path).site_files
    (tmp_path / "assets" / "main.js").write_text("two")
    after = Payload(tmp_path, tmp_path, tmp_path).site_files

    (old,), (new,) = ([path for path in files if path.startswith("assets/")] for files in (before, after))

    assert old != new
    assert after["index.html"].decode() == f'<script src="/{new}">'
    assert cache_control(new) == "public, max-age=31536000, immutable"
    assert cache_control("index.html") == cache_control(".well-known/satchel.json") == "no-cache"
