"""The share page on the real templates: an upload through the real API, its bytes in S3, and Chromium looking on."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import time
import urllib.request
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from e2e.cloud_fixture import LocalCloud

MIB = 1024 * 1024
SLOW_MS = 30_000  # two cores are shared with everything else that is being tested


class Sender:
    """An account that sends one file by the API's own words, step by step."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self.token = cloud.tokens(*cloud.new_user())["AccessToken"]
        self.link = secrets.token_urlsafe(17)[:22]
        self.upload_id = uuid.uuid4().hex
        self.node_id = uuid.uuid4().hex

    def call(self, method: str, path: str, body: Any = None) -> Any:
        reply = self.cloud.request(method, path, body, token=self.token)
        assert reply.status < 300, (method, path, reply.status, reply.body)
        return reply.json() if reply.body else None

    def open(self, name: str, content: bytes, **link: Any) -> dict[str, Any]:
        """Opens the upload with its link; from here on the page exists."""
        intent = {
            "upload_id": self.upload_id,
            "node_id": self.node_id,
            "parent_id": "root",
            "name": name,
            "size": len(content),
            "modified_ms": time.time_ns() // 1_000_000,
            "sha256": hashlib.sha256(content).hexdigest(),
            "link": {"token": self.link, **link},
        }
        reply = self.call("POST", "/v1/uploads", {"intents": [intent]})
        opened: dict[str, Any] = reply["uploads"][0]
        assert opened["outcome"] in {"put", "multipart"}, opened
        return opened | {"signing_query": reply["signing_query"]}

    def send_part(self, part: int, piece: bytes, sent_bytes: int) -> None:
        from awscrt import checksums

        crc = base64.b64encode(checksums.crc64nvme(piece).to_bytes(8, "big")).decode()
        path = f"/v1/uploads/{self.upload_id}/parts"
        reply = self.call("POST", path, {"sign": [{"part": part, "crc64nvme": crc}]})
        put(reply["signed"][0], reply["signing_query"], piece)
        self.call("POST", path, {"sent_bytes": sent_bytes})

    def complete(self) -> None:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            reply = self.call("POST", "/v1/uploads/complete", {"uploads": [{"upload_id": self.upload_id}]})
            result = reply["results"][0]
            if result["outcome"] == "done":
                return
            assert result["outcome"] == "pending", result
            time.sleep(0.3)
        raise AssertionError("still pending after a minute")

    def share(self, name: str, content: bytes, **link: Any) -> None:
        opened = self.open(name, content, **link)
        put(opened["put"], opened["signing_query"], content)
        self.complete()

    def revoke(self) -> None:
        self.call("DELETE", f"/v1/links/{hashlib.sha256(self.link.encode()).hexdigest()[:32]}")


def put(signed: dict[str, Any], signing_query: str, body: bytes) -> None:
    url = f"{signed['url']}?{signing_query}&{signed['query']}"
    # Without a type urllib calls it a form, and the local cloud reads through all of it.
    headers = signed["headers"] | {"content-type": "application/octet-stream"}
    request = urllib.request.Request(url, data=body, method="PUT", headers=headers)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as reply:
        assert reply.status == 200


@pytest.fixture
def sender(cloud: LocalCloud) -> Sender:
    return Sender(cloud)


def visit(page: Page, cloud: LocalCloud, token: str) -> None:
    page.set_default_timeout(SLOW_MS)
    page.goto(f"{cloud.site}/s/{token}")


def says(page: Page, title: str) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_text(title, timeout=SLOW_MS)


def test_a_link_shows_the_file_arriving_then_ready_and_gives_its_bytes(
    person: Callable[..., Page], cloud: LocalCloud, sender: Sender
) -> None:
    page = person()
    content = os.urandom(17 * MIB + 5)
    name = "Lisbon offsite – höhepunkte.mp4"
    opened = sender.open(name, content)
    size = opened["part_size"]
    pieces = [content[start : start + size] for start in range(0, len(content), size)]

    visit(page, cloud, sender.link)
    says(page, name)
    expect(page.locator(".pill")).to_have_text("On its way")
    sender.send_part(1, pieces[0], len(pieces[0]))
    expect(page.get_by_role("progressbar")).to_have_attribute("value", str(len(pieces[0])), timeout=SLOW_MS)
    for part, piece in enumerate(pieces[1:], start=2):
        sender.send_part(part, piece, min(part * size, len(content)))
    sender.complete()

    expect(page.locator(".pill")).to_have_text("Ready", timeout=SLOW_MS)
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download").click()
    assert hashlib.sha256(waiting.value.path().read_bytes()).digest() == hashlib.sha256(content).digest()
    assert waiting.value.suggested_filename == name


def test_a_revoked_link_says_so(page: Page, cloud: LocalCloud, sender: Sender) -> None:
    sender.share("note.txt", b"for a while")
    visit(page, cloud, sender.link)
    says(page, "note.txt")

    sender.revoke()
    page.get_by_role("link", name="Download").click()

    says(page, "This link was revoked")
    page.reload()
    says(page, "This link was revoked")


def test_an_expired_link_says_so(page: Page, cloud: LocalCloud, sender: Sender) -> None:
    expires_ms = time.time_ns() // 1_000_000 + 4_000
    sender.share("note.txt", b"for a moment", expires_ms=expires_ms)

    time.sleep(max(0.0, expires_ms / 1000 - time.time()) + 0.2)
    visit(page, cloud, sender.link)

    says(page, "This link has expired")


def test_a_sender_who_gives_up_is_told_of(page: Page, cloud: LocalCloud, sender: Sender) -> None:
    sender.open("note.txt", b"never sent")
    visit(page, cloud, sender.link)
    expect(page.locator(".pill")).to_have_text("On its way")

    sender.call("DELETE", f"/v1/uploads/{sender.upload_id}")

    expect(page.get_by_text("The sender stopped before all of it had arrived")).to_be_visible(timeout=SLOW_MS)


def test_an_unknown_token_says_so(page: Page, cloud: LocalCloud) -> None:
    visit(page, cloud, "AAAAAAAAAAAAAAAAAAAAAA")

    says(page, "Link not found")


def test_a_folder_link_lists_what_is_in_it(page: Page, cloud: LocalCloud, sender: Sender) -> None:
    sender.share("inside.txt", b"inside")
    folder_id, token = uuid.uuid4().hex, secrets.token_urlsafe(17)[:22]
    sender.call("POST", "/v1/folders", {"folders": [{"node_id": folder_id, "parent_id": "root", "name": "Trip"}]})
    sender.call("PATCH", f"/v1/nodes/{sender.node_id}", {"parent_id": folder_id})
    sender.call("POST", "/v1/links", {"node_id": folder_id, "link": {"token": token}})

    visit(page, cloud, token)
    says(page, "Trip")
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download inside.txt").click()

    assert waiting.value.path().read_bytes() == b"inside"


def test_a_folder_link_fills_while_its_files_arrive(page: Page, cloud: LocalCloud, sender: Sender) -> None:
    folder_id, token = uuid.uuid4().hex, secrets.token_urlsafe(17)[:22]
    trip = {"node_id": folder_id, "parent_id": "root", "name": "Trip", "link": {"token": token}}
    sender.call("POST", "/v1/folders", {"folders": [trip]})
    visit(page, cloud, token)
    expect(page.get_by_text("Files show up here as they arrive.")).to_be_visible(timeout=SLOW_MS)

    sender.share("inside.txt", b"inside")
    sender.call("PATCH", f"/v1/nodes/{sender.node_id}", {"parent_id": folder_id})

    expect(page.get_by_role("link", name="Download inside.txt")).to_be_visible(timeout=SLOW_MS)


def test_views_and_downloads_are_counted(page: Page, cloud: LocalCloud, sender: Sender) -> None:
    sender.share("counted.txt", b"counted")
    visit(page, cloud, sender.link)
    with page.expect_download():
        page.get_by_role("link", name="Download").click()
    page.reload()
    says(page, "counted.txt")
    page.wait_for_load_state("networkidle")

    link = sender.call("GET", "/v1/links")["links"][0]

    assert (link["views"], link["downloads"]) == (2, 1)


def test_the_front_page_says_where_to_sign_in(page: Page, cloud: LocalCloud) -> None:
    page.goto(cloud.site + "/")

    expect(page.locator("code")).to_have_text(cloud.site)
