"""The client against its contract: it asks as `openapi.yaml` allows, and understands all that this foresees."""

from __future__ import annotations

import inspect
import json
import re
from typing import Any
from unittest.mock import call

import msgspec
import pytest

from integration.cloud.contract import KINDS, OPERATIONS, example
from integration.cloud.site import Clock, Site, cloud
from satchel.cloud import Cloud, PublicLinks
from satchel.core.errors import NotSignedInError, RefusedError, SatchelError
from satchel.core.model import CompleteItem, FolderIntent, LinkIntent, PartToSign, UploadIntent

ID, OTHER, TOKEN, PAGE = "a" * 32, "b" * 32, "t" * 22, "next/page+=&?"
SHA256, CRC = "c" * 64, "A" * 11 + "="
BYTES = "https://s3.example.com/bytes?signed"
LINK = LinkIntent(TOKEN, expires_ms=5)

CALLS = {
    "getAccount": [call()],
    "openUploads": [
        call([UploadIntent(ID, OTHER, "root", "a.txt", 0, -1)]),
        call([UploadIntent(ID, OTHER, ID, "Été", 3, 4, SHA256, OTHER, "rename", LINK, (2, 1))] * 100),
    ],
    "completeUploads": [call([CompleteItem(ID)]), call([CompleteItem(ID, SHA256, OTHER)] * 100)],
    "getUpload": [call(ID)],
    "abortUpload": [call(ID)],
    "uploadParts": [
        call(ID),
        call(ID, list_after=0),
        call(ID, sign=[PartToSign(10_000, CRC), PartToSign(9999, copy_from=0)], list_after=7, sent_bytes=0),
    ],
    "makeFolders": [
        call([FolderIntent(ID, "root", "Trip")]),
        call([FolderIntent(ID, OTHER, "Trip", "rename", LINK)] * 50),
    ],
    "findNode": [call("/"), call("/Été/a & b?#+%.txt")],
    "getNode": [call("root"), call(ID)],
    "moveNode": [
        call(ID, name="b"),
        call(ID, parent_id="root"),
        call(ID, parent_id=OTHER, name="b", if_taken="rename"),
    ],
    "trashNode": [call(ID), call(ID, seen=2**53 - 1)],
    "listChildren": [call("root"), call(ID, page=PAGE, limit=150)],
    "getContent": [call(ID)],
    "getContents": [call(["root"]), call([ID, OTHER] * 50)],
    "listChanges": [call(0), call(2**53 - 1, limit=1)],
    "openPush": [call(ID)],
    "listLinks": [call(), call(page=PAGE, limit=1)],
    "createLink": [call(ID, LinkIntent(TOKEN)), call(ID, LINK)],
    "revokeLink": [call(ID)],
    "viewLink": [call(TOKEN), call("-_" * 32, folder=ID, page=PAGE)],
    "countView": [call(TOKEN)],
    "downloadLink": [call(TOKEN), call(TOKEN, node=ID)],
}
"""How each operation is called: with the least first, with all that there is last."""

NOT_THE_CLIENTS = {"peekDownload"}
"""It is there for browsers and download programs, which ask by HEAD before they fetch."""

CONVENIENCE = {"close", "children", "links"}
"""Methods that are no routes: they end connections, or read page after page."""

CHOICES = range(6)
"""The numbers of `example`: the smallest, and as many full ones as the longest list of outcomes has."""


def test_every_operation_has_its_method_and_every_method_its_operation() -> None:
    methods = {name for face in (Cloud, PublicLinks) for name, _ in inspect.getmembers(face, inspect.isfunction)}
    assert set(CALLS) == set(OPERATIONS) - NOT_THE_CLIENTS
    assert {name for name in methods if not name.startswith("_")} - CONVENIENCE == set(map(method_name, CALLS))


@pytest.mark.parametrize("name", CALLS)
def test_what_the_client_asks_is_in_the_contract_and_it_uses_all_of_it(site: Site, clock: Clock, name: str) -> None:
    answer(site, name, min(OPERATIONS[name].responses))
    used = []
    for arguments in CALLS[name]:
        ask(site, clock, name, arguments)
        used.append(OPERATIONS[name].hold(*site.asked[-1]))
    assert used[-1] == OPERATIONS[name].documented


SUCCESSES = [(name, status) for name in CALLS for status in OPERATIONS[name].responses if status < 300]


@pytest.mark.parametrize(("name", "status"), SUCCESSES)
def test_every_success_is_read_and_nothing_of_it_is_lost(site: Site, clock: Clock, name: str, status: int) -> None:
    for number in CHOICES:
        sent = answer(site, name, status, number)
        assert_understood(ask(site, clock, name), sent)


REFUSALS = [(name, status) for name in CALLS for status in OPERATIONS[name].responses if status >= 400]


@pytest.mark.parametrize(("name", "status"), REFUSALS)
def test_every_refusal_is_told_with_its_kind_status_and_reference(
    site: Site, clock: Clock, name: str, status: int
) -> None:
    for number in range(len(KINDS) + 1):
        sent = answer(site, name, status, number)
        with pytest.raises(SatchelError) as refused:
            ask(site, clock, name)
        assert refused.value.reference == "request-1"
        if status == 401:
            assert isinstance(refused.value, NotSignedInError)
        else:
            assert isinstance(refused.value, RefusedError)
            assert_holds(problem_of(refused.value), sent)


def test_a_download_leads_to_the_bytes(site: Site, clock: Clock) -> None:
    answer(site, "downloadLink", 302)
    assert ask(site, clock, "downloadLink") == BYTES


def ask(site: Site, clock: Clock, name: str, arguments: Any = None) -> Any:
    """What the client's method for an operation returns."""
    signed_in, public = cloud(site, clock), PublicLinks(site.url, clock=clock)
    face = public if OPERATIONS[name].public else signed_in
    given = arguments or CALLS[name][0]
    return getattr(face, method_name(name))(*given.args, **given.kwargs)


def method_name(operation: str) -> str:
    return re.sub("[A-Z]", lambda found: "_" + found[0].lower(), operation)


def answer(site: Site, name: str, status: int, number: int = 0) -> Any:
    """Let the site answer as the contract foresees; what its body says, None without one."""
    response = OPERATIONS[name].responses[status]
    if "content" not in response:
        site.answers[:] = [(status, {"location": BYTES} if "headers" in response else {}, b"")]
        return None
    [(kind, content)] = response["content"].items()
    body = example(content["schema"], number)
    if kind == "application/problem+json":
        body |= {"status": status} | ({"instance": "urn:satchel:request:request-1"} if "instance" in body else {})
    source = "apigw-requestid" if status == 401 else "x-request-id"
    headers = {"content-type": kind, source: "request-1"}
    site.answers[:] = [(status, headers, json.dumps(of_a_newer_service(body)).encode())]
    return body


def of_a_newer_service(value: Any) -> Any:
    """The same, with a field in every object that nobody has heard of."""
    if isinstance(value, list):
        return [of_a_newer_service(one) for one in value]
    if isinstance(value, dict):
        return {name: of_a_newer_service(one) for name, one in value.items()} | {"since-tomorrow": "yes"}
    return value


def problem_of(error: RefusedError) -> Any:
    """The problem document that an error was made of."""
    return {
        "type": f"urn:satchel:problem:{error.kind}",
        "title": error.title,
        "status": error.status,
        "detail": error.message,
        "instance": f"urn:satchel:request:{error.reference}",
        "current": msgspec.to_builtins(error.current),
        "missing_parts": list(error.missing_parts),
    }


def assert_understood(result: Any, sent: Any) -> None:
    """All that was sent is in what a method returned, be it the reply or the one list that is in it."""
    read = msgspec.to_builtins(result)
    if isinstance(result, tuple):
        [sent] = sent.values()
    assert_holds(read, sent)


def assert_holds(read: Any, sent: Any) -> None:
    if isinstance(sent, dict):
        assert set(sent) <= set(read)
        for name in sent:
            assert_holds(read[name], sent[name])
    elif isinstance(sent, list):
        assert len(read) == len(sent)
        for one, other in zip(read, sent, strict=True):
            assert_holds(one, other)
    else:
        assert read == sent
