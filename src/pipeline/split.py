"""Which rows are trained on, which judge, and which are kept apart until the end."""

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pipeline.config import Config, RowSplit, TimeSplit
from pipeline.errors import DataError
from pipeline.schema import Columns, Contract

Rows = NDArray[np.int64]


class Fold(NamedTuple):
    name: str
    train: Rows
    valid: Rows


class Split(NamedTuple):
    """Row numbers of the folds, of everything before the holdout, and of the holdout; `blocks` are the bootstrap's units."""

    folds: list[Fold]
    search: Rows
    holdout: Rows
    blocks: NDArray[np.int64]
    holdout_name: str


def split(columns: Columns, config: Config) -> Split:
    """Raises DataError where a part would be empty."""
    parts = by_time(columns[config.split.time], config.split) if isinstance(config.split, TimeSplit) else by_row(
        row_hash(columns, config.contract), config.split
    )
    for fold in parts.folds:
        if not len(fold.train) or not len(fold.valid):
            raise DataError(f"split: fold {fold.name} has no rows to {'judge' if len(fold.train) else 'train'} on. Use fewer or shorter folds")
    if not len(parts.holdout):
        raise DataError("split: the holdout has no rows. Make it longer")
    return parts


def by_time(times: NDArray[Any], plan: TimeSplit) -> Split:
    """Forward chaining back from the end of the last day: holdout, then one validation window per fold before it."""
    days = times.astype("datetime64[D]")
    end = pd.Timestamp(days.max()) + pd.Timedelta(days=1)
    holdout_start = end - offset(plan.holdout)
    edges = [holdout_start]
    for _ in range(plan.folds):
        edges.append(edges[-1] - offset(plan.fold_length))
    edges.reverse()
    first = pd.Timestamp(days.min())
    folds = [
        Fold(window(start, stop), np.flatnonzero(times < start.to_datetime64()), between(times, start, stop))
        for start, stop in zip(edges, edges[1:], strict=False)
    ]
    if edges[0] <= first:
        raise DataError(f"split: {plan.folds} folds reach back to {edges[0]:%Y-%m-%d}, before the data begins ({first:%Y-%m-%d})")
    search = np.flatnonzero(times < holdout_start.to_datetime64())
    return Split(folds, search, between(times, holdout_start, end), days.astype(np.int64), window(holdout_start, end))


def by_row(hashes: NDArray[np.uint64], plan: RowSplit) -> Split:
    """A row's hash, as a share between 0 and 1, decides its part: new rows move no old one."""
    share = hashes.astype(np.float64) / 2.0**64
    kept = share < 1 - plan.holdout
    part = np.floor(share / (1 - plan.holdout) * plan.folds).astype(int)
    folds = [
        Fold(f"part {n + 1} of {plan.folds}", np.flatnonzero(kept & (part != n)), np.flatnonzero(kept & (part == n)))
        for n in range(plan.folds)
    ]
    rows = np.arange(len(share), dtype=np.int64)
    return Split(folds, rows[kept], rows[~kept], rows, f"{plan.holdout:.0%} of the rows")


def row_hash(columns: Columns, contract: Contract) -> NDArray[np.uint64]:
    """A stable hash of what a caller would send for the row; its label is no part of it."""
    frame = pd.DataFrame({name: columns[name] for name in contract.request})
    return np.asarray(pd.util.hash_pandas_object(frame, index=False).to_numpy(), dtype=np.uint64)


def offset(span: Any) -> pd.DateOffset:
    return pd.DateOffset(**{span.unit: span.count})


def between(times: NDArray[Any], start: pd.Timestamp, stop: pd.Timestamp) -> Rows:
    return np.flatnonzero((times >= start.to_datetime64()) & (times < stop.to_datetime64()))


def window(start: pd.Timestamp, stop: pd.Timestamp) -> str:
    return f"{start:%d %b %Y} to {stop - pd.Timedelta(days=1):%d %b %Y}"


def units(columns: Columns, config: Config) -> NDArray[np.int64]:
    """What is drawn whole when rows are sampled or resampled: each row's day or, without time, the row itself."""
    if isinstance(config.split, TimeSplit):
        return columns[config.split.time].astype("datetime64[D]").astype(np.int64)
    return np.arange(len(columns[config.target]), dtype=np.int64)


def sample(blocks: NDArray[np.int64], share: float, seed: int) -> Rows:
    """Rows of a random share of the blocks, whole blocks at a time. The first and the last stay: the windows follow them."""
    if share == 1:
        return np.arange(len(blocks))
    drawn = np.unique(blocks)
    middle = np.random.default_rng(seed).permutation(drawn[1:-1])[: round(share * len(drawn))]
    return np.flatnonzero(np.isin(blocks, [drawn[0], *middle, drawn[-1]]))
