"""The record of a training: `record.json` in the bundle, and the runs and tags in MLflow."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.config.candidates import Settings
from pipeline.config.config import Config
from pipeline.data.keys import day_after
from pipeline.data.split import Split
from pipeline.evaluation.bootstrap import Interval, rounded
from pipeline.evaluation.slices import Slice
from pipeline.registry import mlflow_store
from pipeline.training.gates import GateResult
from pipeline.training.search import CandidateResult


def selection_record(
    best: CandidateResult, standings: list[CandidateResult], parts: Split, key: NDArray[Any], learnt: int
) -> dict[str, Any]:
    """How the candidate was chosen, and what the model was trained on.

    `learnt` is the number of rows: those before the holdout, or all, after the same settings were evaluated without
    the holdout. `until` in the record is the day after the last of these rows.
    """
    return {
        "candidate": best.name,
        "settings": best.settings.model_dump(),
        "candidates": {result.name: rounded_folds(result.folds) for result in standings},
        "holdout": parts.holdout_name,
        "trained_on": learnt,
        "judged_fit": len(parts.search),
        "until": day_after(key if learnt > len(parts.search) else key[parts.search]),
        "judged_on": len(parts.holdout),
    }


def rounded_folds(folds: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """The metrics of each fold with six digits."""
    result: dict[str, dict[str, float]] = {}
    for fold, figures in folds.items():
        result[fold] = {name: round(value, 6) for name, value in figures.items()}
    return result


def slice_records(slices: list[Slice]) -> list[dict[str, Any]]:
    """The slices with their metrics, for a JSON file."""
    return [{**part._asdict(), "figures": rounded(part.figures)} for part in slices]


def log_training(
    config: Config,
    best: CandidateResult,
    tried: Mapping[str, list[CandidateResult]],
    holdout: Mapping[str, Interval],
    about: Mapping[str, Any],
    reports: Path,
) -> None:
    """Log the training into the open MLflow run, and below it one run for every trial and candidate.

    `tried` holds the results by the rows that they were evaluated on.
    """
    passed = all(gate["passed"] for gate in about.get("gates", []))
    name = best.name if passed else f"{best.name}, refused"
    tags = {"mlflow.runName": name, "commit": str(about["commit"]), "config": about["config"]}

    mlflow_store.log(parameters(config, best), tracked_metrics(best, holdout), tags)
    used = {"training": about["trained_on"]}
    if holdout:
        used["holdout"] = about["judged_on"]
    mlflow_store.log_data(config.name, about["data"]["files"], used)
    mlflow_store.log_folder(reports, "report")

    for rows, results in tried.items():
        for result in results:
            title = f"{rows}: {result.name}"
            settings = flat_settings(result.settings)
            mlflow_store.log_child_run(title, settings, finite_figures(result.folds), result.error)


def version_tags(
    best: CandidateResult, holdout: Mapping[str, Interval], verdicts: list[GateResult], about: Mapping[str, Any]
) -> dict[str, str]:
    """Tags of a registered version, so that versions can be compared without their runs."""
    tags = {"candidate": best.name, "commit": str(about["commit"])}
    tags["gates"] = "all passed" if all(verdict.passed for verdict in verdicts) else "refused"

    for fold, figures in best.folds.items():
        for metric, value in figures.items():
            tags[f"fold.{fold}.{metric}"] = f"{value:.6g}"
    for metric, interval in holdout.items():
        tags[f"holdout.{metric}"] = f"{interval.value:.6g} ({interval.low:.6g} to {interval.high:.6g})"
    for verdict in verdicts:
        outcome = "pass" if verdict.passed else "REFUSED"
        tags[f"gate.{verdict.gate}"] = f"{outcome}: {verdict.value}, allowed {verdict.limit}; {verdict.why}"
    return tags


def parameters(config: Config, best: CandidateResult) -> dict[str, Any]:
    return {
        "candidate": best.name,
        **{f"{best.name}.{key}": value for key, value in flat_settings(best.settings).items()},
        "seed": config.train.seed,
        "sample": config.data.sample,
        "threshold": config.scoring.threshold,
        "features": ", ".join(config.features),
    }


def tracked_metrics(best: CandidateResult, holdout: Mapping[str, Interval]) -> dict[str, float]:
    """The metrics of the run by their names in MLflow: means of the folds, and the holdout with its intervals."""
    metrics = {f"folds.{metric}": best.mean(metric) for metric in next(iter(best.folds.values()))}
    for metric, interval in holdout.items():
        for end, value in interval._asdict().items():
            metrics[f"holdout.{metric}.{end}"] = value
    return {name: value for name, value in metrics.items() if np.isfinite(value)}


def finite_figures(folds: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """The metrics of each fold that are defined: MLflow cannot store NaN."""
    finite: dict[str, dict[str, float]] = {}
    for fold, figures in folds.items():
        finite[fold] = {name: value for name, value in figures.items() if np.isfinite(value)}
    return finite


def flat_settings(settings: Settings) -> dict[str, Any]:
    """Settings with one level of names. The settings of a blend hold settings: they become `linear.C` and the like."""
    flat: dict[str, Any] = {}
    for key, value in settings.model_dump().items():
        if isinstance(value, dict):
            flat |= {f"{key}.{inner}": number for inner, number in value.items()}
        else:
            flat[key] = value
    return flat
