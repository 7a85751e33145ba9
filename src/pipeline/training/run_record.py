"""The record of a training: `record.json` in the bundle, and the runs and tags in MLflow.

This module formats what the training has computed. It calls MLflow through `registry/mlflow_store.py` only.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.candidates.kind import Kind
from pipeline.config.config import Config
from pipeline.data.keys import day_after
from pipeline.data.split import Split
from pipeline.evaluation.bootstrap import Interval, rounded, rounded_number
from pipeline.evaluation.slices import Slice
from pipeline.registry import mlflow_store
from pipeline.runtime.arrays import json_bytes
from pipeline.training import descriptions
from pipeline.training.champion_predictions import ChampionPredictions
from pipeline.training.evidence import GateResult, verdict_of
from pipeline.training.fold_results import CandidateResult
from pipeline.training.missing import MissingResult
from pipeline.training.phases import Selection

TRAINING = "training.json"
ORIGIN = ("run_id", "created", "commit", "machine", "libraries", "restart", "compared_with", "gates")


def selection_record(selection: Selection, parts: Split, key: NDArray[Any], learnt: int) -> dict[str, Any]:
    """Record how the candidate was chosen, and which rows the model was trained on.

    `worse_on_sample` in the record are the kinds that were not fitted on all rows.

    `learnt` is the number of these rows: the rows before the holdout, or all rows if the chosen settings were fitted
    once more after the evaluation on the holdout. `until` in the record is the day after the last of these rows, or
    None if rows have no time. `key` has shape [rows].
    """
    learnt_key = key if learnt > len(parts.search) else key[parts.search]
    return {
        "candidate": selection.best.name,
        "settings": selection.best.settings.model_dump(),
        "candidates": {result.name: rounded_folds(result.folds) for result in selection.results},
        "worse_on_sample": {result.name: rounded_folds(result.folds) for result in selection.worse},
        "holdout": parts.holdout_name,
        "trained_on": learnt,
        "train_rows": len(parts.search),
        "until": day_after(learnt_key),
        "holdout_rows": len(parts.holdout),
    }


def with_origin_of(record: Mapping[str, Any], bundle: Path) -> dict[str, Any]:
    """The record of a training that made a bundle again, with the origin that the bundle has: its run, its commit, and
    the gates that let it through beside the champion of that time.
    """
    earlier = json.loads((bundle / "record.json").read_bytes())
    origin = {name: earlier[name] for name in ORIGIN if name in earlier}
    if "gates" in origin:
        origin["gates"] = [GateResult(**gate)._asdict() for gate in origin["gates"]]
    return {**record, **origin}


def rounded_folds(folds: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float | None]]:
    """Round the metrics of each fold to six decimals. None is undefined: the precision of a model that says no yes."""
    rounded_metrics: dict[str, dict[str, float | None]] = {}
    for fold, figures in folds.items():
        rounded_metrics[fold] = {name: rounded_number(value) for name, value in figures.items()}
    return rounded_metrics


def slice_records(slices: list[Slice]) -> list[dict[str, Any]]:
    """Convert the slices and their metrics for a JSON file."""
    return [{**part._asdict(), "figures": rounded(part.figures)} for part in slices]


def missing_record(result: MissingResult) -> dict[str, Any]:
    """Convert the metrics without a group of columns for a JSON file."""
    figures = {name: round(value, 6) for name, value in result.holdout.items() if np.isfinite(value)}
    return {
        "group": result.group,
        "columns": result.columns,
        "fold_loss": round(result.folds.of_model, 6) if result.folds else None,
        "fold_loss_without": round(result.folds.of_other, 6) if result.folds else None,
        "fold_error": round(result.folds.error, 6) if result.folds else None,
        "holdout": figures,
        "mean_prediction": round(result.mean_prediction, 6),
    }


def write_training(reports: Path, digest: str, champion: ChampionPredictions | None) -> None:
    """Write `training.json`, which tells `make summary` which bundle this training made, and beside which champion.

    A training that ends before it has a bundle leaves no such file.
    """
    made = {"bundle": digest, "champion_before": champion.digest if champion else None}
    (reports / TRAINING).write_bytes(json_bytes(made))


def log_training(
    config: Config,
    best: CandidateResult,
    candidates: Mapping[str, list[CandidateResult]],
    holdout: Mapping[str, Interval],
    about: Mapping[str, Any],
    reports: Path,
) -> None:
    """Log the training into the open MLflow run, and log every trial and candidate as a child run.

    `candidates` has the results by the rows that they were evaluated on. `about` is the content of `record.json`.
    """
    passed = all(gate["passed"] for gate in about.get("gates", []))
    name = descriptions.run_name(config, best, holdout, "gates passed" if passed else "refused")
    tags = {"commit": str(about["commit"]), "config": about["config"]}

    mlflow_store.log(parameters(config, best), tracked_metrics(best, holdout), tags)
    mlflow_store.describe_run(name, descriptions.training(config, best, holdout, about))
    mlflow_store.describe_experiment(descriptions.experiment(config))

    rows_used = {"training": about["trained_on"]}
    if holdout:
        rows_used["holdout"] = about["holdout_rows"]
    mlflow_store.log_data(config.name, about["data"]["files"], rows_used)
    mlflow_store.log_folder(reports, "report")

    for rows, results in candidates.items():
        for result in results:
            title = descriptions.child_name(result, rows, config.loss)
            settings = flat_settings(result.settings)
            tags = {"error": result.error} if result.error else {}
            if result.stopped:
                tags["stopped"] = "another trial is better beyond three standard errors on these folds"
            mlflow_store.log_child_run(title, settings, finite_figures(result.folds), tags)


def version_tags(
    best: CandidateResult, holdout: Mapping[str, Interval], results: list[GateResult], about: Mapping[str, Any]
) -> dict[str, str]:
    """Make the tags of a registered version, so that versions can be compared without their runs."""
    tags = {"candidate": best.name, "commit": str(about["commit"])}
    tags["gates"] = "all passed" if all(result.passed for result in results) else "refused"

    for fold, figures in best.folds.items():
        for metric, value in figures.items():
            tags[f"fold.{fold}.{metric}"] = f"{value:.6g}"
    for metric, interval in holdout.items():
        tags[f"holdout.{metric}"] = f"{interval.value:.6g} ({interval.low:.6g} to {interval.high:.6g})"
    for result in results:
        decision = verdict_of(result)
        tags[f"gate.{result.gate}"] = f"{decision}: {result.value}, allowed {result.limit}; {result.why}"
    return tags


def parameters(config: Config, best: CandidateResult) -> dict[str, Any]:
    """The parameters of the run in MLflow: the chosen candidate with its settings, and what the data depends on."""
    settings = {f"{best.name}.{key}": value for key, value in flat_settings(best.settings).items()}
    return {
        "candidate": best.name,
        **settings,
        "seed": config.train.seed,
        "sample": config.data.sample,
        "threshold": config.scoring.threshold,
        "features": ", ".join(config.features),
    }


def tracked_metrics(best: CandidateResult, holdout: Mapping[str, Interval]) -> dict[str, float]:
    """Name the metrics of the run for MLflow: means over the folds, and the holdout with its intervals.

    A metric that is not finite is left out.
    """
    metrics = {f"folds.{metric}": best.mean(metric) for metric in next(iter(best.folds.values()), ())}
    for metric, interval in holdout.items():
        for end, value in interval._asdict().items():
            metrics[f"holdout.{metric}.{end}"] = value
    return {name: value for name, value in metrics.items() if np.isfinite(value)}


def finite_figures(folds: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Return the finite metrics of each fold: MLflow cannot store NaN."""
    finite: dict[str, dict[str, float]] = {}
    for fold, figures in folds.items():
        finite[fold] = {name: value for name, value in figures.items() if np.isfinite(value)}
    return finite


def flat_settings(settings: Kind) -> dict[str, Any]:
    """Flatten settings to one level. The nested settings of a blend get names such as `linear.C`."""
    flat: dict[str, Any] = {}
    for key, value in settings.model_dump().items():
        if isinstance(value, dict):
            flat |= {f"{key}.{inner}": number for inner, number in value.items()}
        else:
            flat[key] = value
    return flat
