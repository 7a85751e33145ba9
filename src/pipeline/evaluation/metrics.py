"""Metrics of predictions by name: which a task has, and their values from rows or from the weights of a resample.

Predictions of a binary task are probabilities of the positive class, those of a multiclass task have shape (rows,
classes), and those of a regression are numbers. An outcome of a multiclass task is the position of its class.
"""

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np

from pipeline.evaluation.curves import Array, Floats
from pipeline.evaluation.formulas import (
    ABOVE,
    RATIO,
    Part,
    average_precision,
    calibration,
    class_calibration,
    class_losses,
    class_rates,
    error_metrics,
    losses,
    macro_roc_auc,
    median_skill,
    probability_metrics,
    roc_auc_metric,
    threshold_metrics,
)
from pipeline.runtime.contract import Scoring, Task

Weighted = Callable[[Floats], dict[str, float]]

RATES = ("accuracy", "precision", "recall", "f1")
REPORTED: dict[Task, tuple[str, ...]] = {  # for a fold and for the holdout
    "binary": ("roc_auc", "average_precision", "log_loss", "skill", "brier", "ece", *RATES),
    "multiclass": ("roc_auc", "log_loss", "skill", "ece", "accuracy", "macro_f1"),
    "regression": ("mae", "rmse", "r2", "bias"),
}
OF_CLASS = ("precision", "recall")  # also reported, for each class
# The metrics by which a model is monitored. They do not rise and fall with the share of positives.
MONITORED: dict[Task, tuple[str, ...]] = {
    "binary": ("skill", "roc_auc", RATIO, "ece"),
    "multiclass": ("skill", "roc_auc", "ece"),
    "regression": ("skill", ABOVE),
}
DECISIVE: dict[Task, tuple[str, ...]] = {  # by which two models are compared: the loss, then the ranking
    "binary": ("log_loss", "roc_auc"),
    "multiclass": ("log_loss", "roc_auc"),
    "regression": ("mae",),
}


def reported(scoring: Scoring) -> tuple[str, ...]:
    """The names of the metrics for a fold and for the holdout; those of a class are such as `recall setosa`."""
    of_class = tuple(map(" ".join, product(OF_CLASS, scoring.classes)))
    return REPORTED[scoring.task] + of_class


def monitored(scoring: Scoring) -> tuple[str, ...]:
    """The names of the metrics by which a model is monitored."""
    return MONITORED[scoring.task] + tuple(f"{RATIO} {name}" for name in scoring.classes)


def base_name(metric: str) -> str:
    """The name of a metric without its class."""
    return metric.partition(" ")[0]


def metrics(outcome: Array, prediction: Array, scoring: Scoring, names: Sequence[str] = ()) -> dict[str, float]:
    """Compute the named metrics with each row counted once; without names, the reported ones.

    `outcome` has shape (rows,), `prediction` (rows,) or (rows, classes). A metric that is undefined, such as without a
    positive row, is NaN.
    """
    return weighted(outcome, prediction, scoring, names)(np.ones(len(outcome)))


def weighted(outcome: Array, prediction: Array, scoring: Scoring, names: Sequence[str] = ()) -> Weighted:
    """Return a function from the weights of the rows, shape (rows,), to the named metrics; undefined ones are NaN.

    Work that does not depend on the weights is done once, and only for the groups of metrics that the names need.
    """
    wanted = names or reported(scoring)
    bases = {base_name(name) for name in wanted}
    y = outcome.astype(np.float64)
    p = prediction.astype(np.float64)
    groups = PARTS[scoring.task].items()
    parts = [make(y, p, scoring) for group, make in groups if bases.intersection(group)]

    def at(weight: Floats) -> dict[str, float]:
        values: dict[str, Any] = {}
        with np.errstate(divide="ignore", invalid="ignore"):
            for part in parts:
                values |= part(weight)
        return {name: float(values[name]) for name in wanted}

    return at


PARTS: dict[Task, dict[tuple[str, ...], Callable[[Floats, Floats, Scoring], Part]]] = {
    "binary": {
        ("roc_auc",): roc_auc_metric,
        ("average_precision",): average_precision,
        ("log_loss", "brier", "skill"): probability_metrics,
        ("ece", RATIO): calibration,
        RATES: threshold_metrics,
    },
    "multiclass": {
        ("roc_auc",): macro_roc_auc,
        ("log_loss", "skill"): class_losses,
        ("accuracy", "macro_f1", *OF_CLASS): class_rates,
        ("ece", RATIO): class_calibration,
    },
    "regression": {
        ("mae", "rmse", "r2", "bias"): error_metrics,
        ("skill", ABOVE): median_skill,
    },
}


# --- helpers --------------------------------------------------------------------------------------------------------


def roc_auc(outcome: Array, score: Array) -> float:
    return metrics(outcome, score, Scoring("binary"), ["roc_auc"])["roc_auc"]


def constant_prediction(outcome: Array, task: Task, rows: int) -> Floats:
    """Return the best constant prediction for some outcomes, for so many rows: shape [rows] or [rows, classes].

    It is the share of positive rows, the share of each class or, for a regression, the median.
    """
    if task == "multiclass":
        return np.tile(np.bincount(outcome) / len(outcome), (rows, 1))
    return np.full(rows, float(np.median(outcome) if task == "regression" else np.mean(outcome)))


def spread(outcome: Array, task: Task) -> float:
    """Return the unit in which predictions are compared: 1 for probabilities, the standard deviation of numbers."""
    return float(np.std(outcome)) if task == "regression" else 1.0


def loss_unit(outcome: Array, task: Task) -> float:
    """Return the unit in which losses are compared: 1 for two classes, the standard deviation of numbers.

    For several classes it is the log loss of always predicting their shares, in that of a coin.
    """
    if task != "multiclass":
        return spread(outcome, task)
    share = np.bincount(outcome) / len(outcome)
    share = share[share > 0]
    return float(-np.sum(share * np.log2(share)))


def row_losses(outcome: Array, prediction: Array, task: Task) -> Floats:
    """Return the loss of each row, [rows], of which `log_loss` or `mae` is the mean."""
    return np.abs(prediction - outcome) if task == "regression" else losses(outcome, prediction)


def mean_of_blocks(values: Floats, blocks: Array) -> tuple[float, float]:
    """Return the mean of values [rows] and its standard error where the rows of a block [rows] are not independent.

    It is the error of a mean of clusters (Liang and Zeger, Longitudinal data analysis using generalized linear models,
    1986). A single block has an infinite one.
    """
    mean = float(np.mean(values))
    block = np.unique(blocks, return_inverse=True)[1]
    deviations = np.bincount(block, values - mean)
    count = len(deviations)
    if count < 2:
        return mean, np.inf
    return mean, float(np.sqrt(count / (count - 1) * (deviations**2).sum()) / len(values))


def standard_error(differences: Floats) -> float:
    """Return the standard error of the mean of differences over folds, shape [folds]; 0 for a single fold."""
    if len(differences) < 2:
        return 0.0
    return float(np.std(differences, ddof=1) / np.sqrt(len(differences)))
