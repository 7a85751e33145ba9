"""The axes of the page's pictures, and how it writes a number. The templates draw, and this module knows no model."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.ticker import MaxNLocator

NAMES = 5  # that an axis has room for


class Axis(NamedTuple):
    """The ends of an axis, and its ticks with their texts."""

    low: float
    high: float
    ticks: list[tuple[float, str]]

    def at(self, value: float, length: float = 100) -> float:
        """Return the place of a value on an axis of this length."""
        share = (value - self.low) / (self.high - self.low)
        return round(min(max(share, 0), 1) * length, 2)


def axis(values: Iterable[float], margin: float = 0.04) -> Axis:
    """Make an axis for these values, with a margin of this share at each end that is not 0."""
    finite = [float(value) for value in values if np.isfinite(value)]
    low = min(finite, default=0)
    high = max(finite, default=0)
    room = (high - low) * margin if low < high else abs(low) * 0.1 or 1.0

    low -= room if low else 0
    high += room if high or low == high else 0
    ticks = MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(low, high)
    return Axis(low, high, [(float(tick), f"{tick:,.6g}") for tick in ticks if low <= tick <= high])


def named_axis(names: Sequence[str]) -> Axis:
    """Make an axis with a place for each name, 0, 1, 2 …, and with as many of the names as it has room for."""
    every = -(-len(names) // NAMES)
    return Axis(-0.5, len(names) - 0.5, [(place, names[place]) for place in range(0, len(names), every)])


def number(value: float) -> str:
    """Write a metric with about four digits. A dash where it is undefined."""
    if not np.isfinite(value):
        return "–"
    decimals = max(0, 4 - len(str(int(abs(value)))))
    return f"{value:,.{decimals}f}"
