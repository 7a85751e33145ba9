"""`reference.json`: what the rows looked like that a model learnt from, what it said of them, and how it did on rows
that it had not seen. Monitoring compares with it, and pages show values by it.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.config.config import Config
from pipeline.evaluation.bootstrap import Bootstrap, blocks, rounded, with_intervals
from pipeline.evaluation.metrics import MONITORED
from pipeline.monitoring import drift
from pipeline.runtime.arrays import Columns, json_bytes
from pipeline.runtime.contract import Column

QUANTILES = [0.0, 0.01, 0.05, *(n / 10 for n in range(1, 10)), 0.95, 0.99, 1.0]
Array = NDArray[Any]


class HeldOutPredictions(NamedTuple):
    """Answers to rows that the model which gave them had not learnt from: folds and holdout together."""

    key: Array
    outcome: Array
    answer: Array


class LearntRows(NamedTuple):
    """The rows that were learnt from, derived columns among them, and what the exported model says of them."""

    columns: Columns
    key: Array
    target: Array
    answer: Array


def reference(
    config: Config, learnt: LearntRows, unseen: HeldOutPredictions, named: Mapping[str, Mapping[str, str]]
) -> bytes:
    """The file; `named` are those of values of categories."""
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
    names = MONITORED[config.task]
    figures = with_intervals(unseen.outcome, unseen.answer, blocks(unseen.key), plan, names)
    return json_bytes(
        {
            "rows": len(learnt.target),
            "quantiles": QUANTILES,
            "columns": columns,
            "target": number_summary(learnt.target.astype(np.float64)),
            "predictions": number_summary(learnt.answer) | drift.profile(learnt.answer, day, config.monitor),
            "outcomes": {"rows": len(unseen.outcome), "figures": rounded(figures)},
        }
    )


def column_profile(values: Array, day: NDArray[np.int64] | None, column: Column, config: Config) -> dict[str, Any]:
    if column.kind == "datetime":
        return {"missing": float(np.isnat(values).mean()), "first": str(values.min()), "last": str(values.max())}
    if column.kind == "category":
        found, counts = np.unique(values[values != ""].astype(str), return_counts=True)
        told = {
            "missing": float(np.mean(values == "")),
            "values": dict(zip(found.tolist(), counts.tolist(), strict=True)),
        }
        return told | drift.profile(values, day, config.monitor)
    values = values.astype(np.float64)
    return number_summary(values) | drift.profile(values, day, config.monitor)


def number_summary(values: NDArray[np.float64]) -> dict[str, Any]:
    present = values[~np.isnan(values)]
    figures = {"mean": present.mean(), "std": present.std()} if len(present) else {}
    quantiles = np.quantile(present, QUANTILES).tolist() if len(present) else []
    return {
        "missing": 1 - len(present) / len(values),
        **{k: float(v) for k, v in figures.items()},
        "quantiles": quantiles,
    }
