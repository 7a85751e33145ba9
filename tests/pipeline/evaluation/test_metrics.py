"""What is decided by the name of a metric or by the task, and small helpers."""

import warnings

import numpy as np
import pytest

from pipeline.evaluation.metrics import (
    MONITORED,
    base_name,
    constant_prediction,
    loss_unit,
    metrics,
    monitored,
    reported,
    roc_auc,
    spread,
    standard_error,
)
from pipeline.runtime.contract import Scoring

THREE = Scoring("multiclass", classes=("a", "b", "c"))


def test_a_task_of_classes_has_metrics_of_each_class() -> None:
    assert reported(THREE)[-4:] == ("precision c", "recall a", "recall b", "recall c")
    assert monitored(THREE)[-1] == "observed_over_predicted c"
    assert "recall a" not in reported(Scoring("binary", 0.5))


def test_only_the_named_metrics_are_computed() -> None:
    """Those of the labels need a threshold: without their names it is not asked for."""
    outcome, probability = np.array([0, 1, 1]), np.array([0.2, 0.7, 0.6])
    assert metrics(outcome, probability, Scoring("binary"), ["roc_auc"]) == {"roc_auc": 1.0}
    with pytest.raises(ValueError, match="threshold"):
        metrics(outcome, probability, Scoring("binary"), ["accuracy"])


def test_without_names_the_reported_metrics_are_computed() -> None:
    found = metrics(np.array([0, 1, 2, 2]), np.full((4, 3), 1 / 3), THREE)
    assert tuple(found) == reported(THREE)


def test_a_metric_of_a_class_has_a_name_without_it() -> None:
    assert base_name("recall Gentoo penguin") == "recall"
    assert base_name("recall") == "recall"


def test_figures_that_do_not_exist_are_nan_without_a_warning() -> None:
    """Without a positive row: no pairs, nothing to flag or to recall, and no loss of the share of positives to compare with."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures = metrics(np.zeros(2), np.array([0.1, 0.2]), Scoring("binary", 0.5))
        certain = metrics(np.zeros(2), np.array([0.0, 0.0]), Scoring("binary", 0.5), MONITORED["binary"])
    undefined = {name for name, value in figures.items() if np.isnan(value)}
    assert undefined == {"roc_auc", "average_precision", "skill", "precision", "recall", "f1"}
    assert np.isnan(certain["observed_over_predicted"])


def test_roc_auc_is_the_share_of_pairs_in_order_and_needs_no_threshold() -> None:
    """A tie counts half."""
    assert roc_auc(np.array([True, False]), np.array([0.1, 0.2])) == 0
    assert roc_auc(np.array([True, False, False]), np.array([0.2, 0.2, 0.1])) == 0.75


def test_the_best_constant_is_the_share_of_positives_or_the_median() -> None:
    outcome = np.array([0, 0, 1, 1, 1, 0, 0, 0])
    assert constant_prediction(outcome, "binary", 2).tolist() == [3 / 8, 3 / 8]
    assert constant_prediction(outcome, "regression", 1).tolist() == [0]
    assert constant_prediction(np.array([2, 0, 2, 1]), "multiclass", 2).tolist() == [[0.25, 0.25, 0.5]] * 2


def test_probabilities_have_a_spread_of_one_and_numbers_their_own() -> None:
    assert spread(np.array([1.0, 5.0]), "regression") == 2
    assert spread(np.array([0, 1]), "binary") == 1


@pytest.mark.parametrize(("differences", "error"), [([1.0, 3.0], 1.0), ([1.0, 3.0, 5.0], 2 / np.sqrt(3)), ([4.0], 0.0)])
def test_the_standard_error_of_a_mean_over_folds(differences: list[float], error: float) -> None:
    """The deviation divides by one fold less than there are; a single fold has none."""
    assert standard_error(np.array(differences)) == pytest.approx(error)


def test_losses_of_several_classes_are_compared_in_coins() -> None:
    """Four classes of equal size are two coins; a class without a row adds nothing."""
    assert loss_unit(np.arange(4), "multiclass") == 2
    assert loss_unit(np.array([0, 2, 2, 2]), "multiclass") == pytest.approx(0.811, abs=0.001)
    assert loss_unit(np.array([True, False]), "binary") == 1
    assert loss_unit(np.array([1.0, 5.0]), "regression") == 2
