"""`reference.json`: the training rows of a model, its predictions for them, and its metrics on rows that it was not
trained on. Monitoring compares with this file, and pages describe values with it.

This module makes the file's content, and reads the metrics in it. It must not know where the bundle is stored.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.config.config import Config
from pipeline.evaluation.bootstrap import Bootstrap, Interval, blocks, rounded, with_intervals
from pipeline.evaluation.metrics import monitored
from pipeline.monitoring import drift
from pipeline.runtime.arrays import Columns, json_bytes
from pipeline.runtime.contract import Column

QUANTILES = [0.0, 0.01, 0.05, *(n / 10 for n in range(1, 10)), 0.95, 0.99, 1.0]
Array = NDArray[Any]


class HeldOutPredictions(NamedTuple):
    """Predictions for the rows of folds and holdout, by models that were not trained on these rows."""

    key: Array
    outcome: Array
    answer: Array


class LearntRows(NamedTuple):
    """The training rows, with their derived columns, and the exported model's predictions for them."""

    columns: Columns
    key: Array
    target: Array
    answer: Array


def reference(
    config: Config, learnt: LearntRows, unseen: HeldOutPredictions, named: Mapping[str, Mapping[str, str]]
) -> bytes:
    """The content of the file. `named` maps a column to the names of its categories."""
    day = blocks(learnt.key) if np.issubdtype(learnt.key.dtype, np.datetime64) else None
    columns = {
        name: column_profile(learnt.columns[name], day, config.columns[name], config)
        for name in {**config.request, **dict.fromkeys(config.features)}
    }
    for name in columns.keys() & named.keys():
        columns[name]["names"] = {
            value: named[name][value] for value in columns[name]["values"] if value in named[name]
        }

    plan = Bootstrap(config.scoring, config.train.resamples, config.train.seed)
    names = monitored(config.scoring)
    figures = with_intervals(unseen.outcome, unseen.answer, blocks(unseen.key), plan, names)
    predictions = comparable(learnt.answer, config.classes)
    summary = {} if config.classes else number_summary(predictions)

    return json_bytes(
        {
            "rows": len(learnt.target),
            "quantiles": QUANTILES,
            "columns": columns,
            "target": number_summary(learnt.target.astype(np.float64)),
            "predictions": summary | drift.profile(predictions, day, config.monitor),
            "outcomes": {"rows": len(unseen.outcome), "figures": rounded(figures)},
        }
    )


def comparable(predictions: Array, classes: tuple[str, ...]) -> Array:
    """What drift compares of predictions, shape [rows]: the names of the most probable classes, or the numbers."""
    return np.array(classes, dtype=object)[predictions.argmax(axis=1)] if classes else predictions


def column_profile(values: Array, day: NDArray[np.int64] | None, column: Column, config: Config) -> dict[str, Any]:
    """The summary of a column by its kind and, unless it is a date and time, its profile for the comparison."""
    if column.kind == "datetime":
        return {"missing": float(np.isnat(values).mean()), "first": str(values.min()), "last": str(values.max())}

    if column.kind == "category":
        categories, counts = np.unique(values[values != ""].astype(str), return_counts=True)
        summary = {
            "missing": float(np.mean(values == "")),
            "values": dict(zip(categories.tolist(), counts.tolist(), strict=True)),
        }
        return summary | drift.profile(values, day, config.monitor)

    values = values.astype(np.float64)
    return number_summary(values) | drift.profile(values, day, config.monitor)


def number_summary(values: NDArray[np.float64]) -> dict[str, Any]:
    """Share of missing values, mean, standard deviation and `QUANTILES`.

    If all values are missing, there is no mean and no deviation, and the quantiles are empty.
    """
    present = values[~np.isnan(values)]
    figures = {"mean": present.mean(), "std": present.std()} if len(present) else {}
    quantiles = np.quantile(present, QUANTILES).tolist() if len(present) else []
    return {
        "missing": 1 - len(present) / len(values),
        **{name: float(value) for name, value in figures.items()},
        "quantiles": quantiles,
    }


def expected_figures(reference: Mapping[str, Any]) -> dict[str, Interval]:
    """The metrics in the content of `reference.json`; its null stands for NaN."""
    expected = {}
    for name, ends in reference["outcomes"]["figures"].items():
        expected[name] = Interval(*np.array([*ends.values()], dtype=np.float64).tolist())
    return expected
