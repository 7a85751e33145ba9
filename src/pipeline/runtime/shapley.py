"""Explain one prediction: the Shapley value of each field that a caller sent, against background rows from training.

A field's contribution is the mean change of the prediction when the field takes the caller's value. The mean is over
the orders of the fields and over the background rows (Štrumbelj and Kononenko, 2014). The contributions add up to the
prediction minus the mean prediction of the background rows. With few fields, every coalition of fields is evaluated.
With more fields, each background row uses one random order and its reverse, whose errors partly cancel (Mitchell et
al., 2022).
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.runtime.arrays import Columns
from pipeline.runtime.predictor import Predictor

Floats = NDArray[np.float64]
Between = Callable[[], None]
Predict = Callable[[Columns], Floats]
ROWS = 50  # background rows
EXACT = 10  # up to this number of fields every coalition is evaluated
AT_ONCE = 4096  # rows in one call of the model, about
SEED = 0  # fixed, so that the same request has the same explanation


def no_deadline() -> None:
    """The default for `between`: there is no deadline."""


class Explanation(NamedTuple):
    """The mean prediction of the background rows, the prediction of this row, and the contribution of each field.

    `errors` are the standard errors of the contributions. They come from the sampling of background rows and, where
    `exact` is false, of orders.
    """

    base: float
    answer: float
    contributions: dict[str, float]
    errors: dict[str, float]
    exact: bool


def explain(
    predictor: Predictor, row: Columns, between: Between = no_deadline, number: int | None = None
) -> Explanation:
    """Explain the prediction of one row, given as request columns of length 1: the probability of class `number`.

    `between` is called before each call of the model. An exception that it raises, such as for a deadline, ends the
    explanation.
    """
    names = list(predictor.contract.request)
    background = sample_background(predictor.background)
    exact = len(names) <= EXACT

    method = by_coalitions if exact else by_permutations

    def predict(columns: Columns) -> Floats:
        predictions = predictor.predict(columns)
        return predictions if number is None else predictions[:, number]

    base, prediction, contributions = method(predict, row, background, names, between)
    errors = contributions.std(axis=0, ddof=1) / math.sqrt(len(contributions))
    means = contributions.mean(axis=0)

    return Explanation(
        base=base,
        answer=prediction,
        contributions=dict(zip(names, means.tolist(), strict=True)),
        errors=dict(zip(names, errors.tolist(), strict=True)),
        exact=exact,
    )


def sample_background(columns: Columns) -> Columns:
    """Take `ROWS` evenly spaced background rows, or all where there are fewer."""
    rows = len(next(iter(columns.values())))
    sample = np.linspace(0, rows - 1, min(ROWS, rows)).astype(int)
    return {name: values[sample] for name, values in columns.items()}


def by_permutations(
    predict: Predict, row: Columns, background: Columns, names: list[str], between: Between = no_deadline
) -> tuple[float, float, Floats]:
    """Return base, prediction and contributions [background rows, fields] from one random order and its reverse."""
    rows = len(background[names[0]])
    fields = len(names)
    place = permutation_places(rows, fields)
    predictions = np.empty((2 * rows, fields + 1))
    step = np.arange(fields + 1)[:, None]

    for walks in np.array_split(np.arange(2 * rows), math.ceil(2 * rows * (fields + 1) / AT_ONCE)):
        between()
        taken = (place[walks, None, :] < step).reshape(-1, fields)
        start = np.repeat(walks % rows, fields + 1)
        mixed = mix_rows(row, background, names, taken, start)
        predictions[walks] = predict(mixed).reshape(-1, fields + 1)

    changes = np.take_along_axis(np.diff(predictions, axis=1), place, axis=1)
    contributions = (changes[:rows] + changes[rows:]) / 2
    return float(predictions[:, 0].mean()), float(predictions[0, -1]), contributions


@lru_cache(maxsize=4)
def permutation_places(rows: int, fields: int) -> NDArray[np.int64]:
    """Return the step at which each field takes the caller's value, shape [2 * rows, fields].

    The first half has a random order for each background row, the second half the reverse of each.
    """
    rng = np.random.default_rng(SEED)
    forward = np.argsort(rng.random((rows, fields)), axis=1)
    return np.concatenate([forward, fields - 1 - forward])


def by_coalitions(
    predict: Predict, row: Columns, background: Columns, names: list[str], between: Between = no_deadline
) -> tuple[float, float, Floats]:
    """Return base, prediction and contributions [background rows, fields] from all coalitions of fields."""
    rows = len(background[names[0]])
    fields = len(names)
    coalitions = (np.arange(2**fields)[:, None] >> np.arange(fields)) & 1 == 1
    predictions = np.empty((len(coalitions), rows))

    for chunk in np.array_split(np.arange(len(coalitions)), math.ceil(predictions.size / AT_ONCE)):
        between()
        taken = np.repeat(coalitions[chunk], rows, axis=0)
        start = np.tile(np.arange(rows), len(chunk))
        mixed = mix_rows(row, background, names, taken, start)
        predictions[chunk] = predict(mixed).reshape(len(chunk), rows)

    size = coalitions.sum(axis=1)
    orders = np.array([1 / math.comb(fields, n) for n in range(fields + 1)])
    with np.errstate(divide="ignore"):
        weight = np.where(coalitions.T, orders[size] / size, -orders[size] / (fields - size))
    return float(predictions[0].mean()), float(predictions[-1, 0]), (weight @ predictions).T


def mix_rows(
    row: Columns, background: Columns, names: list[str], taken: NDArray[np.bool_], start: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    """Mix the caller's row with background rows into request columns.

    A field has the caller's value where `taken` [rows, fields] is true, else that of the background row in `start`
    [rows].
    """
    mixed = {}
    for field, name in enumerate(names):
        mixed[name] = np.where(taken[:, field], row[name][0], background[name][start])
    return mixed
