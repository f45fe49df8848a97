"""Takes the pictures of the share page that the documentation shows: `python -m tests.e2e.site.share_screenshots`."""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from playwright.sync_api import Browser

from e2e.site.chromium import chromium
from e2e.site.stub_site import REPOSITORY, Answer, StubSite, folder, problem, view

TOKEN = "Zm9yIHBpY3R1cmVzIG9ubHk"
ADDRESS = f"/p/{TOKEN}"
DAY_MS = 86_400_000
NOW_MS = time.time_ns() // 1_000_000
FILE = {"modified_ms": NOW_MS - DAY_MS, "expires_ms": NOW_MS + 30 * DAY_MS}
ITEMS = [
    ("Lisbon offsite – highlights.mp4", 1_204_000_000),
    ("Screenshot 2026-11-23 at 09.41.png", 1_440_000),
    ("brand-kit-2026.zip", 86_000_000),
    ("podcast-episode-14.wav", 310_000_000),
    ("quarterly-report-final-v7.pdf", 40_100_000),
    ("raw-footage-cam-b.mov", 2_310_000_000),
]


def main(target: Path) -> None:
    ready = [view(name="brand-kit-2026.zip", size=86_000_000, **FILE)]
    arriving = [
        view(name="Lisbon offsite – highlights.mp4", state="arriving", size=1_204_000_000, sent_bytes=sent, **FILE)
        for sent in range(260_000_000, 420_000_000, 38_000_000)
    ]
    items = [
        {"node_id": f"{n:032x}", "kind": "file", "name": name, "size": size, "modified_ms": NOW_MS - n * DAY_MS}
        for n, (name, size) in enumerate(ITEMS)
    ]
    sketches = {"node_id": "f" * 32, "kind": "folder", "name": "Sketches"}
    listing = [folder("Lisbon offsite", *items[:1], sketches, *items[1:], folder_id="0" * 32, **FILE)]
    with StubSite() as site, chromium() as browser:
        for scheme in ("light", "dark"):
            shoot(browser, site, ready, scheme, target / f"share-page-{scheme}.png")
            shoot(browser, site, arriving, scheme, target / f"share-page-arriving-{scheme}.png", wait=" left")
            shoot(browser, site, listing, scheme, target / f"share-folder-{scheme}.png")
            if target != REPOSITORY / "docs" / "images":
                extras(browser, site, scheme, target)


def extras(browser: Browser, site: StubSite, scheme: str, target: Path) -> None:
    """States that the documentation does not show but that somebody should look at now and then."""
    long_name = "a very long name with emoji 🎒 and\nnewline " + "x" * 180 + ".jpeg"
    others = {
        "revoked": [problem("link-revoked", 410)],
        "unreachable": [Answer(502)],
        "stopped": [view(name="raw-footage-cam-b.mov", state="stopped", size=2_310_000_000)],
        "waiting": [view(name="notes.txt", state="arriving", size=14_000_000, sent_bytes=0)],
        "long": [view(name=long_name, size=5)],
        "long-folder": [
            folder(
                long_name,
                {"node_id": "1" * 32, "kind": "file", "name": long_name, "size": 12},
                {"node_id": "2" * 32, "kind": "folder", "name": "שלום עולם"},
                state="arriving",
                next="more",
            )
        ],
    }
    for name, answers in others.items():
        shoot(browser, site, answers, scheme, target / f"{name}-{scheme}.png")
        shoot(browser, site, answers, scheme, target / f"{name}-{scheme}-narrow.png", width=320)
    shoot(browser, site, [], scheme, target / f"front-{scheme}.png", path="/")


def shoot(
    browser: Browser,
    site: StubSite,
    answers: list[Answer],
    scheme: str,
    file: Path,
    *,
    wait: str = "",
    width: int = 950,
    path: str = f"/s/{TOKEN}",
) -> None:
    site.script(ADDRESS, *answers)
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 700}, locale="en-GB")  # type: ignore[arg-type]  # a str from a fixed pair
    page = context.new_page()
    page.goto(site.origin + path)
    page.wait_for_selector("h1")
    if wait:
        page.get_by_text(wait).wait_for()
        page.wait_for_timeout(3000)
    page.screenshot(path=file, full_page=True)
    context.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else REPOSITORY / "docs" / "images")
