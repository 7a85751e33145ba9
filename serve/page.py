"""The page for people: a form made from the contract, the answer with its reasons, and what the model is."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from pipeline.predict import Example
from pipeline.schema import Columns, to_columns
from serve import form
from serve.calls import Call, Reply
from serve.errors import RequestError
from serve.explanations import explained, first
from serve.served import Served

WEB = Path(__file__).parent / "web"
ASSETS = {
    "style.css": b"text/css; charset=utf-8",
    "script.js": b"text/javascript; charset=utf-8",
    "icon.svg": b"image/svg+xml",
}
KEPT = b"public, max-age=31536000, immutable"  # the address of an asset changes with its content
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"vary", b"accept"),
)
ORIGIN = ("created", "candidate", "trained_on", "holdout", "judged_on", "commit", "run_id")
SHOWN = 8  # reasons that are shown at once


class Bar(NamedTuple):
    """One reason in words, and how far its bar reaches from the middle, in hundredths of the longest."""

    field: str
    label: str
    value: str
    words: str
    reach: float
    up: bool


class Answered(NamedTuple):
    """An answer as the page tells it; `gauge` has the probability and the threshold in percent."""

    headline: str
    sentence: str
    gauge: tuple[float, float] | None
    base: str
    bars: list[Bar]
    sure: str
    version: str
    swapped: bool
    happened: str | None


def ask(served: Served, call: Call) -> Reply:
    """The empty form or, with `?example=N` in the address, one filled in with a row that really was."""
    asked = parse_qs(call.query.decode("latin-1")).get("example", [""])[-1]
    example = chosen(served, asked)
    given = form.as_text(example.row) if example else form.example_values(served.predictor)
    return rendered(served, given, example=asked if example else "")


def answer(served: Served, call: Call) -> Reply:
    """The answer to a form that was sent or, with status 422, the form with what is wrong at each field."""
    given = form.filled_in(call)
    sent = json.dumps(form.as_row(served.predictor, given)).encode()
    try:
        row = served.row(sent)
    except RequestError as refused:
        errors = {each.field: each.message for each in refused.errors}
        return rendered(served, given, errors=errors, example=given.get("_example", ""), status=422)
    found = told(served, row, explained(served, row, first(served.told([row], call)), call.still_wanted), given)
    return rendered(served, given, answered=found, example=given.get("_example", ""))


def told(served: Served, row: Mapping[str, Any], found: Mapping[str, Any], given: Mapping[str, str]) -> Answered:
    """The answer in words."""
    target = served.contract.columns[served.contract.target]
    unit = f" {target.unit}" if target.unit else ""
    longest = max((abs(each["contribution"]) for each in found["contributions"]), default=0) or 1
    bars = [bar(served, each, longest) for each in found["contributions"]]
    widest = max((each["standard_error"] for each in found["contributions"]), default=0)
    if served.threshold is None:
        headline, gauge = f"{shown(found['value'])}{unit}", None
        off = f"{shown(served.predictor.manifest.metrics['mae']['value'] or 0)}{unit}"
        sentence, base = f"{target.meaning}. Such answers were {off} off on average.", f"{shown(found['base'])}{unit}"
        sure = f"{shown(widest)}{unit}"
    else:
        share, cut = found["probability"], served.threshold
        headline, gauge = f"{percent(share)} likely", (share * 100, cut * 100)
        sentence = f"That counts as a {'yes' if found['label'] else 'no'}: a yes begins at {percent(cut)}."
        base, sure = percent(found["base"]), f"{widest * 100:.1f} points"
    return Answered(
        headline=headline,
        sentence=sentence,
        gauge=gauge,
        base=base,
        bars=bars,
        sure=sure,
        version=served.version,
        swapped=given.get("_version", served.version) != served.version,
        happened=happened(served, row, chosen(served, given.get("_example", ""))),
    )


def shown(number: float) -> str:
    """As many digits as a person reads."""
    return f"{number:,.0f}" if abs(number) >= 1000 else f"{number:.3g}"


def percent(share: float) -> str:
    return f"{share * 100:.0f} %"


def bar(served: Served, reason: Mapping[str, Any], longest: float) -> Bar:
    column, change = served.contract.request[reason["field"]], reason["contribution"]
    value = "not given" if reason["value"] is None else form.text(reason["value"])
    if column.kind == "datetime" and reason["value"] is not None:
        value = datetime.fromisoformat(value).strftime("%a %d %b %Y, %H:%M")
    if column.kind == "category":
        value = served.predictor.choices.get(reason["field"], {}).get(value, value)
    unit = f" {column.unit}" if column.unit and reason["value"] is not None else ""
    if served.threshold is None:
        of = served.contract.columns[served.contract.target].unit or ""
        words = f"{'adds' if change > 0 else 'takes off'} {shown(abs(change))} {of}".strip()
    else:
        words = f"{'raises' if change > 0 else 'lowers'} it by {abs(change) * 100:.1f} points"
    return Bar(reason["field"], form.label(column), value + unit, words, abs(change) / longest * 100, change > 0)


def chosen(served: Served, number: str) -> Example | None:
    """The bundle's example of that number, counted round and round."""
    examples = served.predictor.examples
    return examples[int(number) % len(examples)] if number.isdecimal() and len(number) < 10 and examples else None


def happened(served: Served, row: Mapping[str, Any], example: Example | None) -> str | None:
    """What became of an example, if that is what was asked."""
    if example is None or not same(*(to_columns([each], served.contract) for each in (row, example.row))):
        return None
    target = served.contract.columns[served.contract.target]
    if isinstance(example.outcome, bool):
        return "yes" if example.outcome else "no"
    return f"{shown(example.outcome)}{f' {target.unit}' if target.unit else ''}"


def same(one: Columns, other: Columns) -> bool:
    """Whether two rows say the same; missing values are equal."""
    pairs = [(one[name], other[name]) for name in one]
    return all(((a == b) | ((a != a) & (b != b))).all() for a, b in pairs)


def rendered(
    served: Served,
    given: Mapping[str, str],
    *,
    errors: Mapping[str, str] | None = None,
    answered: Answered | None = None,
    example: str = "",
    status: int = 200,
) -> Reply:
    found = form.fields(served.predictor, given, errors or {})
    page = (
        templates()
        .get_template("ask.html")
        .render(
            **shared(served),
            required=[field for field in found if field.required],
            optional=[field for field in found if not field.required],
            errors=[field for field in found if field.error],
            answered=answered,
            shown=SHOWN,
            example=example,
            next_example=(int(example) + 1) % len(served.predictor.examples) if chosen(served, example) else 0,
            known=known(served),
        )
    )
    return html(page, status)


def known(served: Served) -> list[str]:
    """How good the model is, in sentences, from its own bundle."""
    record, figures = served.predictor.record, served.predictor.manifest.metrics

    def figure(name: str) -> dict[str, float]:
        return {end: value for end, value in figures[name].items() if value is not None}

    judged = f"{record['judged_on']:,} cases ({record['holdout']}) that it had not seen"
    learnt = f"It learnt from {record['trained_on']:,} cases and was judged on {judged}."
    if served.threshold is None:
        unit = served.contract.columns[served.contract.target].unit or ""
        error = figure("mae")
        return [learnt, f"There it was {shown(error['value'])} {unit} off on average ({shown(error['low'])} to "
                f"{shown(error['high'])})."]  # fmt: skip
    order, gap = figure("roc_auc"), figure("ece")
    return [
        learnt,
        f"Of a yes and a no it gave the yes the higher probability {percent(order['value'])} of the time "
        f"({percent(order['low'])} to {percent(order['high'])}); a coin does in 50 %.",
        f"Its probabilities were {gap['value'] * 100:.1f} points off what really happened on average.",
    ]


def model(served: Served, facts: Mapping[str, Any]) -> Reply:
    """The model's facts for people."""
    record = facts["record"]
    pictures = [name for name in served.pictures if name != "summary.png"]  # it is made of three of the others
    page = (
        templates()
        .get_template("model.html")
        .render(
            **shared(served),
            record=record,
            about={name.replace("_", " "): record[name] for name in ORIGIN if name in record},
            metrics=facts["metrics"],
            columns=served.contract.columns,
            pictures=[(name, name.removesuffix(".png").replace("_", " ").capitalize()) for name in pictures],
        )
    )
    return html(page)


def shared(served: Served) -> dict[str, Any]:
    return {"contract": served.contract, "version": served.version, "asset": addresses()}


def html(page: str, status: int = 200) -> Reply:
    return Reply(status, page.encode(), b"text/html; charset=utf-8", HEADERS)


def asset(name: str) -> Callable[[Served, Call], Reply]:
    """A handler for the style sheet, the script or the icon."""
    reply = Reply(200, (WEB / name).read_bytes(), ASSETS[name], ((b"cache-control", KEPT),))
    return lambda *_: reply


def picture(name: str) -> Callable[[Served, Call], Reply]:
    """A handler for a picture of the run, which lies in the bundle."""
    return lambda served, _: Reply(200, (served.predictor.folder / name).read_bytes(), b"image/png")


@lru_cache
def addresses() -> dict[str, str]:
    """Of the assets, below the page's own address."""
    return {name: f"web/{name}?{sha256((WEB / name).read_bytes()).hexdigest()[:8]}" for name in ASSETS}


@lru_cache
def templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(WEB), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
