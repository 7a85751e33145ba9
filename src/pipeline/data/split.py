"""Which rows are trained on, which judge, and which are kept apart until the end."""

from datetime import date
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.config.durations import Duration
from pipeline.config.splits import GroupSplit, Plan, RowSplit, TimeSplit
from pipeline.errors import DataError

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


def begin(plan: TimeSplit, end: date) -> str:
    """The first day of the holdout of rows that go up to the day before `end`."""
    return f"{pd.Timestamp(end) - offset(plan.holdout):%Y-%m-%d}"


def by_hash(hashes: NDArray[np.uint64], plan: RowSplit | GroupSplit) -> Split:
    """The hash of a row or group, as a share between 0 and 1, decides its part: further rows never move a row."""
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
    """Rows of a random share of the blocks, each whole. The first and the last block stay, so windows do not move."""
    if share == 1:
        return np.arange(len(unit))
    drawn = np.unique(unit)
    middle = np.random.default_rng(seed).permutation(drawn[1:-1])[: round(share * len(drawn))]
    return np.flatnonzero(np.isin(unit, [drawn[0], *middle, drawn[-1]]))
