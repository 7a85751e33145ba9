"""The inputs of logged rows as columns: the prediction log has them as the JSON that was sent.

This module must not know what is compared in these rows.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import DataError
from pipeline.runtime.arrays import as_array
from pipeline.runtime.contract import Column

CHUNK_ROWS = 10_000  # rows that are parsed at a time: as Python objects they need many times their room
REPAIR = "remove the old rows with `python -m pipeline log prune`, or name another log with LOG_URL"


def parse(inputs: Sequence[str], columns: Mapping[str, Column]) -> dict[str, NDArray[Any]]:
    """These columns of logged rows. Raises DataError where a row is no JSON object or a value is not of its kind."""
    parts = {name: [as_array([], column.kind)] for name, column in columns.items()}
    for first in range(0, len(inputs), CHUNK_ROWS):
        rows = [parse_row(text, number) for number, text in enumerate(inputs[first : first + CHUNK_ROWS], first)]
        for name, column in columns.items():
            parts[name].append(parse_column(rows, name, column))

    return {name: np.concatenate(values) for name, values in parts.items()}


def parse_row(text: str, number: int) -> dict[str, Any]:
    try:
        row = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise DataError(f"prediction log: the inputs of row {number:,} are no JSON: {error}. {REPAIR}") from None
    if not isinstance(row, dict):
        raise DataError(f"prediction log: the inputs of row {number:,} are no object: {text[:40]!r}. {REPAIR}")
    return row


def parse_column(rows: Sequence[Mapping[str, Any]], name: str, column: Column) -> NDArray[Any]:
    try:
        return as_array([row.get(name) for row in rows], column.kind)
    except (TypeError, ValueError, OverflowError) as error:
        reason = f"prediction log: {error}. A column had another kind when this was logged"
        raise DataError(f"{reason}: {REPAIR}") from None
