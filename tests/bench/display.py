"""A display of the bench's own, so that nothing flickers on anybody's screen and every run is alike."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from .measure import BenchError


@contextmanager
def xvfb() -> Iterator[str]:
    """The name of a fresh X display, such as `:7`."""
    program = shutil.which("Xvfb")
    if program is None:
        raise BenchError("Xvfb is not installed (`.ci/system-packages test` installs it)")
    readable, writable = os.pipe()
    server = subprocess.Popen(
        [program, "-displayfd", str(writable), "-screen", "0", "1280x900x24", "-nolisten", "tcp"],
        pass_fds=[writable],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(writable)
    try:
        with os.fdopen(readable) as told:
            number = told.readline().strip()
        if not number:
            raise BenchError("Xvfb did not start")
        yield f":{number}"
    finally:
        server.terminate()
        server.wait(10)
