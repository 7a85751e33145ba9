"""Confidence intervals of metrics, from a block bootstrap.

Rows are not independent observations: a storm delays the flights of a whole day. So the bootstrap resamples blocks:
days or groups, or rows where the data has neither.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.curves import Array, Floats
from pipeline.evaluation.formulas import RATIO
from pipeline.evaluation.metrics import DECISIVE, base_name, weighted
from pipeline.runtime.contract import Scoring

ENDS = {  # the lowest and highest possible value of a metric; without an entry, 0 and 1
    "log_loss": (0.0, np.inf),
    "skill": (-np.inf, 1.0),
    "mae": (0.0, np.inf),
    "rmse": (0.0, np.inf),
    "r2": (-np.inf, 1.0),
    "bias": (-np.inf, np.inf),
    RATIO: (0.0, np.inf),
}


class Interval(NamedTuple):
    """A metric with its 95 % interval."""

    value: float
    low: float
    high: float


class Bootstrap(NamedTuple):
    """The settings of a bootstrap: how predictions are scored, the number of resamples and the seed."""

    scoring: Scoring
    resamples: int
    seed: int


def with_intervals(
    outcome: Array, prediction: Array, blocks: Array, plan: Bootstrap, names: Sequence[str] = ()
) -> dict[str, Interval]:
    """Compute the named metrics, each with a 95 % interval from resampled blocks; without names, the reported ones.

    `outcome` and `blocks` have shape (rows,). The interval is the 2.5th to 97.5th percentile of the
    resamples, shifted so that their mean is the metric. A sum of absolute differences, such as the calibration error,
    is larger in a resample than in the sample; other metrics hardly move.
    """
    at = weighted(outcome, prediction, plan.scoring, names)
    resampled = [at(weight) for weight in resamples(blocks, plan)]

    intervals = {}
    for name, value in at(np.ones(len(outcome))).items():
        values = np.array([metrics[name] for metrics in resampled])
        intervals[name] = interval(name, value, values)
    return intervals


def interval(name: str, value: float, resampled: Floats) -> Interval:
    """Return a metric with its interval from the resamples, shape (resamples,), in which the metric is defined."""
    lowest, highest = ENDS.get(base_name(name), (0.0, 1.0))
    finite = resampled[np.isfinite(resampled)]
    defined = finite if len(finite) else np.array([value])
    low, high = np.percentile(defined, [2.5, 97.5]) - (defined.mean() - value)
    return Interval(value, max(lowest, float(low)), min(highest, float(high)))


def paired(
    outcome: Array, new: Array, old: Array, blocks: Array, plan: Bootstrap, level: float, names: Sequence[str] = ()
) -> dict[str, Interval]:
    """Compute new minus old for the named metrics, each with an interval at `level`.

    Without names these are the loss and, but for a regression, ROC AUC. `new` and `old` are predictions for the same
    rows. Both are resampled with the same blocks, so that a block that is hard for both models cancels out.
    """
    names = names or DECISIVE[plan.scoring.task]
    first = weighted(outcome, new, plan.scoring, names)
    second = weighted(outcome, old, plan.scoring, names)
    drawn = [(first(weight), second(weight)) for weight in resamples(blocks, plan)]

    all_rows = np.ones(len(outcome))
    percentiles = [50 * (1 - level), 50 * (1 + level)]
    differences = {}
    for name, value in first(all_rows).items():
        low, high = np.percentile([one[name] - other[name] for one, other in drawn], percentiles)
        differences[name] = Interval(value - second(all_rows)[name], float(low), float(high))
    return differences


def blocks(key: NDArray[Any]) -> NDArray[np.int64]:
    """Return the block of each row, shape (rows,): its day, its group or, without either, the row and its copies.

    A block is sampled or resampled as a whole.
    """
    unit = key.astype("datetime64[D]") if np.issubdtype(key.dtype, np.datetime64) else key
    return unit.astype(np.int64)


def resamples(blocks: Array, plan: Bootstrap) -> Iterator[Floats]:
    """Yield the weights of the rows, shape (rows,), in each resample: as many blocks as there are, with replacement."""
    unit = np.unique(blocks, return_inverse=True)[1]
    count = int(unit.max()) + 1
    rng = np.random.default_rng(plan.seed)
    for _ in range(plan.resamples):
        yield rng.multinomial(count, np.full(count, 1 / count))[unit].astype(np.float64)


def rounded(measured: Mapping[str, Interval]) -> dict[str, dict[str, float | None]]:
    """Round intervals to six decimals for a JSON file, more than any metric needs; None is an undefined number."""
    return {name: _rounded(interval) for name, interval in measured.items()}


def _rounded(interval: Interval) -> dict[str, float | None]:
    stored: dict[str, float | None] = {}
    for end, number in interval._asdict().items():
        stored[end] = rounded_number(number)
    return stored


def rounded_number(number: float) -> float | None:
    """Round to six decimals; None where it is undefined."""
    return round(number, 6) if np.isfinite(number) else None
