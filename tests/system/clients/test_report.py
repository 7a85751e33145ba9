"""The page of a training in a real browser: light and dark, on a desk and on a phone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page
from test_browser import DESK, PHONE, clean
from test_browser import browser as browser


@pytest.fixture
def report(browser: Browser, parcels: Path, viewport: Any, scheme: Any) -> Iterator[Page]:
    """The page of a trained bundle, opened as a file. It may load nothing else."""
    loaded: list[str] = []
    file = (parcels / (parcels / "champion").read_text().strip() / "report.html").as_uri()
    context = browser.new_context(viewport=viewport, color_scheme=scheme)
    page = context.new_page()
    page.on("request", lambda request: loaded.append(request.url))
    page.on("console", lambda message: loaded.append(message.text))
    page.goto(file)

    yield page
    context.close()
    assert loaded == [file]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
def test_the_report_is_readable_everywhere(report: Page, viewport: Any, scheme: Any) -> None:
    """Axe finds nothing, the page is no wider than the screen, and wide tables scroll in their own box."""
    clean(report)
    assert report.evaluate("document.documentElement.scrollWidth") <= viewport["width"]
    for box in report.locator(".scroll").all():
        right = box.evaluate("box => box.getBoundingClientRect().right")
        assert right <= viewport["width"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESK], ids=["desk"])
def test_the_report_has_the_colours_that_a_reader_prefers(report: Page, scheme: str) -> None:
    """Its pictures follow: the text in them is as light or as dark as the rest."""
    ground, ink = (
        report.evaluate("getComputedStyle(document.body)['background-color']"),
        report.locator("figure svg text").first.evaluate("text => getComputedStyle(text).fill"),
    )
    levels = [sum(map(int, colour.removeprefix("rgb(").removesuffix(")").split(","))) for colour in (ground, ink)]
    assert (levels[0] > levels[1]) == (scheme == "light")


@pytest.mark.parametrize("scheme", ["light"])
@pytest.mark.parametrize("viewport", [PHONE], ids=["phone"])
def test_every_entry_of_the_contents_leads_to_its_section(report: Page) -> None:
    links = report.locator("nav a")
    assert links.count() >= 9
    for link in links.all():
        place = str(link.get_attribute("href"))
        assert report.locator(f"section{place} h2").inner_text() == link.inner_text()
        link.click()
        report.wait_for_function("place => location.hash === place", arg=place)
    for picture in report.locator("svg[role=img]").all():
        assert picture.get_attribute("aria-label")


def test_the_server_shows_it_with_its_styles(browser: Browser, address: str) -> None:
    """The server's content policy forbids scripts and other hosts: the page needs neither."""
    faults: list[str] = []
    page = browser.new_page()
    page.on("console", lambda message: faults.append(message.text))
    page.goto(f"http://{address}/model/report")

    assert page.locator("figure svg").count() >= 10
    assert page.evaluate("getComputedStyle(document.querySelector('.tiles')).display") == "grid"
    page.close()
    assert faults == []
