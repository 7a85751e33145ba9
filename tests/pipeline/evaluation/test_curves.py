"""Rows sorted by prediction: curves and tenths."""

import numpy as np

from pipeline.evaluation.curves import by_tenth, curve

RNG = np.random.default_rng(0)
PROBABILITY = np.round(RNG.random(500), 2)  # two digits, so that many are equal
OUTCOME = RNG.random(500) < PROBABILITY


def test_calibration_curve_goes_from_the_lowest_tenth_to_the_highest() -> None:
    expected, observed = by_tenth(OUTCOME, PROBABILITY)
    assert (np.diff(expected) > 0).all()
    assert observed[0] < observed[-1]


def test_the_curve_counts_yes_and_no_at_and_above_each_probability() -> None:
    thresholds, hits, alarms = curve(np.array([1, 0, 1, 0]), np.array([0.9, 0.5, 0.5, 0.1]))
    assert (thresholds.tolist(), hits.tolist(), alarms.tolist()) == ([0.9, 0.5, 0.1], [1, 2, 2], [0, 1, 2])
