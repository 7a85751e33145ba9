"""What the page shows, as plain values: of the rows, of the candidates, of the holdout and of the model."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.config.config import Config
from pipeline.data.read import TrainingRows
from pipeline.data.split import Fold
from pipeline.evaluation.bootstrap import Interval, blocks
from pipeline.evaluation.curves import curve, tenths
from pipeline.evaluation.metrics import constant_prediction, mean_of_blocks, metrics, row_losses
from pipeline.runtime.arrays import Examples
from pipeline.runtime.predictor import Session, top_probability
from pipeline.training import search
from pipeline.training.fold_results import CandidateResult
from pipeline.training.phases import Evaluation, Prepared, Selection

POINTS = 120  # of a curve
BINS = 40  # of a histogram
STRONGEST = 4  # features that have a partial dependence
ROWS = 300  # training rows behind it
GRID = 20  # values of a number there
VALUES = 8  # values of a category there, the most frequent
Array = NDArray[Any]


def mean_interval(values: list[Array], units: list[Array]) -> Interval:
    """Return the mean over parts of the mean `values` [rows], with its 95 % interval by blocks in `units` [rows].

    With a single block in a part, there is no interval: NaN.
    """
    pairs = [mean_of_blocks(*pair) for pair in zip(values, units, strict=True)]
    means, errors = np.array(pairs).T
    mean = float(means.mean())
    error = float(np.linalg.norm(errors)) / len(pairs)
    reach = 1.96 * error if np.isfinite(error) else np.nan
    return Interval(mean, mean - reach, mean + reach)


# --- rows -----------------------------------------------------------------------------------------------------------


def months_of(key: Array) -> dict[str, Array]:
    """Return the rows of each month, such as 2013-01. There are none where the key [rows] is no time."""
    if not np.issubdtype(key.dtype, np.datetime64):
        return {}
    month = key.astype("datetime64[M]")
    return {str(first): np.flatnonzero(month == first) for first in np.unique(month)}


def outcome_groups(config: Config, target: Array) -> dict[str, Array]:
    """Return by name whether a row [rows] is in a group of outcomes: yes and no, classes, or the halves of numbers."""
    if config.task == "regression":
        middle = np.median(target)
        return {f"up to {middle:g}": target <= middle, f"above {middle:g}": target > middle}
    names = config.classes or ("no", "yes")
    return {name: target == number for number, name in enumerate(names)}


def outcome_by_month(config: Config, rows: TrainingRows) -> dict[str, list[float]]:
    """Return for each month the mean outcome or, of several classes, the share of each."""
    target = rows.examples.target
    outcome = target[:, None] == np.arange(len(config.classes)) if config.classes else target[:, None]
    return {name: outcome[of_month].mean(axis=0).tolist() for name, of_month in months_of(rows.key).items()}


def missing_values(rows: TrainingRows, groups: Mapping[str, Array]) -> list[dict[str, Any]]:
    """Return the shares of missing values of the columns that have any: of raw and valid rows, and by outcome."""
    raw, valid = (rows.about["data"]["profile"][stage] for stage in ("raw", "valid"))
    columns = []
    for name, values in rows.examples.request.items():
        before = raw["missing"].get(name, 0) / raw["rows"]
        after = valid["missing"].get(name, 0) / valid["rows"]
        missing = values == "" if values.dtype == object else values != values  # NaN and NaT differ from themselves
        if before or after:
            by_outcome = [float(missing[group].mean()) for group in groups.values() if group.any()]
            columns.append({"name": name, "before": before, "after": after, "by_outcome": by_outcome})
    return sorted(columns, key=lambda column: -column["after"])


# --- candidates -----------------------------------------------------------------------------------------------------


def standings(config: Config, prepared: Prepared, selection: Selection) -> list[dict[str, Any]]:
    """Return the candidates with their mean loss over the folds, lowest first, and with that minus the chosen one's on
    the same rows. Behind them are those that stayed behind on the sample of the search.
    """
    unit = blocks(prepared.rows.key)
    best = selection.best
    trial = next((trial for trial in selection.trials if trial.settings == best.settings), best)
    sampled = search.sample_folds(config, prepared.parts.folds, unit).folds

    def losses_of(result: CandidateResult, folds: list[Fold]) -> list[Array]:
        target = prepared.rows.examples.target
        return [row_losses(target[fold.valid], result.predictions[fold.name], config.task) for fold in folds]

    def place(result: CandidateResult, chosen: CandidateResult, folds: list[Fold], on_sample: bool) -> dict[str, Any]:
        losses = losses_of(result, folds)
        gaps = [loss - other for loss, other in zip(losses, losses_of(chosen, folds), strict=True)]
        units = [unit[fold.valid] for fold in folds]
        loss = mean_interval(losses, units)
        return {"result": result, "loss": loss, "gap": mean_interval(gaps, units), "on_sample": on_sample}

    places = [place(result, best, prepared.parts.folds, False) for result in selection.results if not result.error]
    places += [place(result, trial, sampled, True) for result in selection.worse]
    return sorted(places, key=lambda place: (place["on_sample"], place["loss"].value))


# --- holdout --------------------------------------------------------------------------------------------------------


def holdout_values(config: Config, prepared: Prepared, best: CandidateResult, evaluation: Evaluation) -> dict[str, Any]:
    """Return what the page shows of the holdout and of the model. By month it shows the folds too: what no model was
    trained on.
    """
    rows, _, parts, train, holdout, _ = prepared
    predictions = evaluation.holdout.predictions
    folds = [fold for fold in parts.folds if fold.name in best.predictions]  # a model trained elsewhere has none
    held_out = np.concatenate([*(fold.valid for fold in folds), parts.holdout])
    of_folds = [best.predictions[fold.name] for fold in folds]
    unit = blocks(rows.key[held_out])
    months = months_of(rows.key[held_out])

    predicted, observed = calibrated(config, rows.examples.target[held_out], np.concatenate([*of_folds, predictions]))
    start = len(held_out) - len(predictions)
    tenth = tenths(predicted[start:])
    by_tenth = {str(number): start + np.flatnonzero(tenth == number) for number in np.unique(tenth)}

    constant = constant_prediction(train.target, config.task, len(holdout.target))
    importance = evaluation.holdout.importance
    ranked = sorted(importance, key=lambda name: -importance[name])
    strongest = [name for name in ranked if not config.columns[name].private][:STRONGEST]
    dependences = [dependence(config, train, evaluation.holdout.session, name) for name in strongest]
    return {
        "results": evaluation.holdout,
        "constant": metrics(holdout.target, constant, config.scoring),
        "tenths": calibration(predicted, observed, unit, by_tenth),
        "months": calibration(predicted, observed, unit, months),
        "dependence": [part for part in dependences if part["tried"]],
        **(errors if config.task == "regression" else labels)(config, holdout.target, predictions),
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

    curves = {}
    of_class = list(outcome_groups(config, outcome).items())[-len(np.atleast_2d(predictions.T)) :]
    for (name, truth), probability in zip(of_class, np.atleast_2d(predictions.T), strict=True):
        if 0 < truth.mean() < 1:
            curves[name] = ranking_curves(config, truth, probability)
    return {"confusion": counts.tolist(), "curves": curves}


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
        return {"feature": feature, "is_text": is_text, "tried": [], "means": []}
    repeated = train.data.take(np.tile(drawn, len(values)))
    (repeated.strings if is_text else repeated.numbers)[:, position] = np.repeat(values, len(drawn))
    means = session(repeated).reshape(len(values), len(drawn), -1).mean(axis=1)
    return {"feature": feature, "is_text": is_text, "tried": values.tolist(), "means": means.T.tolist()}
