"""What a function says of itself: one JSON line per event, with its metrics in the same line.

Fields are ids, words of our own and numbers. Never an address, a file's name, a token, a URL, or the text of an error,
which may quote any of them.
"""

from __future__ import annotations

import json
import os
import sys
import time
import traceback
from collections import Counter
from typing import Any

_NAMESPACE = "Satchel"
_UNITS = {
    "UploadsOpened": "Count",
    "UploadsFinished": "Count",
    "BytesFinished": "Bytes",
    "IngestLagMs": "Milliseconds",
    "CommitConflicts": "Count",
    "JanitorFailed": "Count",
    "UsageDriftBytes": "Bytes",
}
"""Every metric there is. CloudWatch bills each one that it hears of."""


def log(level: str, route: str, measures: Counter[str] | None = None, **fields: Any) -> None:
    """Write one line: `level` is info, warning or error. Takes what was measured out of `measures`."""
    line = {"level": level, "route": route} | fields
    if measures:
        line |= metrics(measures, time.time_ns() // 1_000_000)
        measures.clear()
    sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def metrics(measured: dict[str, int], now_ms: int) -> dict[str, Any]:
    """What CloudWatch reads as metrics in a log line; empty when all are zero.

    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    told = {name: value for name, value in measured.items() if value}
    if not told:
        return {}
    listed = [{"Name": name, "Unit": _UNITS[name]} for name in told]
    directive = {"Namespace": _NAMESPACE, "Dimensions": [["Stack"]], "Metrics": listed}
    return {
        "_aws": {"Timestamp": now_ms, "CloudWatchMetrics": [directive]},
        "Stack": os.environ.get("STACK", ""),
    } | told


def failure(error: BaseException) -> dict[str, Any]:
    """What may be said of an error: its kind, what AWS calls it, and where it arose. Its text stays unsaid."""
    reply = getattr(error, "response", None)
    fields: dict[str, Any] = {"error": type(error).__name__}
    if isinstance(reply, dict):
        fields["code"] = str(reply.get("Error", {}).get("Code", ""))
        fields["operation"] = str(getattr(error, "operation_name", ""))
    frames = traceback.extract_tb(error.__traceback__)[-12:]
    fields["trace"] = [f"{'/'.join(frame.filename.split('/')[-2:])}:{frame.lineno} {frame.name}" for frame in frames]
    return fields
