"""Labels are outcomes: of the target's kind, and within its bounds."""

import json
from typing import Any

import pytest
from pydantic import TypeAdapter

from pipeline.config.config import Config
from pipeline.runtime.contract import Contract
from serve.errors import RequestError
from serve.limits import Limits
from serve.messages import Call
from serve.protocols import feedback


def regression(config: Config, **changes: object) -> Contract:
    """The tiny contract with a number as its target."""
    target = config.columns["later"].model_copy(update=changes)
    columns = {**config.contract.columns, "later": target}
    return config.contract.model_copy(update={"task": "regression", "target": "later", "columns": columns})


def schema_of(contract: Contract) -> Any:
    return TypeAdapter(list[feedback.label_model(contract)])  # type: ignore[misc]  # because the contract makes the type


def labels(contract: Contract, text: str) -> list[tuple[str, int, float]]:
    body = f'{{"request_id": "a", "label": {text}}}'.encode()
    return feedback.read_labels(schema_of(contract), Limits.of(contract, 10), Call("1", body, {}, float("inf")))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-0.5", "Should be 0 or more"),
        ("1440.5", "Should be 1440 or less"),
        ("1e39", "Should be 1440 or less"),
        ("true", "Should be a number"),
        ('"5"', "Should be a number"),
        ("null", "Should be a number"),
    ],
)
def test_a_number_outside_the_targets_bounds_is_refused(tiny_config: Config, text: str, message: str) -> None:
    contract = regression(tiny_config, minimum=0, maximum=1440)
    with pytest.raises(RequestError) as refused:
        labels(contract, text)
    assert refused.value.status == 422
    assert [(error.field, error.message) for error in refused.value.errors] == [("0.label", message)]


def test_a_number_within_the_bounds_is_taken(tiny_config: Config) -> None:
    contract = regression(tiny_config, minimum=0, maximum=1440)
    for number in (0, 12.5, 1440):
        assert labels(contract, json.dumps(number)) == [("a", 0, number)]


def test_a_target_without_bounds_takes_what_float32_holds(tiny_config: Config) -> None:
    """The model's own numbers are float32."""
    assert labels(regression(tiny_config), "-3e38") == [("a", 0, -3e38)]
    with pytest.raises(RequestError):
        labels(regression(tiny_config), "1e39")


def test_the_label_of_an_integer_target_is_a_whole_number(tiny_config: Config) -> None:
    contract = regression(tiny_config, kind="integer", minimum=0)
    assert labels(contract, "3.0") == [("a", 0, 3.0)]
    with pytest.raises(RequestError) as refused:
        labels(contract, "3.5")
    assert refused.value.errors[0].message == "Should be a whole number"


@pytest.mark.parametrize("text", ["2", "-1", "0.5", '"yes"', "null"])
def test_the_label_of_a_binary_target_is_a_boolean(tiny_config: Config, text: str) -> None:
    assert labels(tiny_config.contract, "true") == labels(tiny_config.contract, "1") == [("a", 0, 1.0)]
    with pytest.raises(RequestError) as refused:
        labels(tiny_config.contract, text)
    assert refused.value.status == 422


def test_the_bounds_of_a_label_are_documented(tiny_config: Config) -> None:
    contract = regression(tiny_config, minimum=20, maximum=1440)
    schema = feedback.label_model(contract).model_json_schema()["properties"]["label"]
    assert (schema["minimum"], schema["maximum"], schema["type"]) == (20, 1440, "number")
    assert feedback.example_label(contract) == 20


def refused(config: Config, body: object) -> RequestError:
    call = Call("1", json.dumps(body).encode(), {}, float("inf"))
    with pytest.raises(RequestError) as error:
        feedback.read_labels(schema_of(config.contract), Limits.of(config.contract, 1_000), call)
    return error.value


def test_the_search_for_wrong_labels_ends_with_the_first_hundred(tiny_config: Config) -> None:
    right = {"request_id": "a", "label": 1}
    error = refused(tiny_config, [right] * 150 + [{"request_id": "a", "label": "x"}] * 800)
    assert "first 200 of 950 labels" in error.detail
    assert [fault.field for fault in error.errors] == [f"{number}.label" for number in range(150, 200)]


def test_a_label_with_thousands_of_fields_lists_a_few(tiny_config: Config) -> None:
    fields = {f"field {n}": n for n in range(5_000)}
    error = refused(tiny_config, [{}] * 500 + [{**fields, "request_id": "a", "label": 1}])
    assert len(error.errors) <= 100
    error = refused(tiny_config, [{**fields, "request_id": "a", "label": 1}] + [{}] * 500)
    named = [fault.field for fault in error.errors if fault.field.startswith("0.")]
    assert named == [f"0.field {n}" for n in range(10)]


def test_more_values_than_the_labels_of_a_request_can_have_are_refused(tiny_config: Config) -> None:
    assert refused(tiny_config, [0] * 20_000).status == 413
