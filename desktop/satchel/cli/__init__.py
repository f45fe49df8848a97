"""`satchel ...`: the engine's second face. Nothing heavy is imported before it is known to be needed."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from types import FrameType

from satchel.core.errors import EXIT_FAILED, SatchelError

from .output import Output
from .parser import make_parser

INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit code: 0 done, 1 failed, 2 usage, 3 not signed in, 4 offline."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if arguments is None:
        # A service manager's goodbye: end cleanly, and go on at the next start.
        signal.signal(signal.SIGTERM, _terminated)
    out = Output(json="--json" in given)
    try:
        options = make_parser().parse_args(given)
        out.json = options.json  # a file may be called --json
        from . import commands  # noqa: PLC0415 - not for --help

        return commands.run(options, out)
    except SatchelError as error:
        out.error(error)
        return error.exit_code
    except KeyboardInterrupt:
        out.line("", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has had enough.
        sys.stderr.close()
        return EXIT_FAILED


def _terminated(number: int, _: FrameType | None) -> None:
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
