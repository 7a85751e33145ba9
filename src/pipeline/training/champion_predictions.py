"""The champion's predictions for the holdout of a new model.

The champion predicts these rows again, or its saved predictions are read: those that it made when it was evaluated
itself. This module does not compare the two models: a gate does.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import BundleError
from pipeline.runtime import bundle_store
from pipeline.runtime.arrays import Columns
from pipeline.runtime.contract import Contract
from pipeline.runtime.dataset import module_hash
from pipeline.runtime.predictor import load

ANSWERS = "answers"  # the folder beside the bundles, with each model's predictions for its holdout
ENOUGH = 0.9  # the smallest share of the rows for which saved predictions can be used


class ChampionPredictions(NamedTuple):
    """The champion's digest, its predictions, the positions of their rows in the holdout, and their source.

    Without predictions, `rows` is empty and `source` is the reason. `metrics` are those of the champion on its own
    holdout, and `features` are its features; both are empty if it cannot be loaded.
    """

    digest: str
    rows: NDArray[np.int64]
    predictions: NDArray[np.float64]
    source: str
    metrics: Mapping[str, Mapping[str, float | None]] = MappingProxyType({})
    features: tuple[str, ...] = ()


def predict_with_champion(
    models: Path,
    contract: Contract,
    digest: str,
    request: Columns,
    keys: NDArray[np.uint64],
    predictions: NDArray[np.float64],
    first: str | None,
) -> ChampionPredictions | None:
    """Return the champion's predictions for the holdout rows, or None without a champion.

    `request` and `keys` [rows] are the holdout. `predictions` [rows] are those of the new model `digest`, which may be
    the champion itself.

    The saved predictions are used if the champion was trained on rows of the day `first` or later, or if it cannot be
    loaded. The result has no rows, and `source` is the reason, if none are saved or if the champion predicts another
    outcome than the `contract`.
    """
    name = bundle_store.pointer(models)
    if name is None:
        return None

    every_row = np.arange(len(keys))
    if name == digest:
        return ChampionPredictions(name, every_row, predictions, "the same model")

    try:
        champion = load(models / name)
        other = champion.contract
        if other.target != contract.target or other.task != contract.task:
            return unavailable(name, f"not comparable: it predicts another outcome, {other.target} ({other.task})")
        if other.classes != contract.classes:
            return unavailable(name, f"not comparable: it knows other classes, {', '.join(other.classes)}")

        figures = champion.manifest.metrics
        features = tuple(other.features)
        until = learnt_until(champion.record, first)
        if not until:
            return ChampionPredictions(name, every_row, champion.predict(request), "evaluated again", figures, features)

        saved = saved_predictions(models, name, keys)
        if saved:
            source = "evaluated on these rows before it was trained on them"
            return ChampionPredictions(name, *saved, source, figures, features)
        return unavailable(
            name, f"trained on rows before {until}, and these begin on {first}: `make retrain` compares on newer rows"
        )
    except (BundleError, KeyError) as error:  # KeyError: the contract may lack a column that the champion needs
        saved = saved_predictions(models, name, keys)
        if saved is None:
            advice = "none of its predictions for these rows are recorded: restore its code and contract"
            return unavailable(name, f"not loaded: {error}; {advice}")
        return ChampionPredictions(name, *saved, "read from its recorded predictions, since it cannot be loaded")


def is_not_comparable(models: Path, contract: Contract) -> bool:
    """Return whether the champion has another contract or another dataset module, or cannot be loaded.

    Only then is a training allowed to ignore the champion. False if there is no champion.
    """
    name = bundle_store.pointer(models)
    if name is None:
        return False
    try:
        champion = load(models / name)
    except (BundleError, KeyError):
        return True
    return champion.contract != contract or champion.dataset_module != module_hash(contract.dataset)


def restart_hint(models: Path, contract: Contract) -> str:
    """Write the end of a refusal: how to ignore a champion of another contract. Empty for any other champion."""
    if not is_not_comparable(models, contract):
        return ""
    return (
        ". That champion was made with another contract or other code: if it need not be compared any "
        "more, `make train "
        f'RESTART="the reason"` skips this gate (in CI: a restart from {bundle_store.pointer(models)}, docs/ci.md)'
    )


def learnt_until(record: Mapping[str, Any], first: str | None) -> str | None:
    """Return the day after the model's last training row if that day is after `first`, otherwise None.

    Such a model was trained on rows of the days from `first` on, so these rows cannot evaluate it.
    """
    until = record.get("until")
    return str(until) if until and first and str(until) > first else None


def unavailable(name: str, why: str) -> ChampionPredictions:
    """Return a result without predictions, and the reason."""
    return ChampionPredictions(name, np.empty(0, np.int64), np.empty(0), why)


def save_predictions(models: Path, digest: str, keys: NDArray[np.uint64], predictions: NDArray[np.float64]) -> None:
    """Save a model's prediction for each holdout row with the row's key. The file is complete or absent.

    `keys` has shape [rows], `predictions` [rows] or [rows, classes].
    """
    bundle_store.make_folder(models / ANSWERS)
    record = np.empty(len(keys), [("key", "<u8"), ("answer", "<f4", predictions.shape[1:])])
    record["key"] = keys
    record["answer"] = predictions

    content = io.BytesIO()
    np.save(content, record)
    with bundle_store.locked(models):
        bundle_store.replace(models / ANSWERS / f"{digest}.npy", content.getvalue())


def saved_predictions(models: Path, digest: str, keys: NDArray[np.uint64]) -> tuple[Any, Any] | None:
    """Return the positions in `keys` that have a saved prediction, and these predictions.

    None if fewer than the share `ENOUGH` of the keys have one, or if there is no readable file.
    """
    try:
        record = np.load(models / ANSWERS / f"{digest}.npy", allow_pickle=False)
        saved_keys, first = np.unique(record["key"], return_index=True)
    except (OSError, EOFError, ValueError, IndexError):  # no file, or a file with other content
        return None

    position = np.searchsorted(saved_keys, keys).clip(max=len(saved_keys) - 1)
    rows = np.flatnonzero(saved_keys[position] == keys)
    if len(rows) < ENOUGH * len(keys):
        return None

    predictions = record["answer"][first[position[rows]]]
    return rows, predictions.astype(np.float64)
