"""The rows that explore.ipynb looks at: read, cleaned and split by the pipeline itself, without the holdout."""

import tempfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from pipeline.config.config import Config, load
from pipeline.config.splits import TimeSplit
from pipeline.data.read import read
from pipeline.data.split import Fold, split
from pipeline.runtime.arrays import Examples
from pipeline.runtime.dataset import find

ROOT = Path(__file__).parent.parent


class Rows(NamedTuple):
    """The rows before the holdout: as a table for people, and as the training has them.

    `frame` has every feature, the time if there is one, and the outcome. `outcomes` are the columns of the outcome as
    numbers: 0 or 1, one such column for each class, or the number itself. `holdout` is the name of what is left out.
    """

    config: Config
    frame: pd.DataFrame
    outcomes: list[str]
    time: str | None
    examples: Examples
    folds: list[Fold]
    holdout: str


def before_holdout(model: str) -> Rows:
    """Read the rows of configs/MODEL.yaml, and forget those of the holdout."""
    config = load(ROOT / f"configs/{model}.yaml")
    with tempfile.TemporaryDirectory() as reports:
        data = read(config, Path(reports))

    parts = split(data.key, config.split)
    examples = data.examples.take(parts.search)
    numbers = outcome_numbers(examples, config)
    frame = pd.concat([feature_frame(examples, config), numbers], axis=1)
    time = config.split.time if isinstance(config.split, TimeSplit) else None
    folds = [renumbered(fold, parts.search) for fold in parts.folds]
    return Rows(config, frame, list(numbers), time, examples, folds, parts.holdout_name)


def feature_frame(examples: Examples, config: Config) -> pd.DataFrame:
    """What a caller sends and what `derive` adds, by name, without private columns; a missing category is None."""
    columns = find(config.dataset).derive(examples.request)
    names = [name for name in [*config.request, *config.features] if not config.columns[name].private]
    frame = pd.DataFrame({name: columns[name] for name in names})
    for name in frame.columns.intersection(config.strings):
        frame[name] = frame[name].replace("", None)
    return frame


def outcome_numbers(examples: Examples, config: Config) -> pd.DataFrame:
    """The outcome as numbers: a column for each class, named after it, or one that is named after the target."""
    if config.task != "multiclass":
        return pd.DataFrame({config.target: examples.target.astype(float)})
    return pd.DataFrame({f"is {name}": (examples.target == n) * 1.0 for n, name in enumerate(config.classes)})


def renumbered(fold: Fold, rows: np.ndarray) -> Fold:
    """A fold whose row numbers count only these rows, which are sorted and contain all of the fold's."""
    return Fold(fold.name, np.searchsorted(rows, fold.train), np.searchsorted(rows, fold.valid))
