"""What is told of a training afterwards: to `record.json` in the bundle, and to MLflow."""

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
    """How the choice was made, and from how many rows the model has `learnt`: those before the holdout, or all, after
    the same settings were judged without it. `until` is the day after the last of them.
    """
    return {
        "candidate": best.name,
        "settings": best.settings.model_dump(),
        "candidates": {
            s.name: {fold: {k: round(v, 6) for k, v in figures.items()} for fold, figures in s.folds.items()}
            for s in standings
        },
        "holdout": parts.holdout_name,
        "trained_on": learnt,
        "judged_fit": len(parts.search),
        "until": day_after(key if learnt > len(parts.search) else key[parts.search]),
        "judged_on": len(parts.holdout),
    }


def slice_records(slices: list[Slice]) -> list[dict[str, Any]]:
    """For whom the model is how good."""
    return [{**part._asdict(), "figures": rounded(part.figures)} for part in slices]


def log_training(
    config: Config,
    best: CandidateResult,
    tried: Mapping[str, list[CandidateResult]],
    holdout: Mapping[str, Interval],
    about: Mapping[str, Any],
    reports: Path,
) -> None:
    """Into the open MLflow run: the training's own facts, and a run below it for every trial and candidate.

    `tried` holds standings by the rows that they were judged on.
    """
    passed = all(gate["passed"] for gate in about.get("gates", []))
    name = best.name if passed else f"{best.name}, refused"
    tags = {"mlflow.runName": name, "commit": str(about["commit"]), "config": about["config"]}
    mlflow_store.log(parameters(config, best), tracked_metrics(best, holdout), tags)
    used = {"training": about["trained_on"]} | ({"holdout": about["judged_on"]} if holdout else {})
    mlflow_store.log_data(config.name, about["data"]["files"], used)
    mlflow_store.log_folder(reports, "report")
    for rows, standings in tried.items():
        for each in standings:
            mlflow_store.log_child_run(
                f"{rows}: {each.name}", flat_settings(each.settings), finite_figures(each.folds), each.error
            )


def version_tags(
    best: CandidateResult, holdout: Mapping[str, Interval], verdicts: list[GateResult], about: Mapping[str, Any]
) -> dict[str, str]:
    """What stands on a registered version, so that versions can be compared without their runs."""
    figures = {f"fold.{fold}.{metric}": f"{v:.6g}" for fold, of in best.folds.items() for metric, v in of.items()}
    figures |= {f"holdout.{metric}": f"{f.value:.6g} ({f.low:.6g} to {f.high:.6g})" for metric, f in holdout.items()}
    asked = {
        f"gate.{v.gate}": f"{'pass' if v.passed else 'REFUSED'}: {v.value}, allowed {v.limit}; {v.why}"
        for v in verdicts
    }
    passed = "all passed" if all(v.passed for v in verdicts) else "refused"
    return {"candidate": best.name, "commit": str(about["commit"]), "gates": passed, **figures, **asked}


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
    """MLflow's names for the figures: means of the folds, the holdout with the ends of its intervals."""
    means = {f"folds.{metric}": best.mean(metric) for metric in next(iter(best.folds.values()))}
    ends = {f"holdout.{metric}.{end}": value for metric, f in holdout.items() for end, value in f._asdict().items()}
    return {name: value for name, value in {**means, **ends}.items() if np.isfinite(value)}


def finite_figures(folds: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """The figures that exist: a store of numbers knows no undefined ones."""
    return {fold: {k: v for k, v in figures.items() if np.isfinite(v)} for fold, figures in folds.items()}


def flat_settings(settings: Settings) -> dict[str, Any]:
    """Settings under one level of names; a blend has settings in settings."""
    values = settings.model_dump()
    nested = {
        f"{key}.{inner}": v for key, value in values.items() if isinstance(value, dict) for inner, v in value.items()
    }
    return {key: value for key, value in values.items() if not isinstance(value, dict)} | nested
