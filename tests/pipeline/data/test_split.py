from datetime import date
from itertools import pairwise

import numpy as np
import pytest

from pipeline.config.config import Config
from pipeline.config.durations import Duration
from pipeline.config.splits import GroupSplit, RowSplit, TimeSplit
from pipeline.config.training import Data
from pipeline.data.keys import row_keys, split_keys
from pipeline.data.split import begin, by_hash, sample, split
from pipeline.errors import DataError
from pipeline.evaluation.bootstrap import blocks

YEAR = np.arange("2013-01-01T05:00", "2014-01-01T05:00", 12, dtype="datetime64[h]").astype("datetime64[s]")


def plan(**changes: object) -> TimeSplit:
    months = Duration(2, "months")
    values = {"by": "time", "time": "when", "holdout": months, "folds": 3, "fold_length": months, "test": "once"}
    return TimeSplit.model_construct(**{**values, **changes})


def test_a_year_resolves_to_three_chained_folds_and_a_holdout() -> None:
    """The holdout is November and December."""
    parts = split(YEAR, plan())
    months = YEAR.astype("datetime64[M]").astype(int) % 12 + 1
    assert [(months[f.train].max(), sorted(set(months[f.valid]))) for f in parts.folds] == [
        (4, [5, 6]),
        (6, [7, 8]),
        (8, [9, 10]),
    ]
    assert sorted(set(months[parts.holdout])) == [11, 12]
    assert months[parts.search].max() == 10
    assert parts.holdout_name == "01 Nov 2013 to 31 Dec 2013"


def test_no_fold_trains_on_a_day_that_it_or_an_earlier_one_judges() -> None:
    parts = split(YEAR, plan())
    for fold in parts.folds:
        assert YEAR[fold.train].max() < YEAR[fold.valid].min()
    for earlier, later in pairwise(parts.folds):
        assert YEAR[earlier.valid].max() < YEAR[later.valid].min()


def test_folds_that_reach_back_before_the_data_are_refused() -> None:
    with pytest.raises(DataError, match=r"6 folds reach back to 2012-11-01, and the data begins on 2013-01-01"):
        split(YEAR, plan(folds=6))
    with pytest.raises(DataError, match=r"5 folds reach back to 2013-01-01, and the data begins on 2013-01-01"):
        split(YEAR, plan(folds=5))


def test_the_first_fold_has_at_least_one_row_to_train_on() -> None:
    """Three folds of two months before November begin on the first of May."""
    from_may = YEAR[np.datetime64("2013-05-01") <= YEAR]
    midnight = np.datetime64("2013-05-01T00:00:00")
    with pytest.raises(DataError, match="3 folds reach back to 2013-05-01, and the data begins on 2013-05-01"):
        split(np.append(midnight, from_may), plan())

    second_before = midnight - np.timedelta64(1, "s")
    assert split(np.append(second_before, from_may), plan()).folds[0].train.tolist() == [0]


def test_a_window_begins_at_midnight_and_ends_before_the_next_one() -> None:
    """Five days: two to train on, two folds of a day, and a day of holdout."""
    times = np.array([f"2013-01-0{day}T00:00:00" for day in range(1, 6)], dtype="datetime64[s]")
    parts = split(times, plan(holdout=Duration(1, "days"), fold_length=Duration(1, "days"), folds=2))
    assert [(fold.name, fold.train.tolist(), fold.valid.tolist()) for fold in parts.folds] == [
        ("03 Jan 2013 to 03 Jan 2013", [0, 1], [2]),
        ("04 Jan 2013 to 04 Jan 2013", [0, 1, 2], [3]),
    ]
    assert (parts.search.tolist(), parts.holdout.tolist()) == ([0, 1, 2, 3], [4])


def test_the_holdout_before_a_day_begins_its_own_length_earlier() -> None:
    assert begin(plan(), date(2014, 1, 1)) == "2013-11-01"


def test_a_window_without_rows_is_refused() -> None:
    holed = YEAR[(np.datetime64("2013-07-01") > YEAR) | (np.datetime64("2013-09-01") < YEAR)]
    with pytest.raises(DataError, match="fold 01 Jul 2013 to 31 Aug 2013 has no rows to evaluate on"):
        split(holed, plan())


def test_a_row_stays_in_its_part_when_others_come() -> None:
    hashes = np.random.default_rng(0).integers(0, 2**63, 1000, dtype=np.uint64) * np.uint64(2)
    rows = RowSplit(by="row", holdout=0.25, folds=4)
    few, many = by_hash(hashes[:500], rows), by_hash(hashes, rows)
    assert set(few.holdout) == {n for n in many.holdout if n < 500}
    assert len(many.holdout) == pytest.approx(250, abs=50)
    assert sorted(np.concatenate([fold.valid for fold in many.folds])) == sorted(many.search)
    for fold in many.folds:
        assert not set(fold.train) & set(fold.valid)


def test_a_hash_at_the_border_of_the_holdout_belongs_to_it() -> None:
    """A quarter of the range of hashes: the border is three quarters of 2⁶⁴. The parts are equal shares of the rest."""
    border = 3 * 2**62
    hashes = np.array([0, 2**61, 2**62, 2**63, border - 2**20, border, 2**64 - 1], dtype=np.uint64)
    parts = by_hash(hashes, RowSplit(by="row", holdout=0.25, folds=3))
    assert parts.holdout.tolist() == [5, 6]
    assert [(fold.name, fold.valid.tolist()) for fold in parts.folds] == [
        ("part 1 of 3", [0, 1]),
        ("part 2 of 3", [2]),
        ("part 3 of 3", [3, 4]),
    ]


def test_rows_that_all_fall_into_one_part_are_refused() -> None:
    first_part = np.array([1, 2, 2**64 - 1], dtype=np.uint64)
    with pytest.raises(DataError, match="fold part 1 of 2 has no rows to train on"):
        split(first_part, RowSplit(by="row", holdout=0.1, folds=2))


def test_too_few_rows_for_a_holdout_are_refused() -> None:
    half = np.array([1, 2**62, 2**63], dtype=np.uint64)
    with pytest.raises(DataError, match="the holdout has no rows"):
        split(half, RowSplit(by="row", holdout=0.1, folds=2))


COLUMNS = {
    "colour": np.array(["red", "blue", "red"], dtype=object),
    "shape": np.array(["round", "round", "round"], dtype=object),
    "size": np.array([1.0, np.nan, 1.0]),
    "legs": np.array([4.0, 4.0, 4.0]),
    "when": YEAR[:3],
    "later": np.zeros(3),
    "good": np.array([0.0, 1.0, 1.0]),
}


def test_a_rows_key_is_made_of_what_is_known_before_the_outcome(tiny_config: Config) -> None:
    """The key is the same whatever the label and the choice of features."""
    by_rows = tiny_config.model_copy(update={"split": RowSplit(by="row", holdout=0.5)})
    fewer = by_rows.model_copy(update={"features": ["colour"]})
    key = split_keys(COLUMNS, by_rows)
    assert len(set(key)) == 3
    assert (key == split_keys({**COLUMNS, "good": 1 - COLUMNS["good"], "later": np.ones(3)}, fewer)).all()
    assert (key == row_keys(COLUMNS, by_rows)).all()


def test_a_declared_key_alone_decides_where_a_row_belongs(tiny_config: Config) -> None:
    named = tiny_config.model_copy(
        update={"split": RowSplit(by="row", holdout=0.5), "data": Data(key=["colour", "legs"])}
    )
    first, second, third = split_keys(COLUMNS, named)
    assert first == third != second


def test_rows_of_a_group_stay_together_and_are_drawn_together(tiny_config: Config) -> None:
    rng = np.random.default_rng(0)
    columns = {**COLUMNS, "colour": rng.choice([f"patient {n}" for n in range(60)], 600).astype(object)}
    plan = GroupSplit(by="group", group="colour", holdout=0.25, folds=3)
    key = split_keys(columns, tiny_config.model_copy(update={"split": plan}))
    parts = split(key, plan)
    assert parts.holdout_name == "25% of the groups"
    for one, other in [(parts.search, parts.holdout), *((fold.train, fold.valid) for fold in parts.folds)]:
        assert not set(columns["colour"][one]) & set(columns["colour"][other])
    assert len(np.unique(blocks(key))) == 60


def test_identical_rows_are_drawn_together() -> None:
    assert len(np.unique(blocks(np.array([7, 7, 2**63 + 1], dtype=np.uint64)))) == 2


def test_a_sample_takes_whole_days_and_keeps_the_first_and_the_last() -> None:
    days = blocks(YEAR)
    drawn = sample(days, 0.1, seed=0)
    kept = set(days[drawn])
    assert len(kept) == pytest.approx(37, abs=3)
    assert {days[0], days[-1]} <= kept
    assert np.isin(days, list(kept)).sum() == len(drawn)
    assert (sample(days, 1, seed=0) == np.arange(len(days))).all()


def test_the_first_and_the_last_block_come_on_top_of_the_share() -> None:
    """Eight tenths of ten blocks are the eight between them."""
    assert sample(np.arange(10), 0.8, seed=0).tolist() == list(range(10))
    assert len(sample(np.arange(10), 0.7, seed=0)) == 9


def test_the_seed_decides_which_blocks_are_drawn() -> None:
    drawn = [sample(np.arange(100), 0.3, seed).tolist() for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]
