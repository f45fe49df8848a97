"""Starting with the user's session: XDG autostart, the Run key of Windows, a LaunchAgent of macOS."""

from __future__ import annotations

import plistlib
import shlex
import sys
from pathlib import Path

_NAME = "satchel"


def enable() -> None:
    """Raises `OSError`."""
    command = _command()
    if sys.platform == "win32":
        import winreg  # noqa: PLC0415 - exists on Windows only

        with winreg.OpenKey(winreg.HKEY_CURRENT_USER, _RUN, 0, winreg.KEY_SET_VALUE) as key:
            winreg.SetValueEx(key, _NAME, 0, winreg.REG_SZ, " ".join(f'"{part}"' for part in command))
        return
    file = _file()
    file.parent.mkdir(parents=True, exist_ok=True)
    if sys.platform == "darwin":
        file.write_bytes(plistlib.dumps({"Label": _NAME, "ProgramArguments": command, "RunAtLoad": True}))
    else:
        file.write_text(
            "[Desktop Entry]\nType=Application\nName=Satchel\nComment=Drop a file, get a link\n"
            f"Exec={shlex.join(command)}\nX-GNOME-Autostart-enabled=true\n"
        )


def disable() -> None:
    """Also when it was not enabled. Raises `OSError`."""
    if sys.platform == "win32":
        import winreg  # noqa: PLC0415 - exists on Windows only

        try:
            with winreg.OpenKey(winreg.HKEY_CURRENT_USER, _RUN, 0, winreg.KEY_SET_VALUE) as key:
                winreg.DeleteValue(key, _NAME)
        except FileNotFoundError:
            return
        return
    _file().unlink(missing_ok=True)


_RUN = r"Software\Microsoft\Windows\CurrentVersion\Run"


def _command() -> list[str]:
    """Hidden: at login nobody wants a window."""
    return [sys.executable, "-m", "satchel.app.main", "--hidden"]


def _file() -> Path:
    if sys.platform == "darwin":
        return Path.home() / "Library" / "LaunchAgents" / f"{_NAME}.plist"
    import platformdirs  # noqa: PLC0415 - only when it is asked for

    return platformdirs.user_config_path() / "autostart" / f"{_NAME}.desktop"
