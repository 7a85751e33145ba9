"""Rolling features: the recent mean outcome of rows with the same key, from a table that is built anew for each day.

The table of a day is used from the hour `known_at` on. It counts outcomes of the days strictly before it, and only
those that were known by then. A row is looked up in the newest table at the time of its prediction, which is `ahead`
hours before the row's own time. Training, the daily refresh and the server use the same functions.

This module uses numpy. It does not know where labels come from.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pipeline.runtime.arrays import Columns
from pipeline.runtime.contract import Contract, RollingRule, Timing

Key = tuple[Any, ...]
Counts = dict[int, dict[tuple[int, Key], tuple[int, float]]]  # by day, then by first table and key: rows, sum
OutcomeCounts = dict[str, Counts]  # by feature
FILE = "rolling_features.json"
MAX_BYTES = 32 * 2**20  # of the file: half a million counts; as Python objects they need ten times the room
DIGITS = 4  # of a mean; a key has a few hundred rows at most
HOUR = 3600
DAY = 86_400


class Table(NamedTuple):
    """The rolling features of one day: for each feature and key the rows, the sum of outcomes and the shrunk mean.

    `as_of` is the day, counted from 1970-01-01; `start` is the time of the first row that uses this table.
    """

    as_of: int
    start: np.datetime64
    prior: Mapping[str, float]
    features: dict[str, tuple[RollingRule, dict[Key, tuple[int, float, float]]]]

    @property
    def day(self) -> str:
        return date_of(self.as_of)


class RollingState(NamedTuple):
    """What training saves for rolling features: all counts, the prior of each, and the day after the last row."""

    counts: OutcomeCounts
    prior: dict[str, float]
    as_of: int


def count_outcomes(
    columns: Columns, outcome: NDArray[Any], contract: Contract, known: NDArray[Any] | None = None
) -> OutcomeCounts:
    """Count labelled rows by day and key. The outcome of a multiclass task is the position of its class.

    `known` has the time at which each outcome was known. Without it, each outcome was known on the day after its row.
    """
    timing = required_timing(contract)
    day = columns[timing.time].astype("datetime64[D]").astype(np.int64)
    first = day + 1
    if known is not None:
        seconds = known.astype("datetime64[s]").astype(np.int64) - timing.known_at * HOUR
        first = np.maximum(first, -(-seconds // DAY))

    counts = {}
    for name, rule in contract.rolling.items():
        counts[name] = _count_by_key(group_keys(columns, rule), day, first, counted(outcome, rule, contract))
    return counts


def counted(outcome: NDArray[Any], rule: RollingRule, contract: Contract) -> NDArray[np.float64]:
    """What a rolling feature is the mean of, shape (rows,): the outcomes or, of several classes, 1 for its class."""
    of_rule = outcome == contract.classes.index(rule.of) if rule.of else outcome
    return of_rule.astype(np.float64)


def _count_by_key(
    keys: Iterable[Key], day: NDArray[np.int64], first: NDArray[np.int64], outcome: NDArray[np.float64]
) -> Counts:
    """Count the rows and sum the outcomes of each day, first table and key."""
    numbers: dict[Key, int] = {}
    key_number = np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)

    cell = (day * 10**6 + first) * len(numbers) + key_number  # days from 1970, so an int64 has room for all three
    cells, position = np.unique(cell, return_inverse=True)
    rows = np.bincount(position)
    total = np.bincount(position, outcome)

    key_of = list(numbers)
    counts: Counts = {}
    for code, row_count, outcome_sum in zip(cells.tolist(), rows.tolist(), total.tolist(), strict=True):
        days, number = divmod(code, len(numbers))
        row_day, first_table = divmod(days, 10**6)
        counts.setdefault(row_day, {})[first_table, key_of[number]] = (row_count, outcome_sum)
    return counts


def build_table(counts: OutcomeCounts, contract: Contract, as_of: int, prior: Mapping[str, float]) -> Table:
    """Build the table of a day from the counts of the days before it.

    The shrunk mean of a key is (sum + prior * weight) / (rows + weight), the m-estimate of Cestnik (1990).
    """
    features = {}
    for name, rule in contract.rolling.items():
        cells = {}
        for key, (rows, total) in _sum_window(counts[name], rule.days, as_of).items():
            mean = (total + prior[name] * rule.weight) / (rows + rule.weight)
            cells[key] = (rows, total, round(mean, DIGITS))
        features[name] = (rule, cells)

    start = np.datetime64(as_of * DAY, "s") + table_offset(required_timing(contract))
    return Table(as_of, start, prior, features)


def _sum_window(counts: Counts, days: int, as_of: int) -> dict[Key, tuple[int, float]]:
    """Return by key the rows and the sum of outcomes of the `days` days before `as_of`, as far as known by then."""
    sums: dict[Key, tuple[int, float]] = {}
    for day in range(as_of - days, as_of):
        for (first, key), (rows, total) in counts.get(day, {}).items():
            if first <= as_of:
                rows_before, total_before = sums.get(key, (0, 0.0))
                sums[key] = (rows_before + rows, total_before + total)
    return sums


def fill_from_table(columns: Columns, table: Table, time: str) -> Columns:
    """Fill in missing rolling features: the value of the row's key or, where the table has no such key or the row is
    older than the table, the prior.
    """
    filled: dict[str, NDArray[Any]] | None = None

    for name, (rule, cells) in table.features.items():
        sent: NDArray[np.float64] = columns[name]
        complete = sent[0] == sent[0] if len(sent) == 1 else not np.isnan(sent).any()  # NumPy is slow for one row
        if complete:
            continue

        if filled is None:
            filled = dict(columns)
            fresh = (columns[time] >= table.start).tolist()
        values = sent.tolist()
        for row, (value, is_fresh, key) in enumerate(zip(values, fresh, group_keys(columns, rule), strict=True)):
            if value != value:  # NaN: the caller did not send it
                cell = cells.get(key) if is_fresh else None
                values[row] = cell[2] if cell else table.prior[name]
        filled[name] = np.array(values)

    return filled or columns


def training_features(
    columns: Columns, counts: OutcomeCounts, contract: Contract, prior: Mapping[str, float]
) -> dict[str, NDArray[np.float64]]:
    """Compute the rolling features of many rows, shape (rows,) each. Each row is looked up in the table of its day."""
    timing = required_timing(contract)
    table_day = (columns[timing.time] - table_offset(timing)).astype("datetime64[D]").astype(np.int64)
    features = {name: np.full(len(table_day), np.nan) for name in contract.rolling}
    used = {timing.time}
    for rule in contract.rolling.values():
        used.update(rule.by)

    order = np.argsort(table_day)
    for rows in np.split(order, np.flatnonzero(np.diff(table_day[order])) + 1):
        table = build_table(counts, contract, int(table_day[rows[0]]), prior)
        part = {name: columns[name][rows] for name in used} | {name: values[rows] for name, values in features.items()}
        filled = fill_from_table(part, table, timing.time)
        for name, values in features.items():
            values[rows] = filled[name]
    return features


def dump_counts(counts: OutcomeCounts, contract: Contract, as_of: int) -> bytes:
    """Serialise `rolling_features.json`: the counts that the tables of this day and later ones need, and their hash."""
    stored = {}
    for name, rule in contract.rolling.items():
        stored[name] = _count_lines(counts[name], from_day=as_of - rule.days)
    content = {"as_of": date_of(as_of), "rules": rules_digest_input(contract), "counts": stored}
    return json.dumps({"sha256": content_hash(content), **content}, ensure_ascii=False, separators=(",", ":")).encode()


def _count_lines(counts: Counts, from_day: int) -> list[list[Any]]:
    """Return one list per count from a day on: day, first table, the parts of the key, rows, sum of outcomes."""
    lines = []
    for day in sorted(counts):
        if day < from_day:
            continue
        for (first, key), (rows, total) in sorted(counts[day].items()):
            lines.append([date_of(day), date_of(first), *key, rows, total])
    return lines


def load_counts(content: bytes, contract: Contract) -> tuple[OutcomeCounts, int]:
    """Read the counts and the day of a `rolling_features.json`.

    Raises ValueError where the file was changed, or was made for other features; KeyError, TypeError, AttributeError,
    OverflowError or RecursionError where its content is of another form.
    """
    stored = json.loads(content)
    if stored.pop("sha256") != content_hash(stored):
        raise ValueError("rolling_features.json has been changed (its SHA-256 is not its own)")
    if stored["rules"] != rules_digest_input(contract):
        raise ValueError("rolling_features.json was made for other features")

    counts: OutcomeCounts = {name: {} for name in contract.rolling}
    for name, lines in stored["counts"].items():
        for day, first, *key, rows, total in lines:
            if type(rows) is not int or rows < 1 or not math.isfinite(total):
                raise ValueError(f"rolling_features.json counts {rows!r} rows with the sum {total!r}: not possible")
            counts[name].setdefault(day_number(day), {})[day_number(first), tuple(key)] = rows, total
    return counts, day_number(stored["as_of"])


def merge_counts(old: OutcomeCounts, new: OutcomeCounts, from_day: int) -> OutcomeCounts:
    """Join the old counts of the days before `from_day` and the new counts from that day on."""
    merged = {}
    for name, old_counts in old.items():
        before = {day: cells for day, cells in old_counts.items() if day < from_day}
        after = {day: cells for day, cells in new[name].items() if day >= from_day}
        merged[name] = before | after
    return merged


def group_keys(columns: Columns, rule: RollingRule) -> Iterable[Key]:
    return zip(*(columns[by].tolist() for by in rule.by), strict=True)


def rules_digest_input(contract: Contract) -> dict[str, Any]:
    """The parts of the contract that the counts depend on. Weight and text are not among them."""
    timing = required_timing(contract)
    by = {name: [rule.by, rule.days, *filter(None, [rule.of])] for name, rule in contract.rolling.items()}
    return {"time": timing.time, "known_at": timing.known_at, "by": by}


def content_hash(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def table_offset(timing: Timing) -> np.timedelta64:
    """The time from the beginning of a day to the first row that uses that day's table, in seconds."""
    return np.timedelta64(round((timing.known_at + timing.ahead) * HOUR), "s")


def age_days(table: Table, times: NDArray[Any]) -> int:
    """The number of days by which the table is older than the newest of these row times; never below 0."""
    return max(0, int((times.max() - table.start) // np.timedelta64(DAY, "s")))


def date_of(day: int) -> str:
    return str(np.datetime64(day, "D"))


def day_number(day: str) -> int:
    return int(np.datetime64(day, "D").astype(np.int64))


def required_timing(contract: Contract) -> Timing:
    """The contract's timing. Raises ValueError for a contract without it, and so without rolling features."""
    if contract.timing is None:
        raise ValueError("this contract has no rolling features")
    return contract.timing
