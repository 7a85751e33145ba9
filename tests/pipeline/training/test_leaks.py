"""Columns and rows that know the outcome, in tables made by hand."""

import numpy as np
import pytest

from pipeline.config.config import Config
from pipeline.data.masking import concatenate
from pipeline.runtime.arrays import Examples, Tensors
from pipeline.training.leaks import (
    best_pair,
    bins,
    columns_of_similar_days,
    copied_rows,
    mean_outcomes,
    present_for_one_outcome,
    single_feature_scores,
)

ROWS = 2000


def scores(config: Config, colour: np.ndarray, size: np.ndarray, target: np.ndarray) -> dict[str, float]:
    shape = np.full(ROWS, "round", dtype=object)
    numbers = np.column_stack([size, np.full(ROWS, 4), np.full(ROWS, 17)]).astype(np.float32)
    data = Tensors(np.column_stack([colour.astype(object), shape]), numbers)
    return single_feature_scores(config.contract, data, target, seed=0)


@pytest.fixture
def target() -> np.ndarray:
    return np.random.default_rng(7).random(ROWS) < 0.3


@pytest.mark.parametrize("values", [ROWS, 1000, 200])
def test_random_text_with_many_values_is_no_copy_of_the_outcome(
    tiny_config: Config, target: np.ndarray, values: int
) -> None:
    """In-sample means would give 1.0 for a name that occurs once."""
    names = np.array([f"name {number}" for number in np.random.default_rng(1).permutation(ROWS) % values])
    assert scores(tiny_config, names, np.zeros(ROWS), target)["colour"] < 0.56


def test_a_category_that_is_the_outcome_is_found(tiny_config: Config, target: np.ndarray) -> None:
    assert scores(tiny_config, np.where(target, "yes", "no"), np.zeros(ROWS), target)["colour"] == 1.0


def test_a_number_counts_by_its_size_or_by_whether_it_is_missing(tiny_config: Config, target: np.ndarray) -> None:
    colour = np.full(ROWS, "red")
    assert scores(tiny_config, colour, -target.astype(float), target)["size"] == 1.0
    assert scores(tiny_config, colour, np.where(target, np.nan, 5.0), target)["size"] == 1.0


def test_a_regression_is_scored_by_rank_correlation(tiny_config: Config) -> None:
    outcome = np.random.default_rng(0).random(ROWS)
    found = scores(tiny_config, np.where(outcome > 0.5, "high", "low"), outcome**3, outcome)
    assert found["size"] == pytest.approx(1)
    assert 0.7 < found["colour"] < 0.9


def test_the_mean_of_a_value_leaves_out_the_part_of_the_row() -> None:
    """A value of one part only gets the mean of all rows."""
    values = np.array([0, 0, 0, 1])
    means = mean_outcomes(values, np.array([1.0, 0.0, 0.0, 1.0]), np.array([0, 1, 2, 0]))
    assert means.tolist() == [0.0, 0.5, 0.5, 0.5]


def test_a_number_that_is_high_at_both_ends_is_found(tiny_config: Config) -> None:
    """Its size orders nothing; its bins do."""
    size = np.random.default_rng(1).normal(size=ROWS)
    result = scores(tiny_config, np.full(ROWS, "red"), size, np.abs(size) > 1)
    assert result["size"] > 0.95


def test_bins_have_about_as_many_rows_each_and_missing_its_own() -> None:
    numbers = np.append(np.arange(5000, dtype=float), np.nan)
    counts = np.bincount(bins(numbers))
    assert counts.max() - counts[:50].min() <= 101  # fifty bins of about a hundred
    assert counts[-1] == 1


def numbers_of(*columns: np.ndarray) -> Tensors:
    """Three numbers, as the tiny contract has them, and two categories of one value."""
    words = np.full((len(columns[0]), 2), "same", dtype=object)
    return Tensors(words, np.column_stack(columns).astype(np.float32))


def test_the_pair_that_adds_up_is_chosen_among_others(tiny_config: Config, target: np.ndarray) -> None:
    """A better single feature is there too, but the pair adds more."""
    rng = np.random.default_rng(1)
    noise = rng.normal(0, 50, ROWS)
    weak = target + rng.normal(0, 2, ROWS)
    pair = best_pair(tiny_config.contract, numbers_of(noise, weak, 3 * (target - noise)), target, seed=0)
    assert pair is not None
    assert pair.names == ("size", "hour")
    assert pair.score > 0.99


def test_copies_of_a_column_and_empty_columns_are_no_pair(tiny_config: Config, target: np.ndarray) -> None:
    """Two equal columns add nothing to each other; a column without values has no part in a pair."""
    size = np.random.default_rng(1).normal(size=ROWS)
    empty = np.full(ROWS, np.nan)
    pair = best_pair(tiny_config.contract, numbers_of(size, size, empty), target, seed=0)
    assert pair is not None
    assert pair.score < 0.56
    assert best_pair(tiny_config.contract, numbers_of(size, empty, empty), target, seed=0) is None


def test_a_regression_has_pairs_too(tiny_config: Config) -> None:
    rng = np.random.default_rng(1)
    outcome = rng.normal(size=ROWS)
    noise = rng.normal(0, 50, ROWS)
    pair = best_pair(tiny_config.contract, numbers_of(noise, np.zeros(ROWS), outcome + noise), outcome, seed=0)
    assert pair is not None
    assert pair.names == ("size", "hour")
    assert pair.score > 0.99


def test_the_first_two_numbers_may_be_the_pair(tiny_config: Config, target: np.ndarray) -> None:
    rng = np.random.default_rng(1)
    noise, other = rng.normal(0, 50, (2, ROWS))
    pair = best_pair(tiny_config.contract, numbers_of(noise, target - noise, other), target, seed=0)
    assert pair is not None
    assert pair.names == ("size", "legs")
    assert pair.score > 0.99


def test_the_mean_of_the_outcomes_says_nothing_about_a_pair(tiny_config: Config) -> None:
    """Amounts about a million are ordered as well as amounts about zero."""
    rng = np.random.default_rng(1)
    outcome, noise, other = rng.normal(size=(3, ROWS))
    data = numbers_of(noise, other, outcome - noise)
    near_zero = best_pair(tiny_config.contract, data, outcome, seed=0)
    far_from_zero = best_pair(tiny_config.contract, data, outcome + 1e6, seed=0)
    assert near_zero is not None
    assert far_from_zero is not None
    assert far_from_zero.names == near_zero.names
    assert far_from_zero.score == pytest.approx(near_zero.score)


def test_few_rows_that_agree_by_chance_are_no_finding(tiny_config: Config, target: np.ndarray) -> None:
    """Ten rows without the outcome: 0.7 to the power of ten is no surprise, to the power of fifty it is."""
    quiet = np.flatnonzero(~target)
    full = np.ones(ROWS)
    for rows, expected in ((10, []), (50, ["size"])):
        size = full.copy()
        size[quiet[:rows]] = np.nan
        data = numbers_of(size, full, full)
        assert present_for_one_outcome(tiny_config.contract, data, target) == expected


def test_a_missing_category_counts_and_a_regression_has_none(tiny_config: Config, target: np.ndarray) -> None:
    data = numbers_of(np.ones(ROWS), np.ones(ROWS), np.ones(ROWS))
    data.strings[target, 1] = ""
    assert present_for_one_outcome(tiny_config.contract, data, target) == ["shape"]
    assert present_for_one_outcome(tiny_config.contract, data, target.astype(float)) == []


def table(rows: int, seed: int, kinds: int) -> Examples:
    """Rows of one category with so many values, and an outcome that they say little about."""
    rng = np.random.default_rng(seed)
    colour = rng.integers(0, kinds, rows).astype(str).astype(object)
    request = {"colour": colour, "shape": np.full(rows, "round", dtype=object), "size": np.ones(rows)}
    request |= {"legs": np.ones(rows), "when": np.arange(seed, seed + rows).astype("datetime64[s]")}
    data = Tensors(np.column_stack([colour, request["shape"]]), np.ones((rows, 3), dtype=np.float32))
    return Examples(request, data, rng.random(rows) < 0.3)


def test_equal_rows_of_a_small_table_are_no_copies(tiny_config: Config) -> None:
    """Ten colours: every row of the holdout has equals in training, and they differ in the outcome now and then."""
    assert copied_rows(tiny_config.contract, table(500, 0, 10), table(100, 1, 10)).rows == 0


def test_copies_are_counted_whatever_their_time(tiny_config: Config) -> None:
    """A thousand million colours: no row equals another by chance."""
    train = table(500, 0, 10**9)
    holdout = table(100, 1, 10**9)
    assert copied_rows(tiny_config.contract, train, holdout).rows == 0

    known = train.take(np.arange(25))
    later = {**known.request, "when": known.request["when"] + np.timedelta64(1, "D")}
    mixed = concatenate([holdout, known._replace(request=later)])
    assert copied_rows(tiny_config.contract, train, mixed) == (25, 0.2)


def test_days_with_their_own_luck_are_found(tiny_config: Config) -> None:
    """Each tenth day has many positive rows; without that, a day says nothing about its rows."""
    rows = table(ROWS, 0, 5)
    day = np.arange(ROWS) // 50
    times = (day * 86_400 + np.arange(ROWS) % 50).astype("datetime64[s]")
    on_days = rows._replace(request={**rows.request, "when": times})
    assert columns_of_similar_days(tiny_config.contract, on_days, seed=0) == []

    lucky = on_days._replace(target=np.random.default_rng(1).random(ROWS) < np.where(day % 10 == 0, 0.9, 0.2))
    assert columns_of_similar_days(tiny_config.contract, lucky, seed=0) == ["when"]
    amounts = lucky._replace(target=lucky.target + np.random.default_rng(2).normal(0, 0.1, ROWS))
    assert columns_of_similar_days(tiny_config.contract, amounts, seed=0) == ["when"]
