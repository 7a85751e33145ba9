"""The figures, against scikit-learn's own and against answers worked out by hand."""

from collections.abc import Callable

import numpy as np
import pytest
from sklearn import metrics as reference

from pipeline.evaluation.bootstrap import Bootstrap, Interval, paired, rounded, with_intervals
from pipeline.evaluation.curves import by_tenth, curve
from pipeline.evaluation.metrics import MONITORED, metrics, weighted
from pipeline.evaluation.slices import slices
from pipeline.runtime.contract import Scoring

NUMBERS = Scoring("regression")
RNG = np.random.default_rng(0)
PROBABILITY = np.round(RNG.random(500), 2)  # two digits, so that many are equal
OUTCOME = RNG.random(500) < PROBABILITY


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("roc_auc", lambda y, p, w: reference.roc_auc_score(y, p, sample_weight=w)),
        ("average_precision", lambda y, p, w: reference.average_precision_score(y, p, sample_weight=w)),
        ("log_loss", lambda y, p, w: reference.log_loss(y, np.clip(p, 1e-7, 1 - 1e-7), sample_weight=w)),
        ("skill", lambda y, p, w: reference.d2_log_loss_score(y, np.clip(p, 1e-7, 1 - 1e-7), sample_weight=w)),
        ("brier", lambda y, p, w: reference.brier_score_loss(y, p, sample_weight=w)),
        ("accuracy", lambda y, p, w: reference.accuracy_score(y, p >= 0.25, sample_weight=w)),
        ("precision", lambda y, p, w: reference.precision_score(y, p >= 0.25, sample_weight=w)),
        ("recall", lambda y, p, w: reference.recall_score(y, p >= 0.25, sample_weight=w)),
        ("f1", lambda y, p, w: reference.f1_score(y, p >= 0.25, sample_weight=w)),
    ],
)
def test_each_figure_is_scikit_learns_with_ties_and_with_weights(name: str, theirs: Callable[..., float]) -> None:
    weight = np.random.default_rng(1).integers(0, 4, 500)
    assert metrics(OUTCOME, PROBABILITY, Scoring("binary", 0.25))[name] == pytest.approx(
        theirs(OUTCOME, PROBABILITY, None), abs=1e-12
    )
    ours = weighted(OUTCOME, PROBABILITY, Scoring("binary", 0.25))(weight.astype(float))[name]
    assert ours == pytest.approx(theirs(OUTCOME, PROBABILITY, weight), abs=1e-12)


def test_the_calibration_error_is_the_one_worked_out_by_hand() -> None:
    """Ten rows at 0.8 of which six are positive, ten at 0.1 of which none is: half of 0.2 and half of 0.1, whatever the
    order of equal rows.
    """
    probability = np.array([0.8] * 10 + [0.1] * 10)
    outcome = np.array([1, 1, 1, 1, 1, 1, 0, 0, 0, 0] + [0] * 10)
    turned = np.array([0, 0, 0, 0, 1, 1, 1, 1, 1, 1] + [0] * 10)
    for each in (outcome, turned):
        assert metrics(each, probability, Scoring("binary", 0.5))["ece"] == pytest.approx(0.15)


def test_an_answer_that_is_always_the_base_rate_is_perfectly_calibrated() -> None:
    assert metrics(np.array([1] * 50 + [0] * 100), np.full(150, 1 / 3), Scoring("binary", 0.5))["ece"] == pytest.approx(
        0
    )


def test_the_interval_of_the_calibration_error_holds_it() -> None:
    rng = np.random.default_rng(5)
    for _ in range(20):
        probability = rng.random(300)
        outcome = rng.random(300) < probability
        figure = with_intervals(outcome, probability, np.arange(300), Bootstrap(Scoring("binary", 0.5), 100, 0))["ece"]
        assert figure.low <= figure.value <= figure.high


def test_calibration_curve_goes_from_the_lowest_tenth_to_the_highest() -> None:
    expected, observed = by_tenth(OUTCOME, PROBABILITY)
    assert (np.diff(expected) > 0).all()
    assert observed[0] < observed[-1]


def test_nothing_flagged_has_no_precision_and_no_recall() -> None:
    figures = metrics(np.array([0, 1]), np.array([0.1, 0.2]), Scoring("binary", 0.9))
    assert np.isnan(figures["precision"])
    assert figures["recall"] == 0


def test_a_certain_wrong_answer_costs_much_and_not_infinitely() -> None:
    assert np.isfinite(metrics(np.array([0, 1]), np.array([1.0, 0.0]), Scoring("binary", 0.5))["log_loss"])


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


def test_a_model_against_itself_differs_by_nothing() -> None:
    found = paired(OUTCOME, PROBABILITY, PROBABILITY, np.arange(500), Bootstrap(Scoring("binary", 0.25), 20, 0), 0.9)
    assert found == {"log_loss": (0, 0, 0), "roc_auc": (0, 0, 0)}


# --- numbers --------------------------------------------------------------------------------------------------------

MINUTES = np.array([10.0, -5.0, 30.0, 0.0])
ESTIMATE = np.array([12.0, -5.0, 20.0, 4.0])


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("mae", reference.mean_absolute_error),
        ("rmse", reference.root_mean_squared_error),
        ("r2", reference.r2_score),
        ("bias", lambda y, said, sample_weight: np.average(said - y, weights=sample_weight)),
    ],
)
def test_each_figure_of_numbers_is_scikit_learns_also_with_weights(name: str, theirs: Callable[..., float]) -> None:
    weight = np.array([1.0, 2.0, 0.0, 3.0])
    assert metrics(MINUTES, ESTIMATE, NUMBERS)[name] == pytest.approx(
        theirs(MINUTES, ESTIMATE, sample_weight=np.ones(4))
    )
    ours = weighted(MINUTES, ESTIMATE, NUMBERS)(weight)[name]
    assert ours == pytest.approx(theirs(MINUTES, ESTIMATE, sample_weight=weight))


def test_what_is_monitored_worked_out_by_hand() -> None:
    """Of numbers, what is saved against the median, 3; and two of four above. Of probabilities, what came of them."""
    numbers = metrics(np.array([0.0, 2.0, 4.0, 10.0]), np.array([1.0, 2.0, 5.0, 7.0]), NUMBERS, MONITORED["regression"])
    assert numbers == pytest.approx({"skill": 1 - 5 / 12, "share_above": 1 / 4})
    found = metrics(OUTCOME, PROBABILITY, Scoring("binary", 0.25), MONITORED["binary"])
    assert found["observed_over_predicted"] == pytest.approx(OUTCOME.sum() / PROBABILITY.sum())
    reported = metrics(OUTCOME, PROBABILITY, Scoring("binary", 0.25))
    assert {name: found[name] for name in ("skill", "roc_auc", "ece")} == {
        name: reported[name] for name in ("skill", "roc_auc", "ece")
    }


def test_the_curve_counts_yes_and_no_at_and_above_each_probability() -> None:
    thresholds, hits, alarms = curve(np.array([1, 0, 1, 0]), np.array([0.9, 0.5, 0.5, 0.1]))
    assert (thresholds.tolist(), hits.tolist(), alarms.tolist()) == ([0.9, 0.5, 0.1], [1, 2, 2], [0, 1, 2])


def test_outcomes_that_are_all_the_same_have_no_explained_share() -> None:
    assert np.isnan(metrics(np.ones(3), np.array([1.0, 2.0, 3.0]), NUMBERS)["r2"])


def test_intervals_of_numbers_may_go_below_zero_where_the_figure_can() -> None:
    rng = np.random.default_rng(0)
    outcome = rng.normal(size=300)
    found = with_intervals(outcome, np.zeros(300), np.arange(300), Bootstrap(NUMBERS, 100, 0))
    assert found["bias"].low < 0 < found["bias"].high
    assert 0 < found["mae"].low < found["mae"].value < found["mae"].high


def test_numbers_are_compared_by_their_absolute_errors() -> None:
    found = paired(MINUTES, ESTIMATE, ESTIMATE + 1, np.arange(4), Bootstrap(NUMBERS, 50, 0), 0.9)
    assert found["mae"].value == pytest.approx(4.0 - 4.5)


def test_slices_are_the_values_with_enough_rows_and_both_outcomes() -> None:
    colour = np.array(["red"] * 6 + ["blue"] * 3 + ["green"] * 6)
    outcome = np.array([True, False] * 3 + [True, False, True] + [True] * 6)
    found = slices(
        {"colour": colour},
        ["colour"],
        5,
        outcome,
        np.full(15, 0.5),
        np.arange(15),
        Bootstrap(Scoring("binary", 0.5), 20, 0),
    )
    assert [(part.column, part.value, part.rows) for part in found] == [("colour", "red", 6)]
    assert found[0].figures["log_loss"].value == pytest.approx(np.log(2))
    found = slices(
        {"colour": colour}, ["colour"], 5, np.ones(15), np.zeros(15), np.arange(15), Bootstrap(NUMBERS, 20, 0)
    )
    assert [part.value for part in found] == ["green", "red"]
