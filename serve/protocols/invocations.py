"""MLflow's, SageMaker's, Vertex AI's and KServe V1's bodies: one handler reads them all."""

import json
from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from serve.errors import RequestError
from serve.messages import Call, CallParameter
from serve.model import LoadedModel
from serve.openapi import KEY_ASKED, documented_responses, examples_body, object_schema, schema_ref
from serve.protocols.bodies import KEYS, READERS, JSONBytesResponse, json_objects, media_type, read_json
from serve.settings import Settings

FORMS_TAKEN = "Also `dataframe_split`, columns under `inputs`, rows as lists, CSV with a header, and JSON Lines."


def router(served: LoadedModel, settings: Settings) -> APIRouter:
    """The routes of the platforms that send rows."""
    routes = APIRouter()

    def rows(call: CallParameter) -> Response:
        return invoke(served, call)

    platforms = [
        ("/invocations", "/invocations", "MLflow and SageMaker", "MLflow, SageMaker"),
        (f"/v1/models/{served.name}:predict", "/v1/models/{name}:predict", "KServe V1", "KServe V1, Vertex AI"),
    ]
    if settings.predict_route:
        platforms.append((settings.predict_route, "predict_route", "Vertex AI", "Vertex AI, by AIP_PREDICT_ROUTE"))
    for path, name, tag, summary in platforms:
        routes.post(
            path,
            name=name,
            tags=[tag],
            summary=summary,
            description=FORMS_TAKEN,
            responses=documented_responses({"predictions": [served.example], "metadata": served.metadata}),
            openapi_extra=instances_body(served),
        )(rows)

    @routes.get("/v1/models", name="/v1/models", tags=["KServe V1"], summary="Which there are", responses=KEY_ASKED)
    async def models() -> JSONResponse:
        return JSONResponse({"models": [served.name]})

    transform: Any = {"tags": ["MLflow and SageMaker"], "summary": "For SageMaker's batch transform"}

    @routes.get("/execution-parameters", name="/execution-parameters", responses=KEY_ASKED, **transform)
    async def execution_parameters() -> JSONResponse:
        """How the pieces of a large file should be sent."""
        megabytes = min(6, max(1, settings.max_body_bytes // 10**6))
        return JSONResponse(
            {"MaxConcurrentTransforms": 2, "BatchStrategy": "MULTI_RECORD", "MaxPayloadInMB": megabytes}
        )

    return routes


def instances_body(served: LoadedModel) -> dict[str, Any]:
    """The body of a platform, as far as OpenAPI can say it: a part of what is taken."""
    listed = {"type": "array", "minItems": 1, "items": schema_ref(served.predictor.row_model)}
    forms = [object_schema({key: listed}, without=KEYS) for key in ("instances", "dataframe_records", "inputs")]
    row = served.predictor.golden.rows[0]
    examples = {
        "instances": {"instances": [row]},
        "dataframe_split": {"dataframe_split": {"columns": list(row), "data": [list(row.values())]}},
        "inputs": {"inputs": {column: [value] for column, value in row.items()}},
    }
    return examples_body({"oneOf": forms}, examples)


def invoke(served: LoadedModel, call: Call) -> Response:
    """Whatever a platform sends; the answer is CSV or JSON Lines where that alone is accepted."""
    kind = media_type(call.headers.get(b"content-type", b""))
    reader = READERS.get(kind)
    if reader is None and (kind.startswith("text/") or kind.endswith("parquet")):
        raise RequestError(415, f"The content type is {kind[:100]!r}; send {', '.join(READERS)}")
    sent, at = (reader or read_json)(call, served.contract)  # botocore says octet-stream where nobody chose a type
    told = served.predict_and_log(served.rows(sent, at, call), call)
    accepted = media_type(call.headers.get(b"accept", b""))
    if accepted == "text/csv":
        lines = [",".join(map(str, answer)) for answer in zip(*told.values(), strict=True)]
        return Response("\n".join([*lines, ""]), media_type="text/csv")
    objects = json_objects(told)
    if accepted in ("application/jsonlines", "application/x-jsonlines"):
        return Response("\n".join([*objects, ""]), media_type="application/jsonlines")
    about = {**served.metadata, "request_id": call.id}
    listed = ",".join(objects).encode()
    return JSONBytesResponse(b'{"predictions":[' + listed + b'],"metadata":' + json.dumps(about).encode() + b"}")
