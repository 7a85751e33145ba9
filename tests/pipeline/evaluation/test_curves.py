"""Rows sorted by prediction: curves and tenths."""

import numpy as np

from pipeline.evaluation.curves import curve, tenths

RNG = np.random.default_rng(0)
PROBABILITY = np.round(RNG.random(500), 2)  # two digits, so that many are equal
OUTCOME = RNG.random(500) < PROBABILITY


def test_ten_different_predictions_are_a_tenth_each() -> None:
    found = tenths(np.array([0.5, 0.1, 0.9, 0.2, 0.8, 0.3, 0.7, 0.4, 0.6, 0.0]))
    assert found.tolist() == [5, 1, 9, 2, 8, 3, 7, 4, 6, 0]
    assert np.bincount(found).tolist() == [1] * 10


def test_equal_predictions_are_in_the_tenth_of_the_middle_one() -> None:
    """The lower one where two are in the middle: here the second of five rows, with which the third tenth begins."""
    assert tenths(np.array([0.1, 0.1, 0.1, 0.1, 0.9])).tolist() == [2, 2, 2, 2, 8]


def test_the_curve_counts_yes_and_no_at_and_above_each_probability() -> None:
    thresholds, hits, alarms = curve(np.array([1, 0, 1, 0]), np.array([0.9, 0.5, 0.5, 0.1]))
    assert (thresholds.tolist(), hits.tolist(), alarms.tolist()) == ([0.9, 0.5, 0.1], [1, 2, 2], [0, 1, 2])
