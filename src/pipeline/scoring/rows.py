"""Rows of a file against a model's contract: which are valid, as columns, and why the others are not.

Values are read as data cleaning reads them, and each has to pass the rules that a request has to pass. A whole chunk is
checked at once: numbers by their arrays, text by its distinct values.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import ConfigDict, TypeAdapter, ValidationError

from pipeline.data.clean import as_kind
from pipeline.datasets.table import is_one_of
from pipeline.runtime.arrays import Columns, as_array, take_rows
from pipeline.runtime.contract import Column, Contract
from pipeline.runtime.request_model import LARGEST, value_type


class CheckedRows(NamedTuple):
    """The columns of the valid rows, which rows are valid [rows], and why each other row is not, by its position."""

    columns: Columns
    valid: NDArray[np.bool_]
    reasons: dict[int, str]


def check(frame: pd.DataFrame, contract: Contract, *, typed: bool = False) -> CheckedRows:
    """Check every row. A column that the frame lacks is missing in every row.

    Values that are `typed`, as JSON's are, have to be of the type that a request has: "75" is no number.
    """
    columns = {}
    faulty = {}
    for name, column in contract.request.items():
        raw = frame[name] if name in frame else pd.Series(None, index=frame.index, dtype=object)
        columns[name], accepted = converted(raw, column)
        if typed:
            accepted &= of_json_type(raw, column)
        if not accepted.all():
            faulty[name] = ~accepted

    valid = np.ones(len(frame), dtype=bool)
    for rows in faulty.values():
        valid &= ~rows
    return CheckedRows(take_rows(columns, valid), valid, reasons(frame, faulty, contract))


def converted(raw: "pd.Series[Any]", column: Column) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Return the values in the arrays of a request [rows], and which of them the contract accepts [rows]."""
    absent = is_missing(raw, column)
    if column.kind == "category" or (column.kind == "datetime" and not column.format and not is_time(raw)):
        values, accepted = by_distinct_value(raw, absent, column)
    elif column.kind == "datetime":
        times = as_kind(raw, column)
        values = np.asarray(times, dtype="datetime64[s]")
        accepted = np.asarray(times.notna() & times.dt.year.between(1900, 2199), dtype=bool)
    else:
        values = np.array(as_kind(raw.where(~absent), column), dtype=np.float64)
        low, high = column.limits
        if column.kind == "integer":
            low, high = max(low, -LARGEST), min(high, LARGEST)
        accepted = (values >= low) & (values <= high)

    missing = np.asarray(absent, dtype=bool)
    values[missing] = as_array([None], column.kind)[0]
    return values, np.where(missing, column.nullable, accepted)


def of_json_type(raw: "pd.Series[Any]", column: Column) -> NDArray[np.bool_]:
    """Which values [rows] have the type that a request has for the column's kind, or are missing."""
    types = {"number": (int, float), "integer": (int, float), "boolean": (bool,)}.get(column.kind, (str,))
    fits = np.array(
        [isinstance(value, types) and isinstance(value, bool) == (bool in types) for value in raw], dtype=bool
    )
    fits[np.asarray(is_missing(raw, column), dtype=bool)] = True
    return fits


def is_missing(raw: "pd.Series[Any]", column: Column) -> "pd.Series[bool]":
    """Which values are missing: empty, or one that stands for a missing value."""
    absent = raw.isna()
    if raw.dtype == object or pd.api.types.is_string_dtype(raw):
        absent |= (raw == "").fillna(False)
    if column.missing:
        absent |= is_one_of(raw, [str(value) for value in column.missing])
    return absent


def is_time(raw: "pd.Series[Any]") -> bool:
    return pd.api.types.is_datetime64_any_dtype(raw)


def by_distinct_value(
    raw: "pd.Series[Any]", absent: "pd.Series[bool]", column: Column
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Validate each distinct text as a request's."""
    text = as_kind(raw, column) if column.kind == "category" else raw.astype("string")
    codes, distinct = pd.factorize(text.where(~absent))
    validate = adapter(column).validate_python
    validated = []
    for value in distinct:
        try:
            validated.append(validate(str(value)))
        except ValidationError:
            validated.append(None)

    accepted = np.array([value is not None for value in [*validated, None]], dtype=bool)
    return as_array([*validated, None], column.kind)[codes], accepted[codes]


def reasons(frame: pd.DataFrame, faulty: Mapping[str, NDArray[np.bool_]], contract: Contract) -> dict[int, str]:
    """Say for each invalid row, by its position, which fields are invalid and what they should be."""
    parts: dict[int, list[str]] = {}
    for name, rows in faulty.items():
        column = contract.request[name]
        for row in np.flatnonzero(rows):
            value = frame[name].iloc[row] if name in frame else None
            parts.setdefault(int(row), []).append(f"{name}: {fault(value, column)}")
    return {row: "; ".join(parts[row]) for row in sorted(parts)}


def fault(value: Any, column: Column) -> str:
    """Say what is wrong with a value, in the words of the server where they fit."""
    if bool(is_missing(pd.Series([value], dtype=object), column)[0]):
        return "is missing"
    (plain,) = as_kind(pd.Series([value]), column)
    unread = pd.isna(plain) or column.kind == "datetime"
    try:
        adapter(column).validate_python(str(value) if unread else plain)
    except ValidationError as error:
        return f"{error.errors()[0]['msg']}; found {str(value)[:40]!r}"
    return f"is no {column.kind}: {str(value)[:40]!r}"


@lru_cache(maxsize=1000)
def _adapter(column: str) -> TypeAdapter[Any]:
    return TypeAdapter(value_type(Column.model_validate_json(column)), config=ConfigDict(strict=True))


def adapter(column: Column) -> TypeAdapter[Any]:
    """The validator of a column's values."""
    return _adapter(column.model_dump_json())
