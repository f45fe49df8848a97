"""The engine's local socket: how the app and the CLI talk to the one engine of a home.

Frames are JSON over `multiprocessing.connection` (a Unix socket, or a named pipe on Windows) after its mutual HMAC
challenge; nothing is ever unpickled. A connection carries one request at a time:

    -> {"method": "drop", "params": {...}}
    <- {"event": ...}            any number
    <- {"result": ...}           or {"error": {"code", "exit_code", "title", "message", "path"?, ...}}

Closing the connection cancels the request under way. The key is random, made anew by each engine, and lies beside the
lock in a file that only the user can read.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
import os
import queue
import secrets
import sys
import tempfile
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from multiprocessing import AuthenticationError, Pipe
from multiprocessing.connection import Client, Connection, Listener, answer_challenge, deliver_challenge, wait
from pathlib import Path
from typing import Any, Self

from satchel.core import errors

from .home import write_private

Emit = Callable[[Any], None]
Handler = Callable[[str, dict[str, Any], Emit], Awaitable[Any]]

log = logging.getLogger(__name__)

_RENDEZVOUS = "engine.json"
_MAX_REQUEST = 16 * 1024 * 1024
_PATIENCE_S = 5.0
"""For all requests that are cut off when the engine ends, to tidy up."""


class ControlServer:
    """Answers on the socket of one home, handing each request to `handler` on `loop`.

    `handler(method, params, emit)` may call `emit` from any thread to send events; its return value is the result.
    Values may be anything that `msgspec` encodes.
    """

    def __init__(self, home: Path, loop: asyncio.AbstractEventLoop, handler: Handler) -> None:
        self._home = home
        self._loop = loop
        self._handler = handler
        self._key = key = secrets.token_bytes(32)
        self._under_way: dict[_Frames, str] = {}
        address = _address(home)
        if sys.platform != "win32":
            Path(address).unlink(missing_ok=True)
        # The challenge is held in each connection's own thread: a silent client must not keep the others out.
        self._listener = Listener(address, backlog=16)
        if sys.platform != "win32":
            Path(address).chmod(0o600)
        write_private(
            home / _RENDEZVOUS, json.dumps({"address": address, "key": key.hex(), "pid": os.getpid()}).encode()
        )
        self._closing = threading.Event()
        self._accepting = threading.Thread(target=self._accept, name="control-accept", daemon=True)
        self._accepting.start()

    def busy(self, *, but: tuple[str, ...] = ()) -> bool:
        """Whether requests are under way, those of the methods `but` left out."""
        return any(method not in but for method in list(self._under_way.values()))

    def close(self) -> None:
        """Stop answering; requests under way are cut off. May be called again."""
        if self._closing.is_set():
            return
        self._closing.set()
        (self._home / _RENDEZVOUS).unlink(missing_ok=True)
        # accept() does not wake when its socket is closed from another thread: knock.
        with contextlib.suppress(OSError, EOFError, AuthenticationError):
            Client(self._listener.address).close()
        self._accepting.join(timeout=2)
        self._listener.close()
        under_way = list(self._under_way)
        for frames in under_way:
            frames.cut_off()
        patience = time.monotonic() + _PATIENCE_S
        for frames in under_way:  # the loop may end after this
            frames.ended.wait(max(0, patience - time.monotonic()))

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection = self._listener.accept()
            except (AuthenticationError, EOFError, OSError):
                continue
            threading.Thread(target=self._serve, args=(connection,), name="control", daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        with contextlib.closing(connection), contextlib.suppress(EOFError, OSError, AuthenticationError):
            deliver_challenge(connection, self._key)
            answer_challenge(connection, self._key)
            while not self._closing.is_set():
                try:
                    request = json.loads(connection.recv_bytes(_MAX_REQUEST))
                    method, params = str(request["method"]), dict(request.get("params") or {})
                except (ValueError, KeyError, TypeError, AttributeError):
                    return
                frames = _Frames()
                self._under_way[frames] = method
                try:
                    if not self._closing.is_set():
                        self._answer(connection, frames, method, params)
                finally:
                    del self._under_way[frames]
                    frames.close()

    def _answer(self, connection: Connection, frames: _Frames, method: str, params: dict[str, Any]) -> None:
        import msgspec  # noqa: PLC0415 - clients do without it

        async def run() -> None:
            try:
                result = await self._handler(method, params, lambda event: frames.put("event", event))
                frames.put("result", result)
            except errors.SatchelError as error:
                frames.put("error", error.to_dict())
            except asyncio.CancelledError:
                if not self._closing.is_set():  # else the client sees that the engine went away
                    frames.put("error", errors.CancelledError("Cancelled").to_dict())
                raise
            except Exception as error:
                log.exception("%s ran into a bug", method)
                frames.put("error", errors.EngineError("Satchel ran into a bug", repr(error)).to_dict())
                raise
            finally:
                frames.ended.set()

        running = frames.running = asyncio.run_coroutine_threadsafe(run(), self._loop)
        try:
            while not self._closing.is_set():
                for kind, value in frames.taken(connection):
                    connection.send_bytes(_encoded(msgspec.to_builtins({kind: value})))
                    if kind != "event":
                        return
        finally:
            running.cancel()
            # What is cancelled may have to tidy up, and counts as under way until then.
            frames.ended.wait(timeout=15)


class _Frames:
    """The answer to one request: put by the engine's loop, taken by the thread of the connection.

    That thread has to hear of its client as well, who may hang up, and a queue cannot be waited for together with a
    connection: so a pipe rings for it, and nobody has to look at either from time to time. `ended` tells that nothing
    of the request runs on the loop any more.
    """

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
        self._bell, self._rope = Pipe(duplex=False)
        self._lock = threading.Lock()  # of the pipe, which several threads ring and one closes
        self._rung = False
        self.running: Future[None] | None = None
        self.ended = threading.Event()

    def put(self, kind: str, value: Any) -> None:
        self._queue.put((kind, value))
        self._ring()

    def taken(self, connection: Connection) -> list[tuple[str, Any]]:
        """All there is by now; waits while there is nothing. Raises `EOFError` when the client hung up."""
        ready = wait((connection, self._bell))
        if connection in ready and not _still_there(connection):
            raise EOFError
        if self._bell in ready:
            self._bell.recv_bytes()
            with self._lock:
                self._rung = False
        return [self._queue.get() for _ in range(self._queue.qsize())]

    def cut_off(self) -> None:
        """From another thread: the connection's own may be held up by a client who does not read."""
        self._ring()
        if self.running is not None:
            self.running.cancel()

    def close(self) -> None:
        with self._lock:
            self._bell.close()
            self._rope.close()
        self.ended.set()

    def _ring(self) -> None:
        """Never blocks: what has rung does not ring again before it is heard."""
        with self._lock:
            if not self._rung and not self._rope.closed:
                self._rope.send_bytes(b"!")
                self._rung = True


class EngineClient:
    """A face's line to the engine of a home.

    `call` and `stream` may be used from any thread; each stream has a connection of its own.
    """

    def __init__(self, home: Path) -> None:
        """Raises `EngineError` when no engine answers for `home`."""
        self._home = home
        self._connect().close()

    def close(self) -> None:
        """Done with the engine. Ends it when it was started for this line (see `host.connect`)."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, method: str, /, **params: Any) -> Any:
        """The result of a command as plain JSON values. Raises the `SatchelError` that the engine answered with."""
        for kind, value in self.stream(method, **params):
            if kind == "result":
                return value
        raise errors.EngineError("The engine went away", "Start Satchel again.")

    def stream(self, method: str, /, **params: Any) -> Iterator[tuple[str, Any]]:
        """`("event", value)` any number of times, then `("result", value)`. Closing the iterator cancels."""
        with contextlib.closing(self._connect()) as connection:
            try:
                connection.send_bytes(_encoded({"method": method, "params": params}))
                while True:
                    frame = json.loads(connection.recv_bytes())
                    if "error" in frame:
                        raise errors.from_dict(frame["error"])
                    kind = "result" if "result" in frame else "event"
                    yield kind, frame[kind]
                    if kind == "result":
                        return
            except (EOFError, OSError) as gone:
                raise errors.EngineError("The engine went away", "Start Satchel again.") from gone

    def _connect(self) -> Connection:
        try:
            found = json.loads((self._home / _RENDEZVOUS).read_bytes())
            return Client(found["address"], authkey=bytes.fromhex(found["key"]))
        except (OSError, EOFError, ValueError, KeyError, AuthenticationError) as error:
            raise errors.EngineError("No engine is running", f"Nothing answers for {self._home}.") from error


def _encoded(value: Any) -> bytes:
    # ASCII only: paths of Linux may hold bytes that are no text, which Python shows as lone surrogates.
    return json.dumps(value).encode()


def _still_there(connection: Connection) -> bool:
    """False at end of file; a client that talks out of turn is hung up on too."""
    with contextlib.suppress(EOFError, OSError):
        connection.recv_bytes()
    return False


def _address(home: Path) -> str:
    """Short, because a Unix socket's path may have 104 bytes only and a home may lie deep."""
    name = hashlib.sha256(os.fsencode(home.resolve())).hexdigest()[:20]
    if sys.platform == "win32":
        return rf"\\.\pipe\satchel-{name}"
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
    folder = base / f"satchel-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    owner = folder.lstat()
    if owner.st_uid != os.getuid() or owner.st_mode & 0o077 or folder.is_symlink():
        raise errors.EngineError(
            "The engine's socket folder is not safe", f"Remove {folder}: others can reach into it.", path=str(folder)
        )
    return str(folder / f"{name}.sock")
