"""Metrics by slice: a good average can hide a group for which the model fails."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pipeline.evaluation.bootstrap import Bootstrap, Interval, with_intervals
from pipeline.evaluation.curves import Array
from pipeline.runtime.arrays import Columns


class Slice(NamedTuple):
    """The metrics of the rows that have one value in one column."""

    column: str
    value: str
    rows: int
    figures: dict[str, Interval]


def slices(
    columns: Columns,
    names: Sequence[str],
    min_rows: int,
    outcome: Array,
    prediction: Array,
    blocks: Array,
    plan: Bootstrap,
) -> list[Slice]:
    """Compute the reported metrics, with intervals, for each value of the named columns.

    A value with fewer than `min_rows` rows is left out and, but for a regression, one whose rows all have one outcome.
    `outcome` and `blocks` have shape (rows,).
    """
    needs_two_outcomes = plan.scoring.task != "regression"
    parts = []

    for name in names:
        values = columns[name].astype(str)
        for value in np.unique(values):
            rows = np.flatnonzero(values == value)
            if len(rows) < min_rows or (needs_two_outcomes and len(np.unique(outcome[rows])) < 2):
                continue
            measured = with_intervals(outcome[rows], prediction[rows], blocks[rows], plan)
            parts.append(Slice(name, str(value), len(rows), measured))

    return parts
