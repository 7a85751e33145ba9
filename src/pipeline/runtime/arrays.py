"""How rows travel: as columns between functions, as tensors into the model, and as plain values in files.

*Columns* are a dict from name to one array: text for a category ('' is missing), float64 for numbers, integers and
booleans (NaN is missing), datetime64[s] for a local date and time.
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
    """Rows in the three shapes they take: request columns, the model's inputs, and what came of them.

    The outcome is boolean for a classification and float64 for a regression.
    """

    request: Columns
    data: Tensors
    target: NDArray[Any]

    def take(self, rows: NDArray[Any]) -> "Examples":
        return Examples({n: v[rows] for n, v in self.request.items()}, self.data.take(rows), self.target[rows])


def to_columns(rows: Sequence[Mapping[str, Any]], contract: Contract) -> dict[str, NDArray[Any]]:
    """Validated rows to request columns; a field that a row lacks is missing."""
    numeric, others = contract.by_array
    try:  # one call for all: one row at a time has no time for more
        values = np.array([contract.numbers_of(row) for row in rows], dtype=np.float64)
        texts = {name: as_array([row[name] for row in rows], kind) for name, kind in others.items()}
    except KeyError:
        return to_columns([{**dict.fromkeys(contract.request), **row} for row in rows], contract)
    return texts | dict(zip(numeric, values.reshape(len(rows), len(numeric)).T, strict=True))


def as_array(values: Sequence[Any], kind: str) -> NDArray[Any]:
    """Values of one column, None where missing, to the array that its kind travels in."""
    if kind == "category":
        return np.array([value or "" for value in values], dtype=object)
    if kind == "datetime":
        return np.array(values, dtype="datetime64[s]")
    return np.array(values, dtype=np.float64)


def tensors(columns: Columns, contract: Contract) -> Tensors:
    """Features to the model's inputs. Numbers are rounded to float32 here, for training and serving alike."""
    rows = len(columns[contract.features[0]])
    strings = np.empty((rows, len(contract.strings)), dtype=object)
    for position, name in enumerate(contract.strings):
        strings[:, position] = columns[name]
    numbers = np.empty((len(contract.numbers), rows), dtype=np.float32)
    if contract.numbers:  # one call for all: one row at a time has no time for more
        np.concatenate([columns[name] for name in contract.numbers], out=numbers.reshape(-1), casting="same_kind")
    return Tensors(strings, np.ascontiguousarray(numbers.T))


def take_rows(columns: Columns, rows: NDArray[Any]) -> Columns:
    return {name: values[rows] for name, values in columns.items()}


def columns_from_json(stored: Mapping[str, Sequence[Any]], contract: Contract) -> dict[str, NDArray[Any]]:
    """Request columns from their plain values."""
    return {name: as_array(stored[name], column.kind) for name, column in contract.request.items()}


def to_rows(columns: Mapping[str, Sequence[Any]]) -> list[dict[str, Any]]:
    """Columns of plain values to one dict per row, as a caller would send it: what is missing is left out."""
    return [
        {name: value for name, value in zip(columns, row, strict=True) if value is not None}
        for row in zip(*columns.values(), strict=True)
    ]


def columns_to_json(columns: Columns, request: Mapping[str, Column]) -> dict[str, list[Any]]:
    """Request columns as JSON values, None where missing."""
    return {name: [_plain(value, column) for value in columns[name]] for name, column in request.items()}


def _plain(value: Any, column: Column) -> Any:
    if column.kind == "category":
        return value or None
    if column.kind == "datetime":
        return None if np.isnat(value) else str(value)
    if np.isnan(value):
        return None
    return {"integer": int, "boolean": bool}.get(column.kind, float)(value)


def json_bytes(value: Any) -> bytes:
    """The one way that a bundle's JSON is written. Keys stay in their order, which is the config's: forms and pages
    follow it.
    """
    return (json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode()
