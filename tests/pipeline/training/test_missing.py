"""The model that never had a group of columns, with which the masked predictions are compared."""

import numpy as np
import pytest

from pipeline.candidates.boosting import Boosting
from pipeline.candidates.kind import Kind
from pipeline.candidates.linear import Linear
from pipeline.candidates.tree import Tree
from pipeline.config.training import Train
from pipeline.runtime.arrays import Tensors
from pipeline.training import estimators
from pipeline.training.missing import mean_losses, with_constants


@pytest.mark.parametrize("settings", [Linear(), Tree(), Boosting()], ids=["linear", "tree", "boosting"])
def test_a_model_can_be_fitted_without_any_text_or_number(settings: Kind) -> None:
    """A table whose columns are all optional: what is left is one value in every row."""
    masked = Tensors(np.full((200, 2), "", dtype=object), np.full((200, 1), np.nan, dtype=np.float32))
    target = np.arange(200) % 4 == 0
    data = with_constants(masked)
    fitted = estimators.fit(settings, data, target, Train())
    assert estimators.predict(fitted, data) == pytest.approx(np.full(200, 0.25), abs=0.01)


def test_only_the_columns_without_any_value_get_one() -> None:
    data = Tensors(
        np.array([["", "a"], ["", "b"]], dtype=object), np.array([[np.nan, 1], [np.nan, 2]], dtype=np.float32)
    )
    assert with_constants(data).strings.tolist() == [["none", "a"], ["none", "b"]]
    assert with_constants(data).numbers.tolist() == [[0, 1], [0, 2]]


def test_a_column_with_some_values_stays_as_it_is() -> None:
    data = Tensors(np.array([["a"], [""]], dtype=object), np.array([[1.0], [np.nan]], dtype=np.float32))
    assert with_constants(data).strings.tolist() == [["a"], [""]]
    np.testing.assert_array_equal(with_constants(data).numbers, data.numbers)


def test_losses_are_means_over_the_folds() -> None:
    first = [{"weather": 0.5, "all": 0.6}, {"weather": 0.52}, {"all": 0.61}]
    second = [{"weather": 0.7, "all": 0.8}, {"weather": 0.72}, {"all": 0.81}]
    losses = mean_losses([*first, *second], ["weather", "all"])
    assert losses["weather"] == pytest.approx((0.6, 0.62, 0.0))
    assert losses["all"] == pytest.approx((0.7, 0.71, 0.0))


def test_the_error_is_that_of_the_difference_over_the_folds() -> None:
    """Losses rise from fold to fold for both; only their differences of 0.02 and 0.04 count."""
    results = [{"all": 0.52}, {"all": 0.5}, {"all": 0.74}, {"all": 0.7}]
    assert mean_losses(results, ["all"])["all"].error == pytest.approx(0.01)
