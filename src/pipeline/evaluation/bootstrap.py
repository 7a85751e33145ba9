"""Intervals of metrics, from a bootstrap that draws whole blocks.

One row is no independent observation: a storm delays a whole day. So blocks are days, or groups, or rows where rows
are all there is.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.evaluation.curves import Array, Floats
from pipeline.evaluation.metrics import DECISIVE, RATIO, weighted
from pipeline.runtime.contract import Scoring

ENDS = {  # between which a metric can lie; the others are shares, between 0 and 1
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
    """How often to resample, from which seed, and how predictions are scored."""

    scoring: Scoring
    resamples: int
    seed: int


def with_intervals(
    outcome: Array, answer: Array, blocks: Array, plan: Bootstrap, names: Sequence[str] = ()
) -> dict[str, Interval]:
    """Each named metric with an interval from the same metric over resampled blocks.

    It is the 2.5th to 97.5th percentile, moved so that the resamples' mean is the metric: a sum of absolute gaps such
    as the calibration error is larger in a resample than in the sample. The others hardly move.
    """
    at = weighted(outcome, answer, plan.scoring, names)
    resampled = [at(weight) for weight in resamples(blocks, plan)]
    return {
        name: interval(name, value, np.array([metrics[name] for metrics in resampled]))
        for name, value in at(np.ones(len(outcome))).items()
    }


def interval(name: str, value: float, resampled: Floats) -> Interval:
    """A metric with what its resamples say, those in which it is defined."""
    lowest, highest = ENDS.get(name, (0.0, 1.0))
    finite = resampled[np.isfinite(resampled)]
    defined = finite if len(finite) else np.array([value])
    low, high = np.percentile(defined, [2.5, 97.5]) - (defined.mean() - value)
    return Interval(value, max(lowest, float(low)), min(highest, float(high)))


def paired(outcome: Array, new: Array, old: Array, blocks: Array, plan: Bootstrap, level: float) -> dict[str, Interval]:
    """New minus old in the loss and, for probabilities, in ROC AUC, each with its `level` interval.

    Both answers are resampled with the same blocks, so that what makes a block hard for both cancels out.
    """
    names = DECISIVE[plan.scoring.task]
    first = weighted(outcome, new, plan.scoring, names)
    second = weighted(outcome, old, plan.scoring, names)
    drawn = [(first(weight), second(weight)) for weight in resamples(blocks, plan)]

    whole = np.ones(len(outcome))
    ends = [50 * (1 - level), 50 * (1 + level)]
    differences = {}
    for name, value in first(whole).items():
        low, high = np.percentile([one[name] - other[name] for one, other in drawn], ends)
        differences[name] = Interval(value - second(whole)[name], float(low), float(high))
    return differences


def blocks(key: NDArray[Any]) -> NDArray[np.int64]:
    """What is drawn whole when rows are sampled or resampled: the row's day, its group or, without either, the row
    itself with its copies.
    """
    unit = key.astype("datetime64[D]") if np.issubdtype(key.dtype, np.datetime64) else key
    return unit.astype(np.int64)


def resamples(blocks: Array, plan: Bootstrap) -> Iterator[Floats]:
    """How often each row counts when as many blocks as there are are drawn with replacement."""
    unit = np.unique(blocks, return_inverse=True)[1]
    count = int(unit.max()) + 1
    rng = np.random.default_rng(plan.seed)
    for _ in range(plan.resamples):
        yield rng.multinomial(count, np.full(count, 1 / count))[unit].astype(np.float64)


def rounded(measured: Mapping[str, Interval]) -> dict[str, dict[str, float | None]]:
    """For files: six digits, more than any of these metrics is good for, and None for what does not exist."""
    return {
        name: {end: round(number, 6) if np.isfinite(number) else None for end, number in value._asdict().items()}
        for name, value in measured.items()
    }
