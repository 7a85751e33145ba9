"""Metrics by slice: a good average can hide those whom a model fails."""

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
    columns: Columns, names: Sequence[str], least: int, outcome: Array, answer: Array, blocks: Array, plan: Bootstrap
) -> list[Slice]:
    """The metrics of each value of the named columns that has `least` rows and, for a yes or no, both outcomes."""
    parts = []
    for name in names:
        values = columns[name].astype(str)
        for value in np.unique(values):
            rows = np.flatnonzero(values == value)
            if len(rows) >= least and (plan.scoring.task == "regression" or len(np.unique(outcome[rows])) > 1):
                measured = with_intervals(outcome[rows], answer[rows], blocks[rows], plan)
                parts.append(Slice(name, str(value), len(rows), measured))
    return parts
