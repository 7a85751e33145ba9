"""Rows sorted by prediction: the basis of ranking metrics, calibration and the curves of reports."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 10
Floats = NDArray[np.float64]
Array = NDArray[Any]


def ranked(probability: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows sorted by falling probability, and the last position of each run of equal probabilities.

    Within a run the rows have no order: callers sum over whole runs.
    """
    order = np.argsort(-probability)
    ends = np.append(np.flatnonzero(np.diff(probability[order])), len(order) - 1)
    return order, ends


def curve(outcome: Array, probability: Array) -> tuple[Floats, Floats, Floats]:
    """Return the distinct probabilities, falling, and the numbers of positives and negatives at or above each."""
    order, ends = ranked(probability)
    positives = np.cumsum(outcome[order].astype(np.float64))[ends]
    return probability[order][ends].astype(np.float64), positives, ends + 1 - positives


def tenths(prediction: Array) -> NDArray[np.int64]:
    """Return the bin of each row, 0 to 9, by tenths of all rows, lowest predictions first; shape (rows,).

    Rows with equal predictions are in the same bin, that of the middle one of them.
    """
    order = np.argsort(prediction)
    ends = np.append(np.flatnonzero(np.diff(prediction[order])), len(prediction) - 1)
    starts = np.append(0, ends[:-1] + 1)

    bins = np.empty(len(prediction), np.int64)
    bins[order] = np.repeat((starts + ends) // 2, ends - starts + 1) * BINS // len(prediction)
    return bins
