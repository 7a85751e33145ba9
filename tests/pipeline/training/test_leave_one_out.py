"""What single features are worth: fits without one of them."""

import numpy as np
import pytest

from pipeline.config.config import Config
from pipeline.data.split import Fold
from pipeline.evaluation.metrics import metrics
from pipeline.runtime.arrays import Tensors
from pipeline.training.fold_results import evaluate_candidates
from pipeline.training.leave_one_out import feature_gains, features_to_leave_out, with_constant
from pipeline.training.search import baseline

ROWS = 600


def test_the_strongest_features_are_left_out_and_the_new_ones() -> None:
    """Without a champion nothing is new."""
    importance = {"size": 0.1, "legs": 0.4, "hour": 0.3, "colour": 0.2, "shape": 0.05}
    strongest = features_to_leave_out(importance, [])
    assert list(strongest.items()) == [("legs", False), ("hour", False), ("colour", False)]
    assert features_to_leave_out(importance, ["legs", "hour", "colour", "size"]) == {
        "legs": False, "hour": False, "colour": False, "shape": True,
    }  # fmt: skip
    assert features_to_leave_out(importance, ["size"]) == {"legs": True, "hour": True, "colour": True, "shape": True}


def test_of_many_new_features_the_six_strongest_are_left_out() -> None:
    importance = {f"new {number}": 1.0 - number / 10 for number in range(9)}
    assert list(features_to_leave_out(importance, ["old"])) == [f"new {number}" for number in range(6)]


def test_a_feature_is_worth_the_loss_that_it_saves(tiny_config: Config) -> None:
    """Colour and legs say something, size nothing; the shares are parts of the gain over a constant."""
    rng = np.random.default_rng(0)
    red = rng.random(ROWS) < 0.5
    legs = rng.integers(0, 9, ROWS)
    target = rng.random(ROWS) < 1 / (1 + np.exp(-(2 * red + legs - 5)))
    strings = np.column_stack([np.where(red, "red", "blue"), np.full(ROWS, "round")]).astype(object)
    data = Tensors(strings, np.column_stack([rng.random(ROWS), legs, np.full(ROWS, 17)]).astype(np.float32))

    halves = np.arange(ROWS) < ROWS // 2
    folds = [Fold("a", np.flatnonzero(halves), np.flatnonzero(~halves))]
    folds.append(Fold("b", np.flatnonzero(~halves), np.flatnonzero(halves)))
    config = tiny_config.model_copy(update={"train": tiny_config.train.model_copy(update={"workers": 1, "rare": 1})})
    settings = config.candidates.named()["linear"]
    (trial,) = evaluate_candidates(config, data, target, folds, [("linear", settings)], lambda _: None)

    gains = feature_gains(config, data, target, folds, trial, {"legs": False, "colour": True, "size": False})
    legs_gain, colour_gain, size_gain = gains
    assert [result.name for result in gains] == ["legs", "colour", "size"]

    loss = trial.mean("log_loss")
    constant = np.mean(
        [metrics(target[f.valid], np.full(300, target[f.train].mean()), config.scoring)["log_loss"] for f in folds]
    )
    assert legs_gain.share == pytest.approx(legs_gain.gain / (constant - loss))
    assert legs_gain.gain > colour_gain.gain > 0.01
    assert abs(size_gain.gain) < 0.01
    assert 1 > legs_gain.share > colour_gain.share > 0
    assert [result.is_new for result in gains] == [False, True, False]
    assert 0 < legs_gain.error < legs_gain.gain


@pytest.mark.parametrize("name", ["shape", "legs"])
def test_one_column_loses_its_values_and_the_others_stay(tiny_config: Config, name: str) -> None:
    data = Tensors(
        np.array([["red", "round"], ["blue", "square"]], dtype=object),
        np.array([[1, 2, 3], [4, 5, 6]], dtype=np.float32),
    )
    without = with_constant(data, tiny_config.contract, name)
    if name == "shape":
        assert without.strings.tolist() == [["red", "none"], ["blue", "none"]]
        assert without.numbers.tolist() == data.numbers.tolist()
    else:
        assert without.strings.tolist() == data.strings.tolist()
        assert without.numbers.tolist() == [[1, 0, 3], [4, 0, 6]]
    assert data.strings[0, 1] == "round"  # the rows themselves are not changed


@pytest.mark.parametrize("excess", [0.1, 0.0])
def test_a_model_that_is_no_better_than_a_constant_has_no_shares(tiny_config: Config, excess: float) -> None:
    """Outcomes that nothing explains: the model's loss is above the constant's, and a share would have another sign; or
    it is the constant's, and there would be nothing to divide by.
    """
    rng = np.random.default_rng(0)
    target = rng.random(ROWS) < 0.5
    strings = np.full((ROWS, 2), "same", dtype=object)
    data = Tensors(strings, rng.random((ROWS, 3)).astype(np.float32))
    fold = Fold("a", np.arange(300), np.arange(300, 600))
    config = tiny_config.model_copy(update={"train": tiny_config.train.model_copy(update={"workers": 1})})
    settings = config.candidates.named()["linear"]
    (trial,) = evaluate_candidates(config, data, target, [fold], [("linear", settings)], lambda _: None)
    constant = baseline(target, [fold], config.scoring)["log_loss"]
    worse = trial._replace(folds={"a": {"log_loss": constant + excess}})
    (result,) = feature_gains(config, data, target, [fold], worse, {"size": False})
    assert (result.share, result.error) == (0.0, 0.0)
    assert result.gain != 0
