"""From the address a person types to where everything is."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

import msgspec

from satchel.core.errors import OfflineError, UsageError
from satchel.core.model import Discovery
from satchel.core.ports import Clock, Ids, SystemClock, SystemIds

from .http import Http, is_loopback, refusal

_KNOWN = 1
_WHERE = "/.well-known/satchel.json"


def discover(address: str, *, clock: Clock | None = None, ids: Ids | None = None) -> Discovery:
    """What the site at `address` says of itself: `files.example.com`, `https://…`, or `http://127.0.0.1:PORT`.

    Raises `UsageError` for a bad address or a site that is not Satchel's, `OfflineError` when it cannot be reached.
    """
    site = site_of(address)
    http = Http(site, clock or SystemClock(), ids or SystemIds())
    url = site + _WHERE
    reply = http.repeat(lambda: http.send("GET", url, headers={"accept": "application/json"}))
    if reply.status >= 500:
        raise refusal(reply)
    try:
        major = msgspec.json.decode(reply.body, type=_Major) if reply.status == 200 else None
    except msgspec.DecodeError:
        major = None
    if major is None:
        raise UsageError(
            f"{site} is not a Satchel site",
            "Check the address. If this network has a sign-in page, open it in a browser first.",
        )
    if major.satchel != _KNOWN:
        raise UsageError(f"{site} needs a newer Satchel", "Update this app, then sign in again.")
    try:
        found = msgspec.json.decode(reply.body, type=Discovery)
    except msgspec.DecodeError as error:
        raise UsageError(f"{site} describes itself wrongly", f"Deploy it again ({error}).") from error
    return _checked(found, site)


def site_of(address: str) -> str:
    """`https://host[:port]` of what was typed; a path, as of a copied link, is left off. Raises `UsageError`."""
    text = address.strip()
    if "://" not in text:
        host = text.partition("/")[0].partition(":")[0]
        text = ("http://" if is_loopback(host) else "https://") + text
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise _bad(address) from None
    host = (parts.hostname or "").rstrip(".")
    if not host or parts.username is not None or parts.scheme not in ("http", "https") or " " in host:
        raise _bad(address)
    if "." not in host and not is_loopback(host) and ":" not in host:
        raise _bad(address)
    if parts.scheme == "http" and not is_loopback(host):
        raise UsageError("This address is not safe", f"Use https://{host}: plain http shows what you send to others.")
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + (f":{port}" if port is not None else "")


class _Major(msgspec.Struct):
    satchel: int


def _checked(found: Discovery, typed: str) -> Discovery:
    """A site may give its proper name, but neither leave https nor send the sign-in to another machine's emulator."""
    local = is_loopback(urlsplit(typed).hostname or "")
    site = site_of(found.site) if local or found.site.startswith("https://") else typed
    endpoint = found.identity_endpoint
    if endpoint is not None and not (local and is_loopback(urlsplit(endpoint).hostname or "")):
        raise UsageError(f"{typed} is not safe to sign in to", "It sends the sign-in elsewhere than to AWS.")
    if not all((found.region, found.user_pool_id, found.client_id)):
        raise OfflineError(f"{typed} is not ready", "Its deployment is not finished; try again in a moment.")
    return replace(found, site=site)


def _bad(address: str) -> UsageError:
    return UsageError(
        f"“{address.strip()[:100]}” is not an address", "It looks like files.example.com; copy it from your invitation."
    )
