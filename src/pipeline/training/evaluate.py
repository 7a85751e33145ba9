"""The third phase of a training: fit the chosen candidate, open the holdout once, and evaluate the gates.

Nothing is chosen after the holdout is opened. Every computation is in another module.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from sklearn.base import BaseEstimator

from pipeline import console
from pipeline.config.config import Config
from pipeline.data import masking
from pipeline.data.keys import first_day
from pipeline.evaluation.bootstrap import Bootstrap, blocks, with_intervals
from pipeline.evaluation.metrics import constant_prediction
from pipeline.evaluation.slices import slices
from pipeline.registry import promotion
from pipeline.runtime import bundle_store
from pipeline.runtime.arrays import Examples
from pipeline.training import bundle, champion_predictions, estimators, gates, parallel, report, search, tables, unfit
from pipeline.training.champion_gates import gain_is_suspicious
from pipeline.training.champion_predictions import ChampionPredictions
from pipeline.training.evidence import Evidence, GateResult
from pipeline.training.fold_results import CandidateResult
from pipeline.training.leave_one_out import FeatureGain, feature_gains, features_to_leave_out
from pipeline.training.missing import FoldLosses, leave_out_tasks, mean_losses, on_holdout
from pipeline.training.phases import Evaluation, HoldoutEvaluation, Prepared, Selection
from pipeline.training.refit import ExportedModel, export, refit


def evaluate(
    config: Config,
    prepared: Prepared,
    selection: Selection,
    reports: Path,
    out: Console,
    *,
    everything: bool,
    restart: str | None,
) -> Evaluation:
    """Fit the chosen candidate on all rows before the holdout, open the holdout once, and evaluate the gates.

    With `everything`, the bundle gets a second model, fitted on all rows. The holdout evaluates the first model only.
    """
    masked = masking.with_copies(prepared.train, prepared.copies, prepared.parts.search)
    fitted, losses = fit_and_leave_out(config, prepared, selection.best, masked, out)
    model = export(config, fitted, masked, prepared.holdout, out)
    return assess(config, prepared, selection, model, losses, reports, out, everything=everything, restart=restart)


def assess(
    config: Config,
    prepared: Prepared,
    selection: Selection,
    model: ExportedModel,
    losses: Mapping[str, FoldLosses],
    reports: Path,
    out: Console,
    *,
    everything: bool,
    restart: str | None,
) -> Evaluation:
    """Open the holdout once, with a model that was trained on the rows before it, and evaluate the gates.

    `losses` are those without optional columns on the folds; a model that was trained elsewhere has none.
    """
    rows, copies, parts, train, holdout, warnings = prepared
    best = selection.best
    with console.step(out, f"Evaluate on the holdout, {parts.holdout_name}, opened once"):
        evaluation = open_holdout(config, holdout, model.session(holdout.data), blocks(rows.key[parts.holdout]))
        constant = constant_prediction(train.target, config.task, len(holdout.target))
        prior = masking.prior_of(rows)
        missing = on_holdout(config, holdout, model.session, prior, losses, constant, evaluation.blocks)
        importance = report.permutation_importance(config, holdout, model.session)
        evaluation = evaluation._replace(missing=missing, importance=importance)
        pictures = report.search_pictures(config, selection.trials, selection.results, best) if selection.trials else {}
        pictures |= report.holdout_pictures(config, holdout, evaluation.predictions, importance)
        report.draw(reports, config.task, pictures)

    if absent := unfit.absent_classes(holdout.target, config):
        warnings = [*warnings, tables.absent_classes_warning(absent)]
        out.print(warnings[-1], soft_wrap=True, highlight=False)
    out.print(tables.holdout_table(evaluation.figures))
    if evaluation.missing:
        out.print(tables.missing_table(evaluation.missing, config.loss))

    final = model
    learnt = train
    if everything:
        learnt = rows.examples
        final = refit(config, best, learnt, copies, holdout, out)
    export_error = model.export_error
    if final.export_error is not None:
        export_error = max(export_error or 0, final.export_error)

    files = bundle_files(config, prepared, best, evaluation, final, learnt, reports)
    champion = champion_on_holdout(config, prepared, evaluation, files)

    evidence = Evidence(
        train=train,
        holdout=holdout,
        predictions=evaluation.predictions,
        blocks=evaluation.blocks,
        figures=evaluation.figures,
        slices=evaluation.slices,
        missing=evaluation.missing,
        gains=[],
        champion=champion,
        export_error=export_error,
        session=final.session,
        size=sum(map(len, files.values())),
        restart=restart,
    )
    evidence = evidence._replace(gains=leave_features_out(config, prepared, selection, evidence, out))
    gate_results = run_gates(config, evidence, out)
    return Evaluation(files, learnt, model.session, evaluation, export_error, champion, restart, gate_results, warnings)


def fit_and_leave_out(
    config: Config, prepared: Prepared, best: CandidateResult, train: Examples, out: Console
) -> tuple[BaseEstimator, dict[str, FoldLosses]]:
    """Fit the candidate on all rows before the holdout, and meanwhile compare it on the sampled folds with candidates
    that are trained without each group of optional columns.
    """
    groups = ", ".join(masking.optional_groups(config))
    left_out = f", and leave out optional columns: {groups}" if groups else ""
    with console.step(out, f"Refit {best.name} on everything before the holdout{left_out}") as say:
        sampled = search.sample_folds(config, prepared.parts.folds, blocks(prepared.rows.key)).folds
        refit = (estimators.fit, best.settings, parallel.shareable(train.data), train.target, config.train)
        tasks = leave_out_tasks(config, prepared.rows, prepared.copies, sampled, best)
        fitted, *results = parallel.run(config, parallel.call, [refit, *tasks])
        say(masking.sizes(prepared.train, train))
    return fitted, mean_losses(results, list(masking.optional_groups(config)))


def leave_features_out(
    config: Config, prepared: Prepared, selection: Selection, evidence: Evidence, out: Console
) -> list[FeatureGain]:
    """Measure what single features are worth, on the folds that the trials were evaluated on.

    That tells where the gain of a first model, of new features, or over the champion comes from. A model that has the
    champion's features and about its loss has no such gain, and no feature is left out. How strong a feature is, the
    model's predictions for training rows tell.
    """
    if not selection.trials:
        return []
    rows, copies, parts, train, *_ = prepared
    importance = report.permutation_importance(config, train, evidence.session)
    champion = evidence.champion
    names = features_to_leave_out(importance, champion.features if champion else ())
    if champion and not any(names.values()) and not gain_is_suspicious(config, evidence):
        return []

    _, data, target = masking.with_copies(rows.examples, copies)
    folds = masking.folds_with_copies(parts.folds, copies, len(rows.key))
    sampled = search.sample_folds(config, folds, masking.blocks_with_copies(rows.key, copies))
    best = selection.best
    trial = next(trial for trial in selection.trials if (trial.name, trial.settings) == (best.name, best.settings))

    with console.step(out, f"Leave out single features: {', '.join(names)}") as say:
        gains = feature_gains(config, parallel.shareable(data), target, sampled.folds, trial, names)
        most = max(gains, key=lambda feature: feature.gain)
        say(f"{most.name} lowers the {config.loss} most, by {most.gain:.4f}")
    return gains


def open_holdout(
    config: Config, holdout: Examples, predictions: NDArray[np.float64], block_ids: NDArray[np.int64]
) -> HoldoutEvaluation:
    """Compute the metrics of the exported model's predictions on the holdout, with intervals: all rows, each slice.

    `predictions` and `block_ids` have shape [rows]. Raises DataError if all outcomes of the holdout are the same.
    """
    unfit.refuse_uniform(holdout.target, config.target, "the holdout", "a larger holdout")
    plan = Bootstrap(config.scoring, config.train.resamples, config.train.seed)
    rule = config.gates.slices

    figures = with_intervals(holdout.target, predictions, block_ids, plan)
    slice_plan = plan._replace(resamples=100)
    parts = slices(holdout.request, rule.columns, rule.min_rows, holdout.target, predictions, block_ids, slice_plan)
    return HoldoutEvaluation(predictions, block_ids, figures, parts, [], {})


def bundle_files(
    config: Config,
    prepared: Prepared,
    best: CandidateResult,
    evaluation: HoldoutEvaluation,
    model: ExportedModel,
    learnt: Examples,
    reports: Path,
) -> dict[str, bytes]:
    """Make the files of the bundle, except `record.json`. `learnt` are the rows that `model` was trained on."""
    files = bundle.package(config, model.onnx, learnt, evaluation.figures, prepared.rows.rolling_state)
    files |= bundle.display_files(config, prepared.holdout, reports)
    files["reference.json"] = bundle.monitoring_reference(
        config, prepared.rows, prepared.parts, best, evaluation.predictions, learnt, model.session
    )
    return files


def champion_on_holdout(
    config: Config, prepared: Prepared, evaluation: HoldoutEvaluation, files: Mapping[str, bytes]
) -> ChampionPredictions | None:
    """Predict the holdout with the champion. None if there is no champion."""
    rows = prepared.rows
    in_holdout = prepared.parts.holdout
    return champion_predictions.predict_with_champion(
        promotion.home(config),
        config.contract,
        bundle_store.digest(files["bundle.json"]),
        prepared.holdout.request,
        rows.row_key[in_holdout],
        evaluation.predictions,
        first_day(rows.key[in_holdout]),
    )


def run_gates(config: Config, evidence: Evidence, out: Console) -> list[GateResult]:
    """Evaluate every gate and print the results."""
    with console.step(out, "Evaluate the gates") as say:
        results = gates.evaluate_gates(config, evidence)
        refused = sum(not result.passed for result in results)
        warned = sum(result.warning for result in results if result.passed)
        summary = f"{refused} of {len(results)} refuse" if refused else f"all {len(results)} pass"
        say(f"{summary}, {warned} with a warning" if warned else summary)

    out.print(tables.gates_table(results), soft_wrap=True)
    return results
