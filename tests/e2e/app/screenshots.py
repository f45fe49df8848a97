"""Pictures of the real window with neutral sample data: `python -m e2e.app.screenshots FOLDER` (in tests/).

Under Qt's offscreen platform unless another is set; `SATCHEL_SCREENSHOTS` names the folder when no argument does.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from PySide6.QtCore import QEventLoop, QObject
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication

from satchel.app.main import App, start
from unit.app.fake_engine import ACCOUNT, FakeEngine, link, root, row, snapshot

SHARE = "/home/alice/Share"
ROWS = (
    row("t1", "sending", name="Lisbon offsite – highlights.mp4", size=1_200_000_000, sent_bytes=412_000_000,
        rate=38e6, seconds_left=21),
    row("t2", "sending", name="site photos", size=640_000_000, sent_bytes=480_000_000, files=84, files_done=61,
        rate=9.4e6, seconds_left=17),
    row("t3", "paused", name="quarterly-report-final-v7.pdf", size=40_000_000, sent_bytes=12_000_000),
    row("t4", "sending", name="raw-footage-cam-b.mov", size=900_000_000, sent_bytes=560_000_000,
        message="Could not connect · retry in 12 s"),
    row("t5", "waiting", name="podcast-episode-14.wav", size=310_000_000),
    row("t6", "done", name="brand-kit-2026.zip", size=86_000_000),
    row("t7", "done", name="Screenshot 2026-11-23 at 09.41.png", size=1_400_000, origin="root", link_url=None),
    row("t8", "failed", name="minutes.docx", size=48_000, message="The file was deleted before it was read"),
    row("t9", "cancelled", name="draft.key", size=7_300_000),
)  # fmt: skip
LINKS = [link(name) for name in ("Lisbon offsite – highlights.mp4", "site photos", "brand-kit-2026.zip")]
NOW = int(time.time() * 1000)
VERIFIED = {"at_ms": NOW - 3 * 86_400_000, "seconds": 41.0, "files": 1204, "size": 5_300_000_000, "equal": 1204,
            "differing": 0, "only_here": 0, "only_there": 0, "held": 0, "ok": True}  # fmt: skip
FOLDERS = [
    root(
        "/home/alice/Work",
        root_id="r2",
        remote_path="/Work",
        mode="two-way",
        verified=VERIFIED,
        last_full_scan_ms=NOW,
        left_out=["Films"],
    ),
    root(SHARE, last_full_scan_ms=NOW),
]
FULL = snapshot(*ROWS, headline="Uploading 26 files · 38 s left", tone="busy", links=LINKS, roots=[root(SHARE)])
SIGNED_OUT = snapshot(
    headline="Sign in to start",
    tone="attention",
    account=ACCOUNT | {"state": "signed_out", "email": "", "site": ""},
)


class Studio:
    """The app over a fake engine."""

    def __init__(self, application: QApplication) -> None:
        self.engine = FakeEngine(FULL, root_folders=["Films", "Notes", "Photos"])
        self.app = App(application, lambda: self.engine)
        self.until(lambda: self.app.bridge.email != "" and bool(self.app.bridge.preferences.theme == "light"))

    def until(self, what: Callable[[], bool], seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not what():
            assert time.monotonic() < deadline
            QApplication.processEvents(QEventLoop.ProcessEventsFlag.AllEvents, 20)

    def show(self, snapshot: dict[str, object], theme: str = "light", settings: bool = False) -> None:
        self.engine.push(snapshot)
        self.app.bridge.preferences.chooseTheme(theme)
        self.until(lambda: self.app.bridge.snapshot == snapshot and self.app.bridge.preferences.theme == theme)
        self.app.window.setProperty("inSettings", settings)
        QTest.qWait(150)  # layouts and fonts settle over a few frames

    def picture(self, file: Path, width: int = 950, height: int = 975) -> None:
        self.app.window.resize(width, height)
        QTest.qWait(150)
        assert self.app.window.grabWindow().save(str(file))


def main() -> None:
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else os.environ["SATCHEL_SCREENSHOTS"])
    folder.mkdir(parents=True, exist_ok=True)
    studio = Studio(start(sys.argv[:1]))
    for theme in ("light", "dark"):
        studio.show(FULL, theme)
        studio.picture(folder / f"window-{theme}.png")
        studio.show(snapshot(*ROWS, roots=FOLDERS), theme, settings=True)
        studio.picture(folder / f"settings-{theme}.png", 950, 880)
        studio.show(SIGNED_OUT, theme)
        studio.picture(folder / f"sign-in-{theme}.png", 950, 760)
    studio.show(FULL)
    menu = studio.app.tray.menu
    menu.ensurePolished()
    menu.adjustSize()
    assert menu.grab().save(str(folder / "tray-light.png"))
    if os.environ.get("SATCHEL_SCREENSHOTS_ALL") == "1":
        _more(studio, folder)
    studio.app.close()


def _more(studio: Studio, folder: Path) -> None:
    """What the documentation does not show but that somebody should look at now and then."""
    studio.picture(folder / "more-small.png", 420, 520)
    studio.show(snapshot(*ROWS, roots=FOLDERS), settings=True)
    studio.app.bridge.folders.choose("r2")
    studio.until(lambda: any(folder["chooses"] for folder in studio.app.bridge.folders.rows))
    studio.picture(folder / "more-choosing.png", 950, 880)
    studio.picture(folder / "more-choosing-small.png", 420, 700)
    studio.app.bridge.folders.choose("r2")
    studio.picture(folder / "more-settings-small.png", 420, 700)
    studio.show(snapshot(), "light")
    studio.picture(folder / "more-empty.png")
    studio.picture(folder / "more-empty-small.png", 420, 520)
    long = row("long", "sending", name="a very " * 30 + "long name.tar.gz", size=5e9, sent_bytes=1e9,
               message="The disk with this file is away; it goes on when that is back, or cancel it")  # fmt: skip
    held = {"path": "notes/CON.txt", "reason": "Windows cannot hold this name", "remedy": "Rename it."}
    studio.show(
        snapshot(
            long,
            *ROWS,
            headline="a folder with a really long name that nobody should need · 12 need attention",
            tone="attention",
            roots=[root(SHARE, held=[held])],
            notices=[
                {
                    "code": "not-remembered",
                    "title": "There is no keyring to keep you signed in",
                    "detail": "You stay signed in until Satchel ends. Unlock or install a keyring, then sign in again.",
                }
            ],
        )
    )
    studio.app.bridge.toast.emit(
        "2 links copied", "https://files.example.com/s/one\nhttps://files.example.com/s/two", False
    )
    studio.picture(folder / "more-long.png")
    studio.picture(folder / "more-long-small.png", 420, 640)
    pill = studio.app.window.findChild(QObject, "heldList")
    pill.open()
    studio.picture(folder / "more-held.png")


if __name__ == "__main__":
    main()
