"""The parts of the checks for leaks, on numbers small enough to follow by hand."""

import numpy as np
import pytest

from pipeline.config.config import Config
from pipeline.runtime.arrays import Examples, Tensors
from pipeline.training.leaks import (
    added_by_pair,
    best_pair,
    bins,
    columns_of_similar_days,
    copied_rows,
    mean_outcomes,
    ordering_score,
    present_for_one_outcome,
    rows_equal,
    single_feature_scores,
    standardized,
)


def test_columns_are_standardized_without_their_missing_numbers() -> None:
    """The first column has the mean 3 and the deviation 2; one value or none is 0 throughout."""
    nan = np.nan
    numbers = np.array([[1, 7, nan], [nan, 7, nan], [5, nan, nan]])
    assert standardized(numbers).tolist() == [[-1, 0, 0], [0, 0, 0], [1, 0, 0]]


def test_small_deviations_count_as_any_others() -> None:
    assert standardized(np.array([[0.001], [0.003]])).ravel().tolist() == pytest.approx([-1, 1])
    assert standardized(np.array([[4.0]])).tolist() == [[0.0]]


def test_each_column_is_divided_by_its_own_deviation() -> None:
    assert standardized(np.array([[1.0, 10.0], [3.0, 30.0]])).tolist() == [[-1, -1], [1, 1]]


@pytest.mark.parametrize("rows", [100, 500, 2000])
def test_a_column_of_one_value_is_zero_in_every_row(rows: int) -> None:
    """Whatever the memory of the result held before."""
    numbers = np.column_stack([np.arange(rows), np.full(rows, 7.0)])
    assert (standardized(numbers)[:, 1] == 0).all()


@pytest.mark.parametrize("seed", range(4))
def test_a_pair_adds_its_r_squared_less_that_of_its_better_column(seed: int) -> None:
    """Compared with least squares on the columns themselves. The correlation has another column between them."""
    rng = np.random.default_rng(seed)
    first = rng.normal(size=300)
    second = 0.7 * first + rng.normal(size=300)
    outcome = [0.2, -1.0, 0.5, 1.0][seed] * first + second + rng.normal(size=300)
    table = np.column_stack([first, rng.normal(size=300), second, outcome])
    centred = table - table.mean(axis=0)

    def r_squared(*columns: int) -> float:
        weights = np.linalg.lstsq(centred[:, columns], centred[:, 3], rcond=None)[0]
        return 1 - float(((centred[:, 3] - centred[:, columns] @ weights) ** 2).sum() / (centred[:, 3] ** 2).sum())

    expected = r_squared(0, 2) - max(r_squared(0), r_squared(2))
    correlation = np.corrcoef(table.T)
    assert added_by_pair(correlation, 0, 2) == pytest.approx(expected)
    assert added_by_pair(correlation, 2, 0) == pytest.approx(expected)


def test_a_copy_adds_nothing() -> None:
    assert added_by_pair(np.array([[1.0, 1.0, 0.5], [1.0, 1.0, 0.5], [0.5, 0.5, 1.0]]), 0, 1) == 0.0


def test_equal_rows_are_counted_also_below_and_above_all_others() -> None:
    train = np.array([5, 9, 5], dtype=np.uint64)
    holdout = np.array([1, 5, 7, 9, 11], dtype=np.uint64)
    assert rows_equal(train, holdout).tolist() == [0, 2, 0, 1, 0]


def test_equal_numbers_share_a_bin_and_missing_ones_have_the_next() -> None:
    one, two, other_two, three, missing = bins(np.array([1.0, 2.0, 2.0, 3.0, np.nan])).tolist()
    assert one < two == other_two < three == missing - 1


def test_a_rare_number_below_a_common_one_has_a_bin_of_its_own() -> None:
    """The common number is the only edge, and belongs to the bin above it."""
    assert bins(np.array([1.0] + [2.0] * 99)).tolist() == [0] + [1] * 99


def test_many_numbers_fall_into_fifty_bins() -> None:
    assert np.unique(bins(np.arange(100_000.0))).tolist() == list(range(50))


def test_a_value_with_one_other_row_has_the_outcome_of_that_row() -> None:
    means = mean_outcomes(np.array([0, 0, 1]), np.array([1.0, 0.0, 0.0]), np.array([0, 1, 2]))
    assert means.tolist() == [0.0, 1.0, pytest.approx(1 / 3)]


def test_one_value_in_all_rows_orders_nothing() -> None:
    assert ordering_score(np.array([1.0, 2.0, 3.0]))(np.ones(3)) == 0.0
    assert ordering_score(np.array([True, False, True]))(np.ones(3)) == 0.5


def table(size: np.ndarray, target: np.ndarray, colour: np.ndarray | None = None) -> Examples:
    """Rows of the tiny contract that differ in size and colour alone."""
    rows = len(size)
    words = np.full(rows, "red", dtype=object) if colour is None else colour
    request = {"colour": words, "shape": np.full(rows, "round", dtype=object), "size": size, "legs": np.ones(rows)}
    request["when"] = np.arange(rows).astype("datetime64[s]")
    numbers = np.column_stack([size, np.ones(rows), np.ones(rows)]).astype(np.float32)
    return Examples(request, Tensors(np.column_stack([words, request["shape"]]), numbers), target)


@pytest.mark.parametrize(("differ", "copied"), [(0, 100), (5, 95), (6, 0)])
def test_equal_rows_are_copies_if_few_of_them_differ_in_the_outcome(
    tiny_config: Config, differ: int, copied: int
) -> None:
    """A hundred of two hundred rows have one equal training row. Half of all outcomes are positive, so by chance every
    second of them would differ: five, a tenth of that, may.
    """
    size = np.arange(200.0)
    target = np.arange(200) % 2 == 0
    train = table(size[:100], np.where(np.arange(100) < differ, ~target[:100], target[:100]))
    copies = copied_rows(tiny_config.contract, train, table(size, target))
    assert (copies.rows, copies.share) == (copied, copied / 200)


def test_a_row_with_equal_rows_of_both_outcomes_is_no_copy(tiny_config: Config) -> None:
    """One of 40 rows that are in training twice: with the other outcome too."""
    size = np.arange(40.0)
    target = np.arange(40) % 2 == 0
    train = table(np.append(size, [0.0, 1.0]), np.append(target, [~target[0], target[1]]))
    assert copied_rows(tiny_config.contract, train, table(size, target)).rows == 39


def test_rows_that_are_known_by_their_time_alone_have_no_copies(tiny_config: Config) -> None:
    columns = {name: column for name, column in tiny_config.columns.items() if name in ("when", "hour", "good")}
    contract = tiny_config.contract.model_copy(update={"columns": columns, "features": ["hour"]})
    rows = table(np.ones(10), np.arange(10) % 2 == 0)
    assert copied_rows(contract, rows, rows) == (0, 0.0)


@pytest.mark.parametrize("positive", [True, False])
@pytest.mark.parametrize("part", ["missing", "present"])
def test_a_part_of_one_outcome_is_found_on_either_side(tiny_config: Config, positive: bool, part: str) -> None:
    """Forty of 400 rows, of 200 with that outcome; no other column is missing in them."""
    target = np.arange(400) % 2 == 0
    rows = np.flatnonzero(target == positive)[:40]
    chosen = np.isin(np.arange(400), rows)
    size = np.where(chosen if part == "missing" else ~chosen, np.nan, 1.0)
    data = table(size, target).data
    assert present_for_one_outcome(tiny_config.contract, data, target) == ["size"]
    assert present_for_one_outcome(tiny_config.contract, table(np.ones(400), target).data, target) == []


@pytest.mark.parametrize(("positive", "expected"), [(2, []), (3, ["size"])])
def test_a_chance_of_one_in_a_million_is_no_finding(tiny_config: Config, positive: int, expected: list[str]) -> None:
    """One row in a thousand is positive: two rows agree by a chance of one in a million, three by one in 10⁹."""
    target = np.arange(1000 * positive) < positive
    data = table(np.where(target, np.nan, 1.0), target).data
    assert present_for_one_outcome(tiny_config.contract, data, target) == expected


@pytest.mark.parametrize(("rows", "expected"), [(19, []), (20, ["colour"])])
def test_chance_decides_how_many_rows_have_to_agree(tiny_config: Config, rows: int, expected: list[str]) -> None:
    """Half of the rows are positive: one half to the power of 20 is below one in a million, of 19 it is not."""
    target = np.arange(400) % 2 == 0
    colour = np.full(400, "red", dtype=object)
    colour[np.flatnonzero(target)[:rows]] = ""
    data = table(np.ones(400), target, colour).data
    assert present_for_one_outcome(tiny_config.contract, data, target) == expected


def test_the_seed_decides_and_nothing_else(tiny_config: Config) -> None:
    rng = np.random.default_rng(5)
    target = rng.random(600) < 0.3
    colour = rng.integers(0, 40, 600).astype(str).astype(object)
    rows = table(rng.random(600), target, colour)
    numbers = rows.data.numbers.copy()
    numbers[:, 1] = rng.random(600)
    data = rows.data._replace(numbers=numbers)

    first, again, other = (single_feature_scores(tiny_config.contract, data, target, seed) for seed in (0, 0, 1))
    assert first == again != other
    pairs = [best_pair(tiny_config.contract, data, target, seed) for seed in (0, 0, 1)]
    assert pairs[0] == pairs[1] != pairs[2]


def test_missing_numbers_do_not_order_the_others(tiny_config: Config) -> None:
    """The known sizes order the outcomes perfectly; missing ones get the median of the known, and cost little."""
    target = np.arange(1000) >= 500
    size = np.arange(1000.0)
    size[::20] = np.nan
    scores = single_feature_scores(tiny_config.contract, table(size, target).data, target, seed=0)
    assert 0.95 < scores["size"] < 1


@pytest.mark.parametrize("binary", [True, False])
def test_missing_numbers_stand_in_the_middle_of_the_known(tiny_config: Config, binary: bool) -> None:
    """Few sizes, so each has a bin of its own, which no other row tells about: the order of the sizes counts. The first
    and the last row have the median of the known, and are the one pair that is not in order.
    """
    size = np.arange(40.0)
    size[[0, 39]] = np.nan
    target = np.arange(40) >= 20
    rows = table(size, target)
    if binary:
        scores = single_feature_scores(tiny_config.contract, rows.data, target, seed=0)
        assert scores["size"] == pytest.approx(1 - 0.5 / 20**2)
    else:
        ranks = np.r_[20.5, 1:20, 22:41, 20.5]
        outcome = np.arange(40.0)
        scores = single_feature_scores(tiny_config.contract, rows.data, outcome, seed=0)
        assert scores["size"] == pytest.approx(np.corrcoef(ranks, outcome)[0, 1])


def test_a_half_with_one_outcome_gives_no_pair(tiny_config: Config) -> None:
    """One positive row is in one half of the rows."""
    rng = np.random.default_rng(5)
    target = np.arange(50) == 7
    data = table(rng.random(50), target).data
    numbers = data.numbers.copy()
    numbers[:, 1] = rng.random(50)
    assert best_pair(tiny_config.contract, data._replace(numbers=numbers), target, seed=0) is None


def on_days(rows: Examples, rows_per_day: int) -> Examples:
    """The rows with other times: so many of them on each day."""
    day = np.arange(len(rows.target)) // rows_per_day
    return rows._replace(request={**rows.request, "when": day.astype("datetime64[D]").astype("datetime64[s]")})


def test_days_that_order_outcomes_no_better_than_the_limit_are_not_alike(tiny_config: Config) -> None:
    """Eleven of the twenty pairs of a positive and a negative row are in order: exactly the limit of 0.55."""
    rows = on_days(table(np.arange(12.0), np.arange(12) < 2), rows_per_day=3)
    assert columns_of_similar_days(tiny_config.contract, rows, seed=1) == []


def test_the_seed_decides_which_rows_tell_about_a_day(tiny_config: Config) -> None:
    """Few rows near the limit: some seeds find similar days, and find them again."""
    rows = on_days(table(np.arange(40.0), np.random.default_rng(1).random(40) < 0.3), rows_per_day=5)
    first, again = ([columns_of_similar_days(tiny_config.contract, rows, seed) for seed in range(16)] for _ in range(2))
    assert first == again
    assert [] in first
    assert ["when"] in first
