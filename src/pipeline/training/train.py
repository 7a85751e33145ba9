"""A training in four phases: prepare, select, evaluate, publish. Read this file first.

This module puts the steps in order and prints their progress. Every computation is in another module.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from pipeline import console
from pipeline.config.config import Config
from pipeline.config.defaults import with_candidates
from pipeline.data import masking
from pipeline.data.read import read
from pipeline.data.split import split
from pipeline.errors import RefusedError
from pipeline.registry import mlflow_store, mlflow_versions, promotion
from pipeline.registry.run_folder import make_folders, working_folder
from pipeline.runtime import bundle_store
from pipeline.runtime.arrays import Examples, json_bytes
from pipeline.training import bundle, cards, champion_predictions, descriptions, gates, run_record, tables
from pipeline.training.evaluate import evaluate
from pipeline.training.fold_results import CandidateResult
from pipeline.training.phases import Evaluation, Outcome, Prepared, Selection
from pipeline.training.report_page.page import PAGE, page
from pipeline.training.select import UNITS, select


def run(config: Config, out: Console, *, everything: bool = False, restart: str | None = None) -> Outcome:
    """Train from raw rows to a champion.

    With `everything`, the chosen settings are fitted once more on all rows after the evaluation on the holdout, and
    that model is promoted. With `restart`, a reason, the gate does not compare with a champion of another contract.

    Raises RefusedError if a gate refuses. The bundle exists then, and the champion stays.
    """
    with recorded(config, out) as (reports, run_id):
        restart = needed_restart(config, restart, out)
        prepared = prepare(config, reports, out)
        config = with_candidates(config, len(prepared.rows.key))
        selection = select(config, prepared, out)
        if config.split.test == "none":
            return record_selection(config, prepared, selection, reports, out)

        evaluation = evaluate(config, prepared, selection, out, everything=everything, restart=restart)
        return publish(config, prepared, selection, evaluation, reports, run_id, out)


@contextmanager
def recorded(config: Config, out: Console) -> Iterator[tuple[Path, str]]:
    """A folder for reports and the id of an MLflow run, after what an interrupted training left was repaired."""
    reports_home = Path(config.paths.reports)
    make_folders(models=promotion.home(config), reports=reports_home)
    repairs = mlflow_store.connect(config.name, config.paths.tracking)
    for repair in [*repairs, *promotion.reconcile(config)]:
        out.print(f"Repaired: {repair}", soft_wrap=True, highlight=False)

    with working_folder(reports_home, config.name) as reports, mlflow_store.run(reports.parent.name) as run_id:
        yield reports, run_id


def needed_restart(config: Config, restart: str | None, out: Console) -> str | None:
    """The reason for a restart, if one was named and the champion cannot be compared."""
    if restart and not champion_predictions.is_not_comparable(promotion.home(config), config.contract):
        out.print(
            "No restart is needed: the champion can be compared, so every gate is evaluated as usual.", soft_wrap=True
        )
        return None
    return restart


# --- prepare --------------------------------------------------------------------------------------------------------


def prepare(config: Config, reports: Path, out: Console) -> Prepared:
    """Read, clean and split the data. Nothing uses the holdout before `evaluate`."""
    with console.step(out, "Read and clean the data") as say:
        rows = read(config, reports, say)
        parts = split(rows.key, config.split)
        train = rows.examples.take(parts.search)
        unknown = rows.about["rows"]["without_outcome"]
        say(
            f"{len(rows.key):,} rows, before the holdout {describe_target(train.target)}; "
            f"{rows.about['rows']['rejected']:,} rejected, {nullified(rows.about):,} values set to missing"
            + (f", {unknown:,} without an outcome left out" if unknown else "")
        )

    warnings = []
    if rare := masking.rarely_missing(config, train.request):
        warnings.append(tables.rarely_missing_warning(rare))
    if config.costs and (warning := tables.rare_class_warning(train.target, config.costs.threshold)):
        warnings.append(warning)
    for warning in warnings:
        out.print(warning, soft_wrap=True, highlight=False)

    holdout = rows.examples.take(parts.holdout)
    return Prepared(rows, masking.make_copies(config, rows), parts, train, holdout, warnings)


def nullified(about: Mapping[str, Any]) -> int:
    """Count the values that broke a rule and were set to missing."""
    return sum(rule["rows"] for rule in about["data"]["rules"] if rule["action"] == "nullify")


def describe_target(target: NDArray[Any]) -> str:
    """Format the share of positive outcomes, the sizes of the classes or, for a regression, the median outcome."""
    if target.dtype == np.bool_:
        return f"{target.mean():.1%} positive"
    if target.dtype == np.int64:
        counts = np.bincount(target)
        return f"{len(counts)} classes of {counts.min():,} to {counts.max():,} rows"
    return f"the median is {np.median(target):.4g}"


# --- publish --------------------------------------------------------------------------------------------------------


def record_selection(config: Config, prepared: Prepared, selection: Selection, reports: Path, out: Console) -> Outcome:
    """Record a training that does not open the holdout. It ends here, without a bundle."""
    with console.step(out, "Record"):
        record = record_facts(config, prepared, selection, prepared.train)
        (reports / PAGE).write_bytes(page(config, prepared, selection, None, record))
        run_record.log_training(config, selection.best, evaluated_candidates(config, selection), {}, record, reports)
    return Outcome(selection.results, {}, None)


def publish(
    config: Config,
    prepared: Prepared,
    selection: Selection,
    evaluation: Evaluation,
    reports: Path,
    run_id: str,
    out: Console,
) -> Outcome:
    """Write, record and register the bundle. If every gate passes, make it the champion.

    Raises RefusedError if a gate refuses.
    """
    with console.step(out, "Package, record and register") as say:
        folder, version = record_and_register(config, prepared, selection, evaluation, reports, run_id)
        run_record.write_training(reports, folder.name, evaluation.champion)
        say(f"{folder}, version {version}")

    refused = [result for result in evaluation.gate_results if not result.passed]
    if refused:
        message = gates.refusal_message(refused, folder)
        if any("champion" in result.gate for result in refused):
            message += champion_predictions.restart_hint(promotion.home(config), config.contract)
        raise RefusedError(message)

    news = make_champion(config, evaluation, folder.name, run_id)
    if news:
        name = descriptions.run_name(config, selection.best, evaluation.holdout.figures, "promoted")
        mlflow_store.describe_run(name)
    return Outcome(selection.results, evaluation.holdout.figures, folder, news)


def record_and_register(
    config: Config, prepared: Prepared, selection: Selection, evaluation: Evaluation, reports: Path, run_id: str
) -> tuple[Path, str]:
    """Write page and bundle, log the training and register the version. Return the bundle's folder and the version."""
    models = promotion.home(config)
    holdout = evaluation.holdout
    record = {
        **record_facts(config, prepared, selection, evaluation.packaged.learnt),
        "slices": run_record.slice_records(holdout.slices),
        "missing": [run_record.missing_record(result) for result in holdout.missing],
        "export_off": evaluation.packaged.model.export_error,
        "run_id": run_id,
        "restart": evaluation.restart,
        "gates": [result._asdict() for result in evaluation.gate_results],
        "warnings": [*prepared.warnings, *holdout.warnings],
        "compared_with": evaluation.champion.digest if evaluation.champion else None,
        "card": config.card.model_dump(exclude_none=True),
    }
    earlier = models / bundle_store.digest(evaluation.files["bundle.json"])
    renew = cards.are_outdated(earlier, record["card"], [*cards.TEMPLATES, PAGE])
    if renew:
        record = run_record.with_origin_of(record, earlier)
    files = {**evaluation.files, "record.json": json_bytes(record)}
    documents = {**cards.cards(files), PAGE: page(config, prepared, selection, evaluation, record)}
    for name, content in documents.items():
        (reports / name).write_bytes(content)

    folder = bundle_store.write(models, files | documents, renew=renew)
    row_key = prepared.rows.row_key[prepared.parts.holdout]
    champion_predictions.save_predictions(models, folder.name, row_key, holdout.predictions)

    candidates = evaluated_candidates(config, selection)
    run_record.log_training(config, selection.best, candidates, holdout.figures, record, reports)
    mlflow_store.log_folder(folder, "bundle")

    tags = run_record.version_tags(selection.best, holdout.figures, evaluation.gate_results, record)
    description = descriptions.training(config, selection.best, holdout.figures, record)
    return folder, mlflow_versions.register(config.contract, folder, tags, description)


def make_champion(config: Config, evaluation: Evaluation, digest: str, run_id: str) -> bool:
    """Make the bundle the champion. Return false if it is the champion already."""
    champion = evaluation.champion
    if champion is not None and champion.digest == digest:
        return False

    instead_of = None if champion is None else champion.digest
    kind: Literal["promote", "restart"] = "promote"
    why = f"training {run_id} passed all {len(evaluation.gate_results)} gates"
    if evaluation.restart:
        kind = "restart"
        why = f"{evaluation.restart}; {why}"

    promotion.promote(config, digest, instead_of=instead_of, why=why, kind=kind)
    return True


def record_facts(config: Config, prepared: Prepared, selection: Selection, learnt: Examples) -> dict[str, Any]:
    """The facts for the record: about the data, the selection and the code."""
    rows = prepared.rows
    parts = prepared.parts
    selected = run_record.selection_record(selection, parts, rows.key, len(learnt.target))
    return {**rows.about, **selected, **bundle.training_facts(config)}


def evaluated_candidates(config: Config, selection: Selection) -> dict[str, list[CandidateResult]]:
    """The results of the candidates, by the rows that they were evaluated on."""
    share = config.search.sample
    sample = "all rows" if share == 1 else f"{share:.0%} of the {UNITS[config.split.by]}"
    return {f"trial on {sample}": selection.trials, "all rows": selection.results}
