"""The HTML pages: the form with its answer, the model's facts, and errors as a browser shows them.

Text and form values come from `text` and `form`; this module alone knows the templates.
"""

import json
from collections.abc import Iterable, Mapping
from functools import lru_cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from serve.accept import preferred
from serve.errors import RequestError, problem
from serve.messages import Call, CallParameter
from serve.model import LoadedModel
from serve.openapi import file
from serve.page import form
from serve.page.card import sections
from serve.page.text import AnswerText, answer_text, example_at, missing_effects, model_quality
from serve.protocols.explain import explain_row

WEB = Path(__file__).parent / "web"
ASSETS = {"style.css": "text/css", "script.js": "text/javascript", "icon.svg": "image/svg+xml"}
IMMUTABLE = "public, max-age=31536000, immutable"  # the address of an asset changes with its content
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}
ORIGIN = {  # entries of the record, with their labels
    "created": "created",
    "candidate": "candidate",
    "trained_on": "trained on",
    "holdout": "holdout",
    "holdout_rows": "evaluated on",
    "commit": "commit",
    "run_id": "run id",
}
DOCUMENTS = {  # below /model/: the file of the bundle, and its title
    "report": ("report.html", "Report of its training, with all curves"),
    "card": ("MODEL_CARD.md", "Model card"),
    "data-card": ("DATA_CARD.md", "Data card"),
}
REPORT_POLICY = (  # it is one file with its styles in it; no script runs, and nothing is loaded
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HTML = "text/html"
DEEPEST = 20  # folders of a path whose error is a page: each of its links climbs them all
ERROR_TYPES = ("application/problem+json", "application/json")
SHOWN = 8  # reasons that the page shows before its reader opens the rest


def router(model: LoadedModel) -> APIRouter:
    """The routes that a browser opens, except / and /model. They are not in /docs, which is for programs."""
    routes = APIRouter(include_in_schema=False)

    @routes.get("/answer", name="/answer")  # a browser asks for it when a person reloads an answer
    def form_again(call: CallParameter) -> Response:
        return form_page(model, call)

    @routes.post("/answer", name="/answer")
    def form_sent(call: CallParameter) -> Response:
        return answer_page(model, call)

    for path in DOCUMENTS:
        routes.get(f"/model/{path}", name=f"/model/{path}")(partial(document, model, path))
    for name, kind in ASSETS.items():
        routes.get(f"/web/{name}", name="/web")(file(WEB / name, kind, {"cache-control": IMMUTABLE}))
    return routes


def form_page(model: LoadedModel, call: Call) -> Response:
    """The form with a whole row of the bundle's examples: the first, or that of `?example=N`.

    A whole row, because a prediction without the optional fields is worse. Without examples, the contract's values.
    """
    number = parse_qs(call.query.decode("latin-1")).get("example", [""])[-1]
    is_chosen = example_at(model, number) is not None
    if not is_chosen:
        number = "0"

    example = example_at(model, number)
    if example is None:
        return render_form(model, form.example_values(model.predictor))
    return render_form(model, form.to_form_values(example.row), example=number, open_optional=is_chosen)


def answer_page(model: LoadedModel, call: Call) -> Response:
    """The answer to a submitted form. With status 422 the form again, with an error at each invalid field.

    Raises RequestError (415) for a body that is no form.
    """
    form.only_form(call)
    form_values = form.form_values(call, model.limits)
    example = form_values.get("_example", "")
    body = json.dumps(form.to_row(model.predictor, form_values)).encode()
    try:
        row = model.validator.row(body)
    except RequestError as refused:
        errors = {error.field: error.message for error in refused.errors}
        return render_form(model, form_values, errors=errors, example=example, status=422)

    prediction = model.predict_unlogged(row, call)
    asked = form_values.get("_class")
    explained = asked if asked in model.contract.classes else None
    explanation = explain_row(model, row, prediction, call.check_deadline, explained)
    answer = answer_text(model, row, explanation, form_values)
    return render_form(model, form_values, answer=answer, example=example)


def render_form(
    model: LoadedModel,
    form_values: Mapping[str, str],
    *,
    errors: Mapping[str, str] | None = None,
    answer: AnswerText | None = None,
    example: str = "",
    open_optional: bool = False,
    status: int = 200,
) -> Response:
    """The page with the form and, beside it, the answer or the model's quality.

    `errors` are messages by field name; `example` is the number of the example that the form shows, or empty. With
    `open_optional` the optional fields are unfolded.
    """
    fields = form.fields(model.predictor, form_values, errors or {})
    examples = model.predictor.examples
    next_example = (int(example) + 1) % len(examples) if example_at(model, example) else 0

    template = templates().get_template("ask.html")
    page = template.render(
        **shared_context(model),
        required=[field for field in fields if field.required],
        optional=[field for field in fields if not field.required],
        errors=[field for field in fields if field.error],
        answer=answer,
        shown=SHOWN,
        example=example,
        next_example=next_example,
        open_optional=open_optional,
        missing_effects=missing_effects(model),
        model_quality=model_quality(model),
    )
    return html_response(page, status)


def model_page(model: LoadedModel, facts: Mapping[str, Any]) -> Response:
    """The model's facts as a page: its origin, metrics, gates, slices and columns, with links to its documents."""
    record = facts["record"]
    template = templates().get_template("model.html")
    page = template.render(
        **shared_context(model),
        record=record,
        about={label: record[name] for name, label in ORIGIN.items() if name in record},
        metrics=facts["metrics"],
        documents={path: title for path, (name, title) in DOCUMENTS.items() if name in model.predictor.documents},
        asked={name: column for name, column in model.contract.request.items() if not column.private},
        target=model.contract.columns[model.contract.target],
    )
    return html_response(page)


def document(model: LoadedModel, path: str, call: CallParameter) -> Response:
    """The report, or a card: a page for a browser, Markdown for others.

    Raises RequestError (404) where the bundle has no such file.
    """
    name, _ = DOCUMENTS[path]
    content = model.predictor.documents.get(name)
    if content is None:
        remedy = "`make train` writes it, and the server reads it when it starts"
        raise RequestError(404, f"{name}: the bundle {model.version} has none. {remedy}")

    if name.endswith(".html"):
        return HTMLResponse(content, 200, {**HEADERS, "content-security-policy": REPORT_POLICY})
    if preferred(call.headers.get(b"accept", b""), ("text/markdown", HTML)) != HTML:
        return Response(content, 200, HEADERS, "text/markdown")
    template = templates().get_template("card.html")
    return html_response(template.render(**shared_context(model, up="../"), card=sections(content.decode())))


def error_response(model: LoadedModel, error: RequestError, call_id: str, scope: Any, path: str) -> Response:
    """The response for an error: a page where the client prefers HTML to JSON, as browsers do, else JSON.

    `path` is that of `scope` below the root path.
    """
    accepted = dict(scope["headers"]).get(b"accept", b"")
    depth = scope["raw_path"].count(b"/") - 1  # as the browser counts it, for which %2F is no slash
    if depth > DEEPEST or preferred(accepted, (*ERROR_TYPES, HTML)) != HTML:
        return problem(error, call_id, path)

    template = templates().get_template("error.html")
    page = template.render(**shared_context(model, "../" * depth), problem=error.problem(call_id))
    return html_response(page, error.status, error.headers)


def shared_context(model: LoadedModel, up: str = "") -> dict[str, Any]:
    """The template variables of every page; `up` leads from the page's folder to that of the form.

    Links begin with the declared root path. Without one they are relative and work below any prefix of a proxy.
    """
    root = f"{model.root_path}/" if model.root_path else up
    assets = {name: f"{root}{path}" for name, path in asset_urls().items()}
    return {"contract": model.contract, "version": model.version, "asset": assets, "root": root}


def html_response(page: str, status: int = 200, more_headers: Iterable[tuple[str, str]] = ()) -> Response:
    return HTMLResponse(page, status, {**HEADERS, **dict(more_headers)})


@lru_cache
def asset_urls() -> dict[str, str]:
    """The address of each asset, relative to the page, with a hash of its content."""
    return {name: f"web/{name}?{sha256((WEB / name).read_bytes()).hexdigest()[:8]}" for name in ASSETS}


@lru_cache
def templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(WEB), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
