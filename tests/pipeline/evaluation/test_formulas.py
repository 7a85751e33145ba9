"""The figures, against scikit-learn's own and against answers worked out by hand."""

from collections.abc import Callable

import numpy as np
import pytest
from sklearn import metrics as reference

from pipeline.evaluation.formulas import losses
from pipeline.evaluation.metrics import (
    MONITORED,
    metrics,
    weighted,
)
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


def test_the_loss_of_a_row_is_minus_the_log_of_its_probability() -> None:
    """In double precision, also for the model's own float32."""
    found = losses(np.array([True, False]), np.array([0.25, 0.25], dtype=np.float32))
    assert found == pytest.approx([np.log(4), np.log(4 / 3)])
    assert found.dtype == np.float64


def test_nothing_flagged_has_no_precision_and_no_recall() -> None:
    figures = metrics(np.array([0, 1]), np.array([0.1, 0.2]), Scoring("binary", 0.9))
    assert np.isnan(figures["precision"])
    assert figures["recall"] == 0


def test_a_certain_wrong_answer_costs_much_and_not_infinitely() -> None:
    assert np.isfinite(metrics(np.array([0, 1]), np.array([1.0, 0.0]), Scoring("binary", 0.5))["log_loss"])


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


def test_outcomes_that_are_all_the_same_have_no_explained_share() -> None:
    assert np.isnan(metrics(np.ones(3), np.array([1.0, 2.0, 3.0]), NUMBERS)["r2"])
