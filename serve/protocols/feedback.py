"""What came of predictions: labels as they become known, and what the monitor has found of them."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError
from pydantic_core import from_json

from pipeline.errors import ConfigError
from pipeline.runtime.request_model import integral
from serve.errors import FieldError, RequestError, validation_failed
from serve.messages import Call, CallParameter
from serve.model import LoadedModel
from serve.openapi import documented_responses, examples_body, schema_ref
from serve.protocols.bodies import only_json
from serve.telemetry.log_writer import LogWriter


class PredictionRef(BaseModel):
    """Which one is meant."""

    model_config = ConfigDict(extra="forbid", strict=True)

    request_id: str = Field(
        pattern="^[A-Za-z0-9_.:/+=@-]+$", max_length=128, examples=["51c3044d1871d81fee68000000000001"]
    )
    row: Annotated[int, BeforeValidator(integral)] = Field(
        0, ge=0, lt=2**31, description="Of a request with many: which, counted from 0."
    )


class BinaryLabel(PredictionRef):
    """What came of one prediction of a classification."""

    label: Annotated[bool | Literal[0, 1], BeforeValidator(integral)] = Field(description="What really happened.")


class NumericLabel(PredictionRef):
    """What came of one prediction of a regression."""

    label: float = Field(description="What really happened, in the unit of the values.", allow_inf_nan=False)


class FeedbackResult(BaseModel):
    """What became of the labels."""

    taken: int = Field(description="Labels whose prediction is in the log.")
    unknown: list[dict[str, Any]] = Field(description="The others; they are kept, should their prediction still come.")


LABELS: dict[str, type[PredictionRef]] = {"binary": BinaryLabel, "regression": NumericLabel}
MANY: dict[str, TypeAdapter[Any]] = {
    "binary": TypeAdapter(list[BinaryLabel]),
    "regression": TypeAdapter(list[NumericLabel]),
}


def router(served: LoadedModel, writer: LogWriter) -> APIRouter:
    routes = APIRouter(tags=["Predictions"])
    outcome = {"binary": True, "regression": 12.5}[served.task]
    example = {"request_id": "51c3044d1871d81fee68000000000001", "label": outcome}
    label = schema_ref(LABELS[served.task])
    schema = {"anyOf": [label, {"type": "array", "items": label, "minItems": 1}]}

    @routes.post(
        "/feedback",
        name="/feedback",
        summary="What came of predictions",
        status_code=202,
        response_model=FeedbackResult,
        responses=documented_responses({"taken": 1, "unknown": []}, status=202),
        openapi_extra=examples_body(schema, {"one": example, "many": [example, {**example, "row": 1}]}),
    )
    def feedback(call: CallParameter) -> Response:
        """In any order, more than once, and before the prediction is in the log: the last label of a row counts."""
        return receive_labels(served, writer, call)

    return routes


def receive_labels(served: LoadedModel, writer: LogWriter, call: Call) -> Response:
    """Takes one label, or a list of them."""
    only_json(call)
    told = read_labels(served, call)
    try:
        unknown = writer.put_labels(told).result(timeout=5)
    except ConfigError as error:
        raise RequestError(503, f"Nothing was taken: {error}; try again", headers=[("retry-after", "5")]) from None
    listed = [{"request_id": name, "row": row} for name, row in unknown]
    taken = len({(name, row) for name, row, _ in told}) - len(unknown)
    return JSONResponse({"taken": taken, "unknown": listed}, 202)


def read_labels(served: LoadedModel, call: Call) -> list[tuple[str, int, float]]:
    """Raises RequestError with every wrong field."""
    try:
        sent = from_json(call.body, allow_inf_nan=False)
    except ValueError as error:
        raise RequestError(400, f"The body is not JSON: {error}") from None
    many = sent if isinstance(sent, list) else [sent]
    if not many or len(many) > served.max_rows:
        text = f"Should be 1 to {served.max_rows:,} labels (MAX_ROWS); found {len(many):,}"
        raise validation_failed([FieldError(field="body", message=text)])
    try:
        found = MANY[served.task].validate_python(many)
    except ValidationError as error:
        raise validation_failed(label_errors(error)) from None
    return [(each.request_id, each.row, float(each.label)) for each in found]


def label_errors(error: ValidationError) -> list[FieldError]:
    """Each wrong field once, with all that it could have been."""
    wrong: dict[str, list[str]] = {}
    for fault in error.errors(include_url=False, include_context=False):
        wrong.setdefault(".".join(map(str, fault["loc"][:2]))[:100], []).append(fault["msg"])
    return [FieldError(field=name, message=", or: ".join(messages)) for name, messages in wrong.items()]


def monitor_figures(file: Path, version: str) -> tuple[dict[str, float], float]:
    """The figures that the monitor has left of this version, if any, and when it looked, in seconds since 1970."""
    try:
        said = json.loads(file.read_bytes())
        if said["version"] != version:
            return {}, float(said["looked"])
        return {name: float(value) for name, value in said["figures"].items()}, float(said["looked"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}, 0.0
