"""Which candidate is best? Each is fitted and judged on every fold."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from pipeline import evaluate, model
from pipeline.config import Boosting, Config, Linear
from pipeline.errors import DataError
from pipeline.schema import Tensors
from pipeline.split import Fold


class Standing(NamedTuple):
    """A candidate with its figures on each fold, by the fold's name."""

    name: str
    settings: Linear | Boosting
    folds: dict[str, dict[str, float]]

    def mean(self, metric: str) -> float:
        return float(np.mean([figures[metric] for figures in self.folds.values()]))


def compare(
    config: Config, data: Tensors, target: NDArray[Any], folds: list[Fold], said: Callable[[str], None]
) -> list[Standing]:
    """The candidates by mean log loss over the folds, lowest first. `said` is told of each fit as it ends.

    Raises DataError where a fold has nothing to learn from.
    """
    for fold in folds:
        refuse_uniform(target[fold.train], config.target, f"the training rows of fold {fold.name}")
        refuse_uniform(target[fold.valid], config.target, f"the judging rows of fold {fold.name}")
        refuse_empty(data.take(fold.train), config, f"the training rows of fold {fold.name}")
    candidates = config.candidates.named()
    jobs = [(name, settings, fold) for name, settings in candidates.items() for fold in folds]
    figures = _run(config, [delayed(judge)(settings, data, target, fold, config) for _, settings, fold in jobs])
    by_name: dict[str, dict[str, dict[str, float]]] = {name: {} for name in candidates}
    for (name, _, fold), result in zip(jobs, figures, strict=True):
        by_name[name][fold.name] = result
        said(f"{name} on {fold.name}: log loss {result['log_loss']:.4f}")
    standings = [Standing(name, settings, by_name[name]) for name, settings in candidates.items()]
    return sorted(standings, key=lambda standing: standing.mean("log_loss"))


def baseline(target: NDArray[Any], folds: list[Fold], threshold: float) -> dict[str, float]:
    """The mean figures of an answer that knows nothing but how often it was yes before."""
    judged = [
        evaluate.metrics(target[fold.valid], np.full(len(fold.valid), target[fold.train].mean()), threshold)
        for fold in folds
    ]
    return {metric: float(np.mean([figures[metric] for figures in judged])) for metric in judged[0]}


def refuse_uniform(target: NDArray[Any], name: str, where: str) -> None:
    """Raise DataError where all outcomes are the same: nothing can be learned or judged there."""
    if target.all() or not target.any():
        raise DataError(f"{name}: all {len(target)} outcomes in {where} are the same")


def refuse_empty(data: Tensors, config: Config, where: str) -> None:
    """Raise DataError where a feature has no value at all."""
    contract = config.contract
    empty = [name for name, column in zip(contract.strings, data.strings.T, strict=True) if not (column != "").any()]
    empty += [name for name, column in zip(contract.numbers, data.numbers.T, strict=True) if np.isnan(column).all()]
    if empty:
        raise DataError(f"{', '.join(empty)}: no value at all in {where}. Leave it out of the features")


def judge(
    settings: Linear | Boosting, data: Tensors, target: NDArray[Any], fold: Fold, config: Config
) -> dict[str, float]:
    """One fit on a fold's training rows, judged on its validation rows."""
    fitted = model.fit(settings, data.take(fold.train), target[fold.train], config.train)
    judged = model.probabilities(fitted, data.take(fold.valid))
    return evaluate.metrics(target[fold.valid], judged, config.costs.threshold)


def _run(config: Config, tasks: list[Any]) -> Iterator[dict[str, float]]:
    """All fan-out is joblib's: with one worker in this process, with more in processes of one thread each."""
    results: Iterator[dict[str, float]] = Parallel(n_jobs=config.train.workers, return_as="generator")(tasks)
    return results
