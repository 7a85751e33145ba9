"""The pictures in the report of a training, and the values that they show.

`plots.py` draws each picture. This module knows which pictures a task needs, and nothing of the gates or the bundle.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline import plotting
from pipeline.config.config import Config
from pipeline.evaluation.metrics import metrics
from pipeline.plotting import Picture
from pipeline.runtime.arrays import Examples
from pipeline.runtime.predictor import Session, top_probability
from pipeline.training import plots
from pipeline.training.fold_results import CandidateResult

SUMMARY = {
    "binary": ("folds", "roc", "calibration"),
    "multiclass": ("folds", "confusion", "calibration"),
    "regression": ("folds", "calibration", "errors"),
}
IMPORTANCE_ROWS = 5000  # of the holdout, for permutation importance
Pictures = dict[str, Picture]


def search_pictures(
    config: Config, trials: list[CandidateResult], results: list[CandidateResult], best: CandidateResult
) -> Pictures:
    """Return the pictures of the trials, and of every candidate on the folds with the chosen one first."""
    others = [result for result in results if result is not best and not result.error]
    metric = config.loss if config.task == "regression" else "roc_auc"
    in_time = config.split.by == "time"
    return {
        "folds": partial(plots.draw_folds, results=[best, *others], metric=metric, in_time=in_time),
        "search": partial(plots.draw_trials, trials=trials, loss=config.loss),
    }


def holdout_pictures(
    config: Config, holdout: Examples, predictions: NDArray[np.float64], importance: Mapping[str, float]
) -> Pictures:
    """Return the pictures of predictions [rows] and outcomes on the holdout, and of the importance of the features."""
    outcome = holdout.target
    pictures: Pictures = {"importance": partial(plots.draw_importance, importance=importance, loss=config.loss)}

    if config.task == "regression":
        declared_unit = config.columns[config.target].unit
        unit = f" [{declared_unit}]" if declared_unit else ""
        names = f"mean prediction{unit}", f"mean outcome{unit}"
        pictures["errors"] = partial(plots.draw_errors, outcome=outcome, prediction=predictions, unit=unit)
    elif config.task == "multiclass":
        label = config.scoring.labels(predictions)
        names = "mean probability of the most probable class", "share of rows that have it"
        title = "Holdout: label and outcome"
        pictures["confusion"] = partial(
            plots.draw_confusion, outcome=outcome, predicted=label, names=config.classes, title=title
        )
        outcome = predictions.argmax(axis=1) == outcome
        predictions = top_probability(predictions)
    else:
        threshold = config.scoring.cut
        names = "mean probability", "observed share"
        pictures["roc"] = partial(plots.draw_roc, outcome=outcome, probability=predictions)
        pictures["precision_recall"] = partial(
            plots.draw_precision_recall, outcome=outcome, probability=predictions, threshold=threshold
        )
        flagged = predictions >= threshold
        title = f"Holdout at threshold {threshold:.2f}"
        pictures["confusion"] = partial(
            plots.draw_confusion, outcome=outcome, predicted=flagged, names=("no", "yes"), title=title
        )

    pictures["calibration"] = partial(plots.draw_calibration, outcome=outcome, prediction=predictions, names=names)
    return pictures


def draw(folder: Path, task: str, pictures: Pictures) -> None:
    """Save one PNG per picture, and `summary.png` with the three main pictures if all of them exist."""
    for name, picture in pictures.items():
        plotting.save(folder / f"{name}.png", [picture])

    if set(SUMMARY[task]) <= set(pictures):
        plotting.save(folder / "summary.png", [pictures[name] for name in SUMMARY[task]])


def permutation_importance(config: Config, holdout: Examples, session: Session) -> dict[str, float]:
    """Compute the permutation importance of each feature: how much the loss rises when that feature is shuffled.

    It uses a sample of the holdout (Breiman, Random forests, 2001).
    """
    rng = np.random.default_rng(config.train.seed)
    sampled = holdout.take(rng.permutation(len(holdout.target))[:IMPORTANCE_ROWS])
    order = rng.permutation(len(sampled.target))

    def loss(strings: NDArray[Any], numbers: NDArray[Any]) -> float:
        predictions = session(sampled.data._replace(strings=strings, numbers=numbers))
        return metrics(sampled.target, predictions, config.scoring, [config.loss])[config.loss]

    strings, numbers = sampled.data
    unshuffled = loss(strings, numbers)

    importance = {}
    for position, name in enumerate(config.contract.strings):
        importance[name] = loss(shuffled(strings, position, order), numbers) - unshuffled
    for position, name in enumerate(config.contract.numbers):
        importance[name] = loss(strings, shuffled(numbers, position, order)) - unshuffled
    return importance


def shuffled(matrix: NDArray[Any], position: int, order: NDArray[np.int64]) -> NDArray[Any]:
    """Return a copy of the matrix [rows, columns] in which one column has the given order of rows."""
    copy = matrix.copy()
    copy[:, position] = matrix[order, position]
    return copy
