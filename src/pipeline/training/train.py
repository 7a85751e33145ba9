"""A training, in four phases: prepare, select, evaluate, publish. Read this file first."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from pipeline import console
from pipeline.config.config import Config
from pipeline.data.keys import first_day
from pipeline.data.read import TrainingRows, read
from pipeline.data.split import Fold, Split, split
from pipeline.errors import RefusedError
from pipeline.evaluation.bootstrap import Bootstrap, Interval, blocks, with_intervals
from pipeline.evaluation.slices import Slice, slices
from pipeline.registry import mlflow_store, promotion
from pipeline.registry.run_folder import make_folders, working_folder
from pipeline.runtime import bundle_store
from pipeline.runtime.arrays import Examples, json_bytes
from pipeline.training import bundle, champion_predictions, gates, report, run_record, search, tables
from pipeline.training.champion_predictions import ChampionPredictions
from pipeline.training.refit import refit
from pipeline.training.search import CandidateResult

UNITS = {"time": "days", "group": "groups", "row": "rows"}


class Outcome(NamedTuple):
    """The result of a training. `news` is true if there is a new champion.

    If the holdout stays closed there is no bundle, since nothing says how good it would be.
    """

    standings: list[CandidateResult]
    holdout: dict[str, Interval]
    bundle: Path | None
    news: bool = False


class Prepared(NamedTuple):
    """Valid rows, how they are divided, the rows to train on, and the holdout, which is used at the end only."""

    rows: TrainingRows
    parts: Split
    train: Examples
    holdout: Examples


class Selection(NamedTuple):
    """The chosen candidate, every trial, and the best candidate of each kind on all rows."""

    best: CandidateResult
    trials: list[CandidateResult]
    results: list[CandidateResult]


class HoldoutEvaluation(NamedTuple):
    """Predictions on the holdout [rows], their blocks [rows], and the metrics of all rows and of each slice."""

    predictions: NDArray[np.float64]
    blocks: NDArray[np.int64]
    figures: dict[str, Interval]
    slices: list[Slice]


class Evaluation(NamedTuple):
    """The files of the new bundle, the rows that the model has learned from, its metrics, and the gates' results."""

    files: dict[str, bytes]
    learnt: Examples
    holdout: HoldoutEvaluation
    export_error: float
    champion: ChampionPredictions | None
    restart: str | None
    gate_results: list[gates.GateResult]


def run(config: Config, out: Console, *, everything: bool = False, restart: str | None = None) -> Outcome:
    """Train from raw rows to a champion.

    With `everything`, the chosen settings are fitted once more on all rows after the holdout has evaluated them, and
    that model is promoted. With `restart`, a reason, the gate does not compare with a champion of another contract.

    Raises RefusedError if a gate refuses. The bundle exists then, and the champion stays.
    """
    models = promotion.home(config)
    home = Path(config.paths.reports)
    make_folders(models=models, reports=home)
    moved = mlflow_store.connect(config.name, config.paths.tracking)
    for mended in [*moved, *promotion.reconcile(config)]:
        out.print(f"Mended: {mended}", soft_wrap=True, highlight=False)

    if restart and not champion_predictions.asks_otherwise(models, config.contract):
        out.print("No restart: no champion here answers another contract, so the gates ask what they always ask.")
        restart = None

    with working_folder(home, config.name) as reports, mlflow_store.run(reports.parent.name) as run_id:
        prepared = prepare(config, reports, out)
        selection = select(config, prepared, out)
        if config.split.test == "none":
            with console.step(out, "Record"):
                drawn = report.search_pictures(config, selection.trials, selection.results, selection.best)
                report.draw(reports, config.task, drawn)
                about = record_facts(config, prepared, selection, prepared.train)
                run_record.log_training(config, selection.best, evaluated_candidates(selection), {}, about, reports)
            return Outcome(selection.results, {}, None)

        evaluation = evaluate(config, prepared, selection, reports, out, everything=everything, restart=restart)
        return publish(config, prepared, selection, evaluation, reports, run_id, out)


# --- prepare --------------------------------------------------------------------------------------------------------


def prepare(config: Config, reports: Path, out: Console) -> Prepared:
    """Read, clean and divide the data. Nothing uses the holdout before `evaluate`."""
    with console.step(out, "Read and clean the data") as say:
        rows = read(config, reports)
        say(
            f"{len(rows.key):,} rows, {describe_target(rows.examples.target)}; "
            f"{rows.about['rows']['rejected']:,} rejected, {nullified(rows.about):,} values set to missing"
        )

    parts = split(rows.key, config.split)
    return Prepared(rows, parts, rows.examples.take(parts.search), rows.examples.take(parts.holdout))


def nullified(about: Mapping[str, Any]) -> int:
    """The number of values that broke a rule and were set to missing."""
    return sum(rule["rows"] for rule in about["data"]["rules"] if rule["action"] == "nullify")


def describe_target(target: NDArray[Any]) -> str:
    return f"{target.mean():.1%} positive" if target.dtype == np.bool_ else f"{np.median(target):.4g} in the middle"


# --- select ---------------------------------------------------------------------------------------------------------


def select(config: Config, prepared: Prepared, out: Console) -> Selection:
    """Compare the candidates on the folds, and choose one."""
    rows, folds = prepared.rows, prepared.parts.folds
    trials, results = compare(config, rows, folds, out)

    best = search.choose(results, config.loss)
    baseline = search.baseline(rows.examples.target, folds, config.scoring)
    out.print(tables.leaderboard(results, best, baseline, config.loss, trials))
    return Selection(best, trials, results)


def compare(
    config: Config, rows: TrainingRows, folds: list[Fold], out: Console
) -> tuple[list[CandidateResult], list[CandidateResult]]:
    """Evaluate every trial on a sample of the days, and then the best trial of each kind on all rows."""
    data = rows.examples.data
    target = rows.examples.target
    named = config.candidates.named()
    with console.step(out, f"Try whether each of {len(named)} candidates can be exported") as say:
        search.refuse_unfit(data, target, folds, config)
        say(", ".join(named))

    with console.step(out, f"Search on {config.search.sample:.0%} of the {UNITS[config.split.by]}") as say:
        trials = search.run_trials(config, data, target, folds, blocks(rows.key), say)
        lost = sum(trial.error is not None for trial in trials)
        failed = f", {lost} lost" if lost else ""
        say(f"{len(trials)} trials{failed}")

    best = search.best_of_each(trials, config.loss)
    if config.search.sample == 1:  # all rows have evaluated them already
        return trials, best

    with console.step(out, f"Judge the best of each kind on all rows of {len(folds)} folds") as say:
        candidates = [(trial.name, trial.settings) for trial in best]
        results = search.evaluate_candidates(config, data, target, folds, candidates, say)
        lowest = min(results, key=lambda result: result.mean(config.loss))
        say(f"{lowest.name} has the lowest {config.loss}")
    return trials, results


# --- evaluate -------------------------------------------------------------------------------------------------------


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
    """Fit the chosen candidate on all rows before the holdout, open the holdout once, and evaluate the gates."""
    rows, parts, train, holdout = prepared
    best = selection.best

    judged = refit(config, best, train, holdout, "everything before the holdout", out)
    with console.step(out, f"Open the holdout, {parts.holdout_name}, once"):
        opened = open_holdout(config, holdout, judged.session(holdout.data), blocks(rows.key[parts.holdout]))
        drawn = report.search_pictures(config, selection.trials, selection.results, best)
        drawn |= report.holdout_pictures(config, holdout, opened.predictions, judged.session)
        report.draw(reports, config.task, drawn)
    out.print(tables.holdout_table(opened.figures))

    learnt = rows.examples if everything else train
    final = refit(config, best, learnt, holdout, "everything", out) if everything else judged
    export_error = max(judged.export_error, final.export_error)

    files = bundle.package(config, final.onnx, learnt, opened.figures, rows.rolling_state)
    files |= bundle.display_files(config, holdout, reports)
    files["reference.json"] = bundle.monitoring_reference(
        config, rows, parts, best, opened.predictions, learnt, final.session
    )

    champion = champion_predictions.predict_with_champion(
        promotion.home(config),
        config.contract,
        bundle_store.digest(files["bundle.json"]),
        holdout.request,
        rows.row_key[parts.holdout],
        opened.predictions,
        first_day(rows.key[parts.holdout]),
    )
    size = sum(map(len, files.values()))
    evidence = gates.Evidence(train, holdout, *opened, champion, export_error, final.session, size, restart)
    return Evaluation(files, learnt, opened, export_error, champion, restart, ask_gates(config, evidence, out))


def open_holdout(
    config: Config, holdout: Examples, predictions: NDArray[np.float64], block_ids: NDArray[np.int64]
) -> HoldoutEvaluation:
    """Evaluate predictions of the exported model on the holdout: metrics with intervals, of all rows and by slice."""
    search.refuse_uniform(holdout.target, config.target, "the holdout")
    plan = Bootstrap(config.scoring, config.train.resamples, config.train.seed)
    rule = config.gates.slices

    figures = with_intervals(holdout.target, predictions, block_ids, plan)
    fewer = plan._replace(resamples=100)
    parts = slices(holdout.request, rule.columns, rule.rows, holdout.target, predictions, block_ids, fewer)
    return HoldoutEvaluation(predictions, block_ids, figures, parts)


def ask_gates(config: Config, evidence: gates.Evidence, out: Console) -> list[gates.GateResult]:
    """Evaluate every gate and print the results."""
    with console.step(out, "Ask every gate") as say:
        verdicts = gates.evaluate_gates(config, evidence)
        refused = sum(not verdict.passed for verdict in verdicts)
        say(f"{refused} of {len(verdicts)} refuse" if refused else f"all {len(verdicts)} pass")
    out.print(tables.gates_table(verdicts), soft_wrap=True)
    return verdicts


# --- publish --------------------------------------------------------------------------------------------------------


def publish(
    config: Config,
    prepared: Prepared,
    selection: Selection,
    evaluation: Evaluation,
    reports: Path,
    run_id: str,
    out: Console,
) -> Outcome:
    """Write, record and register the bundle. If every gate passes, make it the champion."""
    models = promotion.home(config)
    holdout = evaluation.holdout
    verdicts = evaluation.gate_results

    with console.step(out, "Package, record and register") as say:
        about = {
            **record_facts(config, prepared, selection, evaluation.learnt),
            "slices": run_record.slice_records(holdout.slices),
            "export_off": evaluation.export_error,
            "run_id": run_id,
            "restart": evaluation.restart,
            "gates": [verdict._asdict() for verdict in verdicts],
        }
        folder = bundle_store.write(models, {**evaluation.files, "record.json": json_bytes(about)})
        row_key = prepared.rows.row_key[prepared.parts.holdout]
        champion_predictions.save_predictions(models, folder.name, row_key, holdout.predictions)

        run_record.log_training(
            config, selection.best, evaluated_candidates(selection), holdout.figures, about, reports
        )
        mlflow_store.log_folder(folder, "bundle")
        tags = run_record.version_tags(selection.best, holdout.figures, verdicts, about)
        say(f"{folder}, version {mlflow_store.register(config.contract, folder, tags)}")

    refused = [verdict for verdict in verdicts if not verdict.passed]
    if refused:
        message = gates.refusal_message(refused, folder)
        if any("champion" in verdict.gate for verdict in refused):
            message += champion_predictions.restart_hint(models, config.contract)
        raise RefusedError(message)

    champion = evaluation.champion
    news = champion is None or champion.digest != folder.name
    if news:
        why = f"training {run_id} passed all {len(verdicts)} gates"
        if evaluation.restart:
            why = f"{evaluation.restart}; {why}"
        promotion.promote(
            config,
            folder.name,
            instead_of=champion.digest if champion else None,
            why=why,
            kind="restart" if evaluation.restart else "promote",
        )
    return Outcome(selection.results, holdout.figures, folder, news)


def record_facts(config: Config, prepared: Prepared, selection: Selection, learnt: Examples) -> dict[str, Any]:
    """The facts for the record: about the data, the selection and the code."""
    rows, parts = prepared.rows, prepared.parts
    story = run_record.selection_record(selection.best, selection.results, parts, rows.key, len(learnt.target))
    return {**rows.about, **story, **bundle.training_facts(config)}


def evaluated_candidates(selection: Selection) -> dict[str, list[CandidateResult]]:
    return {"trial": selection.trials, "all rows": selection.results}
