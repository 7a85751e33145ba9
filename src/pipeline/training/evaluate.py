"""The third phase of a training: fit the chosen candidate, open the holdout once, and evaluate the gates.

Nothing is chosen after the holdout is opened. Every computation is in another module.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from sklearn.base import BaseEstimator

from pipeline import console
from pipeline.config.config import Config
from pipeline.data import masking
from pipeline.data.keys import first_day
from pipeline.evaluation.bootstrap import blocks, with_intervals
from pipeline.evaluation.metrics import constant_prediction
from pipeline.evaluation.slices import slices
from pipeline.registry import promotion
from pipeline.runtime import bundle_store
from pipeline.runtime.arrays import Examples
from pipeline.runtime.predictor import Session
from pipeline.training import bundle, champion_predictions, estimators, gates, parallel, search, tables, unfit
from pipeline.training.champion_gates import gain_is_suspicious
from pipeline.training.champion_predictions import ChampionPredictions
from pipeline.training.evidence import Evidence, GateResult, bootstrap
from pipeline.training.fold_results import CandidateResult
from pipeline.training.importance import permutation_importance
from pipeline.training.leave_one_out import FeatureGain, feature_gains, features_to_leave_out
from pipeline.training.missing import FoldLosses, leave_out_tasks, mean_losses, on_holdout
from pipeline.training.phases import Evaluation, HoldoutEvaluation, Prepared, Selection
from pipeline.training.refit import PackagedModel, export, refit


def evaluate(
    config: Config, prepared: Prepared, selection: Selection, out: Console, *, everything: bool, restart: str | None
) -> Evaluation:
    """Fit the chosen candidate on all rows before the holdout, open the holdout once, and evaluate the gates.

    With `everything`, the bundle gets a second model, fitted on all rows. The holdout evaluates the first model only.
    """
    masked = masking.with_copies(prepared.train, prepared.copies, prepared.parts.search)
    fitted, losses = fit_and_leave_out(config, prepared, selection.best, masked, out)
    model = export(config, fitted, masked, prepared.holdout, out)
    holdout = open_holdout(config, prepared, model.session, losses, out)

    learnt = prepared.train
    if everything:
        learnt = prepared.rows.examples
        second = refit(config, selection.best, learnt, prepared.copies, prepared.holdout, out)
        model = second._replace(export_error=max(model.export_error or 0, second.export_error or 0))
    return evaluate_bundle(config, prepared, selection, holdout, PackagedModel(model, learnt), out, restart=restart)


def evaluate_bundle(
    config: Config,
    prepared: Prepared,
    selection: Selection,
    holdout: HoldoutEvaluation,
    packaged: PackagedModel,
    out: Console,
    *,
    restart: str | None,
) -> Evaluation:
    """Make the files of the bundle, compare with the champion on the holdout, and evaluate the gates."""
    files = bundle.package(config, packaged.model.onnx, packaged.learnt, holdout.figures, prepared.rows.rolling_state)
    files["examples.json"] = bundle.examples(config, prepared.holdout)
    files["reference.json"] = bundle.monitoring_reference(
        config, prepared.rows, prepared.parts, selection.best, holdout.predictions, packaged
    )
    champion = champion_on_holdout(config, prepared, holdout.predictions, files)

    evidence = Evidence(
        train=prepared.train,
        holdout=prepared.holdout,
        predictions=holdout.predictions,
        blocks=holdout.blocks,
        figures=holdout.figures,
        slices=holdout.slices,
        missing=holdout.missing,
        gains=[],
        champion=champion,
        export_error=packaged.model.export_error,
        session=packaged.model.session,
        size=sum(map(len, files.values())),
        restart=restart,
    )
    evidence = evidence._replace(gains=leave_features_out(config, prepared, selection, evidence, out))
    return Evaluation(files, packaged, holdout, champion, restart, run_gates(config, evidence, out))


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
    importance = permutation_importance(config, train, evidence.session)
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
    config: Config, prepared: Prepared, session: Session, losses: Mapping[str, FoldLosses], out: Console
) -> HoldoutEvaluation:
    """Open the holdout once, with a model that was trained on the rows before it.

    `losses` are those without optional columns on the folds; a model that was trained elsewhere has none. Raises
    DataError if all outcomes of the holdout are the same.
    """
    rows, _, parts, train, holdout, _ = prepared
    plan = bootstrap(config)
    rule = config.gates.slices

    with console.step(out, f"Evaluate on the holdout, {parts.holdout_name}, opened once"):
        unfit.refuse_uniform(holdout.target, config.target, "the holdout", "a larger holdout")
        predictions = session(holdout.data)
        unit = blocks(rows.key[parts.holdout])
        figures = with_intervals(holdout.target, predictions, unit, plan)

        of_slices = plan._replace(resamples=100)
        groups = slices(holdout.request, rule.columns, rule.min_rows, holdout.target, predictions, unit, of_slices)
        constant = constant_prediction(train.target, config.task, len(holdout.target))
        missing = on_holdout(config, holdout, session, masking.prior_of(rows), losses, constant, unit)
        importance = permutation_importance(config, holdout, session)

    absent = unfit.absent_classes(holdout.target, config)
    warnings = [tables.absent_classes_warning(absent)] if absent else []
    for warning in warnings:
        out.print(warning, soft_wrap=True, highlight=False)
    out.print(tables.holdout_table(figures))
    if missing:
        out.print(tables.missing_table(missing, config.loss))
    return HoldoutEvaluation(session, predictions, unit, figures, groups, missing, importance, warnings)


def champion_on_holdout(
    config: Config, prepared: Prepared, predictions: NDArray[np.float64], files: Mapping[str, bytes]
) -> ChampionPredictions | None:
    """Predict the holdout with the champion. None if there is no champion. `predictions` are those of the new model."""
    rows = prepared.rows
    in_holdout = prepared.parts.holdout
    return champion_predictions.predict_with_champion(
        promotion.home(config),
        config.contract,
        bundle_store.digest(files["bundle.json"]),
        prepared.holdout.request,
        rows.row_key[in_holdout],
        predictions,
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
