"""Checks of a table for target leaks: columns and rows that know the outcome.

They need the rows and their outcomes, and no model, so they can look at a table before anything is trained on it.
"""

from collections.abc import Callable
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from pipeline.data.keys import hash_rows
from pipeline.evaluation.metrics import roc_auc
from pipeline.runtime.arrays import Examples, Tensors
from pipeline.runtime.contract import Contract

Array = NDArray[Any]
Floats = NDArray[np.float64]

PARTS = 5  # parts of the rows; each is scored by the outcomes of the others
BINS = 50  # of a number, with about as many rows each
CHANCE = 1e-6  # a pattern that is rarer than this by chance has a reason
ALIKE = {
    True: 0.55,
    False: 0.1,
}  # of the mean outcomes of days, classes or numbers: above it, days differ by more than chance
NATURAL = 0.1  # equal rows that differ in the outcome, as a share of what chance gives: above it they are no copies


OUTCOME = "the outcome"  # no column has this name: it is no identifier


class PairScore(NamedTuple):
    """Two numbers of which a weighted sum or difference orders the outcomes better than either, and how well."""

    names: tuple[str, str]
    score: float


class CopiedRows(NamedTuple):
    """Rows of the holdout that equal a training row in every column but the time, and in the outcome."""

    rows: int
    share: float


def single_feature_scores(contract: Contract, data: Tensors, target: Array, seed: int) -> dict[str, float]:
    """Return by feature how well it alone orders the outcomes of rows that it was not fitted on: 1 is perfect.

    For several classes that is the mean over the classes, each against the rest. A category is ordered by the mean
    outcome of its value in the other parts of the rows, so a value that occurs once says nothing. A number is ordered
    by its size, by whether it is missing, or like a category by its bin: the best of the three counts.
    """
    if target.dtype == np.int64:
        one_by_one = [single_feature_scores(contract, data, outcome, seed) for outcome in against_the_rest(target)]
        means = {}
        for name in one_by_one[0]:
            means[name] = float(np.mean([scores[name] for scores in one_by_one]))
        return means

    score_of = ordering_score(target)
    part = np.random.default_rng(seed).integers(PARTS, size=len(target))
    outcome = target.astype(np.float64)
    scores = {}

    for name, strings in zip(contract.strings, data.strings.T, strict=True):
        value = np.unique(strings.astype(str), return_inverse=True)[1]
        scores[name] = score_of(mean_outcomes(value, outcome, part))

    for name, numbers in zip(contract.numbers, data.numbers.T, strict=True):
        missing = np.isnan(numbers)
        filled = np.where(missing, np.nanmedian(numbers), numbers)
        orders = [filled, missing.astype(np.float64), mean_outcomes(bins(numbers), outcome, part)]
        scores[name] = max(score_of(order) for order in orders)
    return scores


def against_the_rest(target: NDArray[np.int64]) -> list[NDArray[np.bool_]]:
    """Return for each class that occurs whether a row has it, shape [rows]."""
    return [target == number for number in np.unique(target)]


def bins(numbers: Array) -> NDArray[np.int64]:
    """Return the bin of each number, shape [rows]: quantiles, and one more bin for missing numbers."""
    edges = np.unique(np.nanquantile(numbers, np.linspace(0, 1, BINS + 1)[1:-1]))
    return np.where(np.isnan(numbers), len(edges) + 1, np.searchsorted(edges, numbers, side="right"))


def mean_outcomes(value: NDArray[np.int64], outcome: Floats, part: NDArray[np.int64]) -> Floats:
    """Return for each row the mean outcome of its value in the other parts, shape [rows].

    Values are numbers from 0 on. For a value that is in no other part, it is the mean outcome of all rows.
    """
    values = int(value.max()) + 1
    cell = value * PARTS + part

    rows = np.bincount(cell, minlength=values * PARTS).reshape(values, PARTS)
    total = np.bincount(cell, outcome, minlength=values * PARTS).reshape(values, PARTS)
    other_rows = rows.sum(axis=1, keepdims=True) - rows
    other_total = total.sum(axis=1, keepdims=True) - total

    means = np.full(rows.shape, outcome.mean())
    np.divide(other_total, other_rows, out=means, where=other_rows > 0)
    return means[value, part]


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


def best_pair(contract: Contract, data: Tensors, target: Array, seed: int) -> PairScore | None:
    """Return the two numbers that say most about the outcome together and least by themselves; None without two.

    Two columns can add up to the outcome, or differ by it, while neither shows it. One half of the rows chooses the
    pair by R², which for two columns follows from their three correlations, and its weights by least squares. The
    other half scores their weighted sum. Several classes have no such order: None.
    """
    if target.dtype == np.int64:
        return None
    numbers = standardized(data.numbers)
    half = np.random.default_rng(seed).random(len(target)) < 0.5
    if len(np.unique(target[half])) < 2 or len(np.unique(target[~half])) < 2:
        return None

    both = np.column_stack([numbers, target.astype(np.float64)])[half]
    usable = np.flatnonzero(both[:, :-1].std(axis=0) > 0)
    if len(usable) < 2:
        return None

    correlation: Floats = np.asarray(np.corrcoef(both[:, [*usable, -1]].T))
    first, second = max(combinations(range(len(usable)), 2), key=lambda pair: added_by_pair(correlation, *pair))
    pair = usable[[first, second]]

    weights = np.linalg.lstsq(both[:, pair], both[:, -1] - both[:, -1].mean(), rcond=None)[0]
    score = ordering_score(target[~half])(numbers[~half][:, pair] @ weights)
    return PairScore((contract.numbers[pair[0]], contract.numbers[pair[1]]), score)


def standardized(numbers: Array) -> Floats:
    """Return the columns with mean 0 and standard deviation 1, and 0 where a number is missing, shape [rows, columns].

    A column without any value, or with one value, is 0 throughout.
    """
    exact = numbers.astype(np.float64)
    known = ~np.isnan(exact)
    count = np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, exact - np.where(known, exact, 0).sum(axis=0) / count, 0)
    deviation = np.sqrt((centred**2).sum(axis=0) / count)
    return np.asarray(np.divide(centred, deviation, out=np.zeros_like(centred), where=deviation > 0))


def added_by_pair(correlation: Floats, first: int, second: int) -> float:
    """Return the R² of two columns minus that of the better one of them.

    `correlation` has the columns and, last, the outcome. Two columns that are copies of each other add nothing.
    """
    a = correlation[first, -1]
    b = correlation[second, -1]
    between = correlation[first, second]
    rest = 1 - between**2
    if rest < 1e-9:
        return 0.0
    return float((a**2 + b**2 - 2 * a * b * between) / rest - max(a**2, b**2))


def present_for_one_outcome(contract: Contract, data: Tensors, target: Array) -> list[str]:
    """Return the features that are missing only, or present only, in rows with one and the same outcome.

    Only if so many rows would not agree by chance. A regression has no such features.
    """
    if target.dtype == np.float64:
        return []

    columns = dict(zip(contract.strings, (data.strings == "").T, strict=True))
    columns |= dict(zip(contract.numbers, np.isnan(data.numbers).T, strict=True))
    names = []
    for name, missing in columns.items():
        for rows in (missing, ~missing):
            outcomes = target[rows]
            is_one = len(outcomes) > 0 and bool((outcomes == outcomes[0]).all())
            if is_one and (target == outcomes[0]).mean() ** len(outcomes) < CHANCE and name not in names:
                names.append(name)
    return names


def copied_rows(contract: Contract, train: Examples, holdout: Examples) -> CopiedRows:
    """Count the rows of the holdout that equal a training row in what callers send, but for times, and in the outcome.

    Rolling features are left out too: they depend on the day. A row with equal training rows of both outcomes is no
    copy. Where such rows are more than a tenth of what chance gives, equal rows are the nature of the table, as in one
    of few categories, and none is counted.
    """
    names = [name for name, column in contract.request.items() if column.kind != "datetime" and not column.rolling]
    if not names:
        return CopiedRows(0, 0.0)

    equal = rows_equal(hash_rows(train.request, names), hash_rows(holdout.request, names))
    train_hashes = hash_rows({**train.request, OUTCOME: train.target}, [*names, OUTCOME])
    holdout_hashes = hash_rows({**holdout.request, OUTCOME: holdout.target}, [*names, OUTCOME])
    same_outcome = rows_equal(train_hashes, holdout_hashes)

    differ = int((same_outcome < equal).sum())
    copied = (equal > 0) & (same_outcome == equal)
    _, counts = np.unique(holdout.target, return_counts=True)
    by_chance = 1 - float(((counts / len(holdout.target)) ** 2).sum())
    if differ > NATURAL * by_chance * (equal > 0).sum():
        return CopiedRows(0, 0.0)
    return CopiedRows(int(copied.sum()), float(copied.mean()))


def rows_equal(train: NDArray[np.uint64], holdout: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Return for each holdout row the number of training rows with the same hash, shape [holdout rows]."""
    hashes, counts = np.unique(train, return_counts=True)
    position = np.searchsorted(hashes, holdout).clip(max=len(hashes) - 1)
    return np.where(hashes[position] == holdout, counts[position], 0)


def columns_of_similar_days(contract: Contract, rows: Examples, seed: int) -> list[str]:
    """Return the datetime columns in which rows of the same day have similar outcomes.

    A day's outcomes in the other parts of the rows order the outcomes of this part better than chance.
    """
    is_number = rows.target.dtype == np.float64
    outcomes = against_the_rest(rows.target) if rows.target.dtype == np.int64 else [rows.target]
    part = np.random.default_rng(seed).integers(PARTS, size=len(rows.target))

    names = []
    for name, column in contract.request.items():
        if column.kind != "datetime":
            continue
        day = np.unique(rows.request[name].astype("datetime64[D]"), return_inverse=True)[1]
        scores = [ordering_score(outcome)(mean_outcomes(day, outcome.astype(np.float64), part)) for outcome in outcomes]
        if np.mean(scores) > ALIKE[not is_number]:
            names.append(name)
    return names
