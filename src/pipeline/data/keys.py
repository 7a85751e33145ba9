"""The keys of rows: the key that decides to which part of the split a row belongs, and the key that identifies it."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.config.config import Config
from pipeline.config.splits import GroupSplit, TimeSplit
from pipeline.errors import DataError
from pipeline.runtime.arrays import Columns


def split_keys(columns: Columns, config: Config) -> NDArray[Any]:
    """Return the key of each row [rows] for the split: its time, or a stable hash of its group or of its row key."""
    if isinstance(config.split, TimeSplit):
        return columns[config.split.time]
    if isinstance(config.split, GroupSplit):
        return hash_rows(columns, [config.split.group])
    return row_keys(columns, config)


def row_keys(columns: Columns, config: Config) -> NDArray[np.uint64]:
    """Return a number per row that stays the same from one training to the next: a hash of the declared key.

    Without a declared key, all columns that are known before the prediction take part, features or not: another choice
    of features does not change the keys, and so neither the folds nor the holdout.
    """
    known = [name for name, column in config.columns.items() if column.known == "before" and column.brought]
    return hash_rows(columns, config.data.key or known)


def rows_of_same_key(columns: Columns, config: Config) -> NDArray[np.int64]:
    """Return the numbers of the rows that have the declared key of another row; none without a declared key."""
    if not config.data.key:
        return np.empty(0, dtype=np.int64)
    _, number, count = np.unique(row_keys(columns, config), return_inverse=True, return_counts=True)
    return np.flatnonzero(count[number] > 1)


def refuse_same_keys(columns: Columns, config: Config, repeated: NDArray[np.int64]) -> None:
    """Raise DataError if the share of the `repeated` rows is above `data.max_same_key`."""
    limit = config.data.max_same_key
    rows = len(columns[config.target])
    if len(repeated) > limit * rows:
        example = ", ".join(f"{name} {columns[name][repeated[0]]}" for name in config.data.key)
        raise DataError(
            f"data.key: {len(repeated):,} of {rows:,} rows have the key of another row, more than "
            f"data.max_same_key {limit:g} allows ({int(limit * rows)} rows), such as {example}. Remove what is "
            "there twice, name more columns in the key, or raise the limit"
        )


def hash_rows(columns: Columns, names: list[str]) -> NDArray[np.uint64]:
    """Hash the values of the named columns in each row: shape [rows]."""
    frame = pd.DataFrame({name: columns[name] for name in names})
    return np.asarray(pd.util.hash_pandas_object(frame, index=False), dtype=np.uint64)


def first_day(key: NDArray[Any]) -> str | None:
    """Return the day of the earliest row as an ISO date. None if rows have no time."""
    if not np.issubdtype(key.dtype, np.datetime64):
        return None
    return str(key.min().astype("datetime64[D]"))


def day_after(key: NDArray[Any]) -> str | None:
    """Return the day after the latest row as an ISO date. None if rows have no time."""
    if not np.issubdtype(key.dtype, np.datetime64):
        return None
    return str(key.max().astype("datetime64[D]") + np.timedelta64(1, "D"))
