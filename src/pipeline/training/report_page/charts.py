"""The axes and the series of the page's pictures, and how it writes a number.

The templates draw, and this module knows no model.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np

from pipeline.evaluation.bootstrap import Interval

NAMES = 5  # that an axis has room for
TICKS = 6  # that an axis has about
COLOURS = 6  # c0 to c5 of the style sheet


class Axis(NamedTuple):
    """The ends of an axis, and its ticks with their texts."""

    low: float
    high: float
    ticks: list[tuple[float, str]]

    def at(self, value: float, length: float = 100) -> float:
        """Return the place of a value on an axis of this length."""
        share = (value - self.low) / (self.high - self.low)
        return round(min(max(share, 0), 1) * length, 2)

    def down(self, value: float, length: float) -> float:
        """Return the place of a value on an upright axis of this length, from the top."""
        return round(length - self.at(value, length), 2)


class Series(NamedTuple):
    """What a picture draws: line, dashed, dots, ring, whiskers, area or bars.

    Its points are (x, y), or (x, low, high) of whiskers and an area. A series with a name is in the legend.
    """

    kind: str
    points: list[Any]
    css: str
    name: str


def series(kind: str, points: Iterable[Any], css: str = "c0", name: str = "") -> Series:
    return Series(kind, list(points), css, name)


def lines(named: Mapping[str, Iterable[Any]], kind: str = "line", order: Iterable[str] = ()) -> list[Series]:
    """Make a series of each entry, with a colour by its place in `order`: without one, the order of the entries."""
    places = list(order) or list(named)
    return [series(kind, points, f"c{min(places.index(name), COLOURS - 1)}", name) for name, points in named.items()]


def spans(places: Iterable[float], intervals: Iterable[Interval]) -> list[tuple[float, float, float]]:
    """Return the points of whiskers or of an area: a place, and the ends of the interval there."""
    return [(place, interval.low, interval.high) for place, interval in zip(places, intervals, strict=True)]


def axis(values: Iterable[float], margin: float = 0.04) -> Axis:
    """Make an axis for these values, with a margin of this share at each end that is not 0."""
    finite = [float(value) for value in values if np.isfinite(value)]
    low = min(finite, default=0)
    high = max(finite, default=0)
    room = (high - low) * margin if low < high else abs(low) * 0.1 or 1.0

    low -= room if low else 0
    high += room if high or low == high else 0
    return Axis(low, high, [(tick, f"{tick:,.6g}") for tick in round_numbers(low, high)])


def round_numbers(low: float, high: float) -> list[float]:
    """Return the multiples of 1, 2 or 5 times a power of ten between two numbers, at most `TICKS` steps apart."""
    rough = (high - low) / TICKS
    power = 10.0 ** np.floor(np.log10(rough))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power > rough * 0.999)

    first = int(np.ceil(low / step - 1e-9))
    last = int(np.floor(high / step + 1e-9))
    return [float(number * step) for number in range(first, last + 1)]


def interval_axis(intervals: Iterable[Interval], *others: float) -> Axis:
    """Make an axis for intervals and other values."""
    return axis([*others, *chain.from_iterable(intervals)])


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
