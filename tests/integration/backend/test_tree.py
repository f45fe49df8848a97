"""The tree, its change log, and the janitor."""

from __future__ import annotations

from typing import Any

from satchel_cloud.service.context import context

from .conftest import ALICE, BOB, new_id, new_token


def kind(reply: Any) -> str:
    return str(reply[1]["type"]).rsplit(":", 1)[-1]


def test_folders_of_one_batch_may_lie_in_each_other(service: Any) -> None:
    a, b = new_id(), new_id()
    body = {"folders": [
        {"node_id": a, "parent_id": "root", "name": "a", "link": {"token": new_token()}},
        {"node_id": b, "parent_id": a, "name": "b"},
    ]}  # fmt: skip
    first = service.call("POST", "/v1/folders", body)
    assert [f["outcome"] for f in first[1]["folders"]] == ["done", "done"]
    assert service.call("POST", "/v1/folders", body) == first
    assert service.call("GET", "/v1/nodes", query={"path": "/A/b"})[1]["node_id"] == b
    assert service.call("GET", f"/v1/nodes/{b}")[1]["parent_id"] == a


def test_fifty_folders_are_made_in_one_request(service: Any) -> None:
    ids = [new_id() for _ in range(50)]
    folders = [{"node_id": i, "parent_id": p, "name": "f"} for i, p in zip(ids, ["root", *ids], strict=False)]
    reply = service.call("POST", "/v1/folders", {"folders": folders})
    assert {f["outcome"] for f in reply[1]["folders"]} == {"done"}
    deep = service.call("GET", "/v1/nodes", query={"path": "/f" * 50})
    assert deep[1]["node_id"] == ids[-1]


def test_a_taken_folder_name_is_refused_or_numbered(service: Any) -> None:
    service.folder("a")
    assert service.folder("A")["problem"]["type"].endswith("name-taken")
    assert service.folder("A", if_taken="rename")["node"]["name"] == "A (2)"
    assert service.folder("..")["problem"]["type"].endswith("name-invalid")


def test_a_node_is_renamed_and_moved(service: Any) -> None:
    folder, file = service.folder("to")["node"], service.put(name="a.txt")
    path = f"/v1/nodes/{file['node_id']}"
    moved = service.call("PATCH", path, {"parent_id": folder["node_id"], "name": "b.txt"})[1]
    assert (moved["parent_id"], moved["name"]) == (folder["node_id"], "b.txt")
    assert service.call("PATCH", path, {"parent_id": folder["node_id"], "name": "b.txt"})[1] == moved
    assert service.call("PATCH", path, {"name": "B.txt"})[1]["name"] == "B.txt"
    assert kind(service.call("PATCH", path, {"parent_id": file["node_id"]})) == "not-a-folder"
    service.put(b"other", name="a.txt")
    assert kind(service.call("PATCH", path, {"parent_id": "root", "name": "a.txt"})) == "name-taken"
    renamed = service.call("PATCH", path, {"parent_id": "root", "name": "a.txt", "if_taken": "rename"})[1]
    assert renamed["name"] == "a (2).txt"
    assert service.call("GET", f"{path}/content")[1]["node"] == renamed


def test_a_folder_cannot_go_into_itself(service: Any) -> None:
    a = service.folder("a")["node"]["node_id"]
    b = service.folder("b", a)["node"]["node_id"]
    assert kind(service.call("PATCH", f"/v1/nodes/{a}", {"parent_id": b})) == "into-itself"
    assert kind(service.call("PATCH", "/v1/nodes/root", {"name": "x"})) == "bad-request"
    assert kind(service.call("DELETE", "/v1/nodes/root")) == "bad-request"
    assert kind(service.call("GET", f"/v1/nodes/{a}/content")) == "not-a-file"


def test_a_trash_takes_nothing_along_that_its_sender_has_not_seen(service: Any) -> None:
    folder = service.folder("f")["node"]
    deep = service.folder("deep", parent_id=folder["node_id"])["node"]
    other = service.folder("other")["node"]
    path = f"/v1/nodes/{folder['node_id']}"
    seen = service.call("GET", "/v1/account")[1]["sequence"]

    def trash(seen: int) -> Any:
        return service.call("DELETE", path, query={"seen": str(seen)})

    service.put(name="new.txt", parent_id=deep["node_id"])
    refused = trash(seen)
    assert (refused[0], kind(refused)) == (409, "changed-since")
    seen = service.call("GET", "/v1/account")[1]["sequence"]
    service.call("PATCH", f"/v1/nodes/{other['node_id']}", {"name": "another"})
    assert kind(trash(seen - 1)) == "changed-since"
    assert trash(seen)[0] == 204, "a change elsewhere is no reason"
    assert trash(seen)[0] == 204, "once there, nothing happens again"


def test_a_trash_that_has_not_seen_very_much_is_refused(service: Any) -> None:
    folder = service.folder("f")["node"]
    seen = service.call("GET", "/v1/account")[1]["sequence"]
    for number in range(101):
        service.folder(f"{number}")
    reply = service.call("DELETE", f"/v1/nodes/{folder['node_id']}", query={"seen": str(seen)})
    assert kind(reply) == "changed-since"


def test_what_is_in_a_trashed_folder_cannot_be_reached(service: Any) -> None:
    folder = service.folder("a")["node"]["node_id"]
    file = service.put(parent_id=folder)["node_id"]
    token = new_token()
    made = service.call("POST", "/v1/links", {"node_id": file, "link": {"token": token}})
    assert made[0] == 201
    assert [service.call("DELETE", f"/v1/nodes/{folder}")[0] for _ in range(2)] == [204, 204]
    assert kind(service.call("GET", f"/v1/nodes/{file}")) == "not-found"
    assert kind(service.call("GET", f"/v1/nodes/{folder}/children")) == "not-found"
    assert kind(service.call("GET", f"/p/{token}")) == "content-deleted"


def test_pages_of_children_are_cut_by_bytes_too(service: Any) -> None:
    for start in range(0, 150, 50):
        folders = [
            {"node_id": new_id(), "parent_id": "root", "name": f"{n:03}" + "\x01" * 252}
            for n in range(start, start + 50)
        ]
        service.call("POST", "/v1/folders", {"folders": folders})
    seen, page = [], {}
    while True:
        reply = service.call("GET", "/v1/nodes/root/children", query=page)[1]
        seen += reply["nodes"]
        if "next" not in reply:
            break
        page = {"page": reply["next"]}
    assert len({node["node_id"] for node in seen}) == 150
    assert kind(service.call("GET", "/v1/nodes/root/children", query={"page": "%"})) == "bad-request"


def test_the_log_tells_every_change_once_and_shows_when_it_was_cut(service: Any) -> None:
    nodes = [service.folder(name)["node"]["node_id"] for name in "abc"]
    service.call("DELETE", f"/v1/nodes/{nodes[0]}")
    first = service.call("GET", "/v1/changes", query={"after": 0, "limit": 3})[1]
    assert (first["cursor"], first["more"]) == (3, True)
    last = service.call("GET", "/v1/changes", query={"after": 3})[1]
    assert [entry["op"] for change in last["changes"] for entry in change["entries"]] == ["trash"]
    assert service.call("GET", "/v1/changes", query={"after": 4})[1]["changes"] == []
    assert kind(service.call("GET", "/v1/changes", query={"after": 5})) == "cursor-too-old"
    service.dynamodb.delete_item(TableName="satchel", Key={"PK": {"S": f"A#{ALICE}#C"}, "SK": {"S": f"{1:016d}"}})
    assert service.call("GET", "/v1/changes", query={"after": 0})[0] == 410


def test_another_accounts_ids_lead_nowhere(service: Any) -> None:
    file = service.put()["node_id"]
    folder = service.folder("a")["node"]["node_id"]
    upload = service.intent(b"open")
    service.open(upload)
    link = service.call("POST", "/v1/links", {"node_id": file, "link": {"token": new_token()}})[1]["link_id"]
    up = f"/v1/uploads/{upload['upload_id']}"
    for method, path, body in (
        ("GET", f"/v1/nodes/{file}", None), ("PATCH", f"/v1/nodes/{file}", {"name": "x"}),
        ("DELETE", f"/v1/nodes/{file}", None), ("GET", f"/v1/nodes/{folder}/children", None),
        ("GET", f"/v1/nodes/{file}/content", None), ("GET", up, None), ("DELETE", up, None),
        ("POST", f"{up}/parts", {"list": True}), ("DELETE", f"/v1/links/{link}", None),
        ("POST", "/v1/links", {"node_id": file, "link": {"token": new_token()}}),
    ):  # fmt: skip
        assert service.call(method, path, body, who=BOB)[0] == 404, path
    assert service.complete({"upload_id": upload["upload_id"]}, who=BOB)[0]["problem"]["status"] == 404
    assert service.open({**upload}, who=BOB)[0]["problem"]["type"].endswith("id-taken")
    assert service.open(service.intent(parent_id=folder), who=BOB)[0]["problem"]["status"] == 404
    assert service.folder("x", folder, who=BOB)["problem"]["status"] == 404
    assert service.call("GET", "/v1/nodes/root/children", who=BOB)[1]["nodes"] == []
    assert service.call("GET", "/v1/links", who=BOB)[1]["links"] == []
    assert service.call("GET", "/v1/changes", query={"after": 0}, who=BOB)[1]["changes"] == []


def test_a_disabled_account_reads_and_does_no_more(service: Any) -> None:
    file = service.put()["node_id"]
    service.disable()
    assert service.call("GET", "/v1/account")[1]["status"] == "disabled"
    assert service.call("GET", f"/v1/nodes/{file}")[0] == 200
    assert kind(service.call("GET", f"/v1/nodes/{file}/content")) == "account-disabled"
    assert kind(service.call("DELETE", f"/v1/nodes/{file}")) == "account-disabled"
    assert kind(service.call("POST", "/v1/uploads", {"intents": [service.intent()]})) == "account-disabled"


def test_only_the_edge_gets_in_and_nonsense_is_refused(service: Any) -> None:
    assert kind(service.call("GET", "/v1/account", secret="guess")) == "wrong-door"
    assert kind(service.call("GET", "/p/" + new_token(), secret="")) == "wrong-door"
    assert kind(service.call("GET", "/v1/nowhere")) == "not-found"
    assert kind(service.call("POST", "/v1/uploads", "{")) == "bad-request"
    assert kind(service.call("POST", "/v1/uploads", {"intents": [], "more": 1})) == "bad-request"
    assert kind(service.call("POST", "/v1/uploads", "x" * 200_000)) == "too-large"
    assert kind(service.call("GET", "/v1/changes", query={"after": "x"})) == "bad-request"
    assert kind(service.call("GET", "/v1/nodes", query={"path": "a"})) == "bad-request"


def test_the_janitor_destroys_old_trash_and_gives_the_bytes_back(service: Any) -> None:
    a = service.folder("a")["node"]["node_id"]
    b = service.folder("b", a)["node"]["node_id"]
    service.put(b"deep", parent_id=b)
    kept = service.put(b"kept")
    service.put(b"newer", node_id=kept["node_id"], name="x", base_revision=kept["revision"]["revision_id"])
    service.call("DELETE", f"/v1/nodes/{a}")
    assert service.sweep() == {}
    service.days(31)
    assert service.sweep() == {"trash": 1, "revision": 1}
    service.days(2)
    assert service.sweep() == {"content": 2}
    assert len(service.objects()) == 1
    assert service.call("GET", "/v1/account")[1]["used_bytes"] == 5
    assert service.sweep() == {}


def test_content_in_use_again_is_kept(service: Any) -> None:
    node = service.put(b"same")
    service.call("DELETE", f"/v1/nodes/{node['node_id']}")
    service.days(31)
    service.sweep()
    service.put(b"same")
    service.days(2)
    service.sweep()
    assert len(service.objects()) == 1


def test_the_janitor_finishes_or_gives_up_what_was_left(service: Any) -> None:
    whole, empty = service.intent(b"whole", name="whole"), service.intent(b"never")
    service.open(whole, empty)
    service.send(whole, b"whole")
    service.days(1.1)
    assert service.sweep() == {"completed": 1, "waiting": 1}
    service.days(7)
    assert service.sweep() == {"aborted": 1}
    assert service.call("GET", f"/v1/uploads/{empty['upload_id']}")[1]["state"] == "aborted"
    service.days(1)
    assert service.sweep() == {"swept": 1}
    assert service.sweep() == {}


def test_a_writer_who_came_second_decides_again(service: Any) -> None:
    table = context().table
    write, lost = table.write, []

    def write_late(actions: Any) -> None:
        if not lost and len(actions) > 1:
            lost.append(True)
            service.folder("quick")
        write(actions)

    table.write = write_late
    assert service.folder("slow")["node"]["sequence"] == 2
    assert service.folder("quick")["outcome"] == "problem"


def test_in_the_end_a_busy_account_is_said_to_be_busy(service: Any) -> None:
    from satchel_cloud.adapters.table import ConflictError

    intent = service.intent()
    service.open(intent)
    service.send(intent)

    def refuse(_actions: Any) -> None:
        raise ConflictError

    context().table.write = refuse
    assert service.complete({"upload_id": intent["upload_id"]})[0]["outcome"] == "pending"
    body = {"folders": [{"node_id": new_id(), "parent_id": "root", "name": "a"}]}
    assert kind(service.call("POST", "/v1/folders", body)) == "busy"
