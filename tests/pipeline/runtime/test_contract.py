import numpy as np
import pandas as pd
import pytest
from pydantic import BaseModel, ValidationError

from pipeline.config.config import Config
from pipeline.runtime.arrays import as_array, count_missing, tensors, to_columns
from pipeline.runtime.contract import Column, Contract
from pipeline.runtime.request_model import request_model, without_nan

ROW = {"colour": "red", "shape": "round", "legs": 4, "when": "2013-12-02T17:30", "size": 2.5}


@pytest.fixture
def row_model(tiny_config: Config) -> type[BaseModel]:
    return request_model(tiny_config.contract)


def test_a_request_asks_for_what_features_are_made_of_and_for_nothing_else(tiny_config: Config) -> None:
    assert list(tiny_config.request) == ["colour", "shape", "size", "legs", "when"]


@pytest.mark.parametrize(
    ("text", "accepted"),
    [
        ("2013-07-01T17:30", "2013-07-01T17:30"),
        ("2013-07-01T17:30:05", "2013-07-01T17:30:05"),
        ("2013-07-01 17:30", "2013-07-01T17:30"),
        ("2013-07-01 17:30:00", "2013-07-01T17:30:00"),
        ("2013-07-01T17:30:00.000", "2013-07-01T17:30:00"),
        ("2013-07-01 17:30:59.999999999", "2013-07-01T17:30:59"),
    ],
)
def test_a_time_is_accepted_as_pandas_writes_it(row_model: type[BaseModel], text: str, accepted: str) -> None:
    """Data cleaning reads the same texts as the same times: it cuts fractions of a second off too."""
    from pipeline.data.clean import as_kind

    column = Column(kind="datetime", known="before", meaning="A time")
    row = row_model.model_validate({**ROW, "when": text}).model_dump()
    assert row["when"] == accepted
    trained = np.asarray(as_kind(pd.Series([text]), column), dtype="datetime64[s]")
    assert as_array([row["when"]], "datetime") == trained


def test_a_valid_row_is_accepted_and_its_optional_field_may_be_left_out(row_model: type[BaseModel]) -> None:
    without = {name: value for name, value in ROW.items() if name != "size"}
    assert row_model.model_validate(without).model_dump()["size"] is None


@pytest.mark.parametrize("missing", [None, float("nan")])
def test_null_and_nan_are_a_missing_value(row_model: type[BaseModel], missing: float | None) -> None:
    (sent,) = without_nan([{**ROW, "size": missing}])
    assert row_model.model_validate(sent).model_dump()["size"] is None


def test_nan_itself_is_no_number_and_what_is_no_row_is_left_alone(row_model: type[BaseModel]) -> None:
    with pytest.raises(ValidationError, match="finite number"):
        row_model.model_validate({**ROW, "size": float("nan")})
    assert without_nan([3, "a", {"size": 1.5}]) == [3, "a", {"size": 1.5}]


def test_an_integral_float_is_an_integer(row_model: type[BaseModel]) -> None:
    assert row_model.model_validate({**ROW, "legs": 4.0}).model_dump()["legs"] == 4


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("legs", 4.5),
        ("legs", "4"),
        ("legs", True),
        ("legs", 9),
        ("legs", None),
        ("size", True),
        ("size", "2.5"),
        ("size", 10.01),
        ("size", float("inf")),
        ("shape", "oval"),
        ("colour", ""),
        ("colour", 3),
        ("colour", "r" * 101),
        ("when", "2013-07-01"),
        ("when", "2013-02-30T10:00"),
        ("when", "2013-12-02T17:30Z"),
        ("when", "2013-12-02 17:30:00+01:00"),
        ("when", "2013-12-02T17:30:00.000Z"),
        ("when", "2013-12-02T17:30.5"),
        ("when", "2013-12-02T17:30:00."),
        ("when", "2013-12-02  17:30"),
        ("when", "2013-12-02 17:30\n"),
        ("when", "1372699800"),
        ("when", 1372699800),
        ("wen", "2013-12-02T17:30"),
        ("later", 3.0),
    ],
)
def test_what_breaks_the_contract_is_refused_at_its_field(
    row_model: type[BaseModel], field: str, value: object
) -> None:
    with pytest.raises(ValidationError) as refused:
        row_model.model_validate({**ROW, field: value})
    assert [fault["loc"] for fault in refused.value.errors()] == [(field,)]


def test_a_number_without_bounds_still_has_to_fit_float32(tiny_config: Config) -> None:
    free = tiny_config.columns["size"].model_copy(update={"minimum": None, "maximum": None})
    model = request_model(tiny_config.contract.model_copy(update={"columns": {**tiny_config.columns, "size": free}}))
    with pytest.raises(ValidationError, match="less than or equal to 340282346638528"):
        model.model_validate({**ROW, "size": 1e39})


@pytest.mark.parametrize(("size", "accepted"), [(-999, None), (-999.0, None), (2.5, 2.5), (None, None)])
def test_a_mark_for_a_missing_value_is_missing_in_a_request_too(
    tiny_config: Config, size: float | None, accepted: float | None
) -> None:
    """Data cleaning has taught the model so."""
    marked = tiny_config.columns["size"].model_copy(update={"missing": [-999]})
    model = request_model(tiny_config.contract.model_copy(update={"columns": {**tiny_config.columns, "size": marked}}))
    assert model.model_validate({**ROW, "size": size}).model_dump()["size"] == accepted


def test_the_published_schema_carries_meaning_unit_bounds_and_choices(row_model: type[BaseModel]) -> None:
    published = row_model.model_json_schema()["properties"]
    assert published["size"]["description"] == "Size of it [cm]"
    assert published["size"]["anyOf"][0] == {"maximum": 10.0, "minimum": 0.0, "type": "number"}
    assert published["shape"]["enum"] == ["round", "square"]


@pytest.mark.parametrize("pattern", ["[a-z]{3}", r"\w\w\w", "(?:red|blu)"])
def test_a_pattern_has_to_match_the_whole_value(tiny_config: Config, pattern: str) -> None:
    """In the words of pydantic's own engine where it can be used, and in the same words where Python's has to be."""
    coded = tiny_config.columns["colour"].model_copy(update={"pattern": pattern})
    model = request_model(tiny_config.contract.model_copy(update={"columns": {**tiny_config.columns, "colour": coded}}))
    model.model_validate({**ROW, "colour": "red"})
    for wrong in ("reds", "red\n", "1"):
        with pytest.raises(ValidationError, match="(String should|Should) match (the )?pattern"):
            model.model_validate({**ROW, "colour": wrong})


@pytest.mark.parametrize(("name", "mark"), [("colour", "?"), ("legs", -9)])
def test_a_mark_is_refused_where_no_value_may_be_missing(tiny_config: Config, name: str, mark: object) -> None:
    column = tiny_config.columns[name].model_copy(update={"missing": [mark], "minimum": None})
    model = request_model(tiny_config.contract.model_copy(update={"columns": {**tiny_config.columns, name: column}}))
    with pytest.raises(ValidationError, match=name):
        model.model_validate({**ROW, name: mark})


def test_a_missing_value_of_a_row_becomes_empty_text_nan_or_not_a_time() -> None:
    """Rows become arrays, in which a missing value is empty text, NaN or not-a-time."""
    assert as_array(["a", None], "category").tolist() == ["a", ""]
    assert np.isnan(as_array([1, None], "integer")[1])
    assert np.isnat(as_array(["2013-12-02T17:30", None], "datetime")[1])


def test_tensors_hold_the_features_in_their_declared_order(tiny_config: Config) -> None:
    contract = Contract.model_validate(tiny_config.contract.model_dump())
    columns = {**to_columns([ROW], contract), "hour": np.array([17])}
    strings, numbers = tensors(columns, contract)
    assert strings.tolist() == [["red", "round"]]
    assert numbers.tolist() == [[2.5, 4.0, 17.0]]
    assert numbers.dtype == np.float32


def test_rows_without_a_number_become_columns_too(tiny_config: Config) -> None:
    texts = tiny_config.contract.model_copy(update={"features": ["colour"]})
    assert to_columns([{"colour": "red"}, {"colour": None}], texts)["colour"].tolist() == ["red", ""]


def test_a_field_that_some_rows_lack_is_missing_in_them(tiny_config: Config) -> None:
    columns = to_columns([ROW, {"colour": "blue"}], tiny_config.contract)
    assert columns["legs"][0] == 4
    assert np.isnan(columns["legs"][1])
    assert columns["shape"].tolist() == ["round", ""]


@pytest.mark.parametrize("others", [[], [ROW]])
def test_missing_values_of_every_kind_are_counted_in_one_row_and_in_many(
    tiny_config: Config, others: list[dict[str, object]]
) -> None:
    rows = [{**dict.fromkeys(ROW), "legs": 4}, *others]
    columns = to_columns(rows, tiny_config.contract)
    assert count_missing(rows, columns) == {"colour": 1, "shape": 1, "when": 1, "size": 1}


def test_a_copy_changes_no_key_that_is_not_there(tiny_config: Config) -> None:
    with pytest.raises(TypeError, match="Contract has no memory"):
        tiny_config.contract.model_copy(update={"memory": None})
