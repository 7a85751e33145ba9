from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from pipeline.candidates.linear import Linear
from pipeline.config.config import Config
from pipeline.runtime.arrays import Examples
from pipeline.runtime.predictor import Session
from pipeline.training.estimators import fit
from pipeline.training.export import onnx
from pipeline.training.fold_results import CandidateResult
from pipeline.training.report import draw, holdout_pictures, permutation_importance, search_pictures
from tests.support.examples import examples, numbers

BOTH = {"folds", "search", "importance", "calibration", "summary"}


@pytest.fixture
def asked(tiny_config: Config) -> Config:
    """The columns of `examples`."""
    return tiny_config.model_copy(update={"features": ["colour", "size", "legs"]})


def drawn(folder: Path, config: Config, *, answers: float = 0.5) -> set[str]:
    data, target = examples() if config.task == "binary" else numbers()
    fitted = fit(Linear(), data, target, config.train)
    kept = Examples({}, data, target)
    metric = "roc_auc" if config.task == "binary" else "mae"
    standing = CandidateResult(
        "linear", Linear(), {"a": {metric: 0.7, config.loss: 0.5}, "b": {metric: 0.6, config.loss: 0.4}}
    )
    lost = CandidateResult("tree", Linear(), {}, "MemoryError")
    pictures = search_pictures(config, [standing, lost], [standing, lost], standing)
    said = np.random.default_rng(0).random(len(target)) * answers
    session = Session(onnx.to_onnx(fitted, data, "test"))
    importance = permutation_importance(config, kept, session)
    draw(folder, config.task, pictures | holdout_pictures(config, kept, said, importance))
    assert min(path.stat().st_size for path in folder.glob("*.png")) > 3000
    return {path.stem for path in folder.glob("*.png")}


@pytest.mark.parametrize("answers", [1.0, 0.1])
def test_every_picture_of_a_classification_is_drawn(tmp_path: Path, asked: Config, answers: float) -> None:
    """It is drawn also where no prediction reaches the threshold."""
    assert drawn(tmp_path, asked, answers=answers) == BOTH | {"roc", "precision_recall", "confusion"}


def test_every_picture_of_a_regression_is_drawn(tmp_path: Path, asked: Config) -> None:
    target = asked.columns["later"].model_copy(update={"unit": "min"})
    update = {"task": "regression", "costs": None, "target": "later", "columns": {**asked.columns, "later": target}}
    assert drawn(tmp_path, asked.model_copy(update=update)) == BOTH | {"errors"}


def test_before_the_holdout_is_opened_only_the_search_has_pictures(tmp_path: Path, asked: Config) -> None:
    standing = CandidateResult("linear", Linear(), {"a": {"roc_auc": 0.7, "log_loss": 0.5}})
    draw(tmp_path, "binary", search_pictures(asked, [standing], [standing], standing))
    assert {path.stem for path in tmp_path.glob("*.png")} == {"folds", "search"}


@pytest.mark.parametrize(("by", "line"), [("time", "-"), ("group", "None"), ("row", "None")])
def test_a_line_joins_folds_only_where_they_follow_each_other(asked: Config, by: str, line: str) -> None:
    config = asked.model_copy(update={"split": asked.split.model_copy(update={"by": by})})
    standing = CandidateResult("linear", Linear(), {"a": {"roc_auc": 0.7}, "b": {"roc_auc": 0.6}})
    axes = Figure().subplots()
    search_pictures(config, [standing], [standing], standing)["folds"](axes)
    (points,) = axes.lines
    assert (points.get_linestyle(), points.get_marker()) == (line, "o")


def test_what_the_model_rests_on_matters_and_what_says_nothing_does_not(asked: Config) -> None:
    data, target = examples(3000)
    session = Session(onnx.to_onnx(fit(Linear(), data, target, asked.train), data, "test"))
    risen = permutation_importance(asked, Examples({}, data, target), session)
    assert list(risen) == ["colour", "size", "legs"]
    assert min(risen["colour"], risen["size"]) > 0.01
    assert abs(risen["legs"]) < 0.003
