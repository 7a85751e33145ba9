"""The formula of each metric: what is computed once from the rows, and then from the weights of the rows in a resample.

`outcome` has shape (rows,), and so has the prediction; that of a multiclass task has shape (rows, classes).
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from pipeline.evaluation.curves import Array, Floats, ranked, tenths
from pipeline.runtime.contract import Scoring

EPSILON = 1e-7  # float32 probabilities can be 0 or 1; their log loss stays finite
RATIO = "observed_over_predicted"
ABOVE = "share_above"

Part = Callable[[Floats], dict[str, Any]]  # from weights of the rows to some of the metrics, as NumPy numbers


# --- probabilities --------------------------------------------------------------------------------------------------


def roc_auc_metric(outcome: Floats, probability: Floats, _: Scoring) -> Part:
    """ROC AUC: the share of pairs of a positive and a negative row in the right order; a tie counts half (Mann and
    Whitney's U).
    """
    positive = np.flatnonzero(outcome)
    negative = np.flatnonzero(outcome == 0)
    negative = negative[np.argsort(probability[negative])]
    below = np.searchsorted(probability[negative], probability[positive], "left")
    upto = np.searchsorted(probability[negative], probability[positive], "right")

    def at(weight: Floats) -> dict[str, Any]:
        lower = np.append(0.0, np.cumsum(weight[negative]))
        positive_weight = weight[positive]
        ordered = positive_weight @ (lower[below] + lower[upto]) / 2
        return {"roc_auc": np.divide(ordered, positive_weight.sum() * lower[-1])}

    return at


def average_precision(outcome: Floats, probability: Floats, _: Scoring) -> Part:
    """Average precision: the sum over thresholds of the precision, weighted by the increase of recall."""
    order, ends = ranked(probability)
    y = outcome[order]

    def at(weight: Floats) -> dict[str, Any]:
        ordered = weight[order]
        hits = np.cumsum(ordered * y)[ends]
        precision = np.nan_to_num(hits / np.cumsum(ordered)[ends])
        return {"average_precision": np.divide(np.diff(hits, prepend=0.0) @ precision, hits[-1])}

    return at


def probability_metrics(outcome: Floats, probability: Floats, _: Scoring) -> Part:
    """Log loss, Brier score, and skill: 1 minus the log loss over that of always predicting these rows' share of
    positives.
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
    """Expected calibration error over ten bins of equal size, and the sum of outcomes over the sum of probabilities."""
    bins = tenths(probability)
    gap = probability - outcome

    def at(weight: Floats) -> dict[str, Any]:
        by_bin = np.bincount(bins, weight * gap)
        return {
            "ece": np.abs(by_bin).sum() / weight.sum(),
            RATIO: np.divide(weight @ outcome, weight @ probability),
        }

    return at


def threshold_metrics(outcome: Floats, probability: Floats, scoring: Scoring) -> Part:
    """Accuracy, precision, recall and F1 of the labels at the threshold. Raises ValueError without a threshold."""
    flagged = (probability >= scoring.cut).astype(np.float64)
    hit = flagged * outcome

    def at(weight: Floats) -> dict[str, Any]:
        total = weight.sum()
        positives = weight @ outcome
        hits = weight @ hit
        false_alarms = weight @ flagged - hits
        return {
            "accuracy": (hits + total - positives - false_alarms) / total,
            "precision": np.divide(hits, hits + false_alarms),
            "recall": np.divide(hits, positives),
            "f1": np.divide(2 * hits, hits + false_alarms + positives),
        }

    return at


def losses(outcome: Array, probability: Array) -> Floats:
    """Compute the log loss of each row, shape (rows,)."""
    if probability.ndim > 1:
        likelihood = np.take_along_axis(probability, outcome.astype(np.int64)[:, None], axis=1)[:, 0]
    else:
        likelihood = np.where(outcome, probability, 1 - probability)
    return np.asarray(-np.log(np.clip(likelihood, EPSILON, 1 - EPSILON)), dtype=np.float64)


# --- probabilities of classes ---------------------------------------------------------------------------------------


def macro_roc_auc(outcome: Floats, probability: Floats, scoring: Scoring) -> Part:
    """The mean over the classes of the ROC AUC of one class against the rest (Provost and Domingos, 2000).

    A class without a row, or with all of them, has none.
    """
    columns = enumerate(probability.T)
    parts = [roc_auc_metric((outcome == number).astype(np.float64), column, scoring) for number, column in columns]

    def at(weight: Floats) -> dict[str, Any]:
        return {"roc_auc": mean_of_defined(np.array([part(weight)["roc_auc"] for part in parts]))}

    return at


def class_losses(outcome: Floats, probability: Floats, _: Scoring) -> Part:
    """Log loss, and skill: 1 minus the log loss over that of always predicting these rows' shares of the classes."""
    loss = losses(outcome, probability)
    code = outcome.astype(np.int64)

    def at(weight: Floats) -> dict[str, Any]:
        share = np.bincount(code, weight) / weight.sum()
        entropy = -np.sum(share * np.log(np.where(share > 0, share, 1)))
        log_loss = weight @ loss / weight.sum()
        return {"log_loss": log_loss, "skill": 1 - log_loss / entropy if entropy else np.nan}

    return at


def class_rates(outcome: Floats, probability: Floats, scoring: Scoring) -> Part:
    """Accuracy, the mean F1 of the classes, and precision and recall of each."""
    code = outcome.astype(np.int64)
    label = scoring.labels(probability)
    right = label == code
    count = len(scoring.classes)

    def at(weight: Floats) -> dict[str, Any]:
        hits = np.bincount(code[right], weight[right], count)
        predicted = np.bincount(label, weight, count)
        actual = np.bincount(code, weight, count)
        rates = {"precision": hits / predicted, "recall": hits / actual}
        f1 = 2 * hits / (predicted + actual)
        values = {"accuracy": hits.sum() / weight.sum(), "macro_f1": mean_of_defined(f1)}
        for metric, of_class in rates.items():
            values |= {f"{metric} {name}": of_class[number] for number, name in enumerate(scoring.classes)}
        return values

    return at


def class_calibration(outcome: Floats, probability: Floats, scoring: Scoring) -> Part:
    """Calibration error of the most probable class (Guo et al., 2017); observed over predicted rows of each class."""
    code = outcome.astype(np.int64)
    right = (probability.argmax(axis=1) == code).astype(np.float64)
    top_label = calibration(right, probability.max(axis=1), scoring)

    def at(weight: Floats) -> dict[str, Any]:
        ratio = np.bincount(code, weight, len(scoring.classes)) / (weight @ probability)
        of_class = {f"{RATIO} {name}": ratio[number] for number, name in enumerate(scoring.classes)}
        return {"ece": top_label(weight)["ece"], **of_class}

    return at


def mean_of_defined(values: Floats) -> float:
    """The mean of the values that are no NaN; NaN if all are."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else np.nan


# --- numbers --------------------------------------------------------------------------------------------------------


def error_metrics(outcome: Floats, prediction: Floats, _: Scoring) -> Part:
    """Mean absolute error, root mean squared error, R² and mean error (bias); all but R² in the outcome's unit."""
    error = prediction - outcome

    def at(weight: Floats) -> dict[str, Any]:
        total = weight.sum()
        squared = weight @ error**2 / total
        variance = weight @ (outcome - weight @ outcome / total) ** 2 / total
        r2 = 1 - squared / variance if variance else np.nan
        return {
            "mae": weight @ np.abs(error) / total,
            "rmse": np.sqrt(squared),
            "r2": r2,
            "bias": weight @ error / total,
        }

    return at


def median_skill(outcome: Floats, prediction: Floats, _: Scoring) -> Part:
    """Skill: 1 minus the absolute error over that of always predicting these rows' median; and the share of outcomes
    above their prediction.
    """
    error = np.abs(prediction - outcome)
    median_error = np.abs(outcome - np.median(outcome))
    above = (outcome > prediction).astype(np.float64)

    def at(weight: Floats) -> dict[str, Any]:
        return {
            "skill": 1 - np.divide(weight @ error, weight @ median_error),
            ABOVE: weight @ above / weight.sum(),
        }

    return at
