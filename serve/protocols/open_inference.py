"""The routes of the Open Inference Protocol, version 2: one tensor per request column, one tensor per output.

Tensors come and go as JSON or with the binary tensor data extension. `RowValidator` validates the rows.
"""

import json
from itertools import chain
from typing import Any

import numpy as np
from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from serve.errors import FieldError, RequestError, invalid_field, validation_failed
from serve.limits import Limits
from serve.messages import VERSION, Call, CallParameter
from serve.model import LoadedModel
from serve.openapi import KEY_ASKED, documented_responses, examples_body, object_schema
from serve.protocols.bodies import json_object, platform_json
from serve.protocols.tensors import NUMBERS, parameter_of, read_inputs

LENGTH = b"inference-header-content-length"
MOST_OUTPUTS = 100  # of one request
DIGITS = 12  # of a length in bytes
KINDS = {"category": "BYTES", "datetime": "BYTES", "number": "FP64", "integer": "INT64", "boolean": "BOOL"}
OUTPUTS = {"probability": "FP64", "probabilities": "FP64", "label": "INT64", "value": "FP64"}


def router(model: LoadedModel) -> APIRouter:
    """The routes of the protocol, each with and without the model's version in its path."""
    routes = APIRouter(tags=["Open Inference V2"])
    outputs = [output_tensor(name, [value]) for name, value in model.example.items()]
    example = {"model_name": model.name, "model_version": model.version, "id": "a1", "outputs": outputs}

    path = f"/v2/models/{model.name}"
    version_path = f"{path}/versions/{model.version}"
    about: Any = {"summary": "Model metadata: inputs and outputs", "name": "/v2/models/{name}", "responses": KEY_ASKED}
    inference: Any = {
        "name": "/v2/models/{name}/infer",
        "summary": "Open Inference V2",
        "responses": documented_responses(example),
        "openapi_extra": examples_body(one_row_of_tensors(model), {}),
    }

    @routes.post(f"{version_path}/infer", **inference)
    @routes.post(f"{path}/infer", **inference)
    def infer_tensors(call: CallParameter) -> Response:
        """One row here. Tensors are [rows] or [rows, 1], in any order, as JSON or with the binary extension."""
        return infer(model, call)

    @routes.get(version_path, **about)
    @routes.get(path, **about)
    async def model_metadata() -> JSONResponse:
        return JSONResponse(metadata(model))

    @routes.get("/v2/", name="/v2", summary="Server metadata", responses=KEY_ASKED)
    @routes.get("/v2", name="/v2", summary="Server metadata", responses=KEY_ASKED)
    async def server_metadata() -> JSONResponse:
        return JSONResponse({"name": "mlops-reference", "version": VERSION, "extensions": ["binary_tensor_data"]})

    return routes


def one_row_of_tensors(model: LoadedModel) -> dict[str, Any]:
    """The JSON schema of a body with one row: one tensor per column, the required columns first."""
    fields = model.predictor.row_model.model_json_schema()
    columns = []
    for name, field in fields["properties"].items():
        kind = KINDS[model.contract.request[name].kind]
        data = {"type": "array", "prefixItems": [field], "minItems": 1, "maxItems": 1}
        fixed = {"name": {"const": name}, "shape": {"const": [1]}, "datatype": {"const": kind}}
        columns.append(object_schema({**fixed, "data": data}))

    count = {"minItems": max(1, len(fields.get("required", []))), "maxItems": len(columns)}
    return object_schema({"inputs": {"type": "array", "prefixItems": columns, "items": False, **count}})


def infer(model: LoadedModel, call: Call) -> Response:
    """The predictions for the rows of the tensors. Raises RequestError for faulty tensors and rows."""
    platform_json(call)
    limits = model.limits
    head, binary = split_body(call, limits)
    columns = dict(read_inputs(head, binary, limits))
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise invalid_field("inputs", "Tensors should have the same number of rows")

    sent = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    predictions = model.predict_and_log(model.validator.rows(sent, "inputs", call), call)

    outputs = read_outputs(head, list(predictions))
    own_id = head.get("id")
    request_id = own_id if isinstance(own_id, str) and own_id else call.id
    about = {"model_name": model.name, "model_version": model.version, "id": request_id}
    return response_body(about, outputs, predictions)


def split_body(call: Call, limits: Limits) -> tuple[dict[str, Any], memoryview]:
    """The JSON object of a request, and the binary tensor data after it.

    Raises RequestError where they do not fit, and for a head with more values than the rows of a request can have.
    """
    declared = call.headers.get(LENGTH)
    length = len(call.body)
    if declared is not None:
        if not declared.isdigit() or len(declared) > DIGITS or int(declared) > length:
            raise RequestError(400, "Inference-Header-Content-Length is not the length of the JSON in the body")
        length = int(declared)

    head = call.body if length == len(call.body) else call.body[:length]
    if text := limits.too_many_values(head, call):
        raise invalid_field("inputs", text)
    limits.check_text(call.body)
    return json_object(head), memoryview(call.body)[length:]


def read_outputs(head: dict[str, Any], known: list[str]) -> list[tuple[str, bool]]:
    """The requested outputs as pairs of name and whether the client wants binary data; all of `known` by default.

    Raises RequestError with every requested output that is not in `known`.
    """
    default = bool(parameter_of(head, "binary_data_output"))
    requested = head.get("outputs")
    if not requested:
        return [(name, default) for name in known]
    if not isinstance(requested, list) or len(requested) > MOST_OUTPUTS:
        raise invalid_field("outputs", f"Should be a list of outputs, {MOST_OUTPUTS} at most")

    if any(not isinstance(output, dict) for output in requested):
        raise invalid_field("outputs", "Should be a list of outputs")
    unknown = [str(output.get("name")) for output in requested if output.get("name") not in known]
    if unknown:
        text = f"There is no such output. Known: {', '.join(known)}"
        raise validation_failed([FieldError(field=f"outputs.{name}"[:100], message=text) for name in unknown])

    outputs = []
    for output in requested:
        binary = parameter_of(output, "binary_data")
        as_bytes = default if binary is None else bool(binary)
        outputs.append((output["name"], as_bytes))
    return outputs


def response_body(
    about: dict[str, Any], outputs: list[tuple[str, bool]], predictions: dict[str, list[Any]]
) -> Response:
    """The response with one tensor per output; `outputs` are pairs of name and whether its data is binary."""
    tensors = []
    binary = b""
    for name, as_bytes in outputs:
        tensor = output_tensor(name, predictions[name])
        if as_bytes:
            raw = as_binary(tensor.pop("data"), tensor["datatype"])
            tensor["parameters"] = {"binary_data_size": len(raw)}
            binary += raw
        tensors.append(tensor)

    head = json.dumps({**about, "outputs": tensors}).encode()
    if not binary:
        return Response(head, media_type="application/json")
    length = {"inference-header-content-length": str(len(head))}
    return Response(head + binary, headers=length, media_type="application/octet-stream")


def output_tensor(name: str, values: list[Any]) -> dict[str, Any]:
    """One output as a tensor of JSON: [rows], or [rows, classes] for the probabilities of several classes."""
    shape = [len(values)]
    datatype = OUTPUTS[name]
    data = values
    if name == "probabilities":
        shape.append(len(values[0]))
        data = list(chain.from_iterable(row.values() for row in values))
    elif isinstance(values[0], str):
        datatype = "BYTES"
    return {"name": name, "datatype": datatype, "shape": shape, "data": data}


def as_binary(data: list[Any], datatype: str) -> bytes:
    """The values of a tensor as binary data. A text has its length before it, as four bytes, little-endian."""
    if datatype != "BYTES":
        return np.array(data, NUMBERS[datatype]).tobytes()
    texts = [text.encode() for text in data]
    return b"".join(len(text).to_bytes(4, "little") + text for text in texts)


def output_metadata(model: LoadedModel, name: str) -> dict[str, Any]:
    """Name, datatype and shape of an output; probabilities have the names of their classes as a parameter."""
    tensor = output_tensor(name, [model.example[name]])
    about = {"name": name, "datatype": tensor["datatype"], "shape": [-1, *tensor["shape"][1:]]}
    return about | ({"parameters": {"classes": list(model.contract.classes)}} if name == "probabilities" else {})


def metadata(model: LoadedModel) -> dict[str, Any]:
    """The model metadata of the protocol: inputs and outputs by name, datatype and shape; -1 is any number of rows."""
    return {
        "name": model.name,
        "versions": [model.version],
        "platform": "onnx_onnxruntime",
        "inputs": [
            {"name": name, "datatype": KINDS[column.kind], "shape": [-1]}
            for name, column in model.contract.request.items()
        ],
        "outputs": [output_metadata(model, name) for name in model.example],
    }
