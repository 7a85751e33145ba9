"""Drift of the inputs: compares the logged rows with the training rows, by shares of bins, of missing values and of the
most common value.

A single week of weather differs a lot from a whole year of it, so no limit here comes from a textbook. A week has
drifted if it differs more than every complete week of the reference did. A column has a fault on a day if that day has
no value or only one value, and hardly any day of the reference looked like that.

This module compares arrays. It must not know where they come from, and it does not see outcomes.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.config.monitoring import Monitor

Array = NDArray[Any]
Codes = NDArray[np.int64]
INNER = [n / 10 for n in range(1, 10)]  # the quantiles that separate the bins of a numeric column
FLOOR = 1e-4  # stands for the share of an empty bin, because the logarithm of 0 is infinite
NEGLIGIBLE_PSI = 0.01  # a PSI below this means nothing, however similar the weeks of the reference were
RARE_DAYS = 0.02  # share of the reference's days; what fewer days show is not usual, and may itself be a fault


class Drift(NamedTuple):
    """The drift of one column in a window.

    `psi` compares the window with the reference; `reference_psi` is the largest PSI of the reference's own weeks, or
    None if it had no complete week. The other fields are shares of the window's rows between 0 and 1: `missing` have no
    value (`missing_before` is that share in the reference), `unseen` have a category that the reference does not have,
    and `outside` have a number outside the range of the reference.
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
        """The PSI divided by that of the reference's most extreme week; None if there is no such week."""
        return None if self.reference_psi is None else self.psi / max(self.reference_psi, NEGLIGIBLE_PSI)

    @property
    def is_far(self) -> bool:
        return self.ratio is not None and self.ratio > 1


class Day(NamedTuple):
    """One column on one day.

    `missing` is the share of rows without a value. `same` is the share of the most common value, `value`, among the
    rows that have a value; it is 0 if too few rows have one.
    """

    day: int
    rows: int
    missing: float
    same: float
    value: Any


class ColumnFault(NamedTuple):
    """A column that had no value, or only one value, on one day."""

    day: str
    column: str
    fault: str
    rows: int


def bin_edges(values: Array) -> list[Any]:
    """What separates the bins of a column: its categories, or the deciles of its numbers.

    A number that is several deciles at once gets a bin of its own.
    """
    present = values[~empty(values)]
    if values.dtype == object:
        return list(np.unique(present.astype(str)).tolist())
    if not len(present):
        return []

    deciles, counts = np.unique(np.quantile(present, INNER), return_counts=True)
    upper_ends = []
    for repeated in deciles[counts > 1]:
        above = present[present > repeated]
        if len(above):
            upper_ends.append((repeated + above.min()) / 2)

    return list(np.unique([*deciles, *upper_ends]).tolist())


def bin_codes(values: Array, edges: list[Any]) -> Codes:
    """The number of the bin of every value.

    The last bin holds missing values. The bin before it holds, for categories, all values that are not in `edges`.
    """
    if values.dtype == object:
        number = {value: n for n, value in enumerate(edges)}
        codes = np.array([number.get(value, len(edges)) for value in values.tolist()], dtype=np.int64)
    else:
        codes = np.searchsorted(np.array(edges), values, side="right").astype(np.int64)
    codes[empty(values)] = len(edges) + 1
    return codes


def empty(values: Array) -> NDArray[np.bool_]:
    """Which values are missing: empty text, or NaN."""
    missing = values == "" if values.dtype == object else np.isnan(values)
    return np.asarray(missing, dtype=bool)


def population_stability_index(expected: Array, observed: Array) -> float:
    """The population stability index (PSI) of two arrays of shares: Σ (observed - expected) · ln(observed / expected).

    Source: N. Siddiqi, Credit Risk Scorecards, Wiley 2006.
    """
    a = np.maximum(expected, FLOOR)
    b = np.maximum(observed, FLOOR)
    return float(np.sum((b - a) * np.log(b / a)))


def profile(values: Array, day: Codes | None, rule: Monitor) -> dict[str, Any]:
    """The profile of a reference column, as `reference.json` holds it.

    `bins` and `shares` describe all rows. If the rows have a `day`, `weeks` is the largest PSI of a complete week, and
    `days` holds what is usual for a single day.
    """
    edges = bin_edges(values)
    codes = bin_codes(values, edges)
    shares = np.bincount(codes, minlength=len(edges) + 2) / len(codes)
    summary: dict[str, Any] = {"bins": edges, "shares": [round(float(share), 6) for share in shares]}
    if day is None:
        return summary

    week = (day - day.min()) // rule.window_days
    counts = np.zeros((int(week.max()) + 1, len(shares)))
    np.add.at(counts, (week, codes), 1)
    days = np.bincount((np.unique(day) - day.min()) // rule.window_days)
    complete_weeks = counts[(days == days.max()) & (counts.sum(axis=1) >= rule.min_rows)]
    if len(complete_weeks):
        summary["weeks"] = max(population_stability_index(shares, bins / bins.sum()) for bins in complete_weeks)

    single_days = by_day(values, day, rule.min_rows)
    if single_days:
        summary["days"] = {
            "missing": usual_share([single_day.missing for single_day in single_days]),
            "same": usual_constants(single_days, rule),
        }
    return summary


def usual_share(shares: Sequence[float]) -> float:
    """The largest share of a day, without the few most extreme days."""
    return float(np.quantile(shares, 1 - RARE_DAYS, method="lower"))


def usual_constants(days: Sequence[Day], rule: Monitor) -> list[Any] | None:
    """The values that filled a whole day.

    None if many values did, because such a column has one value a day by its nature.
    """
    constants = {day.value for day in days if day.same >= rule.max_constant_share}
    return sorted(constants) if len(constants) * 4 < len(days) else None


def by_day(values: Array, day: Codes, min_rows: int) -> list[Day]:
    """A column on every day that has at least `min_rows` rows."""
    comparable = values.astype(str) if values.dtype == object else values
    distinct, codes = np.unique(comparable, return_inverse=True)
    missing = empty(values)

    result = []
    for number, rows in zip(*grouped(day), strict=True):
        if len(rows) < min_rows:
            continue
        present = codes[rows][~missing[rows]]
        counts = np.bincount(present) if len(present) >= min_rows else np.zeros(1, np.int64)
        same = counts.max() / max(len(present), 1)
        value = distinct[counts.argmax()].item()
        result.append(Day(number, len(rows), float(missing[rows].mean()), float(same), value))
    return result


def grouped(day: Codes) -> tuple[list[int], list[Array]]:
    """The distinct days, and for every day the indices of its rows."""
    order = np.argsort(day, kind="stable")
    parts = np.split(order, np.flatnonzero(np.diff(day[order])) + 1)
    return [int(day[part[0]]) for part in parts], parts


def drift(name: str, values: Array, reference: Mapping[str, Any]) -> Drift:
    """Compare a column of a window with its `profile` in the reference."""
    edges = reference["bins"]
    codes = bin_codes(values, edges)
    shares = np.bincount(codes, minlength=len(edges) + 2) / len(codes)

    is_category = values.dtype == object
    quantiles = reference.get("quantiles") or []
    unseen = float(shares[-2]) if is_category else 0.0
    outside = 0.0
    if quantiles and not is_category:
        outside = float(np.mean((values < quantiles[0]) | (values > quantiles[-1])))

    return Drift(
        column=name,
        psi=population_stability_index(np.array(reference["shares"]), shares),
        reference_psi=reference.get("weeks"),
        missing=float(shares[-1]),
        missing_before=reference["shares"][-1],
        unseen=unseen,
        outside=outside,
    )


def column_faults(
    name: str, values: Array, day: Codes, reference: Mapping[str, Any], rule: Monitor
) -> list[ColumnFault]:
    """The days on which a column had no value, or only one value, although hardly any day of the reference did."""
    usual = reference.get("days")
    if usual is None:
        return []

    faults = []
    for single_day in by_day(values, day, rule.min_rows):
        date = str(np.datetime64(single_day.day, "D"))
        is_missing = single_day.missing >= rule.max_constant_share and single_day.missing > usual["missing"]
        is_constant = single_day.same >= rule.max_constant_share and usual["same"] is not None
        if is_missing:
            faults.append(ColumnFault(date, name, "missing", single_day.rows))
        elif is_constant and single_day.value not in usual["same"]:
            faults.append(ColumnFault(date, name, f"always {single_day.value}", single_day.rows))
    return faults
