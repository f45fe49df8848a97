"""The whole of Satchel's cloud on this machine: emulator, deployment and edge, kept in one state folder."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path

import msgspec

from satchel.core.errors import UsageError
from satchel.engine.home import write_private
from satchel.hosting import deploy, edge, emulator, stack
from satchel.hosting.aws import Aws, explained
from satchel.hosting.package import Payload, digest, payload
from satchel.hosting.process import HostingError, Service, exclusively
from satchel.hosting.report import Report, silent

STACK = "satchel"
SITE_PORT = 7424
"""Taken for the site when it is free; links carry the port, so it is kept from then on."""

_PYTHON = f"{sys.executable} {sys.version}".encode()
_LOCAL_PARAMETERS = {"RequireTls": "false", "JanitorSchedule": "rate(5 minutes)", "IngestDelaySeconds": "15"}


@dataclass(frozen=True, slots=True)
class LocalStatus:
    """`running` means that the site answers and the cloud behind it too. Ids are None before the first deployment."""

    state: str
    running: bool
    site: str | None = None
    endpoint: str | None = None
    region: str = emulator.REGION
    user_pool_id: str | None = None
    client_id: str | None = None
    cloud_pid: int | None = None
    edge_pid: int | None = None


@dataclass(frozen=True, slots=True)
class _Record:
    """What the state folder remembers. `deployed` is the fingerprint of what stands in the cloud."""

    key: tuple[str, str] = field(repr=False)
    site_port: int
    cloud_port: int
    deployed: str = ""
    outputs: dict[str, str] = field(default_factory=dict)
    programs: dict[str, str] = field(default_factory=dict)
    """Of what code the running processes were started, by their names."""


def default_state() -> Path:
    """Where the local cloud lives when nobody says otherwise."""
    import platformdirs  # noqa: PLC0415 - only when it is asked for

    return platformdirs.user_data_path("satchel", appauthor=False) / "local-cloud"


def up(
    state: Path | None = None,
    port: int | None = None,
    report: Report = silent,
    parameters: Mapping[str, str] | None = None,
) -> LocalStatus:
    """Bring everything up and return when the site answers; quick when it is up, or was before.

    `port` is the site's. Raises `HostingError`, or `UsageError` when the port is taken.
    """
    state = _prepared(state)
    with exclusively(state / "up.lock", lambda: report("waiting for another command that is at this local cloud")):
        record = _started(state, port, report)
        sent = payload()
        aws = _aws(record)
        given = _LOCAL_PARAMETERS | dict(parameters or {})
        wanted = _fingerprint(record, sent, given)
        with explained():
            found = stack.describe(aws, STACK)
        if found is None or record.deployed != wanted:
            made = deploy.deploy(STACK, aws=aws, parameters=given, site=_site(record), report=report, sent=sent)
            record = replace(record, deployed=wanted, outputs=made.outputs)
            _save(state, record)
        _write_edge(state, record)
        _renew(edge.service(state), record, lambda: edge.answers(record.site_port), report)
        if edge.service(state).pid() is None:
            environment = emulator.environment(state, record.cloud_port, record.key)
            config = str(state / "edge.json")
            edge.service(state).start([config], environment, lambda: edge.answers(record.site_port))
        record = replace(record, programs={one.name: _program(one) for one in _services(state)})
        _save(state, record)
        report(f"the site is at {_site(record)}")
    return status(state)


def down(state: Path | None = None, report: Report = silent) -> bool:
    """Stop everything; what was kept is there again at the next `up`. False when nothing ran."""
    state = _prepared(state)
    with exclusively(state / "up.lock", lambda: report("waiting for another command that is at this local cloud")):
        stopped_edge = edge.service(state).stop()
        stopped_cloud = emulator.service(state).stop()
    report("stopped" if stopped_edge or stopped_cloud else "nothing was running")
    return stopped_edge or stopped_cloud


def status(state: Path | None = None) -> LocalStatus:
    """What is up, without changing anything."""
    state = state or default_state()
    record = _load(state)
    if record is None:
        return LocalStatus(str(state), running=False)
    cloud_pid, edge_pid = emulator.service(state).pid(), edge.service(state).pid()
    return LocalStatus(
        state=str(state),
        running=bool(cloud_pid and edge_pid and emulator.healthy(record.cloud_port) and edge.answers(record.site_port)),
        site=_site(record),
        endpoint=f"http://127.0.0.1:{record.cloud_port}",
        user_pool_id=record.outputs.get("UserPoolId"),
        client_id=record.outputs.get("ClientId"),
        cloud_pid=cloud_pid,
        edge_pid=edge_pid,
    )


def erase(state: Path | None = None) -> None:
    """Stop everything and remove the state folder, with all that users kept in it."""
    state = state or default_state()
    if state.exists():
        down(state)
        shutil.rmtree(state)


def administrator(state: Path | None = None) -> Aws:
    """The local cloud's root access, for who owns the state folder. Raises `HostingError` before the first `up`."""
    record = _load(state or default_state())
    if record is None:
        raise HostingError("There is no local cloud here yet", "Start one with `satchel local up`.")
    return _aws(record)


def outputs(state: Path | None = None) -> dict[str, str]:
    """The outputs of the root stack, as recorded at the last deployment."""
    record = _load(state or default_state())
    return dict(record.outputs) if record else {}


def _prepared(state: Path | None) -> Path:
    state = (state or default_state()).absolute()
    try:
        state.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(OSError):
            state.chmod(0o700)
        with (state / "up.lock").open("ab"):
            pass
    except OSError as error:
        raise HostingError(
            f"The local cloud cannot keep anything in this folder: {error.strerror}",
            "Make the folder writable for you, or choose another with --state.",
            path=str(state),
        ) from error
    return state


def _services(state: Path) -> tuple[Service, Service]:
    return emulator.service(state), edge.service(state)


def _renew(one: Service, record: _Record, well: Callable[[], bool], report: Report) -> None:
    """Stop what runs when it was started of other code than is here now, or when it no longer answers."""
    if one.pid() is None:
        return
    if record.programs.get(one.name) != _program(one):
        report(f"starting the {one.name} anew: its program has changed")
    elif not _in_time(well):
        report(f"starting the {one.name} anew: it does not answer")
    else:
        return
    one.stop()


def _in_time(well: Callable[[], bool], tries: int = 10) -> bool:
    """Whether it is well within some seconds: one that is just starting gets its time."""
    for _ in range(tries):
        if well():
            return True
        time.sleep(0.5)
    return False


def _program(one: Service) -> str:
    """Names the code that a process would be started of now."""
    here = Path(__file__).parent
    sources = {path.name: path.read_bytes() for path in sorted(here.glob("*.py"))}
    own = {"cloud": ("emulator.py", "mends.py", "process.py"), "edge": ("edge.py", "process.py")}[one.name]
    with contextlib.suppress(metadata.PackageNotFoundError):
        sources["ministack"] = metadata.version("ministack").encode()
    return digest({name: sources[name] for name in (*own, "ministack") if name in sources} | {"python": _PYTHON})


def _started(state: Path, port: int | None, report: Report) -> _Record:
    """The record, with its emulator running on its port."""
    record = _load(state)
    running = edge.service(state).pid() is not None
    if record is None:
        site_port = port or (SITE_PORT if edge.free(SITE_PORT) else free_port())
        record = _Record(_new_key(), site_port, free_port())
    elif port is not None and port != record.site_port:
        edge.service(state).stop()
        running = False
        record = replace(record, site_port=port)
    if not running and not edge.free(record.site_port):
        raise UsageError(
            f"Port {record.site_port} is taken by another program",
            "Stop that program, or choose another port with --port (links made so far carry the old one).",
        )
    cloud_port = record.cloud_port
    _renew(emulator.service(state), record, lambda: emulator.healthy(cloud_port), report)
    if emulator.service(state).pid() is None:
        if not edge.free(record.cloud_port):
            record = replace(record, cloud_port=free_port())
        _save(state, record)
        report("starting the local cloud")
        # A first deployment that was cut off with it would be under way for ever, and nobody has used it yet.
        emulator.start(state, record.cloud_port, record.key, anew=not record.deployed)
        record = replace(record, programs=record.programs | {"cloud": _program(emulator.service(state))})
    _save(state, record)
    return record


def _write_edge(state: Path, record: _Record) -> None:
    with explained():
        aws = _aws(record)
        cloudfront = aws.client("cloudfront")
        policy = cloudfront.get_response_headers_policy(Id=record.outputs["HeadersPolicyId"])
        distribution = cloudfront.get_distribution_config(Id=record.outputs["DistributionId"])
    origins = distribution["DistributionConfig"]["Origins"]["Items"]
    sent = {
        header["HeaderName"].lower(): header["HeaderValue"]
        for origin in origins
        for header in origin.get("CustomHeaders", {}).get("Items", [])
    }
    config = edge.EdgeConfig(
        port=record.site_port,
        cloud=str(aws.endpoint),
        region=emulator.REGION,
        api_id=record.outputs["ApiId"],
        static_bucket=record.outputs["StaticBucket"],
        origin_secret=sent["x-satchel-origin"],
        key=record.key,
        headers=_headers(policy["ResponseHeadersPolicy"]["ResponseHeadersPolicyConfig"]),
    )
    encoded = msgspec.json.encode(config)
    path = state / "edge.json"
    if not path.exists() or path.read_bytes() != encoded:
        write_private(path, encoded)


def _headers(policy: Mapping[str, Mapping[str, object]]) -> dict[str, str]:
    """The response headers that CloudFront makes of a policy; not HSTS, for there is no TLS here."""
    security = dict(policy.get("SecurityHeadersConfig") or {})
    out: dict[str, str] = {}
    if "ContentTypeOptions" in security:
        out["X-Content-Type-Options"] = "nosniff"
    for member, header, value in (
        ("FrameOptions", "X-Frame-Options", "FrameOption"),
        ("ReferrerPolicy", "Referrer-Policy", "ReferrerPolicy"),
        ("ContentSecurityPolicy", "Content-Security-Policy", "ContentSecurityPolicy"),
    ):
        declared = security.get(member)
        if isinstance(declared, Mapping):
            out[header] = str(declared[value])
    custom = policy.get("CustomHeadersConfig") or {}
    items = custom.get("Items") or []
    if isinstance(items, list):
        out |= {str(item["Header"]): str(item["Value"]) for item in items}
    return out


def _new_key() -> tuple[str, str]:
    return f"LOCAL{secrets.token_hex(12).upper()}", secrets.token_hex(24)


def _aws(record: _Record) -> Aws:
    return Aws(
        region=emulator.REGION,
        endpoint=f"http://127.0.0.1:{record.cloud_port}",
        key=record.key,
    )


def _site(record: _Record) -> str:
    return f"http://127.0.0.1:{record.site_port}"


def _fingerprint(record: _Record, sent: Payload, given: Mapping[str, str]) -> str:
    parts = [sent.fingerprint, _site(record), str(record.cloud_port), *sorted(f"{k}={v}" for k, v in given.items())]
    return "|".join(parts)


def _load(state: Path) -> _Record | None:
    path = state / "local.json"
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=_Record)
    except msgspec.MsgspecError as error:
        raise HostingError(
            "The local cloud's record cannot be read",
            f"Move the folder away and start afresh. ({error})",
            path=str(path),
        ) from error


def _save(state: Path, record: _Record) -> None:
    write_private(state / "local.json", msgspec.json.encode(record))


def free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
