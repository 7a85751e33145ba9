"""The search for the best candidate. Trials on a sample of the days find the settings of each kind, and all rows
compare the kinds.
"""

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
    """A candidate with its metrics and predictions by fold. If a fit failed, `error` says why."""

    name: str
    settings: Settings
    folds: dict[str, dict[str, float]]
    error: str | None = None
    predictions: Mapping[str, Array] = MappingProxyType({})

    def mean(self, metric: str) -> float:
        """The mean of a metric over the folds; infinite if a fit failed."""
        if self.error:
            return np.inf
        return float(np.mean([figures[metric] for figures in self.folds.values()]))


def refuse_unfit(data: Tensors, target: Array, folds: list[Fold], config: Config) -> None:
    """Raise DataError if a fold has nothing to learn or to evaluate, RefusedError if an export is not exact."""
    for fold in folds:
        refuse_uniform(target[fold.train], config.target, f"the training rows of fold {fold.name}")
        refuse_uniform(target[fold.valid], config.target, f"the judging rows of fold {fold.name}")
        refuse_empty(data.take(fold.train), config, f"the training rows of fold {fold.name}")

    rows = np.random.default_rng(config.train.seed).permutation(folds[-1].train)[:PROBE]
    probe = data.take(rows)
    outcome = target[rows]
    unit = spread(outcome, config.task)
    for name, settings in config.candidates.named().items():
        fitted = estimators.fit(settings, probe, outcome, config.train)
        session = Session(onnx.to_onnx(fitted, probe, name))
        onnx.refuse_inexact(fitted, session, probe, unit, config.gates.exact, config.train.seed)


def run_trials(
    config: Config, data: Tensors, target: Array, folds: list[Fold], unit: Array, say: Say
) -> list[CandidateResult]:
    """Every trial of every kind, in order, evaluated on a sample of the blocks in `unit` [rows].

    The study proposes a whole batch before it gets any result of it, and gets the results in the same order. So the
    trials do not depend on the number of workers.
    """
    drawn = sample(unit, config.search.sample, config.train.seed)
    fewer = [Fold(fold.name, np.intersect1d(fold.train, drawn), np.intersect1d(fold.valid, drawn)) for fold in folds]
    if empty := [fold.name for fold in fewer if not len(fold.train) or not len(fold.valid)]:
        raise DataError(
            f"search.sample {config.search.sample:g} leaves fold {empty[0]} without rows to train or judge on. Raise it"
        )

    kinds = config.candidates.named()
    plans = {name: config.search.plan(name) for name in kinds}
    studies = {name: _study(kinds[name], plan, config.train.seed) for name, plan in plans.items()}
    most = max(plan.trials for plan in plans.values())

    results: list[CandidateResult] = []
    for first in range(0, most, config.search.batch):
        proposed: list[tuple[str, optuna.Trial, Settings]] = []
        for name, plan in plans.items():
            for _ in range(min(config.search.batch, plan.trials - first)):
                trial = studies[name].ask()
                proposed.append((name, trial, _sampled_settings(kinds[name], plan, trial)))

        candidates = [(name, settings) for name, _, settings in proposed]
        batch = evaluate_candidates(config, data, target, fewer, candidates, say)
        for (name, trial, _), result in zip(proposed, batch, strict=True):
            if result.error:
                studies[name].tell(trial, state=TrialState.FAIL)
            else:
                studies[name].tell(trial, result.mean(config.loss))
        results += batch
    return results


def best_of_each(trials: list[CandidateResult], loss: str) -> list[CandidateResult]:
    """The best trial of each kind. A kind of which every trial failed is left out.

    Raises DataError if all trials failed.
    """
    if all(trial.error for trial in trials):
        raise DataError(f"every trial failed, the first of {trials[0].name} with: {trials[0].error}")

    best = []
    for name in dict.fromkeys(trial.name for trial in trials):
        of_kind = [trial for trial in trials if trial.name == name]
        best.append(min(of_kind, key=lambda trial: trial.mean(loss)))
    return [trial for trial in best if not trial.error]


def evaluate_candidates(
    config: Config, data: Tensors, target: Array, folds: list[Fold], tried: list[tuple[str, Settings]], say: Say
) -> list[CandidateResult]:
    """Evaluate each candidate on each fold. `say` gets a line for each fit that ends."""
    jobs = []
    for n in reversed(range(len(tried))):  # the slow kinds come last: begin with them
        jobs += [(n, fold) for fold in folds]
    tasks = [delayed(evaluate_fold)(tried[n][1], data, target, fold, config) for n, fold in jobs]

    figures: list[dict[str, dict[str, float]]] = [{} for _ in tried]
    predictions: list[dict[str, Array]] = [{} for _ in tried]
    errors: dict[int, str] = {}
    for (n, fold), result in zip(jobs, _run_tasks(config, tasks), strict=True):
        if isinstance(result, str):
            errors[n] = result
            continue

        figures[n][fold.name], predictions[n][fold.name] = result
        say(f"{tried[n][0]} on {fold.name}: {config.loss} {figures[n][fold.name][config.loss]:.4f}")

    return [
        CandidateResult(name, settings, figures[n], errors.get(n), predictions[n])
        for n, (name, settings) in enumerate(tried)
    ]


def choose(standings: list[CandidateResult], loss: str) -> CandidateResult:
    """The simplest candidate whose mean loss is within one standard error of the lowest.

    The standard error is that of the difference to the best over the folds: what makes a whole fold hard is common to
    both. Raises DataError if every candidate failed.
    """
    fit = [standing for standing in standings if not standing.error]
    if not fit:
        raise DataError(f"every candidate failed, {standings[0].name} with: {standings[0].error}")

    best = min(fit, key=lambda result: result.mean(loss))
    near = [result for result in fit if result.mean(loss) - best.mean(loss) <= _error(result, best, loss)]
    return near[0]  # the kinds come simplest first


def _error(standing: CandidateResult, best: CandidateResult, loss: str) -> float:
    """Standard error of the mean difference in loss to the best, over the folds."""
    differences = [standing.folds[name][loss] - best.folds[name][loss] for name in best.folds]
    if len(differences) < 2:
        return 0.0
    return float(np.std(differences, ddof=1) / np.sqrt(len(differences)))


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
    """The mean metrics of the best constant prediction, which is made from the training rows of each fold."""
    by_fold = []
    for fold in folds:
        constant = constant_prediction(target[fold.train], scoring.task)
        by_fold.append(metrics(target[fold.valid], np.full(len(fold.valid), constant), scoring))

    means = {}
    for metric in by_fold[0]:
        means[metric] = float(np.mean([figures[metric] for figures in by_fold]))
    return means


def refuse_uniform(target: Array, name: str, where: str) -> None:
    """Raise DataError if all outcomes are the same: there is nothing to learn or to evaluate."""
    if (target == target[0]).all():
        raise DataError(f"{name}: all {len(target)} outcomes in {where} are the same")


def refuse_empty(data: Tensors, config: Config, where: str) -> None:
    """Raise DataError if a feature has no value at all."""
    contract = config.contract
    empty = [name for name, column in zip(contract.strings, data.strings.T, strict=True) if not (column != "").any()]
    empty += [name for name, column in zip(contract.numbers, data.numbers.T, strict=True) if np.isnan(column).all()]
    if empty:
        raise DataError(f"{', '.join(empty)}: no value at all in {where}. Leave it out of the features")


def evaluate_fold(settings: Settings, data: Tensors, target: Array, fold: Fold, config: Config) -> FoldResult | str:
    """Fit on the training rows of a fold and predict its validation rows: metrics and predictions, or the error."""
    try:
        fitted = estimators.fit(settings, data.take(fold.train), target[fold.train], config.train)
        predictions = estimators.predict(fitted, data.take(fold.valid))
    except Exception as error:  # noqa: BLE001 -- reason: one lost trial is noted, and the others go on
        return f"{type(error).__name__}: {error}"
    return metrics(target[fold.valid], predictions, config.scoring), predictions


def _run_tasks(config: Config, tasks: list[Any]) -> Iterator[FoldResult | str]:
    """Run tasks with joblib: with one worker in this process, otherwise in processes of one thread each."""
    processes = min(workers(config), len(tasks))
    results: Iterator[FoldResult | str] = Parallel(n_jobs=processes, return_as="generator")(tasks)
    return results


def workers(config: Config) -> int:
    """The number of fits at a time. `auto` counts the cores that this process may use, within a container's limit."""
    count = config.train.workers
    return cpu_count() if count == "auto" else count
