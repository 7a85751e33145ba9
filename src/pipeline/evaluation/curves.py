"""Rows in order of their predictions: what the curves of plots and the ranking metrics stand on."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 10
Floats = NDArray[np.float64]
Array = NDArray[Any]


def ranked(probability: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows in order of falling probability, and where in that order each run of equal ones ends."""
    order = np.argsort(-probability, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(probability[order])), len(order) - 1)
    return order, ends


def curve(outcome: Array, probability: Array) -> tuple[Floats, Floats, Floats]:
    """Each probability, falling, with how many yes and how many no are at or above it."""
    order, ends = ranked(probability)
    hits = np.cumsum(outcome[order].astype(np.float64))[ends]
    return probability[order][ends].astype(np.float64), hits, ends + 1 - hits


def tenths(answer: Floats) -> NDArray[np.int64]:
    """In which tenth of all rows, lowest answers first, each row is; equal answers are in the same."""
    order = np.argsort(answer, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(answer[order])), len(answer) - 1)
    starts = np.append(0, ends[:-1] + 1)
    bins = np.empty(len(answer), np.int64)
    bins[order] = np.repeat((starts + ends) // 2, ends - starts + 1) * BINS // len(answer)
    return bins


def by_tenth(outcome: Array, answer: Array) -> tuple[Floats, Floats]:
    """Mean answer and mean outcome in ten bins of equal size, lowest answers first; empty bins are left out."""
    bins = tenths(answer.astype(np.float64))
    size = np.bincount(bins, minlength=BINS).clip(1)
    expected = np.bincount(bins, answer, minlength=BINS) / size
    observed = np.bincount(bins, outcome.astype(np.float64), minlength=BINS) / size
    used = np.unique(bins)
    return expected[used], observed[used]
