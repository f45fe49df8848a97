"""One HTTP exchange with the service, and what went wrong with it in words for people."""

from __future__ import annotations

import json
import logging
import ssl
import urllib.request
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

import msgspec
import urllib3
from urllib3 import exceptions as transport

from satchel.core.errors import BusyError, NotSignedInError, OfflineError, RefusedError, SatchelError
from satchel.core.model import Problem
from satchel.core.ports import Clock, Ids

log = logging.getLogger(__name__)

E = TypeVar("E", bound=SatchelError)

MAX_REPLY = 4 * 1024 * 1024
"""The service keeps replies under 128 KiB; whatever is far larger is not the service."""

ATTEMPTS = 4
_FIRST_DELAY, _LONGEST_DELAY = 0.3, 10.0
_TIMEOUT = urllib3.Timeout(connect=10, read=35)  # the gateway itself gives up after 30 s


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def is_json(self) -> bool:
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        return kind == "application/json" or kind.endswith("+json")

    @property
    def reference(self) -> str | None:
        """The id under which the service logged the request; the gateway names it otherwise in what it says itself."""
        return self.headers.get("x-request-id") or self.headers.get("apigw-requestid")


class Send(Protocol):
    """What `Http.send` is, for those who only need that."""

    def __call__(
        self, method: str, url: str, *, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Reply: ...


class Http:
    """A pool of connections to one site. Thread-safe."""

    def __init__(self, site: str, clock: Clock, ids: Ids) -> None:
        self._site = site
        self._clock = clock
        self._ids = ids
        self._pool = _pool(site)

    def send(self, method: str, url: str, *, body: bytes | None = None, headers: dict[str, str] | None = None) -> Reply:
        """One exchange, no repeats; redirects are not followed. Raises `OfflineError` when there is no answer."""
        try:
            raw = self._pool.request(
                method,
                url,
                body=body,
                headers=headers,
                timeout=_TIMEOUT,
                retries=False,
                redirect=False,
                preload_content=False,
            )
            content = raw.read(MAX_REPLY + 1, decode_content=True)
            if len(content) > MAX_REPLY:
                raw.close()
                raise not_the_service()
            raw.release_conn()
        except transport.HTTPError as error:
            raise unreachable(self._site, error) from error
        return Reply(raw.status, {name.lower(): value for name, value in raw.headers.items()}, content)

    def repeat(self, exchange: Exchange) -> Reply:
        """The reply of an idempotent `exchange`, tried again with growing, jittered pauses while that may help.

        The last `OfflineError` or `BusyError` is raised; any other reply is handed back as it is.
        """
        for attempt in range(ATTEMPTS):
            try:
                reply = exchange()
                if (busy := busy_error(reply)) is None:
                    return reply
                raise busy
            except (OfflineError, BusyError) as error:
                if attempt == ATTEMPTS - 1:
                    raise
                named = getattr(error, "retry_after", None)
                if named is not None and named > _LONGEST_DELAY:
                    raise
                longest = min(_LONGEST_DELAY, _FIRST_DELAY * 2**attempt)
                self._clock.sleep(named if named is not None else longest * self._ids.jitter())
        raise AssertionError("unreachable")

    def close(self) -> None:
        """Forget every connection, as after sleep; the next request opens a new one."""
        self._pool.clear()


class Exchange(Protocol):
    def __call__(self) -> Reply: ...


_CAPTIVE = (
    "Something between this computer and the service answered instead. "
    "If this network has a sign-in page, open it in a browser first; else check the address, VPN and proxy."
)


def busy_error(reply: Reply) -> BusyError | None:
    """The error for a reply that asks to come back later, else None."""
    if reply.status not in (429, 500, 502, 503, 504):
        return None
    if reply.status == 500 and reply.is_json and "problem" in reply.headers.get("content-type", ""):
        return None  # the service's own words say more
    busy = BusyError(
        "The service is busy" if reply.status in (429, 503) else "The service has a fault of its own",
        f"It answered {reply.status}; try again in a moment.",
        retry_after=_retry_after(reply),
    )
    return referring(busy, reply)


def refusal(reply: Reply) -> SatchelError:
    """The error for any reply that is not a success: a problem document, the gateway's body, or neither."""
    return referring(_refusal(reply), reply)


def referring(error: E, reply: Reply) -> E:
    """`error`, with the id that leads to the service's own word on it."""
    error.reference = error.reference or reply.reference
    log.info("the service answered %d: %s, reference %s", reply.status, error.code, error.reference)
    return error


def _refusal(reply: Reply) -> SatchelError:
    if reply.is_json:
        try:
            return RefusedError.of(msgspec.json.decode(reply.body, type=Problem))
        except msgspec.DecodeError:
            pass
        message = _gateway_message(reply.body)
        if message is not None and reply.status == 401:
            return NotSignedInError("The session has ended", "Sign in again.")
        if message is not None and reply.status == 404:
            return RefusedError(
                "unknown-request",
                "The service does not know this request",
                "It is older than this app: deploy it again.",
                status=404,
            )
        if message is not None:
            return SatchelError(f"The service refused ({reply.status})", message)
    return busy_error(reply) or OfflineError("The answer does not come from Satchel", _CAPTIVE)


def not_the_service() -> OfflineError:
    """The error for a reply of success that is none: a captive portal's page, a proxy's."""
    return OfflineError("The answer does not come from Satchel", _CAPTIVE)


def unreachable(site: str, error: Exception) -> OfflineError:
    """What to check, by the kind of transport error."""
    host = urlsplit(site).hostname or site
    cause: BaseException | None = error
    seen: list[BaseException] = []
    while cause is not None and cause not in seen:
        seen.append(cause)
        cause = (
            getattr(cause, "reason", None)
            if isinstance(getattr(cause, "reason", None), Exception)
            else (cause.__cause__ or cause.__context__)
        )
    kinds = tuple(type(one) for one in seen)
    if any(issubclass(kind, transport.NameResolutionError) for kind in kinds):
        return OfflineError(f"{host} cannot be found", "Check the internet connection and the address.")
    if any(issubclass(kind, (transport.SSLError, ssl.SSLError)) for kind in kinds):
        return OfflineError(
            f"The connection to {host} is not safe",
            "Its certificate was refused. Check this computer's date and time, and whether a proxy or a "
            "sign-in page of this network stands between.",
        )
    if any(issubclass(kind, ConnectionRefusedError) for kind in kinds):
        return OfflineError(f"{host} refuses connections", "Check the address, and that the service is running.")
    if any(issubclass(kind, transport.ProxyError) for kind in kinds):
        return OfflineError("The proxy does not answer", "Check this computer's proxy settings.")
    if any(issubclass(kind, (transport.TimeoutError, TimeoutError)) for kind in kinds):
        return OfflineError(f"{host} does not answer", "Check the internet connection and try again.")
    return OfflineError(f"The connection to {host} broke", "Check the internet connection and try again.")


def _retry_after(reply: Reply) -> float | None:
    text = reply.headers.get("retry-after", "").strip()
    if text.isdigit():
        return float(text)
    try:
        date, then = parsedate_to_datetime(reply.headers["date"]), parsedate_to_datetime(text)
        return max(0.0, (then - date).total_seconds())
    except (KeyError, ValueError, TypeError):
        return None


def _gateway_message(body: bytes) -> str | None:
    try:
        found = json.loads(body)
    except ValueError:
        return None
    message = found.get("message") if isinstance(found, dict) else None
    return message if isinstance(message, str) else None


def _pool(site: str) -> urllib3.PoolManager:
    parts = urlsplit(site)
    proxy = urllib.request.getproxies().get(parts.scheme)
    headers = {"user-agent": "satchel", "accept-encoding": "gzip"}
    if proxy and parts.hostname and not urllib.request.proxy_bypass(parts.hostname) and not is_loopback(parts.hostname):
        return urllib3.ProxyManager(proxy, num_pools=2, maxsize=8, headers=headers)
    return urllib3.PoolManager(num_pools=2, maxsize=8, headers=headers)


def is_loopback(host: str) -> bool:
    """Whether `host` names this machine: the only place that plain http is taken from."""
    host = host.lower().strip("[]")
    return (
        host in ("localhost", "::1")
        or host.endswith(".localhost")
        or (host.startswith("127.") and host.replace(".", "").isdigit())
    )
