from pathlib import Path

import numpy as np
import pytest
from test_model import examples

from pipeline.config import Boosting, Candidates, Config, Linear, Train, load
from pipeline.errors import DataError
from pipeline.schema import Tensors
from pipeline.search import Standing, baseline, compare
from pipeline.split import Fold

ROWS = np.arange(400)
FOLDS = [Fold("first", ROWS[:200], ROWS[200:300]), Fold("second", ROWS[:300], ROWS[300:])]


@pytest.fixture
def config(tiny: Path) -> Config:
    both = Candidates(linear=Linear(), boosting=Boosting(min_samples_leaf=5, max_iter=20))
    return load(tiny, ["features=[colour, size, legs]"]).model_copy(
        update={"candidates": both, "train": Train(rare=1, workers=1)}
    )


def test_every_candidate_is_judged_on_every_fold_and_each_fit_is_told(config: Config) -> None:
    data, target = examples()
    told: list[str] = []
    standings = compare(config, data, target, FOLDS, told.append)
    assert {(s.name, fold) for s in standings for fold in s.folds} == {
        (name, fold) for name in ("linear", "boosting") for fold in ("first", "second")
    }
    assert len(told) == 4


def test_two_workers_find_what_one_finds(config: Config) -> None:
    data, target = examples()
    two = config.model_copy(update={"train": Train(rare=1, workers=2)})
    one, other = (compare(each, data, target, FOLDS, lambda _: None) for each in (config, two))
    assert one == other


def test_a_fold_is_judged_on_its_own_rows_and_not_on_those_it_was_trained_on(config: Config) -> None:
    data, target = examples()
    shuffled = target.copy()
    np.random.default_rng(0).shuffle(shuffled[300:])
    linear = config.model_copy(update={"candidates": Candidates(linear=Linear())})
    before, after = (compare(linear, data, t, FOLDS, lambda _: None)[0].folds for t in (target, shuffled))
    assert before["first"] == after["first"]
    assert before["second"]["roc_auc"] > after["second"]["roc_auc"] + 0.1


def test_a_fold_that_has_one_outcome_only_is_refused(config: Config) -> None:
    data, target = examples()
    with pytest.raises(DataError, match="good: all 200 outcomes in the training rows of fold first are the same"):
        compare(config, data, np.where(ROWS < 200, True, target), FOLDS, lambda _: None)
    with pytest.raises(DataError, match="good: all 100 outcomes in the judging rows of fold second are the same"):
        compare(config, data, np.where(ROWS >= 300, False, target), FOLDS, lambda _: None)


def test_a_feature_without_a_value_in_a_fold_is_refused_by_name(config: Config) -> None:
    data, target = examples()
    late = data.numbers.copy()
    late[:200, 1] = np.nan
    with pytest.raises(DataError, match="legs: no value at all in the training rows of fold first"):
        compare(config, Tensors(data.strings, late), target, FOLDS, lambda _: None)


def test_the_baseline_knows_the_base_rate_and_nothing_else() -> None:
    _, target = examples()
    figures = baseline(target, FOLDS, 0.25)
    assert figures["roc_auc"] == 0.5
    assert figures["log_loss"] == pytest.approx(0.69, abs=0.02)


def test_the_mean_is_over_the_folds() -> None:
    assert Standing("a", Linear(), {"x": {"ece": 0.1}, "y": {"ece": 0.3}}).mean("ece") == pytest.approx(0.2)
