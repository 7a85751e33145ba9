"""The keys of rows: the key that decides to which part of the split a row belongs, and the key that identifies it."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.config.config import Config
from pipeline.config.splits import GroupSplit, TimeSplit
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
