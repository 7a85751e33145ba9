"""The chosen candidate, fitted on all of its rows and exported."""

from typing import NamedTuple

from rich.console import Console

from pipeline import console
from pipeline.config.config import Config
from pipeline.evaluation.metrics import spread
from pipeline.runtime.arrays import Examples
from pipeline.runtime.predictor import Session
from pipeline.training import estimators, search
from pipeline.training.export import onnx
from pipeline.training.search import CandidateResult


class ExportedModel(NamedTuple):
    """The exported model, ready to answer, and how far it is off what was exported."""

    onnx: bytes
    session: Session
    export_error: float


def refit(
    config: Config, best: CandidateResult, train: Examples, holdout: Examples, what: str, out: Console
) -> ExportedModel:
    """The chosen candidate on the rows to train on, exported, and compared with what was exported."""
    with console.step(out, f"Refit {best.name} on {what}") as say:
        fitted = estimators.fit(best.settings, train.data, train.target, config.train, threads=search.workers(config))
        say(f"{len(train.target):,} rows")
    with console.step(out, "Export to ONNX and compare with scikit-learn, row by row") as say:
        graph = onnx.to_onnx(fitted, train.data, config.name)
        session, unit = Session(graph), spread(train.target, config.task)
        off = onnx.export_error(fitted, session, holdout.data, unit, config.train.seed)
        say(f"{len(holdout.target):,} holdout rows and damaged copies, none off by more than {off:.1e}")
    return ExportedModel(graph, session, off)
