"""Copies of training rows in which optional columns are missing, so that a model learns what a missing value means.

Callers leave columns out together: the weather where its source has no data, everything optional where a person fills
in a form. In training data the same columns are nearly always there. A model that was trained on such rows alone
takes a missing value for what it meant in the few rows that lack it.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.config.config import Config
from pipeline.data.read import TrainingRows
from pipeline.data.split import Fold
from pipeline.evaluation.bootstrap import blocks
from pipeline.runtime.arrays import Columns, Examples, as_array, tensors
from pipeline.runtime.dataset import find

ALL = "all optional columns"


class Copies(NamedTuple):
    """Masked copies of rows, and the row [copies] that each of them is a copy of."""

    examples: Examples
    source: NDArray[np.int64]


def optional_groups(config: Config) -> dict[str, list[str]]:
    """Return the columns of each declared group, and all optional columns of the model. Empty if there are none."""
    used = set(config.features)
    for name in config.features:
        used.update(config.columns[name].derived_from)

    optional = [name for name, column in config.request.items() if column.nullable and name in used]
    if not optional:
        return {}
    return {**config.masking.groups, ALL: optional}


def make_copies(config: Config, rows: TrainingRows) -> Copies:
    """Copy a random share of the rows for each group, with the columns of that group missing.

    `masking.all` is the share for all optional columns, `masking.per_group` the share for each declared group. No row
    is copied twice.
    """
    groups = optional_groups(config)
    draws = np.random.default_rng(config.train.seed).random(len(rows.key))
    parts = []
    sources = []

    start = 0.0
    for group, columns in groups.items():
        share = config.masking.share_of_all(len(rows.key)) if group == ALL else config.masking.per_group
        source = np.flatnonzero((draws >= start) & (draws < start + share))
        start += share
        if len(source):
            parts.append(mask(config, rows.examples.take(source), columns, prior_of(rows)))
            sources.append(source)

    if not parts:
        nothing = np.empty(0, dtype=np.int64)
        return Copies(rows.examples.take(nothing), nothing)
    return Copies(concatenate(parts), np.concatenate(sources))


def mask(config: Config, examples: Examples, columns: list[str], prior: Mapping[str, float]) -> Examples:
    """Return the rows with these columns missing. A rolling feature gets its `prior`, as if its key had no rows."""
    request = dict(examples.request)
    for name in columns:
        column = config.columns[name]
        missing = as_array([None] * len(examples.target), column.kind)
        if name in prior:
            missing = np.full(len(examples.target), prior[name])
        request[name] = missing

    derived = find(config.dataset).derive(request)
    return Examples(request, tensors(derived, config.contract), examples.target)


def prior_of(rows: TrainingRows) -> dict[str, float]:
    """Return what each rolling feature is for a key without rows."""
    return {} if rows.rolling_state is None else rows.rolling_state.prior


def concatenate(parts: list[Examples]) -> Examples:
    """Return the rows of all parts, one after the other."""
    request = {}
    for name in parts[0].request:
        request[name] = np.concatenate([part.request[name] for part in parts])

    strings = np.concatenate([part.data.strings for part in parts])
    numbers = np.concatenate([part.data.numbers for part in parts])
    target = np.concatenate([part.target for part in parts])
    return Examples(request, parts[0].data._replace(strings=strings, numbers=numbers), target)


def with_copies(examples: Examples, copies: Copies, rows: NDArray[np.int64] | None = None) -> Examples:
    """Add to the examples the copies of these `rows`, or all copies."""
    if not len(copies.source):
        return examples
    if rows is None:
        return concatenate([examples, copies.examples])
    return concatenate([examples, copies.examples.take(np.flatnonzero(np.isin(copies.source, rows)))])


def sizes(rows: Examples, extended: Examples) -> str:
    """How many rows there are, and how many copies were added to them."""
    text = f"{len(rows.target):,} rows"
    copies = len(extended.target) - len(rows.target)
    return f"{text} and {copies:,} masked copies" if copies else text


def blocks_with_copies(key: NDArray[Any], copies: Copies) -> NDArray[np.int64]:
    """Return the block of each row, by its `key` [rows], and then of each copy: that of the row it copies."""
    unit = blocks(key)
    return np.concatenate([unit, unit[copies.source]])


def folds_with_copies(folds: list[Fold], copies: Copies, rows: int) -> list[Fold]:
    """Add to the training rows of each fold the copies of these rows, numbered from `rows` on.

    The validation rows stay as they are.
    """
    extended = []
    for fold in folds:
        copied = rows + np.flatnonzero(np.isin(copies.source, fold.train))
        extended.append(Fold(fold.name, np.concatenate([fold.train, copied]), fold.valid))
    return extended


def rarely_missing(config: Config, request: Columns, limit: float = 0.01) -> Mapping[str, float]:
    """Return the share of missing values of each optional column that is missing in fewer than `limit` of the rows and
    belongs to no declared group.
    """
    grouped: set[str] = set()
    grouped.update(*config.masking.groups.values())
    shares = {}
    for name in optional_groups(config).get(ALL, []):
        if name in grouped or config.columns[name].rolling:
            continue
        values = request[name]
        missing = values == "" if values.dtype == object else np.isnan(values)
        if missing.mean() < limit:
            shares[name] = float(missing.mean())
    return shares
