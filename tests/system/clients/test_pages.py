"""The other pages in a real browser: errors, the model, the API and the monitor, on a phone and in the dark too."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from conftest import PYTHON, ROOT, serving
from playwright.sync_api import Browser, Page, expect
from test_browser import DESK, PHONE, clean
from test_browser import browser as browser
from test_browser import visit as visit

BOTH_SIZES = pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
BOTH_SCHEMES = pytest.mark.parametrize("scheme", ["light", "dark"])


def fits(page: Page) -> bool:
    """Whether the page has nothing beside the screen: neither itself nor a part of it scrolls sideways."""
    is_wide = "part => part.scrollWidth > part.clientWidth"
    return not page.evaluate(f"[...document.querySelectorAll('html, .scroll, .wide')].some({is_wide})")


def ground(page: Page) -> int:
    """How light the page's ground is, 0 to 255. Its colour is that of the body or, where that has none, of the root."""
    color = page.evaluate(
        """[document.body, document.documentElement].map(part => getComputedStyle(part).backgroundColor)
            .find(color => color !== 'rgba(0, 0, 0, 0)') || 'rgb(255, 255, 255)'"""
    )
    return int(color.removeprefix("rgb(").split(",")[0])


@BOTH_SIZES
@BOTH_SCHEMES
@pytest.mark.parametrize(
    ("path", "status", "text"),
    [
        ("/no/<b>such</b>/path", 404, "There is no path /no/<b>such</b>/path"),
        ("//elsewhere.example/" + "a" * 300, 404, "There is no path //elsewhere.example/aaa"),
        ("/predict", 405, "GET is not supported here; send POST"),
    ],
)
def test_an_error_is_a_page_that_leads_back(
    address: str, visit: Callable[..., Page], viewport: Any, scheme: str, path: str, status: int, text: str
) -> None:
    page = visit(address, f"http://{address}{path}", refused=status, viewport=viewport, color_scheme=scheme)
    expect(page.locator(".problem")).to_contain_text(text)
    assert page.locator("main b").count() == 0
    assert (ground(page) > 200) == (scheme == "light")
    assert fits(page)
    clean(page)
    page.get_by_role("link", name="Back to the form").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Will this parcel arrive late?")
    assert page.url == f"http://{address}/"


def test_an_error_of_the_form_leaves_what_was_filled_in(parcels: Path, visit: Callable[..., Page]) -> None:
    """The script shows the sentence of the error page beside the button; without it the whole page is shown."""
    with serving(parcels, MAX_BODY_BYTES="100") as address:
        page = visit(address, refused=413)
        page.locator("#field-weight").fill("123")
        page.get_by_role("button", name="Predict").click()
        expect(page.locator(".status")).to_have_text("The body is larger than 100 bytes (MAX_BODY_BYTES)")
        expect(page.locator("#field-weight")).to_have_value("123")
        expect(page.get_by_role("button", name="Predict")).to_be_enabled()

        page = visit(address, refused=413, java_script_enabled=False)
        page.get_by_role("button", name="Predict").click()
        expect(page.locator(".problem")).to_have_text("The body is larger than 100 bytes (MAX_BODY_BYTES)")
        page.get_by_role("link", name="Back to the form").click()
        expect(page.locator("#field-weight")).to_be_visible()


@BOTH_SCHEMES
def test_the_api_leads_back_in_the_colours_of_the_browser(
    address: str, visit: Callable[..., Page], scheme: str
) -> None:
    page = visit(address, "/docs", color_scheme=scheme)
    expect(page.get_by_text("/predict/batch", exact=True)).to_be_visible()
    assert (ground(page) > 200) == (scheme == "light")
    page.get_by_role("link", name="parcels: the form").click()
    assert page.url == f"http://{address}/"


@BOTH_SIZES
@BOTH_SCHEMES
def test_the_model_can_be_read_without_scrolling_sideways(
    address: str, visit: Callable[..., Page], viewport: Any, scheme: str
) -> None:
    page = visit(address, "/model", viewport=viewport, color_scheme=scheme)
    assert fits(page)
    clean(page)
    gate = httpx2.get(f"http://{address}/model").json()["record"]["gates"][0]
    row = page.get_by_role("region", name="Gates").get_by_role("row").nth(1)
    assert row.locator(":scope > *").all_inner_texts() == [gate["gate"], gate["value"], gate["limit"], gate["why"]]
    heading = row.locator("td").first.evaluate("cell => getComputedStyle(cell, '::before').content")
    assert heading == ('"value: "' if viewport is PHONE else "none")


@pytest.fixture(scope="session")
def monitor_page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("monitor") / "monitor.html"
    command = [str(PYTHON), "-m", "tests.support.monitored", str(path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return path


@BOTH_SIZES
@BOTH_SCHEMES
def test_the_monitors_page_is_one_file_for_every_screen(
    browser: Browser, monitor_page: Path, viewport: Any, scheme: str
) -> None:
    page = browser.new_page(viewport=viewport, color_scheme=scheme)
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url.partition(":")[0]))
    page.goto(monitor_page.as_uri())
    expect(page.get_by_text("roc_auc is degraded in 2 of the last 3 windows")).to_be_visible()
    pictures = page.locator("img").all()
    assert len(pictures) == 5
    for picture in pictures:
        assert picture.evaluate("image => image.complete && image.naturalWidth > 500")
        assert picture.bounding_box()["width"] > 300
    assert set(asked) <= {"file", "data"}
    assert (ground(page) > 200) == (scheme == "light")
    assert fits(page)
    clean(page)
    page.close()
