"""The page in a real browser: asked, read, compared with the API; by keyboard; on a phone; with and without script."""

import json
import re
import shutil
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx2
import pytest
from axe_playwright_python.sync_playwright import Axe
from conftest import serving
from playwright.sync_api import Browser, Page, expect, sync_playwright
from sklearn.datasets import load_breast_cancer
from test_shap import CANDIDATES, GATES
from test_shap import diabetes as diabetes

PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 900}
ASKED = {
    "carrier": "B6",
    "depot": "NTH",
    "city": "ROM",
    "sent": "2013-12-02T17:30",
    "weight": 75,
}


@pytest.fixture(scope="module")  # while it runs, no other test can have an event loop
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        pytest.fail("these tests drive Debian's Chromium: apt install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def example(parcels: Path) -> dict[str, Any]:
    """The row that the form shows first: the first example of the bundle, without its missing values."""
    columns = json.loads((parcels / (parcels / "champion").read_text().strip() / "examples.json").read_text())[
        "columns"
    ]
    return {name: values[0] for name, values in columns.items() if values[0] is not None}


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens a page; nothing may be loaded from elsewhere, and nothing may go wrong in the console."""
    faults: list[str] = []
    opened: list[Any] = []

    def open_page(address: str, path: str = "/", *, refused: int = 0, **context: Any) -> Page:
        opened.append(browser.new_context(base_url=f"http://{address}", **context))
        page = opened[-1].new_page()
        expected = re.compile(f"status of {refused}") if refused else None
        page.on(
            "console",
            lambda said: (
                faults.append(said.text)
                if said.type == "error" and not (expected and expected.search(said.text))
                else None
            ),
        )
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "request", lambda asked: faults.append(asked.url) if not asked.url.startswith(f"http://{address}") else None
        )
        page.goto(path)
        return page

    yield open_page
    for context in opened:
        context.close()
    assert faults == []


@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_what_the_page_answers_is_what_the_api_answers(
    address: str, visit: Callable[..., Page], example: dict[str, Any], viewport: Any, script: bool
) -> None:
    page = visit(address, viewport=viewport, java_script_enabled=script)
    page.get_by_role("button", name="Predict").click()
    said = httpx2.post(f"http://{address}/explain", json=example).raise_for_status().json()
    expect(page.locator(".headline")).to_have_text(f"{said['probability'] * 100:.0f} % likely")
    expect(page.locator(".headline")).to_be_focused()
    expect(page.locator(".reasons li").first).to_have_attribute("data-field", said["contributions"][0]["field"])
    assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]


def test_errors_stand_at_their_fields_in_the_words_of_the_api(address: str, visit: Callable[..., Page]) -> None:
    page = visit(address, refused=422)
    page.locator("summary").click()
    for name, value in {"weight": "18.5", "temp": "warm", "sent": ""}.items():
        page.locator(f"#field-{name}").fill(value)
    page.get_by_role("button", name="Predict").click()
    sent = {**ASKED, "weight": 18.5, "temp": "warm"}
    del sent["sent"]
    told = httpx2.post(f"http://{address}/predict", json=sent).json()["errors"]
    assert {each["field"] for each in told} == {"weight", "temp", "sent"}
    for each in told:
        expect(page.locator(f"#error-{each['field']}")).to_have_text(each["message"])
        expect(page.locator(f"#field-{each['field']}")).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_role("alert")).to_be_focused()
    expect(page.locator("#field-temp")).to_have_value("warm")


def test_it_can_be_asked_by_keyboard_alone(address: str, visit: Callable[..., Page], example: dict[str, Any]) -> None:
    page = visit(address)
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "field-weight":
            break
    page.keyboard.press("Control+A")
    page.keyboard.type("200")
    page.keyboard.press("Enter")
    said = httpx2.post(f"http://{address}/predict", json={**example, "weight": 200}).json()
    expect(page.locator(".headline")).to_have_text(f"{said['probability'] * 100:.0f} % likely")
    assert page.evaluate("document.activeElement.className") == "headline"


@pytest.mark.parametrize("script", [True, False], ids=["script", "no script"])
def test_a_real_parcel_is_filled_in_and_told_how_it_ended(
    address: str, visit: Callable[..., Page], script: bool
) -> None:
    page = visit(address, java_script_enabled=script)
    page.get_by_role("button", name="Try a real parcel").click()
    first = page.locator("#field-sent").input_value()
    expect(page.locator("#field-temp")).to_be_visible()
    page.get_by_role("button", name="Predict").click()
    expect(page.locator(".outcome")).to_contain_text(re.compile(r"The actual outcome: Arrived late: (yes|no)"))
    page.get_by_role("button", name="Try a real parcel").click()
    expect(page.locator("#field-sent")).not_to_have_value(first)
    page.locator("#field-weight").fill("199")
    page.get_by_role("button", name="Predict").click()
    expect(page.locator(".headline")).to_be_visible()
    assert page.locator(".outcome").count() == 0  # it is another parcel now


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [PHONE, DESK], ids=["phone", "desk"])
def test_axe_finds_nothing(address: str, visit: Callable[..., Page], viewport: Any, scheme: str) -> None:
    page = visit(address, viewport=viewport, color_scheme=scheme, refused=422)
    clean(page)
    page.get_by_role("button", name="Predict").click()
    expect(page.locator(".headline")).to_be_visible()
    page.locator("details summary").last.click()
    clean(page)
    page.locator("#field-weight").fill("5")
    page.get_by_role("button", name="Predict").click()
    expect(page.get_by_role("alert")).to_be_visible()
    clean(page)
    for path in ("/model", "/model/card", "/model/data-card"):
        page.goto(path)
        clean(page)
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def clean(page: Page) -> None:
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_the_model_tells_of_itself_and_leads_to_its_report(address: str, visit: Callable[..., Page]) -> None:
    page = visit(address, "/model")
    told = httpx2.get(f"http://{address}/model").json()
    expect(page.locator("main")).to_contain_text(told["version"])
    row = page.get_by_role("region", name="Metrics").get_by_role("row", name="roc_auc")
    expect(row).to_contain_text(f"{told['metrics']['roc_auc']['value']:.4g}")
    page.get_by_role("link", name="Report of its training").click()
    expect(page.get_by_role("heading", name="ROC curve")).to_be_visible()


def test_a_report_shows_its_styles_and_none_of_its_scripts_runs(
    browser: Browser, parcels: Path, tmp_path: Path
) -> None:
    bundle = shutil.copytree(parcels / (parcels / "champion").read_text().strip(), tmp_path / "bundle")
    report = b"""<!doctype html><title>Report</title><style>p {color: rgb(1, 2, 3)}</style><p onclick="document.title = 'no'">Text</p>
    <img src="http://127.0.0.1:9/x.png"><script>document.title = "no"</script><script src="/web/script.js"></script>"""
    (bundle / "report.html").write_bytes(report)
    with (bundle / "SHA256SUMS").open("a") as sums:
        sums.write(f"{sha256(report).hexdigest()}  report.html\n")

    with serving(bundle) as address:
        page = browser.new_page()
        loaded: list[str] = []
        page.on("response", lambda response: loaded.append(response.url))
        page.goto(f"http://{address}/model/report")
        page.locator("p").click()
        expect(page.locator("p")).to_have_css("color", "rgb(1, 2, 3)")
        assert page.title() == "Report"
        assert loaded == [f"http://{address}/model/report"]
        page.close()


@pytest.fixture(scope="session")
def cancer(table: Callable[..., Path]) -> Path:
    limits = {"roc_auc": {"low": 0.9, "high": 1}, "log_loss": {"low": 0, "high": 0.3}, "ece": {"low": 0, "high": 0.1}}
    return table(
        "cancer", load_breast_cancer(as_frame=True).frame, question="Is this tumour benign?", task="binary",
        target={"kind": "boolean", "known": "after", "meaning": "Benign"}, costs={"miss": 1, "false_alarm": 1},
        split={"by": "row", "holdout": 0.25, "folds": 3}, candidates=CANDIDATES,
        gates={**GATES, "min_gain": 0.1, "holdout": limits},
    )  # fmt: skip


def test_it_serves_another_question_without_a_change(cancer: Path, visit: Callable[..., Page]) -> None:
    with serving(cancer) as address:
        page = visit(address)
        expect(page.get_by_role("heading", level=1)).to_have_text("Is this tumour benign?")
        page.get_by_role("button", name="Try a real case").click()
        page.get_by_role("button", name="Predict").click()
        expect(page.locator(".headline")).to_contain_text("% likely")
        expect(page.locator(".outcome")).to_contain_text("Benign: ")
        clean(page)


def test_it_serves_a_number_without_a_change(diabetes: Path, visit: Callable[..., Page]) -> None:
    with serving(diabetes) as address:
        page = visit(address)
        page.get_by_role("button", name="Predict").click()
        expect(page.locator(".headline")).to_have_text(re.compile(r"^\d+ points$"))
        expect(page.locator(".reasons li").first).to_contain_text(re.compile(r"(adds|subtracts) [\d.]+ points"))
        clean(page)
        page.goto("model")
        clean(page)


def test_where_keys_are_asked_for_a_browser_may_give_one_as_a_password(
    parcels: Path, visit: Callable[..., Page]
) -> None:
    key = "3f9c2b7e51d84a06"
    with serving(parcels, API_KEYS=key) as address:
        page = visit(address, http_credentials={"username": "anyone", "password": key})
        page.get_by_role("button", name="Predict").click()
        expect(page.locator(".headline")).to_be_visible()
        page.goto("model")
        expect(page.get_by_role("heading", level=1)).to_contain_text("the model")
