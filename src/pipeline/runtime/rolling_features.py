"""Features that know yesterday: how such cases ended lately, by key, as a table that is made anew each day.

The table of a day stands from the hour `known_at` on. It counts outcomes of the days strictly before it, and of those
only what was known by then. A row is looked up in the newest table that stood when it was asked, `ahead` hours before
its own time. Training walks through the days with the very functions that the daily refresh and the server call.

Light: numpy, and no thought of where labels come from.
"""

import hashlib
import json
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
DIGITS = 4  # of a mean; its keys have a few hundred rows at most
HOUR, DAY = 3600, 86_400


class Table(NamedTuple):
    """What is known on a day: by feature the rows, the sum of their outcomes and the shrunk mean of each key.

    Days are counted from 1970; `start` is the time of the first row that this table is for.
    """

    as_of: int
    start: np.datetime64
    prior: float
    features: dict[str, tuple[RollingRule, dict[Key, tuple[int, float, float]]]]

    @property
    def day(self) -> str:
        return date_of(self.as_of)


class RollingState(NamedTuple):
    """What a training remembers: all counts, the prior, and the day after the last row."""

    counts: OutcomeCounts
    prior: float
    as_of: int


def count_outcomes(
    columns: Columns, outcome: NDArray[Any], contract: Contract, known: NDArray[Any] | None = None
) -> OutcomeCounts:
    """Labelled rows counted by day and key. `known` has the time at which each outcome was known; without it all were
    by the day after.
    """
    memory = days_needed(contract)
    day = columns[memory.time].astype("datetime64[D]").astype(np.int64)
    first = day + 1
    if known is not None:
        seconds = known.astype("datetime64[s]").astype(np.int64) - memory.known_at * HOUR
        first = np.maximum(first, -(-seconds // DAY))
    found: OutcomeCounts = {}
    for name, rule in contract.rolling.items():
        numbers: dict[Key, int] = {}
        key = np.array([numbers.setdefault(each, len(numbers)) for each in group_keys(columns, rule)], dtype=np.int64)
        cell = (day * 10**6 + first) * len(numbers) + key  # days from 1970, so one number has room for all three
        cells, place = np.unique(cell, return_inverse=True)
        rows, total = np.bincount(place), np.bincount(place, outcome.astype(np.float64))
        back = list(numbers)
        counts: Counts = {}
        for each, n, s in zip(cells.tolist(), rows.tolist(), total.tolist(), strict=True):
            days, k = divmod(each, len(numbers))
            d, f = divmod(days, 10**6)
            counts.setdefault(d, {})[f, back[k]] = (n, s)
        found[name] = counts
    return found


def build_table(tallies: OutcomeCounts, contract: Contract, as_of: int, prior: float) -> Table:
    """The table of a day, from the counts of the days before it."""
    memory, features = days_needed(contract), {}
    for name, rule in contract.rolling.items():
        sums: dict[Key, tuple[int, float]] = {}
        for day in range(as_of - rule.days, as_of):
            for (first, key), (rows, total) in tallies[name].get(day, {}).items():
                if first <= as_of:
                    before = sums.get(key, (0, 0.0))
                    sums[key] = before[0] + rows, before[1] + total
        features[name] = (
            rule,
            {k: (n, s, round((s + prior * rule.weight) / (n + rule.weight), DIGITS)) for k, (n, s) in sums.items()},
        )
    return Table(as_of, np.datetime64(as_of * DAY, "s") + table_offset(memory), prior, features)


def fill_from_table(columns: Columns, known: Table, time: str) -> Columns:
    """The columns with every remembered value that is missing filled in: that of the row's key or, where the table has
    none or the row is older than the table, the prior.
    """
    filled: dict[str, NDArray[Any]] | None = None
    absent = 0, 0.0, known.prior
    for name, (rule, cells) in known.features.items():
        sent: NDArray[np.float64] = columns[name]
        if sent[0] == sent[0] if len(sent) == 1 else not np.isnan(sent).any():  # one row has no time for more
            continue
        if filled is None:
            filled, fresh = dict(columns), (columns[time] >= known.start).tolist()
        found = [
            (cells.get(key, absent) if new else absent)[2] if value != value else value
            for value, new, key in zip(sent.tolist(), fresh, group_keys(columns, rule), strict=True)
        ]
        filled[name] = np.array(found)
    return filled or columns


def training_features(
    columns: Columns, tallies: OutcomeCounts, contract: Contract, prior: float
) -> dict[str, NDArray[np.float64]]:
    """The remembered features of many rows, each from the table of its own day."""
    memory = days_needed(contract)
    asked = (columns[memory.time] - table_offset(memory)).astype("datetime64[D]").astype(np.int64)
    found = {name: np.full(len(asked), np.nan) for name in contract.rolling}
    used = {memory.time, *(by for rule in contract.rolling.values() for by in rule.by)}
    order = np.argsort(asked, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(asked[order])) + 1):
        known = build_table(tallies, contract, int(asked[rows[0]]), prior)
        part = {name: columns[name][rows] for name in used} | {name: values[rows] for name, values in found.items()}
        for name, values in fill_from_table(part, known, memory.time).items():
            if name in found:
                found[name][rows] = values
    return found


def dump_counts(tallies: OutcomeCounts, contract: Contract, as_of: int) -> bytes:
    """`rolling_features.json`: the counts that tables of this day and later ones are made of, with a hash of their own."""
    told = {
        name: [
            [date_of(day), date_of(first), *key, rows, total]
            for day in sorted(tallies[name])
            if day >= as_of - rule.days
            for (first, key), (rows, total) in sorted(tallies[name][day].items())
        ]
        for name, rule in contract.rolling.items()
    }
    content = {"as_of": date_of(as_of), "rules": rules_digest_input(contract), "counts": told}
    return json.dumps({"sha256": content_hash(content), **content}, ensure_ascii=False, separators=(",", ":")).encode()


def load_counts(content: bytes, contract: Contract) -> tuple[OutcomeCounts, int]:
    """Counts and day of a `rolling_features.json`. Raises ValueError where it was changed, or made for other features."""
    read = json.loads(content)
    if read.pop("sha256") != content_hash(read):
        raise ValueError("rolling_features.json has been changed (its SHA-256 is not its own)")
    if read["rules"] != rules_digest_input(contract):
        raise ValueError("rolling_features.json was made for other features")
    tallies: OutcomeCounts = {name: {} for name in contract.rolling}
    for name, lines in read["counts"].items():
        for day, first, *key, rows, total in lines:
            tallies[name].setdefault(day_number(day), {})[day_number(first), tuple(key)] = rows, total
    return tallies, day_number(read["as_of"])


def merge_counts(old: OutcomeCounts, new: OutcomeCounts, from_day: int) -> OutcomeCounts:
    """The old counts up to a day, and the new ones from it on."""
    return {
        name: {d: c for d, c in counts.items() if d < from_day} | {d: c for d, c in new[name].items() if d >= from_day}
        for name, counts in old.items()
    }


def group_keys(columns: Columns, rule: RollingRule) -> Iterable[Key]:
    return zip(*(columns[by].tolist() for by in rule.by), strict=True)


def rules_digest_input(contract: Contract) -> dict[str, Any]:
    """What the counts depend on, and not the weight or words."""
    by = {name: [rule.by, rule.days] for name, rule in contract.rolling.items()}
    return {"time": days_needed(contract).time, "known_at": days_needed(contract).known_at, "by": by}


def content_hash(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def table_offset(memory: Timing) -> np.timedelta64:
    """From the beginning of a day to the first row that its table is for."""
    return np.timedelta64(round((memory.known_at + memory.ahead) * HOUR), "s")


def age_days(known: Table, times: NDArray[Any]) -> int:
    """Days by which the table is behind the newest row that was asked."""
    return max(0, int((times.max() - known.start) // np.timedelta64(DAY, "s")))


def date_of(day: int) -> str:
    return str(np.datetime64(day, "D"))


def day_number(day: str) -> int:
    return int(np.datetime64(day, "D").astype(np.int64))


def days_needed(contract: Contract) -> Timing:
    if contract.timing is None:
        raise ValueError("this contract remembers nothing")
    return contract.timing
