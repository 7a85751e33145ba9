"""Read files into clean rows with their rolling features, in the shapes that training and a replay need.

This module does not know the models: it ends where the search for a candidate begins.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.config.config import Config
from pipeline.config.splits import TimeSplit
from pipeline.console import Say
from pipeline.data import clean, download, rejections
from pipeline.data.keys import day_after, first_day, refuse_same_keys, row_keys, rows_of_same_key, split_keys
from pipeline.data.split import sample, split
from pipeline.errors import ConfigError, DataError
from pipeline.evaluation.bootstrap import blocks
from pipeline.runtime import rolling_features
from pipeline.runtime.arrays import Columns, Examples, as_outcome, json_bytes, take_rows, tensors
from pipeline.runtime.dataset import find
from pipeline.runtime.rolling_features import RollingState


class TrainingRows(NamedTuple):
    """Valid rows for a training.

    `key` [rows] decides to which fold a row belongs, and `row_key` [rows] identifies the row in every training. `about`
    has facts for the record, `names` the display names of values by column, and `rolling_state` the counts of outcomes
    for rolling features, if the contract has any.
    """

    examples: Examples
    key: NDArray[Any]
    row_key: NDArray[np.uint64]
    about: dict[str, Any]
    names: Mapping[str, Mapping[str, str]]
    rolling_state: RollingState | None


class CleanedColumns(NamedTuple):
    """The valid rows of the columns that the data brings, facts for the record, and display names of values."""

    columns: Columns
    about: dict[str, Any]
    names: Mapping[str, Mapping[str, str]]


def read_and_clean(config: Config, reports: Path, say: Say = lambda _: None) -> CleanedColumns:
    """Load the data, downloaded first if need be, and apply the contract's rules.

    Writes `config.json`, `data_report.json` and `rejected.csv` to the folder `reports`. They are there even if too many
    rows are rejected or no row is left: then it raises DataError.
    """
    dataset = find(config.dataset)
    download.fetch(config.data, say)
    raw = dataset.load(config.data, config.columns)
    valid = clean.clean(raw.frame, config.contract)

    counts = {"loaded": len(raw.frame), "rejected": len(valid.rejected), "valid": len(valid.frame)}
    counts["without_outcome"] = counts["loaded"] - counts["rejected"] - counts["valid"]
    rules = clean.violation_counts(valid, config.contract)
    time = config.split.time if isinstance(config.split, TimeSplit) else None
    frames = {"raw": raw.frame, "valid": valid.frame}
    profile = {name: clean.profile(frame, config.contract, time) for name, frame in frames.items()}
    data = {
        "files": raw.hashes, "licence": config.data.licence, "counts": raw.counts, "rules": rules, "profile": profile
    }  # fmt: skip
    columns = clean.frame_to_columns(valid.frame, config.contract)
    repeated = rows_of_same_key(columns, config)
    about = {"data": data, "rows": {**counts, "same_key": len(repeated)}}

    (reports / "config.json").write_bytes(json_bytes(config.model_dump(mode="json", exclude={"paths"})))
    (reports / "data_report.json").write_bytes(json_bytes(about))
    valid.rejected.to_csv(reports / "rejected.csv", index_label="row")

    rejections.refuse_too_many(valid, raw.frame, config, f"{config.paths.reports}/{config.name}.failed/rejected.csv")
    refuse_same_keys(columns, config, repeated)
    return CleanedColumns(columns, about, raw.names)


def read(config: Config, reports: Path, say: Say = lambda _: None) -> TrainingRows:
    """Read the rows for a training: the share `data.sample` of the rows before `data.until`.

    Raises DataError if there are no such rows, ConfigError for a feature that `derive` does not make.
    """
    columns, about, names = read_and_clean(config, reports, say)
    key = split_keys(columns, config)

    known = np.arange(len(key))
    if config.data.until:
        known = np.flatnonzero(key < np.datetime64(config.data.until))
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
        request = {name: request[name] for name in config.request}  # in the order of the contract

    derived = find(config.dataset).derive(request)
    missing = [name for name in config.features if name not in derived]
    if missing:
        raise ConfigError(f"features: {missing[0]} is not made by `derive` of the dataset {config.dataset}")

    target = as_outcome(columns[config.target][rows], config)
    examples = Examples(request, tensors(derived, config.contract), target)
    return TrainingRows(examples, key[rows], row_keys(columns, config)[rows], about, names, state)


def rolling_state(
    config: Config, columns: Columns, key: NDArray[Any], known: NDArray[Any], rows: NDArray[Any]
) -> RollingState:
    """Count the outcomes of all `known` rows by day and key.

    `known` and `rows` are positions in the columns: all rows before `data.until`, and the sample of them for training.
    The prior of a feature is its mean over the training rows of the first fold. With forward chaining, every fold
    trains on these rows, so the prior uses no outcome of a validation row or of the holdout.
    """
    outcome = as_outcome(columns[config.target], config)
    timing = config.timing
    known_at = columns[timing.known][known] if timing and timing.known else None
    counts = rolling_features.count_outcomes(take_rows(columns, known), outcome[known], config.contract, known_at)

    first_fold = split(key[rows], config.split).folds[0]
    prior = {}
    for name, rule in config.contract.rolling.items():
        values = rolling_features.counted(outcome[rows][first_fold.train], rule, config.contract)
        prior[name] = round(float(values.mean()), rolling_features.DIGITS)
    times = columns[rolling_features.required_timing(config.contract).time]
    as_of = rolling_features.day_number(str(day_after(times[known])))
    return RollingState(counts, prior, as_of)
