"""Which candidate is best? Trials on a sample of the days find each kind's settings; all rows then compare kinds."""

from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import optuna
from joblib import Parallel, cpu_count, delayed
from numpy.typing import NDArray
from optuna.trial import TrialState

from pipeline.config.candidates import Settings, Trials, settled
from pipeline.config.config import Config
from pipeline.data.split import Fold, sample
from pipeline.errors import DataError
from pipeline.evaluation.metrics import constant_prediction, metrics, spread
from pipeline.runtime.arrays import Tensors
from pipeline.runtime.contract import Scoring
from pipeline.runtime.predictor import Session
from pipeline.training import estimators
from pipeline.training.export import onnx

Array = NDArray[Any]
Say = Callable[[str], None]
FoldResult = tuple[dict[str, float], Array]
PROBE = 600  # rows on which each candidate is fitted and exported before the search begins


class CandidateResult(NamedTuple):
    """A candidate with its figures on each fold, by the fold's name, and its answers there; where a fit failed, why."""

    name: str
    settings: Settings
    folds: dict[str, dict[str, float]]
    error: str | None = None
    predictions: Mapping[str, Array] = MappingProxyType({})

    def mean(self, metric: str) -> float:
        return float(np.mean([figures[metric] for figures in self.folds.values()])) if not self.error else np.inf


def refuse_unfit(data: Tensors, target: Array, folds: list[Fold], config: Config) -> None:
    """Raise DataError where a fold cannot teach or judge, RefusedError where a candidate cannot be exported exactly."""
    for fold in folds:
        refuse_uniform(target[fold.train], config.target, f"the training rows of fold {fold.name}")
        refuse_uniform(target[fold.valid], config.target, f"the judging rows of fold {fold.name}")
        refuse_empty(data.take(fold.train), config, f"the training rows of fold {fold.name}")
    rows = np.random.default_rng(config.train.seed).permutation(folds[-1].train)[:PROBE]
    probe, outcome = data.take(rows), target[rows]
    for name, settings in config.candidates.named().items():
        fitted = estimators.fit(settings, probe, outcome, config.train)
        session, unit = Session(onnx.to_onnx(fitted, probe, name)), spread(outcome, config.task)
        onnx.refuse_inexact(fitted, session, probe, unit, config.gates.exact, config.train.seed)


def run_trials(
    config: Config, data: Tensors, target: Array, folds: list[Fold], unit: Array, say: Say
) -> list[CandidateResult]:
    """Every trial of every kind, in the order asked for, judged on a sample of the blocks in `unit`.

    A batch is asked for as a whole before any of it is told, and told in the same order: the trials do not depend on
    how many workers there are or which of them ends first.
    """
    drawn = sample(unit, config.search.sample, config.train.seed)
    fewer = [Fold(f.name, np.intersect1d(f.train, drawn), np.intersect1d(f.valid, drawn)) for f in folds]
    if empty := [fold.name for fold in fewer if not len(fold.train) or not len(fold.valid)]:
        raise DataError(
            f"search.sample {config.search.sample:g} leaves fold {empty[0]} without rows to train or judge on. Raise it"
        )
    plans = {name: config.search.plan(name) for name in config.candidates.named()}
    studies = {name: _study(config.candidates.named()[name], plan, config.train.seed) for name, plan in plans.items()}
    judged: list[CandidateResult] = []
    for first in range(0, max(plan.trials for plan in plans.values()), config.search.batch):
        asked = [
            (name, trial, _sampled_settings(config.candidates.named()[name], plan, trial))
            for name, plan in plans.items()
            for trial in (studies[name].ask() for _ in range(min(config.search.batch, plan.trials - first)))
        ]
        results = evaluate_candidates(
            config, data, target, fewer, [(name, settings) for name, _, settings in asked], say
        )
        for (name, trial, _), result in zip(asked, results, strict=True):
            if result.error:
                studies[name].tell(trial, state=TrialState.FAIL)
            else:
                studies[name].tell(trial, result.mean(config.loss))
        judged += results
    return judged


def best_of_each(judged: list[CandidateResult], loss: str) -> list[CandidateResult]:
    """The best trial of each kind; a kind of which every trial failed is left out.

    Raises DataError where all of them failed.
    """
    if all(standing.error for standing in judged):
        raise DataError(f"every trial failed, the first of {judged[0].name} with: {judged[0].error}")
    names = dict.fromkeys(standing.name for standing in judged)
    best = [min((s for s in judged if s.name == name), key=lambda s: s.mean(loss)) for name in names]
    return [standing for standing in best if not standing.error]


def evaluate_candidates(
    config: Config, data: Tensors, target: Array, folds: list[Fold], tried: list[tuple[str, Settings]], say: Say
) -> list[CandidateResult]:
    """Each candidate on each fold. `say` is told of each fit as it ends."""
    jobs = [
        (n, fold) for n in reversed(range(len(tried))) for fold in folds
    ]  # the slow kinds come last: begin with them
    tasks = [delayed(evaluate_fold)(tried[n][1], data, target, fold, config) for n, fold in jobs]
    figures: list[dict[str, dict[str, float]]] = [{} for _ in tried]
    said: list[dict[str, Array]] = [{} for _ in tried]
    errors: dict[int, str] = {}
    for (n, fold), result in zip(jobs, _run_tasks(config, tasks), strict=True):
        if isinstance(result, str):
            errors[n] = result
        else:
            figures[n][fold.name], said[n][fold.name] = result
            say(f"{tried[n][0]} on {fold.name}: {config.loss} {result[0][config.loss]:.4f}")
    return [
        CandidateResult(name, settings, figures[n], errors.get(n), said[n]) for n, (name, settings) in enumerate(tried)
    ]


def choose(standings: list[CandidateResult], loss: str) -> CandidateResult:
    """The simplest candidate whose mean loss is within one standard error of the lowest.

    The error is that of the difference to the best over the folds: what makes a whole fold hard is common to both.
    Raises DataError where every candidate failed.
    """
    fit = [standing for standing in standings if not standing.error]
    if not fit:
        raise DataError(f"every candidate failed, {standings[0].name} with: {standings[0].error}")
    best = min(fit, key=lambda standing: standing.mean(loss))
    return next(each for each in fit if each.mean(loss) - best.mean(loss) <= _error(each, best, loss))


def _error(standing: CandidateResult, best: CandidateResult, loss: str) -> float:
    """Standard error of the mean difference in loss to the best, over the folds."""
    differences = [standing.folds[name][loss] - best.folds[name][loss] for name in best.folds]
    return float(np.std(differences, ddof=1) / np.sqrt(len(differences))) if len(differences) > 1 else 0.0


def _study(settings: Settings, plan: Trials, seed: int) -> optuna.Study:
    """A study whose first trial is the configured settings."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial({key: getattr(settings, key) for key in plan.space})
    return study


def _sampled_settings(settings: Settings, plan: Trials, trial: optuna.Trial) -> Settings:
    drawn: dict[str, Any] = {}
    for key, tried in plan.space.items():
        suggest: Any = trial.suggest_int if isinstance(getattr(settings, key), int) else trial.suggest_float
        drawn[key] = suggest(key, type(getattr(settings, key))(tried.low), tried.high, log=tried.log)
    return settled(settings, drawn)


def baseline(target: Array, folds: list[Fold], scoring: Scoring) -> dict[str, float]:
    """The mean figures of the best answer that is always the same, from what was known before each fold."""
    judged = []
    for fold in folds:
        known = constant_prediction(target[fold.train], scoring.task)
        judged.append(metrics(target[fold.valid], np.full(len(fold.valid), known), scoring))
    return {metric: float(np.mean([figures[metric] for figures in judged])) for metric in judged[0]}


def refuse_uniform(target: Array, name: str, where: str) -> None:
    """Raise DataError where all outcomes are the same: nothing can be learned or judged there."""
    if (target == target[0]).all():
        raise DataError(f"{name}: all {len(target)} outcomes in {where} are the same")


def refuse_empty(data: Tensors, config: Config, where: str) -> None:
    """Raise DataError where a feature has no value at all."""
    contract = config.contract
    empty = [name for name, column in zip(contract.strings, data.strings.T, strict=True) if not (column != "").any()]
    empty += [name for name, column in zip(contract.numbers, data.numbers.T, strict=True) if np.isnan(column).all()]
    if empty:
        raise DataError(f"{', '.join(empty)}: no value at all in {where}. Leave it out of the features")


def evaluate_fold(settings: Settings, data: Tensors, target: Array, fold: Fold, config: Config) -> FoldResult | str:
    """One fit on a fold's training rows, judged on its validation rows: figures and answers, or why it failed."""
    try:
        fitted = estimators.fit(settings, data.take(fold.train), target[fold.train], config.train)
        judged = estimators.predict(fitted, data.take(fold.valid))
    except Exception as error:  # noqa: BLE001 -- reason: one lost trial is noted, and the others go on
        return f"{type(error).__name__}: {error}"
    return metrics(target[fold.valid], judged, config.scoring), judged


def _run_tasks(config: Config, tasks: list[Any]) -> Iterator[FoldResult | str]:
    """All fan-out is joblib's: with one worker in this process, with more in processes of one thread each."""
    processes = min(workers(config), len(tasks))
    results: Iterator[FoldResult | str] = Parallel(n_jobs=processes, return_as="generator")(tasks)
    return results


def workers(config: Config) -> int:
    """How many fits go on at a time; of the cores those that this process may use, as a container's limit says."""
    asked = config.train.workers
    return cpu_count() if asked == "auto" else asked
