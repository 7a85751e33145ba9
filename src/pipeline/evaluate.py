"""How good are these probabilities? Metrics with intervals, and the curves behind the pictures.

One row is no independent observation: a storm delays a whole day. So intervals come from a bootstrap that draws whole
blocks (days, or rows where rows are all there is).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

BINS = 10
EPSILON = 1e-7  # float32 probabilities can be 0 or 1; their log loss stays finite
Floats = NDArray[np.float64]


class Interval(NamedTuple):
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


class Ranked(NamedTuple):
    """Rows in order of falling probability, with what every resample needs, worked out once.

    `ends` are the last rows of each run of equal probabilities, `bins` tenths of the rows, `flagged` the number of
    rows at or above the threshold.
    """

    order: NDArray[np.int64]
    outcome: Floats
    probability: Floats
    loss: Floats
    ends: NDArray[np.int64]
    bins: NDArray[np.int64]
    flagged: int


def rank(outcome: NDArray[Any], probability: NDArray[Any], threshold: float) -> Ranked:
    order = np.argsort(-probability, kind="stable")
    y, p = outcome[order].astype(np.float64), probability[order].astype(np.float64)
    loss = losses(y, p)
    ends = np.append(np.flatnonzero(np.diff(p)), len(p) - 1)
    starts = np.append(0, ends[:-1] + 1)
    middle = np.repeat((starts + ends) // 2, ends - starts + 1)  # equal probabilities share a bin, whatever their order
    bins = middle * BINS // len(p)
    return Ranked(order, y, p, loss, ends, bins, int(np.count_nonzero(p >= threshold)))


def losses(outcome: NDArray[Any], probability: NDArray[Any]) -> Floats:
    """Log loss of each row."""
    y, safe = outcome.astype(np.float64), np.clip(probability, EPSILON, 1 - EPSILON)
    return np.asarray(-(y * np.log(safe) + (1 - y) * np.log(1 - safe)))


def metrics(outcome: NDArray[Any], probability: NDArray[Any], threshold: float) -> dict[str, float]:
    """Every figure for these rows, each counted once."""
    return weighted(rank(outcome, probability, threshold), np.ones(len(outcome)))


def weighted(ranked: Ranked, weight: Floats) -> dict[str, float]:
    """The figures with row n, in ranked order, counted `weight[n]` times. Undefined ones (no positive row) are NaN.

    ROC AUC by the trapezoid, ties counted half; average precision as the sum of precision over steps of recall;
    expected calibration error over ten bins of equal size, in which equal probabilities stay together.
    """
    true, false = np.cumsum(weight * ranked.outcome), np.cumsum(weight * (1 - ranked.outcome))
    positives, negatives, total = true[-1], false[-1], true[-1] + false[-1]
    tp, fp = np.append(0.0, true[ranked.ends]), np.append(0.0, false[ranked.ends])
    hits, alarms = (true[ranked.flagged - 1], false[ranked.flagged - 1]) if ranked.flagged else (0.0, 0.0)
    gap = np.bincount(ranked.bins, weight * (ranked.probability - ranked.outcome), minlength=BINS)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision_at = np.nan_to_num(tp / (tp + fp))
        precision, recall = np.divide(hits, hits + alarms), np.divide(hits, positives)
        return {
            "roc_auc": float(np.trapezoid(tp, fp) / (positives * negatives)),
            "average_precision": float(np.sum(np.diff(tp) * precision_at[1:]) / positives),
            "log_loss": float(weight @ ranked.loss / total),
            "brier": float(weight @ (ranked.probability - ranked.outcome) ** 2 / total),
            "ece": float(np.abs(gap).sum() / total),
            "accuracy": float((hits + negatives - alarms) / total),
            "precision": float(precision),
            "recall": float(recall),
            "f1": float(np.divide(2 * hits, hits + alarms + positives)),
        }


def with_intervals(
    outcome: NDArray[Any],
    probability: NDArray[Any],
    blocks: NDArray[np.int64],
    *,
    threshold: float,
    resamples: int,
    seed: int,
) -> dict[str, Interval]:
    """Each figure with an interval from the same figure over resampled blocks.

    It is the 2.5th to 97.5th percentile, moved so that the resamples' mean is the figure: a sum of absolute gaps such
    as the calibration error is larger in a resample than in the sample. The others hardly move.
    """
    ranked = rank(outcome, probability, threshold)
    unit = np.unique(blocks[ranked.order], return_inverse=True)[1]
    count = int(unit.max()) + 1
    draws = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples)
    point = weighted(ranked, np.ones(len(unit)))
    resampled = [weighted(ranked, draw[unit].astype(np.float64)) for draw in draws]
    return {name: _interval(value, [figures[name] for figures in resampled]) for name, value in point.items()}


def _interval(value: float, resampled: list[float]) -> Interval:
    defined = np.array([figure for figure in resampled if np.isfinite(figure)] or [value])
    low, high = np.percentile(defined, [2.5, 97.5]) - (defined.mean() - value)
    return Interval(value, max(0.0, float(low)), float(high))


def calibration(outcome: NDArray[Any], probability: NDArray[Any]) -> tuple[Floats, Floats]:
    """Mean probability and observed share in ten bins of equal size, lowest first; empty bins are left out."""
    ranked = rank(outcome, probability, 0.5)
    size = np.bincount(ranked.bins, minlength=BINS).clip(1)
    expected = np.bincount(ranked.bins, ranked.probability, minlength=BINS) / size
    observed = np.bincount(ranked.bins, ranked.outcome, minlength=BINS) / size
    used = np.unique(ranked.bins)[::-1]
    return expected[used], observed[used]


def rounded(figures: Mapping[str, Interval]) -> dict[str, dict[str, float | None]]:
    """For files: six digits, more than any of these figures is good for, and None for what does not exist."""
    return {
        name: {end: round(number, 6) if np.isfinite(number) else None for end, number in value._asdict().items()}
        for name, value in figures.items()
    }
