"""Rolling features at their limits: the last second, the first key, the oldest day, and the bytes of the file."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline.config.config import load
from pipeline.runtime import rolling_features
from pipeline.runtime.contract import Contract
from pipeline.runtime.rolling_features import day_number
from tests.support.rolling import REMEMBERS, rows, tables

FIRST, SECOND, THIRD, FOURTH = (day_number(f"2013-01-0{day}") for day in (1, 2, 3, 4))
BOTH = [
    *REMEMBERS,
    "columns.long={kind: number, known: before, nullable: true, meaning: Share of yeses for longer, "
    'rolling: {by: [colour, shape], days: 3, weight: 2, text: "{share} of {colour} {shape} ones"}}',
    "features=[colour, shape, size, legs, hour, share, long]",
]


@pytest.fixture
def contract(tiny: Path) -> Contract:
    return load(tiny, REMEMBERS).contract


@pytest.fixture
def both(tiny: Path) -> Contract:
    """Two rolling features: one by colour over two days, one by colour and shape over three."""
    return load(tiny, BOTH).contract


def test_an_outcome_without_a_time_is_known_on_the_day_after_its_row(contract: Contract) -> None:
    """Rows and sums by day, then by the first table that may count them and by key."""
    columns, good, _ = rows("red 01T10 1 09T00", "blue 01T11 0 09T00", "red 01T12 1 09T00", "green 02T10 1 09T00")
    assert rolling_features.count_outcomes(columns, good, contract)["share"] == {
        FIRST: {(SECOND, ("red",)): (2, 2.0), (SECOND, ("blue",)): (1, 0.0)},
        SECOND: {(THIRD, ("green",)): (1, 1.0)},
    }


def test_an_outcome_is_in_the_table_that_is_made_at_the_second_it_is_known(contract: Contract) -> None:
    """Tables are made at six. An outcome that is known within its own day is in none of that day."""
    columns, good, _ = rows(*["red 01T01 1 09T00"] * 3)
    known = np.array(["2013-01-01T02:00:00", "2013-01-02T06:00:00", "2013-01-02T06:00:01"], dtype="datetime64[s]")
    expected = {FIRST: {(SECOND, ("red",)): (2, 2.0), (THIRD, ("red",)): (1, 1.0)}}
    assert rolling_features.count_outcomes(columns, good, contract, known)["share"] == expected
    in_milliseconds = known.astype("datetime64[ms]")
    assert rolling_features.count_outcomes(columns, good, contract, in_milliseconds)["share"] == expected


def test_no_rows_have_no_counts(contract: Contract) -> None:
    columns, good, known = rows("red 01T10 1 01T12")
    none = {name: values[:0] for name, values in columns.items()}
    assert rolling_features.count_outcomes(none, good[:0], contract, known[:0]) == {"share": {}}


def test_a_row_is_as_old_as_the_table_from_its_first_second_on(contract: Contract) -> None:
    """The table of the third day serves from seven on: made at six, and rows are asked for an hour ahead."""
    assert tables(contract).start == np.datetime64("2013-01-03T07:00:00")
    assert rolling_features.table_offset(rolling_features.required_timing(contract)) == np.timedelta64(7, "h")
    columns, _, _ = rows("red 03T06 0 09T00", "red 03T07 0 09T00")
    asked = {**columns, "share": np.full(2, np.nan)}
    assert rolling_features.fill_from_table(asked, tables(contract), "when")["share"].tolist() == [0.5, 0.6667]


def test_rows_that_lack_nothing_are_returned_as_they_are(contract: Contract) -> None:
    columns, _, _ = rows("red 03T10 0 09T00")
    complete = {**columns, "share": np.array([0.9])}
    assert rolling_features.fill_from_table(complete, tables(contract), "when") is complete


def test_each_missing_feature_is_looked_up_whether_another_was_sent_or_not(both: Contract) -> None:
    columns, good, known = rows("red 01T10 1 01T12", "red 02T10 0 02T12")
    columns["shape"] = np.array(["round", "round"], dtype=object)
    counts = rolling_features.count_outcomes(columns, good, both, known)
    table = rolling_features.build_table(counts, both, FOURTH, dict.fromkeys(both.rolling, 0.5))
    asked = {**columns, "when": np.full(2, np.datetime64("2013-01-04T12:00:00"))}
    sent, missing = np.array([0.9, 0.8]), np.array([np.nan, np.nan])
    filled = rolling_features.fill_from_table({**asked, "share": sent, "long": missing}, table, "when")
    assert (filled["share"].tolist(), filled["long"].tolist()) == ([0.9, 0.8], [0.5, 0.5])
    filled = rolling_features.fill_from_table({**asked, "share": missing, "long": sent}, table, "when")
    assert (filled["share"].tolist(), filled["long"].tolist()) == ([0.3333, 0.3333], [0.9, 0.8])


def test_a_row_gets_its_value_also_where_the_row_before_it_lacks_none(contract: Contract) -> None:
    columns, _, _ = rows("red 03T10 0 09T00", "red 03T10 0 09T00")
    filled = rolling_features.fill_from_table({**columns, "share": np.array([0.9, np.nan])}, tables(contract), "when")
    assert filled["share"].tolist() == [0.9, 0.6667]


def test_a_file_holds_the_days_that_its_tables_need_and_no_older_ones(both: Contract) -> None:
    """For two days those from the second on where the table is of the fourth, for three days those from the first on."""
    columns, good, known = rows("red 01T10 1 01T12", "red 02T10 0 02T12", "red 03T10 0 03T12")
    columns["shape"] = np.array(["round"] * 3, dtype=object)
    counts = rolling_features.count_outcomes(columns, good, both, known)
    content = rolling_features.dump_counts(counts, both, FOURTH)
    again, as_of = rolling_features.load_counts(content, both)
    assert as_of == FOURTH
    assert set(again["share"]) == {SECOND, THIRD}
    assert again["long"] == counts["long"]


def test_a_file_is_compact_text_under_the_hash_of_its_sorted_json(contract: Contract) -> None:
    """A file that another release has written stays readable."""
    counts = {"share": {THIRD: {(FOURTH, ("größe",)): (3, 2.0)}}}
    content = rolling_features.dump_counts(counts, contract, FOURTH)
    rules = '"rules":{"time":"when","known_at":6,"by":{"share":[["colour"],2]}}'
    body = f'"as_of":"2013-01-04",{rules},"counts":{{"share":[["2013-01-03","2013-01-04","größe",3,2.0]]}}}}'
    stored = json.loads("{" + body)
    digest = hashlib.sha256(json.dumps(stored, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
    assert content.decode() == f'{{"sha256":"{digest}",{body}'


@pytest.mark.parametrize(("old", "new"), [("days: 2", "days: 3"), ("colour", "shape")])
def test_counts_over_other_days_or_by_other_columns_are_refused(
    tiny: Path, contract: Contract, old: str, new: str
) -> None:
    content = rolling_features.dump_counts({"share": {}}, contract, FOURTH)
    other = load(
        tiny, [*(line.replace(old, new) for line in REMEMBERS), "features=[colour, shape, hour, share]"]
    ).contract
    with pytest.raises(ValueError, match="made for other features"):
        rolling_features.load_counts(content, other)


@pytest.mark.parametrize(("count", "total"), [(0, 0.0), (1.5, 1.0), (3, np.inf)])
def test_counts_of_no_or_parts_of_rows_or_without_a_sum_are_refused(
    contract: Contract, count: float, total: float
) -> None:
    counts: Any = {"share": {THIRD: {(FOURTH, ("red",)): (count, total)}}}
    content = rolling_features.dump_counts(counts, contract, FOURTH)
    with pytest.raises(ValueError, match="not possible"):
        rolling_features.load_counts(content, contract)


def test_old_counts_of_a_day_without_new_ones_are_dropped() -> None:
    """From the first day of the new counts on the old ones are no longer valid."""
    old = {"share": {FIRST: {(SECOND, ("red",)): (1, 1.0)}, SECOND: {(THIRD, ("red",)): (1, 1.0)}}}
    assert rolling_features.merge_counts(old, {"share": {}}, SECOND) == {"share": {FIRST: old["share"][FIRST]}}


@pytest.mark.parametrize(
    ("newest", "days"), [("02T23:00", 0), ("03T07:00", 0), ("04T06:59", 0), ("04T07:00", 1), ("13T08:00", 10)]
)
def test_a_table_is_as_many_days_old_as_whole_days_have_passed(contract: Contract, newest: str, days: int) -> None:
    times = np.array(["2013-01-01T00:00", f"2013-01-{newest}"], dtype="datetime64[s]")
    assert rolling_features.age_days(tables(contract), times) == days


def test_a_contract_without_timing_has_no_rolling_features(tiny: Path) -> None:
    with pytest.raises(ValueError, match="no rolling features"):
        rolling_features.required_timing(load(tiny).contract)
