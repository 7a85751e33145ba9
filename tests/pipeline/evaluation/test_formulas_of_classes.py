"""Metrics of several classes, against scikit-learn's, with weights as in a resample."""

import warnings

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, log_loss, precision_score, recall_score, roc_auc_score

from pipeline.evaluation.bootstrap import Bootstrap, with_intervals
from pipeline.evaluation.metrics import metrics, monitored, reported, weighted
from pipeline.runtime.contract import Scoring

CLASSES = Scoring("multiclass", None, ("a", "b", "c"))
RNG = np.random.default_rng(5)
OUTCOME = RNG.integers(3, size=300)
PROBABILITY = RNG.dirichlet([1, 1, 1], 300) * 0.5 + np.eye(3)[OUTCOME] * RNG.random((300, 1)) * 0.5
PROBABILITY /= PROBABILITY.sum(axis=1, keepdims=True)
WEIGHT = RNG.integers(4, size=300).astype(np.float64)


def test_each_metric_is_that_of_scikit_learn() -> None:
    found = weighted(OUTCOME, PROBABILITY, CLASSES)(WEIGHT)
    label = PROBABILITY.argmax(axis=1)
    one_by_one = [roc_auc_score(n == OUTCOME, PROBABILITY[:, n], sample_weight=WEIGHT) for n in range(3)]
    assert found["roc_auc"] == pytest.approx(np.mean(one_by_one))
    assert found["log_loss"] == pytest.approx(log_loss(OUTCOME, PROBABILITY, sample_weight=WEIGHT))
    assert found["accuracy"] == pytest.approx(accuracy_score(OUTCOME, label, sample_weight=WEIGHT))
    assert found["macro_f1"] == pytest.approx(f1_score(OUTCOME, label, average="macro", sample_weight=WEIGHT))
    precision = precision_score(OUTCOME, label, average=None, sample_weight=WEIGHT)
    recall = recall_score(OUTCOME, label, average=None, sample_weight=WEIGHT)
    assert [found[f"precision {name}"] for name in "abc"] == pytest.approx(precision)
    assert [found[f"recall {name}"] for name in "abc"] == pytest.approx(recall)


def test_the_shares_of_the_classes_have_no_skill() -> None:
    constant = np.tile(np.bincount(OUTCOME) / 300, (300, 1))
    assert metrics(OUTCOME, constant, CLASSES, ["skill"])["skill"] == pytest.approx(0)


def test_skill_is_against_the_shares_of_the_weighted_rows() -> None:
    """Two rows of the first class count twice each, two of the third once: the shares are two thirds and one third."""
    outcome, weight = np.array([0, 0, 2, 2]), np.array([2.0, 2, 1, 1])
    probability = np.tile([2 / 3, 0, 1 / 3], (4, 1))
    at = weighted(outcome, probability, CLASSES, ["skill"])
    assert at(weight)["skill"] == pytest.approx(0)
    assert at(np.ones(4))["skill"] < -0.01


def test_rows_of_one_class_have_no_skill_to_compare_with() -> None:
    probability = np.full((2, 3), 1 / 3)
    assert np.isnan(metrics(np.array([2, 2]), probability, CLASSES, ["skill"])["skill"])


def test_calibration_is_of_the_most_probable_class_and_the_ratio_of_each() -> None:
    """All say 80 % for the first class, which 60 % of the rows have."""
    outcome = np.array([0, 0, 0, 1, 2] * 20)
    probability = np.tile([0.8, 0.15, 0.05], (100, 1))
    found = metrics(outcome, probability, CLASSES, monitored(CLASSES))
    assert found["ece"] == pytest.approx(0.2)
    ratios = [found[f"observed_over_predicted {name}"] for name in "abc"]
    assert ratios == pytest.approx([0.6 / 0.8, 0.2 / 0.15, 0.2 / 0.05])


def test_calibration_counts_each_row_by_its_own_class_and_weight() -> None:
    """One row says a with 90 %, which is wrong, the other c with 70 %, which is right and counts three times."""
    probability = np.array([[0.9, 0.05, 0.05], [0.1, 0.2, 0.7]])
    found = weighted(np.array([1, 2]), probability, CLASSES, monitored(CLASSES))(np.array([1.0, 3.0]))
    assert found["ece"] == pytest.approx((0.9 + 3 * 0.3) / 4)
    assert found["observed_over_predicted b"] == pytest.approx(1 / (0.05 + 3 * 0.2))
    assert found["observed_over_predicted c"] == pytest.approx(3 / (0.05 + 3 * 0.7))


def test_a_class_that_no_row_has_is_left_out_of_the_means() -> None:
    outcome = np.array([0, 1] * 10)
    found = metrics(outcome, np.eye(3)[outcome] * 0.9 + 1 / 30, CLASSES)
    assert (found["roc_auc"], found["macro_f1"]) == (1, 1)
    assert np.isnan(found["recall c"])


def test_rows_of_one_class_have_no_pairs_to_rank_and_no_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = metrics(np.zeros(4, int), np.tile([1.0, 0, 0], (4, 1)), CLASSES, ["roc_auc"])
    assert np.isnan(found["roc_auc"])


def test_every_metric_of_every_class_has_an_interval() -> None:
    found = with_intervals(OUTCOME, PROBABILITY, np.arange(300), Bootstrap(CLASSES, 50, 0))
    assert tuple(found) == reported(CLASSES)
    assert all(figure.low < figure.value < figure.high for figure in found.values())
