"""The engine's log: rotating, capped, and free of what gives access."""

from __future__ import annotations

import logging
import logging.handlers
import re
from pathlib import Path

from .home import logs_folder

MAX_BYTES = 1_000_000
KEPT = 3

_SECRETS = (
    (re.compile(r"https?://\S+"), "<address>"),
    (re.compile(r"/[sp]/[A-Za-z0-9_-]{16,}"), "/s/<token>"),
    (re.compile(r"\beyJ[A-Za-z0-9_.=-]+"), "<token>"),
    (re.compile(r"\b[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}\b"), "<e-mail>"),
    (re.compile(r"(?i)\b(authorization|password|token|secret|signature)\b(\W{1,4})\S+"), r"\1\2<hidden>"),
)


def redacted(text: str) -> str:
    """`text` without addresses, tokens and e-mail addresses."""
    for pattern, instead in _SECRETS:
        text = pattern.sub(instead, text)
    return text


def start_logging(home: Path) -> logging.Handler:
    """Log what concerns people and bugs of Satchel into `home`; hand the result to `stop_logging`."""
    folder = logs_folder(home)
    folder.mkdir(mode=0o700, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(
        folder / "satchel.log", maxBytes=MAX_BYTES, backupCount=KEPT, encoding="utf-8", errors="backslashreplace"
    )
    handler.setFormatter(_Redacting("%(asctime)s %(levelname)s %(threadName)s %(name)s: %(message)s"))
    logger = logging.getLogger("satchel")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    return handler


def stop_logging(handler: logging.Handler) -> None:
    logging.getLogger("satchel").removeHandler(handler)
    handler.close()


class _Redacting(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redacted(super().format(record))
