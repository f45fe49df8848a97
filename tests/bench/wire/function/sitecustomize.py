"""Python's first step in a deployed function that keeps its content in the benchmark's S3 server.

That server knows no session of a role, and a function's settings may not name the key that it gets: they name another,
which both clouds know, and it takes the session's place here. And where the client is far from S3, the service is not:
it signs for the address that the client uses, and goes to that server the short way. Not a line of the service's code
is another for either.
"""

import os
import socket
from typing import Any

if "BENCH_ACCESS_KEY" in os.environ:
    os.environ["AWS_ACCESS_KEY_ID"] = os.environ["BENCH_ACCESS_KEY"]
    os.environ["AWS_SECRET_ACCESS_KEY"] = os.environ["BENCH_SECRET_KEY"]
    os.environ.pop("AWS_SESSION_TOKEN", None)

    _far, _near = int(os.environ["BENCH_FAR_PORT"]), int(os.environ["BENCH_NEAR_PORT"])
    _look_up = socket.getaddrinfo

    def _the_short_way(host: Any, port: Any, *words: Any, **options: Any) -> Any:
        return _look_up(host, _near if port == _far else port, *words, **options)

    socket.getaddrinfo = _the_short_way
