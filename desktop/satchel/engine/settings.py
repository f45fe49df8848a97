"""What a user may set: a TOML file that keeps the user's comments and every key this version does not know."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from satchel.core.errors import UsageError

from .home import write_private

SLOWEST = 4096
"""Bytes a second: below, requests would time out."""
THEMES = ("system", "light", "dark")


@dataclass(frozen=True, slots=True)
class Settings:
    """`connections` are uploads' connections to S3, limits bytes a second, 0 for none; `paused` outlives a restart."""

    paused: bool = False
    connections: int = 6
    upload_limit: int = 0
    download_limit: int = 0
    theme: str = "system"
    notifications: bool = True
    autostart: bool = False


def load(file: Path) -> Settings:
    """Defaults where nothing is set. Raises `UsageError` that names the line."""
    text = _text(file)
    return _checked({key: _plain(value) for key, value in _parsed(file, text).items()}, file, text)


def change(file: Path, values: dict[str, Any]) -> Settings:
    """Set `values` in the file, leaving all else as it is. Raises `UsageError` and then changes nothing."""
    unknown = values.keys() - {field.name for field in fields(Settings)}
    if unknown:
        raise UsageError(f"There is no setting “{sorted(unknown)[0]}”", f"There are: {', '.join(_names())}.")
    text = _text(file)
    document = _parsed(file, text)
    for key, value in values.items():
        document[key] = value
    new = document.as_string()
    made = _checked({key: _plain(value) for key, value in document.items()}, file, new, asked=values.keys())
    try:
        write_private(file, new.encode())
    except OSError as error:
        raise UsageError("The settings cannot be written", f"{error.strerror}.", path=str(file)) from error
    return made


def _names() -> list[str]:
    return [field.name for field in fields(Settings)]


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError("The settings cannot be read", f"{error}.", path=str(file)) from error


def _parsed(file: Path, text: str) -> Any:
    import tomlkit  # noqa: PLC0415 - slow to import, and most homes have no settings
    from tomlkit.exceptions import ParseError  # noqa: PLC0415

    try:
        return tomlkit.parse(text)
    except ParseError as error:
        raise UsageError(
            f"Line {error.line} of the settings is not valid TOML", "Mend or remove it.", path=str(file)
        ) from error


def _plain(value: Any) -> Any:
    return value.unwrap() if hasattr(value, "unwrap") else value


def _checked(values: dict[str, Any], file: Path, text: str, asked: Collection[str] = ()) -> Settings:
    settings = Settings()
    for name in _names():
        if name not in values:
            continue
        value = values[name]
        wish = _wish(name, value, getattr(settings, name))
        if wish is not None and name in asked:
            raise UsageError(f"{name} must be {wish}", "Nothing was changed.")
        if wish is not None:
            line = _line(text, name)
            raise UsageError(
                f"Line {line} of the settings: {name} must be {wish}", "Mend or remove it.", path=str(file)
            )
        settings = replace(settings, **{name: value})
    return settings


def _wish(name: str, value: Any, default: Any) -> str | None:
    """What the value should have been, or None when it is fine."""
    if isinstance(default, bool):
        return None if isinstance(value, bool) else "true or false"
    if name == "connections":
        fine = isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 32
        return None if fine else "a number from 1 to 32"
    if name in ("upload_limit", "download_limit"):
        fine = isinstance(value, int) and not isinstance(value, bool) and (value == 0 or value >= SLOWEST)
        return None if fine else f"bytes a second, {SLOWEST} or more, or 0 for no limit"
    return None if value in THEMES else "one of " + ", ".join(f'"{theme}"' for theme in THEMES)


def _line(text: str, name: str) -> int:
    lines = text.splitlines()
    return next((at for at, line in enumerate(lines, 1) if line.partition("=")[0].strip() == name), 1)
