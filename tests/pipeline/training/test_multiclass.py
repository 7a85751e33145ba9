"""Several classes through a whole training: folds, gates, the bundle and the comparison with a champion."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from pipeline.candidates.blend import Blend
from pipeline.candidates.boosting import Boosting
from pipeline.candidates.forest import Forest
from pipeline.candidates.kind import Kind
from pipeline.candidates.linear import Linear
from pipeline.candidates.perceptron import Perceptron
from pipeline.candidates.tree import Tree
from pipeline.config.config import load
from pipeline.data.read import read
from pipeline.errors import ConfigError, DataError
from pipeline.runtime.arrays import Tensors
from pipeline.runtime.predictor import Session, as_predictions
from pipeline.runtime.predictor import load as load_bundle
from pipeline.training import estimators, leaks
from pipeline.training.export import onnx
from pipeline.training.tables import absent_classes_warning
from pipeline.training.unfit import absent_classes, refuse_absent_class
from tests.support.penguins import ADELIE, CONFIG, Penguins, train

NAMES = ["Adelie", "Chinstrap", "Gentoo"]


def test_the_bundle_has_a_probability_for_each_class(penguins: Penguins) -> None:
    predictor = load_bundle(penguins.bundle)
    predictions = predictor.predict(predictor.golden.columns)
    assert predictor.contract.classes == ("Adelie", "Chinstrap", "Gentoo")
    assert predictions.shape == (64, 3)
    assert predictions.sum(axis=1) == pytest.approx(np.ones(64), abs=1e-6)
    assert {example.outcome for example in predictor.examples} <= set(predictor.contract.classes)


def test_the_record_has_figures_of_each_class_and_a_confusion_matrix(penguins: Penguins) -> None:
    manifest = json.loads((penguins.bundle / "bundle.json").read_bytes())
    assert {"roc_auc", "log_loss", "macro_f1", "recall Adelie", "precision Gentoo"} <= set(manifest["metrics"])
    assert manifest["metrics"]["accuracy"]["value"] > 0.95
    assert "threshold" not in manifest


def test_a_later_model_is_compared_with_the_champion_on_the_same_rows(penguins: Penguins, tmp_path: Path) -> None:
    train(tmp_path)
    printed = train(tmp_path, "candidates={linear: {C: 3}}")
    assert re.search(r"pass     log_loss against the champion +[+-]0\.\d+ \(", printed)


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("columns.species.values=null", "species of a multiclass task names its 3 to 50 classes"),
        ("columns.species.values={Adelie: A, Gentoo: G}", "names its 3 to 50 classes"),
        ("costs={miss: 1, false_alarm: 1}", "a multiclass task has no threshold"),
        ("class_costs={Gentoo: {Dodo: 2}}", "Dodo is no class of the target; known: Adelie, Chinstrap, Gentoo"),
        ("gates.holdout.brier={low: 0, high: 1}", "brier is no metric of a multiclass task. Known: .*recall Gentoo"),
    ],
)
def test_a_config_of_classes_says_what_they_need(override: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load(CONFIG, [override])


def test_the_label_is_the_cheapest_where_costs_are_given() -> None:
    """A Gentoo that is taken for an Adelie costs five: 30 % of Gentoo is enough to say Gentoo."""
    probabilities = np.array([[0.6, 0.1, 0.3], [0.9, 0.05, 0.05]])
    config = load(CONFIG, ["class_costs={Gentoo: {Adelie: 5}}"])
    assert config.cost_matrix == ((0, 1, 1), (1, 0, 1), (5, 1, 0))
    assert as_predictions(probabilities, config.scoring)["label"] == ["Gentoo", "Adelie"]
    assert as_predictions(probabilities, load(CONFIG).scoring)["label"] == ["Adelie", "Adelie"]


def test_the_bundle_keeps_the_costs(tmp_path: Path) -> None:
    train(tmp_path, "class_costs={Gentoo: {Adelie: 5}}")
    scoring = load_bundle(tmp_path / "models/penguins").scoring
    assert scoring.costs == ((0, 1, 1), (1, 0, 1), (5, 1, 0))


def test_a_fold_without_a_class_is_refused_with_its_name() -> None:
    with pytest.raises(DataError, match="species: no row of Chinstrap in the training rows. Use fewer folds"):
        refuse_absent_class(np.array([0, 2, 2]), load(CONFIG), "the training rows", "fewer folds")


def test_classes_that_the_holdout_lacks_are_named() -> None:
    absent = absent_classes(np.array([0, 0, 2]), load(CONFIG))
    assert absent_classes_warning(absent).startswith("Warning: no row of the holdout is Chinstrap: ")
    assert absent_classes(np.array([2, 1, 0]), load(CONFIG)) == []


def rows_of(target: np.ndarray, number: np.ndarray) -> Tensors:
    return Tensors(np.full((len(target), 2), "x", dtype=object), np.tile(number[:, None], 4).astype(np.float32))


def test_a_number_that_names_the_class_is_found_and_an_honest_one_is_not() -> None:
    rng = np.random.default_rng(0)
    target = rng.integers(3, size=600)
    contract = load(CONFIG).contract
    copied = leaks.single_feature_scores(contract, rows_of(target, target * 1.0), target, 0)
    honest = leaks.single_feature_scores(contract, rows_of(target, target + rng.normal(size=600)), target, 0)
    assert copied["bill_length_mm"] == 1
    assert 0.6 < honest["bill_length_mm"] < 0.9
    assert leaks.best_pair(contract, rows_of(target, target * 1.0), target, 0) is None


def test_a_number_that_only_one_class_has_is_found() -> None:
    target = np.arange(600) % 3
    data = rows_of(target, np.where(target == 1, 5.0, np.nan))
    assert "bill_length_mm" in leaks.present_for_one_outcome(load(CONFIG).contract, data, target)


KINDS = [
    Linear(),
    Tree(),
    Forest(n_estimators=5),
    Boosting(max_iter=5),
    Perceptron(hidden=4, max_iter=20),
    Blend(linear=Linear(), boosting=Boosting(max_iter=5)),
]


@pytest.mark.parametrize("settings", KINDS, ids=lambda settings: type(settings).__name__)
def test_every_kind_exports_the_probabilities_of_all_classes(settings: Kind, tmp_path: Path) -> None:
    config = load(CONFIG)
    _, data, target = read(config, tmp_path).examples
    fitted = estimators.fit(settings, data, target, config.train)
    session = Session(onnx.to_onnx(fitted, data, "penguins"))
    assert session(data).shape == (344, 3)
    assert onnx.export_error(fitted, session, data, 1.0, 0) < 1e-5


def test_the_registered_model_has_a_column_for_each_class(penguins: Penguins) -> None:
    from pipeline.registry.mlflow_model import Bundle
    from pipeline.registry.mlflow_versions import signature

    model = Bundle()
    model.load_context(SimpleNamespace(artifacts={"bundle": str(penguins.bundle)}))
    answer = model.predict(None, pd.DataFrame([ADELIE, ADELIE], index=[7, 9]))
    declared = signature(load(CONFIG).contract).outputs
    assert declared is not None
    assert list(answer) == declared.input_names() == [*(f"probability_{name}" for name in NAMES), "label"]
    assert list(answer.index) == [7, 9]
    assert set(answer["label"]) == {"Adelie"}
