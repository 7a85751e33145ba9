"""What the gates evaluate, made by hand: a calibrated model on two thousand rows over forty days."""

from typing import Any

import numpy as np

from pipeline.config.config import Config
from pipeline.evaluation.bootstrap import Bootstrap, with_intervals
from pipeline.evaluation.slices import slices
from pipeline.runtime.arrays import Examples, Tensors
from pipeline.runtime.contract import Scoring
from pipeline.training.evidence import Evidence, GateResult
from pipeline.training.gates import evaluate_gates

ROWS = 2000


class Instant:
    """A model that answers at once."""

    def __call__(self, data: Tensors) -> np.ndarray:
        return np.zeros(len(data.numbers))


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
    measured = made["holdout"].target, made["predictions"], made["blocks"], Bootstrap(Scoring("binary", 0.25), 50, 0)
    parts = slices(made["holdout"].request, ["colour"], 100, *measured)
    return Evidence(**{"figures": with_intervals(*measured), "slices": parts, **made})


def refused(config: Config, evidence: Evidence) -> list[str]:
    return [result.gate for result in evaluate_gates(config, evidence) if not result.passed]


def result_of(config: Config, evidence: Evidence, gate: str) -> GateResult:
    """The result of the one gate whose name has this text in it."""
    (result,) = [result for result in evaluate_gates(config, evidence) if gate in result.gate]
    return result
