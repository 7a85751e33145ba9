"""The lines that a training prints, from values made by hand."""

import numpy as np
import pytest

from pipeline.training.tables import rare_class_warning


@pytest.mark.parametrize("rare", [True, False])
def test_a_rare_outcome_is_counted_and_the_metrics_that_count_are_named(rare: bool) -> None:
    """Whether the yes is rare or the no."""
    target = np.array([rare] * 2 + [not rare] * 38)
    warning = rare_class_warning(target, threshold=1 / 6)
    assert warning is not None
    assert warning.startswith("Only 2 rows have the rarer outcome: accuracy misleads: a constant has 95.0%. ")
    assert warning.endswith("average_precision and the costs, which put the threshold at 0.167")


def test_of_outcomes_that_are_not_rare_nothing_is_printed() -> None:
    assert rare_class_warning(np.array([True] * 4 + [False] * 36), threshold=0.5) is None
