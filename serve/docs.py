"""/docs and /openapi.json: what the front door's handlers take and give, documented by FastAPI from the contract.

The routes here stand for the front door's and are never called; a test holds the two against each other.
"""

import json
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

from fastapi import Body, FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse, PlainTextResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field

from pipeline.explain import ROWS
from serve import answers, protocols, tensors
from serve.errors import PLAIN, RESPONSES
from serve.explanations import explained
from serve.explanations import many as explain_many
from serve.feedback import Number, Taken, YesNo
from serve.protocols import KEYS
from serve.routes import Route, Table
from serve.served import Served
from serve.settings import Settings

GROUPS = {  # headings of /docs, by how a path begins
    "/predict": "Predictions",
    "/explain": "Predictions",
    "/feedback": "Predictions",
    "/v2": "Open Inference V2",
    "/v1": "KServe V1",
    "/invocations": "MLflow and SageMaker",
    "/ping": "MLflow and SageMaker",
    "/execution": "MLflow and SageMaker",
    "/": "The server",
}
QUIET: Any = {"tracing": False, "metrics": False, "logs": False}  # FastAPI's own telemetry


LIMITS = ("max_body_bytes", "max_rows", "timeout_seconds", "max_in_flight")


def pages(served: Served, table: Table, settings: Settings) -> FastAPI:
    """/openapi.json and /docs of the routes in the table."""
    app = FastAPI(
        title=served.name,
        summary=served.contract.question,
        description=limits(settings),
        version=served.version,
        docs_url=None,
        redoc_url=None,
        telemetry=QUIET,
        redirect_slashes=False,
        servers=[{"url": settings.root_path}] if settings.root_path else None,
    )
    given = served.predictor.golden.rows[0]
    reasons = explained(served, served.row(json.dumps(given).encode()), known_answer(served))
    typed(app, served, table)
    explanations(app, served, table, reasons)
    platforms(app, served, table, reasons)
    if "/feedback" in table:
        labels(app, served, table)
    gets(app, table)
    docs(app)
    return app


def limits(settings: Settings) -> str:
    """The limits of this very server, as Markdown."""
    told = Settings.model_fields
    rows = [f"| `{name.upper()}` | {getattr(settings, name):,} | {told[name].description} |" for name in LIMITS]
    key = "An API key is asked for: `authorization: Bearer …` or `x-api-key: …`." if settings.api_keys else ""
    return "\n".join(["| limit | here | |", "|---|---|---|", *rows, "", key])


def typed(app: FastAPI, served: Served, table: Table) -> None:
    """The routes for people: one row, and many."""
    golden, row_model = served.predictor.golden, served.predictor.row_model
    one, many, _ = answers.ESTIMATES if served.threshold is None else answers.JUDGEMENTS

    class Rows(BaseModel):
        model_config = {"extra": "forbid"}
        rows: Annotated[list[row_model], Field(min_length=1)]  # type: ignore[valid-type]  # made while running

    known = known_answer(served)
    single = {**known, **served.facts, "request_id": "a1"}
    listed = {"predictions": [known], **served.facts, "request_id": "a1"}
    rows = {f"row {n + 1}": {"value": row} for n, row in enumerate(golden.rows[:3])}

    head = {path: named(path, table[path]["POST"]) for path in ("/predict", "/predict/batch")}

    @app.post("/predict", response_model=one, responses=documented(single), **head["/predict"])
    def predict_one(row: Annotated[row_model, Body(openapi_examples=rows)]) -> None:  # type: ignore[valid-type]  # made while running
        """One row."""

    @app.post("/predict/batch", response_model=many, responses=documented(listed), **head["/predict/batch"])
    def predict_batch(
        body: Annotated[Rows, Body(openapi_examples={"rows": {"value": {"rows": golden.rows[:3]}}})],
    ) -> None:
        """Many rows."""


def explanations(app: FastAPI, served: Served, table: Table, shown: dict[str, Any]) -> None:
    """The route that tells why, with the reasons `shown` for the first golden row and how far they can be off."""
    row_model, given = served.predictor.row_model, served.predictor.golden.rows[0]
    errors = [reason["standard_error"] for reason in shown["contributions"]]
    how = "every coalition of fields" if shown["exact"] else "two orders of the fields, one the reverse of the other,"
    about = (
        f"Shapley values: how much each field moved the answer away from `base`, the mean answer to {ROWS} rows of the "
        f"training. They add up to the answer minus `base`. Asked: {how} for each of those rows. `standard_error` is "
        f"that of each contribution; in this example it is {sum(errors) / len(errors):.2g} on average and "
        f"{max(errors):.2g} at most. What the model looked at, not what causes what."
    )
    *_, explanation = answers.ESTIMATES if served.threshold is None else answers.JUDGEMENTS
    said = {**shown, **served.facts, "request_id": "a1"}
    one = partial(app.post, "/explain", description=about, **named("/explain", table["/explain"]["POST"]))

    @one(response_model=explanation, responses=documented(said))
    def explain_one(
        row: Annotated[row_model, Body(openapi_examples={"row": {"value": given}})],  # type: ignore[valid-type]  # made while running
    ) -> None:
        """One row."""


def labels(app: FastAPI, served: Served, table: Table) -> None:
    """The route for what came of predictions."""
    about = "In any order, more than once, and before the prediction is in the log: the last label of a row counts."
    said = {202: {"content": {"application/json": {"example": {"taken": 1, "unknown": []}}}}, **RESPONSES}
    head = named("/feedback", table["/feedback"]["POST"])
    yes_no = served.threshold is not None
    one = {"request_id": "51c3044d1871d81fee68000000000001", "label": True if yes_no else 12.5}
    label: Any = YesNo if yes_no else Number
    shown = {"one": {"value": one}, "many": {"value": [one, {**one, "row": 1}]}}

    @app.post("/feedback", status_code=202, response_model=Taken, description=about, responses=said, **head)
    def feedback(
        body: Annotated[label | Annotated[list[label], Field(min_length=1)], Body(openapi_examples=shown)],
    ) -> None:
        """One label, or a list."""


def known_answer(served: Served) -> dict[str, float]:
    """To the first golden row."""
    return served.first(served.predictor.golden.answers[:1])


def platforms(app: FastAPI, served: Served, table: Table, shown: dict[str, Any]) -> None:
    """The routes for platforms, with the reasons `shown` for the first golden row.

    What OpenAPI can say of their bodies is a part of what they take.
    """
    posts = {path: methods["POST"] for path, methods in table.items() if "POST" in methods}
    name, known = served.name, known_answer(served)
    row = served.predictor.golden.rows[0]
    said = {"predictions": [known], "metadata": {"model_name": name, "model_version": served.version}}
    listed = {"type": "array", "minItems": 1, "items": {"$ref": "#/components/schemas/Row"}}
    keys = ("instances", "dataframe_records", "inputs")
    forms = [object_of({key: listed}, without=KEYS) for key in keys]
    examples = {
        "instances": {"instances": [row]},
        "dataframe_split": {"dataframe_split": {"columns": list(row), "data": [list(row.values())]}},
        "inputs": {"inputs": {column: [value] for column, value in row.items()}},
    }
    more = "Also `dataframe_split`, columns under `inputs`, rows as lists, CSV with a header, and JSON Lines."
    answers_with = partial(app.post, description=more, responses=documented(said))
    for path in (path for path, route in posts.items() if route.handler is protocols.invoke):
        answers_with(path, **named(path, posts[path]), openapi_extra=body_of({"oneOf": forms}, examples))(nothing)
    reasons = {"explanations": [shown], "metadata": said["metadata"]}
    answers_with = partial(app.post, description=more, responses=documented(reasons))
    for path in (path for path, route in posts.items() if route.handler is explain_many):
        answers_with(path, **named(path, posts[path]), openapi_extra=body_of({"oneOf": forms}, examples))(nothing)
    outputs = [{"name": n, "datatype": tensors.OUTPUTS[n], "shape": [1], "data": [v]} for n, v in known.items()]
    said = {"model_name": name, "model_version": served.version, "id": "a1", "outputs": outputs}
    more = "One row here. Tensors are [rows] or [rows, 1], in any order, as JSON or with the binary extension."
    answers_with = partial(app.post, description=more, responses=documented(said))
    for path in (path for path, route in posts.items() if route.handler is tensors.infer):
        answers_with(path, **named(path, posts[path]), openapi_extra=body_of(one_row_of_tensors(served), {}))(nothing)


def named(path: str, route: Route) -> dict[str, Any]:
    """Under which heading a route stands in /docs, and its title there."""
    return {"summary": route.title, "tags": [next(tag for start, tag in GROUPS.items() if path.startswith(start))]}


def one_row_of_tensors(served: Served) -> dict[str, Any]:
    """The schema of a body with one row: the required columns, and then the optional ones."""
    fields = served.predictor.row_model.model_json_schema()
    columns = []
    for name, field in fields["properties"].items():
        kind = tensors.KINDS[served.contract.request[name].kind]
        data = {"type": "array", "prefixItems": [field], "minItems": 1, "maxItems": 1}
        fixed = {"name": {"const": name}, "shape": {"const": [1]}, "datatype": {"const": kind}}
        columns.append(object_of({**fixed, "data": data}))
    count = {"minItems": max(1, len(fields.get("required", []))), "maxItems": len(columns)}
    return object_of({"inputs": {"type": "array", "prefixItems": columns, "items": False, **count}})


def object_of(properties: dict[str, Any], without: Sequence[str] = ()) -> dict[str, Any]:
    """The schema of an object that has these and may have others, except for some."""
    absent = {name: False for name in without if name not in properties}
    return {"type": "object", "properties": {**properties, **absent}, "required": list(properties)}


def body_of(schema: dict[str, Any], examples: dict[str, Any]) -> dict[str, Any]:
    shown = {"examples": {key: {"value": value} for key, value in examples.items()}} if examples else {}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema, **shown}}}}


def gets(app: FastAPI, table: Table) -> None:
    """The routes for machines."""
    for path, methods in table.items():
        if (route := methods.get("GET")) and route.title:
            answers_with: Any = {} if route.open else {"responses": {401: RESPONSES[401]}}
            kind = PlainTextResponse if path in ("/metrics", "/version") else JSONResponse
            app.get(path, **named(path, route), response_model=None, response_class=kind, **answers_with)(nothing)


def nothing() -> None:
    """Stands for a handler of the front door."""


def documented(example: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    """The answers of a prediction route for /docs: a real one, and the errors."""
    return {200: {"content": {"application/json": {"example": example}}}, **RESPONSES}


def docs(app: FastAPI) -> None:
    """Swagger UI at /docs from this server's own files: FastAPI's default page loads them from another host."""
    app.mount("/docs/files", StaticFiles(packages=[("fastapi_swagger", "resources")]), name="docs-files")

    @app.get("/docs", include_in_schema=False)
    async def swagger() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="openapi.json",
            title=f"{app.title}: API",
            swagger_js_url="docs/files/swagger-ui-bundle.js",
            swagger_css_url="docs/files/swagger-ui.css",
            swagger_favicon_url="docs/files/favicon-32x32.png",
            swagger_ui_parameters={"tryItOutEnabled": True},
        )

    publish = app.openapi

    def openapi() -> dict[str, Any]:
        """FastAPI publishes errors under the media type of the answers; ours have their own but under /v1 and /v2."""
        api = publish()
        for path, operations in api["paths"].items():
            kind = "application/json" if path.startswith(PLAIN) else "application/problem+json"
            for operation in operations.values():
                for status, answer in operation["responses"].items():
                    if status.startswith(("4", "5")):
                        answer["content"] = {kind: next(iter(answer["content"].values()))}
        return api

    app.openapi = openapi  # type: ignore[method-assign]  # because FastAPI documents this way to extend it
