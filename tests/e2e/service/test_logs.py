"""The service's logs: a person's error leads to its line, and no line is anybody's business."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from e2e.client import random_file, signed_in
from e2e.cloud_fixture import LocalCloud, wait_until
from satchel.hosting import local

FUNCTIONS = ("api", "public", "ingest", "janitor", "socket", "notify")


def test_the_reference_of_an_error_leads_to_its_line_in_the_log(cloud: LocalCloud, tmp_path: Path) -> None:
    with signed_in(cloud, tmp_path) as client:
        client.cli("mkdir", "/here")

        for_people = client.cli("mv", "/here", "/here/inside", check=False).stderr
        for_programs = json.loads(client.cli("--json", "link", "/nowhere", check=False).stderr)["error"]

    told = re.search(r"^Reference: (\S+)$", for_people, re.MULTILINE)
    assert told, for_people
    assert line_of(cloud, told[1])["route"] == "PATCH /v1/nodes/{node_id}"
    assert line_of(cloud, for_programs["reference"])["status"] == 404


def line_of(cloud: LocalCloud, reference: str) -> dict[str, Any]:
    def found() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in cloud.log("api") if line.startswith("{")]
        return [line for line in lines if line["request_id"] == reference]

    (line,) = wait_until(found)
    return dict(line)


def test_no_line_names_a_person_a_file_a_link_or_a_secret(cloud: LocalCloud, tmp_path: Path) -> None:
    telling = tmp_path / "notice-of-termination.pdf"
    random_file(telling, 2000)
    with signed_in(cloud, tmp_path / "client") as client:
        link = client.cli("put", str(telling), "--link").stdout.strip()
        client.cli("mv", f"/Drops/{telling.name}", "/Drops/renamed-termination.pdf")
        client.cli("mkdir", "/Drops/renamed-termination.pdf", check=False)
        client.cli("get", link, "-o", str(tmp_path / "fetched.pdf"))
        email = client.email
    token = link.rpartition("/")[2]
    for path in (f"/p/{token}", f"/p/{token}/content", f"/p/{token}/nonsense"):
        cloud.request("GET", path)
    access = cloud.tokens(*cloud.new_user())["AccessToken"]
    cloud.request("POST", "/v1/uploads", {"intents": [{"name": "termination"}]}, token=access)
    (secret,) = {
        cloud.aws.client("lambda").get_function_configuration(FunctionName=f"{local.STACK}-{function}")["Environment"][
            "Variables"
        ]["ORIGIN_SECRET"]
        for function in ("api", "public")
    }

    logged = wait_until(lambda: (text := everything(cloud)).count("/p/{token}/content") and text)

    assert [one for one in (email, "termination", token, access, secret, "X-Amz-Signature") if one in logged] == []


def everything(cloud: LocalCloud) -> str:
    return "\n".join(line for function in FUNCTIONS for line in cloud.log(function))
