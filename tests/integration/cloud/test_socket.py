"""The socket itself, against a real server on loopback: what is sent, what is refused, and a line that died."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from satchel.cloud import push
from satchel.cloud.push import connection
from satchel.core.errors import OfflineError
from satchel.core.model import PushTicket

Handler = Callable[[ServerConnection], Awaitable[None]]


@contextlib.asynccontextmanager
async def serving(handler: Handler, **options: Any) -> AsyncIterator[str]:
    async with serve(handler, "127.0.0.1", 0, close_timeout=0.1, **options) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/live"


async def stay(line: ServerConnection) -> None:
    await line.wait_closed()


def test_the_ticket_goes_in_a_header_and_never_in_the_address() -> None:
    seen: list[Request] = []

    async def told(line: ServerConnection) -> None:
        assert line.request is not None
        seen.append(line.request)
        await line.send('{"sequence": 7}')
        await line.wait_closed()

    async def scenario() -> None:
        async with serving(told) as url, connection(PushTicket(url, "the ticket")) as socket:
            assert await socket.recv() == '{"sequence": 7}'

    asyncio.run(scenario())
    assert (seen[0].headers["x-satchel-ticket"], seen[0].path) == ("the ticket", "/live")


@pytest.mark.parametrize("status", [HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.BAD_GATEWAY])
def test_a_refused_handshake_is_no_connection(status: HTTPStatus) -> None:
    async def scenario() -> None:
        refuse = {"process_request": lambda line, _: line.respond(status, "no")}
        async with serving(stay, **refuse) as url:
            with pytest.raises(OfflineError):
                async with connection(PushTicket(url, "t")):
                    pass

    asyncio.run(scenario())


def test_a_redirect_elsewhere_is_not_followed_with_the_ticket() -> None:
    reached: list[str] = []

    async def elsewhere(line: ServerConnection) -> None:
        reached.append("elsewhere")
        await line.wait_closed()

    async def scenario() -> None:
        async with serving(elsewhere) as target:

            def redirect(line: ServerConnection, _: Request) -> Response:
                answer = line.respond(HTTPStatus.FOUND, "")
                answer.headers["Location"] = target
                return answer

            async with serving(stay, process_request=redirect) as url:
                with pytest.raises(OfflineError):
                    async with connection(PushTicket(url, "t")):
                        pass

    asyncio.run(scenario())
    assert reached == []


@pytest.mark.parametrize("url", ["ws://push.example.com/live", "https://push.example.com/live", "wss:///live", ""])
def test_it_connects_by_tls_or_to_this_machine(url: str) -> None:
    async def scenario() -> None:
        with pytest.raises(OfflineError, match="not safe"):
            async with connection(PushTicket(url, "t")):
                pass

    asyncio.run(scenario())


def test_the_systems_proxy_is_used_and_one_that_refuses_is_said_to_be_in_between(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[bytes] = []

    async def proxy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readline())
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async def scenario() -> None:
        async with await asyncio.start_server(proxy, "127.0.0.1", 0) as server:
            monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
            monkeypatch.setenv("no_proxy", "")
            with pytest.raises(OfflineError, match="cannot be reached"):
                async with connection(PushTicket("wss://push.example.com/live", "t")):
                    pass

    asyncio.run(scenario())
    assert asked == [b"CONNECT push.example.com:443 HTTP/1.1\r\n"]


def test_a_line_that_died_without_a_word_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(push, "PING", 0.05)
    monkeypatch.setattr(push, "PING_ANSWER", 0.05)

    async def scenario() -> None:
        async with serving(stay) as url:
            port = int(url.rsplit(":", 1)[1].split("/")[0])
            pumps: list[asyncio.Task[None]] = []

            async def between(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                there, back = await asyncio.open_connection("127.0.0.1", port)
                pumps.extend(asyncio.create_task(pump(*ends)) for ends in ((reader, back), (there, writer)))

            async with await asyncio.start_server(between, "127.0.0.1", 0) as cut:
                through = f"ws://127.0.0.1:{cut.sockets[0].getsockname()[1]}/live"
                with pytest.raises(OfflineError, match="has ended"):
                    await listen(through, pumps)

    asyncio.run(scenario())


async def listen(url: str, pumps: list[asyncio.Task[None]]) -> None:
    async with connection(PushTicket(url, "t")) as socket:
        await asyncio.sleep(0.3)  # all is well, for longer than a ping takes
        for task in pumps:
            task.cancel()
        async with asyncio.timeout(10):
            await socket.recv()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(4096):
        writer.write(data)
