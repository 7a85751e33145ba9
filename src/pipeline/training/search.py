"""The search for the best candidate.

Trials on a sample of the days find the best settings of each kind of model. The kinds are then compared on all rows.
This module uses the folds and never the holdout.
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
from pipeline.evaluation.metrics import constant_prediction, metrics, spread, standard_error
from pipeline.runtime.arrays import Tensors
from pipeline.runtime.contract import Scoring
from pipeline.runtime.predictor import Session
from pipeline.training import estimators
from pipeline.training.export import onnx

Array = NDArray[Any]
Say = Callable[[str], None]
FoldResult = tuple[dict[str, float], Array]
PROBE = 600  # rows for the export of each candidate before the search begins


class CandidateResult(NamedTuple):
    """A candidate with its metrics and its predictions [validation rows] by fold.

    `error` is the message of a fit that failed, and None if every fit succeeded.
    """

    name: str
    settings: Settings
    folds: dict[str, dict[str, float]]
    error: str | None = None
    predictions: Mapping[str, Array] = MappingProxyType({})

    def mean(self, metric: str) -> float:
        """Return the mean of a metric over the folds; infinity if a fit failed."""
        if self.error:
            return np.inf
        return float(np.mean([figures[metric] for figures in self.folds.values()]))


def refuse_unfit(data: Tensors, target: Array, folds: list[Fold], config: Config) -> None:
    """Check the folds and the export of every candidate before the search.

    Raises DataError if all training or all validation outcomes of a fold are the same, or if a feature has no value in
    the training rows of a fold. Raises RefusedError if the export of a candidate is not exact.
    """
    for fold in folds:
        where = f"rows of fold {fold.name}"
        refuse_uniform(target[fold.train], config.target, f"the training {where}", "fewer or shorter folds")
        refuse_absent_class(target[fold.train], config, f"the training {where}", "fewer or shorter folds")
        refuse_uniform(target[fold.valid], config.target, f"the validation {where}", "fewer or longer folds")
        refuse_empty(data.take(fold.train), config, f"the training rows of fold {fold.name}")

    rows = probe_rows(target, np.random.default_rng(config.train.seed).permutation(folds[-1].train), config)
    probe = data.take(rows)
    outcome = target[rows]
    unit = spread(outcome, config.task)

    for name, settings in config.candidates.named().items():
        fitted = estimators.fit(settings, probe, outcome, config.train)
        session = Session(onnx.to_onnx(fitted, probe, name))
        onnx.refuse_inexact(fitted, session, probe, unit, config.gates.max_export_error, config.train.seed)


def probe_rows(target: Array, rows: Array, config: Config) -> Array:
    """The first of these rows, and the first one of each class: a probe without a class has another export."""
    first_of_class = [rows[target[rows] == number][:1] for number in range(len(config.classes))]
    return np.unique(np.concatenate([rows[:PROBE], *first_of_class])) if first_of_class else rows[:PROBE]


def run_trials(
    config: Config, data: Tensors, target: Array, folds: list[Fold], unit: Array, say: Say
) -> list[CandidateResult]:
    """Run every trial of every kind on a sample of the blocks in `unit` [rows]. Return the results in order.

    The study proposes a whole batch before it gets the first result of that batch, and it gets the results in the order
    of the proposals. So the trials do not depend on the number of workers.

    Raises DataError if the sample leaves a fold without rows, or with one outcome only.
    """
    sampled_folds = sample_folds(config, folds, unit)
    for fold in sampled_folds:
        where = f"the sampled rows of fold {fold.name}"
        refuse_uniform(target[fold.train], config.target, where, "a larger search.sample")
        refuse_absent_class(target[fold.train], config, where, "a larger search.sample")
    kinds = config.candidates.named()
    plans = {name: config.search.plan(name) for name in kinds}
    studies = {name: _study(kinds[name], plan, config.train.seed) for name, plan in plans.items()}
    most = max(plan.trials for plan in plans.values())

    results: list[CandidateResult] = []
    for first in range(0, most, config.search.batch):
        proposals: list[tuple[str, optuna.Trial, Settings]] = []
        for name, plan in plans.items():
            for _ in range(min(config.search.batch, plan.trials - first)):
                trial = studies[name].ask()
                proposals.append((name, trial, _sampled_settings(kinds[name], plan, trial)))

        candidates = [(name, settings) for name, _, settings in proposals]
        batch = evaluate_candidates(config, data, target, sampled_folds, candidates, say)
        for (name, trial, _), result in zip(proposals, batch, strict=True):
            if result.error:
                studies[name].tell(trial, state=TrialState.FAIL)
            else:
                studies[name].tell(trial, result.mean(config.loss))
        results += batch

    return results


def sample_folds(config: Config, folds: list[Fold], unit: Array) -> list[Fold]:
    """Reduce the folds to the share `search.sample` of the blocks in `unit` [rows].

    Raises DataError if a fold has no rows left to train on or to predict.
    """
    rows = sample(unit, config.search.sample, config.train.seed)

    sampled_folds = []
    for fold in folds:
        train = np.intersect1d(fold.train, rows)
        valid = np.intersect1d(fold.valid, rows)
        if not len(train) or not len(valid):
            share = f"{config.search.sample:g}"
            raise DataError(
                f"search.sample {share} leaves fold {fold.name} without rows to train or evaluate on. Raise it"
            )

        sampled_folds.append(Fold(fold.name, train, valid))
    return sampled_folds


def best_of_each(trials: list[CandidateResult], loss: str) -> list[CandidateResult]:
    """Return the trial with the lowest mean loss of each kind, without the kinds whose trials all failed.

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
    config: Config, data: Tensors, target: Array, folds: list[Fold], candidates: list[tuple[str, Settings]], say: Say
) -> list[CandidateResult]:
    """Evaluate each candidate, a name with its settings, on each fold. `say` gets a line for each finished fit.

    Returns the results in the order of the candidates.
    """
    jobs = []
    for n in reversed(range(len(candidates))):  # begin with the slow kinds, which come last
        jobs += [(n, fold) for fold in folds]
    tasks = [delayed(evaluate_fold)(candidates[n][1], data, target, fold, config) for n, fold in jobs]

    figures: list[dict[str, dict[str, float]]] = [{} for _ in candidates]
    predictions: list[dict[str, Array]] = [{} for _ in candidates]
    errors: dict[int, str] = {}
    for (n, fold), result in zip(jobs, _run_tasks(config, tasks), strict=True):
        if isinstance(result, str):
            errors[n] = result
            continue

        fold_metrics, fold_predictions = result
        figures[n][fold.name] = fold_metrics
        predictions[n][fold.name] = fold_predictions
        say(f"{candidates[n][0]} on {fold.name}: {config.loss} {fold_metrics[config.loss]:.4f}")

    return [
        CandidateResult(name, settings, figures[n], errors.get(n), predictions[n])
        for n, (name, settings) in enumerate(candidates)
    ]


def choose(standings: list[CandidateResult], loss: str) -> CandidateResult:
    """Choose the simplest candidate whose mean loss is within one standard error of the lowest.

    This is the one-standard-error rule (Breiman et al., Classification and Regression Trees, 1984) with the standard
    error of the difference to the best candidate over the folds: a fold that is hard for both cancels out.

    Raises DataError if every candidate failed.
    """
    fitted = [result for result in standings if not result.error]
    if not fitted:
        raise DataError(f"every candidate failed, {standings[0].name} with: {standings[0].error}")

    best = min(fitted, key=lambda result: result.mean(loss))
    near = [result for result in fitted if result.mean(loss) - best.mean(loss) <= _standard_error(result, best, loss)]
    return near[0]  # the simplest kind comes first


def _standard_error(result: CandidateResult, best: CandidateResult, loss: str) -> float:
    """Compute the standard error of the mean difference in loss to the best, over the folds."""
    return standard_error(np.array([result.folds[name][loss] - best.folds[name][loss] for name in best.folds]))


def _study(settings: Settings, plan: Trials, seed: int) -> optuna.Study:
    """Create a study whose first trial has the configured settings."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial({key: getattr(settings, key) for key in plan.space})
    return study


def _sampled_settings(settings: Settings, plan: Trials, trial: optuna.Trial) -> Settings:
    """Draw the settings of one trial. A setting that is an integer in the config stays an integer."""
    drawn: dict[str, Any] = {}
    for key, bounds in plan.space.items():
        kind = type(getattr(settings, key))
        suggest: Any = trial.suggest_int if issubclass(kind, int) else trial.suggest_float
        drawn[key] = suggest(key, kind(bounds.low), bounds.high, log=bounds.log)
    return settled(settings, drawn)


def baseline(target: Array, folds: list[Fold], scoring: Scoring) -> dict[str, float]:
    """Compute the mean metrics over the folds of a constant prediction: the best one for the fold's training rows."""
    by_fold = []
    for fold in folds:
        constant = constant_prediction(target[fold.train], scoring.task, len(fold.valid))
        by_fold.append(metrics(target[fold.valid], constant, scoring))

    means = {}
    for metric in by_fold[0]:
        means[metric] = float(np.mean([figures[metric] for figures in by_fold]))
    return means


def refuse_uniform(target: Array, name: str, where: str, remedy: str) -> None:
    """Raise DataError if all outcomes are the same: there is nothing to learn or to evaluate."""
    if (target == target[0]).all():
        fact = f"{name}: all {len(target)} outcomes in {where} are the same, {target[0]}"
        raise DataError(f"{fact}. Use {remedy}, or more rows")


def absent_classes(target: Array, config: Config) -> list[str]:
    """The classes of a multiclass task that no row has."""
    return [name for number, name in enumerate(config.classes) if not (target == number).any()]


def refuse_absent_class(target: Array, config: Config, where: str, remedy: str) -> None:
    """Raise DataError if a class of a multiclass task has no row: no model could say it."""
    if absent := absent_classes(target, config):
        raise DataError(
            f"{config.target}: no row of {', '.join(absent)} in {where}. Use {remedy}, or leave the class out: under "
            f"values of {config.target}, and its rows"
        )


def refuse_empty(data: Tensors, config: Config, where: str) -> None:
    """Raise DataError if a feature has no value at all."""
    contract = config.contract
    empty = [name for name, column in zip(contract.strings, data.strings.T, strict=True) if not (column != "").any()]
    empty += [name for name, column in zip(contract.numbers, data.numbers.T, strict=True) if np.isnan(column).all()]

    if empty:
        raise DataError(f"{', '.join(empty)}: no value at all in {where}. Remove from features what has none")


def evaluate_fold(settings: Settings, data: Tensors, target: Array, fold: Fold, config: Config) -> FoldResult | str:
    """Fit on the training rows of a fold and predict its validation rows.

    Returns the metrics and the predictions [validation rows], or the message of the error if the fit failed.
    """
    try:
        fitted = estimators.fit(settings, data.take(fold.train), target[fold.train], config.train)
        predictions = estimators.predict(fitted, data.take(fold.valid))
    except Exception as error:  # noqa: BLE001 -- reason: one failed trial is recorded, and the others go on
        return f"{type(error).__name__}: {error}"
    return metrics(target[fold.valid], predictions, config.scoring), predictions


def _run_tasks(config: Config, tasks: list[Any]) -> Iterator[FoldResult | str]:
    """Run tasks with joblib: with one worker in this process, otherwise in processes of one thread each."""
    processes = min(workers(config), len(tasks))
    results: Iterator[FoldResult | str] = Parallel(n_jobs=processes, return_as="generator")(tasks)
    return results


def workers(config: Config) -> int:
    """Return the number of parallel fits. `auto` is the number of cores that the process or its container may use."""
    count = config.train.workers
    return cpu_count() if count == "auto" else count
