"""From files to rows: read, cleaned, with what they remember, in the shapes that training and a replay need."""

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
    """Valid rows, what decides where each belongs, a number that tells each from every other, facts for the record,
    names of values, and what the features that remember begin with.
    """

    examples: Examples
    key: NDArray[Any]
    row_key: NDArray[np.uint64]
    about: dict[str, Any]
    names: Mapping[str, Mapping[str, str]]
    rolling_state: RollingState | None


class CleanedColumns(NamedTuple):
    """All columns that the data brings, of valid rows; facts for the record, and names of values."""

    columns: Columns
    about: dict[str, Any]
    names: Mapping[str, Mapping[str, str]]


def read_and_clean(config: Config, reports: Path) -> CleanedColumns:
    """Valid rows, and what happened to the others: in `data_report.json` and `rejected.csv`, even if too many."""
    dataset = find(config.dataset)
    path = None if config.data.path is None else Path(config.data.path)
    raw = dataset.load(path, config.columns)
    valid = clean.clean(raw.frame, config.contract)
    counts = {"loaded": len(raw.frame), "rejected": len(valid.rejected), "valid": len(valid.frame)}
    told = {"counts": raw.counts, "rules": clean.violation_counts(valid, config.contract)}
    about = {"data": {"files": raw.hashes, "licence": config.data.licence, **told}, "rows": counts}
    (reports / "config.json").write_bytes(json_bytes(config.model_dump(mode="json", exclude={"paths"})))
    (reports / "data_report.json").write_bytes(json_bytes(about))
    valid.rejected.to_csv(reports / "rejected.csv", index_label="row")
    clean.refuse_too_many(valid, config.data.max_rejected, f"{config.paths.reports}/{config.name}.failed/rejected.csv")
    return CleanedColumns(clean.frame_to_columns(valid.frame, config.contract), about, raw.names)


def read(config: Config, reports: Path) -> TrainingRows:
    """The rows that a training may know, in time or by their share."""
    columns, about, names = read_and_clean(config, reports)
    key = split_keys(columns, config)
    known = np.flatnonzero(key < np.datetime64(config.data.until)) if config.data.until else np.arange(len(key))
    if not len(known):
        raise DataError(f"no rows lie before {config.data.until}: they begin on {first_day(key)}")
    kept = known[sample(blocks(key[known]), config.data.sample, config.train.seed)]
    recalled = add_rolling_features(config, columns, key, known, kept) if config.contract.rolling else None
    past = (
        rolling_features.training_features(take_rows(columns, kept), recalled.counts, config.contract, recalled.prior)
        if recalled
        else {}
    )
    request = {name: past[name] if name in past else columns[name][kept] for name in config.request}
    derived = find(config.dataset).derive(request)
    if missing := [name for name in config.features if name not in derived]:
        raise ConfigError(f"features: {missing[0]} is not made by `derive` of the dataset {config.dataset}")
    outcome = columns[config.target][kept]
    target = outcome == 1 if config.task == "binary" else outcome
    examples = Examples(request, tensors(derived, config.contract), target)
    return TrainingRows(examples, key[kept], row_keys(columns, config)[kept], about, names, recalled)


def add_rolling_features(
    config: Config, columns: Columns, key: NDArray[Any], known: NDArray[Any], kept: NDArray[Any]
) -> RollingState:
    """How all known rows ended, by day and key. The prior is from the rows that every fold trains on."""
    rule, outcome = config.timing, columns[config.target]
    told = columns[rule.known][known] if rule and rule.known else None
    tallies = rolling_features.count_outcomes(take_rows(columns, known), outcome[known], config.contract, told)
    prior = round(float(outcome[kept][split(key[kept], config.split).folds[0].train].mean()), rolling_features.DIGITS)
    return RollingState(tallies, prior, rolling_features.day_number(str(day_after(key[known]))))
