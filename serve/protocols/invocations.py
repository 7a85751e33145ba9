"""The routes of MLflow, SageMaker, Vertex AI and KServe V1. One handler reads the bodies of all of them."""

import csv
import io
import json
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from serve.accept import preferred
from serve.errors import RequestError
from serve.messages import Call, CallParameter
from serve.model import LoadedModel
from serve.openapi import KEY_ASKED, documented_responses, examples_body, object_schema, schema_ref
from serve.protocols.bodies import KEYS, JSONBytesResponse, is_platform_json, json_objects, media_type, read_json
from serve.protocols.lines import JSON_LINES, READERS, Reader

FORMS_TAKEN = "Also `dataframe_split`, columns under `inputs`, rows as lists, CSV with a header, and JSON Lines."
RECORDS = ("instances", "inputs", "dataframe_records")  # keys that may hold a list of objects
ANSWERED = ("application/json", "text/csv", *JSON_LINES)


def router(model: LoadedModel, predict_route: str | None) -> APIRouter:
    """The routes of the platforms that send rows, at the paths that each platform calls.

    `predict_route` is one more path, which Vertex AI chooses.
    """
    routes = APIRouter()

    def predict_rows(call: CallParameter) -> Response:
        return invoke(model, call)

    platforms = [
        ("/invocations", "/invocations", "MLflow and SageMaker", "MLflow, SageMaker"),
        (f"/v1/models/{model.name}:predict", "/v1/models/{name}:predict", "KServe V1", "KServe V1, Vertex AI"),
    ]
    if predict_route:
        platforms.append((predict_route, "predict_route", "Vertex AI", "Vertex AI, by AIP_PREDICT_ROUTE"))

    for path, name, tag, summary in platforms:
        routes.post(
            path,
            name=name,
            tags=[tag],
            summary=summary,
            description=FORMS_TAKEN,
            responses=documented_responses({"predictions": [model.example], "metadata": model.metadata}),
            openapi_extra=instances_body(model),
        )(predict_rows)

    @routes.get("/v1/models", name="/v1/models", tags=["KServe V1"], summary="List the models", responses=KEY_ASKED)
    async def models() -> JSONResponse:
        return JSONResponse({"models": [model.name]})

    transform: Any = {"tags": ["MLflow and SageMaker"], "summary": "For SageMaker's batch transform"}

    @routes.get("/execution-parameters", name="/execution-parameters", responses=KEY_ASKED, **transform)
    async def execution_parameters() -> JSONResponse:
        """How the pieces of a large file should be sent."""
        megabytes = min(6, max(1, model.limits.body_bytes // 10**6))
        return JSONResponse(
            {"MaxConcurrentTransforms": 2, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": megabytes}
        )

    return routes


def instances_body(model: LoadedModel) -> dict[str, Any]:
    """The OpenAPI body of a platform's route. OpenAPI can express some of the accepted forms only."""
    rows = {"type": "array", "minItems": 1, "items": schema_ref(model.predictor.row_model)}
    forms = [object_schema({key: rows}, without=KEYS) for key in ("instances", "dataframe_records", "inputs")]

    row = model.predictor.golden.rows[0]
    examples = {
        "instances": {"instances": [row]},
        "dataframe_split": {"dataframe_split": {"columns": list(row), "data": [list(row.values())]}},
        "inputs": {"inputs": {column: [value] for column, value in row.items()}},
    }
    return examples_body({"oneOf": forms}, examples)


def invoke(model: LoadedModel, call: Call) -> Response:
    """Predictions for the rows of any accepted body, as JSON or, where the client accepts it, as CSV or JSON Lines.

    Raises RequestError for a content type that is not read, and for rows that break the contract.
    """
    reader = find_reader(media_type(call.headers.get(b"content-type", b"")))
    rows = model.validator.rows_of_body(call.body, RECORDS, call) if reader is read_json else None
    if rows is None:
        sent, at = reader(call, model.contract, model.limits)
        rows = model.validator.rows(sent, at, call)
    predictions = model.predict_and_log(rows, call)

    accepted = preferred(call.headers.get(b"accept", b""), ANSWERED)
    if accepted == "text/csv":
        return Response(csv_lines(predictions), media_type="text/csv")
    objects = json_objects(predictions)
    if accepted in JSON_LINES:
        return Response("\n".join([*objects, ""]), media_type="application/jsonlines")

    listed = ",".join(objects).encode()
    metadata = json.dumps({**model.metadata, "request_id": call.id}).encode()
    return JSONBytesResponse(b'{"predictions":[' + listed + b'],"metadata":' + metadata + b"}")


def csv_lines(predictions: dict[str, list[Any]]) -> str:
    """A line for each row, without a header: a probability for each class in the order of the metadata, the label."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for prediction in zip(*predictions.values(), strict=True):
        cells: list[Any] = []
        for value in prediction:
            cells += value.values() if isinstance(value, dict) else [value]
        writer.writerow(cells)
    return text.getvalue()


def find_reader(kind: str) -> Reader:
    """The reader of a content type. Raises RequestError (415) for a type that is not read."""
    if reader := READERS.get(kind):
        return reader
    if is_platform_json(kind):
        return read_json
    raise RequestError(415, f"The content type is {kind[:100]!r}; send {', '.join(READERS)}")
