"""How content is handed to a browser: as an attachment, with a type that cannot run as a page."""

from __future__ import annotations

import mimetypes
from urllib.parse import quote

_SAFE_TYPES = {
    "application/pdf", "application/zip", "audio/flac", "audio/mp4", "audio/mpeg", "audio/ogg", "audio/wav",
    "image/avif", "image/gif", "image/jpeg", "image/png", "image/webp", "text/plain", "video/mp4", "video/webm",
}  # fmt: skip


def content_type(name: str) -> str:
    kind, encoding = mimetypes.guess_type(name, strict=True)
    return kind if kind in _SAFE_TYPES and encoding is None else "application/octet-stream"


def disposition(name: str) -> str:
    """An attachment under its own name (RFC 6266, RFC 5987), with an ASCII stand-in for old programs."""
    plain = "".join(c if " " <= c <= "~" and c not in '"\\%;' else "_" for c in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
