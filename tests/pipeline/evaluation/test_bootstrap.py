"""Intervals: their blocks, their ends, and the difference of two models on the same rows."""

import numpy as np
import pytest

from pipeline.evaluation.bootstrap import (
    Bootstrap,
    Interval,
    blocks,
    interval,
    paired,
    resamples,
    rounded,
    with_intervals,
)
from pipeline.runtime.contract import Scoring

NUMBERS = Scoring("regression")
RNG = np.random.default_rng(0)
PROBABILITY = np.round(RNG.random(500), 2)  # two digits, so that many are equal
OUTCOME = RNG.random(500) < PROBABILITY
MINUTES = np.array([10.0, -5.0, 30.0, 0.0])
ESTIMATE = np.array([12.0, -5.0, 20.0, 4.0])


def test_the_interval_of_the_calibration_error_holds_it() -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        probability = rng.random(300)
        outcome = rng.random(300) < probability
        figure = with_intervals(outcome, probability, np.arange(300), Bootstrap(Scoring("binary", 0.5), 100, 0))["ece"]
        assert figure.low <= figure.value <= figure.high


def test_an_interval_leaves_out_a_fortieth_on_either_side() -> None:
    resampled = np.arange(1001.0)
    assert interval("bias", 500.0, resampled) == pytest.approx((500, 25, 975))


def test_an_interval_moves_until_its_resamples_mean_the_figure() -> None:
    assert interval("bias", 510.0, np.arange(1001.0)) == pytest.approx((510, 35, 985))


def test_a_resample_in_which_the_figure_does_not_exist_is_left_out() -> None:
    """Where it exists in none, the interval is the figure alone."""
    nan = float("nan")
    assert interval("bias", 1.0, np.array([0.0, nan, 2.0, nan])) == interval("bias", 1.0, np.array([0.0, 2.0]))
    assert interval("bias", 1.0, np.array([nan])) == (1, 1, 1)


def test_only_the_named_figures_are_computed() -> None:
    """Without a threshold there is no accuracy: who asks for it gets an error."""
    plan = Bootstrap(Scoring("binary"), 5, 0)
    found = with_intervals(OUTCOME, PROBABILITY, np.arange(500), plan, ["brier"])
    assert set(found) == {"brier"}
    assert set(paired(OUTCOME, PROBABILITY, PROBABILITY, np.arange(500), plan, 0.9)) == {"log_loss", "roc_auc"}


def test_an_interval_over_days_that_differ_is_wider_than_one_over_rows() -> None:
    rng = np.random.default_rng(2)
    day = np.repeat(np.arange(30), 50)
    outcome = rng.random(1500) < np.repeat(rng.random(30), 50)
    probability = np.full(1500, 0.1)
    plan = Bootstrap(Scoring("binary", 0.5), 200, 0)
    by_day = with_intervals(outcome, probability, day, plan)["brier"]
    by_row = with_intervals(outcome, probability, np.arange(1500), plan)["brier"]
    assert by_day.high - by_day.low > 1.5 * (by_row.high - by_row.low)
    assert by_day.low < by_day.value < by_day.high
    assert by_day.value == by_row.value


def test_the_same_seed_gives_the_same_interval() -> None:
    first, second = (
        with_intervals(OUTCOME, PROBABILITY, np.arange(500) // 50, Bootstrap(Scoring("binary", 0.5), 50, 3))
        for _ in range(2)
    )
    assert first == second


def test_a_figure_that_does_not_exist_is_null_in_a_file() -> None:
    nan = float("nan")
    assert rounded({"precision": Interval(nan, nan, nan)}) == {"precision": {"value": None, "low": None, "high": None}}
    assert rounded({"auc": Interval(0.12345678, 0, 1)})["auc"]["value"] == 0.123457


def test_no_interval_of_a_share_goes_beyond_it() -> None:
    """Twelve rows of which two are out of order: the moved percentiles of the area reach above 1."""
    outcome = np.array([0] * 5 + [1, 0] + [1] * 5)
    found = with_intervals(outcome, np.linspace(0.1, 0.9, 12), np.arange(12), Bootstrap(Scoring("binary", 0.5), 200, 0))
    assert found["roc_auc"].value < found["roc_auc"].high == 1


def test_the_paired_interval_is_that_of_the_difference_over_blocks() -> None:
    """Worse by the same on every row: the difference has no spread, however much the losses themselves have."""
    loss = -np.log(np.where(OUTCOME, PROBABILITY, 1 - PROBABILITY).clip(0.02, 0.98))
    new, old = (np.where(OUTCOME, np.exp(-each), 1 - np.exp(-each)) for each in (loss + 0.01, loss))
    found = paired(OUTCOME, new, old, np.arange(500) // 10, Bootstrap(Scoring("binary", 0.25), 100, 0), 0.9)
    assert found["log_loss"] == pytest.approx((0.01, 0.01, 0.01), abs=1e-9)
    assert found["roc_auc"].low <= found["roc_auc"].value <= found["roc_auc"].high


def test_a_named_metric_has_the_interval_that_it_has_among_others() -> None:
    plan = Bootstrap(Scoring("binary", 0.25), 20, 0)
    arguments = (OUTCOME, PROBABILITY, np.full(len(OUTCOME), 0.3), np.arange(500) // 10, plan, 0.9)
    assert paired(*arguments, ["log_loss"]) == {"log_loss": paired(*arguments)["log_loss"]}


def test_the_level_of_a_paired_interval_says_how_much_it_leaves_out() -> None:
    """At 0.9 a twentieth of the resamples lies below it, and a twentieth above."""
    errors = np.arange(50.0) ** 2
    plan = Bootstrap(NUMBERS, 200, 0)
    drawn = [weight @ errors / 50 for weight in resamples(np.arange(50), plan)]
    found = paired(np.zeros(50), errors, np.zeros(50), np.arange(50), plan, 0.9)["mae"]
    assert found == pytest.approx((errors.mean(), *np.percentile(drawn, [5, 95])))


def test_a_block_is_a_day_a_group_or_a_row_with_its_copies() -> None:
    """Hashes are apart also where they differ in the last of 64 bits."""
    days = blocks(np.array(["2013-01-01T00:00:00", "2013-01-01T23:59:59", "2013-01-02T00:00:00"], "datetime64[s]"))
    assert (days - days[0]).tolist() == [0, 0, 1]
    assert len(set(blocks(np.array([2**63 + 1, 2**63 + 2, 2**63 + 1], dtype=np.uint64)).tolist())) == 2


def test_a_model_against_itself_differs_by_nothing() -> None:
    found = paired(OUTCOME, PROBABILITY, PROBABILITY, np.arange(500), Bootstrap(Scoring("binary", 0.25), 20, 0), 0.9)
    assert found == {"log_loss": (0, 0, 0), "roc_auc": (0, 0, 0)}


def test_intervals_of_numbers_may_go_below_zero_where_the_figure_can() -> None:
    rng = np.random.default_rng(0)
    outcome = rng.normal(size=300)
    found = with_intervals(outcome, np.zeros(300), np.arange(300), Bootstrap(NUMBERS, 100, 0))
    assert found["bias"].low < 0 < found["bias"].high
    assert 0 < found["mae"].low < found["mae"].value < found["mae"].high


def test_numbers_are_compared_by_their_absolute_errors() -> None:
    found = paired(MINUTES, ESTIMATE, ESTIMATE + 1, np.arange(4), Bootstrap(NUMBERS, 50, 0), 0.9)
    assert found["mae"].value == pytest.approx(4.0 - 4.5)
