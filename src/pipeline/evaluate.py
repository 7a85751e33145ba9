"""How good are these answers? Figures with intervals, for probabilities and for numbers.

One row is no independent observation: a storm delays a whole day. So intervals come from a bootstrap that draws whole
blocks (days, groups, or rows where rows are all there is). Where there is a threshold the answers are probabilities
of a yes; where it is None they are numbers.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.schema import Columns

BINS = 10
EPSILON = 1e-7  # float32 probabilities can be 0 or 1; their log loss stays finite
ENDS = {  # between which a figure can lie; the others are shares, between 0 and 1
    "log_loss": (0.0, np.inf),
    "skill": (-np.inf, 1.0),
    "mae": (0.0, np.inf),
    "rmse": (0.0, np.inf),
    "r2": (-np.inf, 1.0),
    "bias": (-np.inf, np.inf),
    "observed_over_predicted": (0.0, np.inf),
}
Floats = NDArray[np.float64]
Array = NDArray[Any]
Weighted = Callable[[Floats], dict[str, float]]


class Interval(NamedTuple):
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


class Slice(NamedTuple):
    """The figures of the rows that have one value in one column."""

    column: str
    value: str
    rows: int
    figures: dict[str, Interval]


class Bootstrap(NamedTuple):
    """How often to resample, from which seed, and the threshold of the figures (None for numbers)."""

    threshold: float | None
    resamples: int
    seed: int


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


def rank(outcome: Array, probability: Array, threshold: float) -> Ranked:
    order = np.argsort(-probability, kind="stable")
    y, p = outcome[order].astype(np.float64), probability[order].astype(np.float64)
    ends, bins = tenths(p)
    return Ranked(order, y, p, losses(y, p), ends, bins, int(np.count_nonzero(p >= threshold)))


def losses(outcome: Array, probability: Array) -> Floats:
    """Log loss of each row."""
    return np.asarray(
        -np.log(np.clip(np.where(outcome, probability, 1 - probability), EPSILON, 1 - EPSILON)), dtype=np.float64
    )


def tenths(ordered: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of ordered answers: the last row of each run of equal ones, and each row's tenth, equal answers in the same."""
    ends = np.append(np.flatnonzero(np.diff(ordered)), len(ordered) - 1)
    starts = np.append(0, ends[:-1] + 1)
    return ends, np.repeat((starts + ends) // 2, ends - starts + 1) * BINS // len(ordered)


def metrics(outcome: Array, answer: Array, threshold: float | None) -> dict[str, float]:
    """Every figure for these rows, each counted once."""
    return figures(outcome, answer, threshold)(np.ones(len(outcome)))


def figures(outcome: Array, answer: Array, threshold: float | None) -> Weighted:
    """The function from how often each row counts to every figure. Undefined ones (no positive row) are NaN."""
    if threshold is None:
        return of_numbers(outcome, answer)
    ranked, auc = rank(outcome, answer, threshold), area(outcome, answer)
    return lambda weight: {"roc_auc": auc(weight), **of_probabilities(ranked, weight[ranked.order])}


def of_probabilities(ranked: Ranked, weight: Floats) -> dict[str, float]:
    """The figures with row n, in ranked order, counted `weight[n]` times.

    Average precision as the sum of precision over steps of recall; skill as the share of log loss that is saved
    against always saying these rows' own share of yes; expected calibration error over ten bins of equal size, in which
    equal probabilities stay together.
    """
    tp, fp = hits_and_alarms(ranked, weight)
    positives, negatives, total = tp[-1], fp[-1], tp[-1] + fp[-1]
    flagged = slice(0, ranked.flagged)
    hits = float(weight[flagged] @ ranked.outcome[flagged])
    alarms = float(weight[flagged].sum()) - hits
    loss, shares = float(weight @ ranked.loss / total), np.array([positives, negatives]) / total
    gap = np.bincount(ranked.bins, weight * (ranked.probability - ranked.outcome), minlength=BINS)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision_at = np.nan_to_num(tp / (tp + fp))
        return {
            "average_precision": float(np.sum(np.diff(tp) * precision_at[1:]) / positives),
            "log_loss": loss,
            "skill": float(1 + np.divide(loss, shares @ np.log(shares))),
            "brier": float(weight @ (ranked.probability - ranked.outcome) ** 2 / total),
            "ece": float(np.abs(gap).sum() / total),
            "accuracy": float((hits + negatives - alarms) / total),
            "precision": float(np.divide(hits, hits + alarms)),
            "recall": float(np.divide(hits, positives)),
            "f1": float(np.divide(2 * hits, hits + alarms + positives)),
        }


def hits_and_alarms(ranked: Ranked, weight: Floats) -> tuple[Floats, Floats]:
    """True and false positives at every threshold that tells answers apart, from none to all."""
    true, both = np.cumsum(weight * ranked.outcome)[ranked.ends], np.cumsum(weight)[ranked.ends]
    return np.append(0.0, true), np.append(0.0, both - true)


def area(outcome: Array, probability: Array) -> Callable[[Floats], float]:
    """ROC AUC: the share of pairs of a yes and a no that are in order, ties counted half (Mann and Whitney's U)."""
    yes, no = np.flatnonzero(outcome), np.flatnonzero(outcome == 0)
    no = no[np.argsort(probability[no])]
    below, upto = (np.searchsorted(probability[no], probability[yes], side) for side in ("left", "right"))

    def at(weight: Floats) -> float:
        lower, of_yes = np.append(0.0, np.cumsum(weight[no])), weight[yes]
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.divide(of_yes @ (lower[below] + lower[upto]) / 2, of_yes.sum() * lower[-1]))

    return at


def of_numbers(outcome: Array, answer: Array) -> Weighted:
    """Mean absolute error, root mean squared error, R² and mean error, all in the outcome's unit but R²."""
    error = answer - outcome

    def at(weight: Floats) -> dict[str, float]:
        total = weight.sum()
        squared = weight @ error**2 / total
        spread = weight @ (outcome - weight @ outcome / total) ** 2 / total
        return {
            "mae": float(weight @ np.abs(error) / total),
            "rmse": float(np.sqrt(squared)),
            "r2": float(1 - squared / spread) if spread else float("nan"),
            "bias": float(weight @ error / total),
        }

    return at


def constant(outcome: Array, threshold: float | None) -> float:
    """The best answer that is always the same: the share of yes or, for numbers, the median."""
    return float(np.median(outcome) if threshold is None else np.mean(outcome))


def spread(outcome: Array, threshold: float | None) -> float:
    """The unit in which two answers are compared: 1 for probabilities, the standard deviation of numbers."""
    return float(np.std(outcome)) if threshold is None else 1.0


def with_intervals(outcome: Array, answer: Array, blocks: Array, plan: Bootstrap) -> dict[str, Interval]:
    """Each figure with an interval from the same figure over resampled blocks.

    It is the 2.5th to 97.5th percentile, moved so that the resamples' mean is the figure: a sum of absolute gaps such
    as the calibration error is larger in a resample than in the sample. The others hardly move.
    """
    at = figures(outcome, answer, plan.threshold)
    resampled = [at(weight) for weight in resamples(blocks, plan)]
    return {
        name: interval(name, value, np.array([each[name] for each in resampled]))
        for name, value in at(np.ones(len(outcome))).items()
    }


def interval(name: str, value: float, resampled: Floats) -> Interval:
    """A figure with what its resamples say, those in which it is defined."""
    lowest, highest = ENDS.get(name, (0.0, 1.0))
    found = resampled[np.isfinite(resampled)]
    defined = found if len(found) else np.array([value])
    low, high = np.percentile(defined, [2.5, 97.5]) - (defined.mean() - value)
    return Interval(value, max(lowest, float(low)), min(highest, float(high)))


def paired(outcome: Array, new: Array, old: Array, blocks: Array, plan: Bootstrap, level: float) -> dict[str, Interval]:
    """New minus old in the loss and, for probabilities, in ROC AUC, each with its `level` interval.

    Both answers are resampled with the same blocks, so that what makes a block hard for both cancels out.
    """
    first, second = (deciding(outcome, answer, plan.threshold) for answer in (new, old))
    drawn = [(first(weight), second(weight)) for weight in resamples(blocks, plan)]
    whole = np.ones(len(outcome))
    ends = [50 * (1 - level), 50 * (1 + level)]
    found = {}
    for name, value in first(whole).items():
        low, high = np.percentile([one[name] - other[name] for one, other in drawn], ends)
        found[name] = Interval(value - second(whole)[name], float(low), float(high))
    return found


def deciding(outcome: Array, answer: Array, threshold: float | None) -> Weighted:
    """The loss and the order alone, which are quick to work out again."""
    if threshold is None:
        error = np.abs(answer - outcome)
        return lambda weight: {"mae": float(weight @ error / weight.sum())}
    loss, auc = losses(outcome, answer), area(outcome, answer)
    return lambda weight: {"log_loss": float(weight @ loss / weight.sum()), "roc_auc": auc(weight)}


def resamples(blocks: Array, plan: Bootstrap) -> Iterator[Floats]:
    """How often each row counts when as many blocks as there are are drawn with replacement."""
    unit = np.unique(blocks, return_inverse=True)[1]
    count = int(unit.max()) + 1
    rng = np.random.default_rng(plan.seed)
    for _ in range(plan.resamples):
        yield rng.multinomial(count, np.full(count, 1 / count))[unit].astype(np.float64)


def slices(
    columns: Columns, names: Sequence[str], least: int, outcome: Array, answer: Array, blocks: Array, plan: Bootstrap
) -> list[Slice]:
    """The figures of each value of the named columns that has `least` rows and, for a yes or no, both outcomes."""
    found = []
    for name in names:
        values = columns[name].astype(str)
        for value in np.unique(values):
            rows = np.flatnonzero(values == value)
            if len(rows) >= least and (plan.threshold is None or len(np.unique(outcome[rows])) > 1):
                measured = with_intervals(outcome[rows], answer[rows], blocks[rows], plan)
                found.append(Slice(name, str(value), len(rows), measured))
    return found


def by_tenth(outcome: Array, answer: Array) -> tuple[Floats, Floats]:
    """Mean answer and mean outcome in ten bins of equal size, lowest answers first; empty bins are left out."""
    order = np.argsort(answer, kind="stable")
    _, bins = tenths(answer[order].astype(np.float64))
    size = np.bincount(bins, minlength=BINS).clip(1)
    expected = np.bincount(bins, answer[order], minlength=BINS) / size
    observed = np.bincount(bins, outcome[order].astype(np.float64), minlength=BINS) / size
    used = np.unique(bins)
    return expected[used], observed[used]


def rounded(measured: Mapping[str, Interval]) -> dict[str, dict[str, float | None]]:
    """For files: six digits, more than any of these figures is good for, and None for what does not exist."""
    return {
        name: {end: round(number, 6) if np.isfinite(number) else None for end, number in value._asdict().items()}
        for name, value in measured.items()
    }
