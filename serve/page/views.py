"""The page for people: a form made from the contract, the answer with its reasons, and what the model is."""

import json
from collections.abc import Mapping
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from serve.errors import RequestError
from serve.messages import Call, CallParameter
from serve.model import LoadedModel
from serve.openapi import file
from serve.page import form
from serve.page.text import AnswerText, answer_text, example_at, model_quality
from serve.protocols.explain import explain_row

WEB = Path(__file__).parent / "web"
ASSETS = {"style.css": "text/css", "script.js": "text/javascript", "icon.svg": "image/svg+xml"}
KEPT = "public, max-age=31536000, immutable"  # the address of an asset changes with its content
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
    "vary": "accept",
}
ORIGIN = ("created", "candidate", "trained_on", "holdout", "judged_on", "commit", "run_id")
SHOWN = 8  # reasons that are shown at once


def router(served: LoadedModel) -> APIRouter:
    """What a browser opens. Pages are not in /docs: they are for people."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/answer", name="/answer")  # for who reloads an answer
    def form_again(call: CallParameter) -> Response:
        return form_page(served, call)

    @routes.post("/answer", name="/answer")
    def form_sent(call: CallParameter) -> Response:
        return answer_page(served, call)

    for name in served.pictures:
        routes.get(f"/model/{name}", name="/model/{picture}")(file(served.predictor.folder / name, "image/png"))
    for name, kind in ASSETS.items():
        routes.get(f"/web/{name}", name="/web")(file(WEB / name, kind, {"cache-control": KEPT}))
    return routes


def form_page(served: LoadedModel, call: Call) -> Response:
    """The empty form or, with `?example=N` in the address, one filled in with a row that really was."""
    asked = parse_qs(call.query.decode("latin-1")).get("example", [""])[-1]
    example = example_at(served, asked)
    given = form.to_form_values(example.row) if example else form.example_values(served.predictor)
    return render_form(served, given, example=asked if example else "")


def answer_page(served: LoadedModel, call: Call) -> Response:
    """The answer to a form that was sent or, with status 422, the form with what is wrong at each field."""
    given = form.form_values(call)
    sent = json.dumps(form.to_row(served.predictor, given)).encode()
    try:
        row = served.row(sent)
    except RequestError as refused:
        errors = {each.field: each.message for each in refused.errors}
        return render_form(served, given, errors=errors, example=given.get("_example", ""), status=422)
    found = answer_text(
        served, row, explain_row(served, row, served.predict_unlogged(row, call), call.check_deadline), given
    )
    return render_form(served, given, answered=found, example=given.get("_example", ""))


def render_form(
    served: LoadedModel,
    given: Mapping[str, str],
    *,
    errors: Mapping[str, str] | None = None,
    answered: AnswerText | None = None,
    example: str = "",
    status: int = 200,
) -> Response:
    found = form.fields(served.predictor, given, errors or {})
    page = (
        templates()
        .get_template("ask.html")
        .render(
            **shared_context(served),
            required=[field for field in found if field.required],
            optional=[field for field in found if not field.required],
            errors=[field for field in found if field.error],
            answered=answered,
            shown=SHOWN,
            example=example,
            next_example=(int(example) + 1) % len(served.predictor.examples) if example_at(served, example) else 0,
            model_quality=model_quality(served),
        )
    )
    return html_response(page, status)


def model_page(served: LoadedModel, facts: Mapping[str, Any]) -> Response:
    """The model's facts for people."""
    record = facts["record"]
    pictures = [name for name in served.pictures if name != "summary.png"]  # it is made of three of the others
    page = (
        templates()
        .get_template("model.html")
        .render(
            **shared_context(served),
            record=record,
            about={name.replace("_", " "): record[name] for name in ORIGIN if name in record},
            metrics=facts["metrics"],
            columns=served.contract.columns,
            pictures=[(name, name.removesuffix(".png").replace("_", " ").capitalize()) for name in pictures],
        )
    )
    return html_response(page)


def shared_context(served: LoadedModel) -> dict[str, Any]:
    """What every page shows. Its links are relative, and so lead below any prefix, or begin with the declared one."""
    root = f"{served.root_path}/" if served.root_path else ""
    assets = {name: f"{root}{path}" for name, path in asset_urls().items()}
    return {"contract": served.contract, "version": served.version, "asset": assets, "root": root}


def html_response(page: str, status: int = 200) -> Response:
    return HTMLResponse(page, status, HEADERS)


@lru_cache
def asset_urls() -> dict[str, str]:
    """Of the assets, below the page's own address."""
    return {name: f"web/{name}?{sha256((WEB / name).read_bytes()).hexdigest()[:8]}" for name in ASSETS}


@lru_cache
def templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(WEB), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
