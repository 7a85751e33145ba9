"""From files to rows: read, cleaned, with their rolling features, in the shapes that training and a replay need."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.config.config import Config
from pipeline.data import clean
from pipeline.data.keys import day_after, first_day, row_keys, split_keys
from pipeline.data.split import sample, split
from pipeline.errors import ConfigError, DataError
from pipeline.evaluation.bootstrap import blocks
from pipeline.runtime import rolling_features
from pipeline.runtime.arrays import Columns, Examples, json_bytes, take_rows, tensors
from pipeline.runtime.dataset import find
from pipeline.runtime.rolling_features import RollingState


class TrainingRows(NamedTuple):
    """Valid rows for a training.

    `key` [rows] decides to which fold a row belongs, `row_key` [rows] identifies it from one training to the next,
    `about` is for the record, `names` are the names of values by column, and the rolling features begin with
    `rolling_state`.
    """

    examples: Examples
    key: NDArray[Any]
    row_key: NDArray[np.uint64]
    about: dict[str, Any]
    names: Mapping[str, Mapping[str, str]]
    rolling_state: RollingState | None


class CleanedColumns(NamedTuple):
    """All columns that the data brings, of valid rows; facts for the record, and names of values by column."""

    columns: Columns
    about: dict[str, Any]
    names: Mapping[str, Mapping[str, str]]


def read_and_clean(config: Config, reports: Path) -> CleanedColumns:
    """Valid rows. `data_report.json` and `rejected.csv` say what happened to the others, even if they are too many.

    Raises DataError if they are.
    """
    dataset = find(config.dataset)
    path = None if config.data.path is None else Path(config.data.path)
    raw = dataset.load(path, config.columns)
    valid = clean.clean(raw.frame, config.contract)

    counts = {"loaded": len(raw.frame), "rejected": len(valid.rejected), "valid": len(valid.frame)}
    rules = clean.violation_counts(valid, config.contract)
    data = {"files": raw.hashes, "licence": config.data.licence, "counts": raw.counts, "rules": rules}
    about = {"data": data, "rows": counts}

    (reports / "config.json").write_bytes(json_bytes(config.model_dump(mode="json", exclude={"paths"})))
    (reports / "data_report.json").write_bytes(json_bytes(about))
    valid.rejected.to_csv(reports / "rejected.csv", index_label="row")

    clean.refuse_too_many(valid, config.data.max_rejected, f"{config.paths.reports}/{config.name}.failed/rejected.csv")
    return CleanedColumns(clean.frame_to_columns(valid.frame, config.contract), about, raw.names)


def read(config: Config, reports: Path) -> TrainingRows:
    """The rows that a training may use: those before `data.until`, and of them the share `data.sample`.

    Raises DataError without such rows, ConfigError for a feature that `derive` does not make.
    """
    columns, about, names = read_and_clean(config, reports)
    key = split_keys(columns, config)
    known = np.flatnonzero(key < np.datetime64(config.data.until)) if config.data.until else np.arange(len(key))
    if not len(known):
        raise DataError(f"no rows lie before {config.data.until}: they begin on {first_day(key)}")
    rows = known[sample(blocks(key[known]), config.data.sample, config.train.seed)]

    request = {name: columns[name][rows] for name in config.request if name in columns}
    state = None
    if config.contract.rolling:
        state = rolling_state(config, columns, key, known, rows)
        request |= rolling_features.training_features(
            take_rows(columns, rows), state.counts, config.contract, state.prior
        )
        request = {name: request[name] for name in config.request}

    derived = find(config.dataset).derive(request)
    if missing := [name for name in config.features if name not in derived]:
        raise ConfigError(f"features: {missing[0]} is not made by `derive` of the dataset {config.dataset}")

    outcome = columns[config.target][rows]
    target = outcome == 1 if config.task == "binary" else outcome
    examples = Examples(request, tensors(derived, config.contract), target)
    return TrainingRows(examples, key[rows], row_keys(columns, config)[rows], about, names, state)


def rolling_state(
    config: Config, columns: Columns, key: NDArray[Any], known: NDArray[Any], rows: NDArray[Any]
) -> RollingState:
    """The outcomes of all `known` rows, counted by day and key. The prior is the mean outcome of the rows that every
    fold trains on.
    """
    outcome = columns[config.target]
    timing = config.timing
    known_at = columns[timing.known][known] if timing and timing.known else None
    counts = rolling_features.count_outcomes(take_rows(columns, known), outcome[known], config.contract, known_at)

    first_fold = split(key[rows], config.split).folds[0]
    prior = float(outcome[rows][first_fold.train].mean())
    as_of = rolling_features.day_number(str(day_after(key[known])))
    return RollingState(counts, round(prior, rolling_features.DIGITS), as_of)
