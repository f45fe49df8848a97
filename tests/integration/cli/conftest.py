"""The command line over an engine in this process, whose account is in memory; content and links come by loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest

from drop_world import FakeAccount
from satchel.account import SignedIn
from satchel.cli import main
from satchel.core.errors import NotSignedInError, OfflineError, RefusedError, SignInError
from satchel.core.model import (
    Account,
    ChangePage,
    Discovery,
    FoundContent,
    FoundContents,
    Link,
    LinkIntent,
    Node,
    Revision,
)
from satchel.engine.browse import link_id_of
from satchel.engine.host import connect
from satchel.engine.services import Services


class WholeAccount(FakeAccount):
    """As `FakeAccount`, with the routes that only commands use."""

    def __init__(self, site: str) -> None:
        super().__init__()
        self.site = site

    def close(self) -> None:
        return

    def get_account(self) -> Account:
        self._call("account")
        return Account("account", "active", 1_400_000, len(self.nodes), 20_000_000_000)

    def get_node(self, node_id: str) -> Node:
        self._call("node")
        return self.nodes[node_id]

    def children(self, node_id: str) -> list[Node]:
        self._call("children")
        return [node for node in self.nodes.values() if node.parent_id == node_id]

    def move_node(self, node_id: str, *, parent_id: str | None = None, name: str | None = None) -> Node:
        self._call("move")
        node = self.nodes[node_id]
        self.nodes[node_id] = moved = replace(node, parent_id=parent_id or node.parent_id, name=name or node.name)
        return moved

    def trash_node(self, node_id: str, *, seen: int | None = None) -> None:
        self._call("trash")
        self.trash(self.path(self.nodes[node_id]))

    def get_contents(self, node_ids: Sequence[str]) -> FoundContents:
        self._call("content")
        at = f"{self.site}/content"
        return FoundContents("", tuple(FoundContent(one, "done", self.nodes[one], f"{at}/{one}") for one in node_ids))

    def list_changes(self, after: int) -> ChangePage:
        self._call("changes")
        return ChangePage((), after, more=False)

    def create_link(self, node_id: str, link: LinkIntent) -> Link:
        self._call("link")
        self.linked[f"{self.site}/s/{link.token}"] = node_id
        return Link(link_id_of(link.token), node_id, self.nodes[node_id].name, "live", 0, expires_ms=link.expires_ms)

    def links(self) -> list[Link]:
        self._call("links")
        return [Link(link_id_of(url), at, self.nodes[at].name, "live", 0) for url, at in self.linked.items()]

    def revoke_link(self, link_id: str) -> None:
        self._call("revoke")
        found = [url for url in self.linked if link_id_of(url) == link_id]
        if not found:
            raise RefusedError("not-found", "There is no such link", status=404)
        del self.linked[found[0]]

    def add(self, parent_id: str, name: str, kind: Any = "file") -> Node:
        """As if the service had it: any name at all, and its name is its content."""
        node_id = f"{len(self.nodes):032x}"
        revision = Revision("1" * 32, len(name.encode()), 1_700_000_000_000) if kind == "file" else None
        self.nodes[node_id] = node = Node(node_id, parent_id, name, kind, 1, revision)
        return node


class Service:
    """A site on loopback: hands out content, and the pages of links as JSON."""

    def __init__(self) -> None:
        self.views: dict[str, dict[str, Any]] = {}
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                status, headers, body = service.answer(self.path)
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.account = WholeAccount(self.url)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def share(self, name: str, *inside: str) -> str:
        """A link to a file, or to a folder of files; every file's content is its name."""
        token = f"{len(self.views):022d}"
        node_ids = [self.account.add("elsewhere", one).node_id for one in inside]
        items = [
            {"node_id": at, "kind": "file", "name": one, "size": len(one.encode())}
            for at, one in zip(node_ids, inside, strict=True)
        ]
        of_file = {} if inside else {"size": len(name.encode())}
        self.views[token] = {
            "kind": "folder" if inside else "file", "name": name, "state": "ready", "items": items, **of_file
        }  # fmt: skip
        return f"{self.url}/s/{token}"

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        path, _, query = path.partition("?")
        kind, at, *rest = path.strip("/").split("/")
        if kind == "content":
            return (
                200,
                {"etag": '"1"'},
                (self.account.nodes[at].name if at in self.account.nodes else unquote(at)).encode(),
            )
        view = self.views[at]
        if rest == ["content"]:
            return (
                302,
                {"location": f"{self.url}/content/{query.partition('=')[2] or quote(view['name'], safe='')}"},
                b"",
            )
        return 200, {"content-type": "application/json"}, json.dumps(view).encode()


@dataclass
class FakeSession:
    """Signed in without anybody to ask; `wrong` is a password that is refused."""

    site: str
    state: str = "in"
    remembered: bool = True
    passwords: list[str] = field(default_factory=list)
    """Those that were taken."""

    @property
    def account(self) -> Any:
        discovery = Discovery(1, "0.1", self.site, "us-east-1", "pool", "client")
        return SignedIn("alice@example.com", "sub", discovery) if self.state == "in" else None

    def restore(self) -> Any:
        return self.account

    def sign_in(self, discovery: Discovery, email: str, password: str, new_password: str | None = None) -> str:
        if password == "wrong":
            raise SignInError("Email or password is wrong", "Type them again.")
        if password == "temporary" and new_password is None:
            self.passwords.append(password)
            return "new_password_required"
        self.passwords.append(new_password or password)
        self.state = "in"
        return "signed_in"

    def sign_out(self) -> None:
        self.state = "out"


@dataclass
class Ended:
    code: int
    out: str
    err: str

    @property
    def said(self) -> tuple[int, str, str]:
        return self.code, self.out, self.err

    @property
    def documents(self) -> list[Any]:
        """Every line of standard output, as JSON."""
        return [json.loads(line) for line in self.out.splitlines()]


class Shell:
    """`satchel ...` typed into this process."""

    def __init__(self, folder: Path, service: Service, session: FakeSession, read: Any) -> None:
        self.folder = folder
        self.service = service
        self.account = service.account
        self.session = session
        self._read = read

    def run(self, *words: str) -> Ended:
        code = main([str(word) for word in words])
        said = self._read()
        return Ended(code, said.out, said.err)

    def json(self, *words: str) -> Any:
        """The last document of a command that does what it is to do."""
        ended = self.run("--json", *words)
        assert (ended.code, ended.err) == (0, "")
        return ended.documents[-1]

    def file(self, name: str, text: str = "content") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def offline(self) -> None:
        self.account.trouble = OfflineError("The service cannot be reached", "Check the network.")

    def signed_out(self) -> None:
        self.account.trouble = NotSignedInError("The session has ended", "Sign in again.")


@pytest.fixture
def service() -> Iterator[Service]:
    made = Service()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def shell(
    tmp_path: Path,
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Shell]:
    session = FakeSession(service.url)
    services = Services(
        session=lambda _: session,  # type: ignore[arg-type,return-value] # what an engine asks of it
        discover=lambda site: Discovery(1, "0.1", site, "us-east-1", "pool", "client"),
        cloud=lambda discovery, session: service.account,  # type: ignore[arg-type,return-value] # the same routes
    )
    monkeypatch.setenv("SATCHEL_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    with connect(tmp_path / "home", resident=False, services=services):
        yield Shell(tmp_path, service, session, capsys.readouterr)
