from __future__ import annotations

import http.client
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import msgspec
import pytest

from satchel.hosting.edge import Edge, EdgeConfig
from satchel.hosting.local import free_port

SECRET = "the-origin-secret-of-this-test-run"


@dataclass
class Behind:
    """What stands behind the edge: it notes what it was asked, and answers `status` with what it was sent."""

    port: int = 0
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    status: int = 200


@dataclass
class Front:
    """The edge, and how to ask it something."""

    port: int
    config: Path
    line: http.client.HTTPConnection

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> http.client.HTTPResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.line.request(method, path, body, named)
        return self.line.getresponse()


@pytest.fixture
def behind() -> Iterator[Behind]:
    told = Behind()

    class Echo(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            told.asked.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            self.send_response(told.status)
            self.send_header("Content-Type", "text/plain")
            self.send_header("Referrer-Policy", "unsafe-url")
            self.send_header("Keep-Alive", "timeout=5")
            self.send_header("Location", "http://elsewhere.example.com/")
            out = body or b"hello"
            self.send_header("Content-Length", str(len(out)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(out)

        do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    told.port = server.server_port
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield told
    server.shutdown()
    server.server_close()


@pytest.fixture
def front(behind: Behind, tmp_path: Path) -> Iterator[Front]:
    config = EdgeConfig(
        port=free_port(),
        cloud=f"http://127.0.0.1:{behind.port}",
        region="us-east-1",
        api_id="api1",
        static_bucket="pages",
        origin_secret=SECRET,
        key=("key", "secret"),
        headers={"Referrer-Policy": "no-referrer"},
    )
    path = tmp_path / "edge.json"
    path.write_bytes(msgspec.json.encode(config))
    edge = Edge(path)
    threading.Thread(target=edge.serve_forever, args=(0.02,), daemon=True).start()
    line = http.client.HTTPConnection("127.0.0.1", config.port, timeout=10)
    yield Front(config.port, path, line)
    line.close()
    edge.shutdown()
    edge.server_close()


def test_the_api_is_asked_with_the_origin_secret(front: Front, behind: Behind) -> None:
    reply = front.ask("POST", "/v1/uploads?a=%20b", b'{"x": 1}', Authorization="Bearer t", X_Satchel_Origin="forged")

    assert reply.read() == b'{"x": 1}'
    method, path, headers, body = behind.asked[0]
    assert (method, path, body) == ("POST", "/_aws/execute-api/api1/v1/uploads?a=%20b", b'{"x": 1}')
    assert headers["x-satchel-origin"] == SECRET
    assert headers["authorization"] == "Bearer t"


def test_headers_between_two_neighbours_stay_there_and_the_sites_own_win(front: Front) -> None:
    reply = front.ask("GET", "/p/token")
    reply.read()

    assert reply.getheader("keep-alive") is None
    assert reply.headers.get_all("referrer-policy") == ["no-referrer"]


def test_redirects_are_passed_on_and_not_followed(front: Front, behind: Behind) -> None:
    behind.status = 302

    reply = front.ask("GET", "/p/token/content")
    reply.read()

    assert reply.status == 302
    assert reply.getheader("location") == "http://elsewhere.example.com/"


def test_every_share_address_is_the_same_page(front: Front, behind: Behind) -> None:
    front.ask("GET", "/s/some-token?x=1").read()
    front.ask("GET", "/").read()

    assert [path for _, path, _, _ in behind.asked] == ["/pages/index.html"] * 2
    assert behind.asked[0][2]["authorization"].startswith("AWS4-HMAC-SHA256")


def test_one_connection_serves_many_requests(front: Front) -> None:
    for _ in range(3):
        assert front.ask("GET", "/").read() == b"hello"
        assert front.ask("HEAD", "/p/token/content").read() == b""
        assert front.ask("POST", "/p/token/views", b"").status == 200
        front.line.close()


def test_a_large_body_comes_through_whole(front: Front) -> None:
    body = bytes(range(256)) * 8192

    assert front.ask("PUT", "/v1/thing", body).read() == body


def test_a_name_pointed_at_this_machine_is_sent_away(front: Front, behind: Behind) -> None:
    reply = front.ask("GET", "/v1/account", Host=f"evil.example.com:{front.port}")

    assert reply.status == 421
    assert not behind.asked


def test_a_cloud_that_is_down_is_said_plainly(front: Front) -> None:
    config = msgspec.json.decode(front.config.read_bytes(), type=EdgeConfig)
    front.config.write_bytes(msgspec.json.encode(replace(config, cloud=f"http://127.0.0.1:{free_port()}")))

    reply = front.ask("GET", "/v1/account")
    problem = msgspec.json.decode(reply.read())

    assert reply.status == problem["status"] == 503
    assert reply.getheader("content-type") == "application/problem+json"
    assert "satchel local up" in problem["detail"]


def test_pages_can_only_be_read(front: Front, behind: Behind) -> None:
    assert front.ask("DELETE", "/index.html").status == 405
    assert not behind.asked


def test_a_dotted_path_does_not_leave_the_sites_bucket(front: Front, behind: Behind) -> None:
    for path in ("/../other-bucket/secret", "/%2e%2e/other-bucket/secret", "/a/..%2f../other", "/p/../v1/account"):
        reply = front.ask("GET", path)
        reply.read()
        assert reply.status == 404

    assert not behind.asked
