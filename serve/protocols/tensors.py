"""The tensors of an Open Inference request, as JSON or as binary data, to one list of values per column.

This module knows nothing about models or responses. It reads no tensor that has more rows than a request may have.
"""

import math
import struct
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np

from serve.errors import RequestError, invalid_field, refuse_misfits
from serve.limits import Limits

NUMBERS = {
    "FP16": "<f2", "FP32": "<f4", "FP64": "<f8", "INT8": "<i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8",
    "UINT8": "<u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "BOOL": "?",
}  # fmt: skip


def read_inputs(head: dict[str, Any], binary: memoryview, limits: Limits) -> Iterator[tuple[str, list[Any]]]:
    """The name and the values of each tensor. Raises RequestError at the first tensor that does not fit its header."""
    inputs = head.get("inputs")
    if not isinstance(inputs, list) or not inputs:
        raise invalid_field("inputs", "Should have at least one tensor")
    if len(inputs) > limits.fields:
        text = f"Should have one tensor for each of {limits.columns} columns at most; found {len(inputs):,}"
        raise invalid_field("inputs", text)

    offset = 0  # of the next tensor in the binary data
    names = set()
    for number, tensor in enumerate(inputs):
        where = f"inputs.{number}"
        if not isinstance(tensor, dict) or not isinstance(tensor.get("name"), str):
            raise invalid_field(where, "Should be a tensor with a name")
        name = tensor["name"]
        where = f"inputs.{name}"[:100]
        if name in names:
            raise invalid_field(where, "This tensor is in the request twice")
        names.add(name)

        count = element_count(tensor, where)
        limits.check_rows(count)
        size = parameter_of(tensor, "binary_data_size")
        if size is None:
            yield name, values_from_json(tensor, count, where)
            continue
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= len(binary) - offset:
            raise invalid_field(where, "binary_data_size is more than the body holds")
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
        raise invalid_field(where, "shape should be [rows] or [rows, 1]")

    kind = tensor.get("datatype")
    if not isinstance(kind, str) or (kind != "BYTES" and kind not in NUMBERS):
        raise invalid_field(where, f"datatype should be one of BYTES, {', '.join(NUMBERS)}")

    return math.prod(sizes)


def values_from_json(tensor: dict[str, Any], count: int, where: str) -> list[Any]:
    """The `count` values of `data`. Raises RequestError for another count, and with every value of another type."""
    data = tensor.get("data")
    if not isinstance(data, list):
        raise invalid_field(where, "Should have data, or binary_data_size")
    if len(tensor["shape"]) > 1:  # [rows, 1] may come as a list of lists of one
        data = [unwrap(value) for value in data]
    if len(data) != count:
        raise invalid_field(where, f"the shape has {count} values, but there are {len(data)}")

    kind = tensor["datatype"]
    misfits = (n for n, value in enumerate(data) if value is not None and not is_of_type(value, kind))
    refuse_misfits(misfits, where, f"Should be of {kind}", len(data), "values")
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


def values_from_bytes(tensor: dict[str, Any], raw: memoryview, count: int, where: str) -> list[Any]:
    """The `count` values of a binary tensor. Raises RequestError where `raw` holds another number of them."""
    kind = tensor["datatype"]
    if kind != "BYTES":
        dtype = np.dtype(NUMBERS[kind])
        if len(raw) != count * dtype.itemsize:
            raise invalid_field(where, f"{len(raw)} bytes cannot hold {count} values of {kind}")
        numbers: list[Any] = np.frombuffer(raw, dtype).tolist()
        return numbers

    values = list(islice(byte_strings(raw, where), count + 1))
    if len(values) != count:
        others = "more" if len(values) > count else len(values)
        raise invalid_field(where, f"the shape has {count} values, but there are {others}")
    return values


def byte_strings(raw: memoryview, where: str) -> Iterator[str]:
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
            yield str(raw[start:end], "utf-8")
            offset = end
    except (struct.error, ValueError) as error:
        raise invalid_field(where, f"Should be a BYTES tensor: {error}") from None


def parameter_of(part: dict[str, Any], name: str) -> Any:
    """A parameter of a request, a tensor or an output; None where it is missing."""
    parameters = part.get("parameters")
    return parameters.get(name) if isinstance(parameters, dict) else None
