"""One account can neither see nor sign anything of another, on any route: a real deployment, two real sign-ins."""

from __future__ import annotations

import hashlib
import http.client
import re
import secrets
import urllib.parse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

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

    def folder_link(self) -> str:
        """The token of a link to a new folder."""
        token = new_id()
        assert self.make_folder(link={"token": token})["outcome"] == "done"
        return token


@dataclass
class Belongings:
    """What Alice has: a folder, a file in it with a link, the upload it came by, and two uploads under way."""

    account: str
    folder: str
    file: str
    revision: str
    link: str
    token: str
    done: str
    put: str
    multipart: str

    @property
    def secrets(self) -> tuple[str, ...]:
        return (*vars(self).values(), "secret.txt", "large.bin")


@pytest.fixture(scope="module")
def alice(cloud: LocalCloud) -> Person:
    return Person(cloud, cloud.tokens(*cloud.new_user())["AccessToken"])


@pytest.fixture(scope="module")
def bob(cloud: LocalCloud) -> Person:
    return Person(cloud, cloud.tokens(*cloud.new_user())["AccessToken"])


@pytest.fixture(scope="module")
def hers(alice: Person) -> Belongings:
    folder = alice.make_folder(name="hers")["node"]["node_id"]
    file, upload, token = new_id(), new_id(), secrets.token_urlsafe(17)[:22]
    opened = alice.open(upload_id=upload, node_id=file, parent_id=folder, name="secret.txt", link={"token": token})
    send(opened)
    done = alice.ask("POST", "/v1/uploads/complete", {"uploads": [{"upload_id": upload}]})
    assert done.json()["results"][0]["outcome"] == "done", done.body
    put = alice.open(size=5, sha256=hashlib.sha256(b"other").hexdigest())["upload_id"]
    multipart = alice.open(size=40 * 1024 * 1024, name="large.bin")["upload_id"]
    revision = done.json()["results"][0]["node"]["revision"]["revision_id"]
    account = alice.ask("GET", "/v1/account").json()["account_id"]
    return Belongings(account, folder, file, revision, opened["link"]["link_id"], token, upload, put, multipart)


def send(opened: dict[str, Any]) -> None:
    parts = urllib.parse.urlsplit(opened["put"]["url"])
    line = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    query = f"{opened['signing_query']}&{opened['put']['query']}"
    line.request("PUT", f"{parts.path}?{query}", CONTENT, opened["put"]["headers"])
    assert line.getresponse().status == 200
    line.close()


@dataclass(frozen=True)
class Try:
    """What Bob sends to one route with ids of Alice's, and how it must end: `refused` knows a refusal."""

    path: str
    body: Any = None
    refused: Callable[[Reply], bool] = lambda reply: reply.status == 404


def nothing_of(hers: Belongings) -> Callable[[Reply], bool]:
    return lambda reply: reply.status == 200 and not any(one in reply.body.decode() for one in hers.secrets)


def problem_of(items: str) -> Callable[[Reply], bool]:
    def is_problem(reply: Reply) -> bool:
        (answer,) = reply.json()[items]
        return answer["outcome"] == "problem" and not {"put", "url"} & set(answer)

    return is_problem


def tries(bob: Person, hers: Belongings) -> dict[str, list[Try]]:
    """For every operation of the contract, every way in which it can name something of another's."""
    part = {"part": 1, "crc64nvme": "AAAAAAAAAAA="}
    parts = f"/v1/uploads/{hers.multipart}/parts"
    mine, own = bob.make_folder()["node"]["node_id"], f"/p/{bob.folder_link()}"
    fresh = {"token": new_id()}
    folder = {"node_id": new_id(), "parent_id": hers.folder, "name": "x"}
    revision = bob.intent(node_id=hers.file, base_revision=hers.revision)
    copied = revision | {"size": 40 * 1024 * 1024, "part_sizes": [40 * 1024 * 1024], "upload_id": new_id()}

    def opens(intent: dict[str, Any]) -> Try:
        return Try("/v1/uploads", {"intents": [intent]}, problem_of("uploads"))

    def completes(**item: Any) -> Try:
        return Try("/v1/uploads/complete", {"uploads": [item]}, problem_of("results"))

    return {
        "getAccount": [Try("/v1/account", None, nothing_of(hers))],
        "openUploads": [
            opens(bob.intent(upload_id=hers.put)), opens(bob.intent(parent_id=hers.folder)), opens(revision),
            opens(copied), opens(bob.intent(link={"token": hers.token})),
        ],
        "completeUploads": [
            completes(upload_id=hers.put), completes(upload_id=hers.multipart), completes(upload_id=hers.done),
            completes(upload_id=hers.put, base_revision=hers.revision),
        ],
        "getUpload": [Try(f"/v1/uploads/{upload}") for upload in (hers.put, hers.multipart, hers.done)],
        "abortUpload": [Try(f"/v1/uploads/{upload}") for upload in (hers.put, hers.multipart, hers.done)],
        "uploadParts": [Try(parts, {"list": True}), Try(parts, {"sign": [part]}), Try(parts, {"sent_bytes": 1}),
                        Try(parts, {"sign": [{"part": 1, "copy_from": 0}]})],
        "makeFolders": [
            Try("/v1/folders", {"folders": [folder]}, problem_of("folders")),
            Try("/v1/folders", {"folders": [folder | {"parent_id": mine, "link": {"token": hers.token}}]},
                problem_of("folders")),
        ],
        "findNode": [Try("/v1/nodes?path=/hers/secret.txt"), Try("/v1/nodes?path=/hers")],
        "getNode": [Try(f"/v1/nodes/{hers.file}"), Try(f"/v1/nodes/{hers.folder}")],
        "moveNode": [
            Try(f"/v1/nodes/{hers.file}", {"name": "mine now"}), Try(f"/v1/nodes/{hers.file}", {"parent_id": "root"}),
            Try(f"/v1/nodes/{mine}", {"parent_id": hers.folder}),
        ],
        "trashNode": [Try(f"/v1/nodes/{hers.file}"), Try(f"/v1/nodes/{hers.folder}")],
        "listChildren": [
            Try(f"/v1/nodes/{hers.folder}/children"), Try("/v1/nodes/root/children", None, nothing_of(hers)),
        ],
        "getContent": [Try(f"/v1/nodes/{hers.file}/content")],
        "getContents": [
            Try("/v1/contents", {"node_ids": [node_id]}, problem_of("contents")) for node_id in (hers.file, hers.folder)
        ],
        "listChanges": [Try("/v1/changes?after=0", None, nothing_of(hers))],
        "openPush": [Try("/v1/push", {"client_id": hers.file}, nothing_of(hers))],
        "listLinks": [Try("/v1/links", None, nothing_of(hers))],
        "createLink": [
            Try("/v1/links", {"node_id": hers.file, "link": fresh}),
            Try("/v1/links", {"node_id": mine, "link": {"token": hers.token}}, lambda reply: reply.status == 409),
        ],
        "revokeLink": [Try(f"/v1/links/{hers.link}")],
        # Whoever has a token may look; a token of one's own opens nothing of anybody else's.
        "viewLink": [Try(f"{own}?folder={hers.folder}"), Try(f"/p/{hers.link}")],
        "countView": [Try(f"/p/{hers.link}/views")],
        "downloadLink": [Try(f"{own}/content?node={hers.file}"), Try(f"/p/{hers.link}/content")],
        "peekDownload": [Try(f"{own}/content?node={hers.file}"), Try(f"/p/{hers.link}/content")],
    }  # fmt: skip


def operations() -> dict[str, tuple[str, str]]:
    """Method and path of every operation of the contract, by its id."""
    contract = yaml.safe_load((Path(__file__).parents[3] / "backend" / "openapi.yaml").read_text())
    return {
        operation["operationId"]: (method.upper(), path)
        for path, methods in contract["paths"].items()
        for method, operation in methods.items()
        if method != "parameters"
    }


@pytest.mark.parametrize("operation", operations())
def test_no_route_gives_or_takes_anything_of_anothers(bob: Person, hers: Belongings, operation: str) -> None:
    """A new route fails here until it is said what must be refused on it."""
    method, pattern = operations()[operation]
    for attempt in tries(bob, hers)[operation]:
        route = re.sub(r"\{\w+\}", "[^/]+", pattern)
        assert re.fullmatch(route, attempt.path.partition("?")[0]), f"{attempt.path} is not {pattern}"

        reply = bob.ask(method, attempt.path, attempt.body)

        assert attempt.refused(reply), (attempt, reply)
        assert not any(secret in reply.body.decode() for secret in ("secret.txt", hers.token, hers.account))


@pytest.mark.parametrize("operation", [name for name, (_, path) in operations().items() if path.startswith("/v1/")])
def test_no_signed_in_route_wakes_its_function_for_a_stranger(cloud: LocalCloud, operation: str) -> None:
    method, pattern = operations()[operation]
    path = re.sub(r"\{\w+\}", "a" * 32, pattern)
    before = cloud.invocations("api")

    assert cloud.request(method, path, {} if method in ("POST", "PATCH") else None).status == 401
    assert cloud.request(method, path, token="garbage").status == 401

    assert cloud.invocations("api") == before


def test_content_that_only_another_holds_is_not_already_here(bob: Person, hers: Belongings) -> None:
    assert bob.open()["outcome"] == "put"


def test_all_of_it_is_still_there_for_its_owner(alice: Person, hers: Belongings) -> None:
    """Runs last: whatever was tried above has changed nothing."""
    assert alice.ask("GET", f"/v1/nodes/{hers.file}").json()["name"] == "secret.txt"
    assert alice.ask("GET", f"/v1/nodes/{hers.file}/content").status == 200
    assert [n["name"] for n in alice.ask("GET", f"/v1/nodes/{hers.folder}/children").json()["nodes"]] == ["secret.txt"]
    assert alice.ask("GET", f"/v1/uploads/{hers.put}").json()["state"] == "open"
    assert alice.ask("GET", f"/v1/uploads/{hers.multipart}").json()["sent_bytes"] == 0
    assert [link["state"] for link in alice.ask("GET", "/v1/links").json()["links"]] == ["live"]
