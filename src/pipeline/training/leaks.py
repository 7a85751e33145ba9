"""Checks of training data for target leaks: features that know the outcome.

They need the contract, the model's inputs and the outcomes, and no model.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from pipeline.evaluation.metrics import roc_auc
from pipeline.runtime.arrays import Tensors
from pipeline.runtime.contract import Contract

Array = NDArray[Any]
PARTS = 5  # parts of the rows; each is scored by the outcomes of the others


def single_feature_scores(contract: Contract, data: Tensors, target: Array, seed: int) -> dict[str, float]:
    """Return by feature how well it alone orders the outcomes of rows that it was not fitted on: 1 is perfect.

    A category is ordered by the mean outcome of its value in the other parts of the rows, so a value that occurs once
    says nothing. A number is ordered by its size or by whether it is missing: the better of the two counts.
    """
    score_of = ordering_score(target)
    part = np.random.default_rng(seed).integers(PARTS, size=len(target))
    scores = {}

    for name, strings in zip(contract.strings, data.strings.T, strict=True):
        scores[name] = score_of(mean_outcomes(strings, target.astype(np.float64), part))

    for name, numbers in zip(contract.numbers, data.numbers.T, strict=True):
        missing = np.isnan(numbers)
        filled = np.where(missing, np.nanmedian(numbers), numbers)
        scores[name] = max(score_of(filled), score_of(missing.astype(np.float64)))
    return scores


def mean_outcomes(strings: Array, outcome: NDArray[np.float64], part: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return for each row the mean outcome of its value in the other parts, shape [rows].

    For a value that is in no other part, it is the mean outcome of all rows.
    """
    _, code = np.unique(strings.astype(str), return_inverse=True)
    values = int(code.max()) + 1
    cell = code * PARTS + part

    rows = np.bincount(cell, minlength=values * PARTS).reshape(values, PARTS)
    total = np.bincount(cell, outcome, minlength=values * PARTS).reshape(values, PARTS)
    other_rows = rows.sum(axis=1, keepdims=True) - rows
    other_total = total.sum(axis=1, keepdims=True) - total

    means = np.full(rows.shape, outcome.mean())
    np.divide(other_total, other_rows, out=means, where=other_rows > 0)
    return means[code, part]


def ordering_score(target: Array) -> Callable[[Array], float]:
    """Return a function that measures how well values order the outcomes, ascending or descending.

    It is ROC AUC for a boolean outcome, and the absolute value of Spearman's rank correlation for a number.
    """
    if target.dtype == np.bool_:

        def area_either_way(values: Array) -> float:
            area = roc_auc(target, values)
            return max(area, 1 - area)

        return area_either_way

    ranks = rankdata(target)

    def rank_correlation(values: Array) -> float:
        if not values.std():
            return 0.0
        return float(abs(np.corrcoef(rankdata(values), ranks)[0, 1]))

    return rank_correlation
