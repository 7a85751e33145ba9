"""A fitted pipeline to ONNX, and the check that nothing was lost on the way.

The only module that imports skl2onnx. Some scikit-learn parts convert without an error and then answer wrongly, so no
export leaves unchecked.
"""

import copy
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.base import is_classifier

from pipeline.errors import RefusedError
from pipeline.runtime.arrays import Tensors
from pipeline.runtime.predictor import Session
from pipeline.training import estimators

OPSETS = {"": 18, "ai.onnx.ml": 3}


def to_onnx(fitted: Any, data: Tensors, name: str) -> bytes:
    """The pipeline as ONNX, the same bytes for the same pipeline. `data` tells the widths of the two inputs."""
    kinds = {"strings": StringTensorType, "numbers": FloatTensorType}
    exact = with_float32_thresholds(fitted)
    inputs = [(part, kind([None, width])) for part, kind in kinds.items() if (width := getattr(data, part).shape[1])]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converter's own deprecations; what matters is checked below
        graph = convert_sklearn(
            exact,
            name=name,  # without one it draws a random name
            initial_types=inputs,
            options={id(exact): {"zipmap": False}} if is_classifier(exact) else None,
            target_opset=OPSETS,
        )
    opsets = sorted(graph.opset_import, key=lambda opset: str(opset.domain))  # their order follows a set's
    del graph.opset_import[:]
    graph.opset_import.extend(opsets)
    content: bytes = graph.SerializeToString(deterministic=True)
    return content


def with_float32_thresholds(fitted: Any) -> Any:
    """A copy whose trees split at the largest float32 at or below each threshold.

    The export rounds thresholds to the nearest float32, which can move a float32 value to the other side. For float32
    values x <= t is x <= floor32(t), so the copy answers as the original and leaves the export nothing to round.
    """
    copied = copy.deepcopy(fitted)
    for tree in _trees(copied):
        exact = tree.nodes["num_threshold"]
        nearest = exact.astype(np.float32)
        tree.nodes["num_threshold"] = np.where(nearest > exact, np.nextafter(nearest, np.float32(-np.inf)), nearest)
    return copied


def _trees(part: Any) -> Iterator[Any]:
    """Every tree of every histogram boosting inside an estimator, however deep."""
    for iteration in getattr(part, "_predictors", []):
        yield from iteration
    for value in [*getattr(part, "named_steps", {}).values(), *getattr(part, "estimators_", [])]:
        yield from _trees(value)


def export_error(fitted: Any, session: Session, data: Tensors, spread: float, seed: int) -> float:
    """The largest difference between scikit-learn and the export, on these rows and on damaged copies of them.

    In units of `spread`, which is 1 for a probability. An answer that is not a number is infinitely far off.
    """
    gaps = corrupted(data, seed)
    checked = Tensors(np.concatenate([data.strings, gaps.strings]), np.concatenate([data.numbers, gaps.numbers]))
    largest = np.abs(estimators.predict(fitted, checked) - session(checked)).max() / spread
    return float(np.nan_to_num(largest, nan=np.inf))


def refuse_inexact(fitted: Any, session: Session, data: Tensors, spread: float, limit: float, seed: int) -> None:
    """Raise RefusedError if the export differs by more than the limit."""
    error = export_error(fitted, session, data, spread, seed)
    if error > limit:
        raise RefusedError(
            f"the export of this model is not exact: it is off by up to {error:.3g}, and {limit:g} is allowed. It may "
            "not go out. Some parts of scikit-learn convert without an error and then answer wrongly"
        )


def corrupted(data: Tensors, seed: int, rows: int = 10_000) -> Tensors:
    """Copies with 15 % of the numbers missing, 10 % of the categories unknown and 5 % of them missing."""
    rng = np.random.default_rng(seed)
    strings = data.strings[:rows].copy()
    numbers = data.numbers[:rows].copy()

    numbers[rng.random(numbers.shape) < 0.15] = np.nan
    drawn = rng.random(strings.shape)
    strings[drawn < 0.10] = "never seen"
    strings[drawn > 0.95] = ""
    return Tensors(strings, numbers)
