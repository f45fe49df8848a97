"""What a deployment costs: while nobody uses it, and at a given use, by AWS's list prices."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

from satchel.hosting.package import payload
from satchel.hosting.prices import AS_OF, OPTIONS, PRICES, REGION

HOURS = 730
FUNCTION_GB = 0.5
ASSUMED_MS = 80
"""A run of a function, where the table of costs does not say: all of it is waiting for DynamoDB and S3."""
_IDLE_POLLS = 5 * 3 * 60 * HOURS
"""Requests a month that Lambda makes to ask an empty queue: five at once, each waiting for 20 seconds."""
_METRICS = 7
_LOOKS_EACH_HOUR = 12
_CONNECTS_EACH_HOUR = 60 / 110
"""One computer of each person, never switched off, with a folder in step: it looks, and hears of changes at once."""
_ROW_BYTES = 1500
"""All rows of one file in the table: entry, locator, content, its share of the log; link and upload."""
_LOG_BYTES = 700
_REPLY_BYTES = 3000
_PAGE_REQUESTS, _PAGE_BYTES = 4, 60_000
"""What a browser fetches to show a share page that it has not seen yet."""
_PART_BYTES, _MULTIPART_FROM, _PARTS_SIGNED = 8 << 20, 16 << 20, 4


@dataclass(frozen=True, slots=True)
class Use:
    """A month. `file_mb` is the mean size of what is uploaded and downloaded; a download begins at a share page."""

    users: int = 0
    uploads: int = 0
    downloads: int = 0
    stored_gb: float = 0
    file_mb: float = 10


@dataclass(frozen=True, slots=True)
class Item:
    """`usd` by the list; `usd_due` when nothing else in the account uses up what AWS gives for nothing each month."""

    what: str
    quantity: float
    unit: str
    usd: float
    usd_due: float
    source: str


@dataclass(frozen=True, slots=True)
class Estimate:
    """Dollars a month. `month` is `idle` and the use together; `options` say what a parameter adds."""

    prices_as_of: str
    region: str
    use: Use
    idle: list[Item]
    month: list[Item]
    options: dict[str, str] = field(default_factory=lambda: dict(OPTIONS))

    @property
    def idle_usd(self) -> tuple[float, float]:
        return _totals(self.idle)

    @property
    def month_usd(self) -> tuple[float, float]:
        return _totals(self.month)


def estimate(use: Use, parameters: Mapping[str, str] | None = None) -> Estimate:
    """By `parameters` of the root template; what is not given has its default."""
    parameters = parameters or {}
    idle = _idle(parameters)
    month = _sum(idle, _used(use, parameters))
    return Estimate(AS_OF, REGION, use, _items(idle), _items(month))


def _idle(parameters: Mapping[str, str]) -> dict[str, float]:
    """Quantities by the names of prices: what runs though nobody is there."""
    runs = _runs(parameters.get("JanitorSchedule", "rate(15 minutes)"))
    watched = parameters.get("Alarms", "true") == "true"
    return _taken("janitor, with nothing due", runs) | {
        "sqs": _IDLE_POLLS,
        "metrics": _METRICS,
        "alarms": 10 if watched else 0,
        "dashboards": 1 if watched else 0,
        "web_acls": 1 if parameters.get("WebAclArn") else 0,
        "kms_keys": len({parameters.get("KmsKeyArn", ""), parameters.get("LogKmsKeyArn", "")} - {""}),
    }


def _used(use: Use, parameters: Mapping[str, str]) -> dict[str, float]:
    calls = _calls(use)
    called = sum(calls.values())
    requests = called + use.downloads * _PAGE_REQUESTS
    file_bytes = use.file_mb * 1e6
    table_gb = use.stored_gb * 1e9 / max(file_bytes, 1) * _ROW_BYTES / 1e9
    guarded = parameters.get("ThreatProtection", "OFF") != "OFF"
    online_hours = use.users * HOURS
    out = _taken("ingest, of what its client completed", use.uploads)
    out = _sum(out, _taken("notify, of a change", use.uploads))
    out = _sum(out, _taken("socket, of a client that comes", online_hours * _CONNECTS_EACH_HOUR))
    for operation, count in calls.items():
        out = _sum(out, _taken(operation, count))
    rest = {
        "http_api": called,
        "push_minutes": online_hours * 60,
        "push_messages": use.uploads,
        "s3_storage": use.stored_gb,
        "s3_put": use.uploads * (_parts(use) or 1),
        "s3_get": use.downloads,
        "transfer": use.downloads * file_bytes / 1e9,
        "cloudfront_requests": requests,
        "cloudfront_function": use.downloads,
        "cloudfront_transfer": (called * _REPLY_BYTES + use.downloads * _PAGE_BYTES) / 1e9,
        "dynamodb_storage": table_gb,
        "dynamodb_backup": table_gb,
        "sqs": use.uploads * 3,  # S3 tells, Lambda takes, Lambda is done
        "users_plus" if guarded else "users": use.users,
        "traces": called if parameters.get("Tracing") == "Active" else 0,
        "kms_requests": called + use.uploads + use.downloads if parameters.get("KmsKeyArn") else 0,
        "web_acl_requests": requests if parameters.get("WebAclArn") else 0,
    }
    return _sum(out, rest)


def _calls(use: Use) -> dict[str, float]:
    """Requests to the API, by the names of the table of costs. Each file is on its own, with a link at its first."""
    sending: dict[str, float]
    if parts := _parts(use):
        sending = {
            "openUploads in parts": use.uploads,
            "uploadParts": use.uploads * -(-parts // _PARTS_SIGNED),
            "completeUploads in parts": use.uploads,
        }
    else:
        sending = {"openUploads with a link": use.uploads, "completeUploads": use.uploads}
    return sending | {
        "viewLink": use.downloads,
        "countView": use.downloads,
        "downloadLink": use.downloads,
        "listChanges, with nothing new": use.users * _LOOKS_EACH_HOUR * HOURS,
        "openPush": use.users * _CONNECTS_EACH_HOUR * HOURS,
    }


def _parts(use: Use) -> int:
    """Into how many parts a usual file goes; 0 when it is sent whole."""
    size = round(use.file_mb * 1e6)
    return -(-size // _PART_BYTES) if size >= _MULTIPART_FROM else 0


def _taken(operation: str, count: float) -> dict[str, float]:
    """What so many runs of an operation take, each by itself, beside the request that it answers."""
    one = operations()[operation]
    return {
        "lambda_requests": count,
        "lambda_time": count * one.get("lambda_ms", ASSUMED_MS) / 1000 * FUNCTION_GB,
        "dynamodb_write": count * one["dynamodb_write_units"],
        "dynamodb_read": count * one["dynamodb_read_units"],
        "s3_put": count * one["s3_put"],
        "s3_get": count * one["s3_get"],
        "logs": count * _LOG_BYTES / 1e9,
    }


def _sum(one: Mapping[str, float], other: Mapping[str, float]) -> dict[str, float]:
    return {name: one.get(name, 0) + other.get(name, 0) for name in one.keys() | other.keys()}


@cache
def operations() -> dict[str, dict[str, float]]:
    """What one call of each operation of the API takes, as the tests of the service hold it to."""
    read: dict[str, dict[str, float]] = json.loads((payload().code.parent / "operation-costs.json").read_text("utf-8"))
    return read


def _runs(schedule: str) -> float:
    """How often a month; of a cron expression once a minute is assumed, which is its most."""
    found = re.fullmatch(r"rate\((\d+) (minute|hour|day)s?\)", schedule.strip())
    minutes = int(found[1]) * {"minute": 1, "hour": 60, "day": 1440}[found[2]] if found else 1
    return HOURS * 60 / minutes


def _items(quantities: Mapping[str, float]) -> list[Item]:
    """In the order of the price list."""
    out = []
    for name, price in PRICES.items():
        if quantity := quantities.get(name, 0):
            due = max(0.0, quantity - price.free) * price.usd
            out.append(Item(price.what, quantity, price.unit, quantity * price.usd, due, price.source))
    return out


def _totals(items: list[Item]) -> tuple[float, float]:
    return sum(item.usd for item in items), sum(item.usd_due for item in items)
