import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from pipeline.candidates.boosting import Boosting
from pipeline.candidates.kind import Kind
from pipeline.candidates.linear import Linear
from pipeline.candidates.perceptron import Perceptron
from pipeline.config.gates import Bounds
from pipeline.runtime.arrays import Tensors
from pipeline.training.estimators import fit, frequent_categories, predict
from tests.support.examples import KINDS, TRAIN, examples, numbers


@pytest.mark.parametrize("settings", KINDS)
def test_a_candidate_learns_what_matters(settings: Kind) -> None:
    data, target = examples()
    fitted = fit(settings, data, target, TRAIN)
    asked = Tensors(np.array([["red"], ["blue"]], dtype=object), np.array([[0.9, 0.5], [0.1, 0.5]], dtype=np.float32))
    likely, unlikely = predict(fitted, asked)
    assert likely > 0.55 > 0.45 > unlikely


@pytest.mark.parametrize("settings", KINDS)
def test_the_same_seed_gives_the_same_model_whatever_the_number_of_threads(settings: Kind) -> None:
    data, target = examples()
    one, two = (fit(settings, data, target, TRAIN, threads=threads) for threads in (1, 2))
    assert (predict(one, data) == predict(two, data)).all()


@pytest.mark.parametrize("settings", KINDS)
def test_of_numbers_a_candidate_learns_what_matters_in_their_unit(settings: Kind) -> None:
    """Red and large is expected at 156 minutes, blue and small at 84."""
    data, target = numbers()
    fitted = fit(settings, data, target, TRAIN)
    asked = Tensors(np.array([["red"], ["blue"]], dtype=object), np.array([[0.9, 0.5], [0.1, 0.5]], dtype=np.float32))
    late, early = predict(fitted, asked)
    assert 130 < late < 190
    assert 60 < early < 110


@pytest.mark.parametrize("settings", KINDS)
def test_of_numbers_too_the_same_seed_gives_the_same_model(settings: Kind) -> None:
    """Rows with gaps get a prediction."""
    data, target = numbers()
    one, two = (fit(settings, data, target, TRAIN, threads=threads) for threads in (1, 2))
    odd = Tensors(np.array([["green"], [""]], dtype=object), np.full((2, 2), np.nan, dtype=np.float32))
    assert (predict(one, data) == predict(two, data)).all()
    assert np.isfinite(predict(one, odd)).all()


def test_outcomes_are_cut_for_the_training_and_only_there() -> None:
    data, target = numbers()
    target[:20] = 1e6
    cut = TRAIN.model_copy(update={"clip": Bounds(low=0, high=200)})
    assert predict(fit(Linear(), data, target, cut), data).max() < 250
    assert predict(fit(Linear(), data, target, TRAIN), data).max() > 10_000
    assert target[0] == 1e6


def test_outcomes_without_any_spread_are_learned() -> None:
    data, _ = numbers()
    assert predict(fit(Perceptron(batch_size=32), data, np.full(400, 7.0), TRAIN), data) == pytest.approx(7, abs=0.5)


def test_blas_threads_around_a_fit_change_no_bit_of_it() -> None:
    rng = np.random.default_rng(0)
    data = Tensors(np.empty((20_000, 0), dtype=object), rng.random((20_000, 40), dtype=np.float32))
    target = rng.random(20_000) < data.numbers[:, 0]
    coefficients = []
    for threads in (1, 2):
        with threadpool_limits(threads, user_api="blas"):
            coefficients.append(fit(Linear(), data, target, TRAIN)[-1].coef_)
    assert (coefficients[0] == coefficients[1]).all()


def test_boosting_overfits_ten_rows() -> None:
    data, target = examples(rows=10)
    settings = Boosting(min_samples_leaf=1, l2_regularization=0, learning_rate=0.5, max_features=1.0)
    fitted = fit(settings, data, target, TRAIN)
    assert ((predict(fitted, data) > 0.5) == target).all()


@pytest.mark.parametrize("settings", KINDS)
def test_unknown_and_missing_values_are_answered(settings: Kind) -> None:
    data, target = examples()
    fitted = fit(settings, data, target, TRAIN)
    odd = Tensors(np.array([["green"], [""]], dtype=object), np.full((2, 2), np.nan, dtype=np.float32))
    given = predict(fitted, odd)
    assert np.isfinite(given).all()
    assert given[0] == given[1]


def test_a_column_that_is_never_there_in_training_is_no_obstacle() -> None:
    data, target = examples()
    empty = Tensors(data.strings, np.column_stack([data.numbers, np.full(400, np.nan, dtype=np.float32)]))
    assert np.isfinite(predict(fit(Linear(), empty, target, TRAIN), empty)).all()


def test_rare_values_are_left_to_the_unknown() -> None:
    values = np.array(["a"] * 3 + ["b"] * 2 + ["c"] + [""] * 9, dtype=object)
    assert frequent_categories(values, rare=2) == ["a", "b"]
    assert frequent_categories(values, rare=10) == ["a"]
    assert frequent_categories(np.array(["", ""], dtype=object), rare=1) == []
