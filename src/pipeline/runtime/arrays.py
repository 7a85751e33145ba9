"""Rows in the three forms that the project uses: columns between functions, tensors for the model, JSON in files.

*Columns* are a dict from a column's name to one array: text for a category ('' is missing), float64 for numbers,
integers and booleans (NaN is missing), datetime64[s] for a local date and time (NaT is missing).

This module knows the contract, and nothing of pandas, models or files.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.runtime.contract import Column, Contract

Columns = Mapping[str, NDArray[Any]]


class Tensors(NamedTuple):
    """The model's two inputs: text [rows, categories] and float32 numbers [rows, numbers]."""

    strings: NDArray[np.object_]
    numbers: NDArray[np.float32]

    def take(self, rows: NDArray[Any]) -> "Tensors":
        return Tensors(self.strings[rows], self.numbers[rows])


class Examples(NamedTuple):
    """The same rows as request columns, as the model's inputs, and as outcomes.

    The outcome is boolean for a binary task, the position of a class for a multiclass one, float64 for a regression.
    """

    request: Columns
    data: Tensors
    target: NDArray[Any]

    def take(self, rows: NDArray[Any]) -> "Examples":
        return Examples(take_rows(self.request, rows), self.data.take(rows), self.target[rows])


def to_columns(rows: Sequence[Mapping[str, Any]], contract: Contract) -> dict[str, NDArray[Any]]:
    """Convert validated rows to request columns. A field that a row lacks is missing."""
    numeric, others = contract.by_array

    try:  # one NumPy call for all numeric columns: one call per column is too slow for a request with one row
        values = np.array([contract.numbers_of(row) for row in rows], dtype=np.float64)
        columns = {}
        for name, kind in others.items():
            columns[name] = as_array([row[name] for row in rows], kind)
    except KeyError:
        return to_columns([{**dict.fromkeys(contract.request), **row} for row in rows], contract)

    return columns | dict(zip(numeric, values.reshape(len(rows), len(numeric)).T, strict=True))


def as_array(values: Sequence[Any], kind: str) -> NDArray[Any]:
    """Convert the values of one column, None where missing, to the array for that kind of column."""
    if kind == "category":
        return np.array([value or "" for value in values], dtype=object)
    if kind == "datetime":
        return np.array(values, dtype="datetime64[s]")
    return np.array(values, dtype=np.float64)


def as_outcome(values: NDArray[Any], contract: Contract) -> NDArray[Any]:
    """Convert the target's values to outcomes: true or false, positions in `contract.classes`, or numbers."""
    if contract.task == "multiclass":
        position = {name: number for number, name in enumerate(contract.classes)}
        return np.array([position[value] for value in values], dtype=np.int64)
    return values == 1 if contract.task == "binary" else values


def count_missing(rows: Sequence[Mapping[str, Any]], columns: Columns) -> dict[str, int]:
    """Count the missing values of validated rows, which are also given as columns. Complete columns are left out."""
    if len(rows) == 1:  # NumPy is slow for one row
        return {name: 1 for name, value in rows[0].items() if value is None}

    counts = {}
    for name, values in columns.items():
        missing = values == "" if values.dtype == object else values != values  # NaN and NaT differ from themselves
        if count := int(np.count_nonzero(missing)):
            counts[name] = count
    return counts


def tensors(columns: Columns, contract: Contract) -> Tensors:
    """Convert features to the model's inputs. Training and serving both round numbers to float32 here."""
    rows = len(columns[contract.features[0]])

    strings = np.empty((rows, len(contract.strings)), dtype=object)
    for position, name in enumerate(contract.strings):
        strings[:, position] = columns[name]

    numbers = np.empty((len(contract.numbers), rows), dtype=np.float32)
    if contract.numbers:  # one NumPy call for all columns: one call per column is too slow for a request with one row
        np.concatenate([columns[name] for name in contract.numbers], out=numbers.reshape(-1), casting="same_kind")

    return Tensors(strings, np.ascontiguousarray(numbers.T))


def take_rows(columns: Columns, rows: NDArray[Any]) -> Columns:
    return {name: values[rows] for name, values in columns.items()}


def columns_from_json(stored: Mapping[str, Sequence[Any]], contract: Contract) -> dict[str, NDArray[Any]]:
    """Convert JSON values to request columns."""
    return {name: as_array(stored[name], column.kind) for name, column in contract.request.items()}


def to_rows(columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Convert columns of JSON values to one dict per row, as a caller would send it: without the missing values."""
    rows = []
    for values in zip(*columns.values(), strict=True):
        named = zip(columns, values, strict=True)
        rows.append({name: value for name, value in named if value is not None})
    return rows


def columns_to_json(columns: Columns, request: Mapping[str, Column]) -> dict[str, list[Any]]:
    """Convert request columns to JSON values, None where missing."""
    stored = {}
    for name, column in request.items():
        stored[name] = [_plain(value, column) for value in columns[name]]
    return stored


def _plain(value: Any, column: Column) -> Any:
    """Convert one array element to a JSON value, None where missing."""
    if column.kind == "category":
        return value or None
    if column.kind == "datetime":
        return None if np.isnat(value) else str(value)
    if np.isnan(value):
        return None
    return {"integer": int, "boolean": bool}.get(column.kind, float)(value)


def json_bytes(value: Any) -> bytes:
    """Serialise a JSON file of a bundle.

    Keys keep the order of the config, because forms and pages show fields in that order. Raises ValueError for NaN
    and infinity.
    """
    return (json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode()
