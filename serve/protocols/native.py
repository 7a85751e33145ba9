"""The routes for people: one record, and many."""

from fastapi import APIRouter, Response

from serve import schemas
from serve.errors import FieldError, validation_failed
from serve.messages import Call, CallParameter
from serve.model import LoadedModel
from serve.openapi import documented_responses, examples_body, object_schema, schema_ref
from serve.protocols.bodies import JSONBytesResponse, json_object, json_objects, only_json
from serve.protocols.invocations import invoke


def router(served: LoadedModel) -> APIRouter:
    routes = APIRouter()
    row, golden = schema_ref(served.predictor.row_model), served.predictor.golden.rows[:3]
    one, many, _ = schemas.OF_TASK[served.task]
    listed = object_schema({"rows": {"type": "array", "items": row, "minItems": 1}}) | {"additionalProperties": False}

    @routes.post(
        "/predict",
        name="/predict",
        tags=["Predictions"],
        summary=served.contract.question,
        response_model=one,
        responses=documented_responses({**served.example, **served.facts, "request_id": "a1"}),
        openapi_extra=examples_body(row, {f"row {n}": values for n, values in enumerate(golden, 1)}),
    )
    def predict_one(call: CallParameter) -> Response:
        """One row."""
        return predict(served, call)

    @routes.post(
        "/predict/batch",
        name="/predict/batch",
        tags=["Predictions"],
        summary="The same for many rows",
        response_model=many,
        responses=documented_responses({"predictions": [served.example], **served.facts, "request_id": "a1"}),
        openapi_extra=examples_body(listed, {"rows": {"rows": golden}}),
    )
    def predict_batch(call: CallParameter) -> Response:
        """Many rows."""
        return batch(served, call)

    return routes


def predict(served: LoadedModel, call: Call) -> Response:
    """One record, as a person sends it; a body with `instances` is a platform's, whose local default is this route."""
    platforms = b'"instances"' in call.body and "instances" not in served.contract.request
    if platforms and "instances" in json_object(call.body):
        return invoke(served, call)
    only_json(call)
    (answer,) = json_objects(served.predict_and_log([served.row(call.body)], call))
    return JSONBytesResponse(answer[:-1].encode() + served.tail + call.id.encode() + b'"}')


def batch(served: LoadedModel, call: Call) -> Response:
    """Many records under `rows`."""
    only_json(call)
    body = json_object(call.body)
    wrong = [
        FieldError(field=str(key)[:100], message="Extra inputs are not permitted") for key in body if key != "rows"
    ]
    if "rows" not in body:
        wrong.append(FieldError(field="rows", message="Field required"))
    elif not isinstance(body["rows"], list):
        wrong.append(FieldError(field="rows", message="Input should be a valid list"))
    if wrong:
        raise validation_failed(wrong)
    listed = ",".join(json_objects(served.predict_and_log(served.rows(body["rows"], "rows", call), call))).encode()
    return JSONBytesResponse(b'{"predictions":[' + listed + b"]" + served.tail + call.id.encode() + b'"}')
