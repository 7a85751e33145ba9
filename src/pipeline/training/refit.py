"""Fit the chosen candidate on all its rows and export it. This module does not know what happens to the export."""

from typing import NamedTuple

from rich.console import Console
from sklearn.base import BaseEstimator

from pipeline import console
from pipeline.config.config import Config
from pipeline.data import masking
from pipeline.data.masking import Copies
from pipeline.evaluation.metrics import spread
from pipeline.runtime.arrays import Examples
from pipeline.runtime.predictor import Session
from pipeline.training import estimators, parallel
from pipeline.training.export import onnx
from pipeline.training.fold_results import CandidateResult


class ExportedModel(NamedTuple):
    """The exported model, as bytes and as a session, and its largest difference from the scikit-learn model.

    `export_error` is a difference in probability or, for a regression, in standard deviations of the outcome. A model
    that was brought as ONNX has none.
    """

    onnx: bytes
    session: Session
    export_error: float | None


class PackagedModel(NamedTuple):
    """The model of the bundle, and the rows that it was trained on: those before the holdout, or all."""

    model: ExportedModel
    learnt: Examples


def refit(
    config: Config, best: CandidateResult, rows: Examples, copies: Copies, holdout: Examples, out: Console
) -> ExportedModel:
    """Fit the chosen candidate on rows and copies, export it, and compare the export with scikit-learn on `holdout`."""
    train = masking.with_copies(rows, copies)
    with console.step(out, f"Refit {best.name} on everything") as say:
        fitted = estimators.fit(best.settings, train.data, train.target, config.train, threads=parallel.workers(config))
        say(masking.sizes(rows, train))
    return export(config, fitted, train, holdout, out)


def export(config: Config, fitted: BaseEstimator, train: Examples, holdout: Examples, out: Console) -> ExportedModel:
    """Export what was fitted on `train`, and compare the export with scikit-learn on `holdout`."""
    with console.step(out, "Export to ONNX and compare with scikit-learn, row by row") as say:
        graph = onnx.to_onnx(fitted, train.data, config.name)
        session = Session(graph)
        unit = spread(train.target, config.task)
        error = onnx.export_error(fitted, session, holdout.data, unit, config.train.seed)
        say(f"{len(holdout.target):,} holdout rows and damaged copies, no difference above {error:.1e}")
    return ExportedModel(graph, session, error)
