"""Values of a file: each is accepted where a request with it is, and refused where it is not."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ConfigDict, TypeAdapter, ValidationError

from pipeline.config.config import Config
from pipeline.runtime.contract import Column
from pipeline.runtime.request_model import value_type
from pipeline.scoring.rows import check, converted

ABOUT = {"known": "before", "meaning": "a value"}
LETTER: dict[str, Any] = {"kind": "category", "pattern": "[A-Z]{2}"}
COLOUR: dict[str, Any] = {"kind": "category", "values": {"red": "Red", "blue": "Blue"}, "nullable": True}
NUMBER: dict[str, Any] = {"kind": "number", "minimum": -1.5, "maximum": 10}
MARKED: dict[str, Any] = {"kind": "number", "minimum": 0, "missing": [-999], "nullable": True}
WHOLE: dict[str, Any] = {"kind": "integer", "maximum": 100}
FLAG: dict[str, Any] = {"kind": "boolean", "nullable": True}
WHEN: dict[str, Any] = {"kind": "datetime"}
VALUES: list[tuple[dict[str, Any], list[Any]]] = [
    (LETTER, ["AB", "ab", "ABC", "Ä", "AB\n", " AB", None]),
    (COLOUR, ["red", "green", "Red", None]),
    (NUMBER, [-1.5, 10, 10.000001, -2, 1e300, np.inf, -np.inf, None]),
    (MARKED, [-999, -998, 0, 5, None]),
    (WHOLE, [1, 2.0, 2.5, 100, 101, 2**53 + 2, -(2**54), None]),
    (FLAG, [True, False, None]),
    (WHEN, ["2024-03-01T17:30", "2024-03-01 17:30:59.5", "2023-02-29T10:00", "2024-03-01", "1899-12-31T10:00",
            "2024-03-01T17:30Z", "2024-W10-5", "noon", None]),
]  # fmt: skip
CASES = [(about, value) for about, values in VALUES for value in values]


@pytest.mark.parametrize(("about", "value"), CASES)
def test_a_value_is_accepted_where_a_request_with_it_is(about: dict[str, Any], value: Any) -> None:
    column = Column.model_validate({**ABOUT, **about})
    try:
        expected = TypeAdapter(value_type(column), config=ConfigDict(strict=True)).validate_python(value)
    except ValidationError:
        accepted = False
    else:
        accepted = True
    values, verdicts = converted(pd.Series([value], dtype=None if isinstance(value, bool) else object), column)
    assert verdicts.tolist() == [accepted]

    if accepted and column.kind == "category":
        assert values[0] == (expected or "")
    elif accepted and column.kind == "datetime":
        assert values[0] == np.datetime64(expected)
    elif accepted:
        assert values[0] == expected or (expected is None and np.isnan(values[0]))


@pytest.mark.parametrize(
    ("about", "written", "meant"),
    [
        ({"kind": "boolean", "positive": ["Yes"], "negative": ["No"]}, "Yes", 1.0),
        ({"kind": "datetime", "format": "%d/%m/%Y"}, "31/12/2013", np.datetime64("2013-12-31T00:00:00")),
        ({"kind": "number"}, "5.25", 5.25),
        ({"kind": "integer"}, "7.0", 7.0),
        ({"kind": "boolean"}, "true", 1.0),
    ],
)
def test_a_file_may_be_written_as_that_of_the_training(about: dict[str, Any], written: str, meant: Any) -> None:
    values, verdicts = converted(pd.Series([written]), Column.model_validate({**ABOUT, **about}))
    assert (verdicts.tolist(), values.tolist()) == ([True], np.array([meant]).tolist())


@pytest.mark.parametrize(
    ("name", "value"), [("legs", "4"), ("legs", True), ("size", "1.5"), ("colour", 7), ("when", 20130101)]
)
def test_typed_values_have_the_type_of_a_request(tiny_config: Config, name: str, value: Any) -> None:
    """What a CSV file can only write as text, JSON can write otherwise."""
    row = {"colour": "red", "shape": "round", "size": 1.0, "legs": 4, "when": "2013-01-01T12:00"}
    contract = tiny_config.contract
    good, bad = (pd.DataFrame([each], dtype=object) for each in (row, {**row, name: value}))
    assert check(good, contract, typed=True).valid.tolist() == [True]
    checked = check(bad, contract, typed=True)
    assert checked.valid.tolist() == [False]
    assert checked.reasons[0].startswith(f"{name}: ")


def test_a_row_is_invalid_for_every_field_that_is(tiny_config: Config) -> None:
    """A column that the file lacks is missing in every row; the columns are those of the valid rows."""
    contract = tiny_config.contract
    columns = {
        "colour": ["red", "red", "red"],
        "shape": "round",
        "size": [1.0, 2.0, "huge"],
        "when": "2013-01-01T12:00",
    }
    checked = check(pd.DataFrame(columns).assign(legs=[4, -1, 4]), contract)
    assert checked.valid.tolist() == [True, False, False]
    assert checked.columns["legs"].tolist() == [4]
    assert list(checked.reasons) == [1, 2]
    assert checked.reasons[1].startswith("legs: Input should be greater than or equal to 0; found '-1'")
    assert checked.reasons[2] == "size: Input should be a valid number; found 'huge'"

    without = check(pd.DataFrame(columns), contract)
    assert without.reasons[0] == "legs: is missing"
