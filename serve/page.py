"""The page for people: a form made from the contract, the answer with its reasons, and what the model is."""

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from serve import form
from serve.calls import Call, Reply
from serve.errors import RequestError
from serve.explanations import explained
from serve.served import Served
from serve.words import Answered, chosen, known, told

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
    found = told(served, row, explained(served, row, served.once(row, call), call.still_wanted), given)
    return rendered(served, given, answered=found, example=given.get("_example", ""))


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
    """What every page shows. Its links are relative, and so lead below any prefix, or begin with the declared one."""
    root = f"{served.root_path}/" if served.root_path else ""
    assets = {name: f"{root}{path}" for name, path in addresses().items()}
    return {"contract": served.contract, "version": served.version, "asset": assets, "root": root}


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
