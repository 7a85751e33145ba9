"""The figures, against scikit-learn's own and against answers worked out by hand."""

from collections.abc import Callable

import numpy as np
import pytest
from sklearn import metrics as reference

from pipeline.evaluate import Interval, calibration, metrics, rank, rounded, weighted, with_intervals

RNG = np.random.default_rng(0)
PROBABILITY = np.round(RNG.random(500), 2)  # two digits, so that many are equal
OUTCOME = RNG.random(500) < PROBABILITY


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("roc_auc", lambda y, p, w: reference.roc_auc_score(y, p, sample_weight=w)),
        ("average_precision", lambda y, p, w: reference.average_precision_score(y, p, sample_weight=w)),
        ("log_loss", lambda y, p, w: reference.log_loss(y, np.clip(p, 1e-7, 1 - 1e-7), sample_weight=w)),
        ("brier", lambda y, p, w: reference.brier_score_loss(y, p, sample_weight=w)),
        ("accuracy", lambda y, p, w: reference.accuracy_score(y, p >= 0.25, sample_weight=w)),
        ("precision", lambda y, p, w: reference.precision_score(y, p >= 0.25, sample_weight=w)),
        ("recall", lambda y, p, w: reference.recall_score(y, p >= 0.25, sample_weight=w)),
        ("f1", lambda y, p, w: reference.f1_score(y, p >= 0.25, sample_weight=w)),
    ],
)
def test_each_figure_is_scikit_learns_with_ties_and_with_weights(name: str, theirs: Callable[..., float]) -> None:
    weight = np.random.default_rng(1).integers(0, 4, 500)
    ranked = rank(OUTCOME, PROBABILITY, 0.25)
    assert metrics(OUTCOME, PROBABILITY, 0.25)[name] == pytest.approx(theirs(OUTCOME, PROBABILITY, None), abs=1e-12)
    ours = weighted(ranked, weight[ranked.order].astype(float))[name]
    assert ours == pytest.approx(theirs(OUTCOME, PROBABILITY, weight), abs=1e-12)


def test_calibration_error_worked_out_by_hand_whatever_the_order_of_equal_rows() -> None:
    """Ten rows at 0.8 of which six are positive, ten at 0.1 of which none is: half of 0.2 and half of 0.1."""
    probability = np.array([0.8] * 10 + [0.1] * 10)
    outcome = np.array([1, 1, 1, 1, 1, 1, 0, 0, 0, 0] + [0] * 10)
    turned = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1, 1] + [0] * 10)
    for each in (outcome, turned):
        assert metrics(each, probability, 0.5)["ece"] == pytest.approx(0.15)


def test_an_answer_that_is_always_the_base_rate_is_perfectly_calibrated() -> None:
    assert metrics(np.array([1] * 50 + [0] * 100), np.full(150, 1 / 3), 0.5)["ece"] == pytest.approx(0)


def test_the_interval_of_the_calibration_error_holds_it() -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        probability = rng.random(300)
        outcome = rng.random(300) < probability
        figure = with_intervals(outcome, probability, np.arange(300), threshold=0.5, resamples=100, seed=0)["ece"]
        assert figure.low <= figure.value <= figure.high


def test_calibration_curve_goes_from_the_lowest_tenth_to_the_highest() -> None:
    expected, observed = calibration(OUTCOME, PROBABILITY)
    assert (np.diff(expected) > 0).all()
    assert observed[0] < observed[-1]


def test_nothing_flagged_has_no_precision_and_no_recall() -> None:
    figures = metrics(np.array([0, 1]), np.array([0.1, 0.2]), 0.9)
    assert np.isnan(figures["precision"])
    assert figures["recall"] == 0


def test_a_certain_wrong_answer_costs_much_and_not_infinitely() -> None:
    assert np.isfinite(metrics(np.array([0, 1]), np.array([1.0, 0.0]), 0.5)["log_loss"])


def test_an_interval_over_days_is_wider_than_one_over_rows_where_days_differ() -> None:
    rng = np.random.default_rng(2)
    day = np.repeat(np.arange(30), 50)
    outcome = rng.random(1500) < np.repeat(rng.random(30), 50)
    probability = np.full(1500, 0.1)
    settings = {"threshold": 0.5, "resamples": 200, "seed": 0}
    by_day = with_intervals(outcome, probability, day, **settings)["brier"]
    by_row = with_intervals(outcome, probability, np.arange(1500), **settings)["brier"]
    assert by_day.high - by_day.low > 1.5 * (by_row.high - by_row.low)
    assert by_day.low < by_day.value < by_day.high
    assert by_day.value == by_row.value


def test_the_same_seed_gives_the_same_interval() -> None:
    first, second = (
        with_intervals(OUTCOME, PROBABILITY, np.arange(500) // 50, threshold=0.5, resamples=50, seed=3)
        for _ in range(2)
    )
    assert first == second


def test_a_figure_that_does_not_exist_is_null_in_a_file() -> None:
    nan = float("nan")
    assert rounded({"precision": Interval(nan, nan, nan)}) == {"precision": {"value": None, "low": None, "high": None}}
    assert rounded({"auc": Interval(0.12345678, 0, 1)})["auc"]["value"] == 0.123457
