"""Which pictures a training leaves, and the figures behind them."""

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
from pipeline.runtime.predictor import Session
from pipeline.training import plots
from pipeline.training.search import CandidateResult

SUMMARY = {"binary": ("folds", "roc", "calibration"), "regression": ("folds", "calibration", "errors")}
IMPORTANCE_ROWS = 5000  # rows of the holdout behind permutation importance
Pictures = dict[str, Picture]


def search_pictures(
    config: Config, trials: list[CandidateResult], standings: list[CandidateResult], best: CandidateResult
) -> Pictures:
    """Pictures of the trials, and of every candidate on the folds, with the chosen one first."""
    others = [result for result in standings if result is not best and not result.error]
    metric = "roc_auc" if config.task == "binary" else config.loss
    return {
        "folds": partial(plots.draw_folds, standings=[best, *others], metric=metric),
        "search": partial(plots.draw_trials, tried=trials, loss=config.loss),
    }


def holdout_pictures(config: Config, holdout: Examples, predictions: NDArray[np.float64], session: Session) -> Pictures:
    """Pictures of the predictions on the holdout against the outcomes, and of the importance of the features."""
    outcome = holdout.target
    risen = permutation_importance(config, holdout, session)
    drawn: Pictures = {"importance": partial(plots.draw_importance, risen=risen, loss=config.loss)}

    if config.task == "regression":
        declared = config.columns[config.target].unit
        unit = f" [{declared}]" if declared else ""
        names = f"mean answer{unit}", f"mean outcome{unit}"
        drawn["errors"] = partial(plots.draw_errors, outcome=outcome, answer=predictions, unit=unit)
    else:
        threshold = config.scoring.cut
        names = "mean probability", "observed share"
        drawn["roc"] = partial(plots.draw_roc, outcome=outcome, probability=predictions)
        drawn["precision_recall"] = partial(
            plots.draw_precision_recall, outcome=outcome, probability=predictions, threshold=threshold
        )
        flagged = predictions >= threshold
        drawn["confusion"] = partial(plots.draw_confusion, outcome=outcome, flagged=flagged, threshold=threshold)

    drawn["calibration"] = partial(plots.draw_calibration, outcome=outcome, answer=predictions, names=names)
    return drawn


def draw(folder: Path, task: str, drawn: Pictures) -> None:
    """Save one PNG per picture, and `summary.png` with the three main pictures if all of them exist."""
    for name, picture in drawn.items():
        plotting.save(folder / f"{name}.png", [picture])
    if set(SUMMARY[task]) <= set(drawn):
        plotting.save(folder / "summary.png", [drawn[name] for name in SUMMARY[task]])


def permutation_importance(config: Config, holdout: Examples, session: Session) -> dict[str, float]:
    """Permutation importance by feature: how much the loss on some rows rises when that feature is shuffled."""
    rng = np.random.default_rng(config.train.seed)
    some = holdout.take(rng.permutation(len(holdout.target))[:IMPORTANCE_ROWS])
    order = rng.permutation(len(some.target))

    def loss(strings: NDArray[Any], numbers: NDArray[Any]) -> float:
        predictions = session(some.data._replace(strings=strings, numbers=numbers))
        return metrics(some.target, predictions, config.scoring, [config.loss])[config.loss]

    strings, numbers = some.data
    before = loss(strings, numbers)
    risen = {}
    for place, name in enumerate(config.contract.strings):
        risen[name] = loss(shuffled(strings, place, order), numbers) - before
    for place, name in enumerate(config.contract.numbers):
        risen[name] = loss(strings, shuffled(numbers, place, order)) - before
    return risen


def shuffled(matrix: NDArray[Any], place: int, order: NDArray[np.int64]) -> NDArray[Any]:
    """A copy with one column in another order."""
    copy = matrix.copy()
    copy[:, place] = matrix[order, place]
    return copy
