"""The cards and the report of a bundle, from a real server: what they are, and what cannot run in them."""

import re
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import httpx2
import pytest

from pipeline.runtime import bundle_store
from tests.support.parcels import Parcels
from tests.support.penguins import Penguins
from tests.support.server import serving

BROWSER = {"accept": "text/html"}
REPORT = b"<!doctype html><style>p {color: red}</style><script>alert(1)</script><p style='top: 0'>Report</p>"
HOSTILE = r"# Model card: tiny\n\nx\n\n## Groups\n\n- \<script\>alert(1)\</script\>\n\n| a |\n|---|\n| \<b\> \| c |\n"


class Tags(HTMLParser):
    """The elements of a page, each with the names of its attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, list[str]]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, [name for name, _ in attrs]))


@pytest.fixture(scope="module")
def changed(parcels: Parcels, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    """A server of a bundle with a report, a card that somebody tampered with, and no data card."""
    files = {path.name: path.read_bytes() for path in parcels.bundle.iterdir() if path.name != bundle_store.SUMS}
    del files["DATA_CARD.md"]
    files |= {"report.html": REPORT, "MODEL_CARD.md": HOSTILE.replace(r"\n", "\n").encode()}
    with serving(bundle_store.write(tmp_path_factory.mktemp("changed"), files)) as client:
        yield client


@pytest.mark.parametrize(("path", "name"), [("/model/card", "MODEL_CARD.md"), ("/model/data-card", "DATA_CARD.md")])
def test_a_card_is_markdown_and_a_page_for_a_browser(
    server: httpx2.Client, parcels: Parcels, path: str, name: str
) -> None:
    plain = server.get(path).raise_for_status()
    assert plain.headers["content-type"] == "text/markdown; charset=utf-8"
    assert plain.content == (parcels.bundle / name).read_bytes()

    page = server.get(path, headers=BROWSER).raise_for_status()
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert plain.headers["vary"] == page.headers["vary"] == "accept"
    titles = re.findall(r"^##? (.*)$", plain.text, re.MULTILINE)
    assert re.findall(r"<h[12]>(.*)</h", page.text) == titles
    assert page.text.count("<tr>") == plain.text.count("\n|") - plain.text.count("\n|--")
    assert page.text.count("<li>") == plain.text.count("\n- ")
    assert not re.search(r"\\[^\w\s]", page.text)
    for address in re.findall(r'(?:href|src)="([^"]+)"', page.text):
        assert server.get(str(httpx2.URL(str(page.url)).join(address))).status_code == 200, address


def test_a_card_of_several_classes_is_a_page_too(penguins: Penguins) -> None:
    with serving(penguins.store) as client:
        page = client.get("/model/card", headers=BROWSER).raise_for_status().text
        assert "<td>recall Adelie</td>" in page
        assert "<li>Declared: not declared (card.contest in the config)</li>" in page


def test_nothing_in_a_card_becomes_an_element(changed: httpx2.Client) -> None:
    page = changed.get("/model/card", headers=BROWSER).raise_for_status().text
    assert "<li>&lt;script&gt;alert(1)&lt;/script&gt;</li>" in page
    assert "<td>&lt;b&gt; | c</td>" in page
    assert [names for tag, names in Tags(page).elements if tag == "script"] == [["src", "defer"]]


def test_the_report_shows_its_styles_and_no_script_can_run(changed: httpx2.Client) -> None:
    """Neither from elsewhere nor in the file: no source of scripts is allowed."""
    answer = changed.get("/model/report").raise_for_status()
    assert answer.content == REPORT
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    rules = dict(rule.strip().split(" ", 1) for rule in answer.headers["content-security-policy"].split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["style-src"] == "'unsafe-inline'"
    assert not [rule for rule in rules if rule.startswith(("script-src", "img-src"))]


@pytest.mark.parametrize("accept", ["text/html", "*/*"])
def test_a_document_that_the_bundle_lacks_is_a_404_that_says_why(
    server: httpx2.Client, changed: httpx2.Client, parcels: Parcels, accept: str
) -> None:
    headers = {"accept": accept}
    absent = changed.get("/model/data-card", headers=headers)
    assert absent.status_code == 404
    digest = parcels.bundle.name
    text = f"DATA_CARD.md: the bundle {digest} has none. `make train` writes it"
    assert text in absent.text
    page = server.get("/model", headers=BROWSER).text
    assert 'href="model/card"' in page
    assert 'href="model/data-card"' in page
    there = changed.get("/model", headers=BROWSER).text
    assert 'href="model/data-card"' not in there
    assert 'href="model/report"' in there


def test_the_documents_need_the_key_that_the_model_needs(parcels: Parcels, tmp_path: Path) -> None:
    shutil.copytree(parcels.bundle, tmp_path / parcels.bundle.name)
    with serving(tmp_path / parcels.bundle.name, API_KEYS="3f9c2b7e51d84a06") as client:
        for path in ("/model/card", "/model/data-card", "/model/report"):
            assert client.get(path).status_code == 401
