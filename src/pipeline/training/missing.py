"""How good the predictions are if callers leave out optional columns.

For each group of columns that callers leave out together, the model is compared with one that never had these columns:
on the folds before the holdout is opened, and with a constant prediction on the holdout.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.candidates.kind import Kind
from pipeline.config.config import Config
from pipeline.data import masking
from pipeline.data.masking import Copies
from pipeline.data.read import TrainingRows
from pipeline.data.split import Fold
from pipeline.evaluation.bootstrap import Bootstrap, Interval, paired
from pipeline.evaluation.metrics import metrics, standard_error
from pipeline.runtime.arrays import Examples, Tensors
from pipeline.runtime.predictor import Session, top_probability
from pipeline.training import estimators, parallel
from pipeline.training.fold_results import CandidateResult


class FoldLosses(NamedTuple):
    """Means over the folds of the model's loss and of the loss of a model trained without some columns.

    `error` is the standard error of the mean difference; a single fold has none, so it is 0.
    """

    of_model: float
    of_other: float
    error: float


class MissingResult(NamedTuple):
    """The metrics of predictions without a group of columns.

    `folds` has the losses on the folds, of the model and of one trained without the columns; None where there are none.
    `holdout` has the metrics on the holdout, `mean_prediction` the mean of the predictions there (multiclass: of the
    most probable class), and `gain` the loss
    of a constant prediction minus that of the model, with its 90 % interval.
    """

    group: str
    columns: list[str]
    folds: FoldLosses | None
    holdout: dict[str, float]
    mean_prediction: float
    gain: Interval


def leave_out_tasks(
    config: Config, rows: TrainingRows, copies: Copies, folds: list[Fold], best: CandidateResult
) -> list[tuple[Any, ...]]:
    """Return for each fold the fits of the candidate, and of one that is trained without each group's columns.

    `mean_losses` averages their results. There are none if no column is optional.
    """
    masked = {}
    known = {}
    for group, columns in masking.optional_groups(config).items():
        without = masking.mask(config, rows.examples, columns, masking.prior_of(rows)).data
        masked[group] = parallel.shareable(without)
        known[group] = parallel.shareable(with_constants(without))
    if not masked:
        return []

    _, data, target = masking.with_copies(rows.examples, copies)
    data = parallel.shareable(data)
    tasks = []
    for fold, extended in zip(folds, masking.folds_with_copies(folds, copies, len(rows.key)), strict=True):
        tasks.append((fit_and_score, config, best.settings, data, target, extended, masked))
        for group, others in known.items():
            tasks.append((fit_and_score, config, best.settings, others, target, fold, {group: others}))
    return tasks


def mean_losses(results: list[dict[str, float]], groups: list[str]) -> dict[str, FoldLosses]:
    """Average over the folds. The results of a fold are those of the model, then one for each group."""
    size = len(groups) + 1
    by_fold = [results[start : start + size] for start in range(0, len(results), size)]

    losses = {}
    for position, group in enumerate(groups, 1):
        of_model = np.array([fold_results[0][group] for fold_results in by_fold])
        of_other = np.array([fold_results[position][group] for fold_results in by_fold])
        error = standard_error(of_model - of_other)
        losses[group] = FoldLosses(float(of_model.mean()), float(of_other.mean()), error)
    return losses


def fit_and_score(
    config: Config, settings: Kind, data: Tensors, target: NDArray[Any], fold: Fold, groups: Mapping[str, Tensors]
) -> dict[str, float]:
    """Fit the candidate on a fold. Return its loss on the validation rows of each group's data."""
    fitted = estimators.fit(settings, data.take(fold.train), target[fold.train], config.train)
    losses = {}
    for group, others in groups.items():
        predictions = estimators.predict(fitted, others.take(fold.valid))
        losses[group] = metrics(target[fold.valid], predictions, config.scoring, [config.loss])[config.loss]
    return losses


def with_constants(data: Tensors) -> Tensors:
    """Set a column that is missing in every row to one value: it tells as little, and every kind of model takes it."""
    no_text = (data.strings == "").all(axis=0)
    no_number = np.isnan(data.numbers).all(axis=0)
    strings = np.where(no_text, "none", data.strings).astype(object)
    return Tensors(strings, np.where(no_number, np.float32(0), data.numbers))


def on_holdout(
    config: Config,
    holdout: Examples,
    session: Session,
    prior: Mapping[str, float],
    losses: Mapping[str, FoldLosses],
    baseline: NDArray[np.float64],
    blocks: NDArray[np.int64],
) -> list[MissingResult]:
    """Predict the holdout without the columns of each group.

    `losses` are those of the folds, `baseline` [rows] is the constant prediction to compare with, and `blocks` [rows]
    are those of the bootstrap.
    """
    plan = Bootstrap(config.scoring, config.train.resamples, config.train.seed)

    results = []
    for group, columns in masking.optional_groups(config).items():
        predictions = session(masking.mask(config, holdout, columns, prior).data)
        figures = metrics(holdout.target, predictions, config.scoring)
        gain = paired(holdout.target, baseline, predictions, blocks, plan, 0.9, [config.loss])[config.loss]
        mean = float(top_probability(predictions).mean())
        results.append(MissingResult(group, columns, losses.get(group), figures, mean, gain))
    return results
