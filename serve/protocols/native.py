"""The server's own protocol: /predict for one row, and /predict/batch for many."""

from typing import Any

from fastapi import APIRouter, Response

from serve import schemas
from serve.errors import LISTED, FieldError, search_ended, validation_failed
from serve.messages import Call, CallParameter
from serve.model import LoadedModel
from serve.openapi import documented_responses, examples_body, object_schema, schema_ref
from serve.protocols.bodies import JSONBytesResponse, json_object, json_objects, only_json
from serve.protocols.invocations import invoke


def router(model: LoadedModel) -> APIRouter:
    """Both routes, documented with the schema of a row and the first golden rows."""
    routes = APIRouter()
    row = schema_ref(model.predictor.row_model)
    rows = object_schema({"rows": {"type": "array", "items": row, "minItems": 1}}) | {"additionalProperties": False}
    golden_rows = model.predictor.golden.rows[:3]
    response_model, batch_response_model, _ = schemas.OF_TASK[model.task]

    @routes.post(
        "/predict",
        name="/predict",
        tags=["Predictions"],
        summary=model.contract.question,
        response_model=response_model,
        responses=documented_responses({**model.named_example, **model.facts, "request_id": "a1"}),
        openapi_extra=examples_body(row, {f"row {n}": values for n, values in enumerate(golden_rows, 1)}),
    )
    def predict_one(call: CallParameter) -> Response:
        """One row."""
        return predict(model, call)

    @routes.post(
        "/predict/batch",
        name="/predict/batch",
        tags=["Predictions"],
        summary="Predict many rows",
        response_model=batch_response_model,
        responses=documented_responses({"predictions": [model.named_example], **model.facts, "request_id": "a1"}),
        openapi_extra=examples_body(rows, {"rows": {"rows": golden_rows}}),
    )
    def predict_batch(call: CallParameter) -> Response:
        """Many rows."""
        return batch(model, call)

    return routes


def predict(model: LoadedModel, call: Call) -> Response:
    """The prediction for one row. A body with `instances` goes to `invoke`: /predict is the local default of platforms.

    Raises RequestError for a row that breaks the contract.
    """
    may_be_platform = b'"instances"' in call.body and "instances" not in model.contract.request
    if may_be_platform:
        model.limits.check_values(call.body, call)
        if "instances" in json_object(call.body):
            return invoke(model, call)

    only_json(call)
    (prediction,) = json_objects(model.in_words(model.predict_and_log([model.validator.row(call.body)], call)))
    return JSONBytesResponse(prediction[:-1].encode() + model.tail + call.id.encode() + b'"}')


def batch(model: LoadedModel, call: Call) -> Response:
    """The predictions for the rows under `rows`, in their order. Raises RequestError with the invalid fields."""
    only_json(call)
    rows = model.validator.rows_of_body(call.body, ("rows",), call)
    if rows is None:
        model.limits.check_values(call.body, call)
        rows = model.validator.rows(sent_rows(call), "rows", call)

    predictions = model.in_words(model.predict_and_log(rows, call))
    listed = ",".join(json_objects(predictions)).encode()
    return JSONBytesResponse(b'{"predictions":[' + listed + b"]" + model.tail + call.id.encode() + b'"}')


def sent_rows(call: Call) -> list[Any]:
    """The rows of a body, not yet validated. Raises RequestError for a body that has anything but a list of rows."""
    body = json_object(call.body)
    unknown = [key for key in body if key != "rows"]
    errors = [FieldError(field=key[:100], message="There is no such field") for key in unknown[:LISTED]]
    rows = body.get("rows")
    if "rows" not in body:
        errors.append(FieldError(field="rows", message="This field is required"))
    elif not isinstance(rows, list):
        errors.append(FieldError(field="rows", message="Should be a list"))
    if errors or not isinstance(rows, list):
        raise validation_failed(errors, search_ended(len(errors), len(unknown), "fields"))
    return rows
