"""What the gates evaluate, made by hand: a calibrated model on two thousand rows over forty days."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import numpy as np

from pipeline.config.config import Config
from pipeline.evaluation.bootstrap import Bootstrap, Interval, with_intervals
from pipeline.evaluation.slices import Slice, slices
from pipeline.runtime.arrays import Examples, Tensors
from pipeline.runtime.contract import Scoring
from pipeline.training.evidence import Evidence, GateResult
from pipeline.training.gates import evaluate_gates

ROWS = 2000
Gates = Callable[[Config, Evidence], Iterable[GateResult]]


class Instant:
    """A model that answers at once."""

    def __call__(self, data: Tensors) -> np.ndarray:
        return np.zeros(len(data.numbers))


@cache
def examples(seed: int) -> tuple[Examples, np.ndarray]:
    """Rows of the tiny contract, and the probability of each. Colour says nothing, size a little."""
    rng = np.random.default_rng(seed)
    probability = rng.beta(2, 5, ROWS)
    target = rng.random(ROWS) < probability
    colour = rng.choice(["red", "blue"], ROWS).astype(object)
    shape = np.full(ROWS, "round", dtype=object)
    size = probability + rng.random(ROWS)
    legs = rng.integers(0, 9, ROWS).astype(np.float64)
    when = np.datetime64("2013-01-01T17:00", "s") + (np.arange(ROWS) // 50).astype("timedelta64[D]")

    request = {"colour": colour, "shape": shape, "size": size, "legs": legs, "when": when}
    numbers = np.column_stack([size, legs, np.full(ROWS, 17)]).astype(np.float32)
    return Examples(request, Tensors(np.column_stack([colour, shape]), numbers), target), probability


def evidence(**changes: Any) -> Evidence:
    train, _ = examples(1)
    holdout, probability = examples(0)
    made: dict[str, Any] = {
        "train": train, "holdout": holdout, "blocks": np.arange(ROWS) // 50, "predictions": probability,
        "champion": None, "export_error": 1e-7, "session": Instant(), "size": 1_000_000, "missing": [], "gains": [],
    } | changes  # fmt: skip
    figures, parts = measured() if "predictions" not in changes else measure(made["predictions"])
    return Evidence(**{"figures": figures, "slices": parts, **made})


@cache
def measured() -> tuple[dict[str, Interval], list[Slice]]:
    """The metrics of the calibrated model on the holdout and its slices."""
    return measure(examples(0)[1])


def measure(predictions: np.ndarray) -> tuple[dict[str, Interval], list[Slice]]:
    holdout, _ = examples(0)
    of_rows = holdout.target, predictions, np.arange(ROWS) // 50, Bootstrap(Scoring("binary", 0.25), 50, 0)
    return with_intervals(*of_rows), slices(holdout.request, ["colour"], 100, *of_rows)


def refused(config: Config, evidence: Evidence, gates: Gates = evaluate_gates) -> list[str]:
    return [result.gate for result in gates(config, evidence) if not result.passed]


def result_of(config: Config, evidence: Evidence, gate: str, gates: Gates = evaluate_gates) -> GateResult:
    """The result of the gate with this name, or of the one gate whose name has this text in it."""
    results = {result.gate: result for result in gates(config, evidence)}
    (name,) = [gate] if gate in results else [name for name in results if gate in name]
    return results[name]
