"""What came in, against the rows that the model learnt from: shares of bins, of gaps, of the commonest value.

An ordinary week of weather is far from a year of it, so nothing here is held against a number from a book: a week
counts as drifted where it is further off than every whole week of the reference was, and a column as gone where a day
has one value only, or none, as hardly a day of the reference had.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.config.monitoring import Monitor

Array = NDArray[Any]
Codes = NDArray[np.int64]
INNER = [n / 10 for n in range(1, 10)]  # quantiles between the bins of a number
FLOOR = 1e-4  # share of an empty bin, whose logarithm would be infinite
SLIGHT = 0.01  # an index that means nothing, however alike the weeks of the reference were
HARDLY = 0.02  # share of the reference's days: what fewer had was no habit, but maybe a fault of its own


class Drift(NamedTuple):
    """One column in a window: how far off the reference it is, how far the reference's own weeks were at most (None
    where it had none), and shares of rows: missing, missing in the reference, never seen, outside of what was seen.
    """

    column: str
    psi: float
    reference_psi: float | None
    missing: float
    missing_before: float
    unseen: float
    outside: float

    @property
    def ratio(self) -> float | None:
        """How many times as far off as the furthest week of the reference."""
        return None if self.reference_psi is None else self.psi / max(self.reference_psi, SLIGHT)

    @property
    def is_far(self) -> bool:
        return self.ratio is not None and self.ratio > 1


class Day(NamedTuple):
    """A column on one day: its rows, the share without a value, and of those that have one the share of the commonest,
    which is 0 where too few have one.
    """

    day: int
    rows: int
    missing: float
    same: float
    value: Any


class ColumnFault(NamedTuple):
    """A column that one day had no value of, or one alone."""

    day: str
    column: str
    fault: str
    rows: int


def bin_edges(values: Array) -> list[Any]:
    """What divides a column: its values, or for numbers its deciles; one that fills several is a bin of its own."""
    present = values[~empty(values)]
    if values.dtype == object:
        return list(np.unique(present.astype(str)).tolist())
    if not len(present):
        return []
    edges, times = np.unique(np.quantile(present, INNER), return_counts=True)
    above = [present[present > often] for often in edges[times > 1]]
    ends = [(often + more.min()) / 2 for often, more in zip(edges[times > 1], above, strict=True) if len(more)]
    return list(np.unique([*edges, *ends]).tolist())


def bin_codes(values: Array, edges: list[Any]) -> Codes:
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


def population_stability_index(expected: Array, found: Array) -> float:
    """The population stability index of shares, Σ (found - expected) · ln(found / expected)."""
    a, b = np.maximum(expected, FLOOR), np.maximum(found, FLOOR)
    return float(np.sum((b - a) * np.log(b / a)))


def profile(values: Array, day: Codes | None, rule: Monitor) -> dict[str, Any]:
    """A column of the reference: its bins with their shares and, where rows have a `day`, how far its own weeks are off
    at most, and what its days are used to.
    """
    edges = bin_edges(values)
    codes = bin_codes(values, edges)
    shares = np.bincount(codes, minlength=len(edges) + 2) / len(codes)
    about: dict[str, Any] = {"bins": edges, "shares": [round(float(share), 6) for share in shares]}
    if day is None:
        return about
    week = (day - day.min()) // rule.days
    counts = np.zeros((int(week.max()) + 1, len(shares)))
    np.add.at(counts, (week, codes), 1)
    days = np.bincount((np.unique(day) - day.min()) // rule.days)
    whole = counts[(days == days.max()) & (counts.sum(axis=1) >= rule.rows)]
    if len(whole):
        about["weeks"] = max(population_stability_index(shares, each / each.sum()) for each in whole)
    if of_days := by_day(values, day, rule.rows):
        about["days"] = {
            "missing": usual_share([each.missing for each in of_days]),
            "same": usual_constants(of_days, rule),
        }
    return about


def usual_share(shares: Sequence[float]) -> float:
    """The largest of the days' shares, without the few days that were like no other."""
    return float(np.quantile(shares, 1 - HARDLY, method="lower"))


def usual_constants(days: Sequence[Day], rule: Monitor) -> list[Any] | None:
    """The values that filled a whole day; None where many did, since that column has one value a day by its nature."""
    filled = {each.value for each in days if each.same >= rule.max_constant_share}
    return sorted(filled) if len(filled) * 4 < len(days) else None


def by_day(values: Array, day: Codes, least: int) -> list[Day]:
    """A column on each day with `least` rows."""
    found, codes = np.unique(values.astype(str) if values.dtype == object else values, return_inverse=True)
    gaps, told = empty(values), []
    for each, rows in zip(*grouped(day), strict=True):
        if len(rows) >= least:
            present = codes[rows][~gaps[rows]]
            often = np.bincount(present) if len(present) >= least else np.zeros(1, np.int64)
            same, value = often.max() / max(len(present), 1), found[often.argmax()].item()
            told.append(Day(each, len(rows), float(gaps[rows].mean()), float(same), value))
    return told


def grouped(day: Codes) -> tuple[list[int], list[Array]]:
    """The days, and the numbers of the rows of each."""
    order = np.argsort(day, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(day[order])) + 1)
    return [int(day[part[0]]) for part in parts], parts


def drift(name: str, values: Array, about: Mapping[str, Any]) -> Drift:
    """A column of a window against its profile."""
    edges = about["bins"]
    codes = bin_codes(values, edges)
    shares = np.bincount(codes, minlength=len(edges) + 2) / len(codes)
    category, ends = values.dtype == object, about.get("quantiles") or []
    beyond = 0.0 if category or not ends else float(np.mean((values < ends[0]) | (values > ends[-1])))
    off, usual = population_stability_index(np.array(about["shares"]), shares), about.get("weeks")
    unseen = float(shares[-2]) if category else 0.0
    return Drift(name, off, usual, float(shares[-1]), about["shares"][-1], unseen, beyond)


def column_faults(name: str, values: Array, day: Codes, about: Mapping[str, Any], rule: Monitor) -> list[ColumnFault]:
    """The days on which a column was lost: no value, or one and the same, as on hardly a day of the reference."""
    usual = about.get("days")
    if usual is None:
        return []
    found = []
    for each in by_day(values, day, rule.rows):
        date = str(np.datetime64(each.day, "D"))
        if each.missing >= rule.max_constant_share and each.missing > usual["missing"]:
            found.append(ColumnFault(date, name, "missing", each.rows))
        elif each.same >= rule.max_constant_share and usual["same"] is not None and each.value not in usual["same"]:
            found.append(ColumnFault(date, name, f"always {each.value}", each.rows))
    return found
