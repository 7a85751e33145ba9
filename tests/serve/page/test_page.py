"""The page as HTML: what it asks, what it answers, and what it must not let through."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from types import SimpleNamespace

import httpx2
import pytest

from pipeline.runtime.contract import Column
from pipeline.runtime.predictor import load
from serve.page.form import format_value, to_row
from serve.page.text import format_number as shown_text
from serve.page.views import model_page
from tests.support import ROOT
from tests.support.parcels import REQUIRED, Parcels
from tests.support.server import serving

BROWSER = {"accept": "text/html"}


class Form(HTMLParser):
    """The fields of a page with the values that they hold, and every address that it loads."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self.loads: list[str] = []
        self._select = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        about = {name: value or "" for name, value in attrs}
        if tag == "input":
            self.values[about["name"]] = about.get("value", "")
        if tag == "select":
            self._select = about["name"]
        if tag == "option" and "selected" in about:
            self.values[self._select] = about["value"]
        if tag in ("script", "link", "img"):
            self.loads.append(about.get("src") or about.get("href", ""))
        assert not [name for name in about if name == "style" or name.startswith("on")], (
            about
        )  # the policy forbids them


def page_of(server: httpx2.Client, path: str = "/") -> str:
    return server.get(path, headers=BROWSER).raise_for_status().text


def asked(server: httpx2.Client, **given: object) -> httpx2.Response:
    return server.post("/answer", data=given, headers=BROWSER)


def test_the_form_asks_what_the_contract_says_the_required_first(server: httpx2.Client, parcels: Parcels) -> None:
    values = Form(page_of(server)).values
    asks = [name for name in values if not name.startswith("_")]
    assert asks[:5] == ["carrier", "depot", "city", "sent", "weight"]
    assert set(asks) == set(parcels.config.request)
    first = load(parcels.bundle).examples[0].row
    assert {name: values[name] for name in asks if values[name]} == {name: format_value(first[name]) for name in first}
    page = page_of(server)
    assert "NTH – North Hall" in page
    assert "-60 to 130 °F" in page


def test_the_answer_is_that_of_the_api_with_its_reasons(server: httpx2.Client) -> None:
    said = server.post("/explain", json=REQUIRED).raise_for_status().json()
    page = asked(server, **REQUIRED, temp="").raise_for_status().text
    assert f"{said['probability'] * 100:.0f} % likely" in page
    fields = re.findall(r'data-field="(\w+)"', page)
    assert fields == [each["field"] for each in said["contributions"]]


def test_what_is_remembered_is_told_in_words(server: httpx2.Client) -> None:
    sent = {**{name: str(value) for name, value in REQUIRED.items()}, "late_1d_depot_carrier": "0.31"}
    page = server.post("/answer", data=sent, headers=BROWSER).text
    assert "The day before, 31 % of B6 parcels from NTH were late" in page
    assert page.count("no outcomes are known, so the average of 31 %") == 2


def test_every_example_is_filled_in_as_it_was_and_told_how_it_ended(server: httpx2.Client, parcels: Parcels) -> None:
    predictor = load(parcels.bundle)
    for number, example in enumerate(predictor.examples):
        values = Form(page_of(server, f"/?example={number}")).values
        page = asked(server, **values).raise_for_status().text
        assert f"<strong>{'yes' if example.outcome else 'no'}</strong></p>" in page, number
    assert len(predictor.examples) == 20
    assert {example.outcome for example in predictor.examples} == {True, False}
    assert "The actual outcome" not in asked(server, **REQUIRED, _example="0").text


def test_the_page_names_the_optional_fields_that_matter_most(server: httpx2.Client) -> None:
    """Before anything is predicted, with the mean change of the prediction if the field is empty."""
    named = re.search(r"prediction if they are empty: (.*?)\.</p>", page_of(server))
    assert named is not None
    points = [float(number) for number in re.findall(r"\(([\d.]+) percentage points\)", named[1])]
    assert len(points) == 3
    assert points == sorted(points, reverse=True)
    assert points[0] > 1


def test_the_model_page_shows_predictions_without_optional_columns(server: httpx2.Client) -> None:
    page = page_of(server, "/model")
    assert '<th scope="row">weather</th>' in page
    assert '<th scope="row">all optional columns</th>' in page


def test_who_reloads_an_answer_gets_the_form_again(server: httpx2.Client) -> None:
    assert Form(page_of(server, "/answer")).values == Form(page_of(server)).values


@pytest.mark.parametrize("number", ["-1", "x", "99999999999999999999", "", "²"])
def test_an_example_that_is_not_there_is_the_first(server: httpx2.Client, number: str) -> None:
    assert Form(page_of(server, f"/?example={number}")).values == Form(page_of(server)).values


def test_an_error_stands_at_its_field_in_the_words_of_the_api(server: httpx2.Client) -> None:
    """Nothing that was filled in is lost."""
    wrong = {**REQUIRED, "weight": "1e999", "temp": "<script>", "depot": "XXX"}
    refused = asked(server, **wrong)
    assert refused.status_code == 422
    told = server.post("/predict", content=re.sub('"1e999"', "1e999", httpx2.Request("POST", "/", json=wrong).content.decode()),
                       headers={"content-type": "application/json"}).json()["errors"]  # fmt: skip
    for each in told:
        message = re.escape(each["message"]).replace("'", "&#39;")
        assert re.search(rf'id="error-{each["field"]}">{message}<', refused.text), each
    assert {each["field"] for each in told} == {"weight", "temp", "depot"}
    assert "<script>" not in refused.text.split("<main>")[1]
    assert Form(refused.text).values["temp"] == "<script>"
    assert Form(refused.text).values["depot"] == "XXX"


def test_a_page_of_an_older_model_says_that_another_one_answers(server: httpx2.Client, parcels: Parcels) -> None:
    sentence = "The model has changed since this page was opened"
    assert sentence in asked(server, **REQUIRED, _version="0123456789abcdef").text
    assert sentence not in asked(server, **REQUIRED, _version=parcels.bundle.name).text


def test_nothing_is_loaded_from_elsewhere_and_the_policy_forbids_it(server: httpx2.Client) -> None:
    for path in ("/", "/model"):
        answer = server.get(path, headers=BROWSER)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["vary"] == "accept"
        loads = Form(answer.text).loads
        assert len(loads) >= 3
        for address in loads:
            assert "//" not in address
            assert server.get(f"/{address}").status_code == 200, address
    assert "immutable" in server.get("/web/style.css").headers["cache-control"]


def test_the_model_tells_its_facts_to_people_as_it_does_to_machines(server: httpx2.Client) -> None:
    facts, page = server.get("/model").json(), page_of(server, "/model")
    assert facts["version"] in page
    for gate in facts["record"]["gates"]:
        assert gate["value"].replace("'", "&#39;") in page
    for figure in facts["metrics"].values():
        assert f"{figure['value']:.4g}" in page
    for path in ("report", "card", "data-card"):
        assert f'<a href="model/{path}">' in page


def test_the_model_lists_what_it_is_asked_without_private_columns(parcels: Parcels) -> None:
    """The target and what is known only afterwards are no fields either."""
    predictor = load(parcels.bundle)
    columns = {**predictor.contract.columns}
    columns["city"] = columns["city"].model_copy(update={"private": True, "meaning": "Hidden city"})
    contract = predictor.contract.model_copy(update={"columns": columns})
    contract.__dict__.pop("request", None)
    model = SimpleNamespace(contract=contract, predictor=predictor, version="v", root_path="")
    page = bytes(model_page(model, {"record": predictor.record, "metrics": {}}).body).decode()

    fields = page.split('aria-label="Fields"')[1]
    named = re.findall(r'<th scope="row">(\w+)</th>', fields)
    assert named == [name for name in contract.request if name != "city"]
    assert contract.target not in named
    assert "Hidden city" not in page
    assert f"It predicts: {columns[contract.target].meaning}. " in page
    assert "and 1 private one that no log has." in page


def test_platforms_still_get_json(server: httpx2.Client) -> None:
    assert server.get("/").json()["status"] == "alive"
    assert server.get("/", headers={"accept": "*/*"}).json()["status"] == "alive"
    assert server.get("/model", headers={"accept": "application/json"}).json()["name"] == "parcels"


@pytest.fixture(scope="module")
def guarded(parcels: Parcels) -> Iterator[httpx2.Client]:
    with serving(parcels.store, API_KEYS="3f9c2b7e51d84a06") as client:
        yield client


def test_a_browser_is_asked_for_the_key_as_a_password(guarded: httpx2.Client) -> None:
    refused = asked(guarded, **REQUIRED)
    assert refused.status_code == 401
    assert refused.headers["www-authenticate"].startswith("Basic ")
    assert (
        guarded.post("/answer", data=REQUIRED, headers=BROWSER, auth=("anyone", "3f9c2b7e51d84a06")).status_code == 200
    )
    for wrong in ("anyone:no", "3f9c2b7e51d84a06", "YW55b25lOm5v"):
        assert (
            guarded.post("/answer", data=REQUIRED, headers={**BROWSER, "authorization": f"Basic {wrong}"}).status_code
            == 401
        )
    assert guarded.get("/model/report").status_code == 401
    assert guarded.get("/web/style.css").status_code == 200


def test_the_page_asks_for_the_key_because_it_shows_rows(
    guarded: httpx2.Client,
) -> None:
    """The health at the same address does not ask for the key."""
    for path in ("/", "/?example=0", "/answer"):
        assert guarded.get(path, headers=BROWSER).status_code == 401
        assert guarded.get(path, headers=BROWSER, auth=("anyone", "3f9c2b7e51d84a06")).status_code == 200
    assert guarded.get("/").json()["status"] == "alive"


@pytest.mark.parametrize("example", ["9" * 5000, "-1", "²", "x"])
def test_a_number_of_an_example_that_is_none_does_no_harm(server: httpx2.Client, example: str) -> None:
    assert asked(server, **REQUIRED, _example=example).status_code == 200


def test_no_file_but_the_documents_can_be_had_from_the_bundle(server: httpx2.Client) -> None:
    for path in (
        "/model/bundle.json",
        "/model/roc.png",
        "/model/../bundle.json",
        "/web/ask.html",
        "/web/../__init__.py",
    ):
        assert server.get(path).status_code == 404


def test_the_page_knows_no_column_of_any_dataset() -> None:
    page = ROOT / "serve/page"
    sources = [*page.glob("web/*"), *page.glob("*.py")]
    text = "".join(path.read_text() for path in sources)
    assert not re.search("flight|carrier|airport|weather", text)


def test_a_category_with_blanks_is_sent_as_it_is() -> None:
    kinds = {"kind": "category", "size": "number"}
    columns = {name: Column(kind=kind, known="before", meaning="Any of it") for name, kind in kinds.items()}
    stand = SimpleNamespace(contract=SimpleNamespace(request=columns))
    assert to_row(stand, {"kind": " Private", "size": " 7 "}) == {"kind": " Private", "size": 7.0}
    assert to_row(stand, {"kind": "", "size": "  "}) == {}


@pytest.mark.parametrize(
    ("number", "text"), [(120000.0, "120,000"), (1234.4, "1,234"), (46.42, "46.4"), (0.00012, "0.00012")]
)
def test_numbers_are_shown_as_people_write_them(number: float, text: str) -> None:
    assert shown_text(number) == text
