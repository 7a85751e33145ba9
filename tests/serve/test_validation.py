"""Invalid rows are refused with the first hundred faults, and no more work than those take."""

import json
import math
from typing import Any

import pytest

from pipeline.config.config import Config
from pipeline.runtime.request_model import request_model
from serve.errors import LISTED, RequestError
from serve.limits import Limits
from serve.messages import Call
from serve.validation import RowValidator

CALL = Call("a1", b"", {}, math.inf)
ROW = {"colour": "red", "shape": "round", "size": 1.5, "legs": 4, "when": "2013-07-01T17:30"}


@pytest.fixture
def validator(tiny_config: Config) -> RowValidator:
    contract = tiny_config.contract
    return RowValidator(request_model(contract), Limits.of(contract, 10_000))


def refused(validator: RowValidator, rows: list[Any]) -> RequestError:
    with pytest.raises(RequestError) as refusal:
        validator.rows(rows, "rows", CALL)
    assert refusal.value.status == 422
    return refusal.value


def test_valid_rows_come_back_in_their_order(validator: RowValidator) -> None:
    rows = [{**ROW, "legs": n % 9} for n in range(1_200)]
    assert [row["legs"] for row in validator.rows(rows, "rows", CALL)] == [n % 9 for n in range(1_200)]


def test_ten_thousand_empty_rows_are_refused_by_the_first_hundred(validator: RowValidator) -> None:
    error = refused(validator, [{}] * 10_000)
    assert error.detail.startswith("400 invalid values in the first 100 of 10,000 rows: rows.0.colour, ")
    assert error.errors[0].message == "This field is required (also in 99 more rows)"


def test_a_value_that_is_wrong_in_every_row_is_listed_once(validator: RowValidator) -> None:
    error = refused(validator, [{**ROW, "legs": "four"}] * 10_000)
    assert error.detail == "100 invalid values in the first 100 of 10,000 rows: rows.0.legs"


def test_few_faults_among_many_rows_are_all_listed(validator: RowValidator) -> None:
    rows: list[Any] = [ROW] * 10_000
    for number in (30, 4_000, 9_999):
        rows[number] = {**ROW, "legs": number}
    error = refused(validator, rows)
    assert error.detail == "3 invalid values: rows.30.legs"
    assert error.errors[0].message == "Should be 8 or less (also in 2 more rows)"


def test_a_hundred_different_faults_end_the_search(validator: RowValidator) -> None:
    rows = [ROW | {f"unknown_{row}_{n}": n for n in range(40)} for row in range(1_000)]
    error = refused(validator, rows)
    assert error.detail.startswith("120 invalid values in the first 3 of 1,000 rows: ")
    assert len(error.errors) == LISTED


def test_the_unknown_fields_of_a_row_are_counted_and_a_hundred_listed(validator: RowValidator) -> None:
    error = refused(validator, [{**ROW, **{f"f{n}": n for n in range(5_000)}}])
    assert error.detail.startswith("5,000 invalid values: rows.0.f0, ")
    assert error.detail.endswith("rows.0.f9 and 4,990 more")
    assert len(error.errors) == LISTED


def test_a_known_field_behind_many_unknown_ones_is_not_missing(validator: RowValidator) -> None:
    error = refused(validator, [{**{f"f{n}": n for n in range(500)}, **ROW}])
    assert {fault.message for fault in error.errors} == {"There is no such field"}


def test_a_row_of_a_hundred_thousand_fields_is_refused_by_its_beginning(validator: RowValidator) -> None:
    body = ("{" + ",".join(f'"{n:x}":1' for n in range(100_000)) + "}").encode()
    with pytest.raises(RequestError, match="^100 invalid values at the beginning of the body: body, 0, 1, ") as refusal:
        validator.row(body)
    assert refusal.value.status == 422
    assert len(refusal.value.errors) == LISTED
    assert refusal.value.errors[0].message == "Has far more than the 5 fields of a row"


@pytest.mark.parametrize(("start", "status"), [(b'["', 422), (b"no,", 400)])
def test_a_crowded_body_that_is_no_row_is_refused_as_a_small_one_is(
    validator: RowValidator, start: bytes, status: int
) -> None:
    with pytest.raises(RequestError) as refusal:
        validator.row(start + b",[" * 10_000)
    assert refusal.value.status == status


def test_one_row_has_no_megabyte(validator: RowValidator) -> None:
    with pytest.raises(RequestError, match="has 1,000,087 bytes, more than 65,536, the most for one row") as refusal:
        validator.row(b" " * 1_000_000 + json.dumps(ROW).encode())
    assert refusal.value.status == 413


def test_a_large_row_with_nan_is_valid(validator: RowValidator) -> None:
    body = json.dumps({**ROW, "size": math.nan}).encode() + b" " * 5_000
    assert validator.row(body)["size"] is None
