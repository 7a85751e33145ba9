"""A bundle of a model that was trained elsewhere, by any framework, and brought as an ONNX file.

It takes the way of every other model: holdout, gates, registry, champion. It has no folds, since it is one model,
trained once. On which rows, only its maker knows: rows of the holdout among them make every figure here worthless.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from pipeline import console
from pipeline.candidates.kind import Kind
from pipeline.config.config import Config
from pipeline.errors import ConfigError
from pipeline.runtime import bundle_store, regular_file
from pipeline.runtime.arrays import Tensors
from pipeline.runtime.predictor import TOLERANCE, Session
from pipeline.training import train
from pipeline.training.evaluate import evaluate_bundle, open_holdout
from pipeline.training.export.onnx import corrupted
from pipeline.training.fold_results import CandidateResult
from pipeline.training.phases import Outcome, Selection
from pipeline.training.refit import ExportedModel, PackagedModel

PROBE = 200  # training rows, and as many damaged copies, that the model predicts before the holdout is opened
TYPES = {"strings": "tensor(string)", "numbers": "tensor(float)"}


class OwnModel(Kind):
    """What is recorded of the file."""

    file: str
    sha256: str


def run(config: Config, path: Path, out: Console, *, restart: str | None = None) -> Outcome:
    """Evaluate an ONNX file on the holdout, package and register it. If every gate passes, make it the champion.

    With `restart`, a reason, the gate does not compare with a champion of another contract.

    Raises ConfigError for a file that is no model of this config's contract, RefusedError if a gate refuses.
    """
    if config.split.test == "none":
        raise ConfigError("split.test: none keeps the holdout closed, and a model of your own is evaluated there alone")
    content = read(config, path)
    session = open_session(config, content, path)

    with train.recorded(config, out) as (reports, run_id):
        restart = train.needed_restart(config, restart, out)
        prepared = train.prepare(config, reports, out)
        with console.step(out, f"Check {path.name}") as say:
            rows = prepared.train.data.take(np.arange(min(PROBE, len(prepared.train.target))))
            damaged = corrupted(rows, config.train.seed)
            refuse_unusable(config, session, rows, path)
            refuse_unusable(config, session, damaged, path)
            say(f"{len(rows.numbers):,} rows and damaged copies, together and one by one")

        model = OwnModel(file=path.name, sha256=bundle_store.sha256(content))
        selection = Selection(CandidateResult("own model", model, {}), [], [], [])
        packaged = PackagedModel(ExportedModel(content, session, None), prepared.train)
        holdout = open_holdout(config, prepared, session, {}, out)
        evaluation = evaluate_bundle(config, prepared, selection, holdout, packaged, out, restart=restart)
        return train.publish(config, prepared, selection, evaluation, reports, run_id, out)


def read(config: Config, path: Path) -> bytes:
    """Read the file. Raises ConfigError where there is none, or where it is larger than a bundle may be."""
    try:
        return regular_file.read(path, int(config.gates.max_megabytes * 1e6))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise ConfigError(f"{path}: {error}; gates.max_megabytes is {config.gates.max_megabytes:g}") from None


def open_session(config: Config, content: bytes, path: Path) -> Session:
    """Load the model, and compare its inputs with the contract. Raises ConfigError where they differ."""
    try:
        session = Session(content)
    except Exception as error:  # noqa: BLE001 -- reason: onnxruntime has a class of its own for each of its faults
        raise ConfigError(f"{path}: onnxruntime cannot load it: {one_line(error)}") from None

    contract = config.contract
    columns = {"strings": contract.strings, "numbers": contract.numbers}
    for name, (kind, shape) in session.inputs.items():
        expected = columns.get(name, [])
        rows, width = shape if len(shape) == 2 else (0, 0)
        fits = not isinstance(rows, int) and (width == len(expected) or not isinstance(width, int))
        if not (expected and kind == TYPES[name] and fits):
            raise ConfigError(f"{path}: has the input {name}, {kind} of shape {shape}.\n{describe(columns)}")
    if session.output_type not in ("tensor(float)", "tensor(double)"):
        raise ConfigError(
            f"{path}: its last output is {session.output_type}, and a tensor of numbers is right. Export it with "
            "zipmap=False where skl2onnx makes it"
        )
    if not session.inputs:
        raise ConfigError(f"{path}: has no input.\n{describe(columns)}")
    return session


def describe(columns: dict[str, list[str]]) -> str:
    """Write which inputs a model of the contract may have."""
    lines = ["A model of this config has one of these inputs, or both; the number of rows is free:"]
    for name, expected in columns.items():
        if expected:
            lines.append(f"  {name}: {TYPES[name]} [rows, {len(expected)}]: {', '.join(expected)}")
    return "\n".join(lines)


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300]


def refuse_unusable(config: Config, session: Session, rows: Tensors, path: Path) -> None:
    """Raise ConfigError where predictions have another shape than the task's, or are no probabilities or numbers, or
    where a row gets another prediction together with others than alone.
    """
    try:
        predictions = session(rows)
        one_by_one = np.concatenate([session(rows.take(np.array([row]))) for row in range(len(rows.numbers))])
    except Exception as error:  # noqa: BLE001 -- reason: as above
        raise ConfigError(f"{path}: onnxruntime cannot run it: {one_line(error)}") from None

    fault = prediction_fault(config, predictions, len(rows.numbers))
    if fault:
        raise ConfigError(
            f"{path}: {fault}. What it predicts is its last output; missing numbers are NaN, missing text ''"
        )
    if np.abs(predictions - one_by_one).max() > TOLERANCE * max(1.0, float(np.abs(predictions).max())):
        raise ConfigError(f"{path}: a row gets another prediction alone than among others. Export it for inference")


def prediction_fault(config: Config, predictions: NDArray[np.float64], rows: int) -> str | None:
    """Write what is wrong with predictions. None where they are those of the task."""
    expected = (rows, len(config.classes)) if config.task == "multiclass" else (rows,)
    if predictions.shape != expected:
        return f"for {rows} rows its predictions have shape {predictions.shape}, and {expected} is right"
    if not np.isfinite(predictions).all():
        return f"{np.count_nonzero(~np.isfinite(predictions))} of its predictions are no number"
    if config.task != "regression" and (predictions.min() < 0 or predictions.max() > 1):
        return f"it predicts {predictions.min():.3g} to {predictions.max():.3g}, which are no probabilities from 0 to 1"
    if config.task == "multiclass" and np.abs(predictions.sum(axis=1) - 1).max() > 1e-3:
        return "the probabilities of a row do not add up to 1"
    return None
