from __future__ import annotations

import logging
import socket
from typing import Any

import pytest

from integration.cloud.site import Clock, Site, cloud
from satchel.cloud import Cloud, PublicLinks, discover
from satchel.core.errors import BusyError, NotSignedInError, OfflineError, RefusedError, SatchelError, UsageError
from satchel.core.model import Discovery, FolderIntent, LinkIntent, PartToSign, UploadIntent

NODE = {"node_id": "a" * 32, "parent_id": "root", "name": "n", "kind": "folder", "sequence": 3}
PROBLEM = {
    "type": "urn:satchel:problem:name-taken",
    "title": "Taken",
    "status": 409,
    "detail": "Choose another.",
    "instance": "urn:satchel:request:1",
    "current": NODE,
    "missing_parts": [2, 3],
}


def test_values_go_out_without_nulls_and_come_back_as_the_models(site: Site, clock: Clock) -> None:
    site.json({"signing_query": "q", "uploads": [{"upload_id": "1", "outcome": "multipart", "part_size": 5}]})
    intent = UploadIntent("1" * 32, "2" * 32, "root", "n e\u0301", 3, 4, link=LinkIntent("t" * 22))
    opened = cloud(site, clock).open_uploads([intent])
    assert opened.uploads[0].part_size == 5
    method, path, headers, body = site.asked[0]
    assert (method, path, headers["authorization"]) == ("POST", "/v1/uploads", "Bearer secret-token")
    assert body == {
        "intents": [
            {
                "upload_id": "1" * 32,
                "node_id": "2" * 32,
                "parent_id": "root",
                "name": "n e\u0301",
                "size": 3,
                "modified_ms": 4,
                "if_taken": "fail",
                "link": {"token": "t" * 22},
            }
        ]
    }


def test_each_route_is_called_as_the_contract_says(site: Site, clock: Clock) -> None:
    site.json(
        {
            **NODE, "account_id": "a", "status": "active", "used_bytes": 1, "signing_query": "",
            "signed": [], "uploads": [],
            "results": [], "folders": [], "nodes": [NODE], "changes": [], "cursor": 4, "more": False, "links": [],
            "upload_id": "u", "state": "open", "size": 1, "sent_bytes": 0, "url": "x", "node": NODE,
        }
    )  # fmt: skip
    service = cloud(site, clock)
    service.get_account()
    service.complete_uploads([])
    service.upload_parts("u", sign=[PartToSign(1, "c")], list_after=0, sent_bytes=7)
    service.make_folders([FolderIntent("f", "root", "n")])
    service.find_node("/a b/é")
    service.get_node("root")
    service.move_node("x", name="new")
    assert next(iter(service.children("root"))).name == "n"
    service.get_content("x")
    service.list_changes(3)
    assert not list(service.links())
    assert [(method, path) for method, path, _, _ in site.asked] == [
        ("GET", "/v1/account"),
        ("POST", "/v1/uploads/complete"),
        ("POST", "/v1/uploads/u/parts"),
        ("POST", "/v1/folders"),
        ("GET", "/v1/nodes?path=%2Fa+b%2F%C3%A9"),
        ("GET", "/v1/nodes/root"),
        ("PATCH", "/v1/nodes/x"),
        ("GET", "/v1/nodes/root/children"),
        ("GET", "/v1/nodes/x/content"),
        ("GET", "/v1/changes?after=3"),
        ("GET", "/v1/links"),
    ]
    assert site.asked[2][3] == {"sign": [{"part": 1, "crc64nvme": "c"}], "list": True, "after": 0, "sent_bytes": 7}
    assert site.asked[6][3] == {"name": "new", "if_taken": "fail"}


def test_deleting_answers_nothing(site: Site, clock: Clock) -> None:
    site.answers.append((204, {}, b""))
    service = cloud(site, clock)
    service.abort_upload("u")
    service.trash_node("n")
    service.revoke_link("l")
    assert [method for method, *_ in site.asked] == ["DELETE"] * 3


def test_a_problem_document_keeps_all_it_says(site: Site, clock: Clock) -> None:
    site.problem(PROBLEM)
    with pytest.raises(RefusedError, match="Choose another") as refused:
        cloud(site, clock).get_node("x")
    error = refused.value
    assert (error.kind, error.status, error.missing_parts) == ("name-taken", 409, (2, 3))
    assert error.current.node_id == "a" * 32
    assert error.reference == "1"
    assert len(site.asked) == 1, "a refusal is not repeated"


def test_a_refused_token_is_renewed_once(site: Site, clock: Clock) -> None:
    site.json({"message": "Unauthorized"}, 401)
    site.json(NODE)
    used: list[str] = []
    cloud(site, clock, lambda token: used.append(token) or "new").get_node("x")
    assert used == ["secret-token"]
    assert site.asked[1][2]["authorization"] == "Bearer new"


def test_a_token_refused_twice_means_that_the_session_has_ended(site: Site, clock: Clock) -> None:
    site.json({"message": "Unauthorized"}, 401)
    with pytest.raises(NotSignedInError):
        cloud(site, clock, lambda token: "new").get_node("x")
    assert len(site.asked) == 2


def test_a_busy_service_is_asked_again_when_it_says(site: Site, clock: Clock) -> None:
    site.json({"message": "Too Many Requests"}, 429, **{"retry-after": "2"})
    site.json({"message": "Service Unavailable"}, 503)
    site.json(NODE)
    cloud(site, clock).get_node("x")
    assert clock.slept[0] == 2
    assert len(site.asked) == 3


def test_a_service_that_stays_busy_is_told_with_its_time(site: Site, clock: Clock) -> None:
    site.json({"message": "Service Unavailable"}, 503, **{"retry-after": "120"})
    with pytest.raises(BusyError) as busy:
        cloud(site, clock).get_node("x")
    assert busy.value.retry_after == 120
    assert clock.slept == []


def test_a_sign_in_page_of_the_network_is_not_the_service(site: Site, clock: Clock) -> None:
    site.answers.append((200, {"content-type": "text/html"}, b"<html>Welcome to our hotel</html>"))
    with pytest.raises(OfflineError, match="sign-in page"):
        cloud(site, clock).get_account()
    with pytest.raises(OfflineError):
        cloud(site, clock).trash_node("x")


@pytest.mark.parametrize(
    ("status", "header"),
    [(404, "apigw-requestid"), (503, "apigw-requestid"), (503, "x-request-id"), (429, "x-request-id")],
)
def test_every_refusal_refers_to_its_line_in_the_services_log(
    site: Site, clock: Clock, status: int, header: str
) -> None:
    site.json({"message": "No"}, status, **{header: "request-1"})
    with pytest.raises(SatchelError) as refused:
        cloud(site, clock).get_account()
    assert refused.value.reference == "request-1"
    assert refused.value.said.endswith("(Reference: request-1)")


def test_a_redirect_elsewhere_is_not_followed_with_the_token(site: Site, clock: Clock) -> None:
    site.answers.append((302, {"location": "http://127.0.0.1:1/"}, b""))
    with pytest.raises(OfflineError):
        cloud(site, clock).get_account()


def test_an_unknown_route_means_an_older_service(site: Site, clock: Clock) -> None:
    site.json({"message": "Not Found"}, 404)
    with pytest.raises(RefusedError, match="older than this app") as refused:
        cloud(site, clock).get_account()
    assert (refused.value.kind, refused.value.status) == ("unknown-request", 404)


def test_a_closed_door_says_what_to_check(clock: Clock) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    found = Discovery(1, "0", f"http://127.0.0.1:{port}", "r", "p", "c")
    with pytest.raises(OfflineError, match="refuses connections"):
        Cloud(found, lambda: "t", clock=clock).get_account()
    assert len(clock.slept) == 3


def test_an_unknown_name_and_a_foreign_certificate_are_told_apart(site: Site, clock: Clock) -> None:
    with pytest.raises(OfflineError, match="cannot be found"):
        discover("satchel.invalid", clock=clock)
    with pytest.raises(OfflineError, match=r"not safe|broke"):
        discover(site.url.replace("http://", "https://"), clock=clock)


def test_nothing_secret_is_logged(site: Site, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    site.json({"message": "Service Unavailable"}, 503)
    with caplog.at_level(logging.INFO), pytest.raises(BusyError):
        cloud(site, clock).get_account()
    assert "secret-token" not in caplog.text


DISCOVERY = {
    "satchel": 1, "version": "0.1", "site": "", "region": "us-east-1", "user_pool_id": "p", "client_id": "c",
    "identity_endpoint": "http://127.0.0.1:4566",
}  # fmt: skip


def test_a_site_is_discovered_by_what_a_person_types(site: Site, clock: Clock) -> None:
    site.json(DISCOVERY | {"site": site.url})
    assert discover(f"  {site.url}/s/whatever ", clock=clock).client_id == "c"
    assert discover(site.url.removeprefix("http://"), clock=clock).site == site.url


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (DISCOVERY | {"satchel": 2}, "newer Satchel"),
        ({"hello": "world"}, "not a Satchel site"),
        (DISCOVERY | {"identity_endpoint": "https://evil.example.com"}, "sends the sign-in elsewhere"),
        (DISCOVERY | {"region": 5}, "describes itself wrongly"),
    ],
)
def test_a_site_that_will_not_do_is_refused_with_a_reason(
    site: Site, clock: Clock, answer: dict[str, Any], words: str
) -> None:
    site.json({"site": site.url, **{k: v for k, v in answer.items() if k != "site"}})
    with pytest.raises(UsageError, match=words):
        discover(site.url, clock=clock)


def test_a_page_is_no_satchel_site(site: Site, clock: Clock) -> None:
    site.answers.append((404, {"content-type": "text/html"}, b"<html>"))
    with pytest.raises(UsageError, match="not a Satchel site"):
        discover(site.url, clock=clock)


def test_a_link_is_viewed_counted_and_downloaded(site: Site, clock: Clock) -> None:
    site.json({"kind": "file", "name": "n", "state": "ready", "size": 4})
    links, token = PublicLinks(site.url, clock=clock), "t" * 22
    assert links.view_link(token).size == 4
    site.answers[:] = [(204, {}, b"")]
    links.count_view(token)
    site.answers[:] = [(302, {"location": "https://s3.example.com/x?sig"}, b"")]
    assert links.download_link(token, node="d" * 32) == "https://s3.example.com/x?sig"
    assert [path for _, path, _, _ in site.asked] == [
        f"/p/{token}", f"/p/{token}/views", f"/p/{token}/content?node={'d' * 32}",
    ]  # fmt: skip


def test_a_revoked_link_says_so(site: Site, clock: Clock) -> None:
    site.problem(PROBLEM | {"type": "urn:satchel:problem:link-revoked", "status": 410, "current": None})
    with pytest.raises(RefusedError) as refused:
        PublicLinks(site.url, clock=clock).view_link("t" * 22)
    assert refused.value.kind == "link-revoked"
