"""Metrics by slice: which values have them."""

import numpy as np
import pytest

from pipeline.evaluation.bootstrap import Bootstrap
from pipeline.evaluation.slices import slices
from pipeline.runtime.contract import Scoring

NUMBERS = Scoring("regression")


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
        {"colour": colour}, ["colour"], 6, np.ones(15), np.zeros(15), np.arange(15), Bootstrap(NUMBERS, 20, 0)
    )
    assert [part.value for part in found] == ["green", "red"]
