from pathlib import Path

import numpy as np
import pytest

from pipeline.candidates.boosting import Boosting
from pipeline.candidates.kind import Range, Trials
from pipeline.candidates.linear import Linear
from pipeline.candidates.tree import Tree
from pipeline.config.candidates import Candidates, Search, faults
from pipeline.config.config import Config
from pipeline.config.training import Train
from pipeline.data.split import Fold
from pipeline.errors import DataError
from pipeline.runtime.contract import Scoring
from pipeline.training import estimators, search
from pipeline.training.fold_results import CandidateResult, evaluate_candidates
from pipeline.training.search import (
    SampledFolds,
    baseline,
    best_of_each,
    choose,
    contenders,
    is_clearly_worse,
    run_trials,
    sample_folds,
)
from tests.support.examples import FOLDS, ROWS, examples, quiet, two_kinds

UNIT = ROWS // 10


@pytest.fixture
def config(tiny: Path) -> Config:
    return two_kinds(tiny)


def sampled(config: Config) -> SampledFolds:
    return sample_folds(config, FOLDS, UNIT)


def standing(name: str, *losses: float) -> CandidateResult:
    return CandidateResult(name, Linear(), {str(n): {"log_loss": loss} for n, loss in enumerate(losses)})


def test_the_first_trial_of_a_kind_has_its_configured_settings(
    config: Config,
) -> None:
    """The other trials of the kind are drawn from its space."""
    data, target = examples()
    tried = [s for s in run_trials(config, data, target, sampled(config), quiet) if s.name == "boosting"]
    assert tried[0].settings == config.candidates.boosting
    drawn = [s.settings for s in tried[1:] if isinstance(s.settings, Boosting)]
    assert len({settings.learning_rate for settings in drawn}) == 5
    assert all(0.01 <= settings.learning_rate <= 0.5 and 3 <= settings.max_leaf_nodes <= 31 for settings in drawn)
    assert {settings.max_iter for settings in drawn} == {20}


def test_the_same_seed_finds_the_same_whatever_the_number_of_workers(config: Config) -> None:
    data, target = examples()
    two = config.model_copy(update={"train": Train(rare=1, workers=2)})
    one, other = (run_trials(each, data, target, sampled(each), quiet) for each in (config, two))
    assert [each[:4] for each in one] == [each[:4] for each in other]
    assert all(
        (a.predictions[fold] == b.predictions[fold]).all()
        for a, b in zip(one, other, strict=True)
        for fold in a.predictions
    )


def test_trials_see_a_sample_of_whole_blocks_and_the_comparison_all_rows(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, target = examples()
    seen: list[int] = []
    honest = estimators.fit
    monkeypatch.setattr(
        estimators, "fit", lambda s, rows, *given: seen.append(len(rows.numbers)) or honest(s, rows, *given)
    )
    run_trials(config, data, target, sampled(config), quiet)
    assert max(seen) < 200
    assert all(count % 10 == 0 for count in seen)
    seen.clear()
    evaluate_candidates(config, data, target, FOLDS, [("linear", Linear())], quiet)
    assert sorted(seen) == [200, 300]


def test_a_trial_lost_to_an_error_is_noted_and_the_others_go_on(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, target = examples()
    honest = estimators.fit

    def fit(settings: object, *given: object) -> object:
        if isinstance(settings, Linear):
            raise MemoryError("too large")
        return honest(settings, *given)

    monkeypatch.setattr(estimators, "fit", fit)
    results = run_trials(config, data, target, sampled(config), quiet)
    assert {s.error for s in results if s.name == "linear"} == {"MemoryError: too large"}
    assert [each.name for each in best_of_each(results, "log_loss")] == ["boosting"]
    with pytest.raises(DataError, match="every trial failed, the first of linear with: MemoryError: too large"):
        best_of_each([s for s in results if s.name == "linear"], config.loss)
    with pytest.raises(DataError, match="every candidate failed, linear with: MemoryError: too large"):
        choose([s for s in results if s.name == "linear"], "log_loss")


def test_a_sample_that_leaves_a_fold_without_rows_is_refused(config: Config) -> None:
    few = config.model_copy(update={"search": Search(sample=0.01)})
    with pytest.raises(DataError, match=r"search.sample 0.01 leaves fold second without rows to train or evaluate on"):
        sample_folds(few, [Fold("second", ROWS[:300], ROWS[300:310])], UNIT)


def test_the_best_settings_of_each_kind_go_on_to_all_rows() -> None:
    good, bad = (standing("tree", loss)._replace(settings=Tree(max_depth=d)) for loss, d in ((0.4, 3), (0.5, 9)))
    simple = standing("linear", 0.6)
    assert best_of_each([bad, good, simple], "log_loss") == [good, simple]


def test_the_lowest_mean_wins_where_it_wins_on_every_fold() -> None:
    assert (
        choose([standing("linear", 0.53, 0.55, 0.43), standing("boosting", 0.50, 0.52, 0.40)], "log_loss").name
        == "boosting"
    )


def test_within_one_standard_error_of_the_best_the_simplest_wins() -> None:
    """Better by 0.02 on one fold, worse by 0.01 on the next: the mean difference is less than its error."""
    assert (
        choose([standing("linear", 0.52, 0.50, 0.45), standing("boosting", 0.50, 0.51, 0.45)], "log_loss").name
        == "linear"
    )


@pytest.mark.parametrize(
    ("kinds", "said"),
    [
        ({"trees": Trials(trials=2)}, "trees is no kind of model. Known:  linear, tree, forest"),
        (
            {"linear": Trials(trials=2, space={"c": Range(low=1, high=2)})},
            "linear.c: is no setting that can be searched",
        ),
        (
            {"linear": Trials(trials=2, space={"C": Range(low=2, high=3)})},
            "linear.C: the range 2 to 3 leaves out the configured 1",
        ),
        (
            {"linear": Trials(trials=2, space={"C": Range(low=-1, high=3)})},
            "linear.C: Input should be greater than 0",
        ),
    ],
)
def test_a_search_that_cannot_be_made_is_told_before_it_begins(kinds: dict[str, Trials], said: str) -> None:
    (fault,) = faults(Search(kinds=kinds), Candidates(linear=Linear()))
    assert said in fault


def test_a_range_has_to_go_up_and_a_logarithmic_one_to_begin_above_zero() -> None:
    with pytest.raises(ValueError, match="low 2 is not below high 1"):
        Range(low=2, high=1)
    with pytest.raises(ValueError, match="a logarithmic range begins above 0"):
        Range(low=0, high=1, log=True)


def test_the_baseline_knows_the_base_rate_and_nothing_else() -> None:
    _, target = examples()
    figures = baseline(target, FOLDS, Scoring("binary", 0.25))
    assert figures["roc_auc"] == 0.5
    assert figures["log_loss"] == pytest.approx(0.69, abs=0.02)


def predicting(name: str, **by_fold: np.ndarray) -> CandidateResult:
    """A result with these predictions [100]; its metrics are their mean losses."""
    _, target = examples()
    folds = {}
    for fold in FOLDS:
        likelihood = np.where(target[fold.valid], by_fold[fold.name], 1 - by_fold[fold.name])
        folds[fold.name] = {"log_loss": float(-np.log(likelihood).mean())}
    return CandidateResult(name, Linear(), folds, predictions=by_fold)


def away_from(outcome: np.ndarray, by: float | np.ndarray) -> np.ndarray:
    """Probabilities that are wrong by so much in every row, or by another number in each."""
    return np.clip(np.where(outcome, 1 - np.asarray(by), by), 0.01, 0.99)


def results_off_by(by: float, noise: float) -> tuple[CandidateResult, CandidateResult]:
    """One result, and one that is further off by 0.1, give or take a noise that the rows of a block share."""
    _, target = examples()
    rng = np.random.default_rng(0)
    good = {fold.name: away_from(target[fold.valid], by) for fold in FOLDS}
    bad = {}
    for fold in FOLDS:
        shared = np.repeat(rng.normal(0, noise, 10), 10)
        bad[fold.name] = away_from(target[fold.valid], np.clip(by + 0.1 + shared, 0.02, 0.98))
    return predicting("good", **good), predicting("bad", **bad)


@pytest.mark.parametrize(("noise", "is_worse"), [(0.05, True), (0.3, False)])
def test_worse_by_chance_is_not_clearly_worse(config: Config, noise: float, is_worse: bool) -> None:
    """Ten rows of a block are one observation: what they share counts once."""
    _, target = examples()
    rows = SampledFolds(FOLDS, UNIT)
    good, bad = results_off_by(0.3, noise)
    assert bad.mean("log_loss") > good.mean("log_loss")
    assert is_clearly_worse(bad, good, target, rows, config) is is_worse
    assert not is_clearly_worse(good, bad, target, rows, config)
    assert not is_clearly_worse(good, good, target, rows, config)
    every_row = SampledFolds(FOLDS, ROWS)  # as if no row depended on another
    assert is_clearly_worse(bad, good, target, every_row, config)


def test_of_one_block_nothing_is_clearly_worse(config: Config) -> None:
    _, target = examples()
    good, bad = results_off_by(0.3, 0.0)
    assert not is_clearly_worse(bad, good, target, SampledFolds(FOLDS, np.zeros(400, dtype=int)), config)


def test_a_kind_that_is_clearly_worse_goes_no_further(config: Config) -> None:
    _, target = examples()
    rows = SampledFolds(FOLDS, UNIT)
    good, bad = results_off_by(0.3, 0.05)
    near = good._replace(name="near")
    assert contenders(config, target, rows, [bad, near, good]) == ([near, good], [bad])


def test_a_trial_ends_after_a_fold_on_which_it_is_clearly_worse(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is told apart from one that failed, has its first fold, and is never the best; the study goes on."""
    data, target = examples()
    fitted: list[object] = []
    honest = estimators.fit

    def fit(settings: object, rows: object, *others: object) -> object:
        fitted.append(settings)
        return honest(settings, rows, *others)

    monkeypatch.setattr(estimators, "fit", fit)
    monkeypatch.setattr(search, "is_clearly_worse", lambda result, best, *_: result.settings != best.settings)
    trials = run_trials(config, data, target, sampled(config), quiet)
    boosting = [trial for trial in trials if trial.name == "boosting"]
    stopped = [trial for trial in boosting if trial.stopped]
    assert len(boosting) == 6
    assert len(stopped) >= 3
    assert all(list(trial.folds) == ["first"] and trial.error is None for trial in stopped)
    assert [fitted.count(trial.settings) for trial in stopped] == [1] * len(stopped)
    (best,) = [trial for trial in best_of_each(trials, "log_loss") if trial.name == "boosting"]
    assert list(best.folds) == ["first", "second"]


def test_of_a_kind_that_is_clearly_worse_only_the_best_trial_goes_on(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the kind is evaluated on all folds, and no time is spent on its settings."""
    data, target = examples()
    monkeypatch.setattr(
        search, "is_clearly_worse", lambda result, best, *_: (result.name, best.name) == ("boosting", "linear")
    )
    trials = run_trials(config, data, target, sampled(config), quiet)
    boosting = [trial for trial in trials if trial.name == "boosting"]
    complete = [trial for trial in boosting if not trial.stopped]
    assert 1 <= len(complete) < len(boosting)
    assert all(list(trial.folds) == ["first"] for trial in boosting if trial.stopped)
    assert min(complete, key=lambda trial: trial.folds["first"]["log_loss"]) == best_of_each(boosting, "log_loss")[0]
    assert [trial.stopped for trial in trials if trial.name == "linear"] == [False]


def test_a_trial_is_compared_with_its_kind_and_a_kind_with_all(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    data, target = examples()
    compared: set[tuple[str, str]] = set()
    monkeypatch.setattr(
        search, "is_clearly_worse", lambda result, best, *_: bool(compared.add((result.name, best.name)))
    )
    run_trials(config, data, target, sampled(config), quiet)
    assert compared == {("linear", "linear"), ("boosting", "boosting"), ("boosting", "linear")}
