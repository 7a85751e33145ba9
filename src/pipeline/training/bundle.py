"""What leaves training: the files of a bundle, from the exported model and the rows that it was trained on.

`bundle.json` holds what decides predictions, and its hash is the name of the bundle. Other facts about the training
(when, where, from which commit) are in `record.json`.
"""

import hashlib
import platform
import shutil
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.config.config import Config
from pipeline.data.read import TrainingRows
from pipeline.data.split import Split
from pipeline.evaluation.bootstrap import Interval, rounded
from pipeline.evaluation.metrics import spread
from pipeline.monitoring import reference
from pipeline.runtime import bundle_store, rolling_features
from pipeline.runtime.arrays import Columns, Examples, columns_to_json, json_bytes, tensors
from pipeline.runtime.contract import Contract
from pipeline.runtime.dataset import find, module_hash
from pipeline.runtime.predictor import DECIDING, Session
from pipeline.runtime.rolling_features import RollingState
from pipeline.training.search import CandidateResult

GOLDEN, BACKGROUND, EXAMPLES = 64, 200, 20
LIBRARIES = ("scikit-learn", "numpy", "pandas", "skl2onnx", "onnx", "onnxruntime", "mlflow")


def package(
    config: Config,
    onnx: bytes,
    train: Examples,
    figures: Mapping[str, Interval],
    state: RollingState | None,
) -> dict[str, bytes]:
    """The files that decide predictions, and background rows for explanations.

    The golden predictions are those of the exported model. The rolling features begin with `state`.
    """
    contract = config.contract
    rng = np.random.default_rng(config.train.seed)
    drawn = rng.permutation(len(train.target))[: GOLDEN + BACKGROUND]
    golden_rows = with_gaps(train.take(np.sort(drawn[:GOLDEN])).request, contract)
    background = train.take(np.sort(drawn[-BACKGROUND:])).request

    derived = find(config.dataset).derive(golden_rows)
    predictions = Session(onnx)(tensors(derived, contract))
    files = {
        "model.onnx": onnx,
        "golden.json": golden(golden_rows, contract, predictions),
        "background.json": json_bytes({"columns": columns_to_json(background, contract.request)}),
    }

    rule = decision_rule(config, train)
    if state:
        files[rolling_features.FILE] = rolling_features.dump_counts(state.counts, contract, state.as_of)
        rule["prior"] = state.prior
    files["bundle.json"] = manifest(contract, rule, rounded(figures), files)
    return files


def display_files(config: Config, holdout: Examples, reports: Path) -> dict[str, bytes]:
    """What a bundle shows to people: some rows of the holdout with their outcomes, and the pictures."""
    drawn = np.random.default_rng(config.train.seed).permutation(len(holdout.target))[:EXAMPLES]
    some = holdout.take(drawn)
    shown = {"columns": columns_to_json(some.request, config.request), "outcomes": some.target.tolist()}
    return {"examples.json": json_bytes(shown)} | {path.name: path.read_bytes() for path in reports.glob("*.png")}


def monitoring_reference(
    config: Config,
    rows: TrainingRows,
    parts: Split,
    best: CandidateResult,
    predictions: NDArray[np.float64],
    learnt: Examples,
    session: Session,
) -> bytes:
    """The reference of monitoring: the rows learned from, and the predictions on folds and holdout."""
    at = np.concatenate([*(fold.valid for fold in parts.folds), parts.holdout])
    answer = np.concatenate([*(best.predictions[fold.name] for fold in parts.folds), predictions])

    derived = find(config.dataset).derive(learnt.request)
    key = rows.key if len(learnt.target) == len(rows.key) else rows.key[parts.search]
    own = reference.LearntRows(derived, key, learnt.target, session(learnt.data))
    unseen = reference.HeldOutPredictions(rows.key[at], rows.examples.target[at], answer)
    return reference.reference(config, own, unseen, rows.names)


def training_facts(config: Config) -> dict[str, Any]:
    """Facts about this training that decide no prediction: when, with which libraries, from which commit."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "config": hashlib.sha256(config.model_dump_json(exclude={"paths"}).encode()).hexdigest(),
        "dataset_module": module_hash(config.dataset),
        "machine": {"platform": platform.platform(), "python": platform.python_version()},
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
    }


def commit() -> str | None:
    """The commit that is checked out, with -dirty if files differ from it. None outside git."""
    git = shutil.which("git")
    if git is None:
        return None
    command = [git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude", "*"]  # the commit, and no tag
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    return ended.stdout.strip() or None


def decision_rule(config: Config, train: Examples) -> dict[str, float]:
    """The threshold of the label or, for a regression, the spread of the outcomes."""
    if config.task == "regression":
        return {"spread": spread(train.target, config.task)}
    return {"threshold": config.scoring.cut}


def manifest(
    contract: Contract, rule: Mapping[str, float], metrics: Mapping[str, Any], files: Mapping[str, bytes]
) -> bytes:
    """`bundle.json`: everything that decides predictions, so that its hash can be the name of the bundle."""
    deciding = {name: bundle_store.sha256(files[name]) for name in (*DECIDING, rolling_features.FILE) if name in files}
    return json_bytes(
        {
            "contract": contract.model_dump(mode="json", exclude_defaults=True),
            **rule,
            "metrics": metrics,
            "files": deciding,
        }
    )


def with_gaps(columns: Columns, contract: Contract) -> dict[str, NDArray[Any]]:
    """The same rows; in the last quarter of them optional fields are missing and categories are unknown."""
    gaps = {name: values.copy() for name, values in columns.items()}

    for name, column in contract.request.items():
        last = slice(len(gaps[name]) * 3 // 4, None)
        if column.rolling:
            continue  # golden rows state it: a refreshed table must not change their predictions

        if column.nullable:
            gaps[name][last] = {"category": "", "datetime": "NaT"}.get(column.kind, np.nan)
        elif column.kind == "category" and not column.values:
            gaps[name][last] = "never seen"

    return gaps


def golden(columns: Columns, contract: Contract, predictions: NDArray[np.float64]) -> bytes:
    return json_bytes({"columns": columns_to_json(columns, contract.request), "answers": predictions.tolist()})
