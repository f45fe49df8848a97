"""Links: what their owner and what the public sees."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

from satchel_cloud.handlers import identity

from .conftest import Runtime, new_id, new_token


def kind(reply: Any) -> str:
    return str(reply[1]["type"]).rsplit(":", 1)[-1]


def link(service: Any, node_id: str, **more: Any) -> str:
    token = new_token()
    status, made = service.call("POST", "/v1/links", {"node_id": node_id, "link": {"token": token, **more}})
    assert (status, made["path"]) == (201, f"/s/{token}")
    return token


def test_a_link_is_seen_counted_and_followed(service: Any) -> None:
    token = link(service, service.put(name="Größe.html")["node_id"])
    view = service.call("GET", f"/p/{token}")[1]
    assert (view["name"], view["state"], view["size"]) == ("Größe.html", "ready", 5)
    assert service.call("POST", f"/p/{token}/views")[0] == 204
    reply = service.raw("GET", f"/p/{token}/content")
    query = parse_qs(urlsplit(reply["headers"]["location"]).query)
    assert reply["statusCode"] == 302
    assert query["response-content-type"] == ["application/octet-stream"]
    assert query["response-content-disposition"][0].endswith("filename*=UTF-8''Gr%C3%B6%C3%9Fe.html")
    head = service.raw("HEAD", f"/p/{token}/content")
    assert (head["statusCode"], head["headers"]["content-length"]) == (200, "5")
    (listed,) = service.call("GET", "/v1/links")[1]["links"]
    assert (listed["views"], listed["downloads"]) == (1, 1)


def test_making_a_link_twice_makes_one(service: Any) -> None:
    body = {"node_id": service.put()["node_id"], "link": {"token": new_token()}}
    assert service.call("POST", "/v1/links", body) == service.call("POST", "/v1/links", body)
    assert len(service.call("GET", "/v1/links")[1]["links"]) == 1
    other = {**body, "node_id": service.put(b"x")["node_id"]}
    assert kind(service.call("POST", "/v1/links", other)) == "id-taken"


def test_a_link_that_is_over_says_why(service: Any) -> None:
    node = service.put()["node_id"]
    short, revoked = link(service, node, expires_ms=service.now_ms + 1000), link(service, node)
    ids = [shown["link_id"] for shown in service.call("GET", "/v1/links")[1]["links"]]
    service.days(1)
    assert kind(service.call("GET", f"/p/{short}")) == "link-expired"
    for link_id in ids * 2:
        assert service.call("DELETE", f"/v1/links/{link_id}")[0] == 204
    assert kind(service.call("GET", f"/p/{revoked}/content")) == "link-revoked"
    assert kind(service.call("POST", f"/p/{revoked}/views")) == "link-revoked"
    assert kind(service.call("GET", f"/p/{new_token()}")) == "not-found"
    service.days(32)
    assert service.sweep() == {"link": 2}
    assert service.call("GET", "/v1/links")[1]["links"] == []


def test_a_link_exists_before_the_first_byte(service: Any) -> None:
    token = new_token()
    intent = service.intent(link={"token": token}, name="soon")
    assert service.open(intent)[0]["link"]["path"] == f"/s/{token}"
    assert service.call("GET", f"/p/{token}")[1]["state"] == "arriving"
    assert kind(service.call("GET", f"/p/{token}/content")) == "still-arriving"
    service.send(intent)
    service.complete({"upload_id": intent["upload_id"]})
    assert service.call("GET", f"/p/{token}")[1]["state"] == "ready"


def test_a_folder_link_shows_what_is_in_it_and_no_more(service: Any) -> None:
    folder = service.folder("shared")["node"]["node_id"]
    inner = service.folder("inner", folder)["node"]["node_id"]
    file = service.put(b"in", parent_id=inner, name="in.txt")["node_id"]
    outside = service.put(b"out")["node_id"]
    token = link(service, folder)
    assert [item["name"] for item in service.call("GET", f"/p/{token}")[1]["items"]] == ["inner"]
    shown = service.call("GET", f"/p/{token}", query={"folder": inner})[1]
    assert [item["node_id"] for item in shown["items"]] == [file]
    assert service.raw("GET", f"/p/{token}/content", query={"node": file})["statusCode"] == 302
    assert kind(service.call("GET", f"/p/{token}/content")) == "not-a-file"
    for stranger in (outside, new_id()):
        assert service.call("GET", f"/p/{token}/content", query={"node": stranger})[0] == 404
        assert service.call("GET", f"/p/{token}", query={"folder": stranger})[0] == 404


def test_links_are_listed_in_pages_newest_first(service: Any) -> None:
    node = service.put()["node_id"]
    for _ in range(3):
        service.now_ms += 1
        link(service, node)
    first = service.call("GET", "/v1/links", query={"limit": 2})[1]
    rest = service.call("GET", "/v1/links", query={"limit": 2, "page": first["next"]})[1]
    times = [shown["created_ms"] for shown in first["links"] + rest["links"]]
    assert times == sorted(times, reverse=True)
    assert len(times) == 3
    assert "next" not in rest


def test_sign_up_is_for_the_allowed_domains(monkeypatch: Any) -> None:
    monkeypatch.setenv("ALLOWED_DOMAINS", "example.com")

    def ask(mail: str, source: str = "PreSignUp_SignUp") -> Any:
        return identity.handler({"triggerSource": source, "request": {"userAttributes": {"email": mail}}}, Runtime())

    assert ask("alice@EXAMPLE.com")
    assert ask("bob@example.org", "PreSignUp_AdminCreateUser")
    try:
        ask("bob@example.org")
    except identity.RefusedError:
        return
    raise AssertionError("a foreign domain was let in")
