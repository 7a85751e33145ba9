"""Candidates on folds: fitted on the training rows of each, and scored by their predictions of its validation rows."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.candidates.kind import Kind
from pipeline.config.config import Config
from pipeline.data.split import Fold, Split
from pipeline.evaluation.metrics import metrics
from pipeline.runtime.arrays import Tensors
from pipeline.training import estimators, parallel

Array = NDArray[Any]
Say = Callable[[str], None]
Fits = dict[tuple[Kind, str], Array | str]  # by settings and fold: predictions, or the message of a fit that failed


class CandidateResult(NamedTuple):
    """A candidate with its metrics and its predictions [validation rows] by fold.

    `error` is the message of a fit that failed, and None if every fit succeeded. `stopped` tells that later folds were
    left out, because this candidate, or the best one of its kind, was worse than another beyond three standard errors.
    """

    name: str
    settings: Kind
    folds: dict[str, dict[str, float]]
    error: str | None = None
    predictions: Mapping[str, Array] = MappingProxyType({})
    stopped: bool = False

    def mean(self, metric: str) -> float:
        """Return the mean of a metric over the folds; infinity if a fit failed or a fold was left out."""
        if self.error or self.stopped:
            return np.inf
        return self.mean_so_far(metric)

    def mean_so_far(self, metric: str) -> float:
        return float(np.mean([figures[metric] for figures in self.folds.values()]))

    def and_on(self, other: "CandidateResult") -> "CandidateResult":
        """Add the folds of another result of the same candidate."""
        folds, predictions = {**self.folds, **other.folds}, {**self.predictions, **other.predictions}
        return self._replace(folds=folds, predictions=predictions, error=self.error or other.error)

    def only_on(self, names: Sequence[str]) -> "CandidateResult":
        """Leave out the folds that are not named."""
        return self._replace(folds={name: self.folds[name] for name in names})


def held_out_rows(parts: Split, result: CandidateResult, predictions: Array) -> tuple[Array, Array]:
    """Return the rows that no model was trained on, those of the folds and then the holdout, and their predictions.

    `predictions` are those of the holdout. A model that was trained elsewhere has no folds.
    """
    folds = [fold for fold in parts.folds if fold.name in result.predictions]
    rows = [*(fold.valid for fold in folds), parts.holdout]
    by_part = [*(result.predictions[fold.name] for fold in folds), predictions]
    return np.concatenate(rows), np.concatenate(by_part)


def evaluate_candidates(
    config: Config,
    data: Tensors,
    target: Array,
    folds: Sequence[Fold],
    candidates: Sequence[tuple[str, Kind]],
    say: Say,
    fits: Fits | None = None,
) -> list[CandidateResult]:
    """Evaluate each candidate, a name with its settings, on each fold. `say` gets a line for each fit.

    Returns the results in the order of the candidates. What two of them consist of is fitted once. `fits` has the fits
    that there are already on these folds, and gets the new ones.
    """
    fits = {} if fits is None else fits
    fit_parts(config, data, target, folds, [settings for _, settings in candidates], say, fits)

    results = []
    for name, settings in candidates:
        result = CandidateResult(name, settings, {})
        for fold in folds:
            result = with_fold(result, config, target, fold, fits)
        results.append(result)
    return results


def fit_parts(
    config: Config,
    data: Tensors,
    target: Array,
    folds: Sequence[Fold],
    candidates: Sequence[Kind],
    say: Say,
    fits: Fits,
) -> None:
    """Fit on each fold what the candidates consist of, and is not fitted yet."""
    jobs: dict[tuple[Kind, str], Fold] = {}
    for settings in candidates:
        for fold in folds:
            for part in settings.parts():
                if (part, fold.name) not in fits:
                    jobs[part, fold.name] = fold

    # The longest first: a fit that begins last should not be the one that everything waits for.
    jobs = dict(sorted(jobs.items(), key=lambda job: -job[0][0].cost() * len(job[1].train)))
    tasks = [(settings, data, target, fold, config) for (settings, _), fold in jobs.items()]
    results = zip(jobs, parallel.run(config, fit_on_fold, tasks), strict=True)
    for number, ((settings, fold_name), fit) in enumerate(results, 1):
        fits[settings, fold_name] = fit
        say(f"fit {number} of {len(jobs)}: {settings.name()} on {fold_name}")


def fit_on_fold(settings: Kind, data: Tensors, target: Array, fold: Fold, config: Config) -> Array | str:
    """Fit on the training rows of a fold and predict its validation rows.

    Returns the predictions [validation rows], or the message of the error if the fit failed.
    """
    try:
        fitted = estimators.fit(settings, data.take(fold.train), target[fold.train], config.train)
        return estimators.predict(fitted, data.take(fold.valid))
    except Exception as error:  # noqa: BLE001 -- reason: one failed trial is recorded, and the others go on
        return f"{type(error).__name__}: {error}"


def with_fold(result: CandidateResult, config: Config, target: Array, fold: Fold, fits: Fits) -> CandidateResult:
    """Add to a result its metrics and predictions on a fold, or the error of its fit there."""
    parts = []
    for part in result.settings.parts():
        fit = fits[part, fold.name]
        if isinstance(fit, str):
            return result._replace(error=result.error or fit)
        parts.append(fit)

    predictions = result.settings.blended(parts)
    figures = metrics(target[fold.valid], predictions, config.scoring)
    return result._replace(
        folds={**result.folds, fold.name: figures}, predictions={**result.predictions, fold.name: predictions}
    )
