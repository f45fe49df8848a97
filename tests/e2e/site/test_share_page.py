"""The share page in a real browser, against scripted answers of the service."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, Request, expect

from e2e.site.stub_site import HANG_UP, Answer, StubSite, folder, gateway, problem, view

TOKEN = "AbCdEfGhIjKlMnOpQrStUv"
LINK = f"/p/{TOKEN}"
PAGE = f"/s/{TOKEN}"
DAY_MS = 86_400_000
TOP, INNER, DEEP = "a" * 32, "b" * 32, "c" * 32


def visit(page: Page, site: StubSite, *answers: Answer) -> None:
    if answers:
        site.script(LINK, *answers)
    page.goto(site.origin + PAGE)


def heading(page: Page) -> Any:
    return page.get_by_role("heading", level=1)


def item(number: int, name: str, **fields: Any) -> dict[str, Any]:
    return {"node_id": f"{number:032x}", "kind": "file", "name": name, **fields}


def arriving(sent: int, size: int = 1_000_000_000) -> Answer:
    return view(name="film.mp4", state="arriving", size=size, sent_bytes=sent)


# -- a file -----------------------------------------------------------------------------------------------------------


def test_a_ready_file_shows_its_name_size_expiry_and_type(page: Page, site: StubSite) -> None:
    soon = time.time_ns() // 1_000_000 + 30 * DAY_MS
    visit(page, site, view(name="brand-kit-2026.zip", size=86_000_000, modified_ms=1_795_000_000_000, expires_ms=soon))

    expect(heading(page)).to_have_text("brand-kit-2026.zip")
    expect(page.locator(".meta")).to_have_text("86 MB · modified 18 Nov 2026 · expires in 30 days")
    expect(page.locator(".badge")).to_have_text("ZIP")
    expect(page).to_have_title("brand-kit-2026.zip")


def test_download_gives_the_bytes_as_an_attachment(page: Page, site: StubSite) -> None:
    content = os.urandom(300_000)
    site.content[f"{LINK}/content"] = content
    visit(page, site, view(name="random.bin", size=len(content)))

    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download").click()

    assert hashlib.sha256(waiting.value.path().read_bytes()).digest() == hashlib.sha256(content).digest()
    expect(heading(page)).to_have_text("random.bin")


def test_a_view_is_counted_once_per_page_load(page: Page, site: StubSite) -> None:
    visit(page, site, arriving(1), arriving(2), arriving(3), view(name="film.mp4", size=3))
    expect(page.locator(".pill")).to_have_text("Ready")
    assert site.count("POST", f"{LINK}/views") == 1

    page.reload()
    expect(page.locator(".pill")).to_have_text("Ready")
    assert site.count("POST", f"{LINK}/views") == 2


def test_a_ready_file_is_not_asked_for_again(page: Page, site: StubSite) -> None:
    page.clock.install()
    visit(page, site, view(name="a.txt", size=1))
    expect(heading(page)).to_have_text("a.txt")

    page.clock.run_for(600_000)

    assert site.count("GET", LINK) == 1


def test_a_link_revoked_since_says_so_when_download_is_pressed(page: Page, site: StubSite) -> None:
    visit(page, site, view(name="a.txt", size=1), problem("link-revoked", 410))
    site.script(f"{LINK}/content", Answer(410))

    page.get_by_role("link", name="Download").click()

    expect(heading(page)).to_have_text("This link was revoked")


def test_download_pressed_while_the_service_is_away_says_so_and_stays(page: Page, site: StubSite) -> None:
    visit(page, site, view(name="a.txt", size=1), HANG_UP)
    site.script(f"{LINK}/content", HANG_UP)

    page.get_by_role("link", name="Download").click()

    expect(page.get_by_text("The service does not answer; trying again.")).to_be_visible()
    expect(heading(page)).to_have_text("a.txt")


# -- a file on its way ------------------------------------------------------------------------------------------------


def test_an_arriving_file_shows_progress_rate_and_time_left(page: Page, site: StubSite) -> None:
    page.clock.install()
    visit(page, site, *(arriving(n * 50_000_000) for n in range(1, 9)))
    expect(page.get_by_role("progressbar")).to_be_visible()

    for n in range(2, 5):
        page.clock.run_for(1_050)
        expect(page.get_by_role("progressbar")).to_have_attribute("value", str(n * 50_000_000))

    expect(page.locator(".line")).to_contain_text("200 MB of 1 GB · ")
    expect(page.locator(".line")).to_contain_text("MB/s · ")
    expect(page.locator(".line")).to_contain_text("s left")


def test_an_arriving_file_turns_ready_by_itself_and_keeps_the_focus(page: Page, site: StubSite) -> None:
    visit(page, site, arriving(10), arriving(20), view(name="film.mp4", size=1_000_000_000))
    button = page.get_by_role("link", name="Download")
    expect(button).to_have_attribute("aria-disabled", "true")
    button.focus()

    expect(page.locator(".pill")).to_have_text("Ready")

    expect(button).to_be_focused()
    expect(button).to_have_attribute("href", f"{LINK}/content")
    expect(button).not_to_have_attribute("aria-disabled", "true")
    expect(page.get_by_role("status")).to_have_text("It has arrived and can be downloaded.")
    expect(page.get_by_role("progressbar")).to_have_count(0)


def test_a_screen_reader_hears_quarters_and_not_every_poll(page: Page, site: StubSite) -> None:
    page.clock.install()
    visit(page, site, *(arriving(n * 10_000_000) for n in (1, 12, 24, 26, 30)))
    status = page.get_by_role("status")
    heard = []
    for sent in (12, 24, 26, 30):
        page.clock.run_for(1_050)
        expect(page.get_by_role("progressbar")).to_have_attribute("value", str(sent * 10_000_000))
        heard.append(status.text_content())

    assert heard == ["", "", "25 % has arrived", "25 % has arrived"]


def test_polling_becomes_slower_and_stops_while_the_page_is_hidden(page: Page, site: StubSite) -> None:
    page.clock.install()
    visit(page, site, arriving(5))
    expect(page.get_by_role("progressbar")).to_be_visible()
    hide(page, True)
    page.clock.run_for(300_000)
    assert site.count("GET", LINK) == 1

    hide(page, False)
    page.wait_for_timeout(300)
    assert site.count("GET", LINK) == 2
    for _ in range(60):
        page.clock.run_for(1_000)
        page.wait_for_timeout(15)
    assert 8 <= site.count("GET", LINK) <= 30


def hide(page: Page, hidden: bool) -> None:
    page.evaluate(
        """hidden => {
            Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
            document.dispatchEvent(new Event("visibilitychange"));
        }""",
        hidden,
    )


def test_a_lost_connection_keeps_the_file_on_the_page_and_recovers(page: Page, site: StubSite) -> None:
    page.clock.install()
    visit(page, site, arriving(10_000_000), HANG_UP, HANG_UP, arriving(20_000_000))
    expect(page.get_by_role("progressbar")).to_be_visible()

    page.clock.run_for(1_050)
    expect(page.locator(".line")).to_have_text("The service does not answer; trying again.")
    expect(heading(page)).to_have_text("film.mp4")

    for _ in range(4):
        page.clock.run_for(10_000)
        page.wait_for_timeout(100)
    expect(page.locator(".line")).to_contain_text("20 MB of 1 GB")


def test_a_stopped_upload_says_so_and_offers_no_download(page: Page, site: StubSite) -> None:
    visit(page, site, arriving(10), view(name="film.mp4", state="stopped", size=1_000_000_000))

    expect(page.get_by_text("The sender stopped before all of it had arrived")).to_be_visible()
    expect(page.get_by_role("link", name="Download")).to_have_count(0)
    expect(page.get_by_role("status")).to_have_text("The sender stopped.")


# -- links that lead nowhere ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "title"),
    [
        (problem("not-found", 404), "Link not found"),
        (problem("bad-request", 400), "Link not found"),
        (gateway(404, "Not Found"), "Link not found"),
        (problem("link-revoked", 410), "This link was revoked"),
        (problem("link-expired", 410), "This link has expired"),
        (problem("content-deleted", 410), "This was deleted"),
        (problem("account-disabled", 403), "Not available"),
        (problem("wrong-door", 403), "Satchel cannot be reached"),
        (problem("busy", 503), "Too many requests just now"),
        (gateway(429, "Too Many Requests"), "Too many requests just now"),
        (gateway(503, "Service Unavailable"), "Satchel cannot be reached"),
        (gateway(500, "Internal Server Error"), "Satchel cannot be reached"),
        (HANG_UP, "Satchel cannot be reached"),
        (Answer(200, {"welcome": "to the hotel"}), "Satchel cannot be reached"),
        (Answer(200, None, {"Content-Type": "text/html"}), "Satchel cannot be reached"),
    ],
)
def test_a_refusal_is_a_plain_sentence(page: Page, site: StubSite, answer: Answer, title: str) -> None:
    visit(page, site, answer)

    expect(heading(page)).to_have_text(title)
    expect(page.locator(".lead")).not_to_be_empty()
    expect(page.get_by_role("link", name="Download")).to_have_count(0)
    assert site.count("POST", f"{LINK}/views") == 0


def test_an_unreachable_service_can_be_tried_again(page: Page, site: StubSite) -> None:
    visit(page, site, HANG_UP)
    button = page.get_by_role("button", name="Try again")
    button.wait_for()
    site.script(LINK, view(name="there.txt", size=1))

    button.press("Enter")

    expect(heading(page)).to_have_text("there.txt")


def test_too_many_requests_are_tried_again_when_the_service_said(page: Page, site: StubSite) -> None:
    page.clock.install()
    visit(page, site, gateway(429, "Too Many Requests", **{"Retry-After": "40"}), view(name="there.txt", size=1))
    expect(heading(page)).to_have_text("Too many requests just now")

    page.clock.run_for(39_000)
    assert site.count("GET", LINK) == 1
    page.clock.run_for(1_500)

    expect(heading(page)).to_have_text("there.txt")


def test_a_revoked_link_is_not_asked_for_again(page: Page, site: StubSite) -> None:
    page.clock.install()
    visit(page, site, problem("link-revoked", 410))
    expect(heading(page)).to_have_text("This link was revoked")

    page.clock.run_for(600_000)

    assert site.count("GET", LINK) == 1


@pytest.mark.parametrize("path", ["/s/", "/s/../../etc", "/s/a%20b", "/s/abc/def", "/elsewhere"])
def test_an_address_that_is_no_link_asks_the_service_nothing(page: Page, site: StubSite, path: str) -> None:
    page.goto(site.origin + path)

    expect(heading(page)).to_have_text("Nothing here")
    assert not [address for _, address in site.requests if address.startswith("/p/")]


def test_the_front_page_says_what_this_is_and_where(page: Page, site: StubSite) -> None:
    page.goto(site.origin + "/")

    expect(heading(page)).to_have_text("Drop a file, get a link")
    expect(page.locator("code")).to_have_text(site.origin)


def test_without_javascript_the_page_says_what_it_needs(person: Callable[..., Page], site: StubSite) -> None:
    page = person(java_script_enabled=False)
    visit(page, site)

    expect(heading(page)).to_have_text("This page needs JavaScript")


# -- folders ----------------------------------------------------------------------------------------------------------


def test_a_folder_lists_its_files_and_each_can_be_downloaded(page: Page, site: StubSite) -> None:
    site.content[f"{LINK}/content?node={2:032x}"] = b"second"
    visit(page, site, folder("Trip", item(1, "one.png", size=1_440_000), item(2, "two.pdf", size=6), folder_id=TOP))

    expect(page.locator(".row .name")).to_have_text(["one.png", "two.pdf"])
    expect(page.locator(".row .meta").first).to_have_text("1.4 MB")
    expect(page.locator(".listing-head .meta")).to_have_text("2 items · 1.4 MB")
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download two.pdf").click()
    assert waiting.value.path().read_bytes() == b"second"


def test_subfolders_open_and_the_back_button_returns(page: Page, site: StubSite) -> None:
    visit(page, site, folder("Trip", {"node_id": INNER, "kind": "folder", "name": "Day 1"}, folder_id=TOP))
    site.script(
        f"{LINK}?folder={INNER}",
        folder("Day 1", {"node_id": DEEP, "kind": "folder", "name": "Raw"}, item(3, "map.svg"), folder_id=INNER),
    )
    site.script(f"{LINK}?folder={DEEP}", folder("Raw", folder_id=DEEP))

    page.get_by_role("link", name="Open Day 1").click()
    expect(heading(page)).to_have_text("Day 1")
    expect(heading(page)).to_be_focused()
    page.get_by_role("link", name="Open Raw").click()
    expect(page.get_by_text("Files show up here as they arrive.")).to_be_visible()
    expect(page.get_by_role("navigation").get_by_role("link")).to_have_text(["Trip", "Day 1"])

    page.go_back()
    expect(heading(page)).to_have_text("Day 1")
    page.go_back()
    expect(heading(page)).to_have_text("Trip")
    assert page.url == site.origin + PAGE
    page.go_forward()
    page.get_by_role("navigation").get_by_role("link", name="Trip").click()
    expect(heading(page)).to_have_text("Trip")
    assert site.count("POST", f"{LINK}/views") == 1


def test_a_subfolder_opened_by_its_address_knows_the_way_up(page: Page, site: StubSite) -> None:
    site.script(LINK, folder("Trip", item(1, "a.txt"), folder_id=TOP))
    site.script(f"{LINK}?folder={INNER}", folder("Day 1", item(3, "map.svg"), folder_id=INNER))

    page.goto(f"{site.origin}{PAGE}?folder={INNER}")
    expect(heading(page)).to_have_text("Day 1")
    page.get_by_role("link", name="Top folder").click()

    expect(heading(page)).to_have_text("Trip")


def test_a_subfolder_that_is_gone_offers_the_way_back(page: Page, site: StubSite) -> None:
    site.script(LINK, folder("Trip", item(1, "a.txt"), folder_id=TOP))
    site.script(f"{LINK}?folder={INNER}", problem("not-found", 404))

    page.goto(f"{site.origin}{PAGE}?folder={INNER}")
    expect(heading(page)).to_have_text("This folder is gone")
    page.get_by_role("link", name="Back to the top folder").click()

    expect(heading(page)).to_have_text("Trip")


def test_more_pages_come_when_asked_for(page: Page, site: StubSite) -> None:
    visit(page, site, folder("Many", *(item(n, f"{n}.txt") for n in range(150)), folder_id=TOP, next="page/2=&"))
    site.script(f"{LINK}?page=page%2F2%3D%26", folder("Many", item(900, "last.txt"), folder_id=TOP))
    expect(page.locator(".listing-head .meta")).to_have_text("150+ items")

    page.get_by_role("button", name="Show more").click()

    expect(page.locator(".row")).to_have_count(151)
    expect(page.get_by_role("link", name="Download last.txt")).to_be_focused()
    expect(page.get_by_role("button", name="Show more")).to_have_count(0)


def test_a_folder_fills_while_its_files_arrive(page: Page, site: StubSite) -> None:
    empty = folder("Trip", folder_id=TOP, state="arriving")
    one = folder("Trip", item(1, "one.png", size=1), folder_id=TOP, state="arriving")
    both = folder("Trip", item(1, "one.png", size=1), item(2, "two.png", size=1), folder_id=TOP)
    visit(page, site, empty, one, both)

    expect(page.get_by_text("Files show up here as they arrive.")).to_be_visible()
    page.get_by_role("link", name="Download one.png").focus()
    expect(page.locator(".row")).to_have_count(2)
    expect(page.get_by_role("link", name="Download one.png")).to_be_focused()
    expect(page.get_by_text("still arriving")).to_have_count(0)


def test_an_empty_folder_says_that_files_may_come_and_shows_them_when_they_do(page: Page, site: StubSite) -> None:
    page.clock.install()
    one = folder("Trip", item(1, "one.png", size=1), folder_id=TOP)
    visit(page, site, folder("Trip", folder_id=TOP), one)

    expect(page.get_by_text("Files show up here as they arrive.")).to_be_visible()
    expect(page.locator(".pill")).to_have_count(0)
    page.clock.run_for(6_000)
    expect(page.locator(".pill")).to_have_text("Ready")
    expect(page.get_by_text("Files show up here as they arrive.")).to_be_visible()
    # Nothing more comes: the page stops asking, and no longer says that it would.
    for _ in range(200):
        pass_time(page, 9)
        if page.get_by_text("as they arrive").count() == 0:
            break
    expect(page.get_by_text("as they arrive")).to_have_count(0)
    expect(page.locator(".row")).to_have_count(1)
    seen = site.count("GET", LINK)
    for _ in range(20):
        pass_time(page, 9)
    assert site.count("GET", LINK) == seen


def pass_time(page: Page, seconds: int) -> None:
    """On the page's clock, while answers come in real time: fewer seconds than it takes the page to give one up."""
    flying: list[Request] = []

    def leaves(request: Request) -> None:
        flying.append(request)

    def is_back(request: Request) -> None:
        if request in flying:
            flying.remove(request)

    events = (("request", leaves), ("requestfinished", is_back), ("requestfailed", is_back))
    for event, listener in events:
        page.on(event, listener)  # type: ignore[call-overload] # overloads by literal names
    page.clock.run_for(seconds * 1000)
    page.wait_for_timeout(20)
    while flying:
        page.wait_for_timeout(10)
    for event, listener in events:
        page.remove_listener(event, listener)


def test_a_file_deleted_since_leaves_the_list_with_a_word(page: Page, site: StubSite) -> None:
    before = folder("Trip", item(1, "one.png"), item(2, "two.png"), folder_id=TOP)
    visit(page, site, before, folder("Trip", item(2, "two.png"), folder_id=TOP))
    site.script(f"{LINK}/content?node={1:032x}", Answer(410))

    page.get_by_role("link", name="Download one.png").click()

    expect(page.get_by_text("“one.png” is no longer here.")).to_be_visible()
    expect(page.locator(".row .name")).to_have_text(["two.png"])


# -- names from anywhere ----------------------------------------------------------------------------------------------


def test_a_name_is_text_and_never_markup(page: Page, site: StubSite) -> None:
    name = "<img src=x onerror=document.title='owned'><script>1</script>.txt"
    visit(page, site, folder(name, item(1, name), folder_id=TOP))

    expect(heading(page)).to_have_text(name)
    expect(page.locator(".row .name")).to_have_text(name)
    expect(page).to_have_title(name)
    assert page.locator("main img, main script").count() == 0


@pytest.mark.parametrize(
    "name",
    ["x" * 255, "🎒" * 63, "two\nlines.txt", "a " * 120 + ".jpeg", "שלום עולם.pdf", "W" * 60 + ".tar.gz"],
)
def test_a_long_or_strange_name_wraps_on_a_narrow_screen(
    person: Callable[..., Page], site: StubSite, name: str
) -> None:
    page = person(viewport={"width": 320, "height": 640})
    states = [
        view(name=name, size=10),
        view(name=name, state="arriving", size=5_497_558_138_880, sent_bytes=999_949_999_999, modified_ms=0),
        folder(name, item(1, name, size=999_949_999), {"node_id": INNER, "kind": "folder", "name": name}, next="x"),
    ]
    for state in states:
        visit(page, site, state)
        heading(page).wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 320


def test_a_name_cannot_turn_its_ending_round(page: Page, site: StubSite) -> None:
    visit(page, site, view(name="holiday\u202egpj.exe", size=10))

    expect(heading(page)).to_have_text("holiday\ufffdgpj.exe")
    expect(page.locator(".badge")).to_have_text("EXE")
    assert page.locator("h1 bdi").get_attribute("dir") == "auto"


# -- manners ----------------------------------------------------------------------------------------------------------


def test_the_page_talks_to_its_own_site_only_and_leaks_no_address(page: Page, site: StubSite) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    visit(page, site, view(name="a.txt", size=1))
    expect(page.locator(".pill")).to_have_text("Ready")
    page.wait_for_load_state("networkidle")

    assert {url.split("/")[2] for url in asked} == {site.origin.split("/")[2]}
    assert site.referrers == set()
    expect(page.locator("meta[name=robots]")).to_have_attribute("content", "noindex, nofollow")


def test_everything_can_be_done_with_the_keyboard(page: Page, site: StubSite) -> None:
    site.content[f"{LINK}/content"] = b"by keys"
    visit(page, site, view(name="a.txt", size=7))
    expect(page.locator(".pill")).to_have_text("Ready")

    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Download")).to_be_focused()
    with page.expect_download() as waiting:
        page.keyboard.press("Enter")

    assert waiting.value.path().read_bytes() == b"by keys"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_stand_out_from_their_ground(person: Callable[..., Page], site: StubSite, scheme: str) -> None:
    page = person(color_scheme=scheme)
    visit(page, site, folder("Trip", item(1, "one.txt", size=1), folder_id=TOP, state="arriving"))
    heading(page).wait_for()
    listing = page.evaluate(CONTRASTS)
    visit(page, site, view(name="a.txt", size=1, state="ready"))
    heading(page).wait_for()

    low = {text: ratio for text, ratio in (listing | page.evaluate(CONTRASTS)).items() if ratio < 4.5}
    assert low == {}


# WCAG contrast of each text against the nearest painted ground; badges are pictures and repeat the name's ending.
CONTRASTS = """() => {
  const rgb = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const paint = el => rgb(getComputedStyle(el).backgroundColor);
  const ground = el => paint(el)[3] === 0 ? ground(el.parentElement) : paint(el);
  const found = {};
  for (const el of document.body.querySelectorAll("*")) {
    const own = [...el.childNodes].filter(n => n.nodeType === 3).map(n => n.data.trim()).join("");
    if (!own || el.closest(".badge, noscript, .visually-hidden")) continue;
    const [a, b] = [light(rgb(getComputedStyle(el).color)), light(ground(el))].sort((x, y) => y - x);
    found[own] = (a + .05) / (b + .05);
  }
  return found;
}"""


def test_nothing_moves_for_those_who_asked_for_stillness(person: Callable[..., Page], site: StubSite) -> None:
    page = person(reduced_motion="reduce")
    visit(page, site, arriving(0))
    page.get_by_role("progressbar").wait_for()

    assert page.evaluate("document.getAnimations().length") == 0
