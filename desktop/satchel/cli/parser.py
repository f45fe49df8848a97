"""What can be typed after `satchel`."""

from __future__ import annotations

import argparse
import re
from typing import NoReturn

from satchel import __version__
from satchel.core.errors import UsageError


class Parser(argparse.ArgumentParser):
    """Raises what it has to say, so that it is told as everything else is: in words, or as JSON."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(message[:1].upper() + message[1:], f"`{self.prog} --help` tells what can be typed.")


def make_parser() -> argparse.ArgumentParser:
    """Every command takes `--json`, before or after its name."""
    both = Parser(add_help=False)
    both.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON, one document a line")
    parser = Parser(
        prog="satchel",
        description="Drop a file, get a link; keep a folder in step. Without a command, the window opens.",
        epilog="Exit codes: 0 done, 1 failed, 2 usage, 3 not signed in, 4 offline. SATCHEL_HOME moves all it keeps.",
    )
    parser.add_argument("--version", action="version", version=f"satchel {__version__}")
    parser.add_argument("--json", action="store_true", default=False, help="print JSON, one document a line")
    parser.set_defaults(command="app")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")

    def add(name: str, text: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=text, description=text, parents=[both])

    _sharing(add)
    _folders(add, both)
    _account(add)
    _hosting(add, both)
    return parser


def _sharing(add) -> None:  # type: ignore[no-untyped-def] # argparse's own makers
    put = add("put", "Send files and folders")
    put.add_argument("paths", nargs="+", metavar="PATH")
    put.add_argument("--to", metavar="FOLDER", help="remote folder, made when missing (else /Drops)")
    put.add_argument("--link", action="store_true", help="print a share link for each")
    get = add("get", "Fetch a file or folder, by its path or a link")
    get.add_argument("source", metavar="LINK-or-PATH")
    get.add_argument("-o", "--output", metavar="DEST", help="file or folder to write (else here)")
    get.add_argument("-f", "--force", action="store_true", help="replace what is there")
    ls = add("ls", "List a remote folder")
    ls.add_argument("path", nargs="?", default="/", metavar="PATH")
    add("mkdir", "Make a remote folder").add_argument("path", metavar="PATH")
    mv = add("mv", "Rename or move in the account")
    mv.add_argument("source", metavar="PATH")
    mv.add_argument("dest", metavar="DEST")
    add("rm", "Put into the account's trash").add_argument("path", metavar="PATH")
    link = add("link", "Make a link: `link PATH`; `link list`; `link revoke TOKEN`")
    link.add_argument("what", metavar="PATH | list | revoke")
    link.add_argument("token", nargs="?", metavar="TOKEN")
    link.add_argument("--expires", type=_duration, metavar="TIME", help="how long it lives: 30m, 12h, 7d")


def _folders(add, both) -> None:  # type: ignore[no-untyped-def] # as above
    root = add("root", "Folders of this computer that are kept in step").add_subparsers(
        dest="action", metavar="ACTION", required=True
    )
    new = root.add_parser("add", help="keep a folder in step", parents=[both])
    new.add_argument("dir", metavar="DIR")
    new.add_argument("--to", metavar="FOLDER", help="remote folder (else one of the same name)")
    new.add_argument(
        "--two-way",
        action="store_true",
        help="bring what other computers put there to this one, too (else only upload)",
    )
    new.add_argument(
        "--leave-out",
        action="append",
        default=[],
        metavar="PATH",
        help="two-way: do not bring this file or folder of the remote folder here; may be given again",
    )
    root.add_parser("list", help="list them", parents=[both])
    root.add_parser("remove", help="stop keeping it in step; no file is touched", parents=[both]).add_argument(
        "dir", metavar="DIR"
    )
    for action, words in (
        ("leave-out", "keep it online and on other computers, but not on this one"),
        ("take-in", "have on this computer again what was left out"),
    ):
        root.add_parser(action, help=words, parents=[both]).add_argument(
            "dir", metavar="PATH", help="where it is, or would be, in a two-way folder"
        )
    sure = root.add_parser("confirm", help="delete what is gone on the other side, though it is much", parents=[both])
    sure.add_argument("dir", metavar="DIR")
    sure.add_argument("--files", type=_amount, metavar="N", help="only if it is so many files")
    add("sync", "Keep the folders in step").add_argument("--once", action="store_true", help="until they are, then end")
    check = add("verify", "Compare every byte of the folders with what the service has, and change nothing")
    check.add_argument("dir", nargs="?", metavar="DIR", help="this folder only (else all)")
    add("status", "Say what is going on")
    limit = add("limit", "Say, or set, how fast bytes may go, for this computer and from now on")
    for way, words in (("--up", "sending"), ("--down", "fetching")):
        limit.add_argument(way, type=_rate, metavar="SIZE", help=f"{words}: 500kB or 2.5MB a second; none, or off")
    add("diagnose", "Write a bundle for whoever helps, without names or secrets").add_argument(
        "-o", "--output", metavar="FILE"
    )


def _account(add) -> None:  # type: ignore[no-untyped-def] # as above
    login = add("login", "Sign in")
    login.add_argument("site", metavar="SITE")
    login.add_argument("--email", required=True, metavar="E")
    login.add_argument("--password-stdin", action="store_true", help="read the password's line from standard input")
    add("logout", "Sign out")
    add("whoami", "Say who is signed in")


def _hosting(add, both) -> None:  # type: ignore[no-untyped-def] # as above
    demo = add("demo", "Try everything on this computer alone")
    demo.add_argument("--headless", action="store_true", help="without the window")
    local = add("local", "A cloud of your own on this computer").add_subparsers(
        dest="action", metavar="ACTION", required=True
    )
    for name, text in (("up", "start it"), ("down", "stop it"), ("status", "say how it is")):
        one = local.add_parser(name, help=text, parents=[both])
        one.add_argument("--state", metavar="DIR", help="where it keeps everything")
        if name == "up":
            one.add_argument("--port", type=int, metavar="N", help="the site's port")
    for name, text in (("deploy", "Create or update the service in AWS"), ("destroy", "Delete it from AWS")):
        one = add(name, text)
        what = one.add_mutually_exclusive_group(required=True)
        what.add_argument("--stack", metavar="NAME")
        if name == "deploy":
            what.add_argument("--print-cost", action="store_true", help="explain what it costs, and change nothing")
        one.add_argument("--region", metavar="REGION")
        one.add_argument("--profile", metavar="NAME")
        if name == "deploy":
            one.add_argument("--parameter", action="append", default=[], type=_pair, metavar="KEY=VALUE")
            for of, kind, words in (
                ("--users", _amount, "people with a running client"),
                ("--uploads", _amount, "files sent in a month"),
                ("--downloads", _amount, "files fetched in a month"),
                ("--stored-gb", _gigabytes, "gigabytes kept"),
                ("--file-mb", _gigabytes, "megabytes of a usual file, 10 unless given"),
            ):
                one.add_argument(of, type=kind, metavar="N", help=f"with --print-cost: {words}")
        else:
            one.add_argument("--erase", metavar="NAME", help="the stack's name again, to delete what users keep")
    _users(add, both)
    again = add("replay", "Give uploads that could not be finished another try, for the administrator")
    _deployment(again)
    again.add_argument("--dry-run", action="store_true", help="only say which there are")


def _users(add, both) -> None:  # type: ignore[no-untyped-def] # as above
    actions = add("user", "Who may use the service, for its administrator").add_subparsers(
        dest="action", metavar="ACTION", required=True
    )
    for name, text in (
        ("add", "make an account and invite its person"),
        ("list", "all accounts, what they keep and may keep"),
        ("disable", "refuse everything from now on; nothing is deleted"),
        ("enable", "undo disable"),
        ("quota", "say how much one account may keep"),
    ):
        one = actions.add_parser(name, help=text, description=text, parents=[both])
        _deployment(one)
        if name != "list":
            one.add_argument("--email", required=True, metavar="E")
        if name == "add":
            one.add_argument("--quota", type=_size, metavar="SIZE", help="how much it may keep: 500MB, 20GB, none")
            one.add_argument("--no-mail", action="store_true", help="print the temporary password, mail nothing")
            one.add_argument("--password-stdin", action="store_true", help="read a lasting password's line from input")
            one.add_argument("--again", action="store_true", help="a new invitation for one who has not signed in yet")
        if name == "quota":
            one.add_argument("size", type=_own_size, metavar="SIZE", help="500MB, 20GB, none, or default: everybody's")


def _deployment(one: argparse.ArgumentParser) -> None:
    """Which deployment an administrator's command is about."""
    where = one.add_mutually_exclusive_group(required=True)
    where.add_argument("--stack", metavar="NAME", help="the deployment in AWS")
    where.add_argument("--local", action="store_true", help="the local cloud")
    one.add_argument("--state", metavar="DIR", help="where the local cloud keeps everything")
    one.add_argument("--region", metavar="REGION")
    one.add_argument("--profile", metavar="NAME")


def _duration(text: str) -> int:
    """Milliseconds of `30m`, `12h` or `7d`."""
    found = re.fullmatch(r"([1-9][0-9]{0,5})([mhd])", text)
    if not found:
        raise argparse.ArgumentTypeError("a time looks like 30m, 12h or 7d")
    return int(found[1]) * {"m": 60_000, "h": 3_600_000, "d": 86_400_000}[found[2]]


def _size(text: str) -> int:
    """Bytes of `500MB` or `20 GB` (steps of 1,000) or `1GiB` (steps of 1,024); `none`, no limit, is 0."""
    if text.lower() == "none":
        return 0
    size = _bytes(text)
    if not size:
        raise argparse.ArgumentTypeError("a size looks like 500MB, 20GB, 1TB or none")
    return size


def _rate(text: str) -> int:
    """Bytes a second, typed as a size with or without `/s`; `none` or `off`, no limit, is 0."""
    if text.lower() in ("none", "off"):
        return 0
    rate = _bytes(text.removesuffix("/s"))
    if not rate:
        raise argparse.ArgumentTypeError("a limit looks like 500kB or 2.5MB, which are bytes a second, or none")
    return rate


def _bytes(text: str) -> int:
    """0 for what is no size."""
    found = re.fullmatch(r"([0-9]{1,15}(?:\.[0-9]{1,3})?) ?([kmgt]?)(i?)b?", text.lower())
    size = 0 if not found else round(float(found[1]) * (1024 if found[3] else 1000) ** " kmgt".index(found[2] or " "))
    return size if size < 10**16 else 0


def _amount(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,12}", text):
        raise argparse.ArgumentTypeError("a whole number, please")
    return int(text)


def _gigabytes(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,12}(\.[0-9]+)?", text):
        raise argparse.ArgumentTypeError("a number such as 20 or 0.5, please")
    return float(text)


def _own_size(text: str) -> int | None:
    return None if text.lower() == "default" else _size(text)


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise argparse.ArgumentTypeError("a parameter looks like KEY=VALUE")
    return key, value
