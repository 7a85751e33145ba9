"""A fitted pipeline to a bundle: exported, checked row by row against scikit-learn, and written whole or not at all.

The only module that imports skl2onnx.
"""

import copy
import json
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.base import BaseEstimator
from sklearn.pipeline import Pipeline

from pipeline import model, store
from pipeline.errors import RefusedError
from pipeline.predict import Session
from pipeline.schema import Column, Columns, Contract, Tensors

EXACT = 1e-5  # largest difference of a probability that an export may have
OPSETS = {"": 18, "ai.onnx.ml": 3}
QUANTILES = [0.0, 0.01, 0.05, *(n / 10 for n in range(1, 10)), 0.95, 0.99, 1.0]


def export(fitted: Pipeline, data: Tensors, name: str) -> bytes:
    """The pipeline as ONNX, the same bytes for the same pipeline. `data` tells the widths of the two inputs."""
    kinds = {"strings": StringTensorType, "numbers": FloatTensorType}
    inputs = [(part, kind([None, width])) for part, kind in kinds.items() if (width := getattr(data, part).shape[1])]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converter's own deprecations; what matters is checked below
        graph = convert_sklearn(
            with_float32_thresholds(fitted),
            name=name,  # without one it draws a random name
            initial_types=inputs,
            options={"zipmap": False},
            target_opset=OPSETS,
        )
    opsets = sorted(graph.opset_import, key=lambda opset: str(opset.domain))  # their order follows a set's
    del graph.opset_import[:]
    graph.opset_import.extend(opsets)
    content: bytes = graph.SerializeToString(deterministic=True)
    return content


def with_float32_thresholds(fitted: Pipeline) -> Pipeline:
    """A copy whose trees split at the largest float32 at or below each threshold.

    The export rounds thresholds to the nearest float32, which can move a float32 value to the other side. For float32 values
    x <= t is x <= floor32(t), so the copy answers as the original and leaves the export nothing to round.
    """
    copied: Pipeline = copy.deepcopy(fitted)
    for tree in _trees(copied):
        exact = tree.nodes["num_threshold"]
        nearest = exact.astype(np.float32)
        tree.nodes["num_threshold"] = np.where(nearest > exact, np.nextafter(nearest, np.float32(-np.inf)), nearest)
    return copied


def _trees(part: Any) -> Iterator[Any]:
    """Every tree of every histogram boosting inside an estimator, however deep."""
    for iteration in getattr(part, "_predictors", []):
        yield from iteration
    held = part.get_params(deep=False).values() if isinstance(part, BaseEstimator) else []
    for value in [*held, *getattr(part, "named_steps", {}).values()]:
        if isinstance(value, BaseEstimator) and value is not part:
            yield from _trees(value)


def refuse_inexact(fitted: Pipeline, session: Session, data: Tensors, seed: int) -> float:
    """The largest difference between scikit-learn and the export, on these rows and on damaged copies of them.

    Raises RefusedError where it is above `EXACT`.
    """
    checked = Tensors(*(np.concatenate(parts) for parts in zip(data, damaged(data, seed), strict=True)))
    off = np.abs(model.probabilities(fitted, checked) - session(checked))
    wrong = int(np.count_nonzero(~(off <= EXACT)))
    if wrong:
        raise RefusedError(
            f"the export of this model is not exact: {wrong} of {len(off)} rows are off by more than {EXACT:g}, at most by "
            f"{np.nanmax(off):.3g}. It may not go out. Some scikit-learn parts convert without an error and answer wrongly"
        )
    return float(off.max())


def damaged(data: Tensors, seed: int, rows: int = 10_000) -> Tensors:
    """Copies with 15 % of the numbers missing, 10 % of the categories unknown and 5 % of them missing."""
    rng = np.random.default_rng(seed)
    strings, numbers = (part[: min(rows, len(part))].copy() for part in data)
    numbers[rng.random(numbers.shape) < 0.15] = np.nan
    drawn = rng.random(strings.shape)
    strings[drawn < 0.10] = "never seen"
    strings[drawn > 0.95] = ""
    return Tensors(strings, numbers)


def manifest(contract: Contract, threshold: float, metrics: Mapping[str, Any], files: Mapping[str, bytes]) -> bytes:
    """`bundle.json`: all that decides predictions, so that its hash can be the bundle's name."""
    deciding = {name: store.sha256(files[name]) for name in ("model.onnx", "golden.json")}
    return as_json(
        {
            "contract": contract.model_dump(mode="json", exclude_defaults=True),
            "threshold": threshold,
            "metrics": metrics,
            "files": deciding,
        }
    )


def with_gaps(columns: Columns, contract: Contract) -> dict[str, NDArray[Any]]:
    """The same rows, the last quarter of them with nothing optional and with categories that no one has seen."""
    gaps = {name: values.copy() for name, values in columns.items()}
    for name, column in contract.request.items():
        last = slice(len(gaps[name]) * 3 // 4, None)
        if column.nullable:
            gaps[name][last] = {"category": "", "datetime": "NaT"}.get(column.kind, np.nan)
        elif column.kind == "category" and not column.values:
            gaps[name][last] = "never seen"
    return gaps


def golden(columns: Columns, contract: Contract, probabilities: NDArray[np.float64]) -> bytes:
    return as_json({"columns": plain(columns, contract), "probabilities": probabilities.tolist()})


def background(columns: Columns, contract: Contract) -> bytes:
    """Request rows against which explanations compare."""
    return as_json({"columns": plain(columns, contract)})


def plain(columns: Columns, contract: Contract) -> dict[str, list[Any]]:
    """Request columns as JSON values, None where missing."""
    return {name: [_plain(value, column) for value in columns[name]] for name, column in contract.request.items()}


def _plain(value: Any, column: Column) -> Any:
    if column.kind == "category":
        return value or None
    if column.kind == "datetime":
        return None if np.isnat(value) else str(value)
    if np.isnan(value):
        return None
    return {"integer": int, "boolean": bool}.get(column.kind, float)(value)


def reference(columns: Columns, contract: Contract, probabilities: NDArray[np.float64], target: NDArray[Any]) -> bytes:
    """What the training rows looked like, column by column, and what the model said of them: what monitoring compares with."""
    about = {name: _describe(columns[name], contract.columns[name]) for name in {**contract.request, **dict.fromkeys(contract.features)}}
    predictions = {"mean": float(probabilities.mean()), "quantiles": np.quantile(probabilities, QUANTILES).tolist()}
    return as_json(
        {"rows": len(target), "positive": float(target.mean()), "quantiles": QUANTILES, "columns": about, "predictions": predictions}
    )


def _describe(values: NDArray[Any], column: Column) -> dict[str, Any]:
    if column.kind == "category":
        found, counts = np.unique(values[values != ""].astype(str), return_counts=True)
        return {"missing": float(np.mean(values == "")), "values": dict(zip(found.tolist(), counts.tolist(), strict=True))}
    if column.kind == "datetime":
        return {"missing": float(np.isnat(values).mean()), "first": str(values.min()), "last": str(values.max())}
    present = values[~np.isnan(values)].astype(np.float64)
    figures = {"mean": present.mean(), "std": present.std()} if len(present) else {}
    quantiles = np.quantile(present, QUANTILES).tolist() if len(present) else []
    return {"missing": 1 - len(present) / len(values), **{k: float(v) for k, v in figures.items()}, "quantiles": quantiles}


def as_json(value: Any) -> bytes:
    """The one way that a bundle's JSON is written. Keys stay in their order, which is the config's: forms and pages follow it."""
    return (json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n").encode()
