"""What each command does, mostly: ask the engine, print its answer."""

from __future__ import annotations

import argparse
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from satchel.core.errors import EXIT_DONE, EXIT_FAILED, UsageError

from .output import Output, clean, size_text


def run(options: argparse.Namespace, out: Output) -> int:
    """The exit code. Raises the `SatchelError` family."""
    if options.command in ("app", None):
        return _app()
    if options.command in ("demo", "local", "deploy", "destroy", "replay", "user"):
        from . import hosting  # noqa: PLC0415 - boto3 and all that

        return hosting.run(options, out)
    from satchel.engine.home import home_folder  # noqa: PLC0415 - not for --help
    from satchel.engine.host import connect  # noqa: PLC0415

    resident = options.command == "sync" and not options.once
    with connect(home_folder(), resident=resident) as engine:
        return int(_COMMANDS[options.command](engine, options, out))


def _app() -> int:
    import subprocess  # noqa: PLC0415

    from satchel.core.ports import has_display  # noqa: PLC0415 - not for --help

    if not has_display():
        raise UsageError("There is no display for the window", "Use the commands instead: satchel --help")
    return subprocess.run([sys.executable, "-m", "satchel.app.main"], check=False).returncode


def _put(engine: Any, options: argparse.Namespace, out: Output) -> int:
    paths = [str(Path(path).absolute()) for path in options.paths]
    asked = {"paths": paths, "to": options.to, "link": options.link, "wait": True, "patient": False}
    result, printed = _streamed(engine, out, "drop", asked)
    for url in result["links"]:
        if url not in printed and options.link:
            out.line(url)
    failed = [item for item in result["items"] if item["error"]]
    for item in failed:
        out.line(f"satchel: {clean(item['path'])}: {clean(item['error'])}", err=True)
    if not options.link:
        for item in result["items"]:
            if not item["error"]:
                out.line(clean(item["remote_path"] or ""))
    out.document(result)
    return EXIT_FAILED if failed else EXIT_DONE


def _get(engine: Any, options: argparse.Namespace, out: Output) -> int:
    dest = str(Path(options.output or ".").absolute())
    result, _ = _streamed(engine, out, "get", {"source": options.source, "dest": dest, "force": options.force})
    out.line(clean(result["path"]))
    out.document(result)
    return EXIT_DONE


def _streamed(engine: Any, out: Output, method: str, params: dict[str, Any]) -> tuple[Any, set[str]]:
    """The result, and the links that were printed already."""
    printed: set[str] = set()
    with out.bar() as bar, closing(engine.stream(method, **params)) as events:
        for kind, value in events:
            if kind == "result":
                return value, printed
            bar.row(value)
            url = value.get("link_url")
            if url and url not in printed:
                printed.add(url)
                out.line(url)
    raise UsageError("The engine did not answer", "Try again.")


def _ls(engine: Any, options: argparse.Namespace, out: Output) -> int:
    nodes = engine.call("ls", path=options.path)
    out.document(nodes)
    for node in nodes:
        size = size_text(node["revision"]["size"]) if node.get("revision") else ""
        out.line(f"{size:>8}  {clean(node['name'])}{'/' if node['kind'] == 'folder' else ''}")
    return EXIT_DONE


def _mkdir(engine: Any, options: argparse.Namespace, out: Output) -> int:
    out.document(engine.call("mkdir", path=options.path))
    return EXIT_DONE


def _mv(engine: Any, options: argparse.Namespace, out: Output) -> int:
    out.document(engine.call("mv", source=options.source, dest=options.dest))
    return EXIT_DONE


def _rm(engine: Any, options: argparse.Namespace, out: Output) -> int:
    engine.call("rm", path=options.path)
    out.document({"removed": options.path})
    return EXIT_DONE


def _link(engine: Any, options: argparse.Namespace, out: Output) -> int:
    if options.what == "list" and options.token is None:
        links = engine.call("link_list")
        out.document(links)
        for link in links:
            where = link["url"] or f"{link['link_id']} (its address is known where it was made)"
            out.line(f"{link['state']:<8} {link['downloads']:>5} downloads  {clean(link['name'])}  {where}")
        return EXIT_DONE
    if options.what == "revoke":
        if options.token is None:
            raise UsageError("Which link?", "Say `satchel link revoke TOKEN`.")
        engine.call("link_revoke", token=options.token)
        out.document({"revoked": options.token})
        return EXIT_DONE
    if options.token is not None:
        raise UsageError(f"“{options.token}” is one word too many", "Say `satchel link PATH`.")
    expires = None
    if options.expires is not None:
        import time  # noqa: PLC0415

        expires = int(time.time() * 1000) + options.expires
    link = engine.call("link_create", path=options.what, expires_ms=expires)
    out.document(link)
    out.line(link["url"])
    return EXIT_DONE


_ARROWS = {"upload-only": "->", "two-way": "<->"}
_MODES = {"upload-only": "Upload only", "two-way": "Two-way"}


def _root(engine: Any, options: argparse.Namespace, out: Output) -> int:
    if options.action == "list":
        rows = engine.call("root_list")
        out.document(rows)
        for row in rows:
            out.line(f"{clean(row['path'])} {_ARROWS[row['mode']]} {clean(row['remote_path'])}")
            for path in row["left_out"]:
                out.line(f"  not on this computer: {clean(path)}")
    elif options.action == "add":
        row = engine.call(
            "root_add",
            dir=str(Path(options.dir).absolute()),
            to=options.to,
            two_way=options.two_way,
            left_out=[path.strip("/") for path in options.leave_out],
        )
        out.document(row)
        out.line(f"{clean(row['path'])} is kept in step with {clean(row['remote_path'])} while Satchel runs.")
    elif options.action in ("leave-out", "take-in"):
        path = str(Path(options.dir).absolute())
        row = engine.call("root_leave_out" if options.action == "leave-out" else "root_take_in", path=path)
        out.document(row)
        out.line(
            f"{clean(path)} is not kept on this computer any more."
            if options.action == "leave-out"
            else f"{clean(path)} comes back to this computer."
        )
    else:
        asked = _root_named(engine, options.dir)
        if options.action == "confirm":
            files = engine.call("root_confirm", root_id_or_dir=asked, files=options.files)["files"]
            out.document({"confirmed": options.dir, "files": files})
            out.line(f"{files} files of {clean(options.dir)} go to the trash.")
        else:
            engine.call("root_remove", root_id_or_dir=asked)
            out.document({"removed": options.dir})
    return EXIT_DONE


def _root_named(engine: Any, given: str) -> str:
    """A root's id, or the path of its folder: the engine may run in another folder than this command."""
    ids = {row["root_id"] for row in engine.call("root_list")}
    return given if given in ids else str(Path(given).absolute())


def _sync(engine: Any, options: argparse.Namespace, out: Output) -> int:
    if not options.once:
        engine.call("whoami")
        engine.call("root_list")  # refuses when nobody is signed in
    said = ""
    snapshot: dict[str, Any] = {}
    with closing(engine.stream("sync_once" if options.once else "watch")) as events:
        for kind, value in events:
            if "headline" not in value:
                continue
            snapshot = value
            out.document(value if kind == "result" or not options.once else {"status": value})
            if value["headline"] != said and kind != "result":
                said = value["headline"]
                out.line(clean(said), err=True)
    held = [held for root in snapshot.get("roots", ()) for held in root["held"]]
    for one in held:
        out.line(f"satchel: {clean(one['path'])}: {clean(one['reason'])}. {clean(one['remedy'])}", err=True)
    in_step = all(root["state"] == "in_step" for root in snapshot.get("roots", ()))
    out.line("Everything is in step." if in_step else "Not everything is in step.")
    return EXIT_DONE if in_step else EXIT_FAILED


def _verify(engine: Any, options: argparse.Namespace, out: Output) -> int:
    from satchel.engine.status import verified  # noqa: PLC0415 - not for other commands

    asked = {} if options.dir is None else {"root_id_or_dir": _root_named(engine, options.dir)}
    rows: list[dict[str, Any]] = []
    with out.steps() as steps, closing(engine.stream("verify", **asked)) as events:
        for kind, value in events:
            if kind == "result":
                rows = value
                continue
            out.document({"difference" if "what" in value else "progress": value})
            if "what" not in value:
                far = f"files of {value['path']}, {size_text(value['size'])} read"
                steps.far(far, value["files"], value["expected"])
            elif not out.json:
                where = clean("/".join(filter(None, (value["root"], value["path"]))))
                steps.say(f"{where}: {clean(value['reason'])}. {clean(value['remedy'])}")
    out.document(rows)
    for row in rows:
        out.line(f"{clean(row['path'])}: {verified(row['verified'], row['verified']['at_ms'])}")
        if row["waiting"] and not row["verified"]["ok"]:
            out.line(f"  {row['waiting']} wait to be brought in step: verify again after that")
    return EXIT_DONE if all(row["verified"]["ok"] for row in rows) else EXIT_FAILED


def _status(engine: Any, options: argparse.Namespace, out: Output) -> int:
    del options
    import time  # noqa: PLC0415

    found = engine.call("status")
    out.document(found)
    now_ms = int(time.time() * 1000)
    out.line(clean(found["headline"]))
    if found["account"]["state"] == "signed_in":
        out.line(_who(found["account"]))
    for root in found["roots"]:
        state = root["state"].replace("_", " ")
        waiting = f", {root['waiting']:,} waiting" if root["waiting"] else ""
        out.line(f"{clean(root['path'])} {_ARROWS[root['mode']]} {clean(root['remote_path'])}: {state}{waiting}")
        out.line(f"  {_MODES[root['mode']]}. {', '.join(_looks(root, now_ms))}.")
        for held in root["held"]:
            out.line(f"  {clean(held['path'])}: {clean(held['reason'])}. {clean(held['remedy'])}")
    for row in found["transfers"]:
        if row["state"] not in ("done", "cancelled"):
            out.line(f"{clean(row['name'])}: {clean(row['message'] or row['state'])}")
    for notice in found["notices"]:
        out.line(f"{notice['title']}. {notice['detail']}")
    return EXIT_DONE


def _looks(root: dict[str, Any], now_ms: int) -> list[str]:
    """When all of a root was looked at last, and when every byte."""
    from satchel.engine.status import verified, when  # noqa: PLC0415 - not for other commands

    scan, found = root["last_full_scan_ms"], root["verified"]
    return [
        f"Looked through whole {when(scan, now_ms)}" if scan is not None else "Not looked through whole yet",
        verified(found, now_ms).replace("V", "v", 1)
        if found
        else "never verified: `satchel verify` compares every byte",
    ]


def _limit(engine: Any, options: argparse.Namespace, out: Output) -> int:
    asked = {"upload_limit": options.up, "download_limit": options.down}
    values = {name: value for name, value in asked.items() if value is not None}
    settings = engine.call("settings_set", **values) if values else engine.call("settings_get")
    out.document({name: settings[name] for name in asked})
    for word, name in (("up", "upload_limit"), ("down", "download_limit")):
        rate = settings[name]
        out.line(f"{word:<5} {f'{size_text(rate)} a second' if rate else 'no limit'}")
    return EXIT_DONE


def _diagnose(engine: Any, options: argparse.Namespace, out: Output) -> int:
    result = engine.call("diagnose", dest=str(Path(options.output or "satchel-diagnose.zip").absolute()))
    out.document(result)
    out.line(result["path"])
    return EXIT_DONE


def _login(engine: Any, options: argparse.Namespace, out: Output) -> int:
    lines = iter(sys.stdin.readline, "") if options.password_stdin else iter(())
    password = _secret("Password: ", lines, options.password_stdin)
    asked = {"site": options.site, "email": options.email, "password": password}
    result = engine.call("login", **asked)
    if result["outcome"] == "new_password_required":
        new = _secret("This account wants a new password: ", lines, options.password_stdin)
        result = engine.call("login", new_password=new, **asked)
    account = result["account"]
    out.document(account)
    out.line(_who(account))
    if not account["remembered"]:
        out.line(
            "satchel: there is no keyring to keep you signed in, so this ends with the engine. Unlock or install a "
            "keyring, keep Satchel running, or set SATCHEL_PASSWORD_FILE.",
            err=True,
        )
    return EXIT_DONE


def _secret(prompt: str, lines: Any, from_stdin: bool) -> str:
    if not from_stdin:
        import getpass  # noqa: PLC0415

        if not sys.stdin.isatty():
            raise UsageError("There is nobody to ask for the password", "Use --password-stdin.")
        return getpass.getpass(prompt)
    line = str(next(lines, "")).rstrip("\r\n")
    if not line:
        raise UsageError("There is no password on standard input", f"It was to be: {prompt.rstrip(': ').lower()}.")
    return line


def _logout(engine: Any, options: argparse.Namespace, out: Output) -> int:
    del options
    engine.call("logout")
    out.document({"state": "signed_out"})
    out.line("Signed out.")
    return EXIT_DONE


def _whoami(engine: Any, options: argparse.Namespace, out: Output) -> int:
    del options
    account = engine.call("whoami")
    if account["state"] != "signed_in":
        from satchel.core.errors import NotSignedInError  # noqa: PLC0415

        raise NotSignedInError("Nobody is signed in", "Sign in first: satchel login SITE --email YOU")
    out.document(account)
    out.line(_who(account))
    return EXIT_DONE


def _who(account: dict[str, Any]) -> str:
    quota = account["quota_bytes"]
    used = f"{size_text(account['used_bytes'])}" + (f" of {size_text(quota)}" if quota is not None else "")
    return f"{account['email']} at {account['site']}, {used} used"


_COMMANDS = {
    "put": _put, "get": _get, "ls": _ls, "mkdir": _mkdir, "mv": _mv, "rm": _rm, "link": _link, "root": _root,
    "sync": _sync, "verify": _verify, "status": _status, "limit": _limit, "diagnose": _diagnose, "login": _login,
    "logout": _logout, "whoami": _whoami,
}  # fmt: skip
