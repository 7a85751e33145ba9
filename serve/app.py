"""`create_app(settings)`: a proven bundle behind HTTP. The request model, and so /docs, is made from the bundle's
contract.
"""

from typing import Annotated, Any

from fastapi import Body, FastAPI, Request, Response
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, Field

from pipeline import predict, schema
from serve import answers
from serve.errors import RESPONSES, handle, request_id
from serve.metrics import CONTENT_TYPE_LATEST, Metrics
from serve.settings import Settings

MAX_ROWS = 10_000
MAX_BODY_BYTES = 16 * 2**20
QUIET: Any = {"tracing": False, "metrics": False, "logs": False}  # FastAPI's own telemetry


class Live(BaseModel):
    live: bool = True


class Ready(BaseModel):
    ready: bool = True
    model: str
    version: str


def create_app(settings: Settings) -> FastAPI:
    """Raises BundleError where there is no bundle, or one that does not prove itself."""
    predictor = predict.load(settings.model_dir)
    contract = predictor.contract
    app = FastAPI(
        title=contract.name,
        summary=contract.question,
        version=predictor.version,
        docs_url=None,
        redoc_url=None,
        telemetry=QUIET,
        redirect_slashes=False,
        max_body_size=MAX_BODY_BYTES,
    )
    app.state.predictor = predictor
    metrics = Metrics(contract.name, predictor.version)
    handle(app)
    add_predictions(app, predictor, metrics)
    add_facts(app, predictor, metrics)
    add_docs(app)
    return app


def add_predictions(app: FastAPI, predictor: predict.Predictor, metrics: Metrics) -> None:
    contract, golden, threshold = predictor.contract, predictor.golden, predictor.threshold
    kind = {"unit": contract.columns[contract.target].unit} if threshold is None else {"threshold": threshold}
    facts = {**kind, "model": contract.name, "version": predictor.version}
    row_model: Any = predictor.row_model
    Answer, Answers = answers.ESTIMATES if threshold is None else answers.JUDGEMENTS

    class Rows(BaseModel):
        model_config = {"extra": "forbid"}
        rows: Annotated[list[row_model], Field(min_length=1, max_length=MAX_ROWS)]

    def judge(rows: list[Any]) -> list[dict[str, Any]]:
        columns = schema.to_columns([vars(row) for row in rows], contract)
        found = predictor.predict(columns)
        metrics.answered(len(rows), predictor.unseen(columns))
        return [predict.told(answer, threshold) for answer in found.tolist()]

    def source(request: Request, response: Response) -> dict[str, Any]:
        response.headers["x-request-id"] = request_id(request)
        return {**facts, "request_id": response.headers["x-request-id"]}

    known = predict.told(float(golden.answers[0]), threshold)
    one = documented({**known, **facts, "request_id": "a1"})
    many = documented({"predictions": [known], **facts, "request_id": "a1"})
    row_examples = {f"row {n + 1}": {"value": row} for n, row in enumerate(golden.rows[:3])}
    batch_examples = {"rows": {"value": {"rows": golden.rows[:3]}}}

    @app.post("/predict", response_model=Answer, responses=one, summary=contract.question)
    async def predict_one(
        row: Annotated[row_model, Body(openapi_examples=row_examples)], request: Request, response: Response
    ) -> Any:
        return Answer(**judge([row])[0], **source(request, response))

    @app.post("/predict/batch", response_model=Answers, responses=many, summary=f"The same for up to {MAX_ROWS:,} rows")
    async def predict_batch(
        body: Annotated[Rows, Body(openapi_examples=batch_examples)], request: Request, response: Response
    ) -> Any:
        return Answers(predictions=judge(body.rows), **source(request, response))


def add_facts(app: FastAPI, predictor: predict.Predictor, metrics: Metrics) -> None:
    name, version = predictor.contract.name, predictor.version
    facts = predictor.manifest.model_dump(mode="json", exclude_defaults=True)

    @app.get("/livez", summary="The process answers")
    async def livez() -> Live:
        return Live()

    @app.get("/readyz", summary="A proven model is loaded")
    async def readyz() -> Ready:
        return Ready(model=name, version=version)

    @app.get("/model", summary="What the model is, how good it is, where it comes from")
    async def model() -> dict[str, Any]:
        return {"name": name, "version": version, **facts, "record": predictor.record}

    @app.get("/metrics", include_in_schema=False)
    async def prometheus() -> Response:
        return Response(metrics.text(), media_type=CONTENT_TYPE_LATEST)


def documented(example: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    """The answers of a prediction route for /docs: a real one, and the errors."""
    return {200: {"content": {"application/json": {"example": example}}}, **RESPONSES}


def add_docs(app: FastAPI) -> None:
    """Swagger UI at /docs from this server's own files: FastAPI's default page loads them from another host."""
    app.mount("/docs/files", StaticFiles(packages=[("fastapi_swagger", "resources")]), name="docs-files")

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return get_swagger_ui_html(
            openapi_url="openapi.json",
            title=f"{app.title}: API",
            swagger_js_url="docs/files/swagger-ui-bundle.js",
            swagger_css_url="docs/files/swagger-ui.css",
            swagger_favicon_url="docs/files/favicon-32x32.png",
            swagger_ui_parameters={"tryItOutEnabled": True},
        )
