"""Tensors are read only as far as a request may go, and their faults are listed up to the hundredth."""

import json
import math
from typing import Any

import pytest

from pipeline.config.config import Config
from serve.errors import RequestError
from serve.limits import Limits
from serve.messages import Call
from serve.protocols.open_inference import LENGTH, split_body
from serve.protocols.tensors import read_inputs

Tensor = dict[str, Any]


@pytest.fixture
def limits(tiny_config: Config) -> Limits:
    return Limits.of(tiny_config.contract, 10_000)


def tensor(name: str, count: int, value: Any = "wrong", datatype: str = "FP32") -> Tensor:
    return {"name": name, "shape": [count], "datatype": datatype, "data": [value] * count}


def refusal(limits: Limits, *tensors: Tensor, binary: bytes = b"") -> RequestError:
    head = json.dumps({"inputs": tensors}).encode()
    call = Call("a1", head + binary, {LENGTH: b"%d" % len(head)}, math.inf)
    with pytest.raises(RequestError) as refused:
        list(read_inputs(*split_body(call, limits), limits))
    return refused.value


def test_half_a_million_values_are_refused_before_they_are_built(limits: Limits) -> None:
    error = refusal(limits, tensor("size", 500_000))
    assert (error.status, error.errors[0].field) == (422, "inputs")
    assert error.errors[0].message.startswith("The body has more than 91,000 values")


def test_tens_of_thousands_of_tensors_are_refused_before_they_are_built(limits: Limits) -> None:
    error = refusal(limits, *[tensor("x", 1)] * 30_000)
    assert (error.status, error.errors[0].field) == (422, "inputs")


def test_more_tensors_than_columns_are_counted(limits: Limits) -> None:
    error = refusal(limits, *[tensor(f"x{n}", 1) for n in range(300)])
    assert error.errors[0].message == "Should have one tensor for each of 5 columns at most; found 300"


def test_a_tensor_with_more_rows_than_allowed_is_413(limits: Limits) -> None:
    error = refusal(limits, tensor("size", 10_001))
    assert (error.status, error.detail[:11]) == (413, "10,001 rows")


def test_values_of_another_type_are_listed_up_to_the_hundredth(limits: Limits) -> None:
    error = refusal(limits, tensor("size", 10_000))
    assert error.detail == "100 invalid values in the first 100 of 10,000 values: inputs.size.0"
    few = refusal(limits, {**tensor("size", 3), "data": [1.5, "wrong", None]})
    assert few.detail == "1 invalid value: inputs.size.1"


def test_texts_beyond_the_shape_are_not_read(limits: Limits) -> None:
    """Four bytes are a text, and a megabyte would be a quarter of a million of them."""
    head = {"name": "colour", "shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": 1_000_000}}
    error = refusal(limits, head, binary=bytes(1_000_000))
    assert error.errors[0].message == "the shape has 2 values, but there are more"
