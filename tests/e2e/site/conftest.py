from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from e2e.site.chromium import chromium
from e2e.site.stub_site import StubSite


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture
def site() -> Iterator[StubSite]:
    with StubSite() as running:
        yield running


@pytest.fixture
def person(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Makes a page of a reader in London; fails the test when the page breaks its own content policy or throws."""
    contexts = []
    complaints: list[str] = []

    def make(**options: Any) -> Page:
        settings = {"locale": "en-GB", "timezone_id": "Europe/London", "viewport": {"width": 950, "height": 760}}
        context = browser.new_context(**(settings | options))
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(10_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda said: complaints.append(said.text) if "Content Security" in said.text else None)
        return page

    yield make
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def page(person: Callable[..., Page]) -> Page:
    return person()
