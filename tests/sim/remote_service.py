"""A service in one process for an uploader in another: method calls over a loopback socket."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from multiprocessing.connection import Client, Connection, Listener
from typing import Any

SLOWEST_S = 0.03
"""An answer is this late at most: long enough for a process to die between what was done and hearing of it."""


class Served:
    """Answers for `service` until it is closed."""

    def __init__(self, service: Any, seed: int) -> None:
        self._service = service
        self._random = random.Random(seed)
        self._listener = Listener(("127.0.0.1", 0))
        self.port = int(self._listener.address[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._answer, args=(self._listener.accept(),), daemon=True).start()

    def _answer(self, caller: Connection) -> None:
        # EOFError, OSError: the caller was killed.
        with contextlib.suppress(EOFError, OSError), caller:
            while True:
                method, given, named = caller.recv()
                try:
                    answer = True, getattr(self._service, method)(*given, **named)
                except Exception as error:
                    answer = False, (type(error), error.args, error.__dict__)
                time.sleep(self._random.uniform(0, SLOWEST_S))
                caller.send(answer)


class RemoteService:
    """An `UploadService`: every thread has a connection of its own."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._mine = threading.local()

    def __getattr__(self, method: str) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            if not hasattr(self._mine, "connection"):
                self._mine.connection = Client(("127.0.0.1", self._port))
            self._mine.connection.send((method, given, named))
            done, answer = self._mine.connection.recv()
            if done:
                return answer
            kind, words, rest = answer
            error = kind.__new__(kind)
            error.args = words
            error.__dict__.update(rest)
            raise error

        return call
