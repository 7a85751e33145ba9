from pathlib import Path

import numpy as np
import pytest

from pipeline.config.candidates import Boosting, Candidates, Forest, Linear, Range, Search, Tree, Trials, faults
from pipeline.config.config import Config, Train, load
from pipeline.data.split import Fold
from pipeline.errors import DataError, RefusedError
from pipeline.evaluation.metrics import metrics
from pipeline.runtime.arrays import Tensors
from pipeline.runtime.contract import Scoring
from pipeline.training import estimators, search
from pipeline.training.search import (
    CandidateResult,
    baseline,
    best_of_each,
    choose,
    evaluate_candidates,
    refuse_unfit,
    run_trials,
)
from tests.support.examples import examples

ROWS = np.arange(400)
FOLDS = [Fold("first", ROWS[:200], ROWS[200:300]), Fold("second", ROWS[:300], ROWS[300:])]
UNIT = ROWS // 10


def quiet(text: str) -> None:
    """Nobody listens."""


@pytest.fixture
def config(tiny: Path) -> Config:
    """Linear and boosting on the columns of `examples`; boosting is tried six times."""
    both = Candidates(linear=Linear(), boosting=Boosting(min_samples_leaf=5, max_iter=20))
    space = {"learning_rate": Range(low=0.01, high=0.5, log=True), "max_leaf_nodes": Range(low=3, high=31)}
    plan = Search(sample=0.5, batch=2, kinds={"boosting": Trials(trials=6, space=space)})
    return load(tiny, ["features=[colour, size, legs]"]).model_copy(
        update={"candidates": both, "search": plan, "train": Train(rare=1, workers=1)}
    )


def standing(name: str, *losses: float) -> CandidateResult:
    return CandidateResult(name, Linear(), {str(n): {"log_loss": loss} for n, loss in enumerate(losses)})


def test_every_candidate_is_judged_on_every_fold_and_each_fit_is_told(config: Config) -> None:
    data, target = examples()
    told: list[str] = []
    named = list(config.candidates.named().items())
    found = evaluate_candidates(config, data, target, FOLDS, named, told.append)
    assert [(s.name, list(s.folds)) for s in found] == [
        ("linear", ["first", "second"]),
        ("boosting", ["first", "second"]),
    ]
    assert len(told) == 4


def test_a_fold_is_judged_on_its_own_rows_and_not_on_its_training_rows(config: Config) -> None:
    data, target = examples()
    shuffled = target.copy()
    np.random.default_rng(0).shuffle(shuffled[300:])
    before, after = (
        evaluate_candidates(config, data, t, FOLDS, [("linear", Linear())], quiet)[0].folds for t in (target, shuffled)
    )
    assert before["first"] == after["first"]
    assert before["second"]["roc_auc"] > after["second"]["roc_auc"] + 0.1


def test_the_first_trial_of_a_kind_has_its_configured_settings(
    config: Config,
) -> None:
    """The other trials of the kind are drawn from its space."""
    data, target = examples()
    tried = [s for s in run_trials(config, data, target, FOLDS, UNIT, quiet) if s.name == "boosting"]
    assert tried[0].settings == config.candidates.boosting
    drawn = [s.settings for s in tried[1:] if isinstance(s.settings, Boosting)]
    assert len({settings.learning_rate for settings in drawn}) == 5
    assert all(0.01 <= settings.learning_rate <= 0.5 and 3 <= settings.max_leaf_nodes <= 31 for settings in drawn)
    assert {settings.max_iter for settings in drawn} == {20}


def test_the_same_seed_finds_the_same_whatever_the_number_of_workers(config: Config) -> None:
    data, target = examples()
    two = config.model_copy(update={"train": Train(rare=1, workers=2)})
    one, other = (run_trials(each, data, target, FOLDS, UNIT, quiet) for each in (config, two))
    assert [each[:4] for each in one] == [each[:4] for each in other]
    assert all(
        (a.predictions[fold] == b.predictions[fold]).all()
        for a, b in zip(one, other, strict=True)
        for fold in a.predictions
    )


def test_auto_is_every_core_and_no_more_processes_than_tasks(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    honest = search.Parallel
    monkeypatch.setattr(search, "cpu_count", lambda: 64)
    monkeypatch.setattr(search, "Parallel", lambda n_jobs, **more: asked.append(n_jobs) or honest(n_jobs=1, **more))
    data, target = examples()
    auto = config.model_copy(update={"train": Train(rare=1)})
    evaluate_candidates(auto, data, target, FOLDS, [("linear", Linear())], quiet)
    assert (asked, search.workers(auto)) == ([len(FOLDS)], 64)


def test_a_standing_keeps_what_was_answered_on_each_fold(config: Config) -> None:
    data, target = examples()
    kept = evaluate_candidates(config, data, target, FOLDS, [("linear", Linear())], quiet)[0]
    assert {name: len(said) for name, said in kept.predictions.items()} == {
        fold.name: len(fold.valid) for fold in FOLDS
    }
    for fold in FOLDS:
        assert metrics(target[fold.valid], kept.predictions[fold.name], config.scoring) == kept.folds[fold.name]


def test_trials_see_a_sample_of_whole_blocks_and_the_comparison_all_rows(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, target = examples()
    seen: list[int] = []
    honest = estimators.fit
    monkeypatch.setattr(
        estimators, "fit", lambda s, rows, *given: seen.append(len(rows.numbers)) or honest(s, rows, *given)
    )
    run_trials(config, data, target, FOLDS, UNIT, quiet)
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
    judged = run_trials(config, data, target, FOLDS, UNIT, quiet)
    assert {s.error for s in judged if s.name == "linear"} == {"MemoryError: too large"}
    assert [each.name for each in best_of_each(judged, "log_loss")] == ["boosting"]
    with pytest.raises(DataError, match="every trial failed, the first of linear with: MemoryError: too large"):
        best_of_each([s for s in judged if s.name == "linear"], config.loss)
    with pytest.raises(DataError, match="every candidate failed, linear with: MemoryError: too large"):
        choose([s for s in judged if s.name == "linear"], "log_loss")


def test_a_sample_that_leaves_a_fold_without_rows_is_refused(config: Config) -> None:
    data, target = examples()
    few = config.model_copy(update={"search": Search(sample=0.01)})
    with pytest.raises(DataError, match=r"search.sample 0.01 leaves fold second without rows to train or evaluate on"):
        run_trials(few, data, target, [Fold("second", ROWS[:300], ROWS[300:310])], UNIT, quiet)


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


def test_a_fold_that_has_one_outcome_only_is_refused(config: Config) -> None:
    data, target = examples()
    with pytest.raises(DataError, match="good: all 200 outcomes in the training rows of fold first are the same"):
        refuse_unfit(data, np.where(ROWS < 200, True, target), FOLDS, config)
    with pytest.raises(DataError, match="good: all 100 outcomes in the validation rows of fold second are the same"):
        refuse_unfit(data, np.where(ROWS >= 300, False, target), FOLDS, config)


def test_a_feature_without_a_value_in_a_fold_is_refused_by_name(config: Config) -> None:
    data, target = examples()
    late = data.numbers.copy()
    late[:200, 1] = np.nan
    with pytest.raises(DataError, match="legs: no value at all in the training rows of fold first"):
        refuse_unfit(Tensors(data.strings, late), target, FOLDS, config)


def test_a_candidate_without_an_exact_export_is_refused_before_the_search(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, target = examples()
    honest = estimators.ordinal
    monkeypatch.setattr(estimators, "ordinal", lambda known, numbers, *, impute: honest(known, numbers, impute=False))
    trees = config.model_copy(update={"candidates": Candidates(forest=Forest(min_samples_leaf=2, n_estimators=20))})
    with pytest.raises(RefusedError, match="differs from scikit-learn"):
        refuse_unfit(data, target, FOLDS, trees)


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


def test_the_mean_is_over_the_folds() -> None:
    assert CandidateResult("a", Linear(), {"x": {"ece": 0.1}, "y": {"ece": 0.3}}).mean("ece") == pytest.approx(0.2)
