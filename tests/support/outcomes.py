"""Made-up outcomes of days, each with its own luck, and how well predictions do on them."""

from typing import Any

import numpy as np

from pipeline.evaluation.bootstrap import Bootstrap, Interval, with_intervals
from pipeline.evaluation.metrics import MONITORED
from pipeline.runtime.contract import Scoring

PLAN = Bootstrap(Scoring("binary", 0.25), 200, 0)
START = np.datetime64("2013-01-01")


def on(day: Any) -> Any:
    """So many days later."""
    return START + np.asarray(day).astype("timedelta64[D]")


def luck(days: int, rows: int = 100, seed: int = 0, told: float = 1.0) -> tuple[Any, Any, Any]:
    """Rows of days, each with its own luck: time, outcome, and probabilities that are right on average; with `told`
    below 1 they say too little of what they know.
    """
    rng = np.random.default_rng(seed)
    day = np.repeat(np.arange(days), rows)
    known = rng.normal(-1.2, 0.9, days * rows)
    outcome = rng.random(days * rows) < 1 / (1 + np.exp(-known - rng.normal(0, 0.3, days)[day]))
    return on(day), outcome, 1 / (1 + np.exp(-(known + 1.2) * told + 1.2))


def reference(outcome: Any, answer: Any, day: Any, plan: Bootstrap) -> dict[str, Interval]:
    return with_intervals(outcome, answer, day, plan, MONITORED[plan.scoring.task])
