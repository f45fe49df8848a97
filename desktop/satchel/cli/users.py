"""`satchel user ...`: who may use a deployment, for its administrator."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from satchel.core.errors import UsageError
from satchel.hosting import local, users
from satchel.hosting.aws import Aws
from satchel.hosting.users import Directory, User

from .output import Output, size_text

_COLUMNS = "{:<40} {:<8} {:>8} {:>9}  {}"


def run(options: argparse.Namespace, out: Output) -> None:
    """Raises the `SatchelError` family."""
    directory = _directory(options)
    if options.action == "list":
        _list(directory, out)
    elif options.action == "add":
        _add(directory, options, out)
    else:
        email = options.email.strip()
        if options.action == "quota":
            found = users.set_quota(directory, email, options.size)
        else:
            found = (users.disable if options.action == "disable" else users.enable)(directory, email)
        out.document(found)
        out.line(_row(found))


def _directory(options: argparse.Namespace) -> Directory:
    name, aws, site = deployment(options)
    return Directory.of(name, aws, site)


def deployment(options: argparse.Namespace) -> tuple[str, Aws, str | None]:
    """The stack that the options name, the way to it, and its site where that is not what the stack says."""
    if options.local:
        state = Path(options.state).absolute() if options.state else None
        found = local.status(state)
        if found.site is not None and not found.running:
            raise UsageError("The local cloud is not running", "Start it with `satchel local up`.")
        return local.STACK, local.administrator(state), found.site
    if options.state:
        raise UsageError("--state is for --local only", "A deployment in AWS is named by --stack and --region.")
    return options.stack, Aws(options.region, options.profile), None


def _list(directory: Directory, out: Output) -> None:
    """One account a line, also under `--json`: there may be thousands."""
    out.line(_COLUMNS.format("E-MAIL", "STATUS", "KEEPS", "MAY KEEP", "LAST CHANGE"))
    for user in users.everyone(directory):
        out.document(user)
        out.line(_row(user))


def _add(directory: Directory, options: argparse.Namespace, out: Output) -> None:
    password = None
    if options.password_stdin:
        password = sys.stdin.readline().rstrip("\r\n")
        if not password:
            raise UsageError("There is no password on standard input", "It was to be its first line.")
    if password is not None and options.again:
        raise UsageError("--again is for invitations", "Leave out --password-stdin, or --again.")
    added = users.add(
        directory,
        options.email.strip(),
        mail=not options.no_mail,
        again=options.again,
        password=password,
        quota_bytes=options.quota,
    )
    out.document(added)
    if added.invited_by_mail:
        out.line(f"{added.email} was sent a temporary password by mail, good for 7 days.")
    elif added.temporary_password is not None:
        out.line(f"Temporary password, good for 7 days: {added.temporary_password}")
    # Cognito's mail does not know where the site is.
    out.line(f"They sign in at {added.site} with {added.email}: in the app, or")
    out.line(f"  satchel login {added.site} --email {added.email}")


def _row(user: User) -> str:
    quota = "default" if user.quota_bytes is None else size_text(user.quota_bytes) if user.quota_bytes else "no limit"
    changed = user.last_change_ms
    when = "-" if changed is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(changed / 1000))
    return _COLUMNS.format(user.email, user.status, size_text(user.used_bytes), quota, when)
