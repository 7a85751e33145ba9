"""Split rows into folds and a holdout, by time or by a stable hash. This module knows the rows' keys and no values."""

from datetime import date
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.config.durations import Duration
from pipeline.config.splits import GroupSplit, Plan, RowSplit, TimeSplit
from pipeline.errors import DataError

Rows = NDArray[np.int64]


class Fold(NamedTuple):
    """Row numbers of the training rows and of the validation rows.

    With a split by time, the name is the window of the validation rows.
    """

    name: str
    train: Rows
    valid: Rows


class Split(NamedTuple):
    """The folds, the row numbers before the holdout, and the row numbers of the holdout."""

    folds: list[Fold]
    search: Rows
    holdout: Rows
    holdout_name: str


def split(key: NDArray[Any], plan: Plan) -> Split:
    """Split the rows by their key [rows]. Raises DataError if a part would be empty."""
    parts = by_time(key, plan) if isinstance(plan, TimeSplit) else by_hash(key, plan)
    for fold in parts.folds:
        if not len(fold.train) or not len(fold.valid):
            lacking = "evaluate" if len(fold.train) else "train"
            remedy = "Use fewer or shorter folds, or more rows"
            raise DataError(f"split: fold {fold.name} has no rows to {lacking} on. {remedy}")

    if not len(parts.holdout):
        raise DataError("split: the holdout has no rows. Make it longer")
    return parts


def by_time(times: NDArray[Any], plan: TimeSplit) -> Split:
    """Split by forward chaining: the holdout ends with the last day, and each fold's window ends where the next begins.

    A fold trains on all rows before its validation window. Raises DataError if the folds reach back beyond the data.
    """
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

    folds = []
    for start, stop in pairwise(edges):
        low = np.datetime64(start)
        high = np.datetime64(stop)
        train = np.flatnonzero(times < low)
        valid = np.flatnonzero((times >= low) & (times < high))
        folds.append(Fold(window(start, stop), train, valid))

    low = np.datetime64(edges[-1])
    return Split(folds, np.flatnonzero(times < low), np.flatnonzero(times >= low), window(edges[-1], end))


def begin(plan: TimeSplit, end: date) -> str:
    """Return the first day of the holdout, as an ISO date, for data whose last day is the day before `end`."""
    return f"{pd.Timestamp(end) - offset(plan.holdout):%Y-%m-%d}"


def by_hash(hashes: NDArray[np.uint64], plan: RowSplit | GroupSplit) -> Split:
    """Split by the hash [rows] of a row or group, as a share between 0 and 1. New rows do not move a row.

    Raises DataError if all rows have one hash.
    """
    if len(hashes) > 1 and (hashes == hashes[0]).all():
        remedy = "split by row or time" if isinstance(plan, GroupSplit) else "name columns that differ in data.key"
        raise DataError(f"split: all {len(hashes)} rows are of one {plan.by}, as their values are the same: {remedy}")

    share = hashes.astype(np.float64) / 2.0**64
    before_holdout = share < 1 - plan.holdout
    part = np.floor(share / (1 - plan.holdout) * plan.folds)

    folds = []
    for n in range(plan.folds):
        train = np.flatnonzero(before_holdout & (part != n))
        valid = np.flatnonzero(before_holdout & (part == n))
        folds.append(Fold(f"part {n + 1} of {plan.folds}", train, valid))

    name = f"{plan.holdout:.0%} of the {plan.by}s"
    return Split(folds, np.flatnonzero(before_holdout), np.flatnonzero(~before_holdout), name)


def offset(span: Duration) -> pd.DateOffset:
    """Convert a duration to a calendar offset: a month is a calendar month."""
    unit: Any = {span.unit: span.amount}
    return pd.DateOffset(**unit)


def window(start: pd.Timestamp, stop: pd.Timestamp) -> str:
    """Name a window by its first and its last day. `stop` is the day after the last."""
    return f"{start:%d %b %Y} to {stop - pd.Timedelta(days=1):%d %b %Y}"


def sample(unit: NDArray[np.int64], share: float, seed: int) -> Rows:
    """Draw whole blocks at random and return the numbers of their rows.

    `unit` [rows] is the block of each row, `share` the share of the blocks. The first and the last block are always
    drawn, so that the windows of a split by time do not move.
    """
    all_blocks = np.unique(unit)
    drawn = np.random.default_rng(seed).permutation(all_blocks[1:-1])[: round(share * len(all_blocks))]
    return np.flatnonzero(np.isin(unit, [all_blocks[0], *drawn, all_blocks[-1]]))
