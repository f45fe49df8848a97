"""One account can neither see nor sign anything of another, on any route: a real deployment, two real sign-ins."""

from __future__ import annotations

import hashlib
import http.client
import secrets
import urllib.parse
from dataclasses import dataclass
from typing import Any

import pytest

from e2e.cloud_fixture import LocalCloud, Reply

CONTENT = b"what only Alice may see " * 10


def new_id() -> str:
    return secrets.token_hex(16)


@dataclass
class Person:
    cloud: LocalCloud
    token: str

    def ask(self, method: str, path: str, body: Any = None) -> Reply:
        return self.cloud.request(method, path, body, token=self.token)

    def intent(self, **changed: Any) -> dict[str, Any]:
        return {
            "upload_id": new_id(),
            "node_id": new_id(),
            "parent_id": "root",
            "name": f"{new_id()}.txt",
            "size": len(CONTENT),
            "modified_ms": 1_700_000_000_000,
            "sha256": hashlib.sha256(CONTENT).hexdigest(),
        } | changed

    def open(self, **changed: Any) -> dict[str, Any]:
        reply = self.ask("POST", "/v1/uploads", {"intents": [self.intent(**changed)]})
        assert reply.status == 200, reply.body
        answer = reply.json()
        return answer["uploads"][0] | {"signing_query": answer["signing_query"]}

    def make_folder(self, **changed: Any) -> dict[str, Any]:
        folder = {"node_id": new_id(), "parent_id": "root", "name": new_id()} | changed
        reply = self.ask("POST", "/v1/folders", {"folders": [folder]})
        assert reply.status == 200, reply.body
        made: dict[str, Any] = reply.json()["folders"][0]
        return made


@dataclass
class Belongings:
    """What Alice has: a folder, a file in it with a link, and two uploads under way."""

    folder: str
    file: str
    link: str
    put: str
    multipart: str


@pytest.fixture(scope="module")
def alice(cloud: LocalCloud) -> Person:
    return Person(cloud, cloud.tokens(*cloud.new_user())["AccessToken"])


@pytest.fixture(scope="module")
def bob(cloud: LocalCloud) -> Person:
    return Person(cloud, cloud.tokens(*cloud.new_user())["AccessToken"])


@pytest.fixture(scope="module")
def hers(alice: Person) -> Belongings:
    folder = alice.make_folder()["node"]["node_id"]
    file, upload, token = new_id(), new_id(), secrets.token_urlsafe(17)[:22]
    opened = alice.open(upload_id=upload, node_id=file, parent_id=folder, name="secret.txt", link={"token": token})
    send(opened)
    done = alice.ask("POST", "/v1/uploads/complete", {"uploads": [{"upload_id": upload}]})
    assert done.json()["results"][0]["outcome"] == "done", done.body
    put = alice.open(size=5, sha256=hashlib.sha256(b"other").hexdigest())["upload_id"]
    multipart = alice.open(size=40 * 1024 * 1024, name="large.bin")["upload_id"]
    return Belongings(folder, file, opened["link"]["link_id"], put, multipart)


def send(opened: dict[str, Any]) -> None:
    parts = urllib.parse.urlsplit(opened["put"]["url"])
    line = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    query = f"{opened['signing_query']}&{opened['put']['query']}"
    line.request("PUT", f"{parts.path}?{query}", CONTENT, opened["put"]["headers"])
    assert line.getresponse().status == 200
    line.close()


FOREIGN = [
    ("GET", "/v1/uploads/{put}", None),
    ("DELETE", "/v1/uploads/{put}", None),
    ("DELETE", "/v1/uploads/{multipart}", None),
    ("POST", "/v1/uploads/{multipart}/parts", {"list": True}),
    ("POST", "/v1/uploads/{multipart}/parts", {"sign": [{"part": 1, "crc64nvme": "AAAAAAAAAAA="}]}),
    ("POST", "/v1/uploads/{multipart}/parts", {"sent_bytes": 1}),
    ("GET", "/v1/nodes/{file}", None),
    ("PATCH", "/v1/nodes/{file}", {"name": "mine now"}),
    ("PATCH", "/v1/nodes/{file}", {"parent_id": "root"}),
    ("DELETE", "/v1/nodes/{folder}", None),
    ("GET", "/v1/nodes/{folder}/children", None),
    ("GET", "/v1/nodes/{file}/content", None),
    ("POST", "/v1/links", {"node_id": "{file}", "link": {"token": "abcdefghijklmnopqrstuvwx"}}),
    ("DELETE", "/v1/links/{link}", None),
]


@pytest.mark.parametrize(("method", "path", "body"), FOREIGN)
def test_what_is_anothers_is_not_there(bob: Person, hers: Belongings, method: str, path: str, body: Any) -> None:
    if body is not None and "node_id" in body:
        body = body | {"node_id": hers.file}

    reply = bob.ask(method, path.format_map(vars(hers)), body)

    # Trashing and revoking answer 204 for what is gone already; then the owner's must still be there (see below).
    assert reply.status in (204, 404), reply.body
    assert reply.status == 404 or method == "DELETE"


def test_an_upload_of_anothers_cannot_be_finished(bob: Person, hers: Belongings) -> None:
    for upload in (hers.put, hers.multipart):
        reply = bob.ask("POST", "/v1/uploads/complete", {"uploads": [{"upload_id": upload}]})
        assert reply.json()["results"][0]["outcome"] == "problem"


def test_an_upload_of_anothers_cannot_be_opened_again(bob: Person, hers: Belongings) -> None:
    opened = bob.open(upload_id=hers.put)

    assert opened["outcome"] == "problem"
    assert "put" not in opened


def test_nothing_can_be_put_into_a_folder_of_anothers(bob: Person, hers: Belongings) -> None:
    assert bob.open(parent_id=hers.folder)["outcome"] == "problem"
    assert bob.make_folder(parent_id=hers.folder)["outcome"] == "problem"
    own = bob.make_folder()["node"]["node_id"]
    assert bob.ask("PATCH", f"/v1/nodes/{own}", {"parent_id": hers.folder}).status in (404, 409)


def test_content_that_only_another_holds_is_not_already_here(bob: Person, hers: Belongings) -> None:
    assert bob.open()["outcome"] == "put"


def test_lists_hold_only_what_is_ones_own(bob: Person, hers: Belongings) -> None:
    seen = "".join(
        bob.ask("GET", path).body.decode()
        for path in ("/v1/nodes/root/children", "/v1/changes?after=0", "/v1/links", "/v1/nodes?path=/", "/v1/account")
    )

    for secret in (*vars(hers).values(), "secret.txt"):
        assert secret not in seen
    assert bob.ask("GET", "/v1/nodes?path=/large.bin").status == 404


def test_all_of_it_is_still_there_for_its_owner(alice: Person, hers: Belongings) -> None:
    """Runs last: whatever was tried above has changed nothing."""
    assert alice.ask("GET", f"/v1/nodes/{hers.file}").json()["name"] == "secret.txt"
    assert alice.ask("GET", f"/v1/nodes/{hers.file}/content").status == 200
    assert alice.ask("GET", f"/v1/uploads/{hers.put}").json()["state"] == "open"
    assert alice.ask("GET", f"/v1/uploads/{hers.multipart}").json()["sent_bytes"] == 0
    assert [link["state"] for link in alice.ask("GET", "/v1/links").json()["links"]] == ["live"]
