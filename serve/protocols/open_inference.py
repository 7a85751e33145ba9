"""The Open Inference Protocol, version 2: one tensor per column, as JSON or with the binary extension, to rows; and
answers to tensors.
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


def router(served: LoadedModel) -> APIRouter:
    routes = APIRouter(tags=["Open Inference V2"])
    known = served.example
    outputs = [{"name": name, "datatype": OUTPUTS[name], "shape": [1], "data": [known[name]]} for name in known]
    example = {"model_name": served.name, "model_version": served.version, "id": "a1", "outputs": outputs}
    model, version = f"/v2/models/{served.name}", f"/v2/models/{served.name}/versions/{served.version}"
    about: Any = {"summary": "What the model takes and gives", "name": "/v2/models/{name}", "responses": KEY_ASKED}
    answering: Any = {
        "name": "/v2/models/{name}/infer",
        "summary": "Open Inference V2",
        "responses": documented_responses(example),
        "openapi_extra": examples_body(one_row_of_tensors(served), {}),
    }

    @routes.post(f"{version}/infer", **answering)
    @routes.post(f"{model}/infer", **answering)
    def infer_tensors(call: CallParameter) -> Response:
        """One row here. Tensors are [rows] or [rows, 1], in any order, as JSON or with the binary extension."""
        return infer(served, call)

    @routes.get(version, **about)
    @routes.get(model, **about)
    async def model_metadata() -> JSONResponse:
        return JSONResponse(metadata(served))

    @routes.get("/v2/", name="/v2", summary="What the server is", responses=KEY_ASKED)
    @routes.get("/v2", name="/v2", summary="What the server is", responses=KEY_ASKED)
    async def server_metadata() -> JSONResponse:
        return JSONResponse({"name": "mlops-reference", "version": VERSION, "extensions": ["binary_tensor_data"]})

    return routes


def one_row_of_tensors(served: LoadedModel) -> dict[str, Any]:
    """The schema of a body with one row: the required columns, and then the optional ones."""
    fields = served.predictor.row_model.model_json_schema()
    columns = []
    for name, field in fields["properties"].items():
        kind = KINDS[served.contract.request[name].kind]
        data = {"type": "array", "prefixItems": [field], "minItems": 1, "maxItems": 1}
        fixed = {"name": {"const": name}, "shape": {"const": [1]}, "datatype": {"const": kind}}
        columns.append(object_schema({**fixed, "data": data}))
    count = {"minItems": max(1, len(fields.get("required", []))), "maxItems": len(columns)}
    return object_schema({"inputs": {"type": "array", "prefixItems": columns, "items": False, **count}})


def infer(served: LoadedModel, call: Call) -> Response:
    head, binary = split_body(call)
    columns = dict(read_inputs(head, binary))
    lengths = {len(values) for values in columns.values()}
    if len(lengths) > 1:
        raise validation_failed([FieldError(field="inputs", message="Tensors should have the same number of rows")])
    sent = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    told = served.predict_and_log(served.rows(sent, "inputs", call), call)
    wanted = read_outputs(head, list(told))
    given = head.get("id")
    about = {
        "model_name": served.name,
        "model_version": served.version,
        "id": given if isinstance(given, str) and given else call.id,
    }
    return response_body(about, wanted, told)


def split_body(call: Call) -> tuple[dict[str, Any], bytes]:
    """The JSON of a request, and the bytes behind it."""
    declared = call.headers.get(LENGTH)
    if declared is None:
        return json_object(call.body), b""
    if not declared.isdigit() or len(declared) > DIGITS or int(declared) > len(call.body):
        raise RequestError(400, "Inference-Header-Content-Length is not the length of the JSON in the body")
    at = int(declared)
    return json_object(call.body[:at]), call.body[at:]


def read_inputs(head: dict[str, Any], binary: bytes) -> Iterator[tuple[str, list[Any]]]:
    """Each tensor's name and values. Raises RequestError where one is not what it says it is."""
    inputs = head.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise validation_failed([FieldError(field="inputs", message="Should have at least one tensor")])
    at, seen = 0, set()
    for number, tensor in enumerate(inputs):
        where = f"inputs.{number}"
        if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
            raise validation_failed([FieldError(field=where, message="Input should be a tensor with a name")])
        name = tensor["name"]
        where = f"inputs.{name}"[:100]
        if name in seen:
            raise validation_failed([FieldError(field=where, message="Is there twice")])
        seen.add(name)
        count = element_count(tensor, where)
        size = parameter_of(tensor, "binary_data_size")
        if size is None:
            yield name, values_from_json(tensor, count, where)
            continue
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= len(binary) - at:
            raise validation_failed([FieldError(field=where, message="binary_data_size is more than the body holds")])
        yield name, values_from_bytes(tensor, binary[at : at + size], count, where)
        at += size
    if at != len(binary):
        raise RequestError(400, f"The body has {len(binary) - at} bytes that belong to no tensor")


def element_count(tensor: dict[str, Any], where: str) -> int:
    """How many values the shape [rows] or [rows, 1] speaks of."""
    shape, kind = tensor.get("shape"), tensor.get("datatype")
    sizes = shape if isinstance(shape, list) else []
    if (
        len(sizes) not in (1, 2)
        or any(not isinstance(size, int) or isinstance(size, bool) or size < 0 for size in sizes)
        or sizes[1:] not in ([], [1])
    ):
        raise validation_failed([FieldError(field=where, message="shape should be [rows] or [rows, 1]")])
    if not isinstance(kind, str) or (kind != "BYTES" and kind not in NUMBERS):
        raise validation_failed(
            [FieldError(field=where, message=f"datatype should be one of BYTES, {', '.join(NUMBERS)}")]
        )
    return math.prod(sizes)


def values_from_json(tensor: dict[str, Any], count: int, where: str) -> list[Any]:
    data = tensor.get("data")
    if not isinstance(data, list):
        raise validation_failed([FieldError(field=where, message="Should have data, or binary_data_size")])
    columnar = len(tensor["shape"]) > 1  # [rows, 1] may come as a list of lists of one
    flat = [value[0] if columnar and isinstance(value, list) and len(value) == 1 else value for value in data]
    if len(flat) != count:
        raise validation_failed(
            [FieldError(field=where, message=f"shape speaks of {count} values, and there are {len(flat)}")]
        )
    kind = tensor["datatype"]
    wrong = [n for n, value in enumerate(flat) if not (value is None or is_of_type(value, kind))]
    if wrong:
        raise validation_failed([FieldError(field=f"{where}.{n}", message=f"Input should be of {kind}") for n in wrong])
    return flat


def is_of_type(value: Any, kind: str) -> bool:
    """Whether a value of JSON is one of a tensor's; 18.0 is an integer, as it is to JSON Schema."""
    if kind in ("BYTES", "BOOL"):
        return isinstance(value, str if kind == "BYTES" else bool)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return "INT" not in kind or isinstance(value, int) or value.is_integer()


def values_from_bytes(tensor: dict[str, Any], raw: bytes, count: int, where: str) -> list[Any]:
    kind = tensor["datatype"]
    if kind == "BYTES":
        values = list(byte_strings(raw, where))
    else:
        width = np.dtype(NUMBERS[kind])
        if len(raw) != count * width.itemsize:
            raise validation_failed(
                [FieldError(field=where, message=f"{len(raw)} bytes are not {count} values of {kind}")]
            )
        numbers: list[Any] = np.frombuffer(raw, width).tolist()
        return numbers
    if len(values) != count:
        raise validation_failed(
            [FieldError(field=where, message=f"shape speaks of {count} values, and there are {len(values)}")]
        )
    return values


def byte_strings(raw: bytes, where: str) -> Iterator[str]:
    """Each text behind its length in four bytes."""
    at = 0
    try:
        while at < len(raw):
            (size,) = struct.unpack_from("<I", raw, at)
            if at + 4 + size > len(raw):
                raise ValueError("a length reaches beyond the tensor")
            yield raw[at + 4 : at + 4 + size].decode()
            at += 4 + size
    except (struct.error, ValueError) as error:
        raise validation_failed([FieldError(field=where, message=f"Is no BYTES tensor: {error}")]) from None


def read_outputs(head: dict[str, Any], known: list[str]) -> list[tuple[str, bool]]:
    """The outputs that are asked for, all where none is named, and whether each is to be binary."""
    usual = bool(parameter_of(head, "binary_data_output"))
    asked = head.get("outputs")
    if not asked:
        return [(name, usual) for name in known]
    if not isinstance(asked, list) or any(not isinstance(each, dict) for each in asked):
        raise validation_failed([FieldError(field="outputs", message="Input should be a list of outputs")])
    wrong = [str(each.get("name")) for each in asked if each.get("name") not in known]
    if wrong:
        text = f"Is no output; there are {', '.join(known)}"
        raise validation_failed([FieldError(field=f"outputs.{name}"[:100], message=text) for name in wrong])
    wishes = [(each["name"], parameter_of(each, "binary_data")) for each in asked]
    return [(name, usual if wish is None else bool(wish)) for name, wish in wishes]


def parameter_of(part: dict[str, Any], name: str) -> Any:
    parameters = part.get("parameters")
    return parameters.get(name) if isinstance(parameters, dict) else None


def response_body(about: dict[str, Any], wanted: list[tuple[str, bool]], told: dict[str, list[float]]) -> Response:
    tensors, behind = [], b""
    for name, as_bytes in wanted:
        values = told[name]
        tensor: dict[str, Any] = {"name": name, "datatype": OUTPUTS[name], "shape": [len(values)]}
        if as_bytes:
            raw = np.array(values, NUMBERS[OUTPUTS[name]]).tobytes()
            tensor["parameters"] = {"binary_data_size": len(raw)}
            behind += raw
        else:
            tensor["data"] = values
        tensors.append(tensor)
    head = json.dumps({**about, "outputs": tensors}).encode()
    if not behind:
        return Response(head, media_type="application/json")
    length = {"inference-header-content-length": str(len(head))}
    return Response(head + behind, headers=length, media_type="application/octet-stream")


def metadata(served: LoadedModel) -> dict[str, Any]:
    """What the model takes and gives, as the protocol describes models; -1 is any number of rows."""
    outputs = list(served.example)
    return {
        "name": served.name,
        "versions": [served.version],
        "platform": "onnx_onnxruntime",
        "inputs": [
            {"name": name, "datatype": KINDS[column.kind], "shape": [-1]}
            for name, column in served.contract.request.items()
        ],
        "outputs": [{"name": name, "datatype": OUTPUTS[name], "shape": [-1]} for name in outputs],
    }
