"""Metrics of predictions, each worked out in one place: from rows, or from how often each row counts in a resample.

Predictions of a binary task are probabilities of a yes, those of a regression numbers.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pipeline.evaluation.curves import BINS, Array, Floats, ranked, tenths
from pipeline.runtime.contract import Scoring, Task

EPSILON = 1e-7  # float32 probabilities can be 0 or 1; their log loss stays finite
RATIO, ABOVE = "observed_over_predicted", "share_above"

Weighted = Callable[[Floats], dict[str, float]]
Part = Callable[[Floats], dict[str, Any]]  # of some metrics, in numpy's own numbers


RATES = "accuracy", "precision", "recall", "f1"
REPORTED: dict[Task, tuple[str, ...]] = {  # of a holdout or a fold
    "binary": ("roc_auc", "average_precision", "log_loss", "skill", "brier", "ece", *RATES),
    "regression": ("mae", "rmse", "r2", "bias"),
}
MONITORED: dict[
    Task, tuple[str, ...]
] = {  # which tell whether a model still holds; they do not follow the share of yes
    "binary": ("skill", "roc_auc", RATIO, "ece"),
    "regression": ("skill", ABOVE),
}
DECISIVE: dict[Task, tuple[str, ...]] = {  # by which two models are compared: the loss, and the order
    "binary": ("log_loss", "roc_auc"),
    "regression": ("mae",),
}


def metrics(outcome: Array, answer: Array, scoring: Scoring, names: Sequence[str] = ()) -> dict[str, float]:
    """The named metrics of these rows, each row counted once; without names, those that are reported."""
    return weighted(outcome, answer, scoring, names)(np.ones(len(outcome)))


def weighted(outcome: Array, answer: Array, scoring: Scoring, names: Sequence[str] = ()) -> Weighted:
    """The function from the rows' weights to the named metrics. Undefined ones (no positive row) are NaN.

    What does not depend on the weights is worked out once, and of all groups of metrics only those that are asked for.
    """
    wanted = names or REPORTED[scoring.task]
    y, p = outcome.astype(np.float64), answer.astype(np.float64)
    groups = PARTS[scoring.task].items()
    parts = [make(y, p, scoring) for group, make in groups if set(group) & set(wanted)]

    def at(weight: Floats) -> dict[str, float]:
        found: dict[str, Any] = {}
        with np.errstate(divide="ignore", invalid="ignore"):
            for part in parts:
                found |= part(weight)
        return {name: float(found[name]) for name in wanted}

    return at


# --- probabilities --------------------------------------------------------------------------------------------------


def roc_auc_metric(outcome: Floats, probability: Floats, _: Scoring) -> Part:
    """ROC AUC: the share of pairs of a yes and a no that are in order, ties counted half (Mann and Whitney's U)."""
    yes, no = np.flatnonzero(outcome), np.flatnonzero(outcome == 0)
    no = no[np.argsort(probability[no])]
    below = np.searchsorted(probability[no], probability[yes], "left")
    upto = np.searchsorted(probability[no], probability[yes], "right")

    def at(weight: Floats) -> dict[str, Any]:
        lower = np.append(0.0, np.cumsum(weight[no]))
        of_yes = weight[yes]
        ordered = of_yes @ (lower[below] + lower[upto]) / 2
        return {"roc_auc": np.divide(ordered, of_yes.sum() * lower[-1])}

    return at


def average_precision(outcome: Floats, probability: Floats, _: Scoring) -> Part:
    """Average precision: the sum of precision over steps of recall."""
    order, ends = ranked(probability)
    y = outcome[order]

    def at(weight: Floats) -> dict[str, Any]:
        ordered = weight[order]
        hits = np.cumsum(ordered * y)[ends]
        precision = np.nan_to_num(hits / np.cumsum(ordered)[ends])
        return {"average_precision": np.divide(np.diff(hits, prepend=0.0) @ precision, hits[-1])}

    return at


def probability_metrics(outcome: Floats, probability: Floats, _: Scoring) -> Part:
    """Log loss, Brier score, and skill: the share of log loss that is saved against always saying the rows' own share
    of yes.
    """
    loss = losses(outcome, probability)
    squared = (probability - outcome) ** 2

    def at(weight: Floats) -> dict[str, Any]:
        total = weight.sum()
        log_loss = weight @ loss / total
        share = weight @ outcome / total
        constant = -(share * np.log(share) + (1 - share) * np.log(1 - share))
        return {
            "log_loss": log_loss,
            "brier": weight @ squared / total,
            "skill": 1 - np.divide(log_loss, constant),
        }

    return at


def calibration(outcome: Floats, probability: Floats, _: Scoring) -> Part:
    """Expected calibration error over ten bins of equal size, and the sum of outcomes over that of probabilities."""
    bins = tenths(probability)
    gap = probability - outcome

    def at(weight: Floats) -> dict[str, Any]:
        by_bin = np.bincount(bins, weight * gap, minlength=BINS)
        return {
            "ece": np.abs(by_bin).sum() / weight.sum(),
            RATIO: np.divide(weight @ outcome, weight @ probability),
        }

    return at


def threshold_metrics(outcome: Floats, probability: Floats, scoring: Scoring) -> Part:
    """What is said at the threshold, against what was."""
    flagged = (probability >= scoring.cut).astype(np.float64)
    hit = flagged * outcome

    def at(weight: Floats) -> dict[str, Any]:
        total = weight.sum()
        positives = weight @ outcome
        hits = weight @ hit
        alarms = weight @ flagged - hits
        return {
            "accuracy": (hits + total - positives - alarms) / total,
            "precision": np.divide(hits, hits + alarms),
            "recall": np.divide(hits, positives),
            "f1": np.divide(2 * hits, hits + alarms + positives),
        }

    return at


# --- numbers --------------------------------------------------------------------------------------------------------


def error_metrics(outcome: Floats, answer: Floats, _: Scoring) -> Part:
    """Mean absolute error, root mean squared error, R² and mean error, all in the outcome's unit but R²."""
    error = answer - outcome

    def at(weight: Floats) -> dict[str, Any]:
        total = weight.sum()
        squared = weight @ error**2 / total
        variance = weight @ (outcome - weight @ outcome / total) ** 2 / total
        return {
            "mae": weight @ np.abs(error) / total,
            "rmse": np.sqrt(squared),
            "r2": 1 - squared / variance if variance else np.nan,
            "bias": weight @ error / total,
        }

    return at


def median_skill(outcome: Floats, answer: Floats, _: Scoring) -> Part:
    """Skill: the share of absolute error that is saved against always saying the rows' own median; and the share of
    outcomes above the answer.
    """
    error = np.abs(answer - outcome)
    usual = np.abs(outcome - np.median(outcome))
    above = (outcome > answer).astype(np.float64)

    def at(weight: Floats) -> dict[str, Any]:
        return {
            "skill": 1 - np.divide(weight @ error, weight @ usual),
            ABOVE: weight @ above / weight.sum(),
        }

    return at


PARTS: dict[Task, dict[tuple[str, ...], Callable[[Floats, Floats, Scoring], Part]]] = {
    "binary": {
        ("roc_auc",): roc_auc_metric,
        ("average_precision",): average_precision,
        ("log_loss", "brier", "skill"): probability_metrics,
        ("ece", RATIO): calibration,
        RATES: threshold_metrics,
    },
    "regression": {
        ("mae", "rmse", "r2", "bias"): error_metrics,
        ("skill", ABOVE): median_skill,
    },
}


# --- what they stand on ---------------------------------------------------------------------------------------------


def roc_auc(outcome: Array, score: Array) -> float:
    return metrics(outcome, score, Scoring("binary"), ["roc_auc"])["roc_auc"]


def losses(outcome: Array, probability: Array) -> Floats:
    """Log loss of each row."""
    said = np.where(outcome, probability, 1 - probability)
    return np.asarray(-np.log(np.clip(said, EPSILON, 1 - EPSILON)), dtype=np.float64)


def constant_prediction(outcome: Array, task: Task) -> float:
    """The best answer that is always the same: the share of yes or, for numbers, the median."""
    return float(np.median(outcome) if task == "regression" else np.mean(outcome))


def spread(outcome: Array, task: Task) -> float:
    """The unit in which two answers are compared: 1 for probabilities, the standard deviation of numbers."""
    return float(np.std(outcome)) if task == "regression" else 1.0
