"""What converts is checked row by row, and what scikit-learn's converter gets wrong in silence is refused."""

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OrdinalEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from pipeline.candidates.boosting import Boosting
from pipeline.candidates.kind import Kind
from pipeline.config.training import Train
from pipeline.errors import RefusedError
from pipeline.runtime.arrays import Tensors
from pipeline.runtime.predictor import Session
from pipeline.training.estimators import fit, predict, to_frame
from pipeline.training.export.onnx import export_error, exportable, refuse_inexact, to_onnx
from tests.support.examples import KINDS, examples, numbers


def check(fitted: Pipeline, data: Tensors, spread: float = 1.0) -> float:
    session = Session(to_onnx(fitted, data, "test"))
    refuse_inexact(fitted, session, data, spread, limit=1e-5, seed=0)
    return export_error(fitted, session, data, spread, seed=0)


@pytest.mark.parametrize("settings", KINDS)
def test_our_candidates_export_exactly(settings: Kind) -> None:
    data, target = examples(2000)
    assert check(fit(settings, data, target, Train(rare=1)), data) <= 1e-5


@pytest.mark.parametrize("settings", KINDS)
def test_our_candidates_for_numbers_export_exactly(settings: Kind) -> None:
    data, target = numbers(2000)
    assert check(fit(settings, data, target, Train(rare=1)), data, target.std()) <= 1e-5


@pytest.mark.parametrize("settings", KINDS)
def test_data_without_categories_exports_with_one_input(settings: Kind) -> None:
    data, target = examples(500)
    bare = Tensors(np.empty((500, 0), dtype=object), data.numbers)
    assert check(fit(settings, bare, target, Train(rare=1)), bare) <= 1e-5


def test_boosting_with_native_categories_converts_and_is_refused() -> None:
    data, target = examples(2000)
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=np.nan)
    prepare = ColumnTransformer([("category", codes, [0]), ("numbers", "passthrough", [1, 2])])
    model = HistGradientBoostingClassifier(categorical_features=[0], random_state=0)
    with pytest.raises(RefusedError, match="differs from scikit-learn"):
        check(make_pipeline(prepare, model).fit(to_frame(data), target), data)


def test_a_tree_fed_with_missing_values_converts_and_is_refused() -> None:
    data, target = examples(2000)
    tree = make_pipeline(
        ColumnTransformer([("numbers", "passthrough", [1, 2])]), DecisionTreeClassifier(random_state=0)
    )
    with pytest.raises(RefusedError, match="differs from scikit-learn"):
        check(tree.fit(to_frame(data), target), data)


def test_a_scaler_before_trees_converts_and_is_refused() -> None:
    rng = np.random.default_rng(0)
    lattice = rng.integers(0, 2000, (20_000, 3)).astype(np.float32) / 10
    data = Tensors(np.empty((20_000, 0), dtype=object), lattice)
    target = rng.random(20_000) < lattice[:, 0] / 200
    scaled = make_pipeline(
        SimpleImputer(), StandardScaler(), HistGradientBoostingClassifier(max_iter=200, max_leaf_nodes=63)
    )
    with pytest.raises(RefusedError, match="differs from scikit-learn"):
        check(
            make_pipeline(ColumnTransformer([("n", scaled[:2], [0, 1, 2])]), scaled[2]).fit(to_frame(data), target),
            data,
        )


def test_lowered_thresholds_are_float32_and_change_no_answer() -> None:
    data, target = examples(2000)
    fitted = fit(Boosting(min_samples_leaf=5), data, target, Train(rare=1))
    lowered = exportable(fitted)
    for iteration in lowered[-1]._predictors:
        for tree in iteration:
            thresholds = tree.nodes["num_threshold"]
            assert (thresholds == thresholds.astype(np.float32)).all()
    assert (predict(lowered, data) == predict(fitted, data)).all()


def test_neighbouring_float32_values_stay_on_their_sides_of_a_threshold() -> None:
    """Boosting splits halfway between two values; the float32 nearest to that can be the upper one itself."""
    lower = np.linspace(1, 2, 50, dtype=np.float32)
    values = np.repeat(np.column_stack([lower, np.nextafter(lower, np.float32(9))]).ravel(), 20)
    data = Tensors(np.empty((len(values), 0), dtype=object), values[:, None])
    target = np.arange(len(values)) // 20 % 2 == 1
    settings = Boosting(min_samples_leaf=1, l2_regularization=0, max_features=1.0, max_iter=50, learning_rate=0.3)
    fitted = fit(settings, data, target, Train())
    assert (predict(exportable(fitted), data) == predict(fitted, data)).all()
    assert check(fitted, data) <= 1e-5


def test_two_exports_of_one_model_have_the_same_bytes() -> None:
    data, target = examples(500)
    fitted = fit(Boosting(min_samples_leaf=5), data, target, Train(rare=1))
    assert to_onnx(fitted, data, "test") == to_onnx(fitted, data, "test")
