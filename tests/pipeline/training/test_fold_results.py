"""Candidates on folds: what is fitted, and what is kept of it."""

from pathlib import Path

import numpy as np
import pytest

from pipeline.candidates.blend import Blend
from pipeline.candidates.boosting import Boosting
from pipeline.candidates.linear import Linear
from pipeline.config.config import Config
from pipeline.evaluation.metrics import metrics
from pipeline.training import estimators
from pipeline.training.fold_results import CandidateResult, Fits, evaluate_candidates
from tests.support.examples import FOLDS, examples, quiet, two_kinds


@pytest.fixture
def config(tiny: Path) -> Config:
    return two_kinds(tiny)


def test_every_candidate_is_evaluated_on_every_fold(config: Config) -> None:
    data, target = examples()
    told: list[str] = []
    named = list(config.candidates.named().items())
    found = evaluate_candidates(config, data, target, FOLDS, named, told.append)
    assert [(s.name, list(s.folds)) for s in found] == [
        ("linear", ["first", "second"]),
        ("boosting", ["first", "second"]),
    ]
    assert told == [
        "fit 1 of 4: linear on second", "fit 2 of 4: linear on first",
        "fit 3 of 4: boosting on second", "fit 4 of 4: boosting on first",
    ]  # fmt: skip


def test_a_fold_is_evaluated_on_its_own_rows_not_on_training_rows(config: Config) -> None:
    data, target = examples()
    shuffled = target.copy()
    np.random.default_rng(0).shuffle(shuffled[300:])
    before, after = (
        evaluate_candidates(config, data, t, FOLDS, [("linear", Linear())], quiet)[0].folds for t in (target, shuffled)
    )
    assert before["first"] == after["first"]
    assert before["second"]["roc_auc"] > after["second"]["roc_auc"] + 0.1


def test_a_standing_keeps_what_was_answered_on_each_fold(config: Config) -> None:
    data, target = examples()
    kept = evaluate_candidates(config, data, target, FOLDS, [("linear", Linear())], quiet)[0]
    assert {name: len(said) for name, said in kept.predictions.items()} == {
        fold.name: len(fold.valid) for fold in FOLDS
    }
    for fold in FOLDS:
        assert metrics(target[fold.valid], kept.predictions[fold.name], config.scoring) == kept.folds[fold.name]


def test_the_mean_is_over_the_folds() -> None:
    assert CandidateResult("a", Linear(), {"x": {"ece": 0.1}, "y": {"ece": 0.3}}).mean("ece") == pytest.approx(0.2)


def test_a_blend_is_the_weighted_mean_of_parts_that_are_fitted_once(config: Config) -> None:
    """Its predictions are those of scikit-learn's, and the parts are candidates of their own too."""
    data, target = examples()
    linear, boosting = Linear(), Boosting(min_samples_leaf=5, max_iter=20)
    blend = Blend(linear=linear, boosting=boosting, weight=0.3)
    fits: Fits = {}
    told: list[str] = []
    candidates = [("linear", linear), ("boosting", boosting), ("blend", blend)]
    results = evaluate_candidates(config, data, target, FOLDS, candidates, told.append, fits)
    assert len(told) == 4

    fold = FOLDS[0]
    fitted = estimators.fit(blend, data.take(fold.train), target[fold.train], config.train)
    expected = estimators.predict(fitted, data.take(fold.valid))
    np.testing.assert_allclose(results[2].predictions[fold.name], expected, rtol=1e-12)

    told.clear()
    lighter = blend.model_copy(update={"weight": 0.2})
    evaluate_candidates(config, data, target, FOLDS, [("blend", lighter)], told.append, fits)
    assert told == []


def test_a_part_that_cannot_be_fitted_is_the_error_of_the_blend(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, target = examples()
    honest = estimators.fit

    def fit(settings: object, *others: object) -> object:
        if isinstance(settings, Linear):
            raise MemoryError("too large")
        return honest(settings, *others)

    monkeypatch.setattr(estimators, "fit", fit)
    boosting = Boosting(min_samples_leaf=5, max_iter=20)
    candidates = [("boosting", boosting), ("blend", Blend(boosting=boosting))]
    of_boosting, of_blend = evaluate_candidates(config, data, target, FOLDS, candidates, quiet)
    assert (of_boosting.error, of_blend.error) == (None, "MemoryError: too large")


def test_the_means_of_a_candidate_that_was_stopped_are_infinite() -> None:
    """So it is never the best."""
    stopped = CandidateResult("a", Linear(), {"x": {"ece": 0.1}}, stopped=True)
    assert (stopped.mean("ece"), stopped.mean_so_far("ece")) == (np.inf, 0.1)
