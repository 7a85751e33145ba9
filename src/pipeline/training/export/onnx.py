"""Export a fitted scikit-learn pipeline to ONNX, and check that the export makes the same predictions.

Some parts of scikit-learn convert without an error and then predict something else, so every export is checked. Only
this module imports skl2onnx. It does not know how the pipeline was chosen.
"""

import copy
import warnings
from typing import Any

import numpy as np
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.base import is_classifier

from pipeline.candidates.kind import KINDS
from pipeline.errors import RefusedError
from pipeline.runtime.arrays import Tensors
from pipeline.runtime.predictor import Session
from pipeline.training import estimators

OPSETS = {"": 18, "ai.onnx.ml": 3}


def to_onnx(fitted: Any, data: Tensors, name: str) -> bytes:
    """Convert a fitted pipeline to ONNX. The same pipeline always gives the same bytes.

    `data` gives the widths of the two inputs, and an input without columns is left out. `name` is the graph's name.
    """
    exact = exportable(fitted)
    options = {id(exact): {"zipmap": False}} if is_classifier(exact) else None

    inputs = []
    for part, kind in {"strings": StringTensorType, "numbers": FloatTensorType}.items():
        width = getattr(data, part).shape[1]
        if width:
            inputs.append((part, kind([None, width])))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the converter's deprecations; `export_error` finds a wrong export
        graph = convert_sklearn(
            exact,
            name=name,  # without a name the converter draws a random one
            initial_types=inputs,
            options=options,
            target_opset=OPSETS,
        )

    opsets = sorted(graph.opset_import, key=lambda opset: str(opset.domain))  # the converter's order is that of a set
    del graph.opset_import[:]
    graph.opset_import.extend(opsets)
    content: bytes = graph.SerializeToString(deterministic=True)
    return content


def exportable(fitted: Any) -> Any:
    """Return a copy in which each model is what its kind exports in its place."""
    copied = copy.deepcopy(fitted)
    for pipeline in getattr(copied, "estimators_", [copied]):
        name, model = pipeline.steps[-1]
        if name in KINDS:
            pipeline.steps[-1] = (name, KINDS[name].exportable(model))
    return copied


def export_error(fitted: Any, session: Session, data: Tensors, spread: float, seed: int) -> float:
    """Return the largest difference between scikit-learn and the export, on these rows and on corrupted copies of them.

    The unit is `spread`, which is 1 for a probability. The difference is infinite if a prediction is not a number.
    """
    copies = corrupted(data, seed)
    strings = np.concatenate([data.strings, copies.strings])
    numbers = np.concatenate([data.numbers, copies.numbers])
    rows = Tensors(strings, numbers)

    largest = np.abs(estimators.predict(fitted, rows) - session(rows)).max() / spread
    return float(np.nan_to_num(largest, nan=np.inf))


def refuse_inexact(fitted: Any, session: Session, data: Tensors, spread: float, limit: float, seed: int) -> None:
    """Raise RefusedError if the export differs from scikit-learn by more than the limit, in units of `spread`."""
    error = export_error(fitted, session, data, spread, seed)
    if error > limit:
        raise RefusedError(
            f"the ONNX export of this model differs from scikit-learn by up to {error:.3g}, and {limit:g} is "
            "allowed. It may "
            "not go out. Some parts of scikit-learn convert without an error and then answer wrongly"
        )


def corrupted(data: Tensors, seed: int, rows: int = 10_000) -> Tensors:
    """Return copies of the first rows: 15 % of numbers missing, 10 % of categories unknown and 5 % of them missing."""
    rng = np.random.default_rng(seed)
    strings = data.strings[:rows].copy()
    numbers = data.numbers[:rows].copy()

    numbers[rng.random(numbers.shape) < 0.15] = np.nan
    drawn = rng.random(strings.shape)
    strings[drawn < 0.10] = "never seen"
    strings[drawn > 0.95] = ""
    return Tensors(strings, numbers)
