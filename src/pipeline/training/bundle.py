"""The files of a bundle, from the exported model and the rows that it was trained on.

`bundle.json` holds what decides predictions, and its hash is the name of the bundle. Other facts about the training
(when, where, from which commit) are in `record.json`. This module makes the content of the files. It does not write
them: `runtime/bundle_store.py` does.
"""

import hashlib
import platform
import shutil
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
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
from pipeline.training.fold_results import CandidateResult, held_out_rows
from pipeline.training.refit import PackagedModel

GOLDEN = 64  # rows whose predictions are checked when the bundle is loaded
BACKGROUND = 200  # rows for explanations
EXAMPLES = 20  # rows of the holdout for people to look at
LIBRARIES = ("scikit-learn", "numpy", "pandas", "skl2onnx", "onnx", "onnxruntime", "mlflow")


def package(
    config: Config,
    onnx: bytes,
    train: Examples,
    figures: Mapping[str, Interval],
    state: RollingState | None,
) -> dict[str, bytes]:
    """Make the files that decide predictions, and the file with background rows for explanations.

    `train` are the rows that the model was trained on, `figures` its metrics on the holdout, and `state` the counts of
    outcomes for rolling features, if the contract has any. The golden predictions are those of the exported model.
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


def examples(config: Config, holdout: Examples) -> bytes:
    """Make `examples.json`: some rows of the holdout with their outcomes, for people to look at."""
    drawn = np.random.default_rng(config.train.seed).permutation(len(holdout.target))[:EXAMPLES]
    sampled = holdout.take(drawn)
    outcomes = sampled.target.tolist()
    if config.classes:
        outcomes = [config.classes[number] for number in outcomes]
    return json_bytes({"columns": columns_to_json(sampled.request, config.request), "outcomes": outcomes})


def monitoring_reference(
    config: Config,
    rows: TrainingRows,
    parts: Split,
    best: CandidateResult,
    predictions: NDArray[np.float64],
    packaged: PackagedModel,
) -> bytes:
    """Make the reference of monitoring: the rows that the model was trained on, and the predictions for other rows.

    The other rows are the validation rows of each fold, with the predictions of the chosen candidate `best`, and the
    holdout with its `predictions` [holdout rows].
    """
    held_out, answer = held_out_rows(parts, best, predictions)
    held_out_predictions = reference.HeldOutPredictions(rows.key[held_out], rows.examples.target[held_out], answer)

    learnt = packaged.learnt
    derived = find(config.dataset).derive(learnt.request)
    key = rows.key if len(learnt.target) == len(rows.key) else rows.key[parts.search]
    learnt_rows = reference.LearntRows(derived, key, learnt.target, packaged.model.session(learnt.data))
    return reference.reference(config, learnt_rows, held_out_predictions, rows.names)


def training_facts(config: Config) -> dict[str, Any]:
    """Collect the facts about this training that decide no prediction: time, commit, config, machine and libraries."""
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "config": hashlib.sha256(config.model_dump_json(exclude={"paths"}).encode()).hexdigest(),
        "dataset_module": module_hash(config.dataset),
        "machine": {"platform": platform.platform(), "python": platform.python_version()},
        "libraries": {name: metadata.version(name) for name in LIBRARIES},
    }


def commit() -> str | None:
    """Return the commit that is checked out, with -dirty if files differ from it. None outside a git repository."""
    git = shutil.which("git")
    if git is None:
        return None

    command = [git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude", "*"]  # the commit, and no tag
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    return process.stdout.strip() or None


def decision_rule(config: Config, train: Examples) -> dict[str, Any]:
    """Return the threshold of a binary label, the costs of classes or, for a regression, the spread of the outcomes in
    their own unit.
    """
    if config.task == "regression":
        return {"spread": spread(train.target, config.task)}
    if config.task == "multiclass":
        return {"costs": config.cost_matrix} if config.class_costs else {}
    return {"threshold": config.scoring.cut}


def manifest(
    contract: Contract, rule: Mapping[str, Any], metrics: Mapping[str, Any], files: Mapping[str, bytes]
) -> bytes:
    """Make `bundle.json`: everything that decides predictions, so that its hash can be the name of the bundle."""
    names = (*DECIDING, rolling_features.FILE)
    deciding = {name: bundle_store.sha256(files[name]) for name in names if name in files}
    return json_bytes(
        {
            "contract": contract.model_dump(mode="json", exclude_defaults=True),
            **rule,
            "metrics": metrics,
            "files": deciding,
        }
    )


def with_gaps(columns: Columns, contract: Contract) -> dict[str, NDArray[Any]]:
    """Return a copy of the rows in which the last quarter lacks optional fields and has unknown categories.

    Rolling features stay as they are. So a refreshed table of rolling features does not change the golden predictions.
    """
    gaps = {name: values.copy() for name, values in columns.items()}

    for name, column in contract.request.items():
        if column.rolling:
            continue

        last = slice(len(gaps[name]) * 3 // 4, None)
        if column.nullable:
            gaps[name][last] = {"category": "", "datetime": "NaT"}.get(column.kind, np.nan)
        elif column.kind == "category" and not column.values:
            gaps[name][last] = "never seen"

    return gaps


def golden(columns: Columns, contract: Contract, predictions: NDArray[np.float64]) -> bytes:
    """Make `golden.json`: the golden rows and the model's predictions [rows] for them."""
    return json_bytes({"columns": columns_to_json(columns, contract.request), "answers": predictions.tolist()})
