"""The comparison with the champion: not worse, and not better than can be true."""

from functools import partial
from typing import Any

import numpy as np
import pytest

from pipeline.config.config import Config
from pipeline.evaluation.bootstrap import Interval
from pipeline.training.champion_gates import against_champion, gain_is_suspicious
from pipeline.training.champion_predictions import ChampionPredictions
from pipeline.training.evidence import GateResult
from pipeline.training.leave_one_out import FeatureGain
from tests.support import evidence as support
from tests.support.evidence import ROWS, evidence

AGAINST = "log_loss against the champion"
BELOW = "log_loss below the champion's"

refused = partial(support.refused, gates=against_champion)
result_of = partial(support.result_of, gates=against_champion)


def champion(predictions: np.ndarray, rows: np.ndarray | None = None, **metrics: Any) -> ChampionPredictions:
    every_row = np.arange(ROWS) if rows is None else rows
    return ChampionPredictions("0123456789abcdef", every_row, predictions, "evaluated on the same rows", metrics)


def with_rule(config: Config, **limits: float) -> Config:
    rule = config.gates.champion.model_copy(update=limits)
    return config.model_copy(update={"gates": config.gates.model_copy(update={"champion": rule})})


def better_by(share: float) -> np.ndarray:
    """The calibrated predictions, moved by this share towards the outcome, or for a negative share to one half."""
    calibrated = evidence()
    outcome = np.where(calibrated.holdout.target, 1.0, 0.0) if share > 0 else 0.5
    return calibrated.predictions + abs(share) * (outcome - calibrated.predictions)


@pytest.mark.parametrize(("share", "passed"), [(0.05, False), (0.0, True), (-0.05, True)])
def test_a_model_is_compared_with_the_champion_on_the_same_rows(
    tiny_config: Config, share: float, passed: bool
) -> None:
    assert result_of(tiny_config, evidence(champion=champion(better_by(share))), AGAINST).passed is passed


def test_a_model_that_is_clearly_worse_is_refused_however_little(tiny_config: Config) -> None:
    """Within the limit, but the whole interval is above 0."""
    generous = with_rule(tiny_config, max_increase=1.0)
    result = result_of(generous, evidence(champion=champion(better_by(0.05))), AGAINST)
    assert not result.passed


def test_a_model_worse_beyond_the_limit_is_refused_in_doubt_too(tiny_config: Config) -> None:
    """On some days it is much worse and on others better, so the interval has 0 in it; the value is above the limit."""
    model = evidence()
    days = model.blocks % 4 == 0
    mixed = np.where(days, better_by(0.2), better_by(-0.35))
    strict = result_of(with_rule(tiny_config, max_increase=0.0), evidence(champion=champion(mixed)), AGAINST)
    generous = result_of(with_rule(tiny_config, max_increase=1.0), evidence(champion=champion(mixed)), AGAINST)
    assert generous.passed
    assert not strict.passed


def test_a_model_as_good_as_the_champion_passes_a_limit_of_zero(tiny_config: Config) -> None:
    same = evidence(champion=champion(evidence().predictions))
    assert result_of(with_rule(tiny_config, max_increase=0.0), same, AGAINST).passed


def test_a_champion_without_predictions_refuses_the_new_model(tiny_config: Config) -> None:
    """The reason of the refusal names what to do."""
    silent = champion(np.empty(0), np.empty(0, int))._replace(source="lost. Restore it")
    assert refused(tiny_config, evidence(champion=silent)) == [AGAINST]
    assert result_of(tiny_config, evidence(champion=silent), AGAINST).why == "lost. Restore it"


def test_a_declared_restart_leaves_the_champion_out(tiny_config: Config) -> None:
    perfect = champion(better_by(1.0))
    assert AGAINST in refused(tiny_config, evidence(champion=perfect))
    assert refused(tiny_config, evidence(champion=perfect, restart="a new contract")) == []


def test_only_rows_with_a_prediction_of_the_champion_are_compared(tiny_config: Config) -> None:
    """It is far worse, but on the rows that it has no prediction for."""
    model = evidence()
    known = np.arange(100, ROWS)
    result = result_of(tiny_config, evidence(champion=champion(model.predictions[known], known)), AGAINST)
    assert result.passed
    assert "on 1,900 rows" in result.why


@pytest.mark.parametrize(
    ("max_gain", "warn_gain", "skill_of_champion", "passed", "warning"),
    [
        (0.3, 0.25, 0.0, True, False),
        (0.3, 0.05, 0.0, True, True),
        (0.05, 0.025, 0.0, False, True),
        (0.05, 0.025, 0.9, True, True),
    ],
)
def test_a_gain_that_is_too_large_warns_and_then_refuses(
    tiny_config: Config, max_gain: float, warn_gain: float, skill_of_champion: float, passed: bool, warning: bool
) -> None:
    """The champion predicts one half for all rows; the model's log loss is 0.1 to 0.25 lower. A champion that was once
    better than the new model has decayed, so its loss proves no leak.
    """
    config = with_rule(tiny_config, max_gain=max_gain, warn_gain=warn_gain)
    decayed = champion(np.full(ROWS, 0.5), skill={"high": skill_of_champion})
    result = result_of(config, evidence(champion=decayed), BELOW)
    assert (result.passed, result.warning) == (passed, warning)


def test_a_champion_without_a_recorded_skill_refuses_no_gain(tiny_config: Config) -> None:
    """There is nothing to tell decay from a leak; the warning stays."""
    config = with_rule(tiny_config, max_gain=0.05, warn_gain=0.025)
    result = result_of(config, evidence(champion=champion(np.full(ROWS, 0.5))), BELOW)
    assert (result.passed, result.warning) == (True, True)


def test_no_gain_at_all_passes_limits_of_zero_without_a_warning(tiny_config: Config) -> None:
    """Also where the model has more skill than the champion had on its own holdout."""
    same = champion(evidence().predictions, skill={"high": 0.0})
    result = result_of(with_rule(tiny_config, max_gain=0.0, warn_gain=0.0), evidence(champion=same), BELOW)
    assert (result.passed, result.warning) == (True, False)


def test_only_a_gain_that_warns_is_suspicious(tiny_config: Config) -> None:
    assert gain_is_suspicious(tiny_config, evidence(champion=champion(np.full(ROWS, 0.5))))
    assert not gain_is_suspicious(tiny_config, evidence(champion=champion(evidence().predictions)))
    assert not gain_is_suspicious(tiny_config, evidence())


def test_a_gain_that_may_be_small_does_not_warn(tiny_config: Config) -> None:
    """The gain is above the limit on average, and its interval begins below it."""
    config = with_rule(tiny_config, warn_gain=0.0001)
    barely = np.where(evidence().blocks % 2 == 0, better_by(-0.3), better_by(0.02))
    result = result_of(config, evidence(champion=champion(barely)), BELOW)
    assert result.value.startswith("+0.0")
    assert not result.warning


def test_a_large_gain_names_the_feature_that_it_comes_from(tiny_config: Config) -> None:
    gains = [FeatureGain("size", 0.01, 0.001, 0.2, False), FeatureGain("legs", 0.04, 0.001, 0.7, True)]
    result = result_of(tiny_config, evidence(champion=champion(np.full(ROWS, 0.5)), gains=gains), BELOW)
    why = "so large a gain is often a leak: check that new columns are known at prediction time"
    assert result.why == f"{why}. On the folds, legs lowers it most, by 0.0400"


def test_the_first_model_and_a_restart_have_nothing_to_beat(tiny_config: Config) -> None:
    (first,) = against_champion(tiny_config, evidence())
    assert first == GateResult(AGAINST, "the first model", "nothing to beat", True, "there is no champion yet")

    restarted = evidence(champion=champion(np.full(ROWS, 0.5)), restart="a new contract")
    (result,) = against_champion(tiny_config, restarted)
    why = "a new contract; only the baseline is compared"
    assert result == GateResult(AGAINST, "0123456789abcdef is not compared", "a declared restart", True, why)


def test_a_champion_without_predictions_is_told_with_its_reason(tiny_config: Config) -> None:
    silent = champion(np.empty(0), np.empty(0, int))._replace(source="lost. Restore it")
    (result,) = against_champion(tiny_config, evidence(champion=silent))
    limit = "≤ +0.002, interval not above 0"
    assert result == GateResult(AGAINST, "not measured", limit, False, "lost. Restore it")


def test_both_comparisons_show_values_intervals_and_limits(tiny_config: Config) -> None:
    """The other metric and the number of rows stand in the reason."""
    compared, gain = against_champion(tiny_config, evidence(champion=champion(np.full(ROWS, 0.5))))
    why = "0123456789abcdef was evaluated on the same rows, on 2,000 rows; roc_auc +0.2163 (+0.1999 to +0.2353)"
    value = "-0.1636 (-0.1794 to -0.1479)"
    assert compared == GateResult(AGAINST, value, "≤ +0.002, interval not above 0", True, why)

    why = "so large a gain is often a leak: check that new columns are known at prediction time"
    limit = "interval not above 0.06, unless the champion has decayed"
    assert gain == GateResult(BELOW, "+0.1636 (+0.1479 to +0.1794)", limit, True, why, warning=True)


def test_a_regression_is_compared_in_deviations_of_its_outcome(tiny_config: Config) -> None:
    """An absolute error that is lower by half a deviation is beyond both limits, if R² is above the champion's too."""
    config = tiny_config.model_copy(update={"task": "regression", "costs": None})
    outcome = np.random.default_rng(0).normal(0, 10, ROWS)
    amounts = evidence()._replace(
        train=evidence().train._replace(target=outcome),
        holdout=evidence().holdout._replace(target=outcome),
        predictions=outcome + 1,
        figures={"r2": Interval(0.99, 0.98, 0.995)},
    )
    unskilled = champion(np.zeros(ROWS), r2={"high": 0.1})
    gain = result_of(config, amounts._replace(champion=unskilled), "mae below")
    assert (gain.passed, gain.warning) == (False, True)
    assert "interval not above 0.6" in gain.limit

    as_good = champion(np.zeros(ROWS), r2={"high": 0.99})
    assert result_of(config, amounts._replace(champion=as_good), "mae below").passed


def test_a_small_gain_of_a_regression_does_not_warn(tiny_config: Config) -> None:
    """An absolute error that is lower by 0.1 is a hundredth of a deviation."""
    config = tiny_config.model_copy(update={"task": "regression", "costs": None})
    outcome = np.random.default_rng(0).normal(0, 10, ROWS)
    amounts = evidence(champion=champion(outcome + 1.1))._replace(
        train=evidence().train._replace(target=outcome),
        holdout=evidence().holdout._replace(target=outcome),
        predictions=outcome + 1,
    )
    result = result_of(config, amounts, "mae below")
    assert (result.passed, result.warning) == (True, False)
