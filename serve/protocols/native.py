"""The routes for people: one record, and many."""

from fastapi import APIRouter, Response

from serve import schemas
from serve.errors import FieldError, refusal
from serve.messages import Call, TheCall
from serve.model import Served
from serve.openapi import examples_body, object_of, ref, responses
from serve.protocols.bodies import JSONBytesResponse, as_objects, only_json, parsed
from serve.protocols.invocations import invoke


def router(served: Served) -> APIRouter:
    routes = APIRouter()
    row, golden = ref(served.predictor.row_model), served.predictor.golden.rows[:3]
    one, many, _ = schemas.OF_TASK[served.task]
    listed = object_of({"rows": {"type": "array", "items": row, "minItems": 1}}) | {"additionalProperties": False}

    @routes.post(
        "/predict",
        name="/predict",
        tags=["Predictions"],
        summary=served.contract.question,
        response_model=one,
        responses=responses({**served.example, **served.facts, "request_id": "a1"}),
        openapi_extra=examples_body(row, {f"row {n}": values for n, values in enumerate(golden, 1)}),
    )
    def predict_one(call: TheCall) -> Response:
        """One row."""
        return predict(served, call)

    @routes.post(
        "/predict/batch",
        name="/predict/batch",
        tags=["Predictions"],
        summary="The same for many rows",
        response_model=many,
        responses=responses({"predictions": [served.example], **served.facts, "request_id": "a1"}),
        openapi_extra=examples_body(listed, {"rows": {"rows": golden}}),
    )
    def predict_batch(call: TheCall) -> Response:
        """Many rows."""
        return batch(served, call)

    return routes


def predict(served: Served, call: Call) -> Response:
    """One record, as a person sends it; a body with `instances` is a platform's, whose local default is this route."""
    platforms = b'"instances"' in call.body and "instances" not in served.contract.request
    if platforms and "instances" in parsed(call.body):
        return invoke(served, call)
    only_json(call)
    (answer,) = as_objects(served.told([served.row(call.body)], call))
    return JSONBytesResponse(answer[:-1].encode() + served.tail + call.id.encode() + b'"}')


def batch(served: Served, call: Call) -> Response:
    """Many records under `rows`."""
    only_json(call)
    body = parsed(call.body)
    wrong = [
        FieldError(field=str(key)[:100], message="Extra inputs are not permitted") for key in body if key != "rows"
    ]
    if "rows" not in body:
        wrong.append(FieldError(field="rows", message="Field required"))
    elif not isinstance(body["rows"], list):
        wrong.append(FieldError(field="rows", message="Input should be a valid list"))
    if wrong:
        raise refusal(wrong)
    listed = ",".join(as_objects(served.told(served.rows(body["rows"], "rows", call), call))).encode()
    return JSONBytesResponse(b'{"predictions":[' + listed + b"]" + served.tail + call.id.encode() + b'"}')
