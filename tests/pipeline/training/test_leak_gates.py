"""Leaks that the gates refuse, and those that they warn of."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pipeline.config.config import Config, load
from pipeline.config.splits import RowSplit
from pipeline.runtime.arrays import Examples, Tensors
from pipeline.training import leaks
from pipeline.training.champion_predictions import ChampionPredictions
from pipeline.training.evidence import GateResult
from pipeline.training.leak_gates import leak_gates, time_is_split
from pipeline.training.leave_one_out import FeatureGain
from tests.support import evidence as support
from tests.support.evidence import ROWS, evidence

PAIR = "roc_auc of a sum or difference of two features"
SINGLE = "roc_auc of a single feature"
COPIES = "rows of the holdout in training too"

refused = partial(support.refused, gates=leak_gates)
result_of = partial(support.result_of, gates=leak_gates)


def with_numbers(rows: Examples, **columns: np.ndarray) -> Examples:
    """The rows with other numbers in the tensors, by position: size, legs, hour."""
    numbers = rows.data.numbers.copy()
    for name, values in columns.items():
        numbers[:, ["size", "legs", "hour"].index(name)] = values
    return rows._replace(data=Tensors(rows.data.strings, numbers))


def test_features_of_an_honest_table_pass_without_a_warning(tiny_config: Config) -> None:
    honest = evidence()
    assert refused(tiny_config, honest) == []
    for gate in (SINGLE, PAIR, COPIES, "missing or present for one outcome"):
        assert not result_of(tiny_config, honest, gate).warning


@pytest.mark.parametrize("how", ["copy", "missing"])
def test_a_feature_that_predicts_the_outcome_alone_is_refused(tiny_config: Config, how: str) -> None:
    train = evidence().train
    legs = train.target if how == "copy" else np.where(train.target, np.nan, 4)
    leaked = evidence(train=with_numbers(train, legs=legs))
    assert refused(tiny_config, leaked) == [SINGLE]
    assert result_of(tiny_config, leaked, SINGLE).value == "legs 1.000"


@pytest.mark.parametrize("sign", [1, -1], ids=["sum", "difference"])
def test_two_features_that_add_up_to_the_outcome_are_refused(tiny_config: Config, sign: int) -> None:
    """Each of them alone is noise."""
    train = evidence().train
    noise = np.random.default_rng(2).normal(0, 100, ROWS)
    leaked = evidence(train=with_numbers(train, legs=noise, hour=sign * (train.target - noise)))
    assert refused(tiny_config, leaked) == [PAIR]
    assert result_of(tiny_config, leaked, PAIR).value.startswith("legs and hour")


def test_a_pair_below_the_limit_that_surprises_warns(tiny_config: Config) -> None:
    """Two columns that add up to the outcome and noise of twice its size."""
    train = evidence().train
    rng = np.random.default_rng(2)
    first = rng.normal(0, 10, ROWS)
    second = train.target + rng.normal(0, 1, ROWS) - first
    leaked = evidence(train=with_numbers(train, legs=first, hour=second))
    result = result_of(tiny_config, leaked, PAIR)
    assert (result.passed, result.warning) == (True, True)
    assert result.value.startswith("legs and hour 0.7")


def test_a_pair_is_not_refused_for_what_one_of_its_features_shows(tiny_config: Config) -> None:
    """The single feature has a gate of its own, whose limit is the higher one here."""
    train = evidence().train
    nearly = np.where(np.random.default_rng(3).random(ROWS) < 0.03, ~train.target, train.target)
    gates = tiny_config.gates.model_copy(update={"max_single_feature": 1.0, "max_pair": 0.9})
    config = tiny_config.model_copy(update={"gates": gates})
    assert result_of(config, evidence(train=with_numbers(train, legs=nearly)), PAIR).passed


@pytest.mark.parametrize(("below", "passed"), [(0.0, True), (1e-9, False)])
def test_the_limit_of_a_pair_is_inclusive(tiny_config: Config, below: float, passed: bool) -> None:
    """The measured value itself is the limit, or a little less is."""
    train = evidence().train
    noise = np.random.default_rng(2).normal(0, 100, ROWS)
    rows = with_numbers(train, legs=noise, hour=train.target - noise)
    pair = leaks.best_pair(tiny_config.contract, rows.data, rows.target, tiny_config.train.seed)
    assert pair is not None
    gates = tiny_config.gates.model_copy(update={"max_pair": pair.score - below})
    config = tiny_config.model_copy(update={"gates": gates})
    assert result_of(config, evidence(train=rows), PAIR).passed is passed


@pytest.mark.parametrize("side", ["missing", "present"])
def test_a_feature_that_is_missing_for_one_outcome_only_warns(tiny_config: Config, side: str) -> None:
    """Too few rows for the single-feature limit, too many to be chance."""
    train = evidence().train
    few = train.target & (np.arange(ROWS) % 10 == 0)
    legs = np.where(few if side == "missing" else ~few, np.nan, 4)
    result = result_of(tiny_config, evidence(train=with_numbers(train, legs=legs)), "for one outcome only")
    assert (result.value, result.passed, result.warning) == ("legs", True, True)


def test_all_features_that_are_missing_for_one_outcome_are_named(tiny_config: Config) -> None:
    train = evidence().train
    few = train.target & (np.arange(ROWS) % 10 == 0)
    rows = with_numbers(train, legs=np.where(few, np.nan, 4), hour=np.where(few, np.nan, 17))
    assert result_of(tiny_config, evidence(train=rows), "for one outcome only").value == "legs, hour"


@pytest.mark.parametrize(
    ("copies", "passed", "warning"), [(0, True, False), (1, True, True), (20, True, True), (21, False, True)]
)
def test_rows_of_the_holdout_in_training_warn_and_then_refuse(
    tiny_config: Config, copies: int, passed: bool, warning: bool
) -> None:
    """20 of 2,000 rows are the limit of 1 %."""
    honest = evidence()
    train = Examples(
        {name: values.copy() for name, values in honest.train.request.items()},
        honest.train.data,
        honest.train.target.copy(),
    )
    for name, values in train.request.items():
        if name != "when":
            values[:copies] = honest.holdout.request[name][:copies]
    train.target[:copies] = honest.holdout.target[:copies]
    result = result_of(tiny_config, evidence(train=train), COPIES)
    assert (result.passed, result.warning) == (passed, warning)


def test_a_split_by_row_warns_if_days_have_their_own_luck(tiny_config: Config) -> None:
    """Each tenth day has many positive rows. The same table split by time has no such gate."""
    by_row = tiny_config.model_copy(update={"split": RowSplit(by="row", holdout=0.2)})
    train = evidence().train
    day = np.arange(ROWS) // 50
    lucky = train._replace(target=np.random.default_rng(4).random(ROWS) < np.where(day % 10 == 0, 0.9, 0.2))

    gate = "days on both sides"
    assert result_of(by_row, evidence(train=lucky), gate).warning
    assert not result_of(by_row, evidence(), gate).warning
    assert gate not in str(list(leak_gates(tiny_config, evidence(train=lucky))))


@pytest.mark.parametrize(
    ("gain", "error", "is_new", "warning"),
    [
        (0.03, 0.001, True, True),
        (0.03, 0.006, True, False),
        (0.02, 0.001, True, False),
        (0.025, 0.0, True, False),
        (0.03, 0.001, False, False),
    ],
)
def test_a_new_feature_of_clearly_large_gain_warns(
    tiny_config: Config, gain: float, error: float, is_new: bool, warning: bool
) -> None:
    """The limit is 0.025, and one standard error is taken off."""
    champion = ChampionPredictions("0123456789abcdef", np.arange(ROWS), evidence().predictions, "evaluated again")
    gains = [FeatureGain("size", gain, error, 0.9, is_new)]
    result = result_of(tiny_config, evidence(champion=champion, gains=gains), "by one feature")
    assert (result.passed, result.warning) == (True, warning)
    assert result.limit == "a new feature's interval not above 0.025"


@pytest.mark.parametrize(("share", "warning"), [(0.5, False), (0.51, True)])
def test_a_first_model_that_lives_on_one_feature_warns(tiny_config: Config, share: float, warning: bool) -> None:
    gains = [FeatureGain("size", 0.1, 0.0, share, False), FeatureGain("legs", 0.2, 0.0, 0.1, False)]
    result = result_of(tiny_config, evidence(gains=gains), "by one feature")
    assert result.warning is warning
    assert result.value.startswith("legs -0.2000")
    assert result.why.startswith("size:") is warning


@pytest.mark.parametrize(("share", "names"), [(0.51, "legs, size"), (0.5, "a feature above the limit")])
def test_all_features_above_the_limit_are_asked_about(tiny_config: Config, share: float, names: str) -> None:
    """Without one, the question is about any such feature."""
    gains = [FeatureGain("size", 0.1, 0.0, share, False), FeatureGain("legs", 0.2, 0.0, share, False)]
    result = result_of(tiny_config, evidence(gains=gains), "by one feature")
    assert result.why == f"{names}: is it known at prediction time, with this very value?"


def test_every_gate_against_leaks_shows_value_limit_and_reason(tiny_config: Config) -> None:
    gains = [FeatureGain("legs", 0.01, 0.002, 0.1, True), FeatureGain("size", 0.03, 0.001, 0.51, False)]
    expected = [
        GateResult(
            "features known only after the prediction", "none", "none", True,
            "what is known only after the prediction cannot be one of its inputs",
        ),
        GateResult(
            "roc_auc of a single feature", "size 0.593", "≤ 0.8", True,
            "a feature above the limit predicts the outcome suspiciously well: is it known at prediction time?",
        ),
        GateResult(
            "roc_auc of a sum or difference of two features", "size and legs 0.600, alone 0.593 and 0.514", "≤ 0.99", True,
            "together they say far more about the outcome than alone, as if they added up to it: are both known by then?",
        ),
        GateResult(
            "features missing or present for one outcome only", "none", "none", True,
            "such a column is often filled in, or left empty, because of the outcome: is it known at prediction time?",
        ),
        GateResult(
            "rows of the holdout in training too", "0 (0.00%)", "≤ 1.00%", True,
            "they equal a training row in all but time, outcome included: the model knows these answers",
        ),
        GateResult(
            "log_loss on the folds by one feature",
            "size -0.0300 (± 0.0010, 51% of the gain), new legs -0.0100 (± 0.0020, 10% of the gain)",
            "none above 50% of the gain", True, "size: is it known at prediction time, with this very value?", warning=True,
        ),
    ]  # fmt: skip
    assert list(leak_gates(tiny_config, evidence(gains=gains))) == expected


def test_without_two_numbers_there_is_no_pair_and_without_gains_no_gate(tiny_config: Config) -> None:
    flat = with_numbers(evidence().train, legs=np.ones(ROWS), hour=np.ones(ROWS))
    names = [result.gate for result in leak_gates(tiny_config, evidence(train=flat))]
    assert names == [
        "features known only after the prediction", SINGLE, "features missing or present for one outcome only", COPIES,
    ]  # fmt: skip


def test_features_declared_as_known_after_are_refused(tiny_config: Config) -> None:
    """The loader of a config refuses them too; the gate does not rely on that."""
    late = {name: tiny_config.columns[name].model_copy(update={"known": "after"}) for name in ("size", "legs")}
    config = tiny_config.model_copy(update={"columns": {**tiny_config.columns, **late}})
    assert refused(config, evidence()) == ["features known only after the prediction"]
    assert result_of(config, evidence(), "known only after").value == "size, legs"


def test_a_regression_is_measured_by_rank_correlation(tiny_config: Config) -> None:
    """It has no gate for features of one outcome; a new feature's limit is in deviations of the outcome."""
    config = tiny_config.model_copy(update={"task": "regression", "costs": None})
    train = evidence().train._replace(target=np.random.default_rng(0).normal(0, 10, ROWS))
    champion = ChampionPredictions("0123456789abcdef", np.arange(ROWS), evidence().predictions, "evaluated again")
    gains = [FeatureGain("size", 0.24, 0.0, 0.9, True), FeatureGain("legs", 0.26, 0.0, 0.9, True)]
    results = list(leak_gates(config, evidence(train=train, champion=champion, gains=gains)))
    assert [result.gate for result in results] == [
        "features known only after the prediction",
        "rank correlation of a single feature",
        "rank correlation of a sum or difference of two features",
        COPIES,
        "mae on the folds by one feature",
    ]
    assert results[-1].why.startswith("legs:")


def test_the_days_that_are_split_are_named(tiny_config: Config) -> None:
    by_row = tiny_config.model_copy(update={"split": RowSplit(by="row", holdout=0.2)})
    train = evidence().train
    lucky = train._replace(target=np.arange(ROWS) // 50 % 2 == 0)
    gate = "days on both sides of the split"
    why = "a holdout from the same days is easier than the days to come: split by time"
    value = "by row; similar outcomes on the same day of when"
    expected = GateResult(gate, value, "no such days", True, why, warning=True)
    assert result_of(by_row, evidence(train=lucky), gate) == expected
    assert result_of(by_row, evidence(), gate) == GateResult(gate, "no such days", "no such days", True, why)


def test_all_columns_of_similar_days_are_named(tiny: Path) -> None:
    """One more time in each row, the same as the first."""
    seen = "columns.seen={kind: datetime, known: before, meaning: When it was seen}"
    config = load(tiny, [seen, "columns.hour.derived_from=[when, seen]", "split={by: row, holdout: 0.2}"])
    train = evidence().train
    request = {**train.request, "seen": train.request["when"]}
    lucky = train._replace(request=request, target=np.arange(ROWS) // 50 % 2 == 0)
    result = result_of(config, evidence(train=lucky), "days on both sides")
    assert result.value == "by row; similar outcomes on the same day of when, seen"


def with_seed(config: Config, seed: int) -> Config:
    return config.model_copy(update={"train": config.train.model_copy(update={"seed": seed})})


@pytest.mark.parametrize("seed", range(4))
def test_a_single_feature_is_scored_with_the_seed_of_the_training(tiny_config: Config, seed: int) -> None:
    """Columns of one value, so that only the random parts of the rows order the outcomes."""
    flat = with_numbers(evidence().train, size=np.ones(ROWS), legs=np.ones(ROWS), hour=np.ones(ROWS))
    scores = leaks.single_feature_scores(tiny_config.contract, flat.data, flat.target, seed)
    result = result_of(with_seed(tiny_config, seed), evidence(train=flat), SINGLE)
    assert result.value.endswith(f" {max(scores.values()):.3f}")


def test_similar_days_are_looked_for_with_the_seed_of_the_training(tiny_config: Config) -> None:
    """A hundred rows, of which five each are on a day: some seeds find similar days by chance."""
    by_row = tiny_config.model_copy(update={"split": RowSplit(by="row", holdout=0.2)})
    rows = evidence().train.take(np.arange(0, ROWS, 20))
    when = (np.arange(100) // 5).astype("datetime64[D]").astype("datetime64[s]")
    train = rows._replace(request={**rows.request, "when": when})
    for seed in range(24):
        (result,) = time_is_split(with_seed(by_row, seed), evidence(train=train))
        assert result.warning is bool(leaks.columns_of_similar_days(by_row.contract, train, seed))


@pytest.mark.parametrize(("below", "passed"), [(0.0, True), (1e-9, False)])
def test_the_limit_of_a_single_feature_is_inclusive(tiny_config: Config, below: float, passed: bool) -> None:
    """The measured value itself is the limit, or a little less is."""
    train = evidence().train
    nearly = np.where(np.random.default_rng(3).random(ROWS) < 0.1, ~train.target, train.target)
    leaked = evidence(train=with_numbers(train, legs=nearly))
    score = leaks.single_feature_scores(tiny_config.contract, leaked.train.data, leaked.train.target, 0)["legs"]
    gates = tiny_config.gates.model_copy(update={"max_single_feature": score - below})
    config = tiny_config.model_copy(update={"gates": gates})
    assert result_of(config, leaked, SINGLE).passed is passed
