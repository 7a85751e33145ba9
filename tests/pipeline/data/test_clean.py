from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline.config.config import Config
from pipeline.data.clean import as_kind, clean, frame_to_columns, violation_counts, with_outcome
from pipeline.errors import DataError
from pipeline.runtime.contract import Column, Contract


@pytest.fixture
def contract(tiny_config: Config) -> Contract:
    return tiny_config.contract


def frame(**changes: list[object]) -> pd.DataFrame:
    """Three valid rows, with some columns replaced."""
    rows: dict[str, list[object]] = {
        "colour": ["red", "blue", "red"],
        "shape": ["round", "square", "round"],
        "size": [1.0, 2.0, None],
        "legs": [4, 2, 0],
        "when": ["2013-01-01T10:00", "2013-01-02T11:00", "2013-01-03T12:00"],
        "later": [0.1, 0.2, 0.3],
        "good": [True, False, True],
    }
    return pd.DataFrame({**rows, **changes})


def test_a_frame_without_a_single_bad_row_goes_through_whole(contract: Contract) -> None:
    cleaned = clean(frame(), contract)
    assert (len(cleaned.frame), len(cleaned.rejected), cleaned.violations) == (3, 0, [])


@pytest.mark.parametrize(
    ("column", "values", "rule"),
    [
        ("legs", [4, 9, 0], "range"),
        ("legs", [4, 2.5, 0], "type"),
        ("legs", ["4", "two", "0"], "type"),
        ("shape", ["round", "oval", "round"], "values"),
        ("colour", ["red", "r" * 101, "blue"], "length"),
        ("size", [1.0, float("inf"), 2.0], "range"),
        ("when", ["2013-01-01T10:00", "someday", "2013-01-03T12:00"], "type"),
        ("good", [True, "perhaps", False], "type"),
    ],
)
def test_a_row_that_breaks_a_rule_is_rejected_with_that_reason(
    contract: Contract, column: str, values: list[object], rule: str
) -> None:
    cleaned = clean(frame(**{column: values}), contract)
    assert len(cleaned.frame) == 2
    assert cleaned.rejected["reason"].tolist() == [f"{column}: {rule}: {values[1]}"]


@pytest.mark.parametrize(("column", "values"), [("legs", [4, None, 0]), ("colour", ["red", "", "red"])])
def test_a_value_that_has_to_be_there_and_is_not_rejects_its_row(
    contract: Contract, column: str, values: list[object]
) -> None:
    assert clean(frame(**{column: values}), contract).rejected["reason"].tolist() == [f"{column}: missing"]


def test_a_pattern_has_to_match_the_whole_value(contract: Contract) -> None:
    coded = contract.columns["colour"].model_copy(update={"pattern": "[a-z]{3,4}"})
    changed = contract.model_copy(update={"columns": {**contract.columns, "colour": coded}})
    cleaned = clean(frame(colour=["red", "blueish", "a red"]), changed)
    assert cleaned.rejected["reason"].tolist() == ["colour: pattern: blueish", "colour: pattern: a red"]


def test_all_breaches_of_a_row_are_found_at_once(contract: Contract) -> None:
    cleaned = clean(frame(legs=[4, 9, 0], shape=["round", "oval", "round"], good=[True, "?", False]), contract)
    assert cleaned.rejected["reason"].tolist() == ["good: type: ?; shape: values: oval; legs: range: 9"]


def test_a_rule_that_nullifies_keeps_the_row_and_loses_the_value(contract: Contract) -> None:
    lenient = contract.columns["size"].model_copy(update={"on_violation": {"range": "nullify", "type": "nullify"}})
    changed = contract.model_copy(update={"columns": {**contract.columns, "size": lenient}})
    cleaned = clean(frame(size=["1.5", "1048", "storm"]), changed)
    assert np.isnan(cleaned.frame["size"].tolist()[1:]).all()
    assert [(b.rule, b.action, len(b.values)) for b in cleaned.violations] == [
        ("type", "nullify", 1),
        ("range", "nullify", 1),
    ]
    assert len(cleaned.rejected) == 0


def test_every_rule_is_counted_also_where_no_row_broke_it(contract: Contract) -> None:
    told = violation_counts(clean(frame(legs=[4, 9, 0]), contract), contract)
    assert {(rule["column"], rule["rule"]): rule["rows"] for rule in told if rule["column"] in ("legs", "shape")} == {
        ("legs", "type"): 0,
        ("legs", "missing"): 0,
        ("legs", "range"): 1,
        ("shape", "type"): 0,
        ("shape", "missing"): 0,
        ("shape", "length"): 0,
        ("shape", "values"): 0,
    }


def test_data_that_lacks_a_declared_column_is_an_error(contract: Contract) -> None:
    """The error lists the columns that there are."""
    with pytest.raises(
        DataError, match=r"(?s)has no column for 1 of 7.* nothing like legs\nFound: colour, shape, size"
    ):
        clean(frame().drop(columns="legs"), contract)


def of_kind(kind: str, **keys: Any) -> Column:
    return Column(kind=kind, known="before", meaning="A column", **keys)


def test_whole_numbers_that_name_a_category_keep_their_name() -> None:
    assert as_kind(pd.Series([7, 8]), of_kind("category")).tolist() == ["7", "8"]
    assert as_kind(pd.Series([7.0, None]), of_kind("category")).tolist() == ["7", None]


def test_words_for_yes_and_no_are_understood() -> None:
    assert as_kind(pd.Series(["Yes", "no", "TRUE", "0"]), of_kind("boolean")).tolist() == [1, 0, 1, 0]


def test_other_words_for_yes_and_no_can_be_declared() -> None:
    column = of_kind("boolean", positive=["left"], negative=["stayed", "paused"])
    assert as_kind(pd.Series(["left", " stayed", "paused"]), column).tolist() == [1, 0, 0]
    assert as_kind(pd.Series(["gone"]), column).isna().all()


def test_dates_are_read_in_the_format_that_the_config_names() -> None:
    dates = as_kind(pd.Series(["03/04/2024", "2024-04-03"]), of_kind("datetime", format="%d/%m/%Y"))
    assert dates.tolist() == [pd.Timestamp(2024, 4, 3), pd.NaT]


def test_dates_with_dashes_that_end_in_a_year_have_no_offset() -> None:
    dates = as_kind(pd.Series(["31-12-2024"]), of_kind("datetime", format="%d-%m-%Y"))
    assert dates.tolist() == [pd.Timestamp(2024, 12, 31)]


def test_an_integer_of_hundreds_of_digits_is_no_number() -> None:
    assert as_kind(pd.Series(["9" * 400, "1"]).map(int).astype(object), of_kind("integer")).isna().tolist() == [
        True,
        False,
    ]


def test_rows_without_an_outcome_are_left_out() -> None:
    raw = pd.DataFrame({"size": [1, 2, 3, 4], "left": ["yes", "", " ", None]})
    assert with_outcome(raw, "left")["size"].tolist() == [1]
    assert len(with_outcome(raw, "not there")) == 4


def test_rejected_rows_keep_their_numbers_beside_rows_without_outcome(contract: Contract) -> None:
    raw = frame()
    raw["good"] = raw["good"].astype(object)
    raw.loc[0, "good"] = None
    raw.loc[2, "colour"] = None
    cleaned = clean(raw, contract)
    assert (cleaned.rejected.index.tolist(), len(cleaned.frame)) == ([2], 1)


def test_times_with_an_offset_are_not_local_times() -> None:
    mixed = pd.Series(
        [
            "2013-01-01T10:00",
            "2013-01-01T10:00Z",
            "2013-01-01T10:00+02:00",
            "2013-01-01T10:00-0500",
            "2013-01-01 10:00-05",
        ]
    )
    assert as_kind(mixed, of_kind("datetime")).isna().tolist() == [False, True, True, True, True]
    assert as_kind(pd.to_datetime(mixed.iloc[[1]]), of_kind("datetime")).isna().all()


def test_numbers_that_name_a_category_and_are_not_whole_stay_as_they_are() -> None:
    assert as_kind(pd.Series([1.5, 2.0]), of_kind("category")).tolist() == ["1.5", "2.0"]


def test_a_clean_frame_becomes_the_arrays_that_a_request_travels_in(contract: Contract) -> None:
    columns = frame_to_columns(clean(frame(), contract).frame, contract)
    assert columns["colour"].tolist() == ["red", "blue", "red"]
    assert columns["when"].dtype == "datetime64[s]"
    assert columns["good"].tolist() == [1, 0, 1]
