"""The routes of the Open Inference Protocol, version 2: one tensor per request column, one tensor per output.

Tensors come and go as JSON or with the binary tensor data extension. `LoadedModel` validates the rows.
"""

import json
import math
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from serve.errors import FieldError, RequestError, validation_failed
from serve.messages import VERSION, Call, CallParameter
from serve.model import LoadedModel
from serve.openapi import KEY_ASKED, documented_responses, examples_body, object_schema
from serve.protocols.bodies import json_object

LENGTH = b"inference-header-content-length"
DIGITS = 12  # of a length in bytes
NUMBERS = {
    "FP16": "<f2", "FP32": "<f4", "FP64": "<f8", "INT8": "<i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8",
    "UINT8": "<u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "BOOL": "?",
}  # fmt: skip
KINDS = {"category": "BYTES", "datetime": "BYTES", "number": "FP64", "integer": "INT64", "boolean": "BOOL"}
OUTPUTS = {"probability": "FP64", "label": "INT64", "value": "FP64"}


def router(model: LoadedModel) -> APIRouter:
    """The routes of the protocol, each with and without the model's version in its path."""
    routes = APIRouter(tags=["Open Inference V2"])
    outputs = [
        {"name": name, "datatype": OUTPUTS[name], "shape": [1], "data": [value]}
        for name, value in model.example.items()
    ]
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
    head, binary = split_body(call)
    columns = dict(read_inputs(head, binary))
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise validation_failed([FieldError(field="inputs", message="Tensors should have the same number of rows")])

    sent = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    predictions = model.predict_and_log(model.rows(sent, "inputs", call), call)

    outputs = read_outputs(head, list(predictions))
    own_id = head.get("id")
    request_id = own_id if isinstance(own_id, str) and own_id else call.id
    about = {"model_name": model.name, "model_version": model.version, "id": request_id}
    return response_body(about, outputs, predictions)


def split_body(call: Call) -> tuple[dict[str, Any], bytes]:
    """The JSON object of a request, and the binary tensor data after it. Raises RequestError where they do not fit."""
    declared = call.headers.get(LENGTH)
    if declared is None:
        return json_object(call.body), b""
    if not declared.isdigit() or len(declared) > DIGITS or int(declared) > len(call.body):
        raise RequestError(400, "Inference-Header-Content-Length is not the length of the JSON in the body")
    length = int(declared)
    return json_object(call.body[:length]), call.body[length:]


def read_inputs(head: dict[str, Any], binary: bytes) -> Iterator[tuple[str, list[Any]]]:
    """The name and the values of each tensor. Raises RequestError at the first tensor that does not fit its header."""
    inputs = head.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise validation_failed([FieldError(field="inputs", message="Should have at least one tensor")])

    offset = 0  # of the next tensor in the binary data
    names = set()
    for number, tensor in enumerate(inputs):
        where = f"inputs.{number}"
        if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
            raise validation_failed([FieldError(field=where, message="Should be a tensor with a name")])
        name = tensor["name"]
        where = f"inputs.{name}"[:100]
        if name in names:
            raise validation_failed([FieldError(field=where, message="This tensor is in the request twice")])
        names.add(name)

        count = element_count(tensor, where)
        size = parameter_of(tensor, "binary_data_size")
        if size is None:
            yield name, values_from_json(tensor, count, where)
            continue
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= len(binary) - offset:
            raise validation_failed([FieldError(field=where, message="binary_data_size is more than the body holds")])
        yield name, values_from_bytes(tensor, binary[offset : offset + size], count, where)
        offset += size

    if offset != len(binary):
        raise RequestError(400, f"The body has {len(binary) - offset} bytes that belong to no tensor")


def element_count(tensor: dict[str, Any], where: str) -> int:
    """The number of values in the shape [rows] or [rows, 1]. Raises RequestError for another shape or datatype."""
    shape = tensor.get("shape")
    sizes = shape if isinstance(shape, list) else []
    if (
        len(sizes) not in (1, 2)
        or any(not isinstance(size, int) or isinstance(size, bool) or size < 0 for size in sizes)
        or sizes[1:] not in ([], [1])
    ):
        raise validation_failed([FieldError(field=where, message="shape should be [rows] or [rows, 1]")])

    kind = tensor.get("datatype")
    if not isinstance(kind, str) or (kind != "BYTES" and kind not in NUMBERS):
        raise validation_failed(
            [FieldError(field=where, message=f"datatype should be one of BYTES, {', '.join(NUMBERS)}")]
        )

    return math.prod(sizes)


def values_from_json(tensor: dict[str, Any], count: int, where: str) -> list[Any]:
    """The `count` values of `data`. Raises RequestError for another count, and with every value of another type."""
    data = tensor.get("data")
    if not isinstance(data, list):
        raise validation_failed([FieldError(field=where, message="Should have data, or binary_data_size")])
    if len(tensor["shape"]) > 1:  # [rows, 1] may come as a list of lists of one
        data = [unwrap(value) for value in data]
    if len(data) != count:
        raise validation_failed(
            [FieldError(field=where, message=f"the shape has {count} values, but there are {len(data)}")]
        )

    kind = tensor["datatype"]
    misfits = [n for n, value in enumerate(data) if not (value is None or is_of_type(value, kind))]
    if misfits:
        text = f"Should be of {kind}"
        raise validation_failed([FieldError(field=f"{where}.{n}", message=text) for n in misfits])
    return data


def unwrap(value: Any) -> Any:
    """The item of a list with one item; any other value as it is."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def is_of_type(value: Any, kind: str) -> bool:
    """Whether a JSON value fits the tensor datatype. As in JSON Schema, 18.0 is an integer."""
    if kind == "BYTES":
        return isinstance(value, str)
    if kind == "BOOL":
        return isinstance(value, bool)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return "INT" not in kind or isinstance(value, int) or value.is_integer()


def values_from_bytes(tensor: dict[str, Any], raw: bytes, count: int, where: str) -> list[Any]:
    """The `count` values of a binary tensor. Raises RequestError where `raw` holds another number of them."""
    kind = tensor["datatype"]
    if kind != "BYTES":
        dtype = np.dtype(NUMBERS[kind])
        if len(raw) != count * dtype.itemsize:
            raise validation_failed(
                [FieldError(field=where, message=f"{len(raw)} bytes cannot hold {count} values of {kind}")]
            )
        numbers: list[Any] = np.frombuffer(raw, dtype).tolist()
        return numbers

    values = list(byte_strings(raw, where))
    if len(values) != count:
        raise validation_failed(
            [FieldError(field=where, message=f"the shape has {count} values, but there are {len(values)}")]
        )
    return values


def byte_strings(raw: bytes, where: str) -> Iterator[str]:
    """The texts of a BYTES tensor, in which the length of each text precedes it as four bytes, little-endian.

    Raises RequestError where a length or a text cannot be read.
    """
    offset = 0
    try:
        while offset < len(raw):
            (size,) = struct.unpack_from("<I", raw, offset)
            start = offset + 4
            end = start + size
            if end > len(raw):
                raise ValueError("a length reaches beyond the tensor")
            yield raw[start:end].decode()
            offset = end
    except (struct.error, ValueError) as error:
        raise validation_failed([FieldError(field=where, message=f"Should be a BYTES tensor: {error}")]) from None


def read_outputs(head: dict[str, Any], known: list[str]) -> list[tuple[str, bool]]:
    """The requested outputs as pairs of name and whether the client wants binary data; all of `known` by default.

    Raises RequestError with every requested output that is not in `known`.
    """
    default = bool(parameter_of(head, "binary_data_output"))
    requested = head.get("outputs")
    if not requested:
        return [(name, default) for name in known]

    if not isinstance(requested, list) or any(not isinstance(output, dict) for output in requested):
        raise validation_failed([FieldError(field="outputs", message="Should be a list of outputs")])
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


def parameter_of(part: dict[str, Any], name: str) -> Any:
    """A parameter of a request, a tensor or an output; None where it is missing."""
    parameters = part.get("parameters")
    return parameters.get(name) if isinstance(parameters, dict) else None


def response_body(
    about: dict[str, Any], outputs: list[tuple[str, bool]], predictions: dict[str, list[float]]
) -> Response:
    """The response with one tensor per output; `outputs` are pairs of name and whether its data is binary."""
    tensors = []
    binary = b""
    for name, as_bytes in outputs:
        values = predictions[name]
        tensor: dict[str, Any] = {"name": name, "datatype": OUTPUTS[name], "shape": [len(values)]}
        if as_bytes:
            raw = np.array(values, NUMBERS[OUTPUTS[name]]).tobytes()
            tensor["parameters"] = {"binary_data_size": len(raw)}
            binary += raw
        else:
            tensor["data"] = values
        tensors.append(tensor)

    head = json.dumps({**about, "outputs": tensors}).encode()
    if not binary:
        return Response(head, media_type="application/json")
    length = {"inference-header-content-length": str(len(head))}
    return Response(head + binary, headers=length, media_type="application/octet-stream")


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
        "outputs": [{"name": name, "datatype": OUTPUTS[name], "shape": [-1]} for name in model.example],
    }
