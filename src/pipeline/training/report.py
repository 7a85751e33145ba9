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
DEALT = 5000  # holdout rows that tell how much a feature matters
Pictures = dict[str, Picture]


def search_pictures(
    config: Config, trials: list[CandidateResult], standings: list[CandidateResult], best: CandidateResult
) -> Pictures:
    """Trials, and the folds of every candidate with the chosen one first."""
    shown = [best, *(s for s in standings if s is not best and not s.error)]
    metric = "roc_auc" if config.task == "binary" else config.loss
    return {
        "folds": partial(plots.draw_folds, standings=shown, metric=metric),
        "search": partial(plots.draw_trials, tried=trials, loss=config.loss),
    }


def holdout_pictures(config: Config, kept: Examples, said: NDArray[np.float64], session: Session) -> Pictures:
    """What became of the answers on the holdout, and which features they rest on."""
    outcome = kept.target
    risen = permutation_importance(config, kept, session)
    drawn: Pictures = {"importance": partial(plots.draw_importance, risen=risen, loss=config.loss)}
    if config.task == "regression":
        given = config.columns[config.target].unit
        unit = f" [{given}]" if given else ""
        names = f"mean answer{unit}", f"mean outcome{unit}"
        drawn["errors"] = partial(plots.draw_errors, outcome=outcome, answer=said, unit=unit)
    else:
        threshold = config.scoring.cut
        names = "mean probability", "observed share"
        drawn["roc"] = partial(plots.draw_roc, outcome=outcome, probability=said)
        drawn["precision_recall"] = partial(
            plots.draw_precision_recall, outcome=outcome, probability=said, threshold=threshold
        )
        flagged = said >= threshold
        drawn["confusion"] = partial(plots.draw_confusion, outcome=outcome, flagged=flagged, threshold=threshold)
    drawn["calibration"] = partial(plots.draw_calibration, outcome=outcome, answer=said, names=names)
    return drawn


def draw(folder: Path, task: str, drawn: Pictures) -> None:
    """One PNG per picture and, where they are all there, `summary.png` with the three that tell most."""
    for name, picture in drawn.items():
        plotting.save(folder / f"{name}.png", [picture])
    if set(SUMMARY[task]) <= set(drawn):
        plotting.save(folder / "summary.png", [drawn[name] for name in SUMMARY[task]])


def permutation_importance(config: Config, kept: Examples, session: Session) -> dict[str, float]:
    """Permutation importance: how much the loss on some rows rises when one feature's values are dealt out anew."""
    rng = np.random.default_rng(config.train.seed)
    some = kept.take(rng.permutation(len(kept.target))[:DEALT])
    order = rng.permutation(len(some.target))

    def loss(strings: NDArray[Any], numbers: NDArray[Any]) -> float:
        said = session(some.data._replace(strings=strings, numbers=numbers))
        return metrics(some.target, said, config.scoring, [config.loss])[config.loss]

    strings, numbers = some.data
    before, risen = loss(strings, numbers), {}
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
