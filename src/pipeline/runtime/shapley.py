"""Why this answer? What each field that a caller sent did to it, as Shapley values against rows of the training.

A field's contribution is the mean change of the answer when it takes the caller's value, over the orders in which the
fields could do so and over background rows to start from (Štrumbelj and Kononenko, 2014). They add up to the answer
minus the mean answer to the background rows. With few fields every coalition is asked; with more of them each
background row walks through one random order and its reverse, whose errors partly cancel (Mitchell et al., 2022).
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
ROWS = 50  # background rows
EXACT = 10  # fields up to which every coalition is asked
AT_ONCE = 4096  # rows for the model in one call
SEED = 0  # the same request has the same explanation


def no_deadline() -> None:
    """Nobody waits for the end of the work."""


class Explanation(NamedTuple):
    """The mean answer to background rows, this row's answer, and what each field did to it.

    `errors` are the standard errors of the contributions: from the background rows and, where orders are sampled, from
    those.
    """

    base: float
    answer: float
    contributions: dict[str, float]
    errors: dict[str, float]
    exact: bool


def explain(predictor: Predictor, row: Columns, between: Between = no_deadline) -> Explanation:
    """The explanation of one row of request columns, each of length 1.

    `between` is called before each call of the model; what it raises ends the work.
    """
    names = list(predictor.contract.request)
    background = sample_background(predictor.background)
    exact = len(names) <= EXACT
    shares = by_coalitions if exact else by_permutations
    base, answer, found = shares(predictor, row, background, names, between)
    errors = found.std(axis=0, ddof=1) / math.sqrt(len(found))
    means = found.mean(axis=0)
    return Explanation(
        base,
        answer,
        dict(zip(names, means.tolist(), strict=True)),
        dict(zip(names, errors.tolist(), strict=True)),
        exact,
    )


def sample_background(columns: Columns) -> Columns:
    """`ROWS` of the background rows, or all where there are no more."""
    rows = len(next(iter(columns.values())))
    at = np.linspace(0, rows - 1, min(ROWS, rows)).astype(int)
    return {name: values[at] for name, values in columns.items()}


def by_permutations(
    predictor: Predictor, row: Columns, background: Columns, names: list[str], between: Between = no_deadline
) -> tuple[float, float, Floats]:
    """Base, answer and the changes [background rows, fields] along a random order and its reverse."""
    rows, fields = len(background[names[0]]), len(names)
    place = permutation_places(rows, fields)
    said = np.empty((2 * rows, fields + 1))
    step = np.arange(fields + 1)[:, None]
    for walks in np.array_split(np.arange(2 * rows), math.ceil(2 * rows * (fields + 1) / AT_ONCE)):
        between()
        taken = (place[walks, None, :] < step).reshape(-1, fields)
        start = np.repeat(walks % rows, fields + 1)
        said[walks] = predictor.predict(mix_rows(row, background, names, taken, start)).reshape(-1, fields + 1)
    changes = np.take_along_axis(np.diff(said, axis=1), place, axis=1)
    return float(said[:, 0].mean()), float(said[0, -1]), (changes[:rows] + changes[rows:]) / 2


@lru_cache(maxsize=4)
def permutation_places(rows: int, fields: int) -> NDArray[np.int64]:
    """When each field takes the caller's value, by walk: a random order for each row, then the reverse of each."""
    rng = np.random.default_rng(SEED)
    forward = np.argsort(rng.random((rows, fields)), axis=1)
    return np.concatenate([forward, fields - 1 - forward])


def by_coalitions(
    predictor: Predictor, row: Columns, background: Columns, names: list[str], between: Between = no_deadline
) -> tuple[float, float, Floats]:
    """Base, answer and the contributions [background rows, fields] over all coalitions of fields."""
    rows, fields = len(background[names[0]]), len(names)
    coalitions = (np.arange(2**fields)[:, None] >> np.arange(fields)) & 1 == 1
    said = np.empty((len(coalitions), rows))
    for some in np.array_split(np.arange(len(coalitions)), math.ceil(said.size / AT_ONCE)):
        between()
        taken, start = np.repeat(coalitions[some], rows, axis=0), np.tile(np.arange(rows), len(some))
        said[some] = predictor.predict(mix_rows(row, background, names, taken, start)).reshape(len(some), rows)
    size = coalitions.sum(axis=1)
    orders = np.array([1 / math.comb(fields, n) for n in range(fields + 1)])
    with np.errstate(divide="ignore"):
        weight = np.where(coalitions.T, orders[size] / size, -orders[size] / (fields - size))
    return float(said[0].mean()), float(said[-1, 0]), (weight @ said).T


def mix_rows(
    row: Columns, background: Columns, names: list[str], taken: NDArray[np.bool_], start: NDArray[np.int64]
) -> dict[str, NDArray[Any]]:
    """Request columns with the caller's value where it is `taken` [rows, fields], else that of the row in `start`."""
    return {name: np.where(taken[:, place], row[name][0], background[name][start]) for place, name in enumerate(names)}
