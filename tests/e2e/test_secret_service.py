"""The session in a real Secret Service, on a session bus of the test's own."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from e2e.cloud_fixture import LocalCloud

UNLOCK = 'printf "pw\\n" | gnome-keyring-daemon --unlock --components=secrets --daemonize >/dev/null 2>&1'


@dataclass
class Desktop:
    """Commands in one user's session: each call is one login to the desktop, with the keyring of the call before."""

    folder: Path
    keyring: bool = True

    def run(self, *commands: list[str], password: str = "") -> list[subprocess.CompletedProcess[str]]:
        """Each a `satchel` process of its own, one after the other, on one session bus."""
        script = "".join(
            f"{shlex.join([sys.executable, '-m', 'satchel.cli', *command])} >{number}.out 2>{number}.err "
            f"<{self.folder / 'password'}; echo $? >{number}.code\n"
            for number, command in enumerate(commands)
        )
        self.folder.mkdir(exist_ok=True)
        (self.folder / "password").write_text(password)
        environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
        environment |= {
            "HOME": str(self.folder),
            "XDG_DATA_HOME": str(self.folder / "data"),
            "XDG_RUNTIME_DIR": str(self.folder),
            "SATCHEL_HOME": str(self.folder / "satchel"),
        }
        self.folder.chmod(0o700)
        subprocess.run(
            ["dbus-run-session", "--", "sh", "-c", (UNLOCK + "\n" if self.keyring else "") + script],
            check=True,
            cwd=self.folder,
            env=environment,
            timeout=120,
            capture_output=True,
        )
        (self.folder / "password").unlink()
        return [
            subprocess.CompletedProcess(
                command,
                int((self.folder / f"{number}.code").read_text()),
                (self.folder / f"{number}.out").read_text(),
                (self.folder / f"{number}.err").read_text(),
            )
            for number, command in enumerate(commands)
        ]


@pytest.fixture
def desktop(tmp_path: Path) -> Desktop:
    return Desktop(tmp_path / "alice")


def login(cloud: LocalCloud, email: str) -> list[str]:
    return ["login", cloud.site, "--email", email, "--password-stdin"]


def test_the_keyring_keeps_the_session_from_one_process_to_the_next(cloud: LocalCloud, desktop: Desktop) -> None:
    email, password = cloud.new_user()
    file = desktop.folder.parent / "a.txt"
    file.write_text("kept")

    signed, asked, put = desktop.run(login(cloud, email), ["whoami"], ["put", str(file)], password=password)
    (again,) = desktop.run(["ls", "/Drops"])

    assert [signed.returncode, asked.returncode, put.returncode, again.returncode] == [0, 0, 0, 0], signed.stderr
    assert email in asked.stdout
    assert "a.txt" in again.stdout


def test_no_secret_lies_in_satchels_own_files(cloud: LocalCloud, desktop: Desktop) -> None:
    email, password = cloud.new_user()
    desktop.run(login(cloud, email), ["whoami"], password=password)

    kept = b"".join(path.read_bytes() for path in (desktop.folder / "satchel").rglob("*") if path.is_file())
    assert email.encode() in kept, "who is signed in is no secret"
    assert password.encode() not in kept
    assert b"eyJ" not in kept, "every token of Cognito begins so"


def test_signing_out_takes_the_session_out_of_the_keyring(cloud: LocalCloud, desktop: Desktop) -> None:
    email, password = cloud.new_user()
    desktop.run(login(cloud, email), ["logout"], password=password)

    (asked,) = desktop.run(["whoami"])

    assert asked.returncode == 3


def test_without_a_keyring_it_says_that_the_session_ends_with_the_engine(cloud: LocalCloud, tmp_path: Path) -> None:
    desktop = Desktop(tmp_path / "bob", keyring=False)
    email, password = cloud.new_user()

    signed, asked = desktop.run(login(cloud, email), ["whoami"], password=password)

    assert signed.returncode == 0
    assert "keyring" in signed.stdout + signed.stderr
    assert asked.returncode == 3
