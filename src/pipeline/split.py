"""Which rows are trained on, which judge, and which are kept apart until the end."""

from datetime import date
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.config import Config
from pipeline.errors import DataError
from pipeline.plan import Duration, GroupSplit, Plan, RowSplit, TimeSplit
from pipeline.schema import Columns

Rows = NDArray[np.int64]


class Fold(NamedTuple):
    """Row numbers to train on and to judge on; in time the name is the window that judges."""

    name: str
    train: Rows
    valid: Rows


class Split(NamedTuple):
    """The folds, the rows before the holdout, and the holdout."""

    folds: list[Fold]
    search: Rows
    holdout: Rows
    holdout_name: str


def keys(columns: Columns, config: Config) -> NDArray[Any]:
    """What decides where a row belongs: its time, or a stable hash of its group or of the row's own key."""
    if isinstance(config.split, TimeSplit):
        return columns[config.split.time]
    return hashed(columns, [config.split.group]) if isinstance(config.split, GroupSplit) else row_keys(columns, config)


def row_keys(columns: Columns, config: Config) -> NDArray[np.uint64]:
    """A number per row that stays the same from one training to the next: a hash of the declared key.

    Without one all columns that are known before take part, features or not: a model that was given another choice of
    features still has the same rows to learn from and the same to be judged on.
    """
    known = [name for name, column in config.columns.items() if column.known == "before" and column.brought]
    return hashed(columns, config.data.key or known)


def hashed(columns: Columns, names: list[str]) -> NDArray[np.uint64]:
    frame = pd.DataFrame({name: columns[name] for name in names})
    return np.asarray(pd.util.hash_pandas_object(frame, index=False), dtype=np.uint64)


def blocks(key: NDArray[Any]) -> NDArray[np.int64]:
    """What is drawn whole when rows are sampled or resampled: the row's day, its group or, without either, the row
    itself with its copies.
    """
    unit = key.astype("datetime64[D]") if np.issubdtype(key.dtype, np.datetime64) else key
    return unit.astype(np.int64)


def split(key: NDArray[Any], plan: Plan) -> Split:
    """Raises DataError where a part would be empty."""
    parts = by_time(key, plan) if isinstance(plan, TimeSplit) else by_hash(key, plan)
    for fold in parts.folds:
        if not len(fold.train) or not len(fold.valid):
            lacking = "judge" if len(fold.train) else "train"
            raise DataError(f"split: fold {fold.name} has no rows to {lacking} on. Use fewer or shorter folds")
    if not len(parts.holdout):
        raise DataError("split: the holdout has no rows. Make it longer")
    return parts


def by_time(times: NDArray[Any], plan: TimeSplit) -> Split:
    """Forward chaining back from the end of the last day: the holdout, and one window per fold before it."""
    first = pd.Timestamp(times.min())
    end = pd.Timestamp(times.max()).floor("D") + pd.Timedelta(days=1)
    edges = [end - offset(plan.holdout)]
    for _ in range(plan.folds):
        edges.insert(0, edges[0] - offset(plan.fold_length))
    if edges[0] <= first:
        raise DataError(
            f"split: {plan.folds} folds reach back to {edges[0]:%Y-%m-%d}, and the data begins on {first:%Y-%m-%d}. "
            "Use fewer or shorter folds"
        )
    at = [np.datetime64(edge) for edge in edges]
    folds = [
        Fold(
            window(edges[n], edges[n + 1]),
            np.flatnonzero(times < at[n]),
            np.flatnonzero((times >= at[n]) & (times < at[n + 1])),
        )
        for n in range(plan.folds)
    ]
    return Split(folds, np.flatnonzero(times < at[-1]), np.flatnonzero(times >= at[-1]), window(edges[-1], end))


def first_day(key: NDArray[Any]) -> str | None:
    """The day of the earliest row; None where rows have no time."""
    return str(key.min().astype("datetime64[D]")) if np.issubdtype(key.dtype, np.datetime64) else None


def day_after(key: NDArray[Any]) -> str | None:
    """The day after that of the latest row; None where rows have no time."""
    return (
        str(key.max().astype("datetime64[D]") + np.timedelta64(1, "D"))
        if np.issubdtype(key.dtype, np.datetime64)
        else None
    )


def begin(plan: TimeSplit, end: date) -> str:
    """The first day of the holdout of rows that go up to the day before `end`."""
    return f"{pd.Timestamp(end) - offset(plan.holdout):%Y-%m-%d}"


def by_hash(hashes: NDArray[np.uint64], plan: RowSplit | GroupSplit) -> Split:
    """The hash of a row or group, as a share between 0 and 1, decides its part: new ones move no old one."""
    share = hashes.astype(np.float64) / 2.0**64
    searched = share < 1 - plan.holdout
    part = np.floor(share / (1 - plan.holdout) * plan.folds)
    folds = [
        Fold(
            f"part {n + 1} of {plan.folds}",
            np.flatnonzero(searched & (part != n)),
            np.flatnonzero(searched & (part == n)),
        )
        for n in range(plan.folds)
    ]
    return Split(folds, np.flatnonzero(searched), np.flatnonzero(~searched), f"{plan.holdout:.0%} of the {plan.by}s")


def offset(span: Duration) -> pd.DateOffset:
    unit: Any = {span.unit: span.amount}
    return pd.DateOffset(**unit)


def window(start: pd.Timestamp, stop: pd.Timestamp) -> str:
    return f"{start:%d %b %Y} to {stop - pd.Timedelta(days=1):%d %b %Y}"


def sample(unit: NDArray[np.int64], share: float, seed: int) -> Rows:
    """Rows of a random share of the blocks, each whole. The first and the last stay: the windows follow from them."""
    if share == 1:
        return np.arange(len(unit))
    drawn = np.unique(unit)
    middle = np.random.default_rng(seed).permutation(drawn[1:-1])[: round(share * len(drawn))]
    return np.flatnonzero(np.isin(unit, [drawn[0], *middle, drawn[-1]]))
