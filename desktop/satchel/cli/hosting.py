"""The commands that stand up a cloud: on this machine, or in AWS."""

from __future__ import annotations

import argparse
from pathlib import Path

from satchel.core.errors import EXIT_DONE
from satchel.hosting import demo, deploy, destroy, local

from . import users
from .output import Output


def run(options: argparse.Namespace, out: Output) -> int:
    """The exit code. Raises the `SatchelError` family."""

    def report(line: str) -> None:
        # What it says on the way is the demo's output, and an aside to the others' result.
        out.document({"step": line})
        if not out.json:
            out.line(line, err=options.command != "demo")

    if options.command == "demo":
        return demo.run(headless=options.headless, report=report)
    if options.command == "deploy":
        made = deploy.deploy(
            options.stack,
            region=options.region,
            profile=options.profile,
            parameters=dict(options.parameter),
            report=report,
        )
        out.document(made)
        out.line(made.site)
    elif options.command == "destroy":
        destroy.destroy(
            options.stack, region=options.region, profile=options.profile, erase=options.erase, report=report
        )
        out.document({"destroyed": options.stack})
    elif options.command == "user":
        users.run(options, out)
    else:
        _local(options, out, report)
    return EXIT_DONE


def _local(options: argparse.Namespace, out: Output, report: object) -> None:
    state = Path(options.state).absolute() if options.state else None
    if options.action == "up":
        found = local.up(state, options.port, report)  # type: ignore[arg-type] # a Report
    elif options.action == "down":
        local.down(state, report)  # type: ignore[arg-type] # as above
        found = local.status(state)
    else:
        found = local.status(state)
    out.document(found)
    out.line(f"running at {found.site}" if found.running else "not running")
