"""Limits for metrics that a first training proposes, as lines of YAML. A person decides about them."""

import math
from collections.abc import Mapping

from pipeline.evaluation.bootstrap import Interval
from pipeline.evaluation.metrics import DECISIVE
from pipeline.runtime.contract import Task

LARGEST = {"roc_auc": 1.0}


def proposed_limits(task: Task, figures: Mapping[str, Interval]) -> list[str]:
    """Lines for the config: the 95 % interval on the holdout of each deciding metric, half as wide again on each side.

    A later model beyond the worse end is refused as bad, one beyond the better end as too good to be true. The list is
    empty if no metric has an interval.
    """
    lines = []
    for metric in DECISIVE[task]:
        low, high = figures[metric].low, figures[metric].high
        margin = (high - low) / 2
        if math.isfinite(margin) and margin > 0:
            lowest = max(0.0, low - margin)
            highest = min(LARGEST.get(metric, math.inf), high + margin)
            lines.append(f"    {metric}: {{low: {plain(lowest)}, high: {plain(highest)}}}")
    return ["gates:", "  holdout:", *lines] if lines else []


def plain(value: float) -> str:
    """The number with three digits that count, without an exponent, which YAML may read as text."""
    return repr(float(f"{value:.3g}")).removesuffix(".0")
