from __future__ import annotations

import json
import subprocess
import sys

import pytest

from satchel.cli import main
from satchel.cli.output import Output, clean, size_text
from satchel.core.errors import LocalFileError

_HEAVY = "PySide6 boto3 botocore pycognito urllib3 msgspec asyncio multiprocessing sqlite3 rich keyring watchdog"


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys\nfrom satchel.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit as e: assert e.code == 0\n"
        f"print([m for m in {_HEAVY.split()!r} if m in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "[]"


def test_without_a_display_the_window_says_what_to_do(monkeypatch, capsys) -> None:  # type: ignore[no-untyped-def] # pytest's
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert main([]) == 2
    assert "satchel --help" in capsys.readouterr().err


def test_a_command_loads_no_window_and_no_aws(tmp_path) -> None:  # type: ignore[no-untyped-def] # pytest's
    code = (
        "import sys\nfrom satchel.cli import main\nprint(main(['--json', 'status']))\n"
        "print([m for m in 'PySide6 boto3 botocore pycognito'.split() if m in sys.modules])"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={"SATCHEL_HOME": str(tmp_path / "home"), "PATH": "/usr/bin"},
    )
    snapshot, code_line, heavy = ended.stdout.splitlines()
    assert json.loads(snapshot)["headline"] == "Sign in to start"
    assert (code_line, heavy) == ("0", "[]")


@pytest.mark.parametrize(
    "words", [["put"], ["nonsense"], ["login", "x"], ["root"], ["link", "a", "--expires", "soon"], ["deploy"]]
)
def test_a_wrong_command_line_ends_with_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert "--help` tells what can be typed" in capsys.readouterr().err

    assert main([*words, "--json"]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert json.loads(said.err)["error"]["code"] == "usage"


def test_names_cannot_steer_the_terminal() -> None:
    assert clean("a\x1b[2Jb\n") == "a�[2Jb�"


def test_sizes_are_short() -> None:
    assert [size_text(n) for n in (0, 999, 1400, 412_000_000, 1_200_000_000)] == [
        "0 B", "999 B", "1.4 kB", "412 MB", "1.2 GB",
    ]  # fmt: skip


def test_no_line_for_people_moves_a_terminals_cursor(capsys) -> None:  # type: ignore[no-untyped-def] # pytest's
    out = Output(json=False)
    out.error(LocalFileError("It is gone", path="a\x1b[2Jb"))
    out.bar().row({"name": "x\x1b[31m", "state": "done", "size": 1, "message": "", "transfer_id": "1"})
    assert "\x1b" not in "".join(capsys.readouterr())
