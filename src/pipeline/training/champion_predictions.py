"""What the champion says of the rows that a new model is judged on: asked again, or read from what it said when it was
judged itself.
"""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.errors import BundleError
from pipeline.runtime import bundle_store
from pipeline.runtime.arrays import Columns
from pipeline.runtime.contract import Contract
from pipeline.runtime.dataset import module_hash
from pipeline.runtime.predictor import load

ANSWERS = "answers"  # the folder beside the bundles with what each said of the rows that judged it
ENOUGH = 0.9  # share of the rows that a record has to know
RECORD = np.dtype([("key", "<u8"), ("answer", "<f4")])


class ChampionPredictions(NamedTuple):
    """The champion's digest, the numbers of the rows that it spoke of, its answers, and where they come from."""

    digest: str
    rows: NDArray[np.int64]
    predictions: NDArray[np.float64]
    source: str


def predict_with_champion(
    models: Path,
    contract: Contract,
    digest: str,
    request: Columns,
    keys: NDArray[np.uint64],
    predictions: NDArray[np.float64],
    first: str | None,
) -> ChampionPredictions | None:
    """The champion's predictions of the holdout rows, or None without a champion.

    `predictions` are those of the new model `digest`, which may be the champion itself. If the champion has learned
    from rows of the day `first` or later, or cannot be loaded, its saved predictions count. If none are saved, or the
    champion predicts another outcome than the `contract`, the result has no rows, and its `source` says why.
    """
    name = bundle_store.pointer(models)
    everything = np.arange(len(keys))
    if name is None:
        return None
    if name == digest:
        return ChampionPredictions(name, everything, predictions, "the same model")

    try:
        champion = load(models / name)
        question = champion.contract
        if question.target != contract.target or question.task != contract.task:
            return unavailable(name, f"asked for {question.target} ({question.task}), another outcome")

        late = learnt_until(champion.record, first)
        if not late:
            return ChampionPredictions(name, everything, champion.predict(request), "asked again")
        if known := saved_predictions(models, name, keys):
            return ChampionPredictions(name, *known, "judged before it learnt from these")
        return unavailable(
            name, f"has learnt from rows before {late}, and these begin on {first}: `retrain` judges by newer"
        )
    except (BundleError, KeyError) as error:  # a column that it needs may be gone from the contract
        known = saved_predictions(models, name, keys)
        if known is None:
            return unavailable(name, f"{error}. Its answers are on no record: bring back what {name} was made with")
        return ChampionPredictions(name, *known, "from its record, since it cannot be loaded")


def is_not_comparable(models: Path, contract: Contract) -> bool:
    """Whether there is a champion that was asked by another contract, whose rows and features other code made, or that
    cannot be loaded: only then may a training begin without it.
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
    """What may be done where a champion of another contract is in the way, to be added to the refusal."""
    if not is_not_comparable(models, contract):
        return ""
    return (
        ". That champion was made from another contract or other code: if it is no rival any more, `make train "
        f'RESTART="the reason"` leaves it behind (in CI: a restart from {bundle_store.pointer(models)}, docs/ci.md)'
    )


def learnt_until(record: Mapping[str, Any], first: str | None) -> str | None:
    """The day before which a model's training rows lie, if that is after `first`: then they cannot judge it."""
    until = record.get("until")
    return str(until) if until and first and str(until) > first else None


def unavailable(name: str, why: str) -> ChampionPredictions:
    return ChampionPredictions(name, np.empty(0, np.int64), np.empty(0), why)


def save_predictions(models: Path, digest: str, keys: NDArray[np.uint64], predictions: NDArray[np.float64]) -> None:
    """Save a model's prediction of each holdout row by the row's key. The file is complete or absent."""
    (models / ANSWERS).mkdir(exist_ok=True)
    record = np.empty(len(keys), RECORD)
    record["key"] = keys
    record["answer"] = predictions

    content = io.BytesIO()
    np.save(content, record)
    with bundle_store.locked(models):
        bundle_store.replace(models / ANSWERS / f"{digest}.npy", content.getvalue())


def saved_predictions(models: Path, digest: str, keys: NDArray[np.uint64]) -> tuple[Any, Any] | None:
    """The positions in `keys` with a saved prediction, and these predictions. None if there are too few."""
    try:
        record = np.load(models / ANSWERS / f"{digest}.npy", allow_pickle=False)
        known, first = np.unique(record["key"], return_index=True)
    except (OSError, EOFError, ValueError, IndexError):  # absent, or no such record
        return None

    place = np.searchsorted(known, keys).clip(max=len(known) - 1)
    rows = np.flatnonzero(known[place] == keys)
    if len(rows) < ENOUGH * len(keys):
        return None
    return rows, record["answer"][first[place[rows]]].astype(np.float64)
