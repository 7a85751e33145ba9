"""The search for the best candidate.

Trials on a sample of the days find the best settings of each kind of model. The kinds are then compared on all rows.
A trial ends, and a kind goes no further, where another one is better beyond three standard errors.
This module uses the folds and never the holdout.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.trial import TrialState

from pipeline.candidates.kind import Kind, Trials
from pipeline.config.candidates import settled
from pipeline.config.config import Config
from pipeline.data.split import Fold, sample
from pipeline.errors import DataError
from pipeline.evaluation.metrics import constant_prediction, mean_of_blocks, metrics, row_losses, standard_error
from pipeline.runtime.arrays import Tensors
from pipeline.runtime.contract import Scoring
from pipeline.training.fold_results import CandidateResult, Fits, Say, evaluate_candidates
from pipeline.training.unfit import refuse_absent_class, refuse_uniform

Array = NDArray[Any]
MOST_ERRORS = 3.0  # standard errors by which the loss of a trial that goes on may be higher


class SampledFolds(NamedTuple):
    """The rows that trials are evaluated on: the folds, and the block of each row [rows]."""

    folds: list[Fold]
    unit: Array


def run_trials(config: Config, data: Tensors, target: Array, rows: SampledFolds, say: Say) -> list[CandidateResult]:
    """Run every trial of every kind on the sampled rows. Return the results in order.

    The study proposes a whole batch before it gets the first result of that batch, and it gets the results in the order
    of the proposals. A batch goes from fold to fold, and the trials that are clearly worse stay behind. So the trials
    do not depend on the number of workers.

    Raises DataError if the sample leaves a fold with one outcome only.
    """
    for fold in rows.folds:
        where = f"the sampled rows of fold {fold.name}"
        refuse_uniform(target[fold.train], config.target, where, "a larger search.sample")
        refuse_absent_class(target[fold.train], config, where, "a larger search.sample")
    kinds = config.candidates.named()
    plans = {name: config.search.plan(name) for name in kinds}
    studies = {name: _study(kinds[name], plan, config.train.seed) for name, plan in plans.items()}
    most = max(plan.trials for plan in plans.values())

    results: list[CandidateResult] = []
    fits: Fits = {}
    for first in range(0, most, config.search.batch):
        proposals: list[tuple[str, optuna.Trial, Kind]] = []
        for name, plan in plans.items():
            for _ in range(min(config.search.batch, plan.trials - first)):
                trial = studies[name].ask()
                proposals.append((name, trial, _sampled_settings(kinds[name], plan, trial)))

        batch = [CandidateResult(name, settings, {}) for name, _, settings in proposals]
        for number in range(len(rows.folds)):
            batch = with_next_fold(config, data, target, rows, number, batch, results, say, fits)
        for (name, trial, _), result in zip(proposals, batch, strict=True):
            _tell(studies[name], trial, result, config.loss)
        results += batch

    return results


def with_next_fold(
    config: Config,
    data: Tensors,
    target: Array,
    rows: SampledFolds,
    number: int,
    batch: list[CandidateResult],
    earlier: list[CandidateResult],
    say: Say,
    fits: Fits,
) -> list[CandidateResult]:
    """Evaluate the trials of a batch that are still going on fold `number`, and stop those that are clearly worse.

    A trial ends where it is clearly worse than the best one of its kind so far, in this batch or among the `earlier`
    results. It ends too where that best one is clearly worse than another kind's: only the best one of such a kind goes
    on.
    """
    going = [n for n, result in enumerate(batch) if not result.error and not result.stopped]
    candidates = [(batch[n].name, batch[n].settings) for n in going]
    batch = list(batch)
    next_fold = [rows.folds[number]]
    evaluated = evaluate_candidates(config, data, target, next_fold, candidates, say, fits)
    for n, result in zip(going, evaluated, strict=True):
        batch[n] = batch[n].and_on(result)

    if number == len(rows.folds) - 1:
        return batch

    names = [fold.name for fold in rows.folds[: number + 1]]
    complete = [result.only_on(names) for result in [*earlier, *batch] if not result.error and not result.stopped]
    best = {trial.name: trial for trial in sorted(complete, key=lambda trial: -trial.mean(config.loss))}
    worse_kinds = {trial.name for trial in contenders(config, target, rows, list(best.values()))[1]}
    for n in going:
        name = batch[n].name
        if batch[n].error or batch[n].settings == best[name].settings:
            continue
        stopped = name in worse_kinds or is_clearly_worse(batch[n], best[name], target, rows, config)
        batch[n] = batch[n]._replace(stopped=stopped)
    return batch


def is_clearly_worse(
    result: CandidateResult, best: CandidateResult, target: Array, rows: SampledFolds, config: Config
) -> bool:
    """Tell whether the mean loss over the folds of `result` is higher by more than three standard errors."""
    differences = []
    errors = []
    for fold in rows.folds:
        if fold.name in result.folds:
            outcome = target[fold.valid]
            worse = row_losses(outcome, result.predictions[fold.name], config.task)
            better = row_losses(outcome, best.predictions[fold.name], config.task)
            mean, error = mean_of_blocks(worse - better, rows.unit[fold.valid])
            differences.append(mean)
            errors.append(error)
    return bool(np.sum(differences) > MOST_ERRORS * np.linalg.norm(errors))


def contenders(
    config: Config, target: Array, rows: SampledFolds, best_trials: Sequence[CandidateResult]
) -> tuple[list[CandidateResult], list[CandidateResult]]:
    """Divide the best trials of the kinds into those to be compared on all rows, and those that are clearly worse."""
    best = min(best_trials, key=lambda trial: trial.mean(config.loss), default=None)

    on_all_rows: list[CandidateResult] = []
    worse: list[CandidateResult] = []
    for trial in best_trials:
        side = worse if best and is_clearly_worse(trial, best, target, rows, config) else on_all_rows
        side.append(trial)
    return on_all_rows, worse


def sample_folds(config: Config, folds: list[Fold], unit: Array) -> SampledFolds:
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
    return SampledFolds(sampled_folds, unit)


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


def _study(settings: Kind, plan: Trials, seed: int) -> optuna.Study:
    """Create a study whose first trial has the configured settings."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial({key: getattr(settings, key) for key in plan.space})
    return study


def _tell(study: optuna.Study, trial: optuna.Trial, result: CandidateResult, loss: str) -> None:
    """Tell a study how a trial ended: with its loss, with an error, or before its last fold."""
    if result.error:
        study.tell(trial, state=TrialState.FAIL)
    elif result.stopped:
        trial.report(result.mean_so_far(loss), step=len(result.folds))
        study.tell(trial, state=TrialState.PRUNED)
    else:
        study.tell(trial, result.mean(loss))


def _sampled_settings(settings: Kind, plan: Trials, trial: optuna.Trial) -> Kind:
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
