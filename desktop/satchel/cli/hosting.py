"""The commands that stand up a cloud: on this machine, or in AWS."""

from __future__ import annotations

import argparse
from pathlib import Path

from satchel.core.errors import EXIT_DONE
from satchel.hosting import demo, deploy, destroy, local, replay
from satchel.hosting.local import LocalStatus

from . import costs, users
from .output import Output


def run(options: argparse.Namespace, out: Output) -> int:
    """The exit code. Raises the `SatchelError` family."""
    if options.command == "demo":
        return _demo(options, out)
    {"deploy": _deploy, "destroy": _destroy, "local": _local, "replay": _replay, "user": users.run}[options.command](
        options, out
    )
    return EXIT_DONE


def _demo(options: argparse.Namespace, out: Output) -> int:
    def report(line: str) -> None:
        # What it says on the way is all that it has to say.
        out.document({"step": line})
        out.line(line)

    return demo.run(headless=options.headless, report=report)


def _deploy(options: argparse.Namespace, out: Output) -> None:
    if options.print_cost:
        costs.explain(options, out)
        return
    with out.steps() as steps:
        made = deploy.deploy(
            options.stack,
            region=options.region,
            profile=options.profile,
            parameters=dict(options.parameter),
            report=steps.say,
        )
    out.document(made)
    out.line(made.site)


def _destroy(options: argparse.Namespace, out: Output) -> None:
    with out.steps() as steps:
        destroy.destroy(
            options.stack, region=options.region, profile=options.profile, erase=options.erase, report=steps.say
        )
    out.document({"destroyed": options.stack})


def _replay(options: argparse.Namespace, out: Output) -> None:
    """One message a line, also under `--json`."""
    name, aws, _ = users.deployment(options)
    count = 0
    for letter in replay.replay(name, aws, dry_run=options.dry_run):
        count += 1
        out.document(letter)
        uploads = f"upload {', '.join(letter.uploads)}" if letter.uploads else "not from S3"
        out.line(f"{letter.message_id}  {uploads}")
    verb = "waiting" if options.dry_run else "put back into the queue"
    out.line(f"{count or 'no'} message{'' if count == 1 else 's'} {verb}", err=True)


def _local(options: argparse.Namespace, out: Output) -> None:
    found = _local_action(options, out)
    out.document(found)
    out.line(f"running at {found.site}" if found.running else "not running")


def _local_action(options: argparse.Namespace, out: Output) -> LocalStatus:
    state = Path(options.state).absolute() if options.state else None
    with out.steps() as steps:
        if options.action == "up":
            return local.up(state, options.port, steps.say)
        if options.action == "down":
            local.down(state, steps.say)
    return local.status(state)
