"""What the page shows of the holdout and of the model, as plain values."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pipeline.config.config import Config
from pipeline.config.training import Costs
from pipeline.evaluation.bootstrap import blocks
from pipeline.evaluation.curves import curve, tenths
from pipeline.evaluation.metrics import constant_prediction, metrics
from pipeline.runtime.arrays import Examples
from pipeline.runtime.predictor import Session, top_probability
from pipeline.training.fold_results import CandidateResult, held_out_rows
from pipeline.training.phases import HoldoutEvaluation, Prepared
from pipeline.training.report_page.values import (
    DRAWN,
    Array,
    extremes,
    mean_interval,
    months_of,
    outcome_groups,
    outcome_names,
)

POINTS = 120  # of a curve
BINS = 40  # of a histogram
STRONGEST = 4  # features that have a partial dependence
ROWS = 300  # training rows behind it
GRID = 20  # values of a number there
VALUES = 8  # values of a category there, the most frequent


def holdout_values(
    config: Config, prepared: Prepared, best: CandidateResult, evaluation: HoldoutEvaluation
) -> dict[str, Any]:
    """Return what the page shows of the holdout and of the model. By month it shows the folds too: what no model was
    trained on.
    """
    rows, _, parts, train, holdout, _ = prepared
    predictions = evaluation.predictions
    held_out, answer = held_out_rows(parts, best, predictions)
    unit = blocks(rows.key[held_out])
    months = months_of(rows.key[held_out])

    predicted, observed = calibrated(config, rows.examples.target[held_out], answer)
    start = len(held_out) - len(predictions)
    tenth = tenths(predicted[start:])
    by_tenth = {str(number): start + np.flatnonzero(tenth == number) for number in np.unique(tenth)}

    constant = constant_prediction(train.target, config.task, len(holdout.target))
    ranked = sorted(evaluation.importance.items(), key=lambda feature: -feature[1])
    strongest = [name for name, _ in ranked if not config.columns[name].private][:STRONGEST]
    dependences = [dependence(config, train, evaluation.session, name) for name in strongest]
    dependences = [part for part in dependences if part["tried"]]
    means = [] if config.task == "regression" else [0.0]
    for part in dependences:
        for points in part["points"].values():
            means += [mean for _, mean in points]
    of_task = errors if config.task == "regression" else labels
    return {
        "results": evaluation,
        "importance": ranked,
        "constant": metrics(holdout.target, constant, config.scoring),
        "tenths": calibration(predicted, observed, unit, by_tenth),
        "months": calibration(predicted, observed, unit, months),
        "dependence": dependences,
        "means": means,
        **of_task(config, holdout.target, predictions),
    }


def calibrated(config: Config, outcome: Array, predictions: Array) -> tuple[Array, Array]:
    """Return what calibration compares, both [rows]: predictions and outcomes or, of several classes, the probability
    of the most probable class and whether the row has it.
    """
    if config.task != "multiclass":
        return predictions, outcome.astype(np.float64)
    return top_probability(predictions), (predictions.argmax(axis=1) == outcome).astype(np.float64)


def calibration(predicted: Array, observed: Array, unit: Array, parts: Mapping[str, Array]) -> list[dict[str, Any]]:
    """Compare the mean prediction and the mean outcome of each part of the rows, with intervals by blocks in `unit`."""
    groups = []
    for name, rows in parts.items():
        mean = mean_interval([observed[rows]], [unit[rows]])
        expected = float(predicted[rows].mean())
        groups.append({"name": name, "predicted": expected, "observed": mean, "gap": abs(expected - mean.value)})
    return groups


def errors(_: Config, outcome: Array, predictions: Array) -> dict[str, Any]:
    """Return a histogram of prediction minus outcome, without the outermost hundredth on each side."""
    error = predictions - outcome
    counts, edges = np.histogram(error, BINS, tuple(np.quantile(error, [0.01, 0.99])))
    width = float(edges[1] - edges[0])
    return {"errors": list(zip((edges[:-1] + width / 2).tolist(), counts.tolist(), strict=True)), "width": width}


def labels(config: Config, outcome: Array, predictions: Array) -> dict[str, Any]:
    """Return the counts by outcome and then by label, and the curves of each class or of the positive one."""
    label = config.scoring.labels(predictions) if config.classes else predictions >= config.scoring.cut
    size = len(config.classes) or 2
    counts = np.bincount(outcome.astype(np.int64) * size + label, minlength=size * size).reshape(size, size)

    if config.costs:
        curves = {"yes": ranking_curves(config, outcome, predictions)}
        return {"confusion": counts.tolist(), "curves": curves, "at_threshold": at_threshold(config.costs, counts)}

    curves = {}
    for (name, truth), probability in zip(outcome_groups(config, outcome).items(), predictions.T, strict=True):
        if len(curves) < DRAWN and 0 < truth.mean() < 1:
            curves[name] = ranking_curves(config, truth, probability)
    return {"confusion": counts.tolist(), "curves": curves, "most_confused": most_confused(config, counts)}


def at_threshold(costs: Costs, counts: Array) -> dict[str, Any]:
    """Return what the labels of a binary task are worth, from the counts by outcome and then by label."""
    (_, false_positives), (false_negatives, true_positives) = counts.tolist()
    positives = false_negatives + true_positives
    negatives = int(counts[0].sum())
    flagged = false_positives + true_positives
    rows = positives + negatives
    return {
        "threshold": costs.threshold,
        "positives": positives,
        "true_positives": true_positives,
        "false_negatives": false_negatives,
        "false_positives": false_positives,
        "true_positive_rate": true_positives / positives,
        "false_positive_rate": false_positives / negatives,
        "precision": true_positives / flagged if flagged else None,
        "share_of_yes": positives / rows,
        "cost": (costs.miss * false_negatives + costs.false_alarm * false_positives) / rows,
        "cost_of_constant": min(costs.miss * positives, costs.false_alarm * negatives) / rows,
    }


def most_confused(config: Config, counts: Array) -> dict[str, Any]:
    """Return the outcome and the label that most rows with a wrong label have, and the number of these rows."""
    names = outcome_names(config)
    errors_only = counts * (1 - np.eye(len(counts), dtype=np.int64))
    outcome, label = divmod(int(errors_only.argmax()), len(counts))
    rows = int(errors_only.max())
    return {"right": int(np.trace(counts)), "outcome": names[outcome], "label": names[label], "rows": rows}


def ranking_curves(config: Config, outcome: Array, probability: Array) -> dict[str, Any]:
    """Return the ROC curve, precision by recall and, with costs, the mean cost of a row by threshold."""
    thresholds, hits, false_alarms = curve(outcome, probability)
    recall = hits / hits[-1]
    curves: dict[str, Any] = {
        "roc": thinned(np.append(0, false_alarms / false_alarms[-1]), np.append(0, recall)),
        "precision_recall": thinned(recall, hits / (hits + false_alarms)),
    }
    if config.costs:
        cost = config.costs.miss * (hits[-1] - hits) + config.costs.false_alarm * false_alarms
        never = config.costs.miss * hits[-1]
        curves["cost"] = thinned(thresholds[::-1], cost[::-1] / len(outcome))
        curves["least_cost"] = float(min(cost.min(), never)) / len(outcome)
    return curves


def thinned(x: Array, y: Array) -> list[tuple[float, float]]:
    """Return points of a curve whose `x` rises, at even distances: the first and the last one at each place."""
    grid = np.linspace(x[0], x[-1], POINTS)
    ends = [np.searchsorted(x, grid), np.searchsorted(x, grid, "right") - 1]
    places = np.unique(np.clip(ends, 0, len(x) - 1))
    return list(zip(x[places].tolist(), y[places].tolist(), strict=True))


# --- model ----------------------------------------------------------------------------------------------------------


def dependence(config: Config, train: Examples, session: Session, feature: str) -> dict[str, Any]:
    """Return the mean prediction, for each class if there are several, when some training rows all have one value of a
    feature (Friedman, Greedy function approximation, 2001). A number has quantiles for values.
    """
    drawn = np.random.default_rng(config.train.seed).permutation(len(train.target))[:ROWS]
    is_text = feature in config.contract.strings
    position = (config.contract.strings if is_text else config.contract.numbers).index(feature)
    column = (train.data.strings if is_text else train.data.numbers)[:, position]

    if is_text:
        names, counts = np.unique(column[column != ""].astype(str), return_counts=True)
        values = names[np.argsort(-counts, kind="stable")[:VALUES]]
    else:
        values = np.unique(np.nanquantile(column, np.linspace(0.01, 0.99, GRID), method="nearest"))

    if not len(values):  # a category without a value in these rows
        return {"tried": []}
    repeated = train.data.take(np.tile(drawn, len(values)))
    (repeated.strings if is_text else repeated.numbers)[:, position] = np.repeat(values, len(drawn))
    means = session(repeated).reshape(len(values), len(drawn), -1).mean(axis=1)
    tried = values.tolist()
    places = range(len(tried)) if is_text else tried
    by_class = means.T.tolist()
    drawn_means = dict(zip(outcome_names(config) if config.classes else [""], by_class[:DRAWN], strict=False))
    return {
        "feature": feature,
        "is_text": is_text,
        "tried": tried,
        "points": {name: list(zip(places, of_class, strict=True)) for name, of_class in drawn_means.items()},
        "extremes": extremes([str(value) if is_text else f"{value:.4g}" for value in tried], by_class[0]),
    }
