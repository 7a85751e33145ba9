"""What no search can use: folds with one outcome only, features without a value, kinds that cannot be exported."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.config.config import Config
from pipeline.data.split import Fold
from pipeline.errors import DataError
from pipeline.evaluation.metrics import spread
from pipeline.runtime.arrays import Tensors
from pipeline.runtime.predictor import Session
from pipeline.training import estimators
from pipeline.training.export import onnx

Array = NDArray[Any]
PROBE = 600  # rows for the export of each candidate before the search begins


def refuse_unfit(data: Tensors, target: Array, folds: list[Fold], config: Config) -> None:
    """Check the folds and the export of every candidate before the search.

    Raises DataError if all training or all validation outcomes of a fold are the same, or if a feature has no value in
    the training rows of a fold. Raises RefusedError if the export of a candidate is not exact.
    """
    for fold in folds:
        where = f"rows of fold {fold.name}"
        refuse_uniform(target[fold.train], config.target, f"the training {where}", "fewer or shorter folds")
        refuse_absent_class(target[fold.train], config, f"the training {where}", "fewer or shorter folds")
        refuse_uniform(target[fold.valid], config.target, f"the validation {where}", "fewer or longer folds")
        refuse_empty(data.take(fold.train), config, f"the training rows of fold {fold.name}")

    rows = probe_rows(target, np.random.default_rng(config.train.seed).permutation(folds[-1].train), config)
    probe = data.take(rows)
    outcome = target[rows]
    unit = spread(outcome, config.task)

    for name, settings in config.candidates.named().items():
        fitted = estimators.fit(settings, probe, outcome, config.train)
        session = Session(onnx.to_onnx(fitted, probe, name))
        onnx.refuse_inexact(fitted, session, probe, unit, config.gates.max_export_error, config.train.seed)


def probe_rows(target: Array, rows: Array, config: Config) -> Array:
    """The first of these rows, and the first one of each class: a probe without a class has another export."""
    first_of_class = [rows[target[rows] == number][:1] for number in range(len(config.classes))]
    return np.unique(np.concatenate([rows[:PROBE], *first_of_class])) if first_of_class else rows[:PROBE]


def refuse_uniform(target: Array, name: str, where: str, remedy: str) -> None:
    """Raise DataError if all outcomes are the same: there is nothing to learn or to evaluate."""
    if (target == target[0]).all():
        fact = f"{name}: all {len(target)} outcomes in {where} are the same, {target[0]}"
        raise DataError(f"{fact}. Use {remedy}, or more rows")


def absent_classes(target: Array, config: Config) -> list[str]:
    """The classes of a multiclass task that no row has."""
    return [name for number, name in enumerate(config.classes) if not (target == number).any()]


def refuse_absent_class(target: Array, config: Config, where: str, remedy: str) -> None:
    """Raise DataError if a class of a multiclass task has no row: no model could say it."""
    if absent := absent_classes(target, config):
        raise DataError(
            f"{config.target}: no row of {', '.join(absent)} in {where}. Use {remedy}, or leave the class out: under "
            f"values of {config.target}, and its rows"
        )


def refuse_empty(data: Tensors, config: Config, where: str) -> None:
    """Raise DataError if a feature has no value at all."""
    contract = config.contract
    empty = [name for name, column in zip(contract.strings, data.strings.T, strict=True) if not (column != "").any()]
    empty += [name for name, column in zip(contract.numbers, data.numbers.T, strict=True) if np.isnan(column).all()]

    if empty:
        raise DataError(f"{', '.join(empty)}: no value at all in {where}. Remove from features what has none")
