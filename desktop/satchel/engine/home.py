"""Where one client keeps everything: account, journals, settings, logs."""

from __future__ import annotations

import os
from pathlib import Path

from satchel.core.errors import EngineError

VARIABLE = "SATCHEL_HOME"


def home_folder() -> Path:
    """`SATCHEL_HOME`, or a folder among the user's data; not made yet."""
    given = os.environ.get(VARIABLE)
    if given:
        return Path(given).expanduser().absolute()
    import platformdirs  # noqa: PLC0415 - not needed where the variable is set

    return platformdirs.user_data_path("satchel", appauthor=False) / "home"


def prepared(home: Path) -> Path:
    """`home`, made when missing and closed to other users. Raises `EngineError`."""
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        if os.name == "posix" and home.stat().st_mode & 0o077:
            home.chmod(0o700)
    except OSError as error:
        raise EngineError(
            "Satchel's own folder cannot be used",
            f"{error.strerror or error}. Check it, or set {VARIABLE} to another folder.",
            path=str(home),
        ) from error
    return home


def settings_file(home: Path) -> Path:
    return home / "settings.toml"


def logs_folder(home: Path) -> Path:
    return home / "logs"


def journal_file(home: Path, account: str) -> Path:
    """Each account has a journal of its own, so that signing in as somebody else sends nothing to the wrong place."""
    return home / "journals" / f"{account}.sqlite3"


def write_private(path: Path, content: bytes) -> None:
    """Whole or not at all, for whoever reads it meanwhile, and for its owner's eyes. Raises `OSError`."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    draft.replace(path)
