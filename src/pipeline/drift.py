"""What came in, against the rows that the model learnt from: shares of bins, of gaps, of the commonest value.

An ordinary week of weather is far from a year of it, so nothing here is held against a number from a book: a week
counts as drifted where it is further off than every week of the reference was, and a column as gone where a day has
one value only, or none, as no day of the reference had.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.plan import Monitor

Array = NDArray[Any]
Codes = NDArray[np.int64]
INNER = [n / 10 for n in range(1, 10)]  # quantiles between the bins of a number
FLOOR = 1e-4  # share of an empty bin, whose logarithm would be infinite


class Drift(NamedTuple):
    """One column in a window: how far off the reference it is, how far the reference's own weeks were at most (None
    where it had none), and shares of rows: missing, missing in the reference, never seen, outside of what was seen.
    """

    column: str
    off: float
    usual: float | None
    missing: float
    missing_before: float
    unseen: float
    outside: float

    @property
    def far(self) -> bool:
        return self.usual is not None and self.off > self.usual


class Gone(NamedTuple):
    """A column that one day had no value of, or one alone."""

    day: str
    column: str
    what: str
    rows: int


def bins(values: Array) -> list[Any]:
    """What divides a column: its values, or for numbers its deciles."""
    present = values[~empty(values)]
    if values.dtype == object:
        return list(np.unique(present.astype(str)).tolist())
    return list(np.unique(np.quantile(present, INNER)).tolist()) if len(present) else []


def coded(values: Array, edges: list[Any]) -> Codes:
    """Each value's bin. The last is that of what is missing; the one before, for categories, that of all others."""
    if values.dtype == object:
        number = {value: n for n, value in enumerate(edges)}
        codes = np.array([number.get(value, len(edges)) for value in values.tolist()], dtype=np.int64)
    else:
        codes = np.searchsorted(np.array(edges), values, side="right").astype(np.int64)
    codes[empty(values)] = len(edges) + 1
    return codes


def empty(values: Array) -> NDArray[np.bool_]:
    return np.asarray(values == "" if values.dtype == object else np.isnan(values), dtype=bool)


def index(expected: Array, found: Array) -> float:
    """The population stability index of shares, Σ (found - expected) · ln(found / expected)."""
    a, b = np.maximum(expected, FLOOR), np.maximum(found, FLOOR)
    return float(np.sum((b - a) * np.log(b / a)))


def profile(values: Array, day: Codes | None, rule: Monitor) -> dict[str, Any]:
    """A column of the reference: its bins with their shares and, where rows have a `day`, how far its own weeks are off
    at most, and the largest shares of a day without a value, and with one and the same.
    """
    edges = bins(values)
    codes = coded(values, edges)
    shares = np.bincount(codes, minlength=len(edges) + 2) / len(codes)
    about: dict[str, Any] = {"bins": edges, "shares": [round(float(share), 6) for share in shares]}
    if day is None:
        return about
    week = (day - day.min()) // rule.days
    counts = np.zeros((int(week.max()) + 1, len(shares)))
    np.add.at(counts, (week, codes), 1)
    whole = counts[counts.sum(axis=1) >= rule.rows]
    if len(whole):
        about["weeks"] = max(index(shares, each / each.sum()) for each in whole)
    of_days = by_day(values, day, rule.rows)
    if len(of_days):
        about["days"] = {"missing": float(of_days[:, 1].max()), "same": float(of_days[:, 2].max())}
    return about


def by_day(values: Array, day: Codes, least: int) -> NDArray[np.float64]:
    """For each day with `least` rows: the day, its share without a value, and its share of the commonest value."""
    _, codes = np.unique(values.astype(str) if values.dtype == object else values, return_inverse=True)
    gaps, found = empty(values), []
    for each, rows in zip(*grouped(day), strict=True):
        if len(rows) >= least:
            present = codes[rows][~gaps[rows]]
            commonest = np.bincount(present).max() if len(present) else 0
            found.append((each, gaps[rows].mean(), commonest / len(rows)))
    return np.array(found).reshape(-1, 3)


def grouped(day: Codes) -> tuple[list[int], list[Array]]:
    """The days, and the numbers of the rows of each."""
    order = np.argsort(day, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(day[order])) + 1)
    return [int(day[part[0]]) for part in parts], parts


def drift(name: str, values: Array, about: Mapping[str, Any]) -> Drift:
    """A column of a window against its profile."""
    edges = about["bins"]
    codes = coded(values, edges)
    shares = np.bincount(codes, minlength=len(edges) + 2) / len(codes)
    category, ends = values.dtype == object, about.get("quantiles") or []
    beyond = 0.0 if category or not ends else float(np.mean((values < ends[0]) | (values > ends[-1])))
    off, usual = index(np.array(about["shares"]), shares), about.get("weeks")
    unseen = float(shares[-2]) if category else 0.0
    return Drift(name, off, usual, float(shares[-1]), about["shares"][-1], unseen, beyond)


def gone(name: str, values: Array, day: Codes, about: Mapping[str, Any], rule: Monitor) -> list[Gone]:
    """The days on which a column was lost: no value, or one and the same, as on no day of the reference."""
    usual = about.get("days")
    if usual is None:
        return []
    found = []
    for each, missing, same in by_day(values, day, rule.rows):
        date, rows = str(np.datetime64(int(each), "D")), int(np.sum(day == each))
        if missing >= rule.gone and missing > usual["missing"]:
            found.append(Gone(date, name, "missing", rows))
        if same >= rule.gone and same > usual["same"]:
            found.append(Gone(date, name, "one and the same", rows))
    return found
